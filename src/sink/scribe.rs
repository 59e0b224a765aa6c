//! The shape of records for a syslog daemon: as they came if they are messages, else as RFC 5424. One message a line.

use jiff::Timestamp;

use super::Batch;
use super::pen::Meta;
use super::records::{End, Records};
use crate::syslog::format;

/// Bytes of a priority: `<191>`.
const PRIORITY: usize = 5;

/// Writes the records of one sender into a batch, each as one record of it.
#[derive(Debug)]
pub struct Scribe<'a> {
    batch: &'a mut Batch,
    /// What stands before a record that has no head of its own.
    head: String,
}

impl<'a> Scribe<'a> {
    /// For what came from the sender of `meta` at `now`. The keyword that it knew names the app, else the stream does.
    pub fn new(batch: &'a mut Batch, meta: &Meta, now: Timestamp) -> Self {
        let app = meta.keyword.as_deref().unwrap_or(&meta.stream);
        Self { batch, head: format::head(now, &meta.peer, app) }
    }
}

impl Records for Scribe<'_> {
    fn lines(&mut self, lines: &[u8]) {
        for line in lines.split_inclusive(|b| *b == b'\n') {
            self.record([line.strip_suffix(b"\n").unwrap_or(line), b""], End::Theirs);
        }
    }

    fn record(&mut self, text: [&[u8]; 2], end: End) {
        // A priority may come in two parts.
        let begin: Vec<u8> = text.iter().flat_map(|part| part.iter().take(PRIORITY)).copied().collect();
        let from = self.batch.len();
        if !format::is_message(&begin) {
            self.batch.added(self.head.as_bytes());
        }
        self.batch.payload(text[0]);
        self.batch.payload(text[1]);
        match end {
            End::Theirs => self.batch.payload(b"\n"),
            End::Ours => self.batch.added(b"\n"),
        }
        self.batch.one_record(from);
    }

    fn chunk(&mut self, bytes: &[u8]) {
        // Raw bytes have no records: what came at once is one. `profile` refuses it.
        self.record([bytes, b""], End::Ours);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_message_stays_and_a_line_gets_a_head_that_is_ours() {
        let meta = Meta {
            peer: "192.0.2.1:9".into(),
            keyword: Some(Arc::from("nginx")),
            stream: "main".into(),
            connection: 1,
            records: 0,
        };
        let mut batch = Batch::default();
        let mut scribe = Scribe::new(&mut batch, &meta, Timestamp::UNIX_EPOCH);
        scribe.lines(b"one\n<34>two\n");
        scribe.record([b"<3", b"4>th\nree"], End::Ours);
        scribe.record([b"", b""], End::Theirs);
        let head = "<13>1 1970-01-01T00:00:00.000000Z 192.0.2.1 nginx - - - ";
        let text = format!("{head}one\n<34>two\n<34>th\nree\n{head}\n");
        assert_eq!(String::from_utf8_lossy(batch.bytes()), text);
        assert_eq!(batch.records_after(0, true), 4);
        let payload = "one\n<34>two\n<34>th\nree\n".len() as u64;
        assert_eq!(batch.account(0, batch.len()), (payload, text.len() as u64 - payload));
    }
}
