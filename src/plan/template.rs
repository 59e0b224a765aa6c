//! Text with placeholders in braces: the front of records, and the names of files.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What stands in the place of a placeholder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// When the record came, RFC 3339 in UTC.
    Time,
    /// The sender, `ip:port`.
    Peer,
    /// Its address alone.
    PeerIp,
    /// The name of the keyword that it knew.
    Keyword,
    /// The stream.
    Stream,
    /// The record's number in its connection, from 1.
    Number,
    /// The day, local time.
    Date,
    /// The hour of the day, local time.
    Hour,
}

impl Field {
    /// As written between braces.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Time => "time",
            Self::Peer => "peer",
            Self::PeerIp => "peer_ip",
            Self::Keyword => "keyword",
            Self::Stream => "stream",
            Self::Number => "n",
            Self::Date => "date",
            Self::Hour => "hour",
        }
    }
}

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A placeholder.
    Field(Field),
}

/// Placeholders of `prefix`.
const OF_PREFIX: [Field; 5] = [Field::Time, Field::Peer, Field::Keyword, Field::Stream, Field::Number];
/// Placeholders of `out`.
const OF_PATH: [Field; 5] = [Field::PeerIp, Field::Keyword, Field::Stream, Field::Date, Field::Hour];

/// Text with placeholders, found sound.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Template {
    written: String,
    pieces: Vec<Piece>,
}

impl Template {
    /// What stands in front of a record.
    ///
    /// # Errors
    /// A sentence about a brace that is unknown or not closed, or a line end.
    pub fn prefix(written: &str) -> Result<Self, String> {
        if written.contains(['\n', '\r', '\0']) {
            return Err("a prefix is one line".into());
        }
        Self::parse(written, &OF_PREFIX)
    }

    /// The path of a file.
    ///
    /// # Errors
    /// A sentence about a brace that is unknown or not closed.
    pub fn path(written: &str) -> Result<Self, String> {
        Self::parse(written, &OF_PATH)
    }

    fn parse(written: &str, known: &[Field]) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = written;
        while let Some(open) = rest.find(['{', '}']) {
            let (text, from) = rest.split_at(open);
            if !text.is_empty() {
                pieces.push(Piece::Text(text.to_owned()));
            }
            let Some(inside) = from.strip_prefix('{') else {
                return Err("a `}` has no `{` before it".into());
            };
            let Some(close) = inside.find(['{', '}']).filter(|at| inside.as_bytes()[*at] == b'}') else {
                return Err("a `{` is not closed".into());
            };
            let name = &inside[..close];
            let Some(field) = known.iter().find(|field| field.as_str() == name) else {
                let all: Vec<String> = known.iter().map(|field| format!("{{{}}}", field.as_str())).collect();
                return Err(format!("{{{name}}} is no placeholder here; there are {}", all.join(", ")));
            };
            pieces.push(Piece::Field(*field));
            rest = &inside[close + 1..];
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { written: written.to_owned(), pieces })
    }

    /// The parts, in order; no two texts in a row.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Whether `field` is among them.
    #[must_use]
    pub fn has(&self, field: Field) -> bool {
        self.pieces.contains(&Piece::Field(field))
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.written)
    }
}

impl TryFrom<String> for Template {
    type Error = String;

    /// The kinds of placeholders were looked at when it was made.
    fn try_from(written: String) -> Result<Self, String> {
        Self::parse(&written, &[OF_PREFIX, OF_PATH].concat())
    }
}

impl From<Template> for String {
    fn from(template: Template) -> Self {
        template.written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_template_has_only_the_placeholders_of_its_place() {
        let prefix = Template::prefix("{time} {peer}: ").unwrap();
        let text = |t: &str| Piece::Text(t.into());
        assert_eq!(prefix.pieces(), [Piece::Field(Field::Time), text(" "), Piece::Field(Field::Peer), text(": ")]);
        assert!(prefix.has(Field::Peer) && !prefix.has(Field::Number));
        assert!(Template::path("/logs/{peer_ip}/{date}.log").is_ok());
        for (wrong, why) in [
            ("{peer_ip}", "{peer_ip} is no placeholder here; there are {time}, {peer}, {keyword}, {stream}, {n}"),
            ("{}", "{} is no placeholder here; there are {time}, {peer}, {keyword}, {stream}, {n}"),
            ("a{time", "a `{` is not closed"),
            ("{ti{me}", "a `{` is not closed"),
            ("a}", "a `}` has no `{` before it"),
            ("a\nb", "a prefix is one line"),
        ] {
            assert_eq!(Template::prefix(wrong).unwrap_err(), why, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn what_parses_is_put_together_again_as_it_was(text in "([a-z/ é]|\\{|\\}|\\{time\\}|\\{n\\}|\\{stream\\}){0,12}") {
            if let Ok(template) = Template::prefix(&text) {
                let again: String = template.pieces().iter().map(|piece| match piece {
                    Piece::Text(text) => text.clone(),
                    Piece::Field(field) => format!("{{{}}}", field.as_str()),
                }).collect();
                prop_assert_eq!(again, text);
            }
        }
    }
}
