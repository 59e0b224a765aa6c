//! The end, in the order of the contract: gate closed, forward cancelled, senders drained, queue empty, flush, fsync,
//! answer with totals. Socket and lock go after that.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::link::{FAREWELL, Link};
use super::live::Live;
use super::lives::Lives;
use super::manager::Manager;
use super::outputs::Outputs;
use super::signals::{Signal, Signals};
use crate::control::server::Command;
use crate::control::{DownReport, FinalStream, HANDOVER, Reply, Request};
use crate::error::{Error, Result};
use crate::intake::Intake;
use crate::ledger::StreamSnapshot;
use crate::sink::{self, Rescue, SinkHandle};

/// A disk that works gets at least this long to take what is queued, even with `--now`.
const LAST_WRITES: Duration = Duration::from_secs(2);
/// Sockets on the jump host that are still there are given back and removed within this time: the start of a shell.
const CLEARING: Duration = Duration::from_secs(2);
/// How often whoever waits hears how many senders are still in.
const PROGRESS: Duration = Duration::from_millis(500);

/// With a successor that waits, senders may take so long to finish, and the rest has what then is left of [`HANDOVER`].
const SENDERS: Duration = Duration::from_millis(400);

/// With a successor that waits, a stalled output has this long in each step.
const STUCK: Duration = Duration::from_millis(100);

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
    /// It was a signal that asked for the end: the next one is the second.
    pub signalled: bool,
    /// Another collector waits for the ports.
    pub successor: bool,
    /// How long senders may take to finish.
    pub patience: Duration,
    /// Where bytes go that an output cannot take.
    pub rescue: Rescue,
    /// Who hears that it takes its time.
    pub manager: Manager,
}

/// Ends it all.
///
/// # Errors
/// Interrupted when a second signal says so.
pub async fn run(ending: Ending, live: &Live, lives: Lives, name: &str) -> Result<DownReport> {
    let Ending { mut link, outputs, commands, signals, goodbyes, now, signalled, successor, patience, rescue, manager } =
        ending;
    let intakes = outputs.intakes().to_vec();
    for intake in &intakes {
        intake.shut();
    }
    let started = Instant::now();
    let mut attention = Attention {
        commands,
        signals,
        signalled,
        goodbyes,
        deadline: if now { started } else { started + patience },
        least: Duration::ZERO,
        ticks: tokio::time::interval(PROGRESS),
        sinks: outputs.handles(),
        gone_by: None,
        manager,
    };
    if successor {
        attention.give_way();
    }

    attention.until(&intakes, leave(&mut link, &intakes)).await?;
    intakes.iter().for_each(Intake::call_time);
    let releasing = CancellationToken::new();
    let gone_by = attention.gone_by;
    // What an output does not take by then, it will not take while a successor waits either.
    let stuck = gone_by.is_some() && intakes.iter().any(|intake| intake.ledger().counts().stall.is_some());
    let at_most = |patience: Duration| within(if stuck { patience.min(STUCK) } else { patience }, gone_by);
    let ended = async {
        let mut notes = Vec::new();
        match link.take() {
            Some(Link::Ssh(mut connection)) => {
                // Whoever would not wait for senders wants no files left on the jump host all the same.
                let _ = timeout(at_most(CLEARING), connection.cancel_sockets()).await;
                notes = connection.left();
                connection.close(at_most(FAREWELL)).await;
            }
            Some(Link::Local { cut, .. }) => drop(cut),
            None => {}
        }
        if timeout(at_most(FAREWELL), drained(&intakes)).await.is_err() {
            // Someone is stuck in front of an output that takes nothing.
            outputs.release();
            let _ = timeout(at_most(FAREWELL), drained(&intakes)).await;
        }
        notes
    };
    let notes = attention.wait(&intakes, ended, &releasing).await?;

    let give_up = CancellationToken::new();
    attention.least = LAST_WRITES;
    attention.deadline = match attention.gone_by {
        Some(gone_by) => gone_by.min(Instant::now() + if stuck { STUCK } else { HANDOVER }),
        None => attention.deadline.max(Instant::now() + LAST_WRITES),
    };
    let reports = attention.wait(&intakes, outputs.finish(&give_up, Some(&rescue)), &give_up).await?;
    let mut report = report(name.to_owned(), live.snapshot().streams, reports);
    report.notes.splice(..0, notes);
    tracing::info!(lost = report.lost, rescue = ?report.rescue, "down");
    if attention.gone_by.is_some() {
        report.gap = Some(lives.handed_over());
    } else {
        lives.over();
    }
    tell(attention.goodbyes, attention.commands, &report);
    Ok(report)
}

