//! Whether the key that a server shows is the key of the host that we mean.
//!
//! Decided as OpenSSH's client decides it, and stricter where a mistake would go unseen: a file that cannot be read and a
//! changed or revoked key are refusals, whatever `StrictHostKeyChecking` says.

mod ask;
mod certificate;
mod entry;
mod known_hosts;
mod remember;
mod verify;

pub use known_hosts::KnownHosts;
pub use remember::Accepted;
pub use verify::verify;
