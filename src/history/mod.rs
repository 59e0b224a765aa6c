//! Reads what sinks wrote: the last records of a file and its archives, and what is appended to it, through rotation and
//! truncation.
//!
//! A record is a line here, as in the file. Nothing but a [`search`] waits or knows a clock: a [`Follower`] is asked again
//! and again, every [`POLL_INTERVAL`] once it has nothing.

mod columns;
mod feed;
mod follow;
mod last;
mod layout;
mod log;
mod look;
mod many;
mod moment;
mod opened;
mod packed;
mod page;
mod pattern;
mod places;
#[cfg(test)]
#[path = "real_tests.rs"]
mod real;
#[cfg(test)]
#[path = "rig_tests.rs"]
mod rig;
mod search;
mod tailer;
mod view;

use std::time::Duration;

pub use columns::{Columns, Fields};
pub use follow::{Follower, PIECE};
pub use last::{LONGEST, last_records};
pub use log::{Extent, Log, Stored};
pub use many::{Many, Shown};
pub use page::{Bounds, Chunk, Line, Page, Unreadable};
pub use pattern::Pattern;
pub use places::{Known, NamedFile, catalog_of, catalogs, files};
pub use search::{CONTEXT, Found, Summary, search};
pub use tailer::{Seen, Tailer};

/// How long a caller waits after a [`Follower::poll`] that returned nothing: short enough to feel immediate, and ten
/// looks at a file per second cost nothing.
pub const POLL_INTERVAL: Duration = Duration::from_millis(100);
