//! What one reader has read of a stream for all who look at it, as far as it fits: each takes it from there in its own time. Pure.

use std::collections::VecDeque;

/// Bytes by which a reader may be behind before lines are skipped: seconds of a stream that a page can show at all.
pub const BEHIND: u64 = 8 * 1024 * 1024;

/// The newest of a stream, in order, each with the range of offsets that it is about.
#[derive(Debug)]
pub struct Ring<T> {
    kept: VecDeque<Kept<T>>,
    /// The number of the first that is kept.
    first: u64,
    bytes: usize,
    /// From there on nothing is missing; `None`: nobody may come in.
    from: Option<u64>,
    end: u64,
    /// Lines up to the end since it began, skipped ones among them.
    lines: u64,
    begun: bool,
    closed: bool,
}

#[derive(Debug)]
struct Kept<T> {
    to: u64,
    /// Lines up to `to`.
    lines: u64,
    bytes: usize,
    what: T,
}

/// Where somebody stands in a ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The next one.
    number: u64,
    /// What begins before is known already.
    after: u64,
    /// All before is known.
    pub place: u64,
    /// Lines of the ring before `place`; `None`: it stands in the middle of something.
    lines: Option<u64>,
}

/// What there is for somebody.
#[derive(Debug, PartialEq, Eq)]
pub enum Taken<T> {
    /// These, none when nothing waits; of each, lines that begin before the offset are known already. Whether there are more.
    Some(Vec<(T, u64)>, bool),
    /// So many lines were skipped, of the bytes from here to there.
    Skipped {
        /// The first byte.
        from: u64,
        /// Behind the last one.
        to: u64,
        /// Their lines.
        lines: u64,
    },
    /// What comes next is not kept any more: it is on the disk.
    Gone,
}

impl<T: Clone> Ring<T> {
    /// An empty one, in which nobody may come yet.
    #[must_use]
    pub fn new() -> Self {
        Self { kept: VecDeque::new(), first: 0, bytes: 0, from: None, end: 0, lines: 0, begun: false, closed: false }
    }

    /// All that comes after `at` will be here.
    pub fn begin(&mut self, at: u64) {
        (self.from, self.end, self.begun) = (Some(at), at, true);
    }

    /// Whether there is a place from which all is here.
    #[must_use]
    pub fn has_begun(&self) -> bool {
        self.begun
    }

    /// Nothing will come any more: whoever looks has to look elsewhere.
    pub fn close(&mut self) {
        (self.from, self.begun, self.closed) = (None, true, true);
    }

    /// Whether somebody new may ever come in.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.from.is_some()
    }

    /// Adds something about the offsets up to `to`, in which there are `lines`; it keeps `most` bytes, but always the newest.
    pub fn push(&mut self, to: u64, lines: u64, bytes: usize, what: T, most: usize) {
        self.end = self.end.max(to);
        self.lines += lines;
        self.bytes += bytes;
        self.kept.push_back(Kept { to: self.end, lines: self.lines, bytes, what });
        while self.bytes > most && self.kept.len() > 1 {
            let Some(old) = self.kept.pop_front() else { break };
            self.bytes -= old.bytes;
            self.first += 1;
            self.from = self.from.map(|from| from.max(old.to));
        }
    }

    /// Adds that `lines` up to `to` are left out.
    pub fn skip(&mut self, to: u64, lines: u64, what: T, most: usize) {
        self.push(to, lines, 0, what, most);
        self.from = self.from.map(|from| from.max(to));
    }

    /// What was taken from the file may have moved the offsets of what follows: nobody comes in any more.
    pub fn shut(&mut self) {
        self.from = None;
    }

    /// Where somebody goes on who knows all before `at`, if nothing is missing from there on.
    #[must_use]
    pub fn join(&self, at: u64) -> Option<Cursor> {
        self.from.filter(|from| *from <= at)?;
        let before = self.kept.partition_point(|kept| kept.to <= at);
        let lines = if before == 0 {
            None
        } else {
            self.kept.get(before - 1).filter(|kept| kept.to == at).map(|kept| kept.lines)
        };
        Some(Cursor { number: self.first + before as u64, after: at, place: at, lines })
    }

    /// The next ones, of about `most` bytes together.
    pub fn take(&self, cursor: &mut Cursor, most: usize) -> Taken<T> {
        let next = self.first + self.kept.len() as u64;
        let Some(begin) = cursor.number.checked_sub(self.first).and_then(|begin| usize::try_from(begin).ok()) else {
            let (from, to) = (cursor.place, self.end);
            let Some(lines) = cursor.lines.filter(|_| !self.closed && to.saturating_sub(from) >= BEHIND) else {
                return Taken::Gone;
            };
            *cursor = Cursor { number: next, after: to, place: to, lines: Some(self.lines) };
            return Taken::Skipped { from, to, lines: self.lines - lines };
        };
        let (mut taken, mut bytes) = (Vec::new(), 0);
        for kept in self.kept.range(begin..) {
            if bytes > most {
                break;
            }
            bytes += kept.bytes;
            taken.push((kept.what.clone(), cursor.after));
            cursor.number += 1;
            // Whoever came in before its end was reached knows more than it holds.
            if kept.to >= cursor.place {
                (cursor.place, cursor.lines) = (kept.to, Some(kept.lines));
            }
        }
        if taken.is_empty() && self.closed {
            return Taken::Gone;
        }
        Taken::Some(taken, cursor.number < next)
    }
}

#[cfg(test)]
#[path = "ring_tests.rs"]
mod tests;
