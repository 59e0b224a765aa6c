//! Text with placeholders in braces: the front of records, and the names of files.

use std::fmt;
use std::path::Path;

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

impl Field {
    /// Bytes that it has in the name of a file, at most.
    fn longest(self) -> usize {
        match self {
            // As names of streams and keywords are; what stands for an address is cut to it.
            Self::PeerIp | Self::Keyword | Self::Stream => 64,
            Self::Date => 10,
            Self::Hour => 2,
            Self::Time | Self::Peer | Self::Number => 0,
        }
    }
}

/// Bytes of a name that every file system takes, less those that stand around the name of a file while its archive is
/// compressed.
const LONGEST_NAME: usize = 255 - ".".len() - ".2026-11-21T00-41-28.123456Z.zst.part".len();

/// One part of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// As it stands.
    Text(String),
    /// A placeholder.
    Field(Field),
}

impl Piece {
    /// Bytes that it has in the name of a file, at most.
    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Field(field) => field.longest(),
        }
    }
}

/// As written.
impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Field(field) => write!(f, "{{{}}}", field.as_str()),
        }
    }
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
    /// A sentence about a brace that is unknown or not closed, or a name that leads elsewhere or gets too long.
    pub fn path(written: &str) -> Result<Self, String> {
        let template = Self::parse(written, &OF_PATH)?;
        let parts = template.parts();
        if parts.last().is_none_or(Vec::is_empty) {
            return Err("a file needs a name after the last `/`".into());
        }
        for part in parts {
            let name: String = part.iter().map(Piece::to_string).collect();
            if name == "." || name == ".." {
                return Err(format!("`{name}` has no place behind a placeholder"));
            }
            let longest: usize = part.iter().map(Piece::longest).sum();
            if longest > LONGEST_NAME {
                return Err(format!("`{name}` may become a name of {longest} bytes; there is room for {LONGEST_NAME}"));
            }
        }
        Ok(template)
    }

    /// The folders and the file behind the [fixed part](Self::fixed) of a path, in order. Between two slashes there is an
    /// empty one.
    pub(super) fn parts(&self) -> Vec<Vec<Piece>> {
        let mut all = vec![Vec::new()];
        let mut fixed = self.fixed_length();
        for piece in &self.pieces {
            let Piece::Text(text) = piece else {
                all.last_mut().expect("one at least").push(piece.clone());
                continue;
            };
            let text = &text[std::mem::take(&mut fixed).min(text.len())..];
            for (n, part) in text.split('/').enumerate() {
                if n > 0 {
                    all.push(Vec::new());
                }
                if !part.is_empty() {
                    all.last_mut().expect("one at least").push(Piece::Text(part.to_owned()));
                }
            }
        }
        all
    }

    /// Bytes up to the last `/` before the first placeholder, with it.
    fn fixed_length(&self) -> usize {
        match self.pieces.first() {
            Some(Piece::Text(text)) => text.rfind('/').map_or(0, |at| at + 1),
            _ => 0,
        }
    }

    /// Of a path, the folder in which everything lies that the placeholders name.
    #[must_use]
    pub fn fixed(&self) -> &Path {
        let length = self.fixed_length();
        let fixed = self.written[..length].trim_end_matches('/');
        Path::new(if !fixed.is_empty() {
            fixed
        } else if length > 0 {
            "/"
        } else {
            "."
        })
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

    #[test]
    fn the_fixed_part_of_a_path_ends_before_the_first_placeholder() {
        for (path, fixed) in [
            ("/logs/{peer_ip}/{date}.log", "/logs"),
            ("/logs/a/host-{peer_ip}.log", "/logs/a"),
            ("/logs//{date}", "/logs"),
            ("/{date}", "/"),
            ("{date}", "."),
            ("a/../{date}/x", "a/.."),
        ] {
            assert_eq!(Template::path(path).unwrap().fixed(), Path::new(fixed), "{path}");
        }
        for (wrong, why) in [
            ("/logs/{date}/", "a file needs a name after the last `/`"),
            ("/logs/{date}/../x", "`..` has no place behind a placeholder"),
            ("/logs/{date}/./x", "`.` has no place behind a placeholder"),
        ] {
            assert_eq!(Template::path(wrong).unwrap_err(), why, "{wrong}");
        }
        assert!(Template::path("/logs/{date}//x").is_ok());
        let long = |n: usize| Template::path(&format!("/logs/{}/{}{{peer_ip}}", "x".repeat(9), "y".repeat(n)));
        assert!(long(LONGEST_NAME - 64).is_ok());
        assert!(
            long(LONGEST_NAME - 63)
                .unwrap_err()
                .ends_with(&format!("{} bytes; there is room for {LONGEST_NAME}", LONGEST_NAME + 1))
        );
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
