//! The parent's side of a start: runs this program again in the background and hears how it comes up.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

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
    tokio::select! {
        result = come_up => {
            if result.is_err() {
                drop(input);
                reap(child).await;
            }
            result
        }
        () = interrupt => {
            // The end of its input tells the child that nobody waits.
            drop(input);
            reap(child).await;
            Err(Error::interrupted())
        }
    }
}

async fn reap(mut child: Child) {
    if tokio::time::timeout(CLEAN_UP, child.wait()).await.is_err() {
        let _ = child.kill().await;
    }
}
