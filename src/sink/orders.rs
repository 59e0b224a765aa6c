//! What a writer is told to do beside the writing.

use std::path::PathBuf;

use tokio::sync::oneshot;

/// An order; it is carried out between two records.
#[derive(Debug)]
pub enum Order {
    /// Look what stands under the file's name and go on there, now.
    Reopen,
    /// Put the file away now.
    Rotate(oneshot::Sender<Answer>),
}

/// What became of a rotation: the archives, none when every file was empty, or the end of a sentence that says why not.
pub type Answer = Result<Vec<Archived>, String>;

/// A file that was put away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archived {
    /// The name that it had.
    pub file: PathBuf,
    /// Its name now.
    pub archive: PathBuf,
    /// Its bytes.
    pub bytes: u64,
}
