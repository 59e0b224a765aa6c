//! What is asked of each side.

pub mod back;
pub mod latency;
pub mod many;
pub mod relp;
pub mod shapes;
pub mod startup;
pub mod stream;
pub mod sync;

use super::Fallible;
use super::bed::{Bed, Sshd};
use super::corpus::Corpus;
use super::options::Options;
use super::results::Outcome;
use super::side::Side;

/// What a workload works with.
#[derive(Debug)]
pub struct Stage<'a> {
    pub bed: &'a Bed,
    pub sshd: &'a Sshd,
    pub corpus: &'a Corpus,
    pub options: &'a Options,
}

/// One workload: one side, one round at a time.
#[derive(Debug)]
pub struct Workload {
    /// Letter and name, for `--only`.
    pub letter: &'static str,
    pub name: &'static str,
    /// As in the table, and in the rows of its figures.
    pub title: &'static str,
    /// Amounts and sizes do not need as many rounds as times do.
    pub most_rounds: usize,
    pub run: Run,
}

/// In the order of the table.
pub const ALL: [Workload; 17] = [
    workload("a", "stream", stream::A, usize::MAX, stream::one_sender),
    workload("b", "senders", many::B, usize::MAX, many::two_hundred_senders),
    workload("c", "short", many::C, usize::MAX, many::short),
    workload("d1", "latency", latency::D1, usize::MAX, latency::open_connection),
    workload("d2", "latency-fresh", latency::D2, usize::MAX, latency::fresh_connections),
    workload("e", "idle", many::E, 2, many::idle),
    workload("f1", "rekey-server", stream::F1, 2, stream::rekey_by_server),
    workload("f2", "rekey-client", stream::F2, 2, stream::rekey_by_client),
    workload("g", "jump-memory", stream::G, 2, stream::jump_host_memory),
    workload("h", "up", startup::H, 1, startup::time_of_up),
    workload("i1", "back", back::I1, 3, back::after_a_kill),
    workload("i2", "back-cut", back::I2, 3, back::after_a_cut),
    workload("i3", "back-forgotten", back::I3, 1, back::after_a_cut_that_nobody_remembers),
    workload("j", "sync", sync::J, usize::MAX, sync::always_beside_never),
    workload("k", "framings", shapes::K, usize::MAX, shapes::framings),
    workload("l", "shapes", shapes::L, usize::MAX, shapes::beside_rsyslog),
    workload("m", "relp", relp::M, usize::MAX, relp::beside_rsyslog),
];

type Run = fn(&Stage, Side) -> Fallible<Outcome>;

const fn workload(
    letter: &'static str,
    name: &'static str,
    title: &'static str,
    most_rounds: usize,
    run: Run,
) -> Workload {
    Workload { letter, name, title, most_rounds, run }
}

impl Workload {
    /// Whether `--only` means this one: `d1`, `d` or `latency` (and `latency-fresh` with it).
    pub fn is_meant(&self, only: &str) -> bool {
        only == self.name
            || self.name.strip_prefix(only).is_some_and(|rest| rest.starts_with('-'))
            || (!only.is_empty() && self.letter.starts_with(only))
    }
}
