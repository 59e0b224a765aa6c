//! What a person types and sees.
pub mod args;
pub mod completions;
pub mod how;
pub mod names;
