//! `ProxyCommand`: a program whose standard input and output are the connection.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::socket::Wire;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape;
use crate::plan::PRIVATE_VARIABLES;

/// A program that is told to go (SIGHUP, as ssh does it) goes within this time, or is killed.
const CLEAN_UP: Duration = Duration::from_secs(1);
/// A program whose end broke the connection has ended by now, and its last words are read.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Bytes of one line of its standard error that are kept.
const LONGEST_LINE: usize = 1024;

/// The running program. Dropping it tells it to go.
pub struct Program {
    said: Arc<Mutex<String>>,
    /// How it ended, once it has.
    fate: watch::Receiver<Option<String>>,
    go: DropGuard,
}

/// Starts `command` with the user's shell, as ssh does, in `folder` as long as that is there.
///
/// # Errors
/// When the shell cannot be started; that the command fails shows in [`Program::last_words`].
pub fn start(command: &str, folder: &Path) -> Result<(Wire, Program)> {
    let shell = std::env::var_os("SHELL").filter(|s| !s.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let mut shell_command = Command::new(&shell);
    for name in PRIVATE_VARIABLES {
        shell_command.env_remove(name);
    }
    let mut child = shell_command
        .current_dir(if folder.is_dir() { folder } else { Path::new("/") })
        .arg("-c")
        // The shell makes way for the command, so that signals reach the right one.
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Ctrl-C is for us: the connection is needed until everything is drained.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| {
            Error::failed(format!(
                "cannot start the ProxyCommand with {}: {}",
                escape(shell.as_encoded_bytes()),
                io_reason(&e)
            ))
            .hint("$SHELL names the shell")
        })?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let said = Arc::new(Mutex::new(String::new()));
    let (tell, fate) = watch::channel(None);
    let go = CancellationToken::new();
    let stderr = listen(stderr.expect("piped"), Arc::clone(&said));
    tokio::spawn(look_after(child, stderr, go.clone(), tell));
    let wire = Wire::Tunnel(Box::new(tokio::io::join(stdout.expect("piped"), stdin.expect("piped"))));
    Ok((wire, Program { said, fate, go: go.drop_guard() }))
}

impl Program {
    /// If it has ended, or does so now: how, and the last line that it said.
    pub async fn last_words(&mut self) -> Option<String> {
        let ended = async { self.fate.wait_for(Option::is_some).await.ok().and_then(|fate| fate.clone()) };
        let fate = timeout(LAST_WORDS, ended).await.ok().flatten()?;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Some(if said.is_empty() { fate } else { format!("{fate}: {said}") })
    }

    /// Tells it to go and waits until it has.
    pub async fn end(self) {
        let Self { mut fate, go, .. } = self;
        drop(go);
        // One second for SIGHUP, and SIGKILL is at once.
        let _ = timeout(CLEAN_UP * 2, fate.wait_for(Option::is_some)).await;
    }
}

async fn look_after(
    mut child: Child,
    stderr: impl Future<Output = ()> + Send,
    go: CancellationToken,
    tell: watch::Sender<Option<String>>,
) {
    let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    tokio::pin!(stderr);
    let mut heard = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = &mut stderr, if !heard => heard = true,
            () = go.cancelled() => {
                // Not yet waited for, so the number is still its own.
                let signal = |signal| group.map(|group| kill_process_group(group, signal));
                signal(Signal::HUP);
                if let Ok(status) = timeout(CLEAN_UP, child.wait()).await {
                    break status;
                }
                signal(Signal::KILL);
                break child.wait().await;
            }
        }
    };
    if !heard && !go.is_cancelled() {
        // Something that it left behind may hold the pipe open.
        let _ = timeout(LAST_WORDS / 2, stderr).await;
    }
    tell.send_replace(Some(match status {
        Ok(status) => match status.code() {
            Some(code) => format!("ended with exit code {code}"),
            None => "was killed".to_owned(),
        },
        Err(e) => format!("was lost: {}", io_reason(&e)),
    }));
}

/// Keeps the last line that the program says on its standard error, and logs every one.
async fn listen(mut stderr: impl AsyncRead + Unpin, last: Arc<Mutex<String>>) {
    let (mut line, mut chunk) = (Vec::new(), [0; 1024]);
    loop {
        let read = stderr.read(&mut chunk).await.unwrap_or(0);
        for byte in &chunk[..read] {
            match byte {
                b'\n' => take_line(&mut line, &last),
                _ if line.len() < LONGEST_LINE => line.push(*byte),
                _ => {}
            }
        }
        if read == 0 {
            return take_line(&mut line, &last);
        }
    }
}

fn take_line(line: &mut Vec<u8>, last: &Mutex<String>) {
    let text = escape(line.trim_ascii());
    line.clear();
    if !text.is_empty() {
        tracing::info!("the ProxyCommand says: {text}");
        *last.lock().unwrap_or_else(PoisonError::into_inner) = text;
    }
}
