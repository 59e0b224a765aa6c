//! What is told of a snapshot: names, labels, types, units. Names and labels are stable.
//!
//! No label comes from a sender. Reasons are a fixed set, and outputs are as their profile has them, however many files that makes.

use std::path::Path;

use super::accept::Format;
use super::text::{Family, Kind, Page, Value, escape, label};
use crate::ledger::{CollectorSnapshot, OutputSnapshot, Reach, State, StreamSnapshot};

use Kind::{Counter, Gauge, Histogram, Info};
use Value::{Latency, Time, Whole};

/// A collector that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its release, such as `0.1.0`.
    pub version: String,
    /// What it says.
    pub snapshot: CollectorSnapshot,
}

/// All states, in the order of urgency.
const STATES: [State; 6] =
    [State::Up, State::Connecting, State::Waiting, State::Stalled, State::Draining, State::Failed];
/// All that reach can be.
const REACHES: [Reach; 3] = [Reach::Proven, Reach::LoopbackOnly, Reach::Unproven];
/// A line is about that long, and a stream has about that many: one allocation then holds all of them.
const STREAM: usize = 70 * 60;

/// What is told of the collectors that were `seen` and of those that are `silent`; with neither, that nothing runs. Families without a
/// figure are left out.
#[must_use]
pub fn write(seen: &[Seen], silent: &[String], format: Format) -> String {
    let collectors: Vec<_> = seen.iter().map(Told::new).collect();
    let streams: usize = seen.iter().map(|seen| seen.snapshot.streams.len()).sum();
    let mut all = All { collectors, page: Page::new(format, 8192 + streams * STREAM) };
    all.up(silent);
    all.of_collectors();
    all.of_bytes();
    all.of_records();
    all.of_senders();
    all.of_outputs();
    all.page.end()
}

/// A collector with its labels, which each of its figures has.
struct Told<'a> {
    seen: &'a Seen,
    labels: String,
    streams: Vec<(&'a StreamSnapshot, String)>,
}

impl<'a> Told<'a> {
    fn new(seen: &'a Seen) -> Self {
        let mut labels = String::new();
        label("collector", &seen.snapshot.name, &mut labels);
        let below = |stream: &'a StreamSnapshot| {
            let mut labels = labels.clone();
            label("stream", &stream.name, &mut labels);
            (stream, labels)
        };
        let streams = seen.snapshot.streams.iter().map(below).collect();
        Self { seen, labels, streams }
    }
}

/// What is told of all.
struct All<'a> {
    collectors: Vec<Told<'a>>,
    page: Page,
}

