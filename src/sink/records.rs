//! How framing hands records over.

use super::Batch;

/// How a record ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With the LF that the sender sent.
    Theirs,
    /// With one of ours.
    Ours,
}

/// Takes records, in order.
pub trait Records {
    /// Whole lines, one or more, each with the LF that the sender sent.
    fn lines(&mut self, lines: &[u8]);

    /// One record: its text, in two parts, and its end. The text may hold LFs.
    fn record(&mut self, text: [&[u8]; 2], end: End);

    /// Bytes that begin and end in the middle of anything.
    fn chunk(&mut self, bytes: &[u8]);
}

/// As they came.
impl Records for Batch {
    fn lines(&mut self, lines: &[u8]) {
        self.payload(lines);
    }

    fn record(&mut self, text: [&[u8]; 2], end: End) {
        let (from, payload) = (self.len(), text[0].len() + text[1].len() + usize::from(end == End::Theirs));
        self.written(payload, |out| {
            for part in text {
                out.extend_from_slice(part);
            }
            out.push(b'\n');
        });
        self.one_record(from);
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.payload(bytes);
    }
}
