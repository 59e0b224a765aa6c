//! One attempt to get every port.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Attempt, Supervisor};
use crate::collector::events::Event as Told;
use crate::collector::link::{self, Ears, Failure, Link};
use crate::error::Error;
use crate::ssh::{Connection, Nobody, Person, Phase};

impl Supervisor {
    /// Begins an attempt. An `old` connection that still works gives its ports back first, or they would be taken.
    pub(super) fn attempt(&mut self, old: Option<Link>) -> Attempt {
        self.lives.attempt();
        let ready = self.connection.take();
        // A connection that was left half-way would keep its ports.
        self.noticed = Arc::new(AtomicBool::new(old.is_some() || ready.is_some()));
        let (intakes, ports) = (self.outputs.intakes().to_vec(), self.ports.clone());
        let Some(settings) = &self.settings else {
            return Box::pin(async move { (link::listen(intakes, ports).await, true) });
        };
        let (settings, report) = (Arc::clone(settings), Arc::clone(&self.options.report));
        let (silent, memory, past) = (self.was_up, Arc::clone(&self.memory), Arc::clone(&self.past));
        let (live, noticed) = (self.live.clone(), Arc::clone(&self.noticed));
        // Who started it has gone on to other things once it is up.
        let person: Arc<dyn Person> = if silent { Arc::new(Nobody) } else { Arc::clone(&self.options.person) };
        Box::pin(async move {
            let heard = AtomicBool::new(ready.is_some());
            let step = |phase: Phase, target: &str| {
                heard.fetch_or(phase != Phase::Connect, Ordering::Relaxed);
                noticed.fetch_or(phase != Phase::Connect, Ordering::Relaxed);
                tracing::debug!("{}: {target}", phase.as_str());
                if !silent {
                    report(&Told::Step { phase, target: target.to_owned() });
                }
            };
            if let Some(old) = old {
                old.leave().await;
            }
            let trouble = |error: &Error| {
                tracing::warn!("{error}");
                live.trouble(error.kind, &error.message);
            };
            let ears = Ears { step: &step, trouble: &trouble };
            let connected = match ready {
                Some(connection) => Ok(*connection),
                None => Connection::establish(settings, Arc::clone(&person), Arc::clone(&memory), &step).await,
            };
            let result = match connected {
                Ok(connection) => link::claim(connection, intakes, ports, &*person, &memory, &past, ears).await,
                Err(error) => Err(Failure { error, ports: false }),
            };
            (result, heard.load(Ordering::Relaxed))
        })
    }
}
