//! Where events go: a bounded buffer, and behind it a thread that writes it down. Whoever tells never waits for a disk.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::before::{self, Unended};
use super::store::{FILE, FILE_BOUND, Store};
use super::{Entry, Event, line};
use crate::error::{Error, Result, io_reason};

/// Bytes of lines that may wait for the disk: about two seconds of 14,000 short connections each, which is more than a
/// healthy disk ever takes for an fsync. Beyond it lines are counted instead of kept.
const BUFFER: usize = 8 * 1024 * 1024;
/// A buffer this small is kept for the next lines.
const KEPT: usize = 256 * 1024;
/// After a write the next one gathers lines for this long: 200 writes a second cost nothing, and a line that comes alone is
/// written at once. What happened in the last instant before a SIGKILL may thus be missing.
const GATHER: Duration = Duration::from_millis(5);
/// How often fsync is called while lines come.
const SYNC: Duration = Duration::from_secs(1);
/// The pause after a disk refused; short enough for a person who has just made room.
const RETRY: Duration = Duration::from_millis(200);
/// A disk that has not answered for so long is told as trouble.
const STUCK: Duration = Duration::from_secs(1);
/// How long the end of the collector waits for a disk that does not answer.
const FAREWELL: Duration = Duration::from_secs(2);

/// The entrance of the trail. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Trail(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    /// See [`BUFFER`].
    bound: usize,
    inner: Mutex<Inner>,
    /// Wakes the writer.
    work: Condvar,
    /// The writer has ended.
    ended: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whole lines.
    filling: Vec<u8>,
    /// Bytes that the writer has taken and not yet written.
    in_flight: usize,
    /// The number of the last line in `filling`. A line that is not kept has none.
    seq: u64,
    missing: Option<Missing>,
    /// The writer has nothing to do.
    sleeps: bool,
    /// From the line of the end on: a line behind it would look like a crash to the next run.
    closed: bool,
    /// Why the disk takes nothing, and since when.
    trouble: Option<(String, Timestamp)>,
    /// Since when the writer is at its batch.
    busy: Option<Instant>,
}

/// Lines that found no room.
#[derive(Debug, Clone)]
struct Missing {
    lines: u64,
    since: Timestamp,
}

impl Inner {
    /// Counts `event` or makes a line of it; where lines are missing, one says so before it.
    fn take(&mut self, event: &Event, bound: usize) {
        let now = Timestamp::now();
        // The end of a run is worth a line beyond the bound: without it the next run believes in a crash.
        if self.filling.len() + self.in_flight >= bound && !matches!(event, Event::Stop { .. }) {
            self.missing.get_or_insert(Missing { lines: 0, since: now }).lines += 1;
            return;
        }
        self.own_up(now);
        self.append(now, event.clone());
    }

    /// Says how many lines are missing, if any are.
    fn own_up(&mut self, now: Timestamp) {
        if let Some(Missing { lines, since }) = self.missing.take() {
            let message = format!(
                "{lines} lines are missing in this place, the first of {since:.6}: the disk of the audit trail did not keep up"
            );
            self.append(now, Event::Warn { message });
        }
    }

    fn append(&mut self, ts: Timestamp, event: Event) {
        self.seq += 1;
        line::append(&Entry { ts, seq: self.seq, event }, &mut self.filling);
    }
}

impl Trail {
    /// A trail that leads nowhere, for tests and for what has no collector.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// Goes on with the trail in `folder`, or begins one. With it comes what it tells of the collector before, if that one
    /// ended without a word.
    ///
    /// # Errors
    /// When the file cannot be read or opened, or the system has no thread left.
    pub fn open(folder: &Path) -> Result<(Self, Option<Unended>)> {
        Self::open_within(&folder.join(FILE), FILE_BOUND, BUFFER)
    }

