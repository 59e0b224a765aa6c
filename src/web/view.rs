//! Lines as they come, of several streams: the last ones first, then all that follow, for as long as somebody reads.
//!
//! Whoever reads slowly keeps nobody waiting and little in memory: the lines lie on the disk, and what is too far behind is skipped
//! and told. What has just come is read once for all, by the [`Hub`]; who is not there yet, or any more, reads alone.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Notify;

use super::sources::Source;
use crate::error::io_reason;
use crate::history::{Bounds, Pattern, Seen, Tailer};

mod batch;
mod hub;
mod modest;
mod ring;

pub use batch::{Batch, Want};
pub use hub::{Hub, What};
pub use modest::step_back;

use hub::{Seat, skip};
use ring::{Cursor, Taken};

/// How often it is looked for lines while somebody waits for them: no eye sees the difference.
pub const PACE: Duration = Duration::from_millis(20);
/// How often it is seen how far behind a reader is.
const LOOK: Duration = Duration::from_secs(1);
/// Bytes of first lines of one stream.
const FIRST: usize = 4 * 1024 * 1024;
/// Bytes that one reader takes at once.
const TAKE: usize = 1024 * 1024;

/// What is told.
#[derive(Debug)]
pub enum Told {
    /// Lines of one stream.
    Lines {
        /// Its name.
        key: Arc<str>,
        /// Lines, for others perhaps, too.
        what: Arc<What>,
        /// Those that begin before are known already.
        after: u64,
        /// They have been looked at for the pattern.
        sifted: bool,
    },
    /// Something else: its name and what it says.
    Other(&'static str, Value),
    /// Lines of the stream were left out: the event's value, and where it goes on behind them.
    Skipped {
        /// Of the stream.
        key: Arc<str>,
        /// An offset.
        to: u64,
        /// The event `skipped`.
        about: Value,
    },
}

/// One reader.
pub struct View {
    sources: Vec<Followed>,
    pattern: Option<Arc<Pattern>>,
    hub: Hub,
    /// Rung when there is something.
    bell: Arc<Notify>,
    /// Nobody reads any more.
    gone: Arc<AtomicBool>,
}

struct Followed {
    source: Arc<Source>,
    key: Arc<str>,
    seat: Seat,
    way: Way,
}

/// Where a reader has its lines from.
enum Way {
    /// From what is read for all.
    Shared(Cursor),
    /// Alone, from here on.
    From(u64),
    /// Alone.
    Alone(Box<Alone>),
}

struct Alone {
    tailer: Tailer,
    /// When it was seen last how far the end is.
    looked: Instant,
    /// Its offsets are its own, see [`is_odd`].
    odd: bool,
}

/// Where each stream goes on, by name: what stands behind `id:` and in `Last-Event-ID`.
pub type Places = BTreeMap<String, u64>;

impl View {
    /// The last `lines` of every source, or, of those in `places`, all after that.
    ///
    /// # Errors
    /// Those of reading.
    pub fn open(
        hub: Hub,
        sources: Vec<Source>,
        pattern: Option<Arc<Pattern>>,
        (lines, places): (usize, &Places),
        gone: Arc<AtomicBool>,
    ) -> io::Result<(Self, Vec<Told>)> {
        let mut view = Self { sources: Vec::new(), pattern, hub, bell: Arc::default(), gone };
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
        let source = Arc::new(source);
        let key: Arc<str> = source.key().into();
        // Before it is looked where the end is: what comes after that is read for all.
        let seat = self.hub.sit(&source, &self.bell);
        let mut log = source.log();
        let extent = log.extent()?;
        let mut told = Vec::new();
        // A place beyond the end is of a history that was taken away.
        let place = places.get(&*key).copied();
        let resumed = place.filter(|place| *place <= extent.end);
        if place.is_some() && resumed.is_none() {
            let mut notice = named(&source);
            notice.insert("what".into(), "anew".into());
            notice.insert("offset".into(), extent.first.into());
            told.push(Told::Other("notice", Value::Object(notice)));
        }
        if resumed.is_none() && lines > 0 {
            let bounds = Bounds { lines, bytes: FIRST, filter: self.pattern.as_deref(), cancel: &self.gone };
            let page = log.before(extent.end, &bounds)?;
            if let Some(batch) = Batch::page(&source, &page.lines, extent.end) {
                let what = Arc::new(What::Lines(batch));
                told.push(Told::Lines { key: Arc::clone(&key), what, after: 0, sifted: true });
            }
        }
        let mut entry = named(&source);
        entry.insert("first".into(), extent.first.into());
        entry.insert("end".into(), extent.end.into());
        let way = Way::From(resumed.unwrap_or(extent.end));
        self.sources.push(Followed { source, key, seat, way });
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
        self.sources.retain(|followed| keep(&followed.key));
    }

    /// Whether it shows this one.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.sources.iter().any(|followed| &*followed.key == key)
    }

    /// How many it shows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sources.len()
    }

    /// Where it goes on.
    #[must_use]
    pub fn places(&self) -> Places {
        self.sources.iter().map(|followed| (followed.key.to_string(), followed.way.place())).collect()
    }

    /// What rings when something has come that was read for all.
    #[must_use]
    pub fn bell(&self) -> Arc<Notify> {
        Arc::clone(&self.bell)
    }

    /// Whether it reads by itself: then it has to be asked again and again, and waits for the disk.
    #[must_use]
    pub fn is_alone(&self) -> bool {
        self.sources.iter().any(|followed| !matches!(followed.way, Way::Shared(_)))
    }

    /// What has come since; nothing is told twice. False: nothing waits.
    ///
    /// # Errors
    /// Those of reading; it may be asked again.
    pub fn poll(&mut self) -> io::Result<(Vec<Told>, bool)> {
        let (mut told, mut more) = (Vec::new(), false);
        let gone = Arc::clone(&self.gone);
        for followed in &mut self.sources {
            more |= followed.poll(&gone, &mut told)?;
        }
        Ok((told, more))
    }
}

