//! Whether the arguments of a keyword are such as ssh takes.

use super::account::{service, variable};
use super::keywords::{Keyword, Kind, List};
use super::names::Choice;
use super::{expand, jump, line, value};
use crate::escape::escape_str;

/// The arguments of `keyword`, found sound; `rest` is what stands behind the keyword.
///
/// # Errors
/// What is wrong with them.
pub fn arguments(keyword: &Keyword, rest: &str) -> Result<Vec<String>, String> {
    // Commands and hops too must have their quotes closed, though nothing is made of them.
    let all = line::arguments(rest)?;
    let command = || rest.trim_start_matches([' ', '\t', '\r', '\n', '=']);
    let most = match keyword.kind {
        Kind::Command => return Ok(vec![command().to_owned()]),
        Kind::Jump => {
            return Ok(jump::hops(command(), service)?.unwrap_or_else(|| vec!["none".to_owned()]));
        }
        Kind::Loose | Kind::Host | Kind::Match | Kind::Include | Kind::Files => usize::MAX,
        Kind::Rekey => 2,
        Kind::Words(_, most) => most,
        _ => 1,
    };
    let Some(first) = all.first().filter(|first| !first.is_empty() || keyword.kind == Kind::Loose) else {
        return Err(format!("`{}` without a value", keyword.name));
    };
    if all.len() > most {
        return Err(format!("`{}` takes no more after {}", keyword.name, shown(&all[most - 1])));
    }
    let takes = |wanted: &str| Err(format!("`{}` takes {wanted}, not {}", keyword.name, shown(first)));
    match keyword.kind {
        Kind::Flag if value::flag(first).is_none() => takes("yes or no"),
        Kind::Choice(words) if !words.iter().any(|word| first.eq_ignore_ascii_case(word)) => takes(&one_of(words)),
        Kind::Number if value::number(first, i32::MAX as u64).is_none() => takes("a number"),
        Kind::Port if port(first).is_none() => takes("a port (1 to 65535)"),
        Kind::Time if first != "none" && value::time(first).is_none() => takes("a time such as 90 or 1m30"),
        Kind::Rekey if value::rekey_bytes(first).is_none() => takes("`default` or a number of bytes, such as 1G"),
        Kind::Rekey => match all.get(1).filter(|time| *time != "none" && value::time(time).is_none()) {
            Some(time) => Err(format!("`rekeylimit` takes a time such as 1h, not {}", shown(time))),
            None => Ok(all),
        },
        Kind::Agent => agent(first).map(|()| all),
        Kind::Files => files(keyword, &all).map(|()| all),
        Kind::Algorithms(list) => algorithms(keyword, list, first).map(|()| all),
        Kind::Words(least, _) if all.len() < least => Err(format!("`{}` needs {least} values", keyword.name)),
        _ => Ok(all),
    }
}

fn shown(text: &str) -> String {
    format!("`{}`", escape_str(text))
}

/// A port, by number or by the name of its service.
#[must_use]
pub fn port(text: &str) -> Option<u16> {
    let port = match value::number(text, u64::from(u16::MAX)) {
        Some(number) => u16::try_from(number).ok(),
        None => service(text),
    };
    port.filter(|port| *port != 0)
}

/// Without the other spellings of yes and no.
fn one_of(words: &[&str]) -> String {
    let words: Vec<_> = words.iter().filter(|word| !matches!(**word, "true" | "false")).copied().collect();
    format!("one of {}", words.join(", "))
}

fn agent(text: &str) -> Result<(), String> {
    expand::check_env(text, &variable)?;
    match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
        Some(name) if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => {
            Err(format!("{} names no environment variable", shown(text)))
        }
        _ => Ok(()),
    }
}

fn files(keyword: &Keyword, all: &[String]) -> Result<(), String> {
    if all.iter().any(String::is_empty) {
        return Err(format!("`{}` has an empty value", keyword.name));
    }
    if all.len() > 1 && all.iter().any(|file| file.eq_ignore_ascii_case("none")) {
        return Err(format!("`none` has to stand alone behind `{}`", keyword.name));
    }
    if all.len() > 32 {
        return Err(format!("`{}` takes 32 files at most", keyword.name));
    }
    Ok(())
}

fn algorithms(keyword: &Keyword, list: List, spec: &str) -> Result<(), String> {
    Choice::of(list, true).check(spec).map_err(|name| {
        let what = match list {
            List::Ciphers => "cipher",
            List::Macs => "MAC",
            List::Kex => "key exchange",
            List::Keys => "kind of key",
        };
        format!("`{}`: ssh knows no {what} {}", keyword.name, shown(name))
    })
}
