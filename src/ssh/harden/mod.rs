//! Least privilege: what a profile needs of the jump host ([`lines`]), and whether its key can do more ([`check`]).

mod check;
mod lines;

pub use check::{Ability, Found, check, own_port};
pub use lines::{Advice, Need};