impl Way {
    fn place(&self) -> u64 {
        match self {
            Self::Shared(cursor) => cursor.place,
            Self::From(place) => *place,
            Self::Alone(alone) => alone.tailer.offset(),
        }
    }
}

impl Followed {
    fn poll(&mut self, gone: &AtomicBool, told: &mut Vec<Told>) -> io::Result<bool> {
        match &mut self.way {
            Way::Shared(cursor) => match self.seat.take(cursor, TAKE) {
                Taken::Some(taken, more) => {
                    told.extend(taken.into_iter().map(|(what, after)| self.tell(what, after)));
                    Ok(more)
                }
                Taken::Skipped { from, to, lines } => {
                    told.push(self.tell(Arc::new(What::Skipped { from, to, lines }), from));
                    Ok(true)
                }
                Taken::Gone => {
                    self.way = Way::From(cursor.place);
                    Ok(true)
                }
            },
            Way::From(place) => {
                let place = *place;
                self.way = if let Some(cursor) = self.seat.join(place) {
                    Way::Shared(cursor)
                } else {
                    let tailer = self.source.log().follow(place)?.asked_every(PACE);
                    Way::Alone(Box::new(Alone { tailer, looked: Instant::now(), odd: false }))
                };
                Ok(true)
            }
            Way::Alone(alone) => {
                let mut new = Vec::new();
                let more = alone.poll(&self.source, gone, &mut new)?;
                let cursor =
                    if alone.odd || !alone.tailer.is_at_rest() { None } else { self.seat.join(alone.tailer.offset()) };
                if let Some(cursor) = cursor {
                    self.way = Way::Shared(cursor);
                }
                told.extend(new.into_iter().map(|what| self.tell(Arc::new(what), 0)));
                Ok(more || cursor.is_some())
            }
        }
    }

    fn tell(&self, what: Arc<What>, after: u64) -> Told {
        let mut about = named(&self.source);
        match &*what {
            What::Lines(_) => Told::Lines { key: Arc::clone(&self.key), what, after, sifted: false },
            What::Notice(name, offset) => {
                about.insert("what".into(), (*name).into());
                about.insert("offset".into(), (*offset).into());
                Told::Other("notice", Value::Object(about))
            }
            What::Skipped { from, to, lines } => {
                about.insert("from".into(), (*from).into());
                about.insert("to".into(), (*to).into());
                about.insert("lines".into(), (*lines).into());
                Told::Skipped { key: Arc::clone(&self.key), to: *to, about: Value::Object(about) }
            }
            What::Trouble(why) => Told::Other("trouble", json!({ "why": format!("cannot read: {why}") })),
        }
    }
}

impl Alone {
    fn poll(&mut self, source: &Arc<Source>, gone: &AtomicBool, told: &mut Vec<What>) -> io::Result<bool> {
        if self.looked.elapsed() >= LOOK {
            self.looked = Instant::now();
            let skipped = skip(source, &mut self.tailer, &|| gone.load(Ordering::Relaxed))?;
            told.extend(skipped.map(|(from, to, lines)| What::Skipped { from, to, lines }));
        }
        let arrived = Timestamp::now().to_string();
        // It goes on behind what cannot be read.
        let seen = match self.tailer.poll() {
            Ok(seen) => seen,
            Err(e) => {
                told.push(What::Trouble(io_reason(&e)));
                return Ok(false);
            }
        };
        self.odd |= is_odd(&seen);
        let end = self.tailer.offset();
        let before = told.len();
        told.extend(seen_batches(source, seen, end, &arrived));
        Ok(told[before..].iter().any(|what| matches!(what, What::Lines(_))))
    }
}

/// Whether something was taken from a file: where the catalog does not say how much, whoever has not seen it counts otherwise.
fn is_odd(seen: &[Seen]) -> bool {
    seen.iter().any(|seen| matches!(seen, Seen::Truncated { .. } | Seen::Replaced { .. } | Seen::Deleted { .. }))
}

/// What a tailer has seen, which stands at `end` now.
fn seen_batches(source: &Arc<Source>, seen: Vec<Seen>, end: u64, arrived: &str) -> Vec<What> {
    // An end of line that is not in the file counts nothing: what comes next tells where that is.
    let next: Vec<_> = seen.iter().skip(1).map(offset_of).chain([end]).collect();
    let mut made = Vec::new();
    for (seen, end) in seen.into_iter().zip(next) {
        made.push(match seen {
            Seen::Lines { offset, bytes } => {
                made.extend(Batch::of(source, (offset, end), &bytes, arrived).into_iter().map(What::Lines));
                continue;
            }
            Seen::Long { offset, bytes, length } => {
                What::Lines(Batch::long(source, (offset, end), &bytes, length, arrived))
            }
            Seen::Rotated { offset } => What::Notice("rotated", offset),
            Seen::Truncated { offset } => What::Notice("truncated", offset),
            Seen::Replaced { offset } => What::Notice("replaced", offset),
            Seen::Deleted { offset } => What::Notice("deleted", offset),
        });
    }
    made
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

#[cfg(test)]
#[path = "view/view_tests.rs"]
mod tests;
