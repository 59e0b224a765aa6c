//! One record whose text comes in pieces: kept until its end is there, split where it is too long.

use super::Made;
use crate::sink::{End, Records};

/// A buffer this small is kept between records; a larger one is given back, so that a thousand idle senders cost little.
const KEPT: usize = 4096;

/// The record that is not finished yet.
#[derive(Debug)]
pub struct Record {
    /// Bytes of text that a record may have beside its line end; at least 1.
    most: usize,
    /// Its text so far; at most `most` bytes.
    partial: Vec<u8>,
    /// It is the rest of one that was split.
    splitting: bool,
}

impl Record {
    /// `max_line`: the longest record in bytes, its line end included; at least 2.
    pub fn new(max_line: usize) -> Self {
        Self { most: max_line.max(2) - 1, partial: Vec::new(), splitting: false }
    }

    /// Bytes that are kept.
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Whether nothing of the record was seen yet.
    pub fn is_fresh(&self) -> bool {
        self.partial.is_empty() && !self.splitting
    }

    /// Bytes of text that a record may have.
    pub fn most(&self) -> usize {
        self.most
    }

    /// Takes text after which more may come.
    pub fn keep(&mut self, text: &[u8], out: &mut dyn Records, made: &mut Made) {
        let rest = self.split(text, out, made);
        self.partial.extend_from_slice(rest);
    }

    /// Takes the last text of the record and its end.
    pub fn end(&mut self, text: &[u8], end: End, out: &mut dyn Records, made: &mut Made) {
        let rest = self.split(text, out, made);
        out.record([&self.partial, rest], end);
        self.release();
        self.splitting = false;
        made.records += 1;
    }

    /// Emits what is kept as a piece of its own. Counts as a split.
    pub fn relieve(&mut self, out: &mut dyn Records, made: &mut Made) {
        if !self.partial.is_empty() {
            self.piece(&[], out, made);
            self.partial = Vec::new();
        }
    }

    /// Forgets what is kept; returns its length.
    pub fn drop_rest(&mut self) -> usize {
        self.splitting = false;
        std::mem::take(&mut self.partial).len()
    }

    /// Emits full pieces until what is left of `text` fits beside what is kept, and returns that. A full piece goes out
    /// when one more byte proves that its end does not follow.
    fn split<'a>(&mut self, text: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        let mut rest = text;
        while self.partial.len() + rest.len() > self.most {
            let (piece, more) = rest.split_at(self.most - self.partial.len());
            self.piece(piece, out, made);
            self.release();
            rest = more;
        }
        rest
    }

    fn piece(&mut self, text: &[u8], out: &mut dyn Records, made: &mut Made) {
        out.record([&self.partial, text], End::Ours);
        made.records += 1;
        made.split += u64::from(!self.splitting);
        self.splitting = true;
    }

    fn release(&mut self) {
        if self.partial.capacity() > KEPT {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
        }
    }
}
