//! What is wrong with a profile, before file, line and column are known.

use crate::error::Error;
use crate::escape::escape_str;
pub(super) use crate::escape::{quote, shorten};
use crate::profile::position::{self, Position};
use std::path::Path;

/// Where in the file something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// Known already.
    At(Position),
    /// The value at this path of keys, e.g. `streams`, `main`, `out`.
    Value(Vec<String>),
    /// The last key of this path.
    Key(Vec<String>),
    /// The file as a whole.
    File,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Problem {
    /// Where.
    pub place: Place,
    /// What, without a place: ``unknown key `x` ``. Strangers' text in it is escaped already.
    pub message: String,
    /// What to do about it.
    pub hints: Vec<String>,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn file(message: impl Into<String>) -> Self {
        Self { place: Place::File, message: message.into(), hints: Vec::new() }
    }

    /// A problem at a position.
    pub fn at(position: Option<Position>, message: impl Into<String>) -> Self {
        Self { place: position.map_or(Place::File, Place::At), ..Self::file(message) }
    }

    /// A problem with the value at `path`.
    pub fn value(path: &[&str], message: impl Into<String>) -> Self {
        Self { place: Place::Value(owned(path)), ..Self::file(message) }
    }

    /// A problem with the key at the end of `path`.
    pub fn key(path: &[&str], message: impl Into<String>) -> Self {
        Self { place: Place::Key(owned(path)), ..Self::file(message) }
    }

    /// The same with one more thing to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The error a person sees; `text` is what the file holds, for places that are paths.
    pub fn into_error(self, file: &Path, text: &str) -> Error {
        let position = match &self.place {
            Place::At(position) => Some(*position),
            Place::Value(path) => position::of_value(text, path),
            Place::Key(path) => position::of_key(text, path),
            Place::File => None,
        };
        let place = position.map_or_else(String::new, |p| format!("line {}, column {}: ", p.line, p.column));
        let file = escape_str(&file.display().to_string());
        let mut error = Error::usage(format!("cannot use the profile {file}: {place}{}", self.message));
        error.hints = self.hints;
        error
    }
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|&key| key.to_owned()).collect()
}
