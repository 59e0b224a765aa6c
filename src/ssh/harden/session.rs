//! What a session of the key is good for: a command, a shell, files.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, Error as Ssh};
use tokio::time::{Instant, timeout, timeout_at};

use super::ability::Found;
use super::check::Tried;
use crate::ssh::handler::Guest;
use crate::ssh::server_process;
use crate::ssh::settings::PHASE_TIMEOUT;

/// What has not ended by then runs: a shell that starts, or a program that waits for us. `/bin/false` is no longer there.
const RUNS: Duration = Duration::from_secs(6);
/// What a program is left to say or to end before it is spoken to.
const QUIET: Duration = Duration::from_secs(1);
/// What is read of a program at most.
const LONGEST: usize = 64 * 1024;
/// An answer that depends on nothing but the rules.
const ANSWER: Duration = Duration::from_secs(5);
/// What saying good-bye to a channel may take.
const FAREWELL: Duration = Duration::from_secs(1);
/// What nologin(8) says before it ends.
const NO_LOGIN: &[u8] = b"account is currently not available";
/// SSH_FXP_INIT of version 3 (draft-ietf-secsh-filexfer-02, section 4).
const HELLO: &[u8] = &[0, 0, 0, 5, 1, 0, 0, 0, 3];

/// A session; `Err`: what its refusal means.
async fn session(handle: &Handle<Guest>) -> std::result::Result<Channel<Msg>, Found> {
    match timeout(PHASE_TIMEOUT, handle.channel_open_session()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(Ssh::ChannelOpenFailure(_))) => Err(Found::Closed),
        _ => Err(Found::CannotTell),
    }
}

/// Ends a session and whatever runs in it.
pub async fn leave(channel: Channel<Msg>) {
    let (read, write) = channel.split();
    drop(read);
    let _ = timeout(FAREWELL, write.close()).await;
}

/// How a program that was let in behaved.
#[derive(Debug, PartialEq, Eq)]
enum Ran {
    /// The server lets none in.
    Refused,
    /// It ended on its own and at once, and said nothing, or that nobody may log in.
    Gone,
    /// It is ours.
    Ours,
    /// It is another one, which was forced upon us.
    Forced,
    /// The connection is gone.
    Unclear,
}

impl From<Ran> for Tried {
    fn from(ran: Ran) -> Self {
        let found = match ran {
            Ran::Refused | Ran::Gone => Found::Closed,
            Ran::Ours => Found::Open,
            Ran::Forced => return Self { found: Found::Open, note: Some("a forced command runs".into()) },
            Ran::Unclear => Found::CannotTell,
        };
        found.into()
    }
}

pub async fn command(handle: &Handle<Guest>) -> Tried {
    let mark = server_process::mark();
    match session(handle).await {
        Ok(channel) => {
            let asked = channel.exec(true, format!("echo {mark}")).await;
            ran(channel, asked, None, |said| has_line(said, &mark)).await.into()
        }
        Err(found) => found.into(),
    }
}

pub async fn shell(handle: &Handle<Guest>) -> Tried {
    let mark = server_process::mark();
    match session(handle).await {
        Ok(channel) => {
            let asked = channel.request_shell(true).await;
            // Without a terminal nothing comes back but what was run.
            let say = format!("echo {mark}\nexit\n").into_bytes();
            ran(channel, asked, Some(say), |said| has_line(said, &mark)).await.into()
        }
        Err(found) => found.into(),
    }
}

pub async fn sftp(handle: &Handle<Guest>) -> Tried {
    match session(handle).await {
        Ok(channel) => {
            let asked = channel.request_subsystem(true, "sftp").await;
            // SSH_FXP_VERSION, after its length.
            ran(channel, asked, Some(HELLO.to_vec()), |said| said.get(4) == Some(&2)).await.into()
        }
        Err(found) => found.into(),
    }
}

fn has_line(said: &[u8], mark: &str) -> bool {
    said.split(|b| *b == b'\n').any(|line| line.trim_ascii() == mark.as_bytes())
}

