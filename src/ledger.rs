//! The ledger: what every byte of a stream became, and the one snapshot that status, JSON and metrics show.
//!
//! Per stream, at every moment: `received = stored + pending + Σ discarded`. All of it are payload bytes since the
//! collector started; what reclog writes of its own (line ends) is `added` and never payload. The counters stand
//! behind one lock, so that no reader ever sees half of a change.

mod finding;
mod latency;
mod page;
mod reasons;
mod senders;

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Kind;
pub use finding::{Families, Finding};
pub use latency::{BOUNDS, Latency, LatencySnapshot};
pub use page::Page;
use page::Sheet;
#[cfg(test)]
pub(crate) use reasons::{is_discard, is_rejection};
pub use senders::{Addresses, Senders};

/// Bytes by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// Payload bytes that senders delivered.
    pub received: u64,
    /// Of these, written to the output: `write(2)` said so.
    pub stored: u64,
    /// Of these, covered by a completed fsync.
    pub synced: u64,
    /// Of these, still in memory: unfinished lines and the queue to the output.
    pub pending: u64,
    /// Of these, dropped on purpose, by reason.
    pub discarded: BTreeMap<String, u64>,
    /// Bytes that reclog itself wrote to the output: line ends.
    pub added: u64,
}

/// The counters of one stream as shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Bytes.
    pub ledger: Ledger,
    /// Connections.
    pub senders: Senders,
    /// Those of the connections that are none: addresses that send datagrams.
    pub addresses: Addresses,
    /// Records handed to the output.
    pub records: u64,
    /// Records that were longer than `max_line`.
    pub split: u64,
    /// Datagrams that became no record, as far as is known: they never got here, or their address was turned away.
    pub datagrams_lost: u64,
    /// When the last record came.
    pub last_record: Option<Timestamp>,
    /// Bytes that the output's files have now: those that are open.
    pub output_bytes: u64,
    /// Bytes that are free for them, on the fullest of their file systems, as of some seconds ago.
    pub free: Option<u64>,
    /// How long the output takes for a write.
    pub write: Latency,
    /// How long it takes to force bytes to the disk.
    pub fsync: Latency,
    /// Why the output takes nothing at the moment.
    pub stall: Option<Stall>,
    /// Why the last flush to the disk failed; stays, for nothing proves later that those bytes are safe.
    pub sync_trouble: Option<String>,
    /// Times that the output has gone on in a new file.
    pub rotations: u64,
    /// Why the file cannot be put away, a sentence; it grows meanwhile.
    pub rotate_trouble: Option<String>,
}

/// An output that takes no bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stall {
    /// Since when.
    pub since: Timestamp,
    /// The sentence for `health`: path and cause.
    pub sentence: String,
}

/// One stream's counters, shared by intake (receives), sink (stores) and control (reads).
#[derive(Debug, Clone, Default)]
pub struct StreamLedger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    counts: Counts,
    /// Of the files that are open.
    sheets: BTreeMap<u64, Sheet>,
    /// Pages so far.
    pages: u64,
    /// Stored payload bytes that were flushed without being entered, in files that are closed.
    quiet: u64,
    /// The last stall that is over: since when, until when.
    last_stall: Option<(Timestamp, Timestamp)>,
}

impl Deref for Books {
    type Target = Counts;

    fn deref(&self) -> &Counts {
        &self.counts
    }
}

impl DerefMut for Books {
    fn deref_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }
}

impl StreamLedger {
    /// A ledger of zeros.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        // Every change below is a handful of additions that cannot panic half-way; a poisoned lock still holds sums.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `bytes` arrived from a sender and `records` (of which `split` are pieces of over-long ones) became complete.
    pub fn received(&self, bytes: u64, records: u64, split: u64) {
        let now = (records > 0).then(Timestamp::now);
        let mut c = self.lock();
        c.ledger.received += bytes;
        c.ledger.pending += bytes;
        c.records += records;
        c.split += split;
        c.last_record = now.or(c.last_record);
    }

    /// `bytes` pending ones were dropped on purpose.
    pub fn discarded(&self, reason: &str, bytes: u64) {
        let mut c = self.lock();
        debug_assert!(bytes <= c.ledger.pending);
        c.ledger.pending -= bytes;
        *c.ledger.discarded.entry(reason.to_owned()).or_default() += bytes;
    }

    /// `datagrams` more are known to have become no record.
    pub fn datagrams_lost(&self, datagrams: u64) {
        self.lock().datagrams_lost += datagrams;
    }

    /// The output takes nothing (`Some`), or takes bytes again (`None`). Returns what it was before.
    #[must_use]
    pub fn set_stall(&self, stall: Option<Stall>) -> Option<Stall> {
        let mut books = self.lock();
        let before = std::mem::replace(&mut books.stall, stall);
        if let (Some(before), None) = (&before, &books.stall) {
            books.last_stall = Some((before.since, Timestamp::now()));
        }
        before
    }

    /// Since when bytes may have waited for the output: the beginning of a stall that is on, or was over no longer ago than
    /// `recently` before `now`.
    #[must_use]
    pub fn waited_since(&self, recently: Duration, now: Timestamp) -> Option<Timestamp> {
        let books = self.lock();
        let recent = |until: Timestamp| {
            now.duration_since(until) <= jiff::SignedDuration::try_from(recently).unwrap_or_default()
        };
        let past = books.last_stall.filter(|(_, until)| recent(*until)).map(|(since, _)| since);
        books.stall.iter().map(|stall| stall.since).chain(past).min()
    }

