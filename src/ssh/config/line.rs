//! One line of a configuration file: its keyword and its arguments, cut as ssh cuts them.

/// What ssh takes for white space between words.
const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

/// A line that says something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// As it was written, for messages.
    pub written: String,
    /// In lower case.
    pub keyword: String,
    /// Everything behind the keyword, for commands and `Match`.
    pub rest: String,
}

/// Cuts a line. `None`: it is empty or a comment.
///
/// # Errors
/// When nothing stands behind the keyword.
pub fn cut(line: &str) -> Result<Option<Line>, String> {
    // For ssh, written in C, a NUL ends the line.
    let line = line.split('\0').next().unwrap_or_default();
    let line = line.trim_end_matches([' ', '\t', '\r', '\n', '\x0c']);
    let mut left = Some(line);
    let Some(mut written) = word(&mut left) else { return Ok(None) };
    if written.is_empty() {
        match word(&mut left) {
            Some(second) => written = second,
            None => return Ok(None),
        }
    }
    if written.is_empty() || written.starts_with('#') {
        return Ok(None);
    }
    let rest = left.unwrap_or_default().trim_start_matches(BLANK);
    if rest.is_empty() {
        return Err(format!("`{}` without a value", crate::escape::escape_str(&written)));
    }
    Ok(Some(Line { keyword: written.to_ascii_lowercase(), written, rest: rest.to_owned() }))
}

/// Takes the next word off `left`; words end at white space, at `=` (one is passed over) and at the second of two double
/// quotes. `None` at the end, and when a quote is not closed.
pub fn word(left: &mut Option<&str>) -> Option<String> {
    let text = (*left)?;
    let Some(at) = text.find([' ', '\t', '\r', '\n', '"', '=']) else {
        *left = None;
        return Some(text.to_owned());
    };
    let (before, after) = (&text[..at], &text[at + 1..]);
    if text[at..].starts_with('"') {
        let Some((inside, after)) = after.split_once('"') else {
            *left = None;
            return None;
        };
        *left = Some(after.trim_start_matches(BLANK));
        return Some(format!("{before}{inside}"));
    }
    let after = after.trim_start_matches(BLANK);
    let after = match after.strip_prefix('=') {
        Some(after) if !text[at..].starts_with('=') => after.trim_start_matches(BLANK),
        _ => after,
    };
    *left = Some(after);
    Some(before.to_owned())
}

/// Splits arguments at white space; double and single quotes hold it together, `#` begins a comment.
///
/// # Errors
/// When a quote is not closed.
pub fn arguments(text: &str) -> Result<Vec<String>, String> {
    let (mut all, mut current, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (_, '\\')
                if chars.peek().is_some_and(|n| matches!(n, '"' | '\'' | '\\') || (quote.is_none() && *n == ' ')) =>
            {
                current.get_or_insert_default().extend(chars.next());
            }
            (Some(q), c) if c == q => quote = None,
            (None, '"' | '\'') => {
                quote = Some(c);
                current.get_or_insert_default();
            }
            (None, ' ' | '\t') => all.extend(current.take()),
            (None, '#') if current.is_none() => break,
            (_, c) => current.get_or_insert_default().push(c),
        }
    }
    if quote.is_some() {
        return Err("a quote is not closed".into());
    }
    all.extend(current);
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(line: &str) -> (String, Vec<String>) {
        let line = cut(line).unwrap().unwrap();
        (line.keyword, arguments(&line.rest).unwrap())
    }

    #[test]
    fn keyword_and_value_are_cut_like_ssh_cuts_them() {
        for (line, keyword, values) in [
            ("Port 5", "port", &["5"][..]),
            ("\t Port\t=  5 \r\n", "port", &["5"]),
            ("Port=5\x0c", "port", &["5"]),
            ("=Port 5", "port", &["5"]),
            ("\"Port\" 5", "port", &["5"]),
            ("Port==5", "port", &["=5"]),
            ("Port = = 5", "port", &["=", "5"]),
            ("User a\"b c\"d # x", "user", &["ab cd"]),
            ("User a#b", "user", &["a#b"]),
            ("User foo\\ bar", "user", &["foo bar"]),
            ("User 'a\\'b' \"c'd\"", "user", &["a'b", "c'd"]),
            ("User \\q \"\"", "user", &["\\q", ""]),
            ("Port 4\0 5", "port", &["4"]),
        ] {
            assert_eq!(parts(line), (keyword.into(), values.iter().map(|v| (*v).to_owned()).collect()), "{line:?}");
        }
        for nothing in ["", "  ", "# Port 5", " \t# x", "\"Port 5", "\0Port 5"] {
            assert_eq!(cut(nothing), Ok(None), "{nothing:?}");
        }
        for bad in ["Port", "Port =", "Port\"4\"", "Port \0 5"] {
            assert!(cut(bad).is_err(), "{bad:?}");
        }
        assert!(arguments("a \"b").is_err());
    }
}
