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
//! - [`send`]: a sender for machines that run reclog; needs none of the rooms before it
//! - [`demo`]: an embedded jump host that shows the whole path
//!
//! Leaves, imported by all of them: [`archive`], [`audit`], [`error`], [`escape`], [`ledger`], [`paths`], [`plan`],
//! [`socket`], [`syslog`].

pub mod archive;
pub mod audit;
pub mod cli;
pub mod collector;
pub mod control;
pub mod demo;
pub mod doctor;
pub mod error;
pub mod escape;
pub mod history;
pub mod intake;
pub mod ledger;
pub mod metrics;
pub mod paths;
pub mod plan;
pub mod profile;
pub mod send;
pub mod service;
pub mod sink;
pub mod socket;
pub mod ssh;
pub mod syslog;
