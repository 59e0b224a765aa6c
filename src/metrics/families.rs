//! What is told of a snapshot: names, labels, types, units. Names and labels are stable.
//!
//! No label comes from a sender. Reasons are a fixed set, and outputs are as their profile has them, however many files that makes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use crate::ledger::{BOUNDS, CollectorSnapshot, LatencySnapshot, OutputSnapshot, Reach, State, StreamSnapshot};

use Kind::{Counter, Gauge, Histogram, Info};

/// A collector that answered.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// Its release, such as `0.1.0`.
    pub version: String,
    /// What it says.
    pub snapshot: CollectorSnapshot,
}

/// Figures of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct Family<'a> {
    /// Without what its type adds (`_total`, `_info`).
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
    /// Of each thing that is counted one.
    pub samples: Vec<Sample<'a>>,
}

/// Types of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until the collector starts anew.
    Counter,
    /// Always 1; the labels tell.
    Info,
    /// Times by how long they were.
    Histogram,
}

/// One figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample<'a> {
    /// Name and value of each label.
    pub labels: Labels<'a>,
    /// What it is.
    pub value: Value<'a>,
}

/// Labels in the order in which they are written; those that are `None` are not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Labels<'a> {
    /// The collector.
    pub collector: Option<&'a str>,
    /// Its stream.
    pub stream: Option<&'a str>,
    /// One more.
    pub more: Option<(&'static str, Cow<'a, str>)>,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Whole(u64),
    /// Seconds since 1970.
    Time(Timestamp),
    /// A histogram.
    Latency(&'a LatencySnapshot),
}

impl Kind {
    /// Lines of one figure, about.
    pub(super) fn lines(self) -> usize {
        if self == Self::Histogram { BOUNDS.len() + 3 } else { 1 }
    }
}

impl Family<'_> {
    /// The unit that its name ends with.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        ["bytes", "seconds"]
            .into_iter()
            .find(|unit| self.name.strip_suffix(unit).is_some_and(|name| name.ends_with('_')))
    }
}

/// All states, in the order of urgency.
const STATES: [State; 6] =
    [State::Up, State::Connecting, State::Waiting, State::Stalled, State::Draining, State::Failed];
/// All that reach can be.
const REACHES: [Reach; 3] = [Reach::Proven, Reach::LoopbackOnly, Reach::Unproven];

/// What a figure is of: nothing, or one more label.
type More<'a> = Option<(&'static str, Cow<'a, str>)>;

/// What is told of the collectors that were `seen` and of those that are `silent`; with neither, that nothing runs. Families without a
/// sample are left out.
#[must_use]
pub fn families<'a>(seen: &'a [Seen], silent: &'a [String]) -> Vec<Family<'a>> {
    let mut page = Page { seen, families: Vec::with_capacity(32) };
    page.tell("reclog_up", Gauge, UP, up(seen, silent));
    page.of_collectors();
    page.of_bytes();
    page.of_records();
    page.of_senders();
    page.of_outputs();
    page.families.retain(|family| !family.samples.is_empty());
    page.families
}

/// What is told so far.
struct Page<'a> {
    seen: &'a [Seen],
    families: Vec<Family<'a>>,
}

impl<'a> Page<'a> {
    fn tell(&mut self, name: &'static str, kind: Kind, help: &'static str, samples: Vec<Sample<'a>>) {
        self.families.push(Family { name, kind, help, samples });
    }

    /// One whole number a collector.
    fn each(&mut self, name: &'static str, kind: Kind, help: &'static str, value: fn(&CollectorSnapshot) -> u64) {
        self.tell(name, kind, help, collectors(self.seen, |c| [(None, Value::Whole(value(c)))]));
    }

    /// One whole number a stream.
    fn stream(&mut self, name: &'static str, kind: Kind, help: &'static str, value: fn(&StreamSnapshot) -> u64) {
        self.tell(name, kind, help, streams(self.seen, |s| [(None, Value::Whole(value(s)))]));
    }

    /// A figure a stream, where it is known.
    fn known<F>(&mut self, name: &'static str, kind: Kind, help: &'static str, value: F)
    where
        F: Fn(&'a StreamSnapshot) -> Option<Value<'a>>,
    {
        self.tell(name, kind, help, streams(self.seen, |s| value(s).map(|value| (None, value))));
    }

    fn of_collectors(&mut self) {
        let seen = self.seen;
        let version = |seen: &'a Seen| Sample {
            labels: Labels { more: Some(("version", seen.version.as_str().into())), ..below(&seen.snapshot) },
            value: Value::Whole(1),
        };
        self.tell("reclog", Info, "The release of the collector.", seen.iter().map(version).collect());
        let states = |c: &'a CollectorSnapshot| STATES.map(|state| one_of("state", state.as_str(), c.state == state));
        self.tell("reclog_state", Gauge, "Whether the collector is in this state.", collectors(seen, states));
        let since = |c: &'a CollectorSnapshot| [(None, Value::Time(c.since))];
        self.tell("reclog_start_timestamp_seconds", Gauge, "When the collector started.", collectors(seen, since));
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
        let discarded = |s: &'a StreamSnapshot| by_reason(&s.ledger.discarded);
        let discarded = streams(self.seen, discarded);
        self.tell("reclog_discarded_bytes", Counter, "Payload that was dropped on purpose.", discarded);
    }

    fn of_records(&mut self) {
        self.stream("reclog_records", Counter, "Records handed to the outputs.", |s| s.records);
        self.stream("reclog_records_split", Counter, "Records that were longer than max_line.", |s| s.split);
        self.known("reclog_last_record_timestamp_seconds", Gauge, "When the last record came.", |s| {
            s.last_record.map(Value::Time)
        });
        self.known("reclog_datagrams_lost", Counter, "Datagrams that became no record.", |s| {
            s.datagrams_lost.map(Value::Whole)
        });
    }

