//! A sender: lines of standard input or of files that are followed, to a port of a collector.
//!
//! One loop does it all ([`plain`] without acknowledgements, [`acked`] with them): it waits for its input, its connection and the
//! clock at once. Only looking up a name and connecting has a thread of its own. With acknowledgements ([`relp`]) a record is
//! remembered until it is stored on the other side: what came from standard input in a [`spool`], what came from a file by its
//! [place](tail::Place). This room needs no runtime and none of the collector's rooms, so that it can be a program of its own.

mod acked;
mod dial;
mod feed;
mod keyword;
mod line;
mod lines;
mod outgoing;
mod plain;
mod records;
mod relp;
mod slots;
mod spool;
mod store;
mod tail;
mod target;
mod wake;

use std::path::PathBuf;
use std::time::Duration;

pub use keyword::Keyword;
pub use target::Target;
pub use wake::{Stop, Wake};

use crate::error::{Error, Kind, Result};

/// What is to be sent, and where.
#[derive(Debug)]
pub struct Settings {
    /// Where to.
    pub target: Target,
    /// Said first on each connection.
    pub keyword: Option<Keyword>,
    /// Files to follow; none: standard input.
    pub follow: Vec<PathBuf>,
    /// How records are set apart, without acknowledgements.
    pub framing: Framing,
    /// Wants acknowledgements.
    pub ack: Option<Ack>,
    /// Wait for a first connection that cannot be made.
    pub keep_trying: bool,
}

/// How records are set apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// By an LF.
    Lines,
    /// By an octet count (RFC 6587), where a line is a syslog message.
    Syslog,
}

/// Sending with acknowledgements.
#[derive(Debug)]
pub struct Ack {
    /// The folder of what is not acknowledged.
    pub spool: PathBuf,
    /// Bytes that may lie there.
    pub most: u64,
    /// How long an acknowledgement may take before another connection is tried.
    pub patience: Duration,
}

/// What is worth knowing on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// Good to know.
    Note(String),
    /// It will matter.
    Warning(String),
}

/// Sends until the input ends or `wake` says stop; blocks. `talk` hears what happens.
///
/// # Errors
/// When the first connection cannot be made, an input or the spool cannot be used, and when it was interrupted.
pub fn run(settings: &Settings, wake: &Wake, talk: &mut dyn FnMut(Said)) -> Result<()> {
    match &settings.ack {
        None => plain::run(settings, wake, talk),
        Some(ack) => acked::run(settings, ack, wake, talk),
    }
}

/// The first connection was no good.
fn unreachable(settings: &Settings, why: &str) -> Error {
    let error = Error::failed(format!("cannot send to {}: {why}", settings.target));
    error.hint("`reclog status` on the other side shows whether a collector listens there; --keep-trying waits for it")
}

/// Files that are waited for.
fn tell_missing(files: &feed::Files, talk: &mut dyn FnMut(Said)) {
    for path in files.missing() {
        talk(Said::Note(format!("{} is not there yet; waiting for it", path.display())));
    }
}

/// `1 record`, `2 records`.
fn counted(n: u64) -> String {
    if n == 1 { "1 record".into() } else { format!("{n} records") }
}

/// Someone wanted the end, and so many records lie in the spool.
fn interrupted(left: u64, spool: &str, follows: bool) -> Error {
    let text = match left {
        0 if follows => "interrupted: the next start goes on where acknowledgements end".into(),
        0 => "interrupted: everything that was read is acknowledged".into(),
        1 => format!("interrupted: 1 record is not acknowledged; it stays in {spool} and goes first next time"),
        n => format!("interrupted: {n} records are not acknowledged; they stay in {spool} and go first next time"),
    };
    Error::new(Kind::Interrupted, text)
}