impl<'a> All<'a> {
    /// Figures a collector: `tell` writes them.
    fn collectors<F>(&mut self, name: &'static str, kind: Kind, help: &'static str, tell: F)
    where
        F: Fn(&mut Page, &str, &'a CollectorSnapshot),
    {
        self.page.family(Family { name, kind, help });
        for Told { seen, labels, .. } in &self.collectors {
            tell(&mut self.page, labels, &seen.snapshot);
        }
    }

    /// Figures a stream: `tell` writes them.
    fn streams<F>(&mut self, name: &'static str, kind: Kind, help: &'static str, tell: F)
    where
        F: Fn(&mut Page, &str, &'a StreamSnapshot),
    {
        self.page.family(Family { name, kind, help });
        for (stream, labels) in self.collectors.iter().flat_map(|told| &told.streams) {
            tell(&mut self.page, labels, stream);
        }
    }

    /// One whole number a collector.
    fn each(&mut self, name: &'static str, kind: Kind, help: &'static str, value: fn(&CollectorSnapshot) -> u64) {
        self.collectors(name, kind, help, |page, labels, c| page.figure(labels, None, Whole(value(c))));
    }

    /// One whole number a stream.
    fn stream(&mut self, name: &'static str, kind: Kind, help: &'static str, value: fn(&StreamSnapshot) -> u64) {
        self.streams(name, kind, help, |page, labels, s| page.figure(labels, None, Whole(value(s))));
    }

    /// A figure a stream, where it is known.
    fn known<F>(&mut self, name: &'static str, kind: Kind, help: &'static str, value: F)
    where
        F: Fn(&'a StreamSnapshot) -> Option<Value<'a>>,
    {
        self.streams(name, kind, help, |page, labels, s| {
            if let Some(value) = value(s) {
                page.figure(labels, None, value);
            }
        });
    }

    fn up(&mut self, silent: &[String]) {
        let help = "Whether the collector runs and answers.";
        self.each("reclog_up", Gauge, help, |_| 1);
        for name in silent {
            let mut labels = String::new();
            label("collector", name, &mut labels);
            self.page.figure(&labels, None, Whole(0));
        }
        if self.collectors.is_empty() && silent.is_empty() {
            self.page.figure("", None, Whole(0));
        }
    }

    fn of_collectors(&mut self) {
        self.page.family(Family { name: "reclog", kind: Info, help: "The release of the collector." });
        for Told { seen, labels, .. } in &self.collectors {
            let mut labels = labels.clone();
            label("version", &seen.version, &mut labels);
            self.page.figure(&labels, None, Whole(1));
        }
        self.collectors("reclog_state", Gauge, "Whether the collector is in this state.", |page, labels, c| {
            for state in STATES {
                page.figure(labels, Some(("state", state.as_str())), Whole((c.state == state).into()));
            }
        });
        self.collectors("reclog_start_timestamp_seconds", Gauge, "When the collector started.", |page, labels, c| {
            page.figure(labels, None, Time(c.since));
        });
        self.each("reclog_troubles", Gauge, "Sentences of `reclog health`.", |c| c.health.len() as u64);
        self.each("reclog_reconnects", Counter, "Connections that were lost and made again.", |c| c.reconnects);
    }

    fn of_bytes(&mut self) {
        self.stream("reclog_received_bytes", Counter, "Payload that senders delivered.", |s| s.ledger.received);
        self.stream("reclog_stored_bytes", Counter, "Payload that the first output has taken.", |s| s.ledger.stored);
        self.stream("reclog_synced_bytes", Counter, "Payload that a completed fsync covers.", |s| s.ledger.synced);
        self.stream("reclog_added_bytes", Counter, "Bytes that reclog wrote of its own, such as line ends.", |s| {
            s.ledger.added
        });
        self.stream("reclog_pending_bytes", Gauge, "Payload in memory: the queue, and unfinished lines.", |s| {
            s.ledger.pending
        });
        let help = "Payload that was dropped on purpose.";
        self.streams("reclog_discarded_bytes", Counter, help, |page, labels, s| {
            by_reason(page, labels, s.discarded());
        });
    }

    fn of_records(&mut self) {
        self.stream("reclog_records", Counter, "Records handed to the outputs.", |s| s.records);
        self.stream("reclog_records_split", Counter, "Records that were longer than max_line.", |s| s.split);
        self.known("reclog_last_record_timestamp_seconds", Gauge, "When the last record came.", |s| {
            s.last_record.map(Time)
        });
        self.known("reclog_datagrams_lost", Counter, "Datagrams that became no record.", |s| {
            s.datagrams_lost.map(Whole)
        });
    }

    fn of_senders(&mut self) {
        self.stream("reclog_senders_open", Gauge, "Senders that are in.", |s| s.senders.open);
        self.stream("reclog_senders_accepted", Counter, "Senders that were let in.", |s| s.senders.accepted);
        self.stream("reclog_senders_cut", Counter, "Senders that ended without an end of stream.", |s| s.senders.cut);
        let help = "Senders that were turned away.";
        self.streams("reclog_senders_rejected", Counter, help, |page, labels, s| {
            by_reason(page, labels, s.rejected());
        });
        self.streams("reclog_reach", Gauge, "Whether this is known of who can connect.", |page, labels, s| {
            for reach in REACHES {
                page.figure(labels, Some(("reach", reach.as_str())), Whole((s.reach == reach).into()));
            }
        });
        self.known("reclog_reach_checked_timestamp_seconds", Gauge, "When that was last tried.", |s| {
            s.reach_checked.map(Time)
        });
    }

    fn of_outputs(&mut self) {
        let help = "Bytes in the current file, or written to what is none.";
        self.outputs("reclog_output_bytes", Gauge, help, |o| Some(o.bytes), u64::wrapping_add);
        let help = "Bytes that are free on the file system of the output.";
        self.outputs("reclog_output_free_bytes", Gauge, help, |o| o.free, u64::min);
        let help = "Records that the output did not get.";
        self.outputs("reclog_output_lost_records", Counter, help, |o| o.lost, u64::wrapping_add);
        self.stream("reclog_rotations", Counter, "Times that a file was put away.", |s| {
            s.outputs.iter().map(|output| output.rotations).sum()
        });
        self.known("reclog_write_seconds", Histogram, "How long the first output took for a write.", |s| {
            s.write_seconds.as_ref().map(Latency)
        });
        self.known("reclog_fsync_seconds", Histogram, "How long an fsync of the first output took.", |s| {
            s.fsync_seconds.as_ref().map(Latency)
        });
    }

    /// A figure an output. Two of one name are one, as `both` says: no two figures may have the same labels.
    fn outputs(
        &mut self,
        name: &'static str,
        kind: Kind,
        help: &'static str,
        figure: fn(&OutputSnapshot) -> Option<u64>,
        both: fn(u64, u64) -> u64,
    ) {
        self.streams(name, kind, help, |page, labels, stream| {
            let mut all: Vec<(&Path, u64)> = Vec::new();
            for output in &stream.outputs {
                let Some(figure) = figure(output) else { continue };
                match all.iter_mut().find(|(path, _)| *path == output.path) {
                    Some((_, known)) => *known = both(*known, figure),
                    None => all.push((&output.path, figure)),
                }
            }
            for (path, sum) in all {
                let mut name = String::new();
                escape(&path.to_string_lossy(), &mut name);
                page.figure(labels, Some(("output", &name)), Whole(sum));
            }
        });
    }
}

/// One figure a reason.
fn by_reason<'a>(page: &mut Page, labels: &str, figures: impl Iterator<Item = (&'a str, u64)>) {
    for (reason, figure) in figures {
        page.figure(labels, Some(("reason", reason)), Whole(figure));
    }
}

#[cfg(test)]
#[path = "families_tests.rs"]
mod tests;
