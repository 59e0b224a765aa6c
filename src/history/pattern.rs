//! What lines are filtered and searched by.

use regex::bytes::{Regex, RegexBuilder};

/// Bytes of a pattern, at most.
const LONGEST: usize = 4096;
/// Bytes of a compiled pattern, at most; that of [`Regex::new`].
pub(super) const SIZE: usize = 10 * 1024 * 1024;
/// Hits in one line that are told, at most.
const HITS: usize = 1000;

/// A regular expression that a line has, or (inverted) has not.
#[derive(Debug, Clone)]
pub struct Pattern {
    regex: Regex,
    ignore_case: bool,
    invert: bool,
}

impl Pattern {
    /// Reads `text`, of the syntax of the crate `regex`, of at most 4096 bytes.
    ///
    /// # Errors
    /// What is wrong with it, a sentence, with the place where it has one.
    pub fn new(text: &str, ignore_case: bool, invert: bool) -> Result<Self, String> {
        if text.len() > LONGEST {
            return Err(format!("a pattern has at most {LONGEST} bytes, this one has {}", text.len()));
        }
        match RegexBuilder::new(text).case_insensitive(ignore_case).size_limit(SIZE).build() {
            Ok(regex) => Ok(Self { regex, ignore_case, invert }),
            Err(regex::Error::CompiledTooBig(_)) => Err(format!(
                "the pattern needs more than {} MiB of memory; repeat less, or write `(?-u:…)` around classes such as \\w",
                SIZE / 1024 / 1024
            )),
            Err(e) => Err(sentence(text, &e.to_string())),
        }
    }

    /// Whether it is a line to be shown. `line` is without its LF; a CR before that is part of it.
    #[must_use]
    pub fn is_match(&self, line: &[u8]) -> bool {
        self.regex.is_match(line) != self.invert
    }

    /// The ranges of bytes in `line` that it hits, at most 1000 and none that is empty; none at all when inverted.
    #[must_use]
    pub fn hits(&self, line: &[u8]) -> Vec<(usize, usize)> {
        if self.invert {
            return Vec::new();
        }
        let ranges = self.regex.find_iter(line).map(|found| (found.start(), found.end()));
        ranges.filter(|(from, to)| from < to).take(HITS).collect()
    }

    /// Whether lines are wanted that have it not.
    pub(super) fn inverted(&self) -> bool {
        self.invert
    }

    /// As it was written, and whether case counts not.
    pub(super) fn written(&self) -> (&str, bool) {
        (self.regex.as_str(), self.ignore_case)
    }

    /// Finds it, inverted or not.
    pub(super) fn regex(&self) -> &Regex {
        &self.regex
    }
}

/// What a syntax error says, in one line. The text of the crate is a drawing: the pattern, carets below it, and at the end
/// `error: WHAT`. The lines of a pattern that has many stand behind their numbers.
fn sentence(pattern: &str, drawn: &str) -> String {
    let what = drawn.lines().rev().find_map(|line| line.strip_prefix("error: ")).unwrap_or("it cannot be used");
    let lines: Vec<_> = drawn.lines().collect();
    let is_caret = |line: &&str| line.contains('^') && line.bytes().all(|b| b == b'^' || b == b' ');
    let Some(place) = lines.iter().position(is_caret).filter(|place| *place > 0) else { return what.to_owned() };
    let at = lines[place].find('^').unwrap_or_default();
    if pattern.contains('\n') {
        let number = lines[place - 1].split(':').next().unwrap_or_default();
        let column = at.saturating_sub(number.len() + 1);
        return format!("{what}, at character {column} of line {}", number.trim());
    }
    // The pattern is drawn four columns from the edge.
    match at.saturating_sub(4) {
        before if before < pattern.chars().count() => format!("{what}, at character {}", before + 1),
        _ => format!("{what}, at the end"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_sentence_with_its_place() {
        for (text, said) in [
            ("a(b", "unclosed group, at character 2"),
            ("é[z-a]", "invalid character class range, the start must be <= the end, at character 3"),
            ("*", "repetition operator missing expression, at character 1"),
            ("ab\\", "incomplete escape sequence, reached end of pattern prematurely, at character 3"),
            ("a\nb(", "unclosed group, at character 2 of line 2"),
            ("(?=x)", "look-around, including look-ahead and look-behind, is not supported, at character 1"),
        ] {
            assert_eq!(Pattern::new(text, false, false).unwrap_err(), said, "{text}");
        }
        let long = Pattern::new(&"a".repeat(LONGEST + 1), false, false).unwrap_err();
        assert_eq!(long, "a pattern has at most 4096 bytes, this one has 4097");
        let big = Pattern::new(r"\w{1000}{1000}", false, false).unwrap_err();
        assert!(big.starts_with("the pattern needs more than 10 MiB of memory"), "{big}");
    }

    #[test]
    fn a_line_is_asked_without_its_end_and_with_its_cr() {
        let is_match = |text: &str, line: &[u8]| Pattern::new(text, false, false).unwrap().is_match(line);
        assert!(is_match("^ab$", b"ab") && !is_match("^ab$", b"ab\r") && is_match(r"b\r$", b"ab\r"));
        assert!(is_match(r"(?-u)\xff", b"\xff"), "any bytes");
        let folded = Pattern::new("ÄB", true, false).unwrap();
        assert!(folded.is_match("äb".as_bytes()));
        let inverted = Pattern::new("a", false, true).unwrap();
        assert!(!inverted.is_match(b"a") && inverted.is_match(b""));
    }

    #[test]
    fn hits_are_bounded_and_never_empty() {
        let hits = |text: &str, invert, line: &[u8]| Pattern::new(text, false, invert).unwrap().hits(line);
        assert_eq!(hits("a*", false, b"aabab"), [(0, 2), (3, 4)]);
        assert_eq!(hits("a", true, b"bab"), []);
        assert_eq!(hits("a", false, &b"a".repeat(HITS + 5)).len(), HITS);
    }
}
