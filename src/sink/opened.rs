//! An output that is open, before its writer is started.

use std::io;
use std::path::Path;

use super::duct;
use super::file::{OpenFailure, OutputFile};
use super::files::Files;
use super::side::Shape;
use crate::error::{Error, io_reason};
use crate::plan::{Output, To};

/// See the module.
#[derive(Debug)]
pub enum Opened {
    /// A file.
    File(OutputFile),
    /// As many as records name.
    Files(Files),
    /// Anything else: it is started or connected by its writer, and anew as often as need be.
    Duct(duct::Place),
}

impl Opened {
    /// Opens `output` of `stream`. `lines`: LF ends a record.
    ///
    /// # Errors
    /// Those of [`OutputFile::open`]; others only when the system has no pipe left.
    pub fn open(output: &Output, stream: &str, lines: bool) -> Result<Self, OpenFailure> {
        if let To::Files(template) = output.to() {
            return Files::of(template, stream).map(Self::Files).map_err(OpenFailure::Other);
        }
        let failed = |e: io::Error| {
            OpenFailure::Other(Error::failed(format!("cannot prepare the output {output}: {}", io_reason(&e))))
        };
        match duct::Place::of(output, lines).map_err(failed)? {
            Some(place) => Ok(Self::Duct(place)),
            None => OutputFile::open(output.name()).map(Self::File),
        }
    }

    /// The file that was made for it.
    #[must_use]
    pub fn created(&self) -> Option<&Path> {
        match self {
            Self::File(file) => file.was_created().then(|| file.place()),
            Self::Files(_) | Self::Duct(_) => None,
        }
    }

    /// What records look like there.
    pub(super) fn shape(&self) -> Shape {
        match self {
            Self::File(_) | Self::Files(_) => Shape::Formatted,
            Self::Duct(place) => place.shape,
        }
    }
}
