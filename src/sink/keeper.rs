//! What becomes of archives.

use std::io;
use std::path::Path;

use crate::audit::Trail;
use crate::plan::Rotate;

/// Compresses and prunes the archives of one file.
#[derive(Debug)]
pub struct Keeper;

impl Keeper {
    /// Starts it.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(_file: &Path, _rotate: &Rotate, _stream: &str, _trail: Trail) -> io::Result<Self> {
        Ok(Self)
    }

    /// There is a new archive.
    pub fn archived(&self) {}
}
