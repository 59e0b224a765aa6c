//! reclog: one local command opens a port on an SSH jump host and writes what is sent there to a local file.
//!
//! The house, in the order in which bytes and calls pass through it:
//!
//! - [`cli`]: what a person types and sees; one file a verb
//! - [`profile`]: YAML as written becomes a [`plan::Plan`] as meant
//! - [`collector`]: the background process: start, supervision, shutdown
//! - [`doctor`]: looks, step by step, whether senders get through
//! - [`ssh`]: connect, authenticate, forward; the only room that knows russh
//! - [`intake`]: a sender's bytes become records
//! - [`sink`]: records become bytes on disk; one writer thread an output
//! - [`service`]: a collector as a service: units, and what is said to their managers
//! - [`control`]: the socket between a running collector and the verbs
//! - [`metrics`]: the snapshot as Prometheus reads it, and the HTTP door beside the control socket
//! - [`history`]: reads what sinks wrote
//! - [`web`]: the browser's view; reads control sockets and history, never a collector's memory
//! - [`send`]: a sender for machines that run reclog; needs none of the rooms before it
//! - [`console`]: what a person at a terminal sees and is asked, and the verb `send`
//! - [`demo`]: an embedded jump host that shows the whole path
//!
//! Leaves, imported by all of them: [`archive`], [`audit`], [`error`], [`escape`], [`ledger`], [`paths`], [`penalty`],
//! [`plan`], [`secret`], [`socket`], [`syslog`], [`units`].
//!
//! Two programs come out of it. The feature `full` is all of it. Without it there is `reclog send` alone, for small boards:
//! of the rooms it has [`console`] and [`send`], and none of the crates that only a collector needs.

#[cfg(not(any(feature = "full", feature = "send")))]
compile_error!("choose a program: feature `full`, or `send` for the sender alone");

#[cfg(feature = "full")]
pub mod archive;
#[cfg(feature = "full")]
pub mod audit;
#[cfg(feature = "full")]
pub mod cli;
#[cfg(feature = "full")]
pub mod collector;
pub mod console;
#[cfg(feature = "full")]
pub mod control;
#[cfg(feature = "full")]
pub mod demo;
#[cfg(feature = "full")]
pub mod doctor;
pub mod error;
pub mod escape;
#[cfg(feature = "full")]
pub mod history;
#[cfg(feature = "full")]
pub mod intake;
#[cfg(feature = "full")]
pub mod ledger;
#[cfg(feature = "full")]
pub mod metrics;
pub mod paths;
#[cfg(feature = "full")]
pub mod penalty;
#[cfg(feature = "full")]
pub mod plan;
#[cfg(feature = "full")]
pub mod profile;
pub mod secret;
pub mod send;
#[cfg(feature = "full")]
pub mod service;
#[cfg(feature = "full")]
pub mod sink;
#[cfg(feature = "full")]
pub mod socket;
#[cfg(feature = "full")]
pub mod ssh;
#[cfg(feature = "full")]
pub mod syslog;
pub mod units;
#[cfg(feature = "full")]
pub mod web;
