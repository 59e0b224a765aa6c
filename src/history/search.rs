//! Searches a history from a place to its end, with what ripgrep is made of.
//!
//! One thread reads and decompresses, and stays a few blocks ahead of the one that searches. Memory: these blocks, the
//! line that is looked at, and its context.

use std::cell::RefCell;
use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use grep_matcher::{Match, Matcher, NoCaptures, NoError};
use grep_regex::RegexMatcherBuilder;
use grep_searcher::{BinaryDetection, SearcherBuilder};
use regex::bytes::Regex;

use super::feed::{Feed, Lines, Run};
use super::last::LONGEST;
use super::log::Log;
use super::page::{self, Bounds, Bytes as _, Chunk, Line, Part, Unreadable};
use super::pattern::{Pattern, SIZE};
use super::view::View;

/// Between two words of progress.
const TICK: Duration = Duration::from_millis(100);
/// Between two looks whether somebody has cancelled, where there is nothing to search.
const LOOK: Duration = Duration::from_millis(20);
/// Blocks that the reading thread is ahead: 4 MiB at most.
const AHEAD: usize = 16;
/// How often a file that shrinks while it is looked at is looked at anew.
const ATTEMPTS: usize = 5;
/// Lines of context on each side, at most; more are not shown.
pub const CONTEXT: usize = 100;

/// What a search tells, in the order of the lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// A line that matches. One longer than a line may be has only its beginning in `bytes`.
    Hit(Line),
    /// A line near one that matches, and that does not itself. Each comes once.
    Context(Line),
    /// How far it got.
    Progress {
        /// Bytes that were searched.
        bytes: u64,
        /// Bytes to search; 0 until that is known.
        of: u64,
        /// Lines that matched.
        hits: u64,
    },
}

/// What came of a search.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Lines that matched.
    pub hits: u64,
    /// Up to here: the end of the newest line when it began, or where it was stopped.
    pub to: u64,
    /// It was stopped before its end.
    pub stopped: bool,
    /// Lines of which only the beginning was asked: those over 16 MiB, over less with more than three lines of context.
    pub cut: u64,
    /// Parts that are there and could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// Tells `on` the lines of `log` that begin at or after `from` and match `pattern`, each with up to `context` lines (at most
/// [`CONTEXT`]) before and after it, up to the newest line there is now. `on` hears of progress every 100 ms, and ends the
/// search with a break; so does `cancel`, within as long.
///
/// # Errors
/// Those of reading the folder and the file. What cannot be read is passed over, and told in the summary.
pub fn search(
    log: &mut Log,
    from: u64,
    pattern: &Pattern,
    context: usize,
    cancel: &AtomicBool,
    on: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> io::Result<Summary> {
    let (text, ignore_case) = pattern.written();
    let mut builder = RegexMatcherBuilder::new();
    builder.multi_line(true).case_insensitive(ignore_case).size_limit(SIZE).line_terminator(Some(b'\n'));
    // Patterns that name LF cannot match within a line, and are asked line by line, as are those to which a CR before it
    // is an end of line.
    let quick = builder.build(text).ok().filter(|_| !names_cr_ends(text));
    match quick {
        Some(matcher) => run(log, from, &matcher, pattern.inverted(), context, cancel, on),
        None => run(log, from, &Slow(pattern.regex()), pattern.inverted(), context, cancel, on),
    }
}

/// Whether the flag `R` is set somewhere.
fn names_cr_ends(text: &str) -> bool {
    let flags = |after: &str| after.bytes().take_while(|b| b.is_ascii_alphabetic() || *b == b'-').any(|b| b == b'R');
    text.match_indices("(?").any(|(at, _)| flags(&text[at + 2..]))
}

/// Any regular expression, asked line by line.
struct Slow<'a>(&'a Regex);

impl Matcher for Slow<'_> {
    type Captures = NoCaptures;
    type Error = NoError;

    fn find_at(&self, haystack: &[u8], at: usize) -> Result<Option<Match>, NoError> {
        Ok(self.0.find_at(haystack, at).map(|found| Match::new(found.start(), found.end())))
    }

    fn new_captures(&self) -> Result<NoCaptures, NoError> {
        Ok(NoCaptures::new())
    }
}

/// What the reading thread says.
pub(super) enum Word {
    /// The range that is searched.
    Range(u64, u64),
    /// Bytes, and where they begin.
    Block(u64, Chunk),
}

/// Whom to tell, and how far the search is.
pub(super) struct Course<'a> {
    on: &'a mut dyn FnMut(Found) -> ControlFlow<()>,
    cancel: &'a AtomicBool,
    told: Instant,
    from: u64,
    to: u64,
    /// Handed to the searcher up to here.
    pub at: u64,
    hits: u64,
    pub stopped: bool,
}

