//! The second outputs of a stream: they get what the first one gets as far as they keep up, and never hold it up.
//!
//! Each has a queue and a writer of its own. What does not fit into the queue is lost to it, and counted.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::pen::{Look, Meta, Pen};
use super::queue::Queue;
use super::records::{End, Records};
use super::router::Router;
use super::scribe::Scribe;
use super::voice::Voice;
use super::{Batch, Options, STUCK, Sink};
use crate::ledger::StreamLedger;

/// Bytes of memory that wait for one second output: a restart of what is behind it is bridged, a second at full speed not;
/// whoever needs more makes it the first one. At most one read of the network comes on top.
pub const SIDE_QUEUE: usize = 8 * 1024 * 1024;
/// An output that has lost nothing for so long, with room in its queue, keeps up again. No more than two warnings come in
/// that time, however it wavers.
const CALM: Duration = Duration::from_secs(10);
/// So long after the last loss it is told in `health`.
const REMEMBERED: Duration = Duration::from_secs(600);

/// What records look like in an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As the stream's format says.
    Formatted,
    /// Messages for a syslog daemon.
    Syslog,
}

/// One second output, seen from the queue of the first.
#[derive(Debug)]
pub struct Side {
    pub(super) path: PathBuf,
    pub(super) queue: Arc<Queue>,
    /// Where there are many files.
    pub(super) router: Option<Arc<Router>>,
    pub(super) ledger: StreamLedger,
    pub(super) shape: Shape,
    /// LF ends a record.
    pub(super) lines: bool,
    pub(super) losses: Mutex<Losses>,
    pub(super) voice: Voice,
}

/// What a second output did not get.
#[derive(Debug, Default)]
pub(super) struct Losses {
    records: u64,
    /// Since when, and how many there were before, as long as it does not keep up.
    behind: Option<(Timestamp, u64)>,
    last: Option<Instant>,
}

/// A second output as the snapshot shows it.
#[derive(Debug, Clone)]
pub struct SideView {
    /// As written.
    pub path: PathBuf,
    /// Bytes in the file, or written since the start.
    pub bytes: u64,
    /// Times that the file was put away.
    pub rotations: u64,
    /// Bytes that are free for a file.
    pub free: Option<u64>,
    /// Records that it did not get.
    pub lost: u64,
    /// What is wrong with it, in sentences.
    pub health: Vec<String>,
}

impl Side {
    /// The second output that `sink` writes.
    pub(super) fn of(sink: &Sink, shape: Shape, options: Options) -> Self {
        let Options { stream, trail, .. } = options;
        Self {
            path: sink.path.clone(),
            queue: Arc::clone(&sink.handle.queue),
            router: sink.handle.router.clone(),
            ledger: sink.ledger.clone(),
            shape,
            lines: sink.lines,
            losses: Mutex::default(),
            voice: Voice { stream, output: sink.path.clone(), trail, side: true },
        }
    }

    fn losses(&self) -> MutexGuard<'_, Losses> {
        self.losses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what `batch` has after `from` if there is room for it. Without lines that is one record: a chunk.
    fn take(&self, batch: &Batch, from: usize, (meta, now): (&Meta, Timestamp)) {
        let aim = self.router.as_ref().map(|router| router.path(meta, now));
        let payload = batch.account(from, batch.len()).0;
        let taken = self.queue.offer(SIDE_QUEUE, |ours| {
            // First: the writer must not store bytes that the ledger has not received.
            self.ledger.received(payload, 0, 0);
            ours.aim(&aim);
            let begin = ours.len();
            ours.copy(batch, from);
            if !self.lines {
                ours.one_chunk(begin);
            }
        });
        if taken.is_none() {
            self.lose(if self.lines { batch.records_after(from, true) } else { 1 });
        } else if self.losses().behind.is_some() {
            self.keeps_up();
        }
    }

    /// It did not get so many records.
    pub(super) fn lose(&self, records: u64) {
        let mut losses = self.losses();
        if losses.behind.is_none() {
            losses.behind = Some((Timestamp::now(), losses.records));
            let path = self.path.display();
            self.voice.warn(&format!("{path} does not keep up: records are lost to it, others have them"));
        }
        losses.records += records;
        losses.last = Some(Instant::now());
    }

    /// There was room for it again.
    fn keeps_up(&self) {
        let mut losses = self.losses();
        if losses.last.is_some_and(|last| last.elapsed() >= CALM)
            && self.queue.is_below_half(SIDE_QUEUE)
            && let Some((_, before)) = losses.behind.take()
        {
            let (path, lost) = (self.path.display(), were(losses.records - before));
            self.voice.warn(&format!("{path} keeps up again; {lost} lost to it"));
        }
    }

    /// At the end, `records` never came to be written.
    pub(super) fn left(&self, records: u64) {
        self.losses().records += records;
    }

