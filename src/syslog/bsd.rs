//! RFC 3164, which describes what was found, and what else is found: no host, no time, years, Cisco's numbers.

use super::time::any;
use super::{Data, Message};

/// The longest name of a program, in bytes.
const NAME: usize = 64;

/// `rest`: what follows the priority. What is not understood is message.
pub fn parse(rest: &str) -> Message<'_> {
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    let (time, host, rest) = head(rest);
    let (app, pid, message) = tag(rest).unwrap_or((None, None, rest));
    Message { priority: 0, time, host, app, pid, msgid: None, data: Data::default(), message }
}

/// Time and host, and what follows them.
fn head(text: &str) -> (Option<&str>, Option<&str>, &str) {
    if let Some((time, rest)) = time(text) {
        let (host, rest) = host(rest);
        return (Some(time), host, rest);
    }
    // Cisco: a number, perhaps the machine, perhaps a mark that the clock is not right.
    let Some((number, after)) = text.split_once(": ") else { return (None, None, text) };
    if !number.bytes().all(|b| b.is_ascii_digit()) {
        return (None, None, text);
    }
    let (name, after) = match after.split_once(": ") {
        Some((name, rest)) if time(unmarked(after)).is_none() && is_host(name) => (Some(name), rest),
        _ => (None, after),
    };
    match time(unmarked(after)) {
        Some((time, rest)) => (Some(time), name, rest),
        None => (None, None, text),
    }
}

fn unmarked(text: &str) -> &str {
    text.strip_prefix(['*', '.']).unwrap_or(text)
}

/// A time, and what follows it after a space.
fn time(text: &str) -> Option<(&str, &str)> {
    let (time, rest) = text.split_at(any(text)?);
    let rest = rest.strip_prefix(':').unwrap_or(rest);
    if rest.is_empty() { Some((time, rest)) } else { Some((time, rest.strip_prefix(' ')?)) }
}

/// The word after the time is the machine, unless it is a tag: programs leave their own machine out.
fn host(text: &str) -> (Option<&str>, &str) {
    if tag(text).is_some() {
        return (None, text);
    }
    match text.split_once(' ') {
        Some((host, rest)) if is_host(host) => (Some(host), rest.strip_prefix(": ").unwrap_or(rest)),
        _ => (None, text),
    }
}

fn is_host(word: &str) -> bool {
    let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':' | b'/' | b'@');
    (1..=255).contains(&word.len()) && word.bytes().all(known)
}

/// Program, its number, message.
type Tagged<'a> = (Option<&'a str>, Option<&'a str>, &'a str);

/// `name[pid]: message`, `name: message` or `name[pid] message`.
fn tag(text: &str) -> Option<Tagged<'_>> {
    let end =
        text.bytes().take(NAME + 1).position(|b| matches!(b, b':' | b'[' | b'=' | b'"') || !b.is_ascii_graphic())?;
    let (name, rest) = text.split_at(end);
    if name.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (pid, rest) = match rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((pid, rest)) if !pid.is_empty() && pid.len() <= NAME && !pid.contains([' ', '[']) => (Some(pid), rest),
        _ => (None, rest),
    };
    let after = rest.strip_prefix(':');
    if after.is_none() && pid.is_none() {
        return None;
    }
    let after = after.unwrap_or(rest);
    if after.is_empty() { Some((Some(name), pid, after)) } else { Some((Some(name), pid, after.strip_prefix(' ')?)) }
}
