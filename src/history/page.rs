//! Lines of a history, forwards and backwards from any place.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::last::LONGEST;
use super::pattern::Pattern;

/// Bytes that one page of a filter looks through, so that it comes soon and says how far it got.
const SCAN: u64 = 64 * 1024 * 1024;

/// How much is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Lines at most.
    pub lines: usize,
    /// Bytes of the lines returned at most; one line is always returned, of a longer one the beginning.
    pub bytes: usize,
    /// Only lines that match it; of a line longer than [`LONGEST`] its beginning is asked.
    pub filter: Option<&'a Pattern>,
    /// Looked at between two blocks: set, the page ends where it is.
    pub cancel: &'a AtomicBool,
}

/// Lines, and the range in which they were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of writing.
    pub lines: Vec<Line>,
    /// Where the range begins: the page before ends here.
    pub from: u64,
    /// Where it ends: the next page begins here.
    pub to: u64,
    /// Nothing is before `from`.
    pub first: bool,
    /// No whole line is after `to`.
    pub last: bool,
    /// Parts of the range that are there and could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A line. It ends with LF, or where what followed it is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Of its first byte.
    pub offset: u64,
    /// Without LF; of a line longer than the bound only the beginning.
    pub bytes: Vec<u8>,
    /// Bytes of the whole line, without LF.
    pub length: u64,
}

/// A part of the history that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its first byte.
    pub from: u64,
    /// Behind its last one.
    pub to: u64,
    /// A sentence that names the archive.
    pub why: String,
}

/// What lies at a place, or before it.
#[derive(Debug)]
pub enum Part {
    /// Bytes, at least one.
    Data(Chunk),
    /// Nothing; the next byte in that direction begins, or ends, there.
    Hole(u64),
    /// Nothing more in that direction.
    Edge,
}

/// Some bytes of a block, shared with what is kept.
#[derive(Debug, Clone)]
pub struct Chunk {
    block: Arc<Vec<u8>>,
    range: Range<usize>,
}

impl Chunk {
    pub(super) fn new(block: Arc<Vec<u8>>, range: Range<usize>) -> Self {
        Self { block, range }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.block[self.range.clone()]
    }

    /// Keeps the first `length` of them.
    pub(super) fn shorten(&mut self, length: u64) {
        let length = usize::try_from(length).unwrap_or(usize::MAX).min(self.range.len());
        self.range.end = self.range.start + length;
    }
}

/// The bytes of a history, of which some are gone.
pub trait Bytes {
    /// What begins at `at`.
    fn next(&mut self, at: u64) -> io::Result<Part>;
    /// What ends at `at`.
    fn previous(&mut self, at: u64) -> io::Result<Part>;
}

/// What was found, and where it begins and ends.
#[derive(Debug, PartialEq, Eq)]
pub struct Stretch {
    pub lines: Vec<Line>,
    pub from: u64,
    pub to: u64,
    /// The edge was reached.
    pub edge: bool,
}

/// Lines that are gathered up to the bounds.
struct Gathered<'a, 'b> {
    bounds: &'a Bounds<'b>,
    lines: Vec<Line>,
    bytes: usize,
    /// Bytes looked through.
    looked: u64,
}

/// Whether to go on, and whether the last line counts as looked at.
#[derive(PartialEq, Eq)]
enum Taken {
    More,
    Enough,
    /// There was no room for it.
    Left,
}

impl<'a, 'b> Gathered<'a, 'b> {
    fn new(bounds: &'a Bounds<'b>) -> Self {
        Self { bounds, lines: Vec::new(), bytes: 0, looked: 0 }
    }

    /// How much of a line has to be at hand.
    fn wanted(&self) -> usize {
        if self.bounds.filter.is_some() { self.bounds.bytes.max(LONGEST) } else { self.bounds.bytes }
    }

    fn cancelled(&self) -> bool {
        self.bounds.cancel.load(Ordering::Relaxed)
    }

    /// A line of `length` bytes that begins with `bytes`.
    fn take(&mut self, offset: u64, bytes: &[u8], length: u64) -> Taken {
        if self.bounds.lines == 0 {
            return Taken::Left;
        }
        if self.bounds.filter.is_none_or(|filter| filter.is_match(bytes)) {
            let kept = &bytes[..bytes.len().min(self.bounds.bytes)];
            if !self.lines.is_empty() && self.bytes + kept.len() > self.bounds.bytes {
                return Taken::Left;
            }
            self.bytes += kept.len();
            self.lines.push(Line { offset, bytes: kept.to_vec(), length });
        }
        self.looked += length + 1;
        let scanned = self.bounds.filter.is_some() && self.looked >= SCAN;
        if self.lines.len() >= self.bounds.lines || scanned { Taken::Enough } else { Taken::More }
    }
}

