//! ssh_config(5): which value holds for a host. Text in, first values out; no file is opened here but by [`read`].

mod keywords;

use std::collections::HashMap;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;

/// Keywords that may be given several times; all other keep their first value.
const CUMULATIVE: &[&str] = &["identityfile", "certificatefile"];

/// The values in force: keyword in lower case, arguments as written (quotes removed, nothing expanded).
#[derive(Debug, Clone, Default)]
pub struct Values(HashMap<String, Vec<Vec<String>>>);

impl Values {
    /// Sets `keyword` unless an earlier value holds.
    pub fn offer(&mut self, keyword: &str, arguments: Vec<String>) {
        let keyword = keyword.to_ascii_lowercase();
        let cumulative = CUMULATIVE.contains(&keyword.as_str());
        let values = self.0.entry(keyword).or_default();
        if values.is_empty() || cumulative {
            values.push(arguments);
        }
    }

    /// Whether `IgnoreUnknown` covers `keyword`.
    fn ignores(&self, keyword: &str) -> bool {
        let patterns = self.arguments("ignoreunknown").unwrap_or_default();
        patterns.iter().flat_map(|p| p.split(',')).any(|p| wildcard(p, keyword))
    }

    /// The first argument of `keyword`.
    #[must_use]
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.arguments(keyword)?.first().map(String::as_str)
    }

    /// All arguments of `keyword`.
    #[must_use]
    pub fn arguments(&self, keyword: &str) -> Option<&[String]> {
        self.0.get(keyword)?.first().map(Vec::as_slice)
    }

    /// First arguments of every occurrence of a cumulative keyword.
    pub fn all(&self, keyword: &str) -> impl Iterator<Item = &str> {
        self.0.get(keyword).into_iter().flatten().filter_map(|arguments| arguments.first().map(String::as_str))
    }
}

/// Reads the configuration file `path`, whose blocks are matched against `host`, into `values`.
///
/// # Errors
/// Usage errors name file and line. A missing file is one only when `required`.
pub fn read(path: &Path, required: bool, host: &str, values: &mut Values) -> Result<()> {
    match std::fs::read(path) {
        Ok(bytes) => apply(&String::from_utf8_lossy(&bytes), &path.display().to_string(), host, values),
        Err(e) if e.kind() == io::ErrorKind::NotFound && !required => Ok(()),
        Err(e) => Err(Error::usage(format!("cannot read the ssh configuration {}: {}", path.display(), io_reason(&e)))
            .hint("-F names an ssh_config(5) file; without -F the files of ssh are read")),
    }
}

/// Applies the text of a configuration file; `file` is its name for messages.
pub fn apply(text: &str, file: &str, host: &str, values: &mut Values) -> Result<()> {
    let mut active = true;
    for (index, line) in text.lines().enumerate() {
        let bad = |what: String| Error::usage(format!("bad ssh configuration {file}: line {}: {what}", index + 1));
        let Some((keyword, arguments)) = split_line(line).map_err(bad)? else { continue };
        let lower = keyword.to_ascii_lowercase();
        match lower.as_str() {
            "host" if arguments.is_empty() => return Err(bad("`Host` without a pattern".into())),
            "host" => active = host_matches(&arguments, host),
            "match" => {
                active = arguments.len() == 1 && arguments[0].eq_ignore_ascii_case("all");
                if !active {
                    tracing::debug!("{file}: line {}: this `Match` block is left out", index + 1);
                }
            }
            _ if !keywords::is_known(&lower) => {
                if !values.ignores(&lower) {
                    return Err(suggest(bad(format!("there is no keyword `{}`", escape_str(&keyword))), &lower));
                }
            }
            _ if !active => {}
            _ if arguments.is_empty() => return Err(bad(format!("`{}` without a value", escape_str(&keyword)))),
            _ => values.offer(&lower, arguments),
        }
    }
    Ok(())
}

fn suggest(error: Error, keyword: &str) -> Error {
    match keywords::nearest(keyword) {
        Some(near) => error.hint(format!("did you mean `{near}`? Keywords are those of ssh_config(5)")),
        None => error.hint("keywords are those of ssh_config(5); IgnoreUnknown names those to pass over"),
    }
}

