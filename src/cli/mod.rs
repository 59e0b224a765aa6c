//! What a person types and sees.
pub mod args;
pub mod how;
