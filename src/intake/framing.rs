//! Bytes become records: pure, chunk by chunk, with at most one unfinished record in memory.

use crate::plan::Framing;
use crate::sink::Batch;

/// A buffer this small is kept between records; a larger one is given back, so that a thousand idle senders cost little.
const KEPT: usize = 4096;

/// One sender's framing. Any way of cutting the same bytes into chunks gives the same records.
#[derive(Debug)]
pub struct Framer {
    framing: Framing,
    max_line: usize,
    /// The record that is not finished yet; shorter than `max_line`.
    partial: Vec<u8>,
    /// The unfinished record is the rest of one that was split.
    splitting: bool,
}

/// What a call made.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Made {
    /// Records that are complete now. The pieces of an over-long one count one each, as they are lines in the file.
    pub records: u64,
    /// Over-long records; each counts once.
    pub split: u64,
}

impl Framer {
    /// `max_line`: the longest record in bytes, its line end included; at least 2.
    #[must_use]
    pub fn new(framing: Framing, max_line: usize) -> Self {
        Self { framing, max_line: max_line.max(2), partial: Vec::new(), splitting: false }
    }

    /// Bytes of the unfinished record.
    #[must_use]
    pub fn held(&self) -> usize {
        self.partial.len()
    }

    /// Takes the next bytes and appends the records they complete to `out`.
    pub fn feed(&mut self, input: &[u8], out: &mut Batch) -> Made {
        let mut made = Made::default();
        match self.framing {
            Framing::Raw => {
                out.payload(input);
                made.records += u64::from(!input.is_empty());
            }
            Framing::Lines => self.feed_lines(input, out, &mut made),
        }
        made
    }

    fn feed_lines(&mut self, mut input: &[u8], out: &mut Batch, made: &mut Made) {
        if !self.partial.is_empty() {
            input = self.complete_partial(input, out, made);
        }
        let Some(last) = memchr::memrchr(b'\n', input) else {
            return self.keep(input, out, made);
        };
        let (lines, rest) = input.split_at(last + 1);
        if lines.len() <= self.max_line {
            // No line among them can be too long: they go on as they are.
            out.payload(lines);
            made.records += memchr::memchr_iter(b'\n', lines).count() as u64;
        } else {
            for line in lines.split_inclusive(|b| *b == b'\n') {
                let end = self.split_long(line, out, made);
                out.payload(end);
                made.records += 1;
                self.splitting = false;
            }
        }
        self.keep(rest, out, made);
    }

    /// Finishes the unfinished record if `input` has its end; returns what follows it.
    fn complete_partial<'a>(&mut self, input: &'a [u8], out: &mut Batch, made: &mut Made) -> &'a [u8] {
        let (head, rest) = match memchr::memchr(b'\n', input) {
            Some(end) => input.split_at(end + 1),
            None => return input,
        };
        if self.partial.len() + head.len() <= self.max_line {
            out.payload(&self.partial);
            out.payload(head);
            self.release();
            made.records += 1;
            self.splitting = false;
            return rest;
        }
        let head = self.fill_and_split(head, out, made);
        let end = self.split_long(head, out, made);
        out.payload(end);
        made.records += 1;
        self.splitting = false;
        rest
    }

    /// Keeps `rest`, which has no line end, for the next call.
    fn keep(&mut self, rest: &[u8], out: &mut Batch, made: &mut Made) {
        let mut rest = rest;
        // A piece is full at `max_line - 1` bytes, its line end being ours; it goes out when one more byte proves that
        // its own does not follow.
        if self.partial.len() + rest.len() >= self.max_line {
            rest = self.fill_and_split(rest, out, made);
            rest = self.split_long(rest, out, made);
        }
        self.partial.extend_from_slice(rest);
    }

    /// Tops the partial record up to a full piece from `input`, emits it and returns the rest of `input`.
    fn fill_and_split<'a>(&mut self, input: &'a [u8], out: &mut Batch, made: &mut Made) -> &'a [u8] {
        if self.partial.is_empty() {
            return input;
        }
        let (head, rest) = input.split_at(self.max_line - 1 - self.partial.len());
        out.payload(&self.partial);
        out.payload(head);
        self.release();
        self.note_piece(out, made);
        rest
    }

    /// Emits full pieces of `line` until what is left fits, and returns that.
    fn split_long<'a>(&mut self, line: &'a [u8], out: &mut Batch, made: &mut Made) -> &'a [u8] {
        let mut line = line;
        // With its own end a line may have `max_line` bytes, without one less.
        while line.len() > self.max_line || (line.len() == self.max_line && line.last() != Some(&b'\n')) {
            let (piece, rest) = line.split_at(self.max_line - 1);
            out.payload(piece);
            self.note_piece(out, made);
            line = rest;
        }
        line
    }

    fn note_piece(&mut self, out: &mut Batch, made: &mut Made) {
        out.added(b"\n");
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

    /// Emits the unfinished record as a piece of its own, so that its memory is free. Counts as a split.
    pub fn relieve(&mut self, out: &mut Batch) -> Made {
        let mut made = Made::default();
        if !self.partial.is_empty() {
            out.payload(&self.partial);
            self.partial = Vec::new();
            self.note_piece(out, &mut made);
        }
        made
    }

    /// The sender has ended, in whatever way: its last line gets the end that it lacks.
    pub fn finish(&mut self, out: &mut Batch) -> Made {
        let mut made = Made::default();
        if !self.partial.is_empty() {
            out.payload(&self.partial);
            out.added(b"\n");
            self.partial = Vec::new();
            made.records = 1;
        }
        self.splitting = false;
        made
    }
}

