//! Where things stand in a YAML file, and the checks that concern its form alone.
//!
//! The YAML crate tells positions only with its errors. So a place is asked for by walking to it and failing there on
//! purpose; a profile is small, and it is done only when there is an error to report.

use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::profile::nearest::{did_you_mean, nearest};
use crate::profile::problem::{Problem, quote, shorten};

/// A place in a file; both count from 1, the column in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    /// Line.
    pub line: usize,
    /// Column.
    pub column: usize,
}

/// Values in one profile, aliases resolved. A thousand streams have ten thousand; an alias bomb has billions.
const MAX_NODES: usize = 100_000;

/// Deepest nesting of brackets. The YAML crate stops at 128 itself, but only after a scan whose time grows with the
/// square of the depth.
const MAX_BRACKETS: usize = 128;

/// Refuses what no profile may hold whatever its keys mean: bad syntax, duplicate keys, tags, several documents,
/// alias bombs.
pub(super) fn check_form(text: &str) -> Result<(), Problem> {
    check_brackets(text)?;
    let walk = Walk { nodes: &Cell::new(0), said: &RefCell::new(None) };
    match walk.deserialize(serde_yaml::Deserializer::from_str(text)) {
        Ok(()) => Ok(()),
        Err(error) => Err(match walk.said.take() {
            Some((message, hint)) => {
                let problem = Problem::at(position(&error), message);
                hint.into_iter().fold(problem, Problem::hint)
            }
            None => syntax(text, &error),
        }),
    }
}

/// Where the value at `path` begins.
pub(super) fn of_value(text: &str, path: &[String]) -> Option<Position> {
    find(text, path, false)
}

/// Where the last key of `path` begins.
pub(super) fn of_key(text: &str, path: &[String]) -> Option<Position> {
    find(text, path, true)
}

/// The place that an error of the YAML crate names.
pub(super) fn position(error: &serde_yaml::Error) -> Option<Position> {
    error.location().map(|at| Position { line: at.line(), column: at.column() })
}

/// Bytes of the file's beginning may open this many more brackets than they close. Brackets in quotes and comments
/// count, too; nobody has hundreds of them.
fn check_brackets(text: &str) -> Result<(), Problem> {
    let mut depth = 0_usize;
    for (number, line) in text.lines().enumerate() {
        for (column, c) in line.chars().enumerate() {
            match c {
                '[' | '{' => depth += 1,
                ']' | '}' => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth > MAX_BRACKETS {
                let at = Position { line: number + 1, column: column + 1 };
                return Err(Problem::at(Some(at), format!("more than {MAX_BRACKETS} brackets inside each other")));
            }
        }
    }
    Ok(())
}

/// What the YAML crate says about bad syntax, without the place (it stands before the message) and with a hint for the
/// mistakes that its words do not explain.
fn syntax(text: &str, error: &serde_yaml::Error) -> Problem {
    let at = position(error);
    let mut message = error.to_string();
    if let Some(Position { line, column }) = at {
        message = message.replacen(&format!(" at line {line} column {column}"), "", 1);
    }
    let message = crate::escape::escape_str(&message).replace('\t', "\\t");
    let line = at.and_then(|at| text.lines().nth(at.line - 1)).unwrap_or_default();
    let mut problem = Problem::at(
        at,
        match message.as_str() {
            m if m.starts_with("deserializing from YAML containing more than one document") => {
                "it holds more than one document (`---`)".to_owned()
            }
            m if m.contains("recursion limit exceeded") => "it is nested too deeply".to_owned(),
            m if m.contains("repetition limit exceeded") => "its aliases (`*name`) unfold to too much".to_owned(),
            _ if line.trim().is_empty() => format!("this is not YAML: {message}"),
            _ => format!("{} is not YAML: {message}", quote(line.trim())),
        },
    );
    if line.trim_start_matches(' ').starts_with('\t') {
        problem = problem.hint("indent with spaces; YAML takes no tabs");
    } else if line.contains(": *") {
        problem = problem.hint("put `*` in quotes: \"*\"; bare, it names an alias");
    } else if line.contains(": {") || line.contains(": [") {
        problem = problem.hint("put text that begins with a bracket in quotes");
    }
    problem
}

/// Visits every value once.
#[derive(Clone, Copy)]
struct Walk<'a> {
    nodes: &'a Cell<usize>,
    /// Message and hint of our own error. It does not travel through the YAML crate, which would add its path to it.
    said: &'a RefCell<Option<(String, Option<String>)>>,
}

