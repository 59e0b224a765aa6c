//! One command on the jump host, and what it says; bounded in time and bytes, whatever the server does.

use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::timeout;

use super::identity::{LONGEST_OUTPUT, Said};
use crate::ssh::handler::Guest;

/// How long somebody waits for it: the start of a shell, and the end of a process that has to be waited for.
const PATIENCE: Duration = Duration::from_secs(10);
/// Where nobody does: what a shell reads as it starts takes a minute on some machines.
const LONG_PATIENCE: Duration = Duration::from_secs(120);
/// What saying good-bye to its channel may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// Runs `command`, whose lines begin with `mark`. An account that may not run it says nothing.
pub async fn run(handle: &Handle<Guest>, command: String, mark: &str) -> Said {
    within(PATIENCE, handle, command, mark).await
}

/// As [`run`], when nobody waits for it.
pub async fn run_at_leisure(handle: &Handle<Guest>, command: String, mark: &str) -> Said {
    within(LONG_PATIENCE, handle, command, mark).await
}

async fn within(patience: Duration, handle: &Handle<Guest>, command: String, mark: &str) -> Said {
    let done = |output: &[u8]| Said::parse(output, mark).done;
    Said::parse(&output(handle, command, patience, LONGEST_OUTPUT, done).await, mark)
}

/// What `command` prints, until it is `done` or has ended, has said so many bytes, or so much time has passed. Not to be dropped
/// half-way: the session would stay.
pub async fn output(
    handle: &Handle<Guest>,
    command: String,
    patience: Duration,
    longest: usize,
    done: impl Fn(&[u8]) -> bool,
) -> Vec<u8> {
    let opened = timeout(PATIENCE, handle.channel_open_session()).await;
    let channel = match opened {
        Ok(Ok(channel)) => channel,
        Ok(Err(error)) => {
            tracing::debug!("the jump host opens no session: {error}");
            return Vec::new();
        }
        Err(_) => {
            tracing::debug!("the jump host does not answer whether it opens a session");
            return Vec::new();
        }
    };
    let (mut read, write) = channel.split();
    let mut output = Vec::new();
    let talk = async {
        if write.exec(true, command).await.is_ok() {
            listen(&mut read, &mut output, longest, done).await;
        }
    };
    let _ = timeout(patience, talk).await;
    // First of all, or a server that talks on would fill a queue that nobody reads, and stop the connection.
    drop(read);
    let _ = timeout(FAREWELL, write.close()).await;
    output
}

/// Until it is done, or has said too much, or ends.
async fn listen(read: &mut ChannelReadHalf, output: &mut Vec<u8>, longest: usize, done: impl Fn(&[u8]) -> bool) {
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                let room = longest.saturating_sub(output.len());
                output.extend_from_slice(&data[..data.len().min(room)]);
                if output.len() >= longest || done(output) {
                    return;
                }
            }
            ChannelMsg::Failure | ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}
