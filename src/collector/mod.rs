//! The background process.
