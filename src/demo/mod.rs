//! The embedded jump host.
