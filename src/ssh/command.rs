//! One command on the jump host, for its output; bounded in time and bytes, whatever the server does.

use std::time::{Duration, Instant};

use russh::{ChannelMsg, ChannelReadHalf};
use tokio::time::timeout;

use super::connection::Connection;

/// Bytes of output that are kept; sshd_config is some kilobytes long.
const LONGEST_OUTPUT: usize = 256 * 1024;
/// What saying good-bye to its channel may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a command said.
#[derive(Debug, Clone)]
pub struct Output {
    /// Its standard output, a stranger's words, and whatever the shell of the account says on its own.
    pub text: String,
    /// When it was asked for.
    pub asked: Instant,
    /// When the last of the output came.
    pub answered: Instant,
}

impl Connection {
    /// Runs `script` (for `/bin/sh`; no single quote, backslash, exclamation mark or new line in it, which some login shell
    /// would take for its own) and waits for its end, at most for `patience`. `None` where no command may be run, or
    /// nothing came of it.
    pub async fn command(&self, script: &str, patience: Duration) -> Option<Output> {
        if !self.leg.settings.commands {
            return None;
        }
        let channel = match timeout(patience, self.leg.handle.channel_open_session()).await {
            Ok(Ok(channel)) => channel,
            refused => {
                tracing::debug!(refused = ?refused.map(|r| r.map(|_| ())), "the jump host opens no session");
                return None;
            }
        };
        let (mut read, write) = channel.split();
        let asked = Instant::now();
        let mut heard = Heard::default();
        let talk = async {
            if write.exec(true, format!("exec /bin/sh -c '{script}'")).await.is_ok() {
                listen(&mut read, &mut heard).await;
            }
        };
        let _ = timeout(patience, talk).await;
        // First of all, or a server that talks on would fill a queue that nobody reads, and stop the connection.
        drop(read);
        let _ = timeout(FAREWELL, write.close()).await;
        let answered = heard.last?;
        Some(Output { text: String::from_utf8_lossy(&heard.output).into_owned(), asked, answered })
    }
}

#[derive(Default)]
struct Heard {
    output: Vec<u8>,
    last: Option<Instant>,
}

async fn listen(read: &mut ChannelReadHalf, heard: &mut Heard) {
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                heard.last = Some(Instant::now());
                let room = LONGEST_OUTPUT.saturating_sub(heard.output.len());
                heard.output.extend_from_slice(&data[..data.len().min(room)]);
                if heard.output.len() >= LONGEST_OUTPUT {
                    return;
                }
            }
            ChannelMsg::Failure | ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}
