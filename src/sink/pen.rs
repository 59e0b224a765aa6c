//! The shape of records: as they came, with text in front, or as JSON.

use std::borrow::Cow;
use std::sync::Arc;

use jiff::Timestamp;

use super::front::Front;
use super::records::{End, Records};
use super::{Batch, json};
use crate::plan::Format;
use crate::syslog;

/// What is known about the records of one sender.
#[derive(Debug, Clone)]
pub struct Meta {
    /// `ip:port`, or what stands for it.
    pub peer: String,
    /// The name of the keyword that it knew.
    pub keyword: Option<Arc<str>>,
    /// The stream.
    pub stream: Arc<str>,
    /// Which of the stream's senders it is.
    pub connection: u64,
    /// Records that it had delivered before this pen was taken up.
    pub records: u64,
}

/// What the records of a stream are to look like.
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// The shape.
    pub format: &'a Format,
    /// Records are syslog: in JSON, what they say stands beside them.
    pub syslog: bool,
}

/// Writes the records of one sender into a batch, in the shape that the stream has.
///
/// In every shape each byte of a sender has a byte that stands for it, so that the account of a batch holds wherever a
/// write ends.
#[derive(Debug)]
pub struct Pen<'a> {
    batch: &'a mut Batch,
    format: &'a Format,
    meta: &'a Meta,
    now: Timestamp,
    /// Made for the first record.
    front: Option<Front>,
    /// The number of the last record.
    n: u64,
    syslog: bool,
}

impl<'a> Pen<'a> {
    /// A pen for what came from the sender of `meta` at `now`.
    pub fn new(batch: &'a mut Batch, look: Look<'a>, meta: &'a Meta, now: Timestamp) -> Self {
        let Look { format, syslog } = look;
        Self { batch, format, meta, now, front: None, n: meta.records, syslog }
    }

    /// One record as JSON. `text` is [`valid`] where that is known; `end`: bytes of its line end that the sender sent.
    fn object(&mut self, text: &[u8], valid: Option<&str>, end: usize) {
        self.n += 1;
        let front = self.front.get_or_insert_with(|| Front::json(self.meta, self.now));
        let (n, syslog) = (self.n, self.syslog);
        self.batch.written(text.len() + end, |out| {
            front.write(n, out);
            if let Some(text) = valid {
                out.extend_from_slice(b",\"record\":");
                json::string(out, text);
            } else {
                out.extend_from_slice(b",\"record_base64\":");
                json::base64(out, text);
            }
            if syslog {
                let text = valid.map_or_else(|| String::from_utf8_lossy(text), Cow::Borrowed);
                if let Some(said) = syslog::parse(&text) {
                    out.extend_from_slice(b",\"syslog\":");
                    json::syslog(out, &said);
                }
            }
            out.extend_from_slice(b"}\n");
        });
    }
}

impl Records for Pen<'_> {
    fn lines(&mut self, lines: &[u8]) {
        match self.format {
            Format::Raw => self.batch.lines(lines),
            Format::Prefix(template) => {
                let front = self.front.get_or_insert_with(|| Front::prefix(template, self.meta, self.now));
                let mut from = 0;
                for end in memchr::memchr_iter(b'\n', lines) {
                    self.n += 1;
                    self.batch.after(|out| front.write(self.n, out), &lines[from..=end]);
                    from = end + 1;
                }
            }
            Format::Json => {
                // Valid all together, which is quick to see, they are one by one: no character goes across a line end.
                let all = std::str::from_utf8(lines).ok();
                let mut from = 0;
                for end in memchr::memchr_iter(b'\n', lines) {
                    let text = &lines[from..end];
                    let valid = all.map_or_else(|| std::str::from_utf8(text).ok(), |all| Some(&all[from..end]));
                    self.object(text, valid, 1);
                    from = end + 1;
                }
            }
        }
    }

    fn record(&mut self, text: [&[u8]; 2], end: End) {
        match self.format {
            Format::Raw => self.batch.record(text, end),
            Format::Prefix(template) => {
                let front = self.front.get_or_insert_with(|| Front::prefix(template, self.meta, self.now));
                self.n += 1;
                let from = self.batch.len();
                self.batch.after(|out| front.write(self.n, out), text[0]);
                self.batch.payload(text[1]);
                match end {
                    End::Theirs => self.batch.payload(b"\n"),
                    End::Ours => self.batch.added(b"\n"),
                }
                self.batch.one_record(from);
            }
            Format::Json => {
                // Both parts hold something only where a record came in pieces.
                let text: Cow<[u8]> = match text {
                    [text, []] | [[], text] => text.into(),
                    both => both.concat().into(),
                };
                self.object(&text, std::str::from_utf8(&text).ok(), usize::from(end == End::Theirs));
            }
        }
    }

    fn chunk(&mut self, bytes: &[u8]) {
        match self.format {
            // Where records have no ends there is no place in front of them.
            Format::Raw | Format::Prefix(_) => self.batch.chunk(bytes),
            Format::Json => self.object(bytes, std::str::from_utf8(bytes).ok(), 0),
        }
    }
}

#[cfg(test)]
#[path = "pen_tests.rs"]
mod tests;
