//! Lines as they come, of several streams: the last ones first, then all that follow, for as long as somebody reads.
//!
//! Whoever reads slowly keeps nobody waiting and nothing in memory: the lines lie on the disk, and what is too far behind is skipped and
//! told.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::line::{self, Shape};
use super::sources::Source;
use crate::history::{Bounds, Pattern, Seen, Tailer};

/// How often it is looked for lines while somebody waits for them: no eye sees the difference.
pub const PACE: Duration = Duration::from_millis(20);
/// Bytes by which a reader may be behind before lines are skipped: seconds of a stream that a page can show at all.
const BEHIND: u64 = 8 * 1024 * 1024;
/// How often it is seen how far behind a reader is.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of first lines of one stream.
const FIRST: usize = 4 * 1024 * 1024;
/// Bytes of JSON in one event.
const EVENT: usize = 512 * 1024;

/// What is told.
#[derive(Debug)]
pub enum Told {
    /// Lines of one stream.
    Lines {
        /// Its name.
        key: String,
        /// In order, each with the place behind it.
        lines: Vec<(Map<String, Value>, u64)>,
    },
    /// Something else: its name and what it says.
    Other(&'static str, Value),
}

/// One reader.
pub struct View {
    sources: Vec<Followed>,
    pattern: Option<Arc<Pattern>>,
    cut: bool,
    /// Nobody reads any more.
    gone: Arc<AtomicBool>,
}

struct Followed {
    source: Source,
    tailer: Tailer,
    /// When it was seen last how far the end is.
    looked: Instant,
}

/// Where each stream goes on, by name: what stands behind `id:` and in `Last-Event-ID`.
pub type Places = BTreeMap<String, u64>;

impl View {
    /// The last `lines` of every source, or, of those in `places`, all after that.
    ///
    /// # Errors
    /// Those of reading.
    pub fn open(
        sources: Vec<Source>,
        (pattern, cut): (Option<Arc<Pattern>>, bool),
        (lines, places): (usize, &Places),
        gone: Arc<AtomicBool>,
    ) -> io::Result<(Self, Vec<Told>)> {
        let mut view = Self { sources: Vec::new(), pattern, cut, gone };
        let (mut told, mut ready) = (Vec::new(), Vec::new());
        for source in sources {
            let (first, extent) = view.enter(source, lines, places)?;
            told.extend(first);
            ready.push(extent);
        }
        told.push(Told::Other("ready", json!({ "streams": ready })));
        Ok((view, told))
    }

    fn enter(&mut self, source: Source, lines: usize, places: &Places) -> io::Result<(Vec<Told>, Value)> {
        let mut log = source.log();
        let extent = log.extent()?;
        let mut told = Vec::new();
        // A place beyond the end is of a history that was taken away.
        let resumed = places.get(&source.key()).copied().filter(|place| *place <= extent.end);
        let from = match resumed {
            Some(place) => place,
            None if lines == 0 => extent.end,
            None => {
                let bounds = Bounds { lines, bytes: FIRST, filter: self.pattern.as_deref(), cancel: &self.gone };
                let page = log.before(extent.end, &bounds)?;
                let mut lines: Vec<_> = page
                    .lines
                    .iter()
                    .map(|l| (self.line(&source, l.offset, &l.bytes, l.length, None), l.offset + l.length + 1))
                    .collect();
                if let Some((_, end)) = lines.last_mut() {
                    *end = extent.end;
                }
                told.push(Told::Lines { key: source.key(), lines });
                extent.end
            }
        };
        let mut entry = named(&source);
        entry.insert("first".into(), extent.first.into());
        entry.insert("end".into(), extent.end.into());
        let tailer = log.follow(from)?;
        self.sources.push(Followed { source, tailer, looked: Instant::now() });
        Ok((told, Value::Object(entry)))
    }

    /// Adds what has appeared since, from its last `lines` on.
    ///
    /// # Errors
    /// Those of reading.
    pub fn add(&mut self, source: Source, lines: usize) -> io::Result<Vec<Told>> {
        Ok(self.enter(source, lines, &Places::new())?.0)
    }

    /// Leaves out what `keep` does not know.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.sources.retain(|followed| keep(&followed.source.key()));
    }

