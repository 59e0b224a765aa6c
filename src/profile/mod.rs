//! YAML as written becomes the plan as meant.
//!
//! In flow order: `position` walks the file and knows where everything stands, `raw` is the file as written (`scalar`
//! reads its values, `units` and `target` the texts in them), `resolve` lays flags over it and makes a
//! [`Plan`](crate::plan::Plan), `explain` says what the plan means. `store` is the folder of saved profiles, `write`
//! turns a plan back into YAML.
//!
//! Everything that is wrong with a profile is [`Kind::Usage`](crate::error::Kind::Usage), with file, line and column.

mod address;
mod door;
mod edit;
mod explain;
mod framing;
mod nearest;
mod position;
mod problem;
mod raw;
mod resolve;
mod review;
mod rotate;
mod scalar;
mod ssh;
mod store;
mod streams;
mod target;
mod units;
mod write;

pub use address::Address;
pub use edit::edit;
pub use explain::{Checked, check};
pub use nearest::{did_you_mean, nearest};
pub use resolve::{Overrides, Resolved, resolve_listen, resolve_look, resolve_up};
pub use review::review;
pub use store::{Listed, Profile, find, init, list, path, remove, save, show};
pub use target::Target;
pub use units::{parse_duration, parse_size, show_duration, show_size};
