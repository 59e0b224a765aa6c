//! What lines say about themselves, in the places where a stream's format has it.

use jiff::Timestamp;
use regex::bytes::Regex;
use serde::Deserialize;

use crate::plan::{Field, Piece, Template};

/// A time as it is written in front of records: microseconds, UTC.
const TIME: &str = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z";
/// Bytes of it.
const TIME_LENGTH: usize = "2026-11-21T00:41:28.123456Z".len();
/// An address with its port.
const ADDRESS: &str = r"(?:[0-9.]{7,15}|\[[0-9A-Fa-f:.]+(?:%[0-9A-Za-z_.-]+)?\]):[0-9]{1,5}";
/// How a record in JSON begins.
const OPEN: &[u8] = b"{\"time\":\"";
/// What stands between its time and its peer.
const BETWEEN: &[u8] = b"\",\"peer\":\"";
/// Bytes at the beginning of a line in which a prefix is looked for; a longer one tells nothing.
const FRONT: usize = 4096;

/// Where a line of a stream says when its record came, and from whom.
#[derive(Debug, Clone)]
pub struct Columns(Shape);

#[derive(Debug, Clone)]
enum Shape {
    /// The line is the record.
    Raw,
    /// With groups `time` and `peer` where the template has them.
    Prefix(Regex),
    Json,
}

/// What a line says about itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// When its record came.
    pub time: Option<Timestamp>,
    /// Who sent it, as the line has it.
    pub peer: Option<String>,
}

/// The keys of a record in JSON that are asked for.
#[derive(Default, Deserialize)]
struct Keys {
    #[serde(default)]
    time: Option<String>,
    #[serde(default)]
    peer: Option<String>,
}

/// Two that read alike.
impl PartialEq for Columns {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Shape::Raw, Shape::Raw) | (Shape::Json, Shape::Json) => true,
            (Shape::Prefix(one), Shape::Prefix(two)) => one.as_str() == two.as_str(),
            _ => false,
        }
    }
}

impl Columns {
    /// Of a stream with `format` (`raw`, `prefix` or `json`); `prefix` is the template of the second. What is not known is
    /// looked at as raw.
    #[must_use]
    pub fn new(format: &str, prefix: Option<&str>) -> Self {
        let regex = || {
            let template = Template::prefix(prefix?).ok()?;
            Regex::new(&front(template.pieces())).ok()
        };
        Self(match format {
            "prefix" => regex().map_or(Shape::Raw, Shape::Prefix),
            "json" => Shape::Json,
            _ => Shape::Raw,
        })
    }

    /// Reads a line without its LF. A line that has not the shape (written before the stream got it) says nothing.
    #[must_use]
    pub fn read(&self, line: &[u8]) -> Fields {
        match &self.0 {
            Shape::Raw => Fields::default(),
            Shape::Prefix(regex) => {
                let Some(found) = regex.captures(&line[..line.len().min(FRONT)]) else { return Fields::default() };
                let text = |name| Some(std::str::from_utf8(found.name(name)?.as_bytes()).ok()?.to_owned());
                Fields { time: text("time").and_then(|time| time.parse().ok()), peer: text("peer") }
            }
            Shape::Json => written_here(line).or_else(|| any_json(line)).unwrap_or_default(),
        }
    }
}

/// A regular expression for what `pieces` become in front of a record.
fn front(pieces: &[Piece]) -> String {
    let mut regex = String::from("^");
    let (mut time, mut peer) = (false, false);
    for (n, piece) in pieces.iter().enumerate() {
        let last = n + 1 == pieces.len();
        // Where text follows, a word without a shape of its own ends before it, as early as the rest allows.
        let word = if last { "" } else { ".*?" };
        let part = match piece {
            Piece::Text(text) => regex::escape(text),
            Piece::Field(Field::Time) if std::mem::replace(&mut time, true) => TIME.into(),
            Piece::Field(Field::Time) => format!("(?P<time>{TIME})"),
            Piece::Field(Field::Peer) if peer => format!("(?:{ADDRESS}|{word})"),
            Piece::Field(Field::Peer) => {
                peer = true;
                if last { format!("(?:(?P<peer>{ADDRESS})|)") } else { format!("(?P<peer>{ADDRESS}|{word})") }
            }
            Piece::Field(Field::Number) => "[0-9]+".into(),
            Piece::Field(_) => word.into(),
        };
        regex.push_str(&part);
    }
    regex
}

/// A record in JSON begins always alike: a look at the beginning is enough.
fn written_here(line: &[u8]) -> Option<Fields> {
    let rest = line.strip_prefix(OPEN)?;
    let (time, rest) = rest.split_at_checked(TIME_LENGTH)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    let rest = rest.strip_prefix(BETWEEN)?;
    let end = end_of_string(rest)?;
    // With its opening quote.
    let quoted = &line[line.len() - rest.len() - 1..][..end + 2];
    let peer = serde_json::from_slice(quoted).ok()?;
    Some(Fields { time: Some(time), peer: Some(peer) })
}

/// Where the closing quote is.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + memchr::memchr2(b'"', b'\\', text.get(from..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        from = at + 2;
    }
}

/// An object with these keys in any order.
fn any_json(line: &[u8]) -> Option<Fields> {
    line.first().filter(|first| **first == b'{')?;
    let Keys { time, peer } = serde_json::from_slice(line).ok()?;
    Some(Fields { time: time.and_then(|time| time.parse().ok()), peer })
}

#[cfg(test)]
#[path = "columns_tests.rs"]
mod tests;