    /// Payload bytes stored so far.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.lock().ledger.stored
    }

    /// A consistent copy.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.lock().counts.clone()
    }
}

/// What `status --json` prints: every collector of this user.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Sorted by name.
    pub collectors: Vec<CollectorSnapshot>,
}

/// One collector in the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CollectorSnapshot {
    /// Its name.
    pub name: String,
    /// The most pressing of the states that hold.
    pub state: State,
    /// Process number.
    pub pid: u32,
    /// The release that it runs.
    #[serde(default)]
    pub reclog: String,
    /// `user@host:port` as resolved; null for `listen`.
    pub target: Option<String>,
    /// When the process started, RFC 3339.
    pub since: Timestamp,
    /// Connections that were lost and made again.
    pub reconnects: u64,
    /// The last trouble with the connection, kept after it is over.
    pub last_error: Option<String>,
    /// Its class, which is the exit code of whoever waited for the connection; left out as long as there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error_kind: Option<Kind>,
    /// One sentence a trouble; empty when all is well.
    pub health: Vec<String>,
    /// Where metrics are served: `ip:port`, or `unix:` and a path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics: Option<String>,
    /// In the order of the plan.
    pub streams: Vec<StreamSnapshot>,
}

/// One stream in the snapshot.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamSnapshot {
    /// Its name.
    pub name: String,
    /// The port on the jump host (the local one for `listen`); 0 until the jump host has chosen.
    pub remote_port: u16,
    /// The Unix socket that takes the place of port and address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// The address that was asked for; `*` is every interface.
    pub bind: String,
    /// `lines`, `raw`, `syslog` or `relp`.
    pub framing: String,
    /// `raw`, `prefix` or `json`; empty from a collector that does not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub format: String,
    /// What stands in front of each record, as written; only where `format` is `prefix`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// Names of the keywords that senders have to say first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keywords: Vec<String>,
    /// Whether a connection from outside was seen to arrive.
    pub reach: Reach,
    /// When that was last tried, RFC 3339.
    pub reach_checked: Option<Timestamp>,
    /// What came of it; `None`: nobody has looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// Where the records go.
    pub outputs: Vec<OutputSnapshot>,
    /// Connections.
    pub senders: Senders,
    /// Records handed to the output.
    pub records: u64,
    /// Records that were longer than `max_line`.
    pub split: u64,
    /// When the last record came, RFC 3339; left out before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_record: Option<Timestamp>,
    /// Datagrams that became no record, as far as the kernel and the relay can tell, and those of addresses that were turned
    /// away; only of streams that take any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub datagrams_lost: Option<u64>,
    /// How long its first output takes for a write; left out before the first one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write_seconds: Option<LatencySnapshot>,
    /// How long that takes to force bytes to the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fsync_seconds: Option<LatencySnapshot>,
    /// Bytes.
    pub ledger: Ledger,
}

/// One output in the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutputSnapshot {
    /// The file, or the output as written. The stream's own comes first.
    pub path: PathBuf,
    /// Bytes in the current file; of many, in those that are open; of what is no file, bytes written since the collector started.
    pub bytes: u64,
    /// Rotations since the collector started.
    pub rotations: u64,
    /// Bytes that are free on its file system; only of files, as of some seconds ago.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub free: Option<u64>,
    /// Records that it did not get. The first output keeps senders waiting instead, and has this only for those that are too
    /// long for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

/// What a collector does; the order is that of urgency, the most urgent last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Every stream is open to senders.
    Up,
    /// An attempt to connect is under way.
    Connecting,
    /// The connection is lost; the next attempt comes by itself.
    Waiting,
    /// An output takes no bytes; senders wait.
    Stalled,
    /// `down` was asked for; open senders may finish.
    Draining,
    /// Gave up: authentication or host key. A person has to look.
    Failed,
}

impl State {
    /// The word in JSON and text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Connecting => "connecting",
            Self::Waiting => "waiting",
            Self::Stalled => "stalled",
            Self::Draining => "draining",
            Self::Failed => "failed",
        }
    }
}

/// Whether senders from outside get through.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// A connection from outside came back through the forward.
    Proven,
    /// Only the jump host itself can connect.
    LoopbackOnly,
    /// Nobody has looked.
    #[default]
    Unproven,
}

impl Reach {
    /// The word in JSON and text.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::LoopbackOnly => "loopback-only",
            Self::Unproven => "unproven",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn urgency_orders_the_states() {
        use State::{Connecting, Draining, Failed, Stalled, Up, Waiting};
        let mut all = [Up, Failed, Waiting, Draining, Connecting, Stalled];
        all.sort();
        assert_eq!(all, [Up, Connecting, Waiting, Stalled, Draining, Failed]);
    }

    proptest! {
        #[test]
        fn every_byte_is_accounted_for_after_every_step(steps in prop::collection::vec((0u8..3, 0u64..5000), 0..200)) {
            let ledger = StreamLedger::new();
            let page = ledger.page(0);
            for (what, n) in steps {
                let n = match what { 0 => n, _ => n.min(ledger.counts().ledger.pending) };
                match what {
                    0 => ledger.received(n, 1, 0),
                    1 => page.stored(n, 1, 0),
                    _ => ledger.discarded("test", n),
                }
                let l = ledger.counts().ledger;
                prop_assert_eq!(l.received, l.stored + l.pending + l.discarded.values().sum::<u64>());
            }
        }
    }
}
