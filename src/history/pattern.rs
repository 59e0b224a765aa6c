//! What lines are filtered and searched by.

use regex::bytes::{Regex, RegexBuilder};

/// A regular expression that a line has, or (inverted) has not.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    invert: bool,
}

impl Pattern {
    /// Reads `text`.
    ///
    /// # Errors
    /// What is wrong with it, a sentence.
    pub fn new(text: &str, ignore_case: bool, invert: bool) -> Result<Self, String> {
        let regex = RegexBuilder::new(text).case_insensitive(ignore_case).build().map_err(|e| e.to_string())?;
        Ok(Self { regex, invert })
    }

    /// Whether it is a line to be shown.
    #[must_use]
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.regex.is_match(line) != self.invert
    }
}
