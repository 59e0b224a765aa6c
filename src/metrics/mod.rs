//! The snapshot as Prometheus reads it, and the HTTP door by which it is fetched.
//!
//! [`families`] says what there is, [`text`] writes it in both formats, [`accept`] chooses one: all of them pure. [`door`] listens and
//! [`answers`] fills in what is asked for. `reclog metrics` prints the same without a door.
//!
//! Why no client library: those count themselves, and here the ledger does; and the one for Rust writes OpenMetrics alone, which
//! neither the node exporter's text files nor `promtool check metrics` can read.

pub mod accept;
mod answers;
pub mod door;
pub mod families;
pub mod text;

pub use accept::Format;
pub use answers::{Figures, is_ready};
pub use door::{Door, MAX_CLIENTS, Sign};
pub use families::Seen;

/// What Prometheus reads of the collectors that were `seen`, and of those that are `silent`: they were asked and did not answer.
#[must_use]
pub fn render(seen: &[Seen], silent: &[String], format: Format) -> String {
    families::write(seen, silent, format)
}