/// What came of a program that was asked for; `say` is what it gets once it is quiet, `ours` knows the answer.
async fn ran(
    mut channel: Channel<Msg>,
    asked: std::result::Result<(), Ssh>,
    mut say: Option<Vec<u8>>,
    ours: impl Fn(&[u8]) -> bool,
) -> Ran {
    if asked.is_err() {
        return Ran::Unclear;
    }
    let (mut said, mut let_in, mut spoken_to) = (Vec::new(), false, false);
    let mut exit = None;
    let mut end = Instant::now() + PHASE_TIMEOUT;
    let mut quiet = end;
    let ran = loop {
        let message = match timeout_at(end.min(quiet), channel.wait()).await {
            Ok(message) => message,
            Err(_) if Instant::now() < end => {
                quiet = end;
                if let Some(say) = say.take() {
                    spoken_to = true;
                    let _ = timeout_at(end, channel.data_bytes(say)).await;
                }
                continue;
            }
            Err(_) if exit.is_some() => break ended(&said, exit, spoken_to),
            Err(_) if let_in => break Ran::Forced,
            Err(_) => break Ran::Unclear,
        };
        match message {
            Some(ChannelMsg::Success) if !let_in => {
                let_in = true;
                end = Instant::now() + RUNS;
                quiet = Instant::now() + QUIET;
            }
            Some(ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. }) => {
                said.extend_from_slice(&data[..data.len().min(LONGEST)]);
                if ours(&said) {
                    break Ran::Ours;
                }
                if said.len() > LONGEST {
                    break Ran::Forced;
                }
            }
            // sshd may tell it before the last of the output.
            Some(ChannelMsg::ExitStatus { exit_status }) => {
                exit = Some(exit_status);
                end = Instant::now() + QUIET;
                quiet = end;
            }
            Some(ChannelMsg::Close) if let_in => break ended(&said, exit, spoken_to),
            Some(ChannelMsg::Failure | ChannelMsg::Close) => break Ran::Refused,
            None => break Ran::Unclear,
            Some(_) => {}
        }
    };
    tracing::debug!(?ran, said = said.len(), "a program of the key");
    leave(channel).await;
    ran
}

/// What a program was that ended and was not known for ours: what is not known for harmless is taken for a command.
/// `status`: `None` when a signal ended it.
fn ended(said: &[u8], status: Option<u32>, spoken_to: bool) -> Ran {
    let silent = said.is_empty() && (status == Some(1) || (status != Some(0) && !spoken_to));
    let no_login = said.windows(NO_LOGIN.len()).any(|window| window == NO_LOGIN);
    if silent || no_login { Ran::Gone } else { Ran::Forced }
}

/// What is asked of a session before anything runs in it.
#[derive(Clone, Copy)]
pub enum Asked {
    Terminal,
    Agent,
    X11,
}

pub async fn asks(handle: &Handle<Guest>, what: Asked) -> Found {
    let mut channel = match session(handle).await {
        Ok(channel) => channel,
        Err(found) => return found,
    };
    let asked = match what {
        Asked::Terminal => channel.request_pty(true, "dumb", 80, 24, 0, 0, &[]).await,
        Asked::Agent => channel.agent_forward(true).await,
        // A cookie of zeros: nobody will ever show it to a display.
        Asked::X11 => channel.request_x11(true, true, "MIT-MAGIC-COOKIE-1", "0".repeat(32), 0).await,
    };
    let found = if asked.is_ok() {
        timeout(ANSWER, answer(&mut channel)).await.unwrap_or(Found::CannotTell)
    } else {
        Found::CannotTell
    };
    leave(channel).await;
    found
}

async fn answer(channel: &mut Channel<Msg>) -> Found {
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Success => return Found::Open,
            ChannelMsg::Failure | ChannelMsg::Close => return Found::Closed,
            _ => {}
        }
    }
    Found::CannotTell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_ends_at_once_and_silently_is_no_command() {
        assert_eq!(ended(b"", Some(1), true), Ran::Gone, "/bin/false, and slow");
        assert_eq!(ended(b"", Some(127), false), Ran::Gone, "there is no such program");
        assert_eq!(ended(b"This account is currently not available.\n", Some(1), false), Ran::Gone);
        assert_eq!(ended(b"", Some(11), true), Ran::Forced, "internal-sftp does not understand a shell's input");
        assert_eq!(ended(b"", Some(0), false), Ran::Forced, "it did its work and said nothing");
        assert_eq!(ended(b"hello\n", Some(1), false), Ran::Forced);
    }
}
