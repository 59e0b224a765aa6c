//! A server's words on the way in, bounded and safe to look at.

use crate::escape::escape_str;

/// What a server says in one prompt or instruction is cut at so many bytes.
pub const LONGEST: usize = 8 * 1024;
/// … and at so many lines: more would push what stands above off the screen.
const MOST_LINES: usize = 100;
/// What is no more than a part of a message is cut at so many bytes: a packet has room for a quarter of a megabyte.
const BRIEF: usize = 300;

/// `text` with every line escaped, cut at `most` bytes with a word about it.
#[must_use]
pub fn shown(text: &str, most: usize) -> String {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut lines: Vec<String> =
        text[..end].split('\n').take(MOST_LINES).map(|line| escape_str(line.trim_end_matches('\r'))).collect();
    if end < text.len() || text[..end].split('\n').nth(MOST_LINES).is_some() {
        lines.push("[… the rest is left out]".into());
    }
    lines.join("\n")
}

/// The beginning of `text` on one line, for messages.
#[must_use]
pub fn brief(text: &str) -> String {
    shown(text.trim(), BRIEF).replace('\n', " ")
}

/// Whether the only prompt of a login asks for a password that is the same next time. What is different each time
/// has "one-time", "code", "token" or the like in its name.
#[must_use]
pub fn is_password(prompt: &str) -> bool {
    let prompt = prompt.to_lowercase();
    let any = |words: &[&str]| words.iter().any(|w| prompt.contains(w));
    any(&["password", "passwort", "mot de passe", "contraseña"])
        && !any(&["one-time", "one time", "onetime", "otp", "code", "token", "new ", "neues"])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_server_can_neither_flood_nor_paint_the_terminal() {
        assert_eq!(shown("Hello\r\n\x1b[2Jyou", LONGEST), "Hello\n\\x1b[2Jyou");
        let long = shown(&"x".repeat(1 << 20), LONGEST);
        assert!(long.len() < LONGEST + 100 && long.ends_with("left out]"), "{}", long.len());
        let high = shown(&"\n".repeat(10_000), LONGEST);
        assert!(high.lines().count() <= MOST_LINES + 1, "{}", high.lines().count());
        assert_eq!(shown("ééé", 3), "é\n[… the rest is left out]");
        let words = brief(&"no\n\x1b".repeat(1 << 16));
        assert!(words.len() < 10 * BRIEF && !words.contains('\n') && words.starts_with("no \\x1bno"), "{words}");
    }

    #[test]
    fn a_code_is_no_password() {
        assert!(is_password("Password: ") && is_password("root's password for jump: "));
        for code in [
            "Verification code: ",
            "One-time password (OATH) for `me': ",
            "Password+token: ",
            "New password: ",
            "OTP: ",
            "",
        ] {
            assert!(!is_password(code), "{code}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_holds_no_control_characters_and_is_bounded(text in ".{0,300}|[\\x00-\\x1f]{0,300}", most in 0usize..200) {
            let shown = shown(&text, most);
            prop_assert!(shown.chars().all(|c| c == '\n' || c == '\t' || !c.is_control()));
            // An escape takes at most ten bytes for each byte.
            prop_assert!(shown.len() <= most * 10 + 100);
        }
    }
}