impl Walk<'_> {
    fn refuse<E: serde::de::Error>(&self, message: impl Into<String>, hint: Option<String>) -> E {
        self.said.replace(Some((message.into(), hint)));
        E::custom("refused")
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > MAX_NODES {
            return Err(self.refuse(format!("it holds more than {MAX_NODES} values"), None));
        }
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: serde::de::Error>(self, _: bool) -> Result<(), E> {
        self.count()
    }

    fn visit_i64<E: serde::de::Error>(self, _: i64) -> Result<(), E> {
        self.count()
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<(), E> {
        self.count()
    }

    fn visit_u64<E: serde::de::Error>(self, _: u64) -> Result<(), E> {
        self.count()
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<(), E> {
        self.count()
    }

    fn visit_f64<E: serde::de::Error>(self, _: f64) -> Result<(), E> {
        self.count()
    }

    fn visit_str<E: serde::de::Error>(self, _: &str) -> Result<(), E> {
        self.count()
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_none<E: serde::de::Error>(self) -> Result<(), E> {
        self.count()
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        self.count()?;
        while seq.next_element_seed(self)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.count()?;
        let mut seen = HashSet::new();
        while map.next_key_seed(NewKey { walk: self, seen: &mut seen })?.is_some() {
            map.next_value_seed(self)?;
        }
        Ok(())
    }

    fn visit_enum<A: EnumAccess<'de>>(self, _: A) -> Result<(), A::Error> {
        let hint = "put text that begins with `!` in quotes".to_owned();
        Err(self.refuse("tags (`!name`) mean nothing in a profile", Some(hint)))
    }
}

/// A key that its map has not had yet. The error is raised while the key is read, so that it has the key's place.
struct NewKey<'a, 's> {
    walk: Walk<'a>,
    seen: &'s mut HashSet<String>,
}

impl<'de> DeserializeSeed<'de> for NewKey<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for NewKey<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key that is text")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<(), E> {
        self.walk.count()?;
        if self.seen.insert(key.to_owned()) {
            Ok(())
        } else {
            Err(self.walk.refuse(format!("the key {} stands here a second time", quote(key)), None))
        }
    }
}

/// Walks to a place and fails there.
#[derive(Clone, Copy)]
struct Find<'a> {
    path: &'a [String],
    key: bool,
}

fn find(text: &str, path: &[String], key: bool) -> Option<Position> {
    let seed = Find { path, key: key && !path.is_empty() };
    let error = seed.deserialize(serde_yaml::Deserializer::from_str(text)).err()?;
    position(&error)
}

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.path.is_empty() { deserializer.deserialize_any(Stop) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the way to a place")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Some((first, rest)) = self.path.split_first() else { return Ok(()) };
        let stop = self.key && rest.is_empty();
        while let Some(found) = map.next_key_seed(FindKey { key: first, stop })? {
            if found {
                return map.next_value_seed(Find { path: rest, ..self });
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a key is the one that is looked for; fails at it when `stop` is set.
struct FindKey<'a> {
    key: &'a str,
    stop: bool,
}

impl<'de> DeserializeSeed<'de> for FindKey<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for FindKey<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<bool, E> {
        if key == self.key && self.stop { Err(E::custom("here")) } else { Ok(key == self.key) }
    }
}

/// Fails at whatever it meets: no visitor method but the failing defaults.
struct Stop;

impl Visitor<'_> for Stop {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("to stop here")
    }
}

