//! What a service manager and a collector have to do with one another: readiness and watchdog messages.

pub mod message;
pub mod notify;
pub mod watchdog;