    /// Whether it shows this one.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.sources.iter().any(|followed| followed.source.key() == key)
    }

    /// Where it goes on.
    #[must_use]
    pub fn places(&self) -> Places {
        self.sources.iter().map(|followed| (followed.source.key(), followed.tailer.offset())).collect()
    }

    /// What has come since; nothing is told twice. False: nothing waits.
    ///
    /// # Errors
    /// Those of reading; it may be asked again.
    pub fn poll(&mut self) -> io::Result<(Vec<Told>, bool)> {
        let (mut told, mut more) = (Vec::new(), false);
        let arrived = Timestamp::now().to_string();
        for index in 0..self.sources.len() {
            if let Some(skipped) = self.skip(index)? {
                told.push(skipped);
            }
            let seen = self.sources[index].tailer.poll()?;
            let (source, end) = (&self.sources[index].source, self.sources[index].tailer.offset());
            // An end of line that is not in the file counts nothing: what comes next tells where that is.
            let next: Vec<_> = seen.iter().skip(1).map(offset_of).chain([end]).collect();
            for (seen, end) in seen.into_iter().zip(next) {
                let what = match seen {
                    Seen::Lines { offset, bytes } => {
                        more = true;
                        self.lines(source, (offset, end), &bytes, &arrived, &mut told);
                        continue;
                    }
                    Seen::Long { offset, bytes, length } => {
                        more = true;
                        if self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(&bytes)) {
                            let line = self.line(source, offset, &bytes, length, Some(&arrived));
                            told.push(Told::Lines { key: source.key(), lines: vec![(line, end)] });
                        }
                        continue;
                    }
                    Seen::Rotated { offset } => ("rotated", offset),
                    Seen::Truncated { offset } => ("truncated", offset),
                    Seen::Replaced { offset } => ("replaced", offset),
                    Seen::Deleted { offset } => ("deleted", offset),
                };
                let mut notice = named(source);
                notice.insert("what".into(), what.0.into());
                notice.insert("offset".into(), what.1.into());
                told.push(Told::Other("notice", Value::Object(notice)));
            }
        }
        Ok((told, more))
    }

    fn lines(&self, source: &Source, (mut offset, end): (u64, u64), bytes: &[u8], arrived: &str, told: &mut Vec<Told>) {
        let (mut lines, mut held, mut left) = (Vec::new(), 0, bytes.len());
        for whole in bytes.split_inclusive(|b| *b == b'\n') {
            left -= whole.len();
            let text = whole.strip_suffix(b"\n").unwrap_or(whole);
            let behind = if left == 0 { end } else { offset + whole.len() as u64 };
            if self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(text)) {
                lines.push((self.line(source, offset, text, text.len() as u64, Some(arrived)), behind));
                held += text.len().min(line::CUT);
            }
            offset = behind;
            if !lines.is_empty() && (held > EVENT || left == 0) {
                held = 0;
                told.push(Told::Lines { key: source.key(), lines: std::mem::take(&mut lines) });
            }
        }
    }

    fn line(
        &self,
        source: &Source,
        offset: u64,
        bytes: &[u8],
        length: u64,
        arrived: Option<&str>,
    ) -> Map<String, Value> {
        line::line(source, offset, bytes, length, Shape { pattern: self.pattern.as_deref(), cut: self.cut, arrived })
    }

    /// Goes on at the end if that is too far away.
    fn skip(&mut self, index: usize) -> io::Result<Option<Told>> {
        let Followed { source, tailer, looked } = &mut self.sources[index];
        if looked.elapsed() < LOOK {
            return Ok(None);
        }
        *looked = Instant::now();
        let (from, mut log) = (tailer.offset(), source.log());
        let to = log.extent()?.end;
        if to.saturating_sub(from) < BEHIND {
            return Ok(None);
        }
        let mut lines = 0;
        let mut stored = log.bytes(from, to)?;
        while let Some((_, chunk)) = stored.block()? {
            lines += memchr::memchr_iter(b'\n', chunk.bytes()).count() as u64;
            if self.gone.load(Ordering::Relaxed) {
                break;
            }
        }
        *tailer = log.follow(to)?;
        let mut skipped = named(source);
        skipped.insert("from".into(), from.into());
        skipped.insert("to".into(), to.into());
        skipped.insert("lines".into(), lines.into());
        Ok(Some(Told::Other("skipped", Value::Object(skipped))))
    }
}

/// Where what was seen is.
fn offset_of(seen: &Seen) -> u64 {
    match seen {
        Seen::Lines { offset, .. }
        | Seen::Long { offset, .. }
        | Seen::Rotated { offset }
        | Seen::Truncated { offset }
        | Seen::Replaced { offset }
        | Seen::Deleted { offset } => *offset,
    }
}

/// Which stream something is about.
#[must_use]
pub fn named(source: &Source) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("collector".into(), source.collector.as_str().into());
    out.insert("stream".into(), source.stream.as_str().into());
    if let Some(file) = &source.file {
        out.insert("file".into(), file.as_str().into());
    }
    out
}
