//! What stands between blocks of a history and the searcher: runs of bytes without a gap, lines that are not too long.

use std::cell::RefCell;
use std::io::{self, Read};
use std::sync::mpsc::Receiver;

use grep_searcher::{Searcher, Sink, SinkContext, SinkMatch};

use super::page::{Chunk, Line};
use super::search::{Course, Word};

/// Where a run begins, and what was left out of it.
#[derive(Debug, Default)]
pub struct Run {
    /// The offset of its first byte.
    base: u64,
    /// Of each line that was too long: where in the run its LF stands, without what was left out, and how much that is of
    /// all lines up to this one.
    cuts: Vec<(u64, u64)>,
}

impl Run {
    /// Left out of what is before the place `at` of the run.
    fn left_out(&self, at: u64) -> u64 {
        let cuts = self.cuts.partition_point(|(end, _)| *end < at);
        cuts.checked_sub(1).map_or(0, |last| self.cuts[last].1)
    }

    /// Lines that were too long.
    pub fn cut(&self) -> u64 {
        self.cuts.len() as u64
    }
}

/// Blocks, run by run.
pub struct Feed<'a, 'b> {
    course: &'a RefCell<Course<'b>>,
    words: &'a Receiver<Word>,
    /// The longest line that is handed on, in bytes.
    longest: usize,
    run: &'a RefCell<Run>,
    /// The block that is handed on, where its rest begins in the history, and in itself.
    block: Option<(Chunk, u64, usize)>,
    /// Where the run goes on.
    next: u64,
    /// Handed on of the run.
    given: u64,
    /// Handed on of the line.
    line: usize,
}

impl<'a, 'b> Feed<'a, 'b> {
    /// What it says about a run goes to `run`.
    pub fn new(
        course: &'a RefCell<Course<'b>>,
        words: &'a Receiver<Word>,
        run: &'a RefCell<Run>,
        longest: usize,
    ) -> Self {
        Self { course, words, longest, run, block: None, next: 0, given: 0, line: 0 }
    }

    /// Begins the next run, if there is one.
    pub fn begin(&mut self) -> bool {
        if self.course.borrow().stopped || !self.fill() {
            return false;
        }
        let Some((_, offset, _)) = &self.block else { return false };
        self.run.replace(Run { base: *offset, cuts: Vec::new() });
        (self.next, self.given, self.line) = (*offset, 0, 0);
        true
    }

    /// Whether there is a block with something left.
    fn fill(&mut self) -> bool {
        loop {
            if self.block.as_ref().is_some_and(|(chunk, _, begun)| *begun < chunk.bytes().len()) {
                return true;
            }
            match Course::hear(self.course, self.words) {
                Some(Word::Block(offset, chunk)) => self.block = Some((chunk, offset, 0)),
                Some(Word::Range(..)) => {}
                None => {
                    self.block = None;
                    return false;
                }
            }
        }
    }
}

impl Read for Feed<'_, '_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.fill() {
            let Some((chunk, offset, begun)) = &mut self.block else { break };
            if *offset != self.next {
                break;
            }
            let left = &chunk.bytes()[*begun..];
            let left = &left[..left.len().min(into.len())];
            let room = self.longest - self.line;
            let (given, taken) = if left.len() <= room {
                self.line = memchr::memrchr(b'\n', left).map_or(self.line + left.len(), |lf| left.len() - lf - 1);
                (left.len(), left.len())
            } else {
                match memchr::memchr(b'\n', left) {
                    Some(lf) if lf == 0 || lf <= room => {
                        self.line = 0;
                        (lf + 1, lf + 1)
                    }
                    lf if room == 0 => (0, lf.unwrap_or(left.len())),
                    _ => {
                        self.line = self.longest;
                        (room, room)
                    }
                }
            };
            into[..given].copy_from_slice(&left[..given]);
            *begun += taken;
            *offset += taken as u64;
            self.next = *offset;
            self.course.borrow_mut().at = self.next;
            if given > 0 {
                self.given += given as u64;
                return Ok(given);
            }
            let cuts = &mut self.run.borrow_mut().cuts;
            let all = cuts.last().map_or(0, |(_, all)| *all) + taken as u64;
            match cuts.last_mut() {
                Some((end, before)) if *end == self.given => *before = all,
                _ => cuts.push((self.given, all)),
            }
        }
        Ok(0)
    }
}

/// Tells the lines that the searcher finds.
pub struct Lines<'a, 'b> {
    pub course: &'a RefCell<Course<'b>>,
    pub run: &'a RefCell<Run>,
}

impl Lines<'_, '_> {
    /// A line with its LF, and where it stands in the run. Whether to go on.
    fn tell(&self, at: u64, bytes: &[u8], hit: bool) -> bool {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let (end, run) = (at + bytes.len() as u64, self.run.borrow());
        let before = run.left_out(at);
        let length = bytes.len() as u64 + run.left_out(end + 1) - before;
        let line = Line { offset: run.base + at + before, bytes: bytes.to_vec(), length };
        self.course.borrow_mut().tell(line, hit)
    }
}

impl Sink for Lines<'_, '_> {
    type Error = io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> io::Result<bool> {
        Ok(self.tell(found.absolute_byte_offset(), found.bytes(), true))
    }

    fn context(&mut self, _: &Searcher, found: &SinkContext<'_>) -> io::Result<bool> {
        Ok(self.tell(found.absolute_byte_offset(), found.bytes(), false))
    }
}
