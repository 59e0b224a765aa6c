//! What is under way without acknowledgement: records as they go out, and where to go on after a cut.

use super::Framing;

/// Framed records of which a part is written.
#[derive(Debug, Default)]
pub struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
    /// Where records end.
    ends: Vec<usize>,
}

impl Outgoing {
    /// Appends a record. `ended`: it had a line end of its own.
    pub fn push(&mut self, record: &[u8], framing: Framing, ended: bool) {
        // A collector takes an octet count only before a `<`, and so does the RFC: everything else is a line (RFC 6587, 3.4).
        if framing == Framing::Syslog && record.first() == Some(&b'<') {
            self.bytes.extend_from_slice(format!("{} ", record.len()).as_bytes());
            self.bytes.extend_from_slice(record);
        } else {
            self.bytes.extend_from_slice(record);
            if ended {
                self.bytes.push(b'\n');
            }
        }
        self.ends.push(self.bytes.len());
    }

    /// What is to be written.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.bytes[self.written..]
    }

    /// Bytes to be written.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Whether nothing is to be written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// So many more bytes are written.
    pub fn wrote(&mut self, n: usize) {
        self.written += n;
        if self.is_empty() {
            self.bytes.clear();
            self.ends.clear();
            self.written = 0;
        }
    }

    /// The connection is gone: a record that is not wholly written is begun again on the next one.
    pub fn rewind(&mut self) {
        let whole = self.ends.partition_point(|end| *end <= self.written);
        self.written = whole.checked_sub(1).map_or(0, |last| self.ends[last]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_was_cut_is_begun_again() {
        let mut out = Outgoing::default();
        for record in ["one", "two", "three"] {
            out.push(record.as_bytes(), Framing::Lines, true);
        }
        out.wrote(2);
        out.rewind();
        assert_eq!(out.rest(), b"one\ntwo\nthree\n");
        out.wrote(4);
        out.rewind();
        assert_eq!(out.rest(), b"two\nthree\n");
        out.wrote(5);
        out.rewind();
        assert_eq!(out.rest(), b"three\n");
        out.wrote(6);
        assert!(out.is_empty());
        out.rewind();
        out.push(b"last", Framing::Lines, false);
        assert_eq!(out.rest(), b"last");
    }

    #[test]
    fn messages_are_counted_and_other_lines_stay_lines() {
        let mut out = Outgoing::default();
        out.push(b"<13>hi", Framing::Syslog, true);
        out.push(b"plain", Framing::Syslog, true);
        out.push(b"<1>", Framing::Lines, true);
        assert_eq!(out.rest(), b"6 <13>hiplain\n<1>\n");
    }
}
