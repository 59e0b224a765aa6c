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
/// Bytes of messages that go on at once: dozens of usual ones, and they stay in the nearest cache.
const BLOCK: usize = 8 * 1024;

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
    /// Behind so many bytes of octet count and space it has so many bytes, one at least.
    Counted(usize, usize),
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
            let rest = self.lines.feed_while(input, (is_line, are_all_lines), out, made);
            let (before, records) = (rest.len(), made.records);
            input = if counted(rest).is_some() { self.whole_messages(rest, out, made) } else { rest };
            if input.len() == before && made.records == records {
                return input;
            }
        }
    }

    /// As [`whole_ones`](Self::whole_ones), of those with an octet count. Messages that end with an LF, and there with their only
    /// one, go on as lines, many at once: what is known of each by itself costs more than to move it.
    fn whole_messages<'a>(&self, mut input: &'a [u8], out: &mut dyn Records, made: &mut Made) -> &'a [u8] {
        let mut block = [0; BLOCK];
        let (mut begun, mut filled, mut messages) = (input, 0, 0);
        loop {
            let next = counted(input).filter(|(_, text)| fits(text, self.counted.most()));
            let is_line = next.is_some_and(|(_, text)| text.len() <= BLOCK && text.last() == Some(&b'\n'));
            if !is_line || next.is_some_and(|(_, text)| filled + text.len() > BLOCK) {
                go_on(&block[..filled], begun, messages, out);
                made.records += messages;
                (filled, messages) = (0, 0);
            }
            let Some((head, text)) = next else { return input };
            if messages == 0 {
                begun = input;
            }
            made.taken += head.len() as u64;
            input = &input[head.len() + text.len()..];
            if is_line {
                block[filled..filled + text.len()].copy_from_slice(text);
                filled += text.len();
                messages += 1;
            } else {
                one(text, out);
                made.records += 1;
            }
        }
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
            Look::Counted(head, bytes) => {
                self.state = State::Counted(bytes);
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

/// Whether what begins here is a line. Nearly all that are begin with no digit.
#[inline]
fn is_line(input: &[u8]) -> bool {
    input.first().is_some_and(|b| !b.is_ascii_digit()) || look(input) == Look::Line
}

/// Whether it is plain that no octet count stands where a line begins: no digit does. No branch depends on a byte, so that sixteen
/// and more are looked at in one step.
fn are_all_lines(lines: &[u8]) -> bool {
    let begins = lines.iter().zip(lines.get(1..).unwrap_or_default());
    let digits =
        begins.fold(0, |found, (end, first)| found | (u8::from(*end == b'\n') & u8::from(first.is_ascii_digit())));
    digits == 0 && !lines.first().is_some_and(u8::is_ascii_digit)
}

/// The octet count, with its space, and the message with which `input` begins, if that is there as a whole.
#[inline]
fn counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let Look::Counted(head, bytes) = look(input) else { return None };
    let (head, rest) = input.split_at(head);
    rest.get(..bytes).map(|text| (head, text))
}

/// Whether a message is no longer than a record may be, `most` bytes beside its line end.
#[inline]
fn fits(message: &[u8], most: usize) -> bool {
    message.len() <= most || (message.len() == most + 1 && message.last() == Some(&b'\n'))
}

/// Hands on so many messages with LFs at their ends, `block`, which stand behind their octet counts where `begun` begins.
fn go_on(block: &[u8], mut begun: &[u8], messages: u64, out: &mut dyn Records) {
    if memchr::memchr_iter(b'\n', block).count() as u64 == messages {
        if messages > 0 {
            out.lines(block);
        }
        return;
    }
    // One of them holds LFs.
    for _ in 0..messages {
        let Some((head, text)) = counted(begun) else { return };
        one(text, out);
        begun = &begun[head.len() + text.len()..];
    }
}

/// Hands on one whole message.
fn one(message: &[u8], out: &mut dyn Records) {
    match message.strip_suffix(b"\n") {
        Some(text) => out.record([text, &[]], End::Theirs),
        None => out.record([message, &[]], End::Ours),
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
    let (mut digits, mut bytes) = (0, 0);
    while let Some(digit) = head.get(digits).map(|b| b.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
        if digits == DIGITS {
            return Look::Line;
        }
        bytes = bytes * 10 + usize::from(digit);
        digits += 1;
    }
    match &head[digits..] {
        [] => Look::More,
        [b' '] if digits > 0 => Look::More,
        [b' ', b'<', ..] if digits > 0 && bytes > 0 => Look::Counted(digits + 1, bytes),
        _ => Look::Line,
    }
}
