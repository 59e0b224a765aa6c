//! Who looks on during a run: at the end of the file, at the status, at the audit trail.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::checker::{self, Kind, Sample, Trouble};
use super::line::{self, Found};
use super::senders::{Book, Micros, now};

/// What was seen.
#[derive(Debug, Default)]
pub struct Seen {
    /// When a line was seen at the end of the file that is younger than all before: when, and when it was sent.
    pub arrivals: Vec<(Micros, Micros)>,
    /// When the collector was in which state; `writing` where it is up and has stored something since the last look.
    pub states: Vec<(Micros, String)>,
    pub samples: u64,
    pub most_pending: u64,
    pub most_resident: u64,
    /// From the question to the moment at which nobody waits for the answer any more.
    pub silences: Vec<(Micros, Micros)>,
    pub last: Option<Value>,
    pub troubles: Vec<Trouble>,
    pub audit: Vec<Value>,
}

/// The eyes. `Drop` closes them.
pub struct Watch {
    pub seen: Arc<Mutex<Seen>>,
    /// Where the file was moved to by somebody else, the latest last.
    pub moved: Arc<Mutex<Vec<PathBuf>>>,
    over: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// What is to be watched.
#[derive(Clone)]
pub struct Subject {
    pub run: u32,
    pub book: Book,
    pub file: PathBuf,
    pub socket: PathBuf,
    pub audit: PathBuf,
}

impl Watch {
    pub fn start(subject: &Subject) -> Self {
        let (seen, moved, over) =
            (Arc::<Mutex<Seen>>::default(), Arc::<Mutex<Vec<PathBuf>>>::default(), Arc::default());
        let mut watch = Self { seen, moved, over, threads: Vec::new() };
        let (seen, moved, over, it) =
            (Arc::clone(&watch.seen), Arc::clone(&watch.moved), Arc::clone(&watch.over), subject.clone());
        watch.threads.push(std::thread::spawn(move || {
            while !over.load(Ordering::Relaxed) {
                let last = moved.lock().unwrap().last().cloned();
                let files = [Some(it.file.clone()), last];
                let sent = files.iter().flatten().filter_map(|file| youngest(&it, file)).max();
                let mut seen = seen.lock().unwrap();
                if let Some(sent) = sent.filter(|sent| seen.arrivals.last().is_none_or(|(_, last)| sent > last)) {
                    seen.arrivals.push((now(), sent));
                }
                drop(seen);
                std::thread::sleep(Duration::from_millis(15));
            }
        }));
        let (seen, over, it) = (Arc::clone(&watch.seen), Arc::clone(&watch.over), subject.clone());
        watch.threads.push(std::thread::spawn(move || {
            let (mut before, mut audit): (Option<Sample>, _) = (None, Follow::new(it.audit));
            loop {
                let last_round = over.load(Ordering::Relaxed);
                before = sample(&it.socket, &seen, before);
                audit.read(&mut seen.lock().unwrap());
                if last_round {
                    return;
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        }));
        watch
    }

    /// Looks a last time.
    pub fn stop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a watcher");
        }
    }

    /// Whether a line has come in that was sent after `moment`.
    pub fn arrived_since(&self, moment: Micros) -> Option<Micros> {
        let seen = self.seen.lock().unwrap();
        let at = seen.arrivals.partition_point(|(_, sent)| *sent < moment);
        seen.arrivals.get(at).map(|(seen, _)| *seen)
    }

    pub fn pending(&self) -> u64 {
        let seen = self.seen.lock().unwrap();
        seen.last.as_ref().map_or(0, |c| c["streams"][0]["ledger"]["pending"].as_u64().unwrap_or(0))
    }