/// Splits `KEY=VALUE` or `KEY VALUE` of `-o`.
pub fn parse_option(text: &str) -> Result<(String, Vec<String>)> {
    let bad = |what: &str| {
        Error::usage(format!("cannot use -o {}: {what}", escape_str(text))).hint("write -o KEYWORD=VALUE, as for ssh")
    };
    match split_line(text) {
        Ok(Some((_, arguments))) if arguments.is_empty() => Err(bad("it has no value")),
        Ok(Some((keyword, _))) if !keywords::is_known(&keyword.to_ascii_lowercase()) => {
            Err(suggest(bad(&format!("there is no keyword `{}`", escape_str(&keyword))), &keyword.to_ascii_lowercase()))
        }
        Ok(Some(option)) => Ok(option),
        Ok(None) => Err(bad("it is empty")),
        Err(what) => Err(bad(&what)),
    }
}

/// Splits a line into keyword and arguments. `None` for an empty line or a comment.
fn split_line(line: &str) -> std::result::Result<Option<(String, Vec<String>)>, String> {
    let line = line.trim_matches([' ', '\t', '\r', '\x0c', '\n']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let (keyword, rest) = line.split_at(end);
    // ssh takes one `=` with white space around it between keyword and value.
    let rest = rest.trim_start_matches([' ', '\t']);
    let rest = rest.strip_prefix('=').unwrap_or(rest).trim_start_matches([' ', '\t']);
    Ok(Some((keyword.to_owned(), split_arguments(rest)?)))
}

/// Splits arguments at white space; double and single quotes hold white space together, `#` begins a comment.
fn split_arguments(text: &str) -> std::result::Result<Vec<String>, String> {
    let (mut all, mut current, mut quote) = (Vec::new(), None::<String>, None);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(q), c) if c == q => quote = None,
            (_, '\\')
                if chars.peek().is_some_and(|n| matches!(n, '"' | '\'' | '\\') || (quote.is_none() && *n == ' ')) =>
            {
                current.get_or_insert_default().extend(chars.next());
            }
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

/// Whether patterns of a `Host` line or of known_hosts match: at least one does, and no negated one.
#[must_use]
pub fn host_matches(patterns: &[String], host: &str) -> bool {
    let mut any = false;
    for pattern in patterns {
        match pattern.strip_prefix('!') {
            Some(negated) if wildcard(negated, host) => return false,
            Some(_) => {}
            None => any |= wildcard(pattern, host),
        }
    }
    any
}

/// Shell-like matching with `*` and `?`, without regard to case.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text): (Vec<u8>, Vec<u8>) = (pattern.to_ascii_lowercase().into(), text.to_ascii_lowercase().into());
    // Greedy with one point to come back to: linear for every pattern, where recursion would be exponential.
    let (mut p, mut t, mut back) = (0, 0, None);
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                back = Some((p + 1, t + 1));
                p += 1;
            }
            Some(c) if *c == b'?' || *c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match back {
                Some((after_star, next)) => {
                    p = after_star;
                    t = next;
                    back = Some((after_star, next + 1));
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str, host: &str) -> Values {
        let mut values = Values::default();
        apply(text, "test", host, &mut values).unwrap();
        values
    }

    #[test]
    fn the_first_value_wins_and_identity_files_add_up() {
        let v = values(
            "Host jump\n Port 1\n IdentityFile a\nHost *\n Port 2\n IdentityFile b\n User=\"me too\" # x\n",
            "jump",
        );
        assert_eq!((v.get("port"), v.get("user")), (Some("1"), Some("me too")));
        assert_eq!(v.all("identityfile").collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn host_blocks_match_with_patterns_and_negation() {
        let text = "Host *.example.org !bad.example.org\n  Port 7\n";
        assert_eq!(values(text, "a.example.org").get("port"), Some("7"));
        assert_eq!(values(text, "bad.example.org").get("port"), None);
        assert_eq!(values(text, "example.org").get("port"), None);
    }

    #[test]
    fn broken_lines_are_named() {
        let error = apply("User x\n\nPort\n", "my.conf", "h", &mut Values::default()).unwrap_err();
        assert_eq!(error.message, "bad ssh configuration my.conf: line 3: `Port` without a value");
        assert_eq!(error.kind.exit_code(), 2);
        assert!(apply("User \"x\n", "f", "h", &mut Values::default()).is_err());
        assert!(parse_option("Port").is_err());
        assert_eq!(parse_option("Port = 7").unwrap(), ("Port".into(), vec!["7".into()]));
    }

    #[test]
    fn wildcards_match_like_those_of_ssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xxayybzzb", true),
            ("JUMP", "jump", true),
            ("*.x", "y", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }
}
