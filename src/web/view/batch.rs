//! Lines that were read together, with the JSON of each, made once for all who look. Pure.

use std::sync::Arc;

use super::super::line::{self, Shape};
use super::super::sources::Source;
use crate::history::{Line, Pattern};

/// Bytes of JSON in one event.
pub const EVENT: usize = 512 * 1024;

/// Lines of one stream, at least one.
#[derive(Debug)]
pub struct Batch {
    source: Arc<Source>,
    /// When they were seen to come.
    arrived: Option<String>,
    bytes: Vec<u8>,
    /// One object after the other, a comma between two.
    json: Vec<u8>,
    lines: Vec<Spot>,
    /// Behind the last line.
    end: u64,
}

#[derive(Debug)]
struct Spot {
    offset: u64,
    /// Bytes of the whole line; here may be only the first of them.
    length: u64,
    /// Where it ends in `bytes`, and where it ends in `json`.
    ends: (usize, usize),
}

/// What somebody wants of lines.
#[derive(Debug, Clone, Copy)]
pub struct Want<'a> {
    /// Only those that begin there or later.
    pub after: u64,
    /// What they are looked at for.
    pub pattern: Option<&'a Pattern>,
    /// They have been looked at: all are wanted.
    pub sifted: bool,
    /// Long ones are cut.
    pub cut: bool,
}

impl Batch {
    /// Of whole lines with their LF, from `offset` to `end`; the last LF may count nothing. Several, where they are many.
    #[must_use]
    pub fn of(source: &Arc<Source>, (mut offset, end): (u64, u64), bytes: &[u8], arrived: &str) -> Vec<Self> {
        let mut all = Vec::new();
        let mut batch = Self::empty(source, Some(arrived));
        for whole in bytes.split_inclusive(|b| *b == b'\n') {
            if batch.json.len() > EVENT {
                all.push(std::mem::replace(&mut batch, Self::empty(source, Some(arrived))));
            }
            let text = whole.strip_suffix(b"\n").unwrap_or(whole);
            batch.add(offset, text, text.len() as u64);
            offset += whole.len() as u64;
            batch.end = offset;
        }
        batch.end = end;
        all.extend(Some(batch).filter(|batch| !batch.lines.is_empty()));
        all
    }

    /// Of one line of `length` bytes of which only these are here.
    #[must_use]
    pub fn long(source: &Arc<Source>, (offset, end): (u64, u64), bytes: &[u8], length: u64, arrived: &str) -> Self {
        let mut batch = Self { end, ..Self::empty(source, Some(arrived)) };
        batch.add(offset, bytes, length);
        batch
    }

    /// Of lines that were there before; `None`: there are none.
    #[must_use]
    pub fn page(source: &Arc<Source>, lines: &[Line], end: u64) -> Option<Self> {
        let mut batch = Self { end, ..Self::empty(source, None) };
        for line in lines {
            batch.add(line.offset, &line.bytes, line.length);
        }
        Some(batch).filter(|batch| !batch.lines.is_empty())
    }

    fn empty(source: &Arc<Source>, arrived: Option<&str>) -> Self {
        let (bytes, json, lines) = (Vec::new(), Vec::new(), Vec::new());
        Self { source: Arc::clone(source), arrived: arrived.map(Into::into), bytes, json, lines, end: 0 }
    }

    fn add(&mut self, offset: u64, text: &[u8], length: u64) {
        if !self.lines.is_empty() {
            self.json.push(b',');
        }
        let shape = Shape { pattern: None, cut: true, arrived: self.arrived.as_deref() };
        line::write(&mut self.json, &self.source, (offset, length), text, shape);
        self.bytes.extend_from_slice(text);
        self.lines.push(Spot { offset, length, ends: (self.bytes.len(), self.json.len()) });
    }

    /// Behind the last one.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.end
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of memory that it holds.
    #[must_use]
    pub fn cost(&self) -> usize {
        self.bytes.len() + self.json.len() + self.lines.len() * size_of::<Spot>() + size_of::<Self>()
    }

    /// Which lines are wanted, each with the place behind it.
    pub fn wanted<'a>(&'a self, want: Want<'a>) -> impl Iterator<Item = (usize, u64)> + 'a {
        let is_wanted = move |index: usize| {
            let pattern = want.pattern.filter(|_| !want.sifted);
            self.lines[index].offset >= want.after && pattern.is_none_or(|pattern| pattern.is_match(self.text(index)))
        };
        let behind = |index: usize| self.lines.get(index + 1).map_or(self.end, |next| next.offset);
        (0..self.lines.len()).filter(move |index| is_wanted(*index)).map(move |index| (index, behind(index)))
    }

    /// Adds the JSON of one of them.
    pub fn put(&self, index: usize, want: Want<'_>, out: &mut Vec<u8>) {
        let (text, spot) = (self.text(index), &self.lines[index]);
        if !want.cut && text.len() > line::CUT {
            let shape = Shape { pattern: want.pattern, cut: false, arrived: self.arrived.as_deref() };
            line::write(out, &self.source, (spot.offset, spot.length), text, shape);
            return;
        }
        // Behind the comma of the one before.
        let from = index.checked_sub(1).map_or(0, |before| self.lines[before].ends.1 + 1);
        out.extend_from_slice(&self.json[from..spot.ends.1]);
        if let Some(pattern) = want.pattern {
            line::add_hits(out, text, pattern);
        }
    }

    fn text(&self, index: usize) -> &[u8] {
        let from = index.checked_sub(1).map_or(0, |before| self.lines[before].ends.0);
        &self.bytes[from..self.lines[index].ends.0]
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
