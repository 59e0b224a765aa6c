//! A person is asked whether the key of an unknown host is the right one.

use super::known_hosts::Names;
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::ssh::prompt::{Answer, Desk, Question, QuestionKind};

/// Answers that are none before it is enough: something else than a person may sit there.
const TRIES: usize = 10;

/// The key that is asked about, in words that are safe to show.
pub struct Shown<'a> {
    /// Of which host.
    pub names: &'a Names,
    /// `ED25519`.
    pub kind: &'a str,
    /// `SHA256:…`.
    pub fingerprint: &'a str,
    /// Lines of known_hosts that have the same key for other hosts.
    pub others: &'a [String],
}

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub enum Consent {
    /// The person knows the key.
    Given,
    /// Nobody could be asked.
    Nobody,
}

/// Asks until there is an answer: yes, no, or the fingerprint, which a careful person pastes.
///
/// # Errors
/// A host key error when the person says no, or nothing.
pub async fn ask(shown: &Shown<'_>, desk: &Desk) -> Result<Consent> {
    let mut text = question(shown);
    for _ in 0..TRIES {
        match desk.ask(Question { text, kind: QuestionKind::HostKey }).await {
            Answer::Nobody => return Ok(Consent::Nobody),
            Answer::Declined => break,
            Answer::Text(answer) => match answer.trim() {
                // ssh takes no answer for a no, too.
                answer if answer.is_empty() || answer.eq_ignore_ascii_case("no") => break,
                answer if answer.eq_ignore_ascii_case("yes") || answer == shown.fingerprint => {
                    return Ok(Consent::Given);
                }
                _ => text = "Please type 'yes', 'no' or the fingerprint: ".into(),
            },
        }
    }
    Err(Error::host_key(format!(
        "host key verification refused: the {} key {} of {} was not accepted",
        shown.kind,
        shown.fingerprint,
        escape_str(&shown.names.full)
    )))
}

/// In ssh's words: people know them, and programs that answer wait for them.
fn question(shown: &Shown<'_>) -> String {
    let others = if shown.others.is_empty() {
        "This key is not known by any other names.".into()
    } else {
        format!("This key is known by other names:\n    {}", shown.others.join("\n    "))
    };
    format!(
        "The authenticity of host '{}' can't be established.\n{} key fingerprint is {}.\n{others}\n\
         Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
        escape_str(&shown.names.full),
        shown.kind,
        shown.fingerprint
    )
}
