//! Names that a template may have made.

use std::path::Path;

use super::template::{Field, Piece, Template};

impl Template {
    /// The folders and the file behind the [fixed part](Self::fixed) of a path, in order; each a pattern for
    /// [`fits`].
    #[must_use]
    pub fn patterns(&self) -> Vec<Vec<Piece>> {
        self.parts().into_iter().filter(|part| !part.is_empty()).collect()
    }

    /// Whether the file `name`, given from the [fixed part](Self::fixed) on, can be one of those of `stream`.
    #[must_use]
    pub fn makes(&self, name: &Path, stream: &str) -> bool {
        let patterns = self.patterns();
        let names: Option<Vec<&str>> = name.iter().map(std::ffi::OsStr::to_str).collect();
        let known = |piece: &Piece| match piece {
            Piece::Field(Field::Stream) => Piece::Text(stream.to_owned()),
            piece => piece.clone(),
        };
        let like = |(pattern, name): (&Vec<Piece>, &&str)| fits(&pattern.iter().map(known).collect::<Vec<_>>(), name);
        names.is_some_and(|names| names.len() == patterns.len() && patterns.iter().zip(&names).all(like))
    }
}

/// Whether `name` can be what became of `pattern`.
#[must_use]
pub fn fits(pattern: &[Piece], name: &str) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((Piece::Text(text), rest)) => name.strip_prefix(text.as_str()).is_some_and(|name| fits(rest, name)),
        Some((Piece::Field(field), rest)) => {
            // Names are short, and templates have few placeholders.
            (1..=name.len())
                .any(|end| name.is_char_boundary(end) && can_be(*field, &name[..end]) && fits(rest, &name[end..]))
        }
    }
}

/// Whether a placeholder can have become `text`.
fn can_be(field: Field, text: &str) -> bool {
    let like = |shape: &str| {
        let same = |(shape, byte): (u8, u8)| if shape == b'0' { byte.is_ascii_digit() } else { shape == byte };
        text.len() == shape.len() && shape.bytes().zip(text.bytes()).all(same)
    };
    match field {
        Field::Date => like("0000-00-00"),
        Field::Hour => like("00"),
        Field::PeerIp | Field::Keyword | Field::Stream => super::is_name(text),
        Field::Time | Field::Peer | Field::Number => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_fits_when_the_template_can_have_made_it() {
        let template = Template::path("/logs/x/{stream}//at-{peer_ip}-{date}.{hour}.log").unwrap();
        let patterns = template.patterns();
        assert_eq!(patterns.len(), 2);
        assert!(fits(&patterns[0], "main") && !fits(&patterns[0], "") && !fits(&patterns[0], ".main"));
        let file = |name: &str| fits(&patterns[1], name);
        assert!(file("at-192.0.2.1-2026-11-21.07.log") && file("at-2001-db8--1-2026-11-21.07.log"));
        for other in [
            "at-192.0.2.1-2026-11-21.07.log.2026-11-21T00-41-28.123456Z",
            "at-192.0.2.1-2026-11-21.log",
            "at--2026-11-21.07.log",
            "192.0.2.1-2026-11-21.07.log",
            "at-192.0.2.1-2026-11-2x.07.log",
        ] {
            assert!(!file(other), "{other}");
        }
        assert_eq!(Template::path("{date}").unwrap().patterns().len(), 1);
    }
}
