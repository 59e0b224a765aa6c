//! A trail that several processes append to: of `reclog web`, of which there may be many. Rare lines, each of them under a lock.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};

use super::store::{FILE_BOUND, Store};
use super::{Entry, Event, before, line};
use crate::error::{Error, Result, io_reason};

/// Its newest file, in the folder of the state.
pub const WEB_FILE: &str = "web-audit.jsonl";
/// Events that may wait for the disk. Beyond them they are counted instead of kept.
const WAITING: usize = 1024;

/// The entrance. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SharedTrail(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    events: SyncSender<Option<(Timestamp, Event)>>,
    /// Events that found no room.
    missing: Arc<Mutex<u64>>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

impl SharedTrail {
    /// Goes on with the trail at `path`, or begins one; its folder is there.
    ///
    /// # Errors
    /// When the file cannot be opened, or the system has no thread left.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |e: io::Error| {
            Error::failed(format!("cannot open the audit trail {}: {}", path.display(), io_reason(&e)))
                .hint("it has to be a regular file that you may read and write; put away what is in its place")
        };
        append(path, Vec::new()).map_err(failed)?;
        let (events, waiting) = sync_channel(WAITING);
        let missing = Arc::<Mutex<u64>>::default();
        let (path, lost) = (path.to_owned(), Arc::clone(&missing));
        let thread = std::thread::Builder::new().name("web-audit".into());
        let writer = thread.spawn(move || run(&path, &waiting, &lost)).map_err(failed)?;
        Ok(Self(Arc::new(Shared { events, missing, writer: Mutex::new(Some(writer)) })))
    }

    /// Writes `event` down. Never waits.
    pub fn tell(&self, event: Event) {
        if let Err(TrySendError::Full(_)) = self.0.events.try_send(Some((Timestamp::now(), event))) {
            *self.0.missing.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        }
    }

    /// Writes `event` and all before it, and ends. Waits for the disk.
    pub fn finish(&self, event: Event) {
        let _ = self.0.events.send(Some((Timestamp::now(), event)));
        let _ = self.0.events.send(None);
        let writer = self.0.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let _ = writer.map(JoinHandle::join);
    }
}

fn run(path: &Path, waiting: &Receiver<Option<(Timestamp, Event)>>, missing: &Mutex<u64>) {
    let mut ended = false;
    while !ended {
        let Ok(first) = waiting.recv() else { return };
        let mut batch = Vec::new();
        for event in [first].into_iter().chain(waiting.try_iter()).take(WAITING) {
            match event {
                Some(event) => batch.push(event),
                None => ended = true,
            }
        }
        // Whoever tells never waits for the disk, so that the count is not held while it is written.
        let count = || missing.lock().unwrap_or_else(PoisonError::into_inner);
        let (lost, lines) = (std::mem::take(&mut *count()), batch.len() as u64);
        if lost > 0 {
            let message = format!("{lost} lines are missing before this one: the disk did not keep up");
            batch.insert(0, (Timestamp::now(), Event::Warn { message }));
        }
        if append(path, batch).is_err() {
            *count() += lost + lines;
        }
    }
}

/// Appends `events` under a lock of the folder, which all who write here take.
fn append(path: &Path, events: Vec<(Timestamp, Event)>) -> io::Result<()> {
    let folder = File::open(path.parent().unwrap_or(Path::new(".")))?;
    flock(&folder, FlockOperation::LockExclusive)?;
    let mut store = Store::open(path, FILE_BOUND)?;
    let last = before::last(path)?.map_or(0, |last| last.seq);
    let mut text = Vec::new();
    for (seq, (ts, event)) in (last + 1..).zip(events) {
        line::append(&Entry { ts, seq, event }, &mut text);
    }
    store.prepare(text.len())?;
    let mut rest = &text[..];
    while !rest.is_empty() {
        let n = store.write(rest)?;
        rest = &rest[n..];
    }
    store.sync()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::read::{Brief, Reader, lines};

    fn seqs(path: &Path) -> Vec<u64> {
        let mut reader = Reader::open(path).unwrap();
        let mut all = Vec::new();
        loop {
            let some = reader.poll().unwrap();
            if some.is_empty() {
                return all;
            }
            all.extend(lines(&some).map(|line| Brief::of(line).unwrap().seq));
        }
    }

    #[test]
    fn several_write_into_one_trail_and_every_line_is_there_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEB_FILE);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let trail = SharedTrail::open(&path).unwrap();
                    for _ in 0..50 {
                        trail.tell(Event::Logout { user: "ann".into(), from: None });
                    }
                    trail.finish(Event::WebStop { pid: 1 });
                });
            }
        });
        assert_eq!(seqs(&path), (1..=4 * 51).collect::<Vec<_>>());
    }

    #[test]
    fn what_found_no_room_is_counted_and_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(WEB_FILE);
        let trail = SharedTrail::open(&path).unwrap();
        // Whoever holds the lock holds up the writer.
        let lock = File::open(folder.path()).unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let told = 2 * WAITING as u64 + 10;
        for _ in 0..told {
            trail.tell(Event::Logout { user: "ann".into(), from: None });
        }
        flock(&lock, FlockOperation::Unlock).unwrap();
        trail.finish(Event::WebStop { pid: 1 });
        let text = std::fs::read_to_string(&path).unwrap();
        let logouts = text.matches("\"logout\"").count() as u64;
        let said = text.split_once("\"message\":\"").and_then(|(_, rest)| rest.split(' ').next()?.parse::<u64>().ok());
        assert_eq!(logouts + said.unwrap_or_default(), told, "{}", &text[..text.len().min(500)]);
        assert!(logouts < told && text.trim_end().ends_with("\"pid\":1}"));
    }
}
