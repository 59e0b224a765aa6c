//! A byte ends a record: LF, or NUL.

use super::Made;
use super::record::Record;
use crate::plan::Ends;
use crate::sink::{End, Records};

/// Bytes that are looked at together: so many that a call costs nothing, so few that a block of mixed records costs little.
const GLANCE: usize = 4 * 1024;

/// One sender's lines.
#[derive(Debug)]
pub struct Lines {
    ends: Ends,
    record: Record,
    /// A CR that is a part of the line's end if that follows; seldom read on.
    cr: bool,
}

impl Lines {
    /// `max_line` as in [`super::Framer::new`].
    pub fn new(ends: Ends, max_line: usize) -> Self {
        Self { ends, record: Record::new(max_line), cr: false }
    }

    /// Bytes of the unfinished line.
    pub fn held(&self) -> usize {
        self.record.held() + usize::from(self.cr)
    }

    /// Whether the next byte is the first of a line.
    pub fn is_fresh(&self) -> bool {
        self.record.is_fresh() && !self.cr
    }

    fn byte(&self) -> u8 {
        if self.ends.nul { 0 } else { b'\n' }
    }

    /// See [`super::Framer::feed`].
    pub fn feed(&mut self, mut input: &[u8], out: &mut dyn Records, made: &mut Made) {
        if !self.is_fresh() {
            input = self.feed_one(input, out, made);
        }
        let Some(last) = memchr::memrchr(self.byte(), input) else {
            return self.keep(input, out, made);
        };
        let (lines, rest) = input.split_at(last + 1);
        // No line among them can be too long, and nothing is taken away: they go on as they are.
        let as_they_are = !self.ends.nul && lines.len() <= self.record.most() + 1;
        if as_they_are && !(self.ends.strip_cr && memchr::memchr(b'\r', lines).is_some()) {
            out.lines(lines);
            made.records += memchr::memchr_iter(b'\n', lines).count() as u64;
        } else {
            let mut lines = lines;
            while !lines.is_empty() {
                lines = self.feed_one(lines, out, made);
            }
        }
        self.keep(rest, out, made);
    }

    /// Takes the whole lines with which `input` begins, as many as can go on as they are, up to the first one where `is_line` says
    /// no to what begins there; returns the rest. `are_all` tells at a glance, where it can, that `is_line` says no to none of a
    /// block. To be asked where a line begins.
    pub fn feed_while<'a>(
        &self,
        input: &'a [u8],
        (is_line, are_all): (impl Fn(&[u8]) -> bool, impl Fn(&[u8]) -> bool),
        out: &mut dyn Records,
        made: &mut Made,
    ) -> &'a [u8] {
        let (mut from, mut records) = (0, 0);
        loop {
            let rest = &input[from..];
            let block = &rest[..rest.len().min(GLANCE).min(self.record.most() + 1)];
            let block = &block[..memchr::memrchr(b'\n', block).map_or(0, |end| end + 1)];
            let as_they_are = !(self.ends.strip_cr && memchr::memchr(b'\r', block).is_some());
            let (bytes, lines) = if as_they_are && !block.is_empty() && are_all(block) {
                (block.len(), memchr::memchr_iter(b'\n', block).count() as u64)
            } else {
                self.one_by_one(rest, block.len(), &is_line)
            };
            from += bytes;
            records += lines;
            if bytes == 0 || bytes < block.len() {
                break;
            }
        }
        let (lines, rest) = input.split_at(from);
        if records > 0 {
            out.lines(lines);
            made.records += records;
        }
        rest
    }

    /// How many bytes and lines `input` begins with that can go on as they are and where `is_line` has no no. No more lines than
    /// end in the first `bytes`, but the first one in any case.
    fn one_by_one(&self, input: &[u8], bytes: usize, is_line: impl Fn(&[u8]) -> bool) -> (usize, u64) {
        let (mut from, mut lines) = (0, 0);
        for end in memchr::memchr_iter(b'\n', input) {
            let line = &input[from..end];
            let as_it_is = line.len() <= self.record.most() && !(self.ends.strip_cr && line.last() == Some(&b'\r'));
            if !as_it_is || !is_line(&input[from..]) {
                break;
            }
            from = end + 1;
            lines += 1;
            if from >= bytes {
                break;
            }
        }
        (from, lines)
    }

    /// Takes at most one line from `input`, or all of it when it has no end; returns the rest.
    pub fn feed_one<'a>(&mut self, input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        let Some(end) = memchr::memchr(self.byte(), input) else {
            self.keep(input, out, made);
            return &[];
        };
        let mut text = &input[..end];
        if !text.is_empty() {
            self.no_end(out, made);
        }
        if self.ends.strip_cr {
            if let Some(stripped) = text.strip_suffix(b"\r") {
                text = stripped;
                made.taken += 1;
            }
            made.taken += u64::from(std::mem::take(&mut self.cr));
        }
        made.taken += u64::from(self.ends.nul);
        self.record.end(text, if self.ends.nul { End::Ours } else { End::Theirs }, out, made);
        &input[end + 1..]
    }

    /// Keeps `rest`, which has no end.
    fn keep(&mut self, rest: &[u8], out: &mut dyn Records, made: &mut Made) {
        let Some((last, before)) = rest.split_last() else { return };
        self.no_end(out, made);
        if self.ends.strip_cr && *last == b'\r' {
            self.record.keep(before, out, made);
            self.cr = true;
        } else {
            self.record.keep(rest, out, made);
        }
    }

    /// A CR that is followed by something else belongs to the text.
    fn no_end(&mut self, out: &mut dyn Records, made: &mut Made) {
        if std::mem::take(&mut self.cr) {
            self.record.keep(b"\r", out, made);
        }
    }

    /// See [`super::Framer::relieve`].
    pub fn relieve(&mut self, out: &mut dyn Records, made: &mut Made) {
        self.record.relieve(out, made);
    }

    /// The line that is unfinished is the last one.
    pub fn finish(&mut self, out: &mut dyn Records, made: &mut Made) {
        self.no_end(out, made);
        if self.record.held() > 0 {
            self.record.end(&[], End::Ours, out, made);
        }
        self.record.drop_rest();
    }
}