    /// Records that it did not get so far.
    pub(super) fn lost(&self) -> u64 {
        self.losses().records + self.elsewhere()
    }

    /// Records that had their place in the queue and are lost all the same.
    fn elsewhere(&self) -> u64 {
        self.queue.left_out() + self.queue.given_up()
    }

    fn view(&self) -> SideView {
        let counts = self.ledger.counts();
        let path = self.path.display();
        let mut health = Vec::new();
        if let Some(stall) = counts.stall {
            health.push(format!("{} (since {})", stall.sentence, stall.since));
        } else if let Some(stuck) = self.queue.stuck().filter(|stuck| *stuck >= STUCK) {
            health.push(format!("{path} has not taken a byte for {} s; nobody waits for it", stuck.as_secs().max(1)));
        }
        let losses = self.losses();
        let lost = losses.records + self.elsewhere();
        if losses.last.is_some_and(|last| last.elapsed() < REMEMBERED) {
            let since = losses.behind.map_or_else(String::new, |(since, _)| format!(", now since {since}"));
            health.push(format!("{path} did not keep up: {} lost to it{since}", were(lost)));
        }
        drop(losses);
        health.extend(too_long(&path, self.queue.left_out()));
        health.extend(counts.sync_trouble.map(|reason| format!("cannot force {path} to the disk: {reason}")));
        health.extend(counts.rotate_trouble);
        SideView {
            path: self.path.clone(),
            bytes: counts.output_bytes,
            rotations: counts.rotations,
            free: counts.free,
            lost,
            health,
        }
    }
}

/// So many records were …
pub fn were(records: u64) -> String {
    if records == 1 { "1 record was".into() } else { format!("{records} records were") }
}

/// What is said of records that an output does not take for their length.
pub fn too_long(output: &impl std::fmt::Display, records: u64) -> Option<String> {
    (records > 0).then(|| format!("{} too long for {output}, and lost", were(records)))
}

/// The shape of a stream's first output, and its second ones. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sides {
    pub(super) first: Shape,
    pub(super) all: Arc<[Side]>,
}

impl Sides {
    /// For a file that is alone.
    pub fn none() -> Self {
        Self { first: Shape::Formatted, all: Arc::new([]) }
    }

    /// What of them is shown, in the order of the plan.
    pub fn views(&self) -> Vec<SideView> {
        self.all.iter().map(Side::view).collect()
    }

    /// Lets `fill` hand over records of the sender of `meta`: into `batch`, which is the first output's, and from there to
    /// the others.
    pub fn fill<T>(
        &self,
        batch: &mut Batch,
        (look, meta, now): (Look, &Meta, Timestamp),
        fill: impl FnOnce(&mut dyn Records) -> T,
    ) -> T {
        let ink = |shape, batch| match shape {
            Shape::Formatted => Ink::Pen(Pen::new(batch, look, meta, now)),
            Shape::Syslog => Ink::Scribe(Scribe::new(batch, meta, now)),
        };
        if self.all.is_empty() {
            return match ink(self.first, batch) {
                Ink::Pen(mut pen) => fill(&mut pen),
                Ink::Scribe(mut scribe) => fill(&mut scribe),
            };
        }
        let from = batch.len();
        let other = match self.first {
            Shape::Formatted => Shape::Syslog,
            Shape::Syslog => Shape::Formatted,
        };
        // Records of the other shape are made once for all that want them.
        let mut aside = Batch::default();
        let second = self.all.iter().any(|side| side.shape == other).then(|| ink(other, &mut aside));
        let result = fill(&mut Tee { first: ink(self.first, batch), second });
        if batch.len() > from {
            for side in self.all.iter() {
                let (source, from) = if side.shape == self.first { (&*batch, from) } else { (&aside, 0) };
                side.take(source, from, (meta, now));
            }
        }
        result
    }
}

/// Who writes.
enum Ink<'a> {
    Pen(Pen<'a>),
    Scribe(Scribe<'a>),
}

impl<'a> Ink<'a> {
    fn records(&mut self) -> &mut (dyn Records + 'a) {
        match self {
            Self::Pen(pen) => pen,
            Self::Scribe(scribe) => scribe,
        }
    }
}

/// Writes every record in the shape of the first output and, where somebody wants it, in the other one.
struct Tee<'a> {
    first: Ink<'a>,
    second: Option<Ink<'a>>,
}

impl Records for Tee<'_> {
    fn lines(&mut self, lines: &[u8]) {
        self.first.records().lines(lines);
        if let Some(second) = &mut self.second {
            second.records().lines(lines);
        }
    }

    fn record(&mut self, text: [&[u8]; 2], end: End) {
        self.first.records().record(text, end);
        if let Some(second) = &mut self.second {
            second.records().record(text, end);
        }
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.first.records().chunk(bytes);
        if let Some(second) = &mut self.second {
            second.records().chunk(bytes);
        }
    }
}
