//! Just enough of Rust's grammar to see which paths and macros a file names. No parser: what confuses it has not been
//! written yet, and formatting and the compiler see to the rest.

use std::collections::BTreeSet;

/// `text` without comments, and with empty string and character literals; line ends stay.
pub fn without_words(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let at = |i: usize| chars.get(i).copied().unwrap_or('\0');
    let mut out = String::with_capacity(text.len());
    let mut i = 0;
    while i < chars.len() {
        let end = match (at(i), at(i + 1)) {
            ('/', '/') => (i..chars.len()).find(|&j| chars[j] == '\n').unwrap_or(chars.len()),
            ('/', '*') => end_of_comment(&chars, i),
            ('"', _) => {
                out.push_str("\"\"");
                end_of_string(&chars, i)
            }
            ('r', '"' | '#') if !is_word(out.chars().last().unwrap_or(' ')) || out.ends_with('b') => {
                match end_of_raw(&chars, i + 1) {
                    Some(end) => end,
                    // A raw identifier.
                    None => i,
                }
            }
            // A lifetime has no second quote: 'a, 'static. A character has: 'a', '\'', '"'.
            ('\'', '\\') => (i + 3..chars.len()).find(|&j| chars[j] == '\'').map_or(chars.len(), |j| j + 1),
            ('\'', _) if at(i + 2) == '\'' => i + 3,
            _ => i,
        };
        if end == i {
            out.push(chars[i]);
            i += 1;
        } else {
            out.extend(chars[i..end].iter().filter(|c| **c == '\n'));
            i = end;
        }
    }
    out
}

fn end_of_comment(chars: &[char], start: usize) -> usize {
    let (mut depth, mut i) = (0, start);
    while i + 1 < chars.len() {
        match (chars[i], chars[i + 1]) {
            ('/', '*') => (depth, i) = (depth + 1, i + 2),
            ('*', '/') => {
                (depth, i) = (depth - 1, i + 2);
                if depth == 0 {
                    return i;
                }
            }
            _ => i += 1,
        }
    }
    chars.len()
}

fn end_of_string(chars: &[char], start: usize) -> usize {
    let mut i = start + 1;
    while i < chars.len() && chars[i] != '"' {
        i += if chars[i] == '\\' { 2 } else { 1 };
    }
    (i + 1).min(chars.len())
}

/// The end of a raw string whose hashes or quote stand at `start`.
fn end_of_raw(chars: &[char], start: usize) -> Option<usize> {
    let hashes = chars[start..].iter().take_while(|c| **c == '#').count();
    if chars.get(start + hashes) != Some(&'"') {
        return None;
    }
    let close =
        |&i: &usize| chars[i] == '"' && chars[i + 1..].iter().take(hashes).filter(|c| **c == '#').count() == hashes;
    Some((start + hashes + 1..chars.len()).find(close).map_or(chars.len(), |i| i + 1 + hashes))
}

/// [`without_words`], and without every item that stands under `#[cfg(test)]`.
pub fn without_tests(text: &str) -> String {
    let code = without_words(text);
    let mut out = String::new();
    let mut rest = code.as_str();
    while let Some((before, item)) = rest.split_once("#[cfg(test)]") {
        out.push_str(before);
        rest = &item[end_of_item(item)..];
    }
    out + rest
}

/// Lines that are neither blank space at the end nor tests.
pub fn lines_without_tests(text: &str) -> usize {
    without_tests(text).trim_end().lines().count()
}

/// The first `;` outside of brackets, or the end of the first braces.
fn end_of_item(code: &str) -> usize {
    let mut depth = 0;
    for (i, c) in code.char_indices() {
        match c {
            '{' | '[' | '(' => depth += 1,
            '}' | ']' | ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 && matches!(c, ';' | '}') {
            return i + 1;
        }
    }
    code.len()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Words, `::`, and single characters for the rest.
fn tokens(code: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = code.trim_start();
    while let Some(c) = rest.chars().next() {
        let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let length = match word {
            0 if rest.starts_with("::") => 2,
            0 => c.len_utf8(),
            word => word,
        };
        all.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    all
}

/// Every path in `code`, and what `use` makes of its trees: `use a::{b, c::d}` is `a::b` and `a::c::d`. A single word is
/// a path only in a `use`.
pub fn paths(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let mut all = Vec::new();
    let mut i = 0;
    while i < tokens.len() {
        // `impl Future + use<'_>` names what is captured, and imports nothing.
        if tokens[i] == "use" && tokens.get(i + 1) != Some(&"<") {
            i = tree(&tokens, i + 1, "", &mut all);
        } else if tokens[i].starts_with(is_word) && tokens.get(i + 1) == Some(&"::") {
            let mut path = tokens[i].to_owned();
            while tokens.get(i + 1) == Some(&"::") && tokens.get(i + 2).is_some_and(|t| t.starts_with(is_word)) {
                path.push_str("::");
                path.push_str(tokens[i + 2]);
                i += 2;
            }
            all.push(path);
            i += 1;
        } else {
            i += 1;
        }
    }
    all
}

/// Reads one tree of a `use` that begins at `i`; returns where it ends.
fn tree(tokens: &[&str], mut i: usize, before: &str, all: &mut Vec<String>) -> usize {
    let mut path = before.to_owned();
    while let Some(&token) = tokens.get(i) {
        match token {
            "{" => {
                i += 1;
                while tokens.get(i).is_some_and(|t| *t != "}") {
                    i = tree(tokens, i, &path, all);
                    i += usize::from(tokens.get(i) == Some(&","));
                }
                return i + 1;
            }
            "," | "}" | ";" => break,
            "as" => {
                i += 2;
                break;
            }
            "::" => {}
            word => {
                if !path.is_empty() {
                    path.push_str("::");
                }
                path.push_str(word);
            }
        }
        i += 1;
    }
    all.push(path);
    i
}

/// The names before `!` of the macros that are called.
pub fn macros(code: &str) -> Vec<String> {
    let tokens = tokens(code);
    let called =
        tokens.windows(3).filter(|w| w[0].starts_with(is_word) && w[1] == "!" && matches!(w[2], "(" | "[" | "{"));
    called.map(|w| w[0].to_owned()).collect()
}

/// The rooms that `code`, which stands in `file` below `src/`, names: by `crate::`, by `super::` from the top of the
/// room, and by `reclog::` in main.rs.
pub fn rooms(file: &str, code: &str) -> BTreeSet<String> {
    // `ssh/mod.rs` and `plan.rs` lie one level below the root, `ssh/auth.rs` two.
    let depth = file.matches('/').count() + 1 - usize::from(file.ends_with("/mod.rs"));
    let room = |path: String| -> Option<String> {
        let parts: Vec<&str> = path.split("::").filter(|part| *part != "self").collect();
        let ups = parts.iter().take_while(|part| **part == "super").count();
        let name = match parts.first() {
            Some(&"crate" | &"reclog") => parts.get(1),
            _ if ups == depth => parts.get(ups),
            _ => None,
        };
        name.map(|name| (*name).to_owned())
    };
    paths(code).into_iter().filter_map(room).collect()
}
