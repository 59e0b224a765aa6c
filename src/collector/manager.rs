//! What a service manager hears of a collector: that it is up, how it goes, that it moves, that it ends.
//!
//! The supervisor, and later whoever ends it all, waits for [`Manager::tick`] beside everything else: a runtime that is blocked
//! says nothing, and that is what the manager's watchdog is for.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::live::Live;
use crate::service::message::{self, Bounds};
use crate::service::notify::Notifier;
use crate::service::watchdog::{Sign, Watchdog};
use crate::sink::{Pulse, SinkHandle};

/// How often it is looked at how it goes.
const LOOK: Duration = Duration::from_secs(1);
/// No manager is told more often that all is well.
const OFTEN: Duration = Duration::from_millis(10);
/// While it takes its time, the manager is asked for as much more with each look. A collector that hangs is given up after that.
const PATIENCE: Duration = Duration::from_secs(30);
/// A reload that takes longer (a disk that does not answer) goes on behind the manager's back.
const RELOAD: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub struct Manager {
    notifier: Notifier,
    live: Live,
    pulses: Vec<Arc<Pulse>>,
    watchdog: Option<Watchdog>,
    bounds: Bounds,
    ticks: Option<Interval>,
    begun: Instant,
    looked: Option<Instant>,
    /// The manager has to be patient.
    slow: bool,
    ready: bool,
    /// The process that it started is gone on to other things.
    background: bool,
    /// Ends when the configuration is read again.
    reload: Option<(oneshot::Receiver<()>, Instant)>,
}

impl Manager {
    /// For the manager that the environment names, if there is one. `slow`: the way up may take as long as it likes.
    #[must_use]
    pub fn new(live: Live, outputs: &[SinkHandle], background: bool, slow: bool) -> Self {
        let notifier = Notifier::from_env();
        let watchdog = notifier.watchdog().map(Watchdog::new);
        let often = watchdog.as_ref().map_or(LOOK, |watchdog| watchdog.every().clamp(OFTEN, LOOK));
        let ticks = notifier.is_on().then(|| {
            let mut ticks = interval(often);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            ticks
        });
        Self {
            notifier,
            live,
            pulses: outputs.iter().flat_map(SinkHandle::pulses).collect(),
            watchdog,
            bounds: Bounds::default(),
            ticks,
            begun: Instant::now(),
            looked: None,
            slow,
            ready: false,
            background,
            reload: None,
        }
    }

    /// It is up: whoever started it may go on.
    pub fn ready(&mut self) {
        self.ready = true;
        self.slow = false;
        self.notifier.ready(self.background.then(std::process::id));
        self.look(Instant::now());
    }

    /// It is being told to read again what may have changed; `done` ends when it has.
    pub fn reloading(&mut self, done: oneshot::Receiver<()>) {
        // Before it is up there is nothing that a manager would wait for.
        if self.ready {
            self.notifier.reloading();
            self.reload = Some((done, Instant::now()));
        }
    }

    /// It is on its way down, and that takes as long as its senders do. With a `successor` in its own process (see
    /// [`super::renew`]) the service goes on, and that one says when it is ready.
    pub fn stopping(&mut self, successor: bool) {
        if successor && !self.background {
            self.notifier.reloading();
        } else {
            self.notifier.stopping();
        }
        self.reload = None;
        self.slow = true;
        self.look(Instant::now());
    }

    /// Waits until there may be something to say, and says it. Never ends where there is nobody to tell.
    pub async fn tick(&mut self) {
        let Some(ticks) = &mut self.ticks else { return std::future::pending().await };
        let reloaded = async {
            match &mut self.reload {
                Some((done, _)) => drop(done.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = reloaded => self.reloaded(),
            _ = ticks.tick() => {
                let now = Instant::now();
                if self.reload.as_ref().is_some_and(|(_, since)| now - *since >= RELOAD) {
                    self.reloaded();
                }
                self.notifier.catch_up();
                self.watch(now);
                if self.looked.is_none_or(|looked| now - looked >= LOOK) {
                    self.look(now);
                }
            }
        }
    }

    fn reloaded(&mut self) {
        self.reload = None;
        self.notifier.ready(None);
    }

    fn watch(&mut self, now: Instant) {
        let sign = |pulse: &Arc<Pulse>| {
            // In this order: a call that ends between the two is a step.
            let excused = pulse.is_excused();
            Sign { steps: pulse.steps(), excused }
        };
        if let Some(watchdog) = &mut self.watchdog
            && watchdog.tells(self.pulses.iter().map(sign), now - self.begun)
        {
            self.notifier.alive();
        }
    }

    fn look(&mut self, now: Instant) {
        if !self.notifier.is_on() {
            return;
        }
        self.looked = Some(now);
        if self.slow {
            self.notifier.patience(PATIENCE);
        }
        let snapshot = self.live.snapshot();
        let status = message::status(&snapshot);
        if self.bounds.lets(&status, &snapshot, now - self.begun) {
            self.notifier.status(&status);
        }
    }
}
