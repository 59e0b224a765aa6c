//! The server's process on the jump host that holds our ports: who it is, and how the one of a connection that was lost is
//! ended.
//!
//! A connection that is cut without a good-bye lives on at the other end until TCP or `ClientAliveInterval` gives it up, for
//! hours by default, and its process keeps the ports. Where the account has a shell, that process belongs to the account: a
//! command over the new connection can end it. [`Trace`] is what a connection leaves behind for that, [`Past`] keeps those
//! that may still be there. Nothing is ever ended by its port or its name: it is the very process, or nobody.

mod exec;
mod file;
mod identity;
mod past;
mod script;
mod socket;

pub use exec::{output, run, run_at_leisure};
pub use identity::{Fate, Identity};
pub use past::{Past, Trace};
pub use script::{end, find};
pub use socket::{
    LONGEST_OUTPUT as LONGEST_SOCKET_OUTPUT, Look, Seen, There, command as socket_command, parse as socket_seen,
};

/// A word for the lines of one run.
#[must_use]
pub fn mark() -> String {
    format!("reclog-{:016x}", rand::random::<u64>())
}
