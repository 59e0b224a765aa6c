//! Syslog over a stream (RFC 6587): each record says itself how it is framed.
//!
//! Octet counting is taken for what it is only when `1-6 digits, a space and <` stand where a record begins (section 3.4.1;
//! a message begins with its priority). Everything else is a line (section 3.4.2), so that no bytes are ever refused.

use super::Made;
use super::lines::Lines;
use super::record::Record;
use crate::plan::Ends;
use crate::sink::{End, Records};

/// Digits of an octet count.
const DIGITS: usize = 6;

/// One sender's syslog.
#[derive(Debug)]
pub struct Syslog {
    state: State,
    /// What may become an octet count: digits, then a space.
    head: Vec<u8>,
    lines: Lines,
    counted: Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Where a record begins, or in what may be its octet count.
    Head,
    /// In a line.
    Line,
    /// In a message of which so many bytes are to come; at least one.
    Counted(usize),
}

/// What is known of a record by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Not enough.
    More,
    Line,
    /// It has so many bytes.
    Counted(usize),
}

impl Syslog {
    /// `strip_cr` is about lines; `max_line` as in [`super::Framer::new`].
    pub fn new(strip_cr: bool, max_line: usize) -> Self {
        Self {
            state: State::Head,
            head: Vec::new(),
            lines: Lines::new(Ends { strip_cr, nul: false }, max_line),
            counted: Record::new(max_line),
        }
    }

    /// See [`super::Framer::held`].
    pub fn held(&self) -> usize {
        self.head.len() + self.lines.held() + self.counted.held()
    }

    /// See [`super::Framer::feed`].
    pub fn feed(&mut self, mut input: &[u8], out: &mut dyn Records, made: &mut Made) {
        while !input.is_empty() {
            input = match self.state {
                State::Head if self.head.is_empty() => {
                    let rest = self.whole_ones(input, out, made);
                    self.begin(rest, out, made)
                }
                State::Head => self.begin(input, out, made),
                State::Line => {
                    let rest = self.lines.feed_one(input, out, made);
                    if self.lines.is_fresh() {
                        self.state = State::Head;
                    }
                    rest
                }
                State::Counted(left) => self.message(left, input, out, made),
            };
        }
    }

    /// Takes the records with which `input` begins and that are there as a whole, as long as nothing has to be kept or split;
    /// returns the rest.
    fn whole_ones<'a>(&self, mut input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        loop {
            let rest = self.lines.feed_while(input, |from| look(from) == Look::Line, out, made);
            let (before, records) = (rest.len(), made.records);
            input = self.whole_messages(rest, out, made);
            if input.len() == before && made.records == records {
                return input;
            }
        }
    }

    /// As [`whole_ones`](Self::whole_ones), of those with an octet count that are one line each.
    fn whole_messages<'a>(&self, mut input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        while let Look::Counted(bytes) = look(input) {
            let head = memchr::memchr(b' ', input).map_or(0, |at| at + 1);
            let Some(text) = input.get(head..head + bytes) else { break };
            // Its only LF is its last byte.
            if bytes > self.counted.most() + 1 || memchr::memchr(b'\n', text) != Some(bytes - 1) {
                break;
            }
            out.lines(text);
            made.records += 1;
            made.taken += head as u64;
            input = &input[head + bytes..];
        }
        input
    }

    /// Looks how the record is framed, which takes 8 bytes at most.
    fn begin<'a>(&mut self, input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        let known = self.head.len();
        let mut seen = [0; DIGITS + 2];
        let n = input.len().min(seen.len() - known);
        seen[..known].copy_from_slice(&self.head);
        seen[known..known + n].copy_from_slice(&input[..n]);
        match look(&seen[..known + n]) {
            Look::More => {
                self.head.extend_from_slice(input);
                &[]
            }
            Look::Line => {
                self.state = State::Line;
                // No digit and no space ends a line.
                self.lines.feed_one(&self.head, out, made);
                self.head.clear();
                input
            }
            Look::Counted(bytes) => {
                self.state = State::Counted(bytes);
                let head = seen[..known + n].iter().position(|b| *b == b' ').map_or(0, |at| at + 1);
                made.taken += head as u64;
                self.head.clear();
                &input[head - known..]
            }
        }
    }

    /// Takes what there is of a message of which `left` bytes are to come.
    fn message<'a>(&mut self, left: usize, input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        let (text, rest) = input.split_at(left.min(input.len()));
        if text.len() < left {
            self.state = State::Counted(left - text.len());
            self.counted.keep(text, out, made);
        } else {
            self.state = State::Head;
            whole(&mut self.counted, text, out, made);
        }
        rest
    }

    /// See [`super::Framer::relieve`].
    pub fn relieve(&mut self, out: &mut dyn Records, made: &mut Made) {
        self.lines.relieve(out, made);
        self.counted.relieve(out, made);
    }

    /// What is unfinished is the last record, of whatever framing.
    pub fn finish(&mut self, out: &mut dyn Records, made: &mut Made) {
        self.lines.feed_one(&std::mem::take(&mut self.head), out, made);
        self.lines.finish(out, made);
        if self.counted.held() > 0 {
            self.counted.end(&[], End::Ours, out, made);
        }
        self.counted.drop_rest();
        self.state = State::Head;
    }
}

/// Takes the last text of a message whose end its length tells. If that is an LF it is the record's line end.
pub(super) fn whole(record: &mut Record, text: &[u8], out: &mut dyn Records, made: &mut Made) {
    match text.strip_suffix(b"\n") {
        Some(text) => record.end(text, End::Theirs, out, made),
        None => record.end(text, End::Ours, out, made),
    }
}

/// `head`: the first bytes of a record. No more than `DIGITS` + 2 of them matter.
#[inline]
fn look(head: &[u8]) -> Look {
    let digits = head.iter().take(DIGITS).take_while(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        return if head.is_empty() { Look::More } else { Look::Line };
    }
    match &head[digits..] {
        [] | [b' '] => Look::More,
        [b' ', b'<', ..] => match head[..digits].iter().fold(0, |n, b| n * 10 + usize::from(b - b'0')) {
            0 => Look::Line,
            bytes => Look::Counted(bytes),
        },
        _ => Look::Line,
    }
}
