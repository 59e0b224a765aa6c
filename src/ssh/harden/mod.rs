//! Least privilege: what a profile needs of the jump host ([`lines`]), and whether its key can do more ([`check`]).

mod ability;
mod check;
mod lines;
mod session;

pub use ability::{Ability, Found};
pub use check::{check, own_port};
pub use lines::{Advice, Need};
