//! Each stream that somebody looks at is read once, however many look.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::Notify;

use super::batch::Batch;
use super::ring::{BEHIND, Cursor, Ring, Taken};
use super::{LOOK, PACE, is_odd, seen_batches};
use crate::error::io_reason;
use crate::history::Tailer;
use crate::web::sources::Source;

/// Bytes that are kept of one stream: whoever was held up for a moment finds all of it.
const KEPT: usize = 8 * 1024 * 1024;
/// Bytes that are kept of all streams together, and the least of one.
const ALL: usize = 64 * 1024 * 1024;
const LEAST: usize = 1024 * 1024;

/// What was seen of a stream.
#[derive(Debug)]
pub enum What {
    /// Lines.
    Lines(Batch),
    /// What has become of its file, and where.
    Notice(&'static str, u64),
    /// So many lines are left out.
    Skipped {
        /// The first byte.
        from: u64,
        /// Behind the last one.
        to: u64,
        /// Their lines.
        lines: u64,
    },
    /// It cannot be read: a sentence.
    Trouble(String),
}

/// All streams that somebody looks at. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Hub(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    streams: Mutex<HashMap<String, Arc<Stream>>>,
    /// Streams that are read, also those to which nobody new comes.
    read: AtomicUsize,
}

#[derive(Debug)]
struct Stream {
    source: Arc<Source>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    ring: Ring<Arc<What>>,
    readers: Vec<Weak<Bell>>,
}

/// Rung when there is something.
#[derive(Debug)]
struct Bell(Arc<Notify>);

/// Somebody's place at a stream; it is read as long as there is one.
#[derive(Debug)]
pub struct Seat {
    stream: Arc<Stream>,
    _bell: Arc<Bell>,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Hub {
    /// Somebody looks at `source`; `bell` is rung whenever something has come. Begins to read if nobody looked before; that is done in
    /// the runtime around it.
    #[must_use]
    pub fn sit(&self, source: &Arc<Source>, bell: &Arc<Notify>) -> Seat {
        let key = source.key();
        let bell = Arc::new(Bell(Arc::clone(bell)));
        let mut streams = lock(&self.0.streams);
        if let Some(stream) = streams.get(&key).filter(|stream| stream.source.is_same(source)) {
            let mut state = lock(&stream.state);
            if state.ring.is_open() || !state.ring.has_begun() {
                state.readers.push(Arc::downgrade(&bell));
                return Seat { stream: Arc::clone(stream), _bell: bell };
            }
        }
        let state = State { ring: Ring::new(), readers: vec![Arc::downgrade(&bell)] };
        let stream = Arc::new(Stream { source: Arc::clone(source), state: Mutex::new(state) });
        streams.insert(key, Arc::clone(&stream));
        drop(streams);
        self.0.read.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(self.clone().read(Eye {
            stream: Arc::clone(&stream),
            tailer: None,
            looked: Instant::now(),
            why: None,
        }));
        Seat { stream, _bell: bell }
    }

    /// Reads until nobody looks.
    async fn read(self, mut eye: Eye) {
        let stream = Arc::clone(&eye.stream);
        while !self.is_over(&stream) {
            let begun = Instant::now();
            let most = (ALL / self.0.read.load(Ordering::Relaxed).max(1)).clamp(LEAST, KEPT);
            let looked = tokio::task::spawn_blocking(move || {
                eye.look(most);
                eye
            });
            let Ok(back) = looked.await else {
                // Whoever looks reads alone.
                let mut state = lock(&stream.state);
                state.ring.close();
                state.ring();
                break;
            };
            eye = back;
            // Never more than half of a processor.
            tokio::time::sleep(PACE.max(begun.elapsed())).await;
        }
        self.0.read.fetch_sub(1, Ordering::Relaxed);
    }

    /// Whether nobody looks any more; then it is forgotten.
    fn is_over(&self, stream: &Arc<Stream>) -> bool {
        // In this order, so that nobody comes in meanwhile.
        let mut streams = lock(&self.0.streams);
        let mut state = lock(&stream.state);
        state.readers.retain(|bell| bell.strong_count() > 0);
        if !state.readers.is_empty() {
            return false;
        }
        let key = stream.source.key();
        if streams.get(&key).is_some_and(|known| Arc::ptr_eq(known, stream)) {
            streams.remove(&key);
        }
        true
    }

    /// How many streams are read.
    #[cfg(test)]
    pub fn reads(&self) -> usize {
        self.0.read.load(Ordering::Relaxed)
    }
}

impl State {
    fn ring(&self) {
        self.readers.iter().filter_map(Weak::upgrade).for_each(|bell| bell.0.notify_one());
    }
}

impl Seat {
    /// See [`Ring::join`].
    #[must_use]
    pub fn join(&self, at: u64) -> Option<Cursor> {
        lock(&self.stream.state).ring.join(at)
    }