/// The totals of a collector whose outputs ended like that.
pub fn report(name: String, streams: Vec<StreamSnapshot>, reports: Vec<sink::Report>) -> DownReport {
    let mut streams: Vec<_> =
        streams.into_iter().map(|snapshot| FinalStream { snapshot, lost: 0, rescue: None }).collect();
    let (mut trouble, mut notes) = (Vec::new(), Vec::new());
    for report in reports {
        if let Some(stream) = streams.iter_mut().find(|s| s.snapshot.name == report.stream) {
            (stream.lost, stream.rescue) = (report.lost, report.rescue);
        }
        trouble.extend(report.trouble);
        notes.extend(report.notes);
    }
    let lost = streams.iter().map(|s| s.lost).sum();
    let rescue = streams.iter().find_map(|s| s.rescue.clone());
    DownReport { name, streams, lost, rescue, trouble, notes, gap: None }
}

/// Gives the totals to whoever waits for them, and to who asks as long as the socket is there: a `down` that comes in the
/// last moment has what it wanted.
pub fn tell(goodbyes: Vec<mpsc::Sender<Reply>>, mut commands: mpsc::Receiver<Command>, report: &DownReport) {
    for goodbye in goodbyes {
        let _ = goodbye.try_send(Reply::Down(report.clone()));
    }
    let report = report.clone();
    tokio::spawn(async move {
        while let Some(Command { request, replies }) = commands.recv().await {
            let _ = replies.try_send(match request {
                Request::Down { .. } => Reply::Down(report.clone()),
                _ => going_down(),
            });
        }
    });
}

fn going_down() -> Reply {
    Reply::Error { error: Error::failed("the collector is going down") }
}

/// `patience`, or a share of what is left until `gone_by`: what follows wants some of it, too.
fn within(patience: Duration, gone_by: Option<Instant>) -> Duration {
    gone_by.map_or(patience, |gone_by| patience.min(gone_by.saturating_duration_since(Instant::now()) / 3))
}

/// Closes the ports and waits until the last sender is out, or will be when the connection is.
async fn leave(link: &mut Option<Link>, intakes: &[Intake]) {
    match link {
        Some(Link::Ssh(connection)) => connection.cancel().await,
        Some(Link::Local { stop, .. }) => *stop = None,
        None => {}
    }
    for intake in intakes {
        intake.deserted().await;
    }
}

async fn drained(intakes: &[Intake]) {
    for intake in intakes {
        intake.drained().await;
    }
}

/// Signals and requests are heard until the very end.
struct Attention {
    commands: mpsc::Receiver<Command>,
    signals: Signals,
    /// One signal was there.
    signalled: bool,
    goodbyes: Vec<mpsc::Sender<Reply>>,
    deadline: Instant,
    /// What `--now` leaves to the work at hand.
    least: Duration,
    ticks: Interval,
    sinks: Vec<SinkHandle>,
    /// A successor waits until then.
    gone_by: Option<Instant>,
    manager: Manager,
}

impl Attention {
    /// Waits for `work` until the deadline; then it is dropped.
    async fn until(&mut self, intakes: &[Intake], work: impl Future<Output = ()>) -> Result<()> {
        let over = CancellationToken::new();
        let work = async {
            tokio::select! {
                () = work => {}
                () = over.cancelled() => {}
            }
        };
        self.wait(intakes, work, &over).await
    }

    /// Waits for `work` to its end. At the deadline, or when someone has lost patience, `hurry` is cancelled.
    ///
    /// # Errors
    /// Interrupted by a second signal. The first one asks for what is under way already: a machine that is shut down sends it
    /// to a collector that `down` is draining.
    async fn wait<T>(
        &mut self,
        intakes: &[Intake],
        work: impl Future<Output = T>,
        hurry: &CancellationToken,
    ) -> Result<T> {
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                signal = self.signals.next() => {
                    match signal {
                        Signal::Stop if std::mem::replace(&mut self.signalled, true) => return Err(Error::interrupted()),
                        Signal::Reopen => self.sinks.iter().for_each(SinkHandle::reopen),
                        Signal::Stop | Signal::Kick => {}
                    }
                }
                Some(command) = self.commands.recv() => self.command(command),
                () = self.manager.tick() => {}
                () = sleep_until(self.deadline), if !hurry.is_cancelled() => hurry.cancel(),
                _ = self.ticks.tick() => {
                    let open = intakes.iter().map(|i| i.open_senders() as u64).sum();
                    for goodbye in &self.goodbyes {
                        let _ = goodbye.try_send(Reply::Draining { open });
                    }
                }
            }
        }
    }

    /// A successor waits.
    fn give_way(&mut self) {
        let now = Instant::now();
        let gone_by = *self.gone_by.get_or_insert(now + HANDOVER);
        self.deadline = self.deadline.min(now + SENDERS.max(self.least)).min(gone_by);
    }

    fn command(&mut self, command: Command) {
        if let Request::Down { now, successor } = command.request {
            self.goodbyes.push(command.replies);
            if successor {
                self.give_way();
            }
            if now {
                self.deadline = self.deadline.min(Instant::now() + self.least);
            }
        } else {
            let _ = command.replies.try_send(going_down());
        }
    }
}