    pub fn state(&self) -> String {
        let seen = self.seen.lock().unwrap();
        seen.last.as_ref().and_then(|c| c["state"].as_str()).unwrap_or("").to_owned()
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// When the youngest of the last lines of the file was sent.
fn youngest(it: &Subject, file: &Path) -> Option<Micros> {
    const TAIL: u64 = 32 * 1024;
    let mut file = File::open(file).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL))).ok()?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail).ok()?;
    let lines = tail.split(|byte| *byte == b'\n');
    let sent = lines.filter_map(|line| match line::read(it.run, line) {
        Found::Whole(id, n) => it.book.handed(id, n),
        _ => None,
    });
    sent.max()
}

/// Longer than the second that DESIGN gives it: this machine has other things to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the collector. `Err(true)`: somebody is there and says nothing.
fn ask(socket: &Path) -> Result<Value, bool> {
    let mut stream = UnixStream::connect(socket).map_err(|_| false)?;
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let silent = |e: std::io::Error| matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut);
    stream.write_all(b"{\"request\":\"status\"}\n").map_err(silent)?;
    let mut lines = BufReader::new(stream);
    let mut line = String::new();
    for _ in 0..2 {
        line.clear();
        lines.read_line(&mut line).map_err(silent)?;
    }
    let reply: Value = serde_json::from_str(&line).map_err(|_| false)?;
    Ok(reply["collector"].clone())
}

fn sample(socket: &Path, seen: &Mutex<Seen>, before: Option<Sample>) -> Option<Sample> {
    let at = now();
    let answer = ask(socket);
    let mut seen = seen.lock().unwrap();
    let collector = match answer {
        Ok(collector) if collector.is_object() => collector,
        Err(true) => {
            seen.silences.push((at, now()));
            return before;
        }
        _ => return before,
    };
    let pid = collector["pid"].as_u64().unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let resident =
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
    let sample = Sample { at, resident: resident.map(|kb: u64| kb * 1024), collector };
    seen.troubles.extend(checker::sample(&sample, before.as_ref()));
    seen.samples += 1;
    let pending = sample.collector["streams"][0]["ledger"]["pending"].as_u64().unwrap_or(0);
    seen.most_pending = seen.most_pending.max(pending);
    seen.most_resident = seen.most_resident.max(sample.resident.unwrap_or(0));
    let stored = |collector: &Value| collector["streams"][0]["ledger"]["stored"].as_u64();
    let state = match sample.collector["state"].as_str().unwrap_or("") {
        // A disk that takes bytes is not full, whatever was done to it: archives that are packed make room.
        "up" if before.as_ref().is_some_and(|b| stored(&b.collector) < stored(&sample.collector)) => "writing",
        state => state,
    };
    seen.states.push((at, state.to_owned()));
    seen.last = Some(sample.collector.clone());
    Some(sample)
}

/// Reads the trail as it grows: it is bounded, and what was put away may be gone at the end of a long run.
struct Follow {
    path: PathBuf,
    file: Option<(u64, BufReader<File>)>,
    line: Vec<u8>,
}

impl Follow {
    fn new(path: PathBuf) -> Self {
        Self { path, file: None, line: Vec::new() }
    }

    fn read(&mut self, seen: &mut Seen) {
        self.rest(seen);
        let inode = std::fs::metadata(&self.path).ok().map(|m| m.ino());
        if inode.is_some() && inode != self.file.as_ref().map(|(inode, _)| *inode) {
            // The last words of the old one.
            self.rest(seen);
            self.file = File::open(&self.path).ok().and_then(|f| Some((f.metadata().ok()?.ino(), BufReader::new(f))));
            self.rest(seen);
        }
    }

    fn rest(&mut self, seen: &mut Seen) {
        let Some((_, file)) = &mut self.file else { return };
        while file.read_until(b'\n', &mut self.line).is_ok_and(|n| n > 0) {
            if self.line.last() != Some(&b'\n') {
                return;
            }
            match serde_json::from_slice(&self.line) {
                Ok(line) => seen.audit.push(line),
                Err(e) => {
                    let says = format!("no JSON: {e}: {}", String::from_utf8_lossy(&self.line).escape_debug());
                    seen.troubles.push(Trouble::new(Kind::Audit, says));
                }
            }
            self.line.clear();
        }
    }
}
