//! What a service manager and a collector have to do with one another: readiness and watchdog messages,
//! and the pauses of one that fails early.

pub mod gap;
pub mod message;
pub mod notify;
pub mod restart;
pub mod watchdog;
