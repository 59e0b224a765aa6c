//! The outer loop: owns the retries and everything that outlives a connection.

mod attempt;
mod commands;

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::Options;
use super::events::Event as Told;
use super::flight::{Way, datagrams_at_most};
use super::link::{self, FAREWELL, Failure, Link};
use super::live::Live;
use super::lives::Lives;
use super::manager::Manager;
use super::outputs::Outputs;
use super::reach::{Happened, Watch};
use super::ready::Ready;
use super::shutdown::{self, Ending};
use super::signals::{Signal, Signals};
use super::state::{Action, Event, Machine, Outlook, State};
use super::waits::{self, lost, some};
use crate::audit::Trail;
use crate::control::server::Command;
use crate::control::{DownReport, Reply};
use crate::error::{Error, Kind, Result};
use crate::plan::Plan;
use crate::sink::Rescue;
use crate::ssh::{Connection, Memory, Past, Settings};

/// With what came of it comes whether a server took the connection.
type Attempt = Pin<Box<dyn Future<Output = (link::Attempted, bool)> + Send>>;

/// Who asked for it, and what came of it.
type Rehearsal = Pin<Box<dyn Future<Output = (mpsc::Sender<Reply>, Result<()>)> + Send>>;

/// A pause and how it ended.
type Pause = Pin<Box<dyn Future<Output = Event> + Send>>;

/// See the module.
pub struct Supervisor {
    plan: Plan,
    settings: Option<Arc<Settings>>,
    live: Live,
    outputs: Outputs,
    lives: Lives,
    commands: mpsc::Receiver<Command>,
    signals: Signals,
    options: Options,
    manager: Manager,
    rescue: Rescue,
    machine: Machine,
    /// What a person said at `up` and a reconnect needs again.
    memory: Arc<Memory>,
    /// One that is logged in already: the first attempt.
    connection: Option<Box<Connection>>,
    /// Connections that the jump host may still take for alive.
    past: Arc<Past>,
    link: Option<Link>,
    /// Whether senders get through.
    watch: Watch,
    /// In the order of the plan; a port that the jump host chose is asked for again.
    ports: Vec<u16>,
    was_up: bool,
    /// Whoever started us was told so.
    announced: bool,
    /// Attempts to get the first connection that failed.
    in_vain: u64,
    /// Whether a server may know of the attempt that is under way: one that is dropped then leaves something behind.
    noticed: Arc<AtomicBool>,
    /// The last failed attempt.
    failure: Option<Error>,
    /// Who asked for the end.
    goodbyes: Vec<mpsc::Sender<Reply>>,
    now: bool,
    /// A signal asked for it.
    signalled: bool,
    /// It has taken the place of another one: it was up, in a way, before it began.
    takes_over: bool,
    /// Another collector waits for it.
    successor: bool,
    /// One that would take over in this process is tried out.
    renewal: Option<Rehearsal>,
}

impl Supervisor {
    /// A supervisor that has not begun.
    #[expect(clippy::too_many_arguments, reason = "each is one part of a collector, put together in one place")]
    pub fn new(
        plan: Plan,
        ready: Ready,
        live: Live,
        outputs: Outputs,
        trail: Trail,
        commands: mpsc::Receiver<Command>,
        signals: Signals,
        options: Options,
        manager: Manager,
        rescue: Rescue,
    ) -> Self {
        let Ready { settings, memory, connection, gap, .. } = ready;
        let ports = plan.streams.iter().map(|s| s.port).collect();
        let (way, datagrams) = (Way::of(&plan), datagrams_at_most(&plan));
        let past = Arc::new(settings.as_ref().map_or_else(Past::default, |settings| {
            Past::kept(rescue.folder.join("connection.json"), settings.target())
        }));
        let watch = Watch::new(&plan, live.clone(), trail.clone());
        let tell = Box::new(move |event: &_| trail.tell(event));
        let mut lives = Lives::new(tell, outputs.ledgers(), settings.as_deref(), Arc::clone(&past), way, datagrams);
        lives.inherit(gap);
        let takes_over = gap.is_some();
        Self {
            plan,
            watch,
            lives,
            settings,
            live,
            outputs,
            commands,
            signals,
            options,
            manager,
            rescue,
            machine: Machine::default(),
            memory,
            connection,
            past,
            link: None,
            ports,
            was_up: false,
            announced: false,
            in_vain: 0,
            noticed: Arc::default(),
            failure: None,
            goodbyes: Vec::new(),
            now: false,
            signalled: false,
            takes_over,
            successor: false,
            renewal: None,
        }
    }