    fn open_within(path: &Path, file_bound: u64, bound: usize) -> Result<(Self, Option<Unended>)> {
        let failed = |e: std::io::Error| {
            Error::failed(format!("cannot open the audit trail {}: {}", path.display(), io_reason(&e)))
                .hint("it has to be a regular file that you may read and write; put away what is in its place")
        };
        let store = Store::open(path, file_bound).map_err(failed)?;
        let last = before::last(path).map_err(failed)?;
        let unended = match &last {
            Some(last) if !last.is_stop => before::unended(path).map_err(failed)?,
            _ => None,
        };
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            bound,
            inner: Mutex::new(Inner { seq: last.map_or(0, |last| last.seq), ..Inner::default() }),
            work: Condvar::new(),
            ended: Notify::new(),
        });
        let writer = Writer { shared: Arc::clone(&shared), store, written: None, unsynced: None };
        std::thread::Builder::new().name("audit".into()).spawn(|| writer.run()).map_err(failed)?;
        Ok((Self(Some(shared)), unended))
    }

    /// Writes `event` down. Never waits. [`Event::Stop`] is the last one: what is told after it is not written.
    pub fn tell(&self, event: &Event) {
        self.tell_all(std::slice::from_ref(event));
    }

    /// Writes `events` down in one go: a crash leaves all of them or none.
    pub fn tell_all(&self, events: &[Event]) {
        let Some(shared) = &self.0 else { return };
        let mut inner = shared.lock();
        if inner.closed {
            return;
        }
        for event in events {
            inner.take(event, shared.bound);
            if matches!(event, Event::Stop { .. }) {
                inner.closed = true;
                break;
            }
        }
        if std::mem::take(&mut inner.sleeps) {
            shared.work.notify_one();
        }
    }

    /// The sentence for `health` while lines do not get to the disk.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        let shared = self.0.as_ref()?;
        let inner = shared.lock();
        let why = match (&inner.trouble, inner.busy.map(|busy| busy.elapsed()).filter(|busy| *busy >= STUCK)) {
            (Some((why, since)), _) => format!("{why} (since {since})"),
            (None, Some(busy)) => format!("the disk has not answered for {} s", busy.as_secs()),
            (None, None) => inner.missing.as_ref().map(|_| "the disk does not keep up".to_owned())?,
        };
        let missing = inner.missing.as_ref().map_or(String::new(), |m| format!("; {} lines are missing", m.lines));
        Some(format!("the audit trail {} cannot be written: {why}{missing}", shared.path.display()))
    }

    /// Writes what is left, forces it to the disk and ends. A disk that does not answer is not waited for; what it does not
    /// take is told in the collector's log.
    pub async fn finish(&self) {
        let Some(shared) = &self.0 else { return };
        shared.lock().closed = true;
        shared.work.notify_one();
        if tokio::time::timeout(FAREWELL, shared.ended.notified()).await.is_err() {
            tracing::warn!("the disk of the audit trail does not answer; its last lines may be missing");
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is to do.
enum Work {
    Lines,
    Sync,
    End,
}

/// The thread.
struct Writer {
    shared: Arc<Shared>,
    store: Store,
    /// When lines were written last.
    written: Option<Instant>,
    /// When the first line was written that no fsync covers.
    unsynced: Option<Instant>,
}

impl Writer {
    fn run(mut self) {
        let mut batch = Vec::new();
        loop {
            match self.next(&mut batch) {
                Work::Lines => {
                    if !self.write(&batch) {
                        break;
                    }
                    batch.clear();
                    batch.shrink_to(KEPT);
                }
                Work::Sync => self.sync(),
                Work::End => {
                    self.sync();
                    break;
                }
            }
        }
        self.shared.ended.notify_one();
    }

    /// Waits for work; lines are swapped into `batch`, which is empty.
    fn next(&self, batch: &mut Vec<u8>) -> Work {
        let mut inner = self.shared.lock();
        inner.in_flight = 0;
        inner.busy = None;
        loop {
            let now = Instant::now();
            let sync = self.unsynced.map(|since| (since + SYNC).saturating_duration_since(now));
            if sync.is_some_and(|wait| wait.is_zero()) && !inner.closed {
                inner.busy = Some(now);
                return Work::Sync;
            }
            if inner.filling.is_empty() {
                inner.own_up(Timestamp::now());
            }
            let gather = self.written.map_or(Duration::ZERO, |at| (at + GATHER).saturating_duration_since(now));
            let wait = if inner.filling.is_empty() {
                if inner.closed {
                    return Work::End;
                }
                inner.sleeps = true;
                sync
            } else if inner.closed || gather.is_zero() || inner.filling.len() >= KEPT {
                std::mem::swap(batch, &mut inner.filling);
                inner.in_flight = batch.len();
                inner.busy = Some(now);
                return Work::Lines;
            } else {
                Some(gather)
            };
            let work = &self.shared.work;
            inner = match wait {
                Some(wait) => work.wait_timeout(inner, wait).unwrap_or_else(PoisonError::into_inner).0,
                None => work.wait(inner).unwrap_or_else(PoisonError::into_inner),
            };
            inner.sleeps = false;
        }
    }

    /// Writes all of `batch`, however long it takes; false when the end came before.
    fn write(&mut self, batch: &[u8]) -> bool {
        let mut at = 0;
        while at < batch.len() {
            // Between two batches no line is torn: that is where a new file may begin.
            let ready = if at == 0 { self.store.prepare(batch.len()) } else { Ok(()) };
            match ready.and_then(|()| self.store.write(&batch[at..])) {
                Ok(n) => at += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => {
                    if !self.refused(&e) {
                        let lines = memchr::memchr_iter(b'\n', &batch[at..]).count();
                        tracing::warn!("the last {lines} lines of the audit trail are missing: {}", io_reason(&e));
                        return false;
                    }
                }
            }
        }
        self.written = Some(Instant::now());
        self.unsynced = self.unsynced.or(self.written);
        if self.shared.lock().trouble.take().is_some() {
            tracing::info!("the audit trail goes on");
        }
        true
    }

    /// Notes the trouble and waits a little; false when there is no time for that any more.
    fn refused(&self, error: &std::io::Error) -> bool {
        let mut inner = self.shared.lock();
        inner.busy = None;
        if inner.trouble.is_none() {
            tracing::warn!("cannot write the audit trail: {}", io_reason(error));
            inner.trouble = Some((io_reason(error), Timestamp::now()));
        }
        if inner.closed {
            return false;
        }
        let inner = self.shared.work.wait_timeout(inner, RETRY).unwrap_or_else(PoisonError::into_inner).0;
        drop(inner);
        true
    }

    fn sync(&mut self) {
        if self.unsynced.take().is_some()
            && let Err(e) = self.store.sync()
        {
            tracing::warn!("cannot force the audit trail to the disk: {}", io_reason(&e));
        }
    }
}

#[cfg(test)]
#[path = "trail_tests.rs"]
mod tests;
