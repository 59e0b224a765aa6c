//! Patterns with `*`, `?` and `!`.

/// Whether patterns of known_hosts match, without regard to case: at least one does, and no negated one.
#[must_use]
pub fn host_matches<'a>(patterns: impl Iterator<Item = &'a str>, host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list(patterns.map(str::to_ascii_lowercase), &host)
}

/// Whether the patterns of a `Host` line match: the case counts there.
#[must_use]
pub fn host_line_matches(patterns: &[String], host: &str) -> bool {
    list(patterns.iter(), host)
}

/// Whether a comma-separated list matches.
#[must_use]
pub fn list_matches(patterns: &str, text: &str) -> bool {
    list(patterns.split(','), text)
}

fn list(patterns: impl Iterator<Item = impl AsRef<str>>, text: &str) -> bool {
    let mut any = false;
    for pattern in patterns {
        match pattern.as_ref().strip_prefix('!') {
            Some(negated) if wildcard(negated, text) => return false,
            Some(_) => {}
            None => any |= wildcard(pattern.as_ref(), text),
        }
    }
    any
}

/// Shell-like matching with `*` and `?`.
#[must_use]
pub fn wildcard(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    // Greedy with one point to come back to: where recursion would be exponential, this is not.
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

    #[test]
    fn wildcards_match_like_those_of_ssh() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*a*b", "xxayybzzb", true),
            ("JUMP", "jump", false),
            ("*.x", "y", false),
        ] {
            assert_eq!(wildcard(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn one_negated_pattern_is_stronger_than_all_others() {
        assert!(list_matches("*,!x", "y") && !list_matches("*,!x", "x") && !list_matches("!x", "y"));
        let patterns = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        assert!(host_matches(["JUMP"].into_iter(), "jump") && !host_line_matches(&patterns("JUMP"), "jump"));
        assert!(!host_line_matches(&patterns("!jump *"), "jump"));
    }
}
