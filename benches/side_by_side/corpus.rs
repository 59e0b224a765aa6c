//! The log lines that are sent, and the proof that each of them stands in the file.
//!
//! Every line carries its sender and its number within the sender, in digits at fixed places; all else follows from the
//! number. So any file can be checked to the byte without keeping what was sent, and a block of lines becomes the next
//! one by changing a few digits a line, which costs the sending side next to nothing.
//!
//! Sender and block stand at the beginning and at the end of a line. Else the halves of two lines of the same number
//! from two senders, who all cut at the same places, would make one good line, and a torn file would pass.

use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::Path;

use super::Fallible;
use super::shape::Shape;

/// Lines of a block. A block (120 KiB) stays in the processor's cache beside everybody else's buffers.
pub const BLOCK_LINES: u64 = 1_024;

/// `2026-11-21T00:41:28.123456Z s=00000 n=0000000.0000 … 00000/0000000`: where the digits stand.
const SENDER: Range<usize> = 30..35;
const BLOCK: Range<usize> = 38..45;
const INDEX: Range<usize> = 46..50;
/// Bytes after the text: sender, slash, block, line end.
const TAIL: usize = 14;
const TAIL_SENDER: Range<usize> = 0..5;
const TAIL_BLOCK: Range<usize> = 6..13;

/// One block of lines as sender 0 sends it first.
#[derive(Debug, Clone)]
pub struct Corpus {
    bytes: Vec<u8>,
    /// Where each line begins, and where the last one ends.
    starts: Vec<usize>,
}

/// What a file holds, compared with what was sent.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Verdict {
    /// Lines in the file that nobody sent in this shape.
    pub torn: u64,
    /// Lines that were sent and do not stand in the file in one piece.
    pub missing: u64,
    /// Whole lines that stand after a later one of their sender, or twice.
    pub disordered: u64,
    /// Bytes sent less bytes in the file; below zero when there are too many.
    pub bytes_missing: i64,
}

impl Verdict {
    /// Whether the file holds exactly what was sent, each sender's lines in order.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }

    /// Whether all bytes are there and lines were only mixed up with one another.
    pub fn only_tore(&self) -> bool {
        self.bytes_missing == 0 && self.disordered == 0
    }

    /// The faults as rows of the table.
    pub fn faults(&self) -> [(&'static str, f64); 3] {
        [
            ("torn lines", self.torn as f64),
            ("sent lines not whole or not in order", (self.missing + self.disordered) as f64),
            ("bytes missing or too many", self.bytes_missing.unsigned_abs() as f64),
        ]
    }
}

impl Corpus {
    /// Always the same lines: 90 to 150 bytes long, 120 in the middle, words as in the log of a web server.
    pub fn new() -> Self {
        const WORDS: [&str; 16] = [
            "GET",
            "POST",
            "/api/v2/orders",
            "/static/app.js",
            "200",
            "304",
            "502",
            "upstream",
            "timed",
            "out",
            "while",
            "reading",
            "rt=0.034",
            "\"Mozilla/5.0\"",
            "user=4711",
            "cache=miss",
        ];
        // Knuth's MMIX generator: any fixed sequence does, and this one needs no crate.
        let mut state = 0x5eed_u64;
        let mut random = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut bytes = Vec::new();
        let mut starts = vec![0];
        for index in 0..BLOCK_LINES {
            let micros = random(1_000_000);
            let mut line = format!(
                "2026-11-21T00:41:28.{micros:06}Z s=00000 n=0000000.{index:04} web-{:02} nginx[{}]:",
                random(32),
                10_000 + random(20_000)
            );
            let length = 89 - TAIL + usize::try_from(random(61)).unwrap_or_default();
            while line.len() < length {
                line.push(' ');
                line.push_str(WORDS[usize::try_from(random(16)).unwrap_or_default()]);
            }
            line.truncate(length);
            line.push_str(" 00000/0000000\n");
            bytes.extend_from_slice(line.as_bytes());
            starts.push(bytes.len());
        }
        Self { bytes, starts }
    }

    /// The same block as this sender sends it.
    pub fn of_sender(&self, sender: usize) -> Self {
        let mut own = self.clone();
        own.write_digits(format!("{sender:05}").as_bytes(), SENDER, TAIL_SENDER);
        own
    }

    /// The first line of this sender.
    pub fn line_of(&self, sender: usize) -> Vec<u8> {
        let first = Self { bytes: self.line(0).to_vec(), starts: self.starts[..2].to_vec() };
        first.of_sender(sender).bytes
    }

    /// Makes this block number `block` of its sender.
    pub fn renumber(&mut self, block: u64) {
        self.write_digits(format!("{block:07}").as_bytes(), BLOCK, TAIL_BLOCK);
    }

