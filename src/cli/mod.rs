//! What a person types and sees.
pub mod args;
pub mod completions;
pub mod demo;
mod demo_checks;
pub mod how;
pub mod names;