    /// See [`Ring::take`].
    #[must_use]
    pub fn take(&self, cursor: &mut Cursor, most: usize) -> Taken<Arc<What>> {
        lock(&self.stream.state).ring.take(cursor, most)
    }
}

/// Reads one stream for all.
struct Eye {
    stream: Arc<Stream>,
    tailer: Option<Tailer>,
    /// When it was seen last how far the end is.
    looked: Instant,
    /// What was wrong the last time.
    why: Option<String>,
}

impl Eye {
    fn look(&mut self, most: usize) {
        let Err(e) = self.read(most) else {
            self.why = None;
            return;
        };
        // What does not change is told once.
        let why = io_reason(&e);
        if self.why.as_ref() == Some(&why) {
            return;
        }
        self.why = Some(why.clone());
        let mut state = lock(&self.stream.state);
        let end = self.tailer.as_ref().map_or(0, Tailer::offset);
        state.ring.push(end, 0, why.len(), Arc::new(What::Trouble(why)), most);
        state.ring();
    }

    /// What has come since.
    fn read(&mut self, most: usize) -> io::Result<()> {
        let stream = Arc::clone(&self.stream);
        let source = &stream.source;
        let Some(tailer) = &mut self.tailer else {
            let mut log = source.log();
            let end = log.extent()?.end;
            let tailer = self.tailer.insert(log.follow(end)?.asked_every(PACE));
            let mut state = lock(&self.stream.state);
            state.ring.begin(tailer.offset());
            state.ring();
            return Ok(());
        };
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            if let Some((from, to, lines)) = skip(source, tailer, &|| false)? {
                let mut state = lock(&self.stream.state);
                state.ring.skip(to, lines, Arc::new(What::Skipped { from, to, lines }), most);
                state.ring();
            }
        }
        let arrived = Timestamp::now().to_string();
        let seen = tailer.poll()?;
        if seen.is_empty() {
            return Ok(());
        }
        let end = tailer.offset();
        let odd = is_odd(&seen);
        // Made before anybody has to wait.
        let made = seen_batches(source, seen, end, &arrived);
        let mut state = lock(&self.stream.state);
        for what in made {
            let (to, lines, bytes) = match &what {
                What::Lines(batch) => (batch.end(), batch.count() as u64, batch.cost()),
                What::Notice(_, at) => (*at, 0, size_of::<What>()),
                What::Skipped { to, .. } => (*to, 0, size_of::<What>()),
                What::Trouble(why) => (end, 0, why.len()),
            };
            state.ring.push(to, lines, bytes, Arc::new(what), most);
        }
        if odd {
            state.ring.shut();
        }
        state.ring();
        Ok(())
    }
}

/// Goes on at the end if that is too far away: from where to where, and how many lines are left out.
///
/// # Errors
/// Those of reading.
pub fn skip(source: &Source, tailer: &mut Tailer, gone: &dyn Fn() -> bool) -> io::Result<Option<(u64, u64, u64)>> {
    let (from, mut log) = (tailer.offset(), source.log());
    let to = log.extent()?.end;
    if to.saturating_sub(from) < BEHIND {
        return Ok(None);
    }
    let mut lines = 0;
    let mut stored = log.bytes(from, to)?;
    while let Some((_, chunk)) = stored.block()? {
        lines += memchr::memchr_iter(b'\n', chunk.bytes()).count() as u64;
        if gone() {
            break;
        }
    }
    *tailer = log.follow(to)?.asked_every(PACE);
    Ok(Some((from, to, lines)))
}