    fn write_digits(&mut self, digits: &[u8], at: Range<usize>, in_tail: Range<usize>) {
        for line in self.starts.windows(2) {
            let (start, tail) = (line[0], line[1] - TAIL);
            self.bytes[start + at.start..start + at.end].copy_from_slice(digits);
            self.bytes[tail + in_tail.start..tail + in_tail.end].copy_from_slice(digits);
        }
    }

    /// All lines of the block.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One line of the block, its end included.
    pub fn line(&self, index: usize) -> &[u8] {
        &self.bytes[self.starts[index]..self.starts[index + 1]]
    }

    /// Bytes of the first `lines` lines of any sender.
    pub fn length_of(&self, lines: u64) -> u64 {
        let rest = usize::try_from(lines % BLOCK_LINES).unwrap_or_default();
        lines / BLOCK_LINES * self.bytes.len() as u64 + self.starts[rest] as u64
    }

    /// Quotes in the first `lines` lines of any sender, whole blocks of them.
    pub fn quotes(&self, lines: u64) -> u64 {
        lines / BLOCK_LINES * memchr::memchr_iter(b'"', &self.bytes).count() as u64
    }

    /// Reads the file line by line and compares every byte of it.
    pub fn check(&self, path: &Path, senders: usize, lines_each: u64) -> Fallible<Verdict> {
        self.check_shaped(path, senders, lines_each, Shape::AsSent)
    }

    /// As [`check`](Self::check), for lines that stand like this in the file. Who tells numbers has one sender.
    pub fn check_shaped(&self, path: &Path, senders: usize, lines_each: u64, shape: Shape) -> Fallible<Verdict> {
        let mut file = File::open(path)?;
        let mut bytes = 0;
        let mut verdict = Verdict::default();
        let mut next = vec![0_u64; senders];
        let mut whole = 0;
        let mut take = |line: &[u8]| {
            let Some((line, told)) = shape.undress(line) else { return verdict.torn += 1 };
            bytes += line.len() as u64;
            match self.number_of(&line) {
                Some((sender, number))
                    if sender < senders && number < lines_each && told.is_none_or(|told| told == number + 1) =>
                {
                    whole += 1;
                    if number < next[sender] {
                        verdict.disordered += 1;
                    } else {
                        next[sender] = number + 1;
                    }
                }
                _ => verdict.torn += 1,
            }
        };
        let mut buffer = vec![0; 4 << 20];
        let mut held = 0;
        loop {
            let read = file.read(&mut buffer[held..])?;
            let filled = held + read;
            let mut from = 0;
            for end in memchr::memchr_iter(b'\n', &buffer[..filled]) {
                take(&buffer[from..=end]);
                from = end + 1;
            }
            // The end of the file without a newline, or four megabytes without one: what no sender has sent.
            if from < filled && (read == 0 || (from == 0 && filled == buffer.len())) {
                take(&buffer[from..filled]);
                from = filled;
            }
            if read == 0 {
                break;
            }
            buffer.copy_within(from..filled, 0);
            held = filled - from;
        }
        verdict.missing = (senders as u64 * lines_each).saturating_sub(whole);
        let sent = senders as u64 * self.length_of(lines_each);
        verdict.bytes_missing = sent.cast_signed() - bytes.cast_signed();
        Ok(verdict)
    }

    /// Sender and number of a line that is whole to the last byte.
    fn number_of(&self, line: &[u8]) -> Option<(usize, u64)> {
        let index = usize::try_from(digits(line.get(INDEX)?)?).ok()?;
        if index >= self.starts.len() - 1 {
            return None;
        }
        let meant = self.line(index);
        if line.len() != meant.len() {
            return None;
        }
        let (body, tail) = line.split_at(line.len() - TAIL);
        let (meant_body, meant_tail) = meant.split_at(meant.len() - TAIL);
        let same = body[..SENDER.start] == meant_body[..SENDER.start]
            && body[SENDER.end..BLOCK.start] == meant_body[SENDER.end..BLOCK.start]
            && body[BLOCK.end..] == meant_body[BLOCK.end..]
            && tail[TAIL_SENDER] == body[SENDER]
            && tail[TAIL_BLOCK] == body[BLOCK]
            && tail[TAIL_SENDER.end] == meant_tail[TAIL_SENDER.end]
            && tail[TAIL_BLOCK.end] == meant_tail[TAIL_BLOCK.end];
        if !same {
            return None;
        }
        let sender = usize::try_from(digits(&body[SENDER])?).ok()?;
        Some((sender, digits(&body[BLOCK])? * BLOCK_LINES + index as u64))
    }
}

fn digits(text: &[u8]) -> Option<u64> {
    text.iter().try_fold(0, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + u64::from(byte - b'0')))
}