    /// Brings the collector up, keeps it up, and takes it down when it is asked to.
    /// With the error comes whether it had been up.
    pub async fn run(mut self, abandoned: impl Future<Output = ()>) -> std::result::Result<DownReport, (Error, bool)> {
        let gave_up = self.supervise(abandoned).await;
        self.watch.stop();
        if !self.was_up {
            // Nobody ever got in: nothing to drain.
            self.link = None;
            self.outputs.undo().await;
            keep(&self.past).await;
            let mut report = shutdown::report(self.plan.name, self.live.snapshot().streams, Vec::new());
            if self.successor {
                report.gap = Some(self.lives.handed_over());
            } else {
                self.lives.over();
            }
            shutdown::tell(self.goodbyes, self.commands, &report);
            return Err((gave_up.unwrap_or_else(Error::interrupted), false));
        }
        self.live.set_state(State::Draining);
        let Self {
            plan,
            live,
            mut lives,
            outputs,
            commands,
            signals,
            link,
            goodbyes,
            now,
            signalled,
            successor,
            rescue,
            past,
            mut manager,
            ..
        } = self;
        lives.draining();
        manager.stopping(successor);
        let patience = plan.drain_timeout;
        let ending =
            Ending { link, outputs, commands, signals, goodbyes, now, signalled, successor, patience, rescue, manager };
        let ended = shutdown::run(ending, &live, lives, &plan.name).await;
        keep(&past).await;
        let report = ended.map_err(|e| (e, true))?;
        match gave_up {
            Some(error) => Err((error, true)),
            None => Ok(report),
        }
    }

    /// Returns when the end has been asked for (`None`), or when it makes no sense to go on (`Some`).
    async fn supervise(&mut self, abandoned: impl Future<Output = ()>) -> Option<Error> {
        tokio::pin!(abandoned);
        let mut attempt: Option<Attempt> = Some(self.attempt(None));
        let mut pause: Option<Pause> = None;
        loop {
            let event = tokio::select! {
                (result, heard) = some(&mut attempt) => {
                    attempt = None;
                    match self.attempted(result, heard) {
                        Ok(event) => event,
                        Err(error) => return Some(error),
                    }
                }
                error = lost(&mut self.link) => self.ended(&error.message, Event::Lost),
                happened = self.watch.next() => match happened {
                    Happened::Answered => {
                        self.announce();
                        continue;
                    }
                    Happened::Dead(why) => self.ended(&why, Event::Lost),
                    // What still works is given back first.
                    Happened::Gone(why) => self.ended(&why, Event::Kick),
                },
                ended = some(&mut pause) => {
                    pause = None;
                    ended
                }
                why = self.outputs.broken() => return Some(self.broken(&why)),
                Some(command) = self.commands.recv() => match self.commanded(command) {
                    Some(event) => event,
                    None => continue,
                },
                (replies, result) = some(&mut self.renewal) => match self.rehearsed(replies, result) {
                    Some(event) => event,
                    None => continue,
                },
                signal = self.signals.next() => match signal {
                    Signal::Stop => {
                        self.signalled = true;
                        if !self.announced && !self.takes_over {
                            return Some(self.interrupted());
                        }
                        Event::Down
                    }
                    // A port of this machine has no connection that could be made anew.
                    Signal::Kick if self.settings.is_none() => continue,
                    Signal::Kick => Event::Kick,
                    Signal::Reopen => {
                        let done = self.outputs.reopen();
                        self.manager.reloading(done);
                        continue;
                    }
                },
                () = self.manager.tick() => continue,
                () = &mut abandoned, if !self.announced => return Some(self.interrupted()),
            };
            // Whatever happens now, it was up.
            if self.was_up && event != Event::Connected {
                self.announce();
            }
            let action = self.machine.step(event, Instant::now(), rand::random());
            if action == Action::Reconnect {
                // Unless it has another reason, which was told.
                self.cut("reclog kick");
            }
            self.live.set_state(self.machine.state());
            let leaving = !matches!(self.machine.state(), State::Up { .. } | State::Draining);
            // Dropping it ends every sender that is still in: they count as cut.
            let old = if leaving { self.link.take() } else { None };
            if self.link.is_none() {
                self.watch.stop();
            }
            match action {
                Action::None => {}
                Action::Connect | Action::Reconnect => {
                    pause = None;
                    attempt = Some(self.attempt(old));
                }
                Action::Anew if self.noticed.load(Ordering::Relaxed) => {}
                Action::Anew => attempt = Some(self.attempt(None)),
                Action::Pause { length, knock } => {
                    tracing::info!("trying again in {:.1} s", length.as_secs_f64());
                    self.not_yet(length);
                    pause = Some(self.pause(length, knock));
                }
                Action::Drain => return None,
            }
            if self.options.foreground && self.machine.state() == State::Failed {
                return self.failure.take();
            }
        }
    }

