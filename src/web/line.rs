//! A line as JSON. Pure.

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::sources::Source;
use crate::history::Pattern;

/// Bytes of a line that a page is given; all of it comes with a download.
pub const CUT: usize = 16 * 1024;

/// How lines are told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Shape<'a> {
    /// What was looked for.
    pub pattern: Option<&'a Pattern>,
    /// Longer lines are cut to [`CUT`] bytes.
    pub cut: bool,
    /// When it was seen to come, RFC 3339.
    pub arrived: Option<&'a str>,
}

/// One line of `source` that begins at `offset`; `bytes` without LF, or the beginning of a line of `length` bytes.
#[must_use]
pub fn line(source: &Source, offset: u64, bytes: &[u8], length: u64, shape: Shape<'_>) -> Map<String, Value> {
    let mut out = Map::new();
    let mut put = |key: &str, value: Value| drop(out.insert(key.into(), value));
    put("collector", source.collector.as_str().into());
    put("stream", source.stream.as_str().into());
    if let Some(file) = &source.file {
        put("file", file.as_str().into());
    }
    put("offset", offset.into());
    let fields = source.columns.read(bytes);
    put("time", fields.time.map_or(Value::Null, |time| time.to_string().into()));
    if let Some(arrived) = shape.arrived.filter(|_| fields.time.is_none()) {
        put("arrived", arrived.into());
    }
    if let Some(peer) = fields.peer {
        put("peer", peer.into());
    }
    let shown = if shape.cut { &bytes[..cut(bytes)] } else { bytes };
    match std::str::from_utf8(shown) {
        Ok(text) => put("text", text.into()),
        Err(_) => put("text_base64", STANDARD.encode(shown).into()),
    }
    if (shown.len() as u64) < length {
        put("cut", length.into());
    }
    let hits = shape.pattern.map(|pattern| pattern.hits(shown)).unwrap_or_default();
    if !hits.is_empty() {
        put("hits", hits.into_iter().map(|(from, to)| Value::from(vec![from, to])).collect());
    }
    out
}

/// As [`line`], as text.
pub fn write(out: &mut Vec<u8>, source: &Source, (offset, length): (u64, u64), bytes: &[u8], shape: Shape<'_>) {
    let fields = source.columns.read(bytes);
    key(out, b"{\"collector\":", &source.collector);
    key(out, b",\"stream\":", &source.stream);
    if let Some(file) = &source.file {
        key(out, b",\"file\":", file);
    }
    // To a vector everything can be written.
    let _ = write!(out, ",\"offset\":{offset},\"time\":");
    let _ = match fields.time {
        Some(time) => write!(out, "\"{time}\""),
        None => out.write_all(b"null"),
    };
    if let Some(arrived) = shape.arrived.filter(|_| fields.time.is_none()) {
        key(out, b",\"arrived\":", arrived);
    }
    if let Some(peer) = &fields.peer {
        key(out, b",\"peer\":", peer);
    }
    let shown = if shape.cut { &bytes[..cut(bytes)] } else { bytes };
    match std::str::from_utf8(shown) {
        Ok(text) => key(out, b",\"text\":", text),
        Err(_) => key(out, b",\"text_base64\":", &STANDARD.encode(shown)),
    }
    if (shown.len() as u64) < length {
        let _ = write!(out, ",\"cut\":{length}");
    }
    out.push(b'}');
    if let Some(pattern) = shape.pattern {
        mark(out, shown, pattern);
    }
}

/// Adds to the JSON of a line, which ends `out`, where `pattern` hits it; the line is cut as a page is given it.
pub fn add_hits(out: &mut Vec<u8>, bytes: &[u8], pattern: &Pattern) {
    mark(out, &bytes[..cut(bytes)], pattern);
}

fn mark(out: &mut Vec<u8>, shown: &[u8], pattern: &Pattern) {
    let hits = pattern.hits(shown);
    if hits.is_empty() {
        return;
    }
    out.pop();
    for (n, (from, to)) in hits.into_iter().enumerate() {
        let _ = write!(out, "{}[{from},{to}]", if n == 0 { ",\"hits\":[" } else { "," });
    }
    out.extend_from_slice(b"]}");
}

fn key(out: &mut Vec<u8>, key: &[u8], value: &str) {
    out.extend_from_slice(key);
    // Text is always written.
    let _ = serde_json::to_writer(out, value);
}

/// Where a line is cut: not in the middle of a character.
fn cut(bytes: &[u8]) -> usize {
    if bytes.len() <= CUT {
        return bytes.len();
    }
    // A character has four bytes at most.
    (CUT - 3..=CUT).rev().find(|at| bytes[*at] & 0xc0 != 0x80).unwrap_or(CUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        let text = "é".repeat(CUT);
        assert!(std::str::from_utf8(&text.as_bytes()[..cut(text.as_bytes())]).is_ok());
        let odd = format!("x{text}");
        assert!(std::str::from_utf8(&odd.as_bytes()[..cut(odd.as_bytes())]).is_ok());
        assert_eq!((cut(b"short"), cut(&vec![b'x'; CUT + 1])), (5, CUT));
    }
}
