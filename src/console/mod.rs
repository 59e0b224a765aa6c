//! What a person at a terminal sees and is asked, and the verb `send`: as much of the command line as the sender alone needs.
//!
//! `reclog send` can be a program of its own ([`alone`]), without a runtime, SSH or profiles. What it prints and takes is the
//! same in both.

pub mod alone;
pub mod args;
pub mod printer;
pub mod send;
pub mod terminal;
pub mod wrap;
