//! Which rule of the jump host a refused port most likely ran into, and what would allow it.
//!
//! Servers refuse with the same bare word, whatever the reason; the texts that OpenSSH adds for debugging never reach us.
//! So the server is asked further questions, over the same connection and without a shell: [`verdict`] says which, and what
//! the answers mean. Whatever a question opens is closed at once.

mod socket;
mod verdict;

use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Error as Ssh};
use tokio::time::{Instant, timeout, timeout_at};

pub use self::socket::Socket;
use self::verdict::{Answer, Answers, Question, Server};
use super::handler::Guest;
use super::routes::wire_address;
use super::settings::Settings;
use crate::error::Error;
use crate::escape::escape_str;

/// What one answer may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// What all of them may take.
const ALL: Duration = Duration::from_secs(4);

/// Whether a server that calls itself `software` has no forwards, and says nothing when it is asked for one.
#[must_use]
pub fn has_no_forwards(software: &str) -> bool {
    software.starts_with("tinyssh")
}

/// The error for `port` on `bind` of such a server.
#[must_use]
pub fn without_forwards(target: &str, software: &str, bind: &str, port: u16) -> Error {
    let software = escape_str(software);
    Error::refused(format!("{target} cannot open port {port} on {bind}: its SSH server, {software}, has no forwards"))
        .hint("the jump host needs another SSH server, such as OpenSSH or Dropbear")
}

/// The error for `port` that a connection held which was lost; `shell`: one for the account would help.
#[must_use]
pub fn still_held(target: &str, software: &str, port: u16, shell: bool) -> Error {
    let (cure, how) = match Server::of(software) {
        Server::Dropbear => ("the option `-K 15` of dropbear makes", "run dropbear there with -K 15"),
        Server::OpenSsh | Server::Other => (
            "`ClientAliveInterval 15` and `ClientAliveCountMax 3` in sshd_config there make",
            "for sshd_config there, a line each: `ClientAliveInterval 15` and `ClientAliveCountMax 3`",
        ),
    };
    let error = Error::refused(format!(
        "{target} refused to open port {port} again: most likely the connection that was lost still holds it there, until the \
         server notices the loss; {cure} that a minute"
    ))
    .hint(how);
    if shell {
        error.hint("with a login shell for the account, reclog ends what is left of a lost connection itself")
    } else {
        error
    }
}

/// Why a port was refused.
pub struct Refused {
    /// For whoever wants it open.
    pub error: Error,
    /// Whether somebody may listen there; `false`: a rule is in the way.
    pub maybe_taken: bool,
}

/// The reason for `port` on `bind`, which a server that calls itself `software` refused to open. Asks it a few questions
/// first.
pub async fn explain(handle: &Handle<Guest>, settings: &Settings, software: &str, bind: &str, port: u16) -> Refused {
    let deadline = Instant::now() + ALL;
    let mut answers = Answers::default();
    while let Some(question) = answers.next(bind, port) {
        let Ok(answered) = timeout_at(deadline, timeout(PATIENCE, ask(handle, &question))).await else { break };
        let answered = answered.unwrap_or(Answer::Unclear);
        tracing::debug!(?question, ?answered, "asked why the port was refused");
        answers.record(&question, answered);
    }
    let server = Server::of(software);
    let verdict = answers.verdict(bind, port);
    let error = verdict.error(server, &settings.target(), &settings.user, bind, port);
    Refused { error, maybe_taken: verdict.maybe_taken() }
}

async fn ask(handle: &Handle<Guest>, question: &Question<'_>) -> Answer {
    match *question {
        Question::Forward { bind, port } => {
            let address = wire_address(bind);
            match handle.tcpip_forward(address, u32::from(port)).await {
                Ok(chosen) => {
                    let opened = if port == 0 { chosen } else { u32::from(port) };
                    let _ = handle.cancel_tcpip_forward(address, opened).await;
                    Answer::Open
                }
                Err(Ssh::RequestDenied) => Answer::Forbidden,
                Err(_) => Answer::Unclear,
            }
        }
        Question::Connect { port } => {
            match handle.channel_open_direct_tcpip("127.0.0.1", u32::from(port), "127.0.0.1", 0).await {
                Ok(channel) => {
                    let _ = channel.close().await;
                    Answer::Open
                }
                Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => Answer::Closed,
                Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited)) => Answer::Forbidden,
                Err(_) => Answer::Unclear,
            }
        }
    }
}
