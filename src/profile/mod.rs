//! YAML as written becomes the plan as meant.
//!
//! In flow order: `position` walks the file and knows where everything stands, `raw` is the file as written (`scalar`
//! reads its values, `units` and `target` the texts in them), `flags` is the command line as typed, `resolve` lays it over the
//! profile and makes a [`Plan`](crate::plan::Plan); `door`, `outputs`, `shape`, `keywords`, `limits` and `rotate` each know one
//! subject of a stream, `framing` what does not go together. `explain` says what the plan means, `origin` what a
//! running collector was started from. `store` is the folder of saved profiles, `write`
//! turns a plan back into YAML. `keys` tells of every key what its value looks like (`form`) and what it is for; `schema`
//! says so to editors.
//!
//! Everything that is wrong with a profile is [`Kind::Usage`](crate::error::Kind::Usage), with file, line and column.

mod address;
mod door;
mod edit;
mod explain;
mod flags;
mod form;
mod framing;
pub mod keys;
mod keywords;
mod limits;
mod nearest;
mod origin;
mod outputs;
mod position;
mod problem;
mod raw;
mod resolve;
mod review;
mod rotate;
mod scalar;
mod schema;
mod shape;
mod ssh;
mod store;
mod streams;
mod target;
mod units;
mod write;

pub use address::Address;
pub use edit::edit;
pub use explain::{Checked, check};
pub use flags::Overrides;
pub use form::{Form, Text};
pub use limits::LimitFlags;
pub use nearest::{did_you_mean, nearest};
pub use origin::{Origin, keep_ports, unknown as unknown_origin};
pub use resolve::{Resolved, resolve_listen, resolve_look, resolve_up};
pub use review::review;
pub use schema::schema;
pub use shape::Shape;
pub use store::{Listed, Profile, find, init, list, path, remove, save, show};
pub use target::Target;
pub use units::{parse_duration, parse_size, show_duration, show_size};