/// What serde says about a value that does not fit, in our words: the crate's path and place cut off, unknown keys with
/// the nearest valid one. `elsewhere` says where a key belongs that is valid on another level.
pub(super) fn misfit(error: &serde_yaml::Error, elsewhere: impl Fn(&str) -> Option<String>) -> Problem {
    let at = position(error);
    let mut message = error.to_string();
    if let Some(Position { line, column }) = at
        && let Some(cut) = message.strip_suffix(&format!(" at line {line} column {column}"))
    {
        message.truncate(cut.len());
    }
    // The path (`streams.main: `) has no space in it, because names are checked before their values are read; every
    // message has one before its first colon.
    if let Some((path, rest)) = message.split_once(": ")
        && !path.contains(' ')
    {
        message = rest.to_owned();
    }
    if let Some((key, valid)) =
        message.strip_prefix("unknown field `").and_then(|rest| rest.rsplit_once("`, expected "))
    {
        // "one of `a`, `b`" or "`a` or `b`": the names are what stands between backticks.
        let valid: Vec<&str> = valid.split('`').skip(1).step_by(2).collect();
        let problem = Problem::at(at, format!("unknown key {}", quote(key)));
        // A slip on this level is likelier than a key that went astray; only then comes the rest.
        let slip = nearest(key, valid.iter().copied()).filter(|near| near.len().abs_diff(key.len()) < 3);
        let hint = match slip {
            Some(near) => Some(format!("did you mean `{near}`?")),
            None => elsewhere(key).or_else(|| did_you_mean(key, valid.iter().copied())),
        };
        return problem.hint(hint.unwrap_or_else(|| format!("valid keys here: {}", valid.join(", "))));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|rest| rest.rsplit_once(", expected "))
    {
        let found = match found {
            "sequence" => "a list",
            "map" => "a map of keys",
            other => other,
        };
        let problem = Problem::at(at, format!("expected {expected}, not {}", shorten(found)));
        let bare = ["integer ", "float", "boolean "].iter().any(|kind| found.starts_with(kind));
        let number = found.strip_prefix("string \"").and_then(|rest| rest.strip_suffix('"'));
        return if bare && expected.contains("text") {
            problem.hint("put it in quotes, if that is what you mean")
        } else if number.is_some_and(|text| text.bytes().all(|b| b.is_ascii_digit())) {
            problem.hint("write the number without quotes")
        } else {
            problem
        };
    }
    Problem::at(at, crate::escape::escape_str(&message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> (Option<(usize, usize)>, String) {
        let problem = check_form(text).expect_err(text);
        let at = match problem.place {
            crate::profile::problem::Place::At(at) => Some((at.line, at.column)),
            _ => None,
        };
        (at, problem.message)
    }

    #[test]
    fn a_second_key_is_refused_where_it_stands() {
        let text = "streams:\n  main:\n    out: a\n    bind: b\n    out: c\n";
        assert_eq!(refused(text), (Some((5, 5)), "the key `out` stands here a second time".into()));
    }

    #[test]
    fn keys_and_values_are_found_by_their_path() {
        let text = "a: 1\nstreams:\n  main: {out: x}\n  web:\n    out:   y\n";
        let path = |keys: &[&str]| keys.iter().map(|&k| k.to_owned()).collect::<Vec<_>>();
        let value = |keys: &[&str]| of_value(text, &path(keys)).map(|p| (p.line, p.column));
        let key = |keys: &[&str]| of_key(text, &path(keys)).map(|p| (p.line, p.column));
        assert_eq!(value(&["streams", "web", "out"]), Some((5, 12)));
        assert_eq!(key(&["streams", "web", "out"]), Some((5, 5)));
        assert_eq!(value(&["streams", "main", "out"]), Some((3, 15)));
        assert_eq!(key(&["streams", "web"]), Some((4, 3)));
        assert_eq!(value(&["a"]), Some((1, 4)));
        assert_eq!(key(&["streams", "none"]), None);
    }

    #[test]
    fn bombs_end_in_an_error_and_soon() {
        let started = std::time::Instant::now();
        let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for i in 1..20 {
            let again = vec![format!("*a{}", i - 1); 10].join(", ");
            laughs.extend([format!("a{i}: &a{i} [{again}]\n")]);
        }
        let wide = format!("a: &a [{}]\nb: [{}]", "a,".repeat(100_000), "*a,".repeat(100_000));
        let half = 1 << 19;
        for text in [
            laughs,
            wide,
            "a: &a [*a]".to_owned(),
            "[".repeat(half),
            "{".repeat(half),
            "[{".repeat(half / 2),
            "{a: ".repeat(half / 4),
            "- ".repeat(half / 2),
            "? ".repeat(half / 2),
            "a: ".repeat(half / 3),
            "&a ".repeat(half / 3),
        ] {
            assert!(check_form(&text).is_err(), "{:?}", &text[..20]);
        }
        assert!(started.elapsed().as_secs() < 20, "{:?}", started.elapsed());
    }

    #[test]
    fn syntax_errors_have_a_place_and_common_ones_a_hint() {
        for (text, place, hint) in [
            ("target: x\nstreams:\n\tmain:\n", (3, 1), "tabs"),
            ("streams:\n  main:\n    bind: *\n", (3, 12), "quotes"),
            ("target: !secret x\n", (1, 9), "quotes"),
        ] {
            let problem = check_form(text).unwrap_err();
            assert_eq!(refused(text).0, Some(place), "{problem:?}");
            assert!(problem.hints.concat().contains(hint), "{problem:?}");
        }
        assert!(refused("a: 1\n---\nb: 2\n").1.contains("more than one document"));
        assert!(refused("x: 1\na: b: c\n").1.starts_with("`a: b: c` is not YAML: "));
        assert!(refused("a: 'b\n").1.starts_with("this is not YAML: "), "the end of the file has no text");
        assert!(!refused("target\t- : {[").1.contains('\t'), "a key with a tab is quoted by the YAML crate as it is");
    }
}
