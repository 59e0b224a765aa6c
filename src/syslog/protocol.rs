//! RFC 5424.

use super::time::rfc3339;
use super::{Data, Message};

/// `rest`: what follows the priority. `None`: it is not of this kind. Structured data that cannot be read is a part of the message.
pub fn parse(rest: &str) -> Option<Message<'_>> {
    let mut rest = rest.strip_prefix("1 ")?;
    let mut word = || {
        let (word, after) = rest.split_once(' ')?;
        rest = after;
        (!word.is_empty()).then_some(if word == "-" { None } else { Some(word) })
    };
    let (time, host, app, pid, msgid) = (word()?, word()?, word()?, word()?, word()?);
    if time.is_some_and(|time| rfc3339(time) != Some(time.len())) {
        return None;
    }
    let (data, message) = Data::take(rest).unwrap_or((Data::default(), rest));
    let message = message.strip_prefix('\u{feff}').unwrap_or(message);
    Some(Message { priority: 0, time, host, app, pid, msgid, data, message })
}
