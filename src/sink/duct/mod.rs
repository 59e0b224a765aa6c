//! Outputs that are no files: something takes records as long as it is there, goes, and comes back.
//!
//! A [`Duct`] knows how records get into one kind of them; [`writer`] does what is the same for all: the queue, pauses
//! between two tries, the ledger, and the end.

mod backoff;
mod command;
mod daemon;
mod stdout;
mod wait;
pub mod writer;

use std::fmt::Debug;
use std::path::PathBuf;
use std::time::Duration;

use super::Batch;
use super::side::Shape;
use crate::plan::{Daemon, Output, To};

/// How long a duct waits in one go for whoever takes nothing; then it looks whether it is still wanted.
const TICK: Duration = Duration::from_millis(100);

/// Something that takes records.
pub trait Duct: Send + Debug {
    /// Begins: what was there before is gone.
    ///
    /// # Errors
    /// Why nothing can be written there, the end of a sentence.
    fn open(&mut self) -> Result<(), String>;

    /// Writes what `batch` has after `at`, or some of it. Waits no longer than about [`TICK`] for whoever takes nothing, unless
    /// the system knows no such wait.
    ///
    /// # Errors
    /// It is gone.
    fn put(&mut self, batch: &Batch, at: usize) -> Result<Put, Gone>;

    /// Whether it has gone by itself meanwhile.
    fn gone(&mut self) -> Option<Gone>;

    /// Tells it that nothing follows, and waits until it has taken everything, as long as not `hurry`. For a `side`, a second
    /// output, what fails now is not begun anew.
    ///
    /// # Errors
    /// What was wrong with that, a sentence.
    fn finish(&mut self, side: bool, hurry: &dyn Fn() -> bool) -> Result<(), String>;

    /// Records that were [put](Self::put) and that nobody has read.
    fn unread(&self) -> u64 {
        0
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// Everything before this place is written.
    To(usize),
    /// The record that ends here is longer than it takes, and is left out.
    TooLong(usize),
}

/// There is nothing to write to any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// Everything of the batch before this place was written; `None`: as much as was known before.
    pub at: Option<usize>,
    /// Why, the end of a sentence.
    pub why: String,
    /// That is in order.
    pub well: bool,
    /// It will never be there again.
    pub for_good: bool,
}

impl Gone {
    /// Something went wrong.
    fn because(why: impl Into<String>) -> Self {
        Self { at: None, why: why.into(), well: false, for_good: false }
    }

    /// As much was written before.
    fn after(self, at: usize) -> Self {
        Self { at: Some(at), ..self }
    }
}

/// Whether a daemon can be reached now; nothing is sent.
///
/// # Errors
/// Why not, the end of a sentence.
pub fn reach(daemon: &Daemon) -> Result<(), String> {
    daemon::Link::new(daemon).open()
}

/// An output that is no file, before its writer is started.
#[derive(Debug)]
pub struct Place {
    /// As written.
    pub path: PathBuf,
    /// What it is.
    pub duct: Box<dyn Duct>,
    /// What it wants records to look like.
    pub shape: Shape,
}

impl Place {
    /// What `output` says; `None` for files. `lines`: LF ends a record. Nothing is started or connected yet.
    ///
    /// # Errors
    /// When the system has no pipe left.
    pub fn of(output: &Output, lines: bool) -> std::io::Result<Option<Self>> {
        let path = output.name().to_owned();
        let (duct, shape): (Box<dyn Duct>, _) = match output.to() {
            To::File | To::Files(_) => return Ok(None),
            To::Stdout => (Box::new(stdout::Stdout), Shape::Formatted),
            To::Exec(command) => (Box::new(command::Command::new(command, lines)?), Shape::Formatted),
            To::Syslog(daemon) => (Box::new(daemon::Link::new(daemon)), Shape::Syslog),
        };
        Ok(Some(Self { path, duct, shape }))
    }
}
