//! What a request asks for: its query, read and bounded. Pure.

use jiff::Timestamp;

use crate::history::Pattern;

/// Streams in one request.
pub const MOST_STREAMS: usize = 64;
/// Bytes of a pattern.
const MOST_PATTERN: usize = 4096;
/// Lines that may be asked for at once.
const MOST_LINES: usize = 5000;

/// A query.
#[derive(Debug, Default)]
pub struct Ask {
    /// Names of streams; none: all.
    pub streams: Vec<String>,
    /// What lines have to match.
    pub pattern: Option<Pattern>,
    /// As it was written.
    pub wanted: Option<String>,
    /// How many lines.
    pub n: Option<usize>,
    /// Lines around a hit.
    pub context: usize,
    /// Collectors that do not run are wanted, too.
    pub stopped: bool,
    /// Long lines are cut.
    pub cut: bool,
    /// Offsets.
    pub before: Option<u64>,
    /// See there.
    pub after: Option<u64>,
    /// See there.
    pub from: Option<u64>,
    /// See there.
    pub to: Option<u64>,
    /// A moment.
    pub at: Option<Timestamp>,
}

impl Ask {
    /// Reads `pairs`; keys that nobody knows are left out.
    ///
    /// # Errors
    /// One sentence.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, String> {
        let mut ask = Self::default();
        let (mut pattern, mut ignore_case, mut invert) = (None, false, false);
        for (key, value) in pairs {
            let number = || value.parse::<u64>().map_err(|_| format!("`{key}` takes a number"));
            let is_on = value == "1" || value == "true";
            match key.as_str() {
                "stream" if ask.streams.len() == MOST_STREAMS => {
                    return Err(format!("a request may name {MOST_STREAMS} streams at most"));
                }
                "stream" => ask.streams.push(value.clone()),
                "e" if value.len() > MOST_PATTERN => {
                    return Err(format!("a pattern may have {MOST_PATTERN} bytes at most"));
                }
                "e" => pattern = Some(value),
                "i" => ignore_case = is_on,
                "v" => invert = is_on,
                "n" => ask.n = Some(usize::try_from(number()?).unwrap_or(MOST_LINES).min(MOST_LINES)),
                "context" => ask.context = usize::try_from(number()?).unwrap_or(usize::MAX),
                "stopped" => ask.stopped = is_on,
                "cut" => ask.cut = is_on,
                "before" => ask.before = Some(number()?),
                "after" => ask.after = Some(number()?),
                "from" => ask.from = Some(number()?),
                "to" => ask.to = Some(number()?),
                "at" => {
                    let at = value.parse().map_err(|_| "`at` takes a time such as 2026-11-21T00:41:28Z".to_owned())?;
                    ask.at = Some(at);
                }
                _ => {}
            }
        }
        ask.wanted = pattern.filter(|text| !text.is_empty()).cloned();
        ask.pattern = ask.wanted.as_ref().map(|text| Pattern::new(text, ignore_case, invert)).transpose()?;
        Ok(ask)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(pairs: &[(&str, &str)]) -> Result<Ask, String> {
        Ask::read(&pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>())
    }

    #[test]
    fn what_is_wrong_is_said_in_one_sentence() {
        for (pairs, words) in [
            (&[("n", "many")][..], "`n` takes a number"),
            (&[("before", "-1")], "`before` takes a number"),
            (&[("at", "yesterday")], "`at` takes a time"),
            (&[("e", "a(b")], "unclosed group"),
        ] {
            let said = ask(pairs).unwrap_err();
            assert!(said.contains(words) && !said.contains('\n'), "{said}");
        }
        assert!(ask(&[("e", &"x".repeat(MOST_PATTERN + 1))]).unwrap_err().contains("4096 bytes"));
        assert!(ask(&vec![("stream", "a/b"); MOST_STREAMS + 1]).unwrap_err().contains("64 streams"));
    }

    #[test]
    fn a_query_is_read_and_bounded() {
        let read =
            ask(&[("stream", "a/b"), ("stream", "c/d"), ("e", "X"), ("i", "1"), ("n", "99999999"), ("odd", "1")])
                .unwrap();
        assert_eq!((read.streams.len(), read.n), (2, Some(MOST_LINES)));
        assert!(read.pattern.unwrap().is_match(b"x"));
        assert!(ask(&[("e", "")]).unwrap().pattern.is_none());
    }
}
