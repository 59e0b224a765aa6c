//! The SSH side.
