//! Syslog, as bytes: what a message looks like.

pub mod format;
