//! What stands in front of a sender's records, made once for all that came at the same time.

use jiff::Timestamp;
use jiff::fmt::temporal::DateTimePrinter;

use super::json;
use super::pen::Meta;
use crate::escape::escape_str;
use crate::plan::{Field, Piece, Template};

/// With microseconds, so that all are of one length.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
/// Stands where there is no keyword: an empty word would shift the columns.
const NO_KEYWORD: &str = "-";

/// The text, without the number of the record.
#[derive(Debug, Default)]
pub struct Front {
    text: Vec<u8>,
    /// Where the number stands, in rising order.
    gaps: Vec<usize>,
}

impl Front {
    /// What `template` says.
    pub fn prefix(template: &Template, meta: &Meta, now: Timestamp) -> Self {
        let mut front = Self::default();
        for piece in template.pieces() {
            let text = &mut front.text;
            match piece {
                Piece::Text(written) => text.extend_from_slice(written.as_bytes()),
                Piece::Field(Field::Time) => time(text, now),
                // A server tells what it is, for a sender behind it.
                Piece::Field(Field::Peer) => text.extend_from_slice(escape_str(&meta.peer).as_bytes()),
                Piece::Field(Field::Keyword) => {
                    text.extend_from_slice(meta.keyword.as_deref().unwrap_or(NO_KEYWORD).as_bytes());
                }
                Piece::Field(Field::Stream) => text.extend_from_slice(meta.stream.as_bytes()),
                Piece::Field(Field::Number) => front.gaps.push(text.len()),
                // Those of paths, which no prefix has.
                Piece::Field(Field::PeerIp | Field::Date | Field::Hour) => {}
            }
        }
        front
    }

    /// The beginning of a JSON object, up to the number of the record.
    pub fn json(meta: &Meta, now: Timestamp) -> Self {
        let mut text = Vec::with_capacity(160);
        text.extend_from_slice(b"{\"time\":\"");
        time(&mut text, now);
        text.extend_from_slice(b"\",\"peer\":");
        json::string(&mut text, &meta.peer);
        text.extend_from_slice(b",\"keyword\":");
        json::string_or_null(&mut text, meta.keyword.as_deref());
        text.extend_from_slice(b",\"stream\":");
        json::string(&mut text, &meta.stream);
        text.extend_from_slice(b",\"connection\":");
        json::number(&mut text, meta.connection);
        text.extend_from_slice(b",\"sequence\":");
        let gaps = vec![text.len()];
        Self { text, gaps }
    }

    /// Appends it for record `n`.
    pub fn write(&self, n: u64, out: &mut Vec<u8>) {
        let mut from = 0;
        for gap in &self.gaps {
            out.extend_from_slice(&self.text[from..*gap]);
            json::number(out, n);
            from = *gap;
        }
        out.extend_from_slice(&self.text[from..]);
    }
}

fn time(out: &mut Vec<u8>, now: Timestamp) {
    // A `Vec` takes everything.
    let _ = TIME.print_timestamp(&now, out);
}