/// Appends one datagram to `out`: one record, whatever is in it. One that is too long is split, its line end included, as
/// by [`Framer`].
pub fn datagram(framing: Framing, max_line: usize, bytes: &[u8], out: &mut Batch) -> Made {
    if framing == Framing::Raw {
        out.payload(bytes);
        return Made { records: 1, split: 0 };
    }
    let (mut made, mut rest, max_line) = (Made::default(), bytes, max_line.max(2));
    while rest.len() > max_line || (rest.len() == max_line && rest.last() != Some(&b'\n')) {
        let (piece, others) = rest.split_at(max_line - 1);
        made.split = 1;
        rest = others;
        end_of_record(piece, out, &mut made);
    }
    end_of_record(rest, out, &mut made);
    made
}

fn end_of_record(piece: &[u8], out: &mut Batch, made: &mut Made) {
    out.payload(piece);
    if piece.last() != Some(&b'\n') {
        out.added(b"\n");
    }
    made.records += 1;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn run(framing: Framing, max_line: usize, chunks: &[&[u8]]) -> (Vec<u8>, Made, u64) {
        let (mut framer, mut out, mut sum) = (Framer::new(framing, max_line), Batch::default(), Made::default());
        for chunk in chunks {
            let made = framer.feed(chunk, &mut out);
            sum = Made { records: sum.records + made.records, split: sum.split + made.split };
            assert!(framer.held() < max_line, "{} held", framer.held());
        }
        let made = framer.finish(&mut out);
        let added = out.account(0, out.len()).1;
        (out.bytes().to_vec(), Made { records: sum.records + made.records, split: sum.split + made.split }, added)
    }

    #[test]
    fn a_stream_that_ends_with_a_newline_gets_exactly_its_bytes() {
        let (bytes, made, added) = run(Framing::Lines, 1024, &[b"one\ntw", b"o\n\nthree\r\n"]);
        assert_eq!(bytes, b"one\ntwo\n\nthree\r\n");
        assert_eq!((made.records, made.split, added), (4, 0, 0));
    }

    #[test]
    fn a_missing_last_newline_is_added_at_the_end_of_the_stream() {
        assert_eq!(
            run(Framing::Lines, 1024, &[b"one\ntwo"]),
            (b"one\ntwo\n".to_vec(), Made { records: 2, split: 0 }, 1)
        );
    }

    #[test]
    fn an_over_long_record_is_split_counted_once_and_never_dropped() {
        // Seven bytes and their end do not fit into five: pieces of four and an end of our own.
        let (bytes, made, added) = run(Framing::Lines, 5, &[b"1234567\nabcd\nx"]);
        assert_eq!(bytes, b"1234\n567\nabcd\nx\n");
        assert_eq!((made.records, made.split, added), (4, 1, 2));
    }

    #[test]
    fn raw_bytes_pass_as_they_are() {
        let (bytes, made, added) = run(Framing::Raw, 5, &[b"123456789", b"", b"\nx"]);
        assert_eq!((bytes.as_slice(), made.records, made.split, added), (b"123456789\nx".as_slice(), 2, 0, 0));
    }

    #[test]
    fn relief_frees_the_memory_and_goes_on_with_the_rest() {
        let (mut framer, mut out) = (Framer::new(Framing::Lines, 100), Batch::default());
        framer.feed(b"long ", &mut out);
        assert_eq!(framer.relieve(&mut out), Made { records: 1, split: 1 });
        assert_eq!(framer.held(), 0);
        assert_eq!(framer.feed(b"line\nnext", &mut out), Made { records: 1, split: 0 });
        framer.finish(&mut out);
        assert_eq!(out.bytes(), b"long \nline\nnext\n");
    }

    /// The rule in its plainest words: cut at line ends, then every line into pieces.
    fn model(input: &[u8], max_line: usize) -> (Vec<u8>, Made) {
        let (mut bytes, mut made) = (Vec::new(), Made::default());
        for line in input.split_inclusive(|b| *b == b'\n') {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let pieces: Vec<&[u8]> = if text.is_empty() { vec![text] } else { text.chunks(max_line - 1).collect() };
            made.split += u64::from(pieces.len() > 1);
            for piece in pieces {
                bytes.extend_from_slice(piece);
                bytes.push(b'\n');
                made.records += 1;
            }
        }
        (bytes, made)
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_records_of_the_plain_rule(
            input in prop::collection::vec(prop_oneof![4 => Just(b'a'), 1 => Just(b'\n')], 0..400),
            cuts in prop::collection::vec(0usize..400, 0..20),
            max_line in 2usize..40,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(input.len())).chain([0, input.len()]).collect();
            cuts.sort_unstable();
            let chunks: Vec<&[u8]> = cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect();
            let (bytes, made, added) = run(Framing::Lines, max_line, &chunks);
            let (expected, expected_made) = model(&input, max_line);
            prop_assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(&expected));
            prop_assert_eq!(made, expected_made);
            prop_assert_eq!(bytes.len() as u64, input.len() as u64 + added);
        }
    }
}
