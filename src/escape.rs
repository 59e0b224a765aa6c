//! Strangers' bytes made safe to look at.
//!
//! Whatever a sender, a server or a file name says may try to move the cursor, change colours or reverse the reading
//! order. Escaped are C0 (but tab), DEL, C1 (U+0080–9F), the bidi controls U+202A–E and U+2066–9, the invisible line
//! separators U+2028–9, and every byte that is not UTF-8. A backslash stays as it is: the result is for eyes.

use std::fmt::Write as _;

/// `bytes` as text without anything that a terminal or a browser would act on: control characters as `\x1b`, others as
/// `\u{202e}`, invalid bytes as `\xff`.
#[must_use]
pub fn escape(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' => out.push(c),
                '\0'..='\x1f' | '\x7f' => {
                    let _ = write!(out, "\\x{:02x}", u32::from(c));
                }
                c if acts(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                _ => out.push(c),
            }
        }
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

/// Whether a terminal or a browser may act on `c` instead of showing it.
#[must_use]
pub fn acts(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// [`escape`] for text.
#[must_use]
pub fn escape_str(text: &str) -> String {
    escape(text.as_bytes())
}

/// `text` between backticks, safe to look at and not longer than a line.
#[must_use]
pub fn quote(text: &str) -> String {
    format!("`{}`", shorten(text))
}

/// `text`, safe to look at and not longer than a line.
#[must_use]
pub fn shorten(text: &str) -> String {
    /// Enough to recognise it; a megabyte in an error message helps nobody.
    const LONGEST: usize = 80;
    let mut shown = escape_str(text).replace('\t', "\\t");
    if let Some((end, _)) = shown.char_indices().nth(LONGEST) {
        shown.truncate(end);
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn nothing_that_a_terminal_acts_on_survives() {
        assert_eq!(escape(b"a\tb \x1b[31mred\x07\x7f"), "a\tb \\x1b[31mred\\x07\\x7f");
        assert_eq!(escape("\u{9b}31m \u{202e}evil\u{2066}".as_bytes()), "\\u{9b}31m \\u{202e}evil\\u{2066}");
        assert_eq!(escape(b"ok \xff\xc3("), "ok \\xff\\xc3(");
        assert_eq!(escape("grün ✔ 日本".as_bytes()), "grün ✔ 日本");
    }

    proptest! {
        #[test]
        fn escaped_text_holds_no_control_character(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let text = escape(&bytes);
            prop_assert!(text.chars().all(|c| c == '\t' || !c.is_control()));
            prop_assert_eq!(escape(text.as_bytes()), text.clone());
        }
    }
}
