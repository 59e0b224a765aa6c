//! The parent's side of a start: runs this program again in the background and hears how it comes up.

use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::events::{Event, Launch, Up};
use crate::error::{Error, Result, io_reason};

/// The verb under which the background half runs.
pub const VERB: &str = "__collector";
/// A child that is told that nobody waits cleans up within this time, or is killed.
const CLEAN_UP: Duration = Duration::from_secs(5);

/// Starts a collector in the background. Every event goes to `hear` as well.
///
/// # Errors
/// Why it did not come up; interrupted when `interrupt` ends first. Then nothing of it is left.
pub async fn background(
    launch: &Launch,
    mut hear: impl FnMut(&Event),
    interrupt: impl Future<Output = ()>,
) -> Result<Up> {
    let failed = |e: std::io::Error| Error::failed(format!("cannot start the background process: {}", io_reason(&e)));
    let program = std::env::current_exe().map_err(failed)?;
    let mut child =
        Command::new(program).arg(VERB).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut input = child.stdin.take().expect("piped");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut line = serde_json::to_vec(launch).expect("a plan is plain data");
    line.push(b'\n');
    // A child that died at once is told about by its last words, or by their lack.
    let _ = input.write_all(&line).await;
    let come_up = async {
        while let Ok(Some(line)) = lines.next_line().await {
            let Ok(event) = serde_json::from_str::<Event>(&line) else { continue };
            hear(&event);
            match event {
                Event::Up(up) => return Ok(up),
                Event::Failed { kind, message, hint } => {
                    let hints = hint.map(|h| h.lines().map(str::to_owned).collect()).unwrap_or_default();
                    return Err(Error { kind, message, hints });
                }
                Event::Step { .. } => {}
            }
        }
        Err(Error::failed("the background process ended without a word"))
    };
    tokio::pin!(come_up);
    let first = tokio::select! {
        biased;
        result = &mut come_up => Some(result),
        () = interrupt => None,
    };
    match first {
        Some(Ok(up)) => Ok(up),
        Some(Err(error)) => {
            drop(input);
            reap(child).await;
            Err(error)
        }
        None => {
            // The end of its input tells the child that nobody waits. It may have come up in this very moment; then it
            // is a collector like any other and is asked to end.
            drop(input);
            if let Ok(Ok(up)) = timeout(CLEAN_UP, come_up).await
                && let Some(pid) = i32::try_from(up.pid).ok().and_then(Pid::from_raw)
            {
                let _ = kill_process(pid, Signal::TERM);
                let _ = child.wait().await;
            }
            reap(child).await;
            Err(Error::interrupted())
        }
    }
}

async fn reap(mut child: Child) {
    if timeout(CLEAN_UP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
