//! Text as systemd, launchd and supervisord want it; pure.

/// A word of a unit: quoted, specifiers doubled. In commands (`ExecStart=`) `$` is doubled, too.
#[must_use]
pub fn unit(word: &str, command: bool) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=+,@:%".contains(c) || (c == '$' && !command);
    let quoted = word.is_empty() || !word.chars().all(plain);
    let mut text = String::with_capacity(word.len() + 2);
    for c in word.chars() {
        match c {
            '%' => text.push_str("%%"),
            '$' if command => text.push_str("$$"),
            '"' | '\\' => text.extend(['\\', c]),
            _ => text.push(c),
        }
    }
    if quoted { format!("\"{text}\"") } else { text }
}

/// A path for `BindPaths=` and its like, where a colon stands before the place inside.
#[must_use]
pub fn bound(path: &str) -> String {
    let text = unit(path, false);
    if path.contains(':') && !text.starts_with('"') { format!("\"{text}\"") } else { text }
}

/// Text between two tags of XML.
#[must_use]
pub fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// A word of a command of supervisord, which reads it as a shell would, after its own `%(name)s`.
#[must_use]
pub fn supervisor(word: &str) -> String {
    let word = word.replace('%', "%%");
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-=+,@:%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word;
    }
    format!("\"{}\"", word.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_to_systemd_is_taken_for_itself() {
        assert_eq!(unit("/usr/bin/reclog", true), "/usr/bin/reclog");
        assert_eq!(unit("/a b/100%", true), "\"/a b/100%%\"");
        assert_eq!(unit("/$x", true), "\"/$$x\"");
        assert_eq!(unit("A=/$x", false), "A=/$x");
        assert_eq!(unit("a\"b\\c", false), "\"a\\\"b\\\\c\"");
        assert_eq!(unit("--keep-trying", true), "--keep-trying");
        assert_eq!(unit("", false), "\"\"");
        assert_eq!(bound("/a:b"), "\"/a:b\"");
        assert_eq!(bound("/a b"), "\"/a b\"");
        assert_eq!(bound("/a"), "/a");
    }

    #[test]
    fn what_means_something_to_the_others_is_taken_for_itself() {
        assert_eq!(xml("<a&b>"), "&lt;a&amp;b&gt;");
        assert_eq!(supervisor("/a"), "/a");
        assert_eq!(supervisor("/100%"), "/100%%");
        assert_eq!(supervisor("/a \"b\";"), "\"/a \\\"b\\\";\"");
    }
}
