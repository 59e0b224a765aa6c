//! The shape of records: as they came, with text in front, or as JSON.

use std::sync::Arc;

use jiff::Timestamp;

use super::Batch;
use super::records::{End, Records};
use crate::plan::Format;

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

/// Writes the records of one sender into a batch, in the shape that the stream has.
#[derive(Debug)]
pub struct Pen<'a> {
    batch: &'a mut Batch,
    #[expect(dead_code, reason = "shapes")]
    format: &'a Format,
    #[expect(dead_code, reason = "shapes")]
    meta: &'a Meta,
    #[expect(dead_code, reason = "shapes")]
    now: Timestamp,
}

impl<'a> Pen<'a> {
    /// A pen for what came from the sender of `meta` at `now`.
    pub fn new(batch: &'a mut Batch, format: &'a Format, meta: &'a Meta, now: Timestamp) -> Self {
        Self { batch, format, meta, now }
    }
}

impl Records for Pen<'_> {
    fn lines(&mut self, lines: &[u8]) {
        self.batch.lines(lines);
    }

    fn record(&mut self, text: [&[u8]; 2], end: End) {
        self.batch.record(text, end);
    }

    fn chunk(&mut self, bytes: &[u8]) {
        self.batch.chunk(bytes);
    }
}
