//! The end, in the order of the contract: gate closed, forward cancelled, senders drained, queue empty, flush, fsync,
//! answer with totals. Socket and lock go after that.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};

use super::live::Live;
use super::outputs::Outputs;
use super::signals::{Signal, Signals};
use super::supervisor::Link;
use crate::control::server::Command;
use crate::control::{DownReport, Reply, Request};
use crate::error::{Error, Result};
use crate::intake::Intake;

/// The time that saying good-bye to the jump host may take.
pub const FAREWELL: Duration = Duration::from_secs(1);
/// A disk that works gets at least this long to take what is queued, even with `--now`.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// How often whoever waits hears how many senders are still in.
const PROGRESS: Duration = Duration::from_millis(500);

/// What has to be ended.
pub struct Ending {
    pub link: Option<Link>,
    pub outputs: Outputs,
    pub commands: mpsc::Receiver<Command>,
    pub signals: Signals,
    /// Who waits for the totals.
    pub goodbyes: Vec<mpsc::Sender<Reply>>,
    /// Wait for nobody.
    pub now: bool,
    /// How long senders may take to finish.
    pub patience: Duration,
}

/// Ends it all.
///
/// # Errors
/// Interrupted when a second signal says so.
pub async fn run(mut ending: Ending, live: &Live, name: &str) -> Result<DownReport> {
    let intakes = ending.outputs.intakes().to_vec();
    for intake in &intakes {
        intake.shut();
    }
    let started = Instant::now();
    let mut deadline = if ending.now { started } else { started + ending.patience };
    if wait(&mut ending, &intakes, &mut deadline).await == Wait::Interrupted {
        return Err(Error::interrupted());
    }
    match ending.link.take() {
        Some(Link::Ssh(connection)) => connection.close(FAREWELL).await,
        Some(Link::Local { cut, .. }) => cut.cancel(),
        None => {}
    }
    if timeout(FAREWELL, drained(&intakes)).await.is_err() {
        // Someone is stuck in front of an output that takes nothing.
        ending.outputs.abandon();
        let _ = timeout(FAREWELL, drained(&intakes)).await;
    }
    let patience = deadline.saturating_duration_since(Instant::now()).max(LAST_WRITES);
    let (lost, trouble) = ending.outputs.finish(patience).await;
    let report = DownReport { name: name.to_owned(), streams: live.snapshot().streams, lost, trouble };
    tracing::info!(lost, "down");
    for goodbye in ending.goodbyes {
        let _ = goodbye.try_send(Reply::Down(report.clone()));
    }
    Ok(report)
}

#[derive(Debug, PartialEq, Eq)]
enum Wait {
    Over,
    Interrupted,
}

/// Closes the ports and waits until the last sender is out, the deadline has passed, or someone has lost patience.
async fn wait(ending: &mut Ending, intakes: &[Intake], deadline: &mut Instant) -> Wait {
    let Ending { link, commands, signals, goodbyes, .. } = ending;
    let quiet = async {
        match link {
            Some(Link::Ssh(connection)) => connection.cancel().await,
            Some(Link::Local { stop, .. }) => stop.cancel(),
            None => {}
        }
        drained(intakes).await;
    };
    tokio::pin!(quiet);
    let mut ticks = tokio::time::interval(PROGRESS);
    loop {
        tokio::select! {
            biased;
            () = &mut quiet => return Wait::Over,
            signal = signals.next() => {
                if signal == Signal::Stop {
                    return Wait::Interrupted;
                }
            }
            Some(command) = commands.recv() => if let Request::Down { now } = command.request {
                goodbyes.push(command.replies);
                if now {
                    *deadline = Instant::now();
                }
            } else {
                let error = Error::failed("the collector is going down");
                let _ = command.replies.try_send(Reply::Error { error });
            },
            () = sleep_until(*deadline) => return Wait::Over,
            _ = ticks.tick() => {
                let open = intakes.iter().map(|i| i.open_senders() as u64).sum();
                for goodbye in goodbyes.iter() {
                    let _ = goodbye.try_send(Reply::Draining { open });
                }
            }
        }
    }
}

async fn drained(intakes: &[Intake]) {
    for intake in intakes {
        intake.drained().await;
    }
}