impl Course<'_> {
    /// Tells progress when it is time. Whether to go on.
    pub fn go_on(&mut self) -> bool {
        self.stopped |= self.cancel.load(Ordering::Relaxed);
        if !self.stopped && self.told.elapsed() >= TICK {
            self.told = Instant::now();
            let progress =
                Found::Progress { bytes: self.at.saturating_sub(self.from), of: self.to - self.from, hits: self.hits };
            self.stopped = (self.on)(progress).is_break();
        }
        !self.stopped
    }

    /// Tells a line. Whether to go on.
    pub fn tell(&mut self, line: Line, hit: bool) -> bool {
        if !self.go_on() {
            return false;
        }
        self.hits += u64::from(hit);
        self.stopped = (self.on)(if hit { Found::Hit(line) } else { Found::Context(line) }).is_break();
        !self.stopped
    }

    /// The next word; none at the end, and when it is to stop.
    pub fn hear(course: &RefCell<Self>, words: &Receiver<Word>) -> Option<Word> {
        loop {
            if !course.borrow_mut().go_on() {
                return None;
            }
            match words.recv_timeout(LOOK) {
                Ok(word) => return Some(word),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

fn run(
    log: &mut Log,
    from: u64,
    matcher: &impl Matcher,
    invert: bool,
    context: usize,
    cancel: &AtomicBool,
    on: &mut dyn FnMut(Found) -> ControlFlow<()>,
) -> io::Result<Summary> {
    let context = context.min(CONTEXT);
    let longest = LONGEST.min(4 * LONGEST / (context + 1));
    let mut searcher = SearcherBuilder::new()
        .line_number(false)
        .bom_sniffing(false)
        .binary_detection(BinaryDetection::none())
        .invert_match(invert)
        .before_context(context)
        .after_context(context)
        .build();
    let course = Course { on, cancel, told: Instant::now(), from, to: from, at: from, hits: 0, stopped: false };
    let course = RefCell::new(course);
    std::thread::scope(|scope| {
        let (say, words) = sync_channel(AHEAD);
        let reading = scope.spawn(move || read(log, from, cancel, &say));
        let mut cut = 0;
        if let Some(Word::Range(start, to)) = Course::hear(&course, &words) {
            let mut course = course.borrow_mut();
            (course.from, course.at, course.to) = (start, start, to);
        }
        let run = RefCell::new(Run::default());
        let mut feed = Feed::new(&course, &words, &run, longest);
        let mut outcome = Ok(());
        // A run ends where bytes are missing: no line and no context goes across.
        while outcome.is_ok() && feed.begin() {
            outcome = searcher.search_reader(matcher, &mut feed, Lines { course: &course, run: &run });
            cut += run.borrow().cut();
        }
        // Whoever reads is told that nobody listens any more.
        drop(words);
        let unreadable = match reading.join() {
            Ok(Err(e)) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            Ok(result) => result.unwrap_or_default(),
            Err(panic) => std::panic::resume_unwind(panic),
        };
        outcome?;
        let Course { hits, at, stopped, .. } = course.into_inner();
        Ok(Summary { hits, to: at, stopped, cut, unreadable })
    })
}

/// Reads from the first line at or after `from` to the end of the newest one. What it could not read comes back.
fn read(log: &mut Log, from: u64, cancel: &AtomicBool, say: &SyncSender<Word>) -> io::Result<Vec<Unreadable>> {
    let (mut view, start, to) = range(log, from, cancel)?;
    if cancel.load(Ordering::Relaxed) || say.send(Word::Range(start, to)).is_err() {
        return Ok(Vec::new());
    }
    let mut at = start;
    let mut truncated = None;
    while at < to {
        match view.next(at) {
            Ok(Part::Edge) => break,
            Ok(Part::Hole(behind)) => at = behind,
            Ok(Part::Data(mut chunk)) => {
                chunk.shorten(to - at);
                let begin = at;
                at += chunk.bytes().len() as u64;
                if say.send(Word::Block(begin, chunk)).is_err() {
                    break;
                }
            }
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                truncated =
                    Some(Unreadable { from: at, to, why: "the file was truncated while it was searched".into() });
                break;
            }
            Err(e) => return Err(e),
        }
    }
    let mut unreadable = view.unreadable(start, at);
    unreadable.extend(truncated);
    Ok(unreadable)
}

/// The history as it is now, and what of it is searched.
fn range<'a>(log: &mut Log, from: u64, cancel: &'a AtomicBool) -> io::Result<(View<'a>, u64, u64)> {
    let bounds = Bounds { lines: 1, bytes: 1, filter: None, cancel };
    let mut attempt = 1;
    loop {
        let mut view = log.view(cancel)?;
        let (first, end) = (view.first(), view.end());
        let range = page::last_end(&mut view, end).and_then(|to| {
            let to = to.max(first);
            Ok((page::after(&mut view, from.clamp(first, to), &bounds)?.from.min(to), to))
        });
        match range {
            // Truncated under our eyes.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && attempt < ATTEMPTS => attempt += 1,
            Ok((start, to)) => return Ok((view, start, to)),
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
#[path = "search_tests.rs"]
mod tests;
