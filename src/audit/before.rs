//! How the collector before ended, as the trail tells it.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::read::{Brief, Reader, lines};
use super::store::{self, FILES};

/// Bytes at the end of a file that hold its last line in all but strange cases.
const TAIL: u64 = 64 * 1024;

/// A collector that ended without `stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unended {
    /// Its process; `None` when its `start` is no longer in the trail.
    pub pid: Option<u32>,
    /// Its last line.
    pub last: Timestamp,
    /// Where its records went.
    pub outputs: Vec<PathBuf>,
    /// Senders that were in.
    pub open: u64,
    /// When the one of them that came first was let in.
    pub oldest: Option<Timestamp>,
    /// Since when an output took nothing, if one did.
    pub stalled: Option<Timestamp>,
    /// Of a connection that was lost and whose gap was not told: when that begins, and the senders that were in.
    pub cut: Option<(Timestamp, u64)>,
}

impl Unended {
    /// One of which a line is known, no more.
    fn new(last: Timestamp) -> Self {
        Self { pid: None, last, outputs: Vec::new(), open: 0, oldest: None, stalled: None, cut: None }
    }
}

/// The last line of a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its number.
    pub seq: u64,
    /// Whether a collector said that it ends.
    pub is_stop: bool,
}

/// The last whole line of the trail whose newest file is `path`; `None` when there is none.
///
/// # Errors
/// Those of reading.
pub fn last(path: &Path) -> io::Result<Option<Last>> {
    for place in (0..FILES).map(|n| store::place(path, n)) {
        let file = match File::open(&place) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            result => result?,
        };
        let size = file.metadata()?.len();
        for length in [size.min(TAIL), size] {
            let mut tail = vec![0; usize::try_from(length).unwrap_or_default()];
            file.read_exact_at(&mut tail, size - length)?;
            let last = tail.rsplit(|b| *b == b'\n').find_map(Brief::of);
            if let Some(Brief { seq, event, .. }) = last {
                return Ok(Some(Last { seq, is_stop: event == "stop" }));
            }
        }
    }
    Ok(None)
}

/// What the trail tells of a collector that ended without `stop`. Reads all of it, which is bounded.
///
/// # Errors
/// Those of reading.
pub fn unended(path: &Path) -> io::Result<Option<Unended>> {
    #[derive(Deserialize)]
    struct Line {
        ts: Timestamp,
        event: String,
        stream: Option<String>,
        connection: Option<u64>,
        output: Option<PathBuf>,
        pid: Option<u32>,
        from: Option<Timestamp>,
        senders_cut: Option<u64>,
        #[serde(default)]
        outputs: Vec<PathBuf>,
    }
    let mut reader = Reader::open(path)?;
    let mut found: Option<Unended> = None;
    let (mut open, mut stalled, mut cut) = (HashMap::new(), Vec::new(), None);
    loop {
        let some = reader.poll()?;
        if some.is_empty() {
            break;
        }
        for line in lines(&some).filter_map(|line| serde_json::from_slice::<Line>(line).ok()) {
            found.get_or_insert_with(|| Unended::new(line.ts)).last = line.ts;
            match line.event.as_str() {
                "start" => {
                    let Line { pid, outputs, ts: last, .. } = line;
                    found = Some(Unended { pid, outputs, ..Unended::new(last) });
                    (open, stalled, cut) = (HashMap::new(), Vec::new(), None);
                }
                "stop" => found = None,
                "cut" => cut = Some((line.from.unwrap_or(line.ts), line.senders_cut.unwrap_or_default())),
                "gap" => cut = None,
                "sender_open" => drop(open.insert((line.stream, line.connection), line.ts)),
                "sender_close" => drop(open.remove(&(line.stream, line.connection))),
                "stall" => stalled.push((line.stream, line.output, line.ts)),
                "resume" => stalled.retain(|(stream, output, _)| *stream != line.stream || *output != line.output),
                _ => {}
            }
        }
    }
    Ok(found.map(|found| Unended {
        open: open.len() as u64,
        oldest: open.into_values().min(),
        stalled: stalled.into_iter().map(|(_, _, since)| since).min(),
        cut,
        ..found
    }))
}
