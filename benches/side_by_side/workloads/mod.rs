//! What is asked of each side.

pub mod latency;
pub mod many;
pub mod startup;
pub mod stream;

use std::path::Path;

use super::Fallible;
use super::bed::{Bed, Sshd};
use super::corpus::Corpus;
use super::options::Options;
use super::results::{Outcome, Row};
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
    /// Amounts and sizes do not need as many rounds as times do.
    pub most_rounds: usize,
    pub run: fn(&Stage, Side) -> Fallible<Outcome>,
}

/// In the order of the table.
pub const ALL: [Workload; 10] = [
    Workload { letter: "a", name: "stream", most_rounds: usize::MAX, run: stream::one_sender },
    Workload { letter: "b", name: "senders", most_rounds: usize::MAX, run: many::two_hundred_senders },
    Workload { letter: "c", name: "short", most_rounds: usize::MAX, run: many::short },
    Workload { letter: "d1", name: "latency", most_rounds: usize::MAX, run: latency::open_connection },
    Workload { letter: "d2", name: "latency-fresh", most_rounds: usize::MAX, run: latency::fresh_connections },
    Workload { letter: "e", name: "idle", most_rounds: 2, run: many::idle },
    Workload { letter: "f1", name: "rekey-server", most_rounds: 2, run: stream::rekey_by_server },
    Workload { letter: "f2", name: "rekey-client", most_rounds: 2, run: stream::rekey_by_client },
    Workload { letter: "g", name: "jump-memory", most_rounds: 2, run: stream::jump_host_memory },
    Workload { letter: "h", name: "up", most_rounds: 1, run: startup::time_of_up },
];

impl Workload {
    /// Whether `--only` means this one: `d1`, `d` or `latency`.
    pub fn is_meant(&self, only: &str) -> bool {
        only == self.name || (!only.is_empty() && self.letter.starts_with(only))
    }
}

/// The rows in which a workload tells what is wrong with the file.
#[derive(Debug, Clone, Copy)]
struct Faults {
    torn: Row,
    missing: Row,
    bytes: Row,
}

impl Faults {
    const fn of(workload: &'static str) -> Self {
        Self {
            torn: Row::faults(workload, "torn lines"),
            missing: Row::faults(workload, "lines not whole in the file"),
            bytes: Row::faults(workload, "bytes missing"),
        }
    }

    /// Compares the file with what was sent.
    fn check(self, outcome: &mut Outcome, corpus: &Corpus, file: &Path, senders: usize, lines: u64) -> Fallible<()> {
        let verdict = corpus.check(file, senders, lines)?;
        outcome.add(self.torn, verdict.torn as f64);
        outcome.add(self.missing, verdict.missing as f64);
        outcome.add(self.bytes, verdict.bytes_missing as f64);
        outcome.verdict = Some(verdict);
        Ok(())
    }
}