    /// What came of an attempt. `Err`: it was the first one, and there is to be no other.
    fn attempted(&mut self, result: link::Attempted, heard: bool) -> Result<Event> {
        match result {
            Ok((link, ports)) => {
                let looking = self.watch.begin(&link, self.outputs.intakes(), &ports);
                self.link = Some(link);
                self.ports = ports;
                self.live.set_ports(&self.ports);
                let streams = self.plan.streams.iter().zip(&self.ports);
                self.lives.began(streams.map(|(stream, port)| (stream, *port)));
                if self.was_up {
                    self.live.reconnected();
                    tracing::info!("connected again");
                } else {
                    self.was_up = true;
                    // Only now may the parent say that it is up, and a status that is asked then must agree.
                    self.live.set_state(State::Up { since: Instant::now() });
                    tracing::info!("up");
                    if !looking {
                        self.announce();
                    }
                }
                Ok(Event::Connected)
            }
            Err(Failure { error, ports }) => {
                // A port that is refused was ours, and only a dead connection may still hold it: that passes. Before the
                // first time, whoever wants us to keep trying waits for its holder.
                let outlook = Outlook::of(error.kind, ports, heard);
                if !self.was_up && (outlook == Outlook::Final || !self.plan.keep_trying) {
                    return Err(error);
                }
                tracing::warn!("{error}");
                let hint = error.hint_text().filter(|_| outlook == Outlook::Final).map(|h| h.replace('\n', "; "));
                // Nobody sees the hints of a collector that gave up but in its health.
                let message = hint.map_or(error.message.clone(), |hint| format!("{}; {hint}", error.message));
                self.live.trouble(error.kind, &message);
                self.failure = Some(error);
                Ok(Event::AttemptFailed(outlook))
            }
        }
    }

    /// Whoever waits for the first connection hears that it failed and when it is tried again.
    fn not_yet(&mut self, pause: Duration) {
        if let (false, Some(error)) = (self.was_up, &self.failure) {
            self.in_vain += 1;
            (self.options.report)(&Told::NotYet {
                kind: error.kind,
                message: error.message.clone(),
                hint: error.hint_text(),
                attempts: self.in_vain,
                again_in_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }

    /// Waits for `length`. With `knock` it ends when the server answers.
    fn pause(&self, length: Duration, knock: bool) -> Pause {
        let way = self.settings.clone().filter(|_| knock).map(|settings| (settings, Arc::clone(&self.memory)));
        Box::pin(waits::pause(length, way))
    }

    /// The connection is over, or worth nothing.
    fn ended(&mut self, why: &str, event: Event) -> Event {
        tracing::warn!("{why}");
        self.live.trouble(Kind::Failed, why);
        self.cut(why);
        event
    }

    /// Tells that senders are cut; silent addresses are not among them.
    fn cut(&mut self, why: &str) {
        self.outputs.intakes().iter().for_each(|intake| intake.lost(Instant::now()));
        self.lives.ended(why);
    }

    /// The output is over for good: senders need not wait for it.
    fn broken(&mut self, why: &str) -> Error {
        tracing::error!("{why}");
        self.now = true;
        Error::failed(why)
    }

    /// Nobody waits for it any more: whoever sends now is not waited for either.
    fn interrupted(&mut self) -> Error {
        self.now = true;
        Error::interrupted()
    }

    /// Tells whoever started us that we are up, once.
    fn announce(&mut self) {
        if !self.announced {
            self.announced = true;
            let up = self.watch.up(&self.plan, self.settings.as_deref(), &self.ports);
            (self.options.report)(&Told::Up(up));
            self.manager.ready();
        }
    }
}

/// Leaves to the next collector what the jump host may not know to be over.
async fn keep(past: &Arc<Past>) {
    let _ = tokio::time::timeout(FAREWELL, past.keep()).await;
}