/// Lines that begin at or after `from`.
pub fn after(source: &mut impl Bytes, from: u64, bounds: &Bounds<'_>) -> io::Result<Stretch> {
    let mut gathered = Gathered::new(bounds);
    let mut skipping = match source.previous(from)? {
        Part::Data(chunk) => chunk.bytes().last() != Some(&b'\n'),
        Part::Hole(_) | Part::Edge => false,
    };
    // The line that is under way: where it begins, as much of it as is wanted, and how long it is by now.
    let (mut offset, mut line, mut length) = (from, Vec::new(), 0_u64);
    let (mut at, mut begin) = (from, None);
    let edge = loop {
        if gathered.cancelled() {
            break false;
        }
        let part = match source.next(at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted && gathered.cancelled() => break false,
            part => part?,
        };
        match part {
            Part::Edge => break true,
            Part::Hole(to) => {
                if length > 0 {
                    begin.get_or_insert(offset);
                    if gathered.take(offset, &line, length) == Taken::Left {
                        break false;
                    }
                }
                (at, offset, length, skipping) = (to, to, 0, false);
                line.clear();
                if gathered.lines.len() >= bounds.lines {
                    break false;
                }
            }
            Part::Data(chunk) => {
                let mut rest = chunk.bytes();
                let mut taken = Taken::More;
                while let Some(lf) = memchr::memchr(b'\n', rest) {
                    let (this, behind) = (&rest[..lf], &rest[lf + 1..]);
                    let end = at + lf as u64 + 1;
                    if skipping {
                        skipping = false;
                    } else {
                        begin.get_or_insert(offset);
                        taken = if length == 0 {
                            gathered.take(offset, this, lf as u64)
                        } else {
                            keep(&mut line, this, gathered.wanted());
                            gathered.take(offset, &line, length + lf as u64)
                        };
                        if taken == Taken::Left {
                            break;
                        }
                    }
                    (at, offset, length, rest) = (end, end, 0, behind);
                    line.clear();
                    if taken != Taken::More {
                        break;
                    }
                }
                if taken != Taken::More {
                    break false;
                }
                at += rest.len() as u64;
                if skipping {
                    offset = at;
                } else {
                    length += rest.len() as u64;
                    keep(&mut line, rest, gathered.wanted());
                }
            }
        }
    };
    // While it looks for the beginning of a line it has got to `offset`, too.
    Ok(Stretch { lines: gathered.lines, from: begin.unwrap_or(offset), to: offset, edge })
}

/// Appends to `line` what of `bytes` there is room for.
fn keep(line: &mut Vec<u8>, bytes: &[u8], room: usize) {
    let room = room.saturating_sub(line.len());
    line.extend_from_slice(&bytes[..bytes.len().min(room)]);
}

/// The end of the last line that ends at or before `before`: behind its LF, or where what followed it is gone.
pub fn last_end(source: &mut impl Bytes, before: u64) -> io::Result<u64> {
    if matches!(source.next(before)?, Part::Hole(_)) && matches!(source.previous(before)?, Part::Data(_)) {
        return Ok(before);
    }
    let mut at = before;
    loop {
        match source.previous(at)? {
            Part::Data(chunk) => match memchr::memrchr(b'\n', chunk.bytes()) {
                Some(lf) => return Ok(at - chunk.bytes().len() as u64 + lf as u64 + 1),
                None => at -= chunk.bytes().len() as u64,
            },
            // What lies before the hole is whole, and nothing is between.
            Part::Hole(end) if at == before => return Ok(end),
            Part::Hole(_) | Part::Edge => return Ok(at),
        }
    }
}

/// The last lines that end at or before `before`.
pub fn before(source: &mut impl Bytes, before: u64, bounds: &Bounds<'_>) -> io::Result<Stretch> {
    let mut gathered = Gathered::new(bounds);
    let to = last_end(source, before)?;
    // The line that is under way ends at `end` and holds all from `at` on.
    let (mut end, mut at) = (to, to);
    let edge = 'all: loop {
        if gathered.cancelled() {
            break false;
        }
        let part = match source.previous(at) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted && gathered.cancelled() => break false,
            part => part?,
        };
        let edge = match part {
            Part::Data(chunk) => {
                let bytes = chunk.bytes();
                let start = at - bytes.len() as u64;
                // The LF at its end ends it.
                let mut open = bytes.len() - usize::from(at == end && bytes.ends_with(b"\n"));
                while let Some(lf) = memchr::memrchr(b'\n', &bytes[..open]) {
                    let offset = start + lf as u64 + 1;
                    let taken = if end <= at {
                        let within = usize::try_from(end - start).unwrap_or(usize::MAX);
                        let line = &bytes[lf + 1..within];
                        let line = line.strip_suffix(b"\n").unwrap_or(line);
                        gathered.take(offset, line, line.len() as u64)
                    } else {
                        take_again(source, &mut gathered, offset..end)?
                    };
                    if taken != Taken::Left {
                        end = offset;
                    }
                    if taken != Taken::More {
                        break 'all false;
                    }
                    open = lf;
                }
                at = start;
                continue;
            }
            Part::Hole(before) => Some(before),
            Part::Edge => None,
        };
        if at < end {
            let taken = take_again(source, &mut gathered, at..end)?;
            if taken == Taken::Left {
                break false;
            }
            end = at;
            if taken == Taken::Enough {
                break edge.is_none();
            }
        }
        match edge {
            Some(before) => (at, end) = (before, before),
            None => break true,
        }
    };
    gathered.lines.reverse();
    Ok(Stretch { lines: gathered.lines, from: end, to, edge })
}

/// A line of which not all is at hand any more is read once more, from its beginning.
fn take_again(source: &mut impl Bytes, gathered: &mut Gathered<'_, '_>, line: Range<u64>) -> io::Result<Taken> {
    let ended = matches!(source.previous(line.end)?, Part::Data(chunk) if chunk.bytes().ends_with(b"\n"));
    let length = line.end - line.start - u64::from(ended);
    let wanted = usize::try_from(length).unwrap_or(usize::MAX).min(gathered.wanted());
    let (mut bytes, mut at) = (Vec::new(), line.start);
    while bytes.len() < wanted
        && let Part::Data(chunk) = source.next(at)?
    {
        at += chunk.bytes().len() as u64;
        keep(&mut bytes, chunk.bytes(), wanted);
    }
    Ok(gathered.take(line.start, &bytes, length))
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
