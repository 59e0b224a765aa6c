//! Whether the key that a server shows is the key of the host that we mean.

mod known_hosts;
mod verify;

pub use known_hosts::KnownHosts;
pub use verify::verify;