    fn of_senders(&mut self) {
        self.stream("reclog_senders_open", Gauge, "Senders that are in.", |s| s.senders.open);
        self.stream("reclog_senders_accepted", Counter, "Senders that were let in.", |s| s.senders.accepted);
        self.stream("reclog_senders_cut", Counter, "Senders that ended without an end of stream.", |s| s.senders.cut);
        let rejected = streams(self.seen, |s| by_reason(&s.senders.rejected));
        self.tell("reclog_senders_rejected", Counter, "Senders that were turned away.", rejected);
        let reaches = |s: &'a StreamSnapshot| REACHES.map(|reach| one_of("reach", reach.as_str(), s.reach == reach));
        self.tell("reclog_reach", Gauge, "Whether this is known of who can connect.", streams(self.seen, reaches));
        self.known("reclog_reach_checked_timestamp_seconds", Gauge, "When that was last tried.", |s| {
            s.reach_checked.map(Value::Time)
        });
    }

    fn of_outputs(&mut self) {
        let seen = self.seen;
        let bytes = "Bytes in the current file, or written to what is none.";
        self.tell("reclog_output_bytes", Gauge, bytes, outputs(seen, |o| Some(o.bytes), u64::wrapping_add));
        let free = outputs(seen, |o| o.free, u64::min);
        self.tell("reclog_output_free_bytes", Gauge, "Bytes that are free on the file system of the output.", free);
        let lost = outputs(seen, |o| o.lost, u64::wrapping_add);
        self.tell("reclog_output_lost_records", Counter, "Records that the output did not get.", lost);
        self.stream("reclog_rotations", Counter, "Times that a file was put away.", |s| {
            s.outputs.iter().map(|output| output.rotations).sum()
        });
        self.known("reclog_write_seconds", Histogram, "How long the first output took for a write.", |s| {
            s.write_seconds.as_ref().map(Value::Latency)
        });
        self.known("reclog_fsync_seconds", Histogram, "How long an fsync of the first output took.", |s| {
            s.fsync_seconds.as_ref().map(Value::Latency)
        });
    }
}

const UP: &str = "Whether the collector runs and answers.";

fn up<'a>(seen: &'a [Seen], silent: &'a [String]) -> Vec<Sample<'a>> {
    if seen.is_empty() && silent.is_empty() {
        return vec![Sample { labels: Labels::default(), value: Value::Whole(0) }];
    }
    let runs = seen.iter().map(|seen| (seen.snapshot.name.as_str(), 1));
    let silent = silent.iter().map(|name| (name.as_str(), 0));
    let sample =
        |(name, up)| Sample { labels: Labels { collector: Some(name), ..Labels::default() }, value: Value::Whole(up) };
    runs.chain(silent).map(sample).collect()
}

fn below(collector: &CollectorSnapshot) -> Labels<'_> {
    Labels { collector: Some(&collector.name), ..Labels::default() }
}

fn collectors<'a, I>(seen: &'a [Seen], figures: impl Fn(&'a CollectorSnapshot) -> I) -> Vec<Sample<'a>>
where
    I: IntoIterator<Item = (More<'a>, Value<'a>)>,
{
    let mut all = Vec::new();
    for Seen { snapshot, .. } in seen {
        let of = |(more, value)| Sample { labels: Labels { more, ..below(snapshot) }, value };
        all.extend(figures(snapshot).into_iter().map(of));
    }
    all
}

fn streams<'a, I>(seen: &'a [Seen], figures: impl Fn(&'a StreamSnapshot) -> I) -> Vec<Sample<'a>>
where
    I: IntoIterator<Item = (More<'a>, Value<'a>)>,
{
    let mut all = Vec::with_capacity(seen.iter().map(|seen| seen.snapshot.streams.len()).sum());
    for Seen { snapshot, .. } in seen {
        for stream in &snapshot.streams {
            let labels = |more| Labels { stream: Some(&stream.name), more, ..below(snapshot) };
            all.extend(figures(stream).into_iter().map(|(more, value)| Sample { labels: labels(more), value }));
        }
    }
    all
}

/// A figure an output. Two of one name are one, as `both` says: no two figures may have the same labels.
fn outputs(seen: &[Seen], figure: fn(&OutputSnapshot) -> Option<u64>, both: fn(u64, u64) -> u64) -> Vec<Sample<'_>> {
    streams(seen, |stream| {
        let mut all: Vec<(&Path, u64)> = Vec::with_capacity(stream.outputs.len());
        for output in &stream.outputs {
            let Some(figure) = figure(output) else { continue };
            match all.iter_mut().find(|(path, _)| *path == output.path) {
                Some((_, known)) => *known = both(*known, figure),
                None => all.push((&output.path, figure)),
            }
        }
        all.into_iter().map(|(path, sum)| (Some(("output", path.to_string_lossy())), Value::Whole(sum)))
    })
}

/// Whether, of several things, it is this one.
fn one_of<'a>(label: &'static str, value: &'static str, is: bool) -> (More<'a>, Value<'a>) {
    (Some((label, value.into())), Value::Whole(is.into()))
}

/// One figure a reason.
fn by_reason(figures: &BTreeMap<String, u64>) -> impl Iterator<Item = (More<'_>, Value<'_>)> {
    figures.iter().map(|(reason, figure)| (Some(("reason", reason.as_str().into())), Value::Whole(*figure)))
}

#[cfg(test)]
#[path = "families_tests.rs"]
mod tests;
