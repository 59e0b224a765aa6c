//! What other processes ask of a collector.

use std::sync::atomic::Ordering;

use super::Supervisor;
use crate::collector::state::{Event, State};
use crate::control::server::Command;
use crate::control::{Reply, Request};
use crate::error::Error;

impl Supervisor {
    /// Does what is asked; what it means for the connection comes back.
    pub(super) fn commanded(&mut self, command: Command) -> Option<Event> {
        match command.request {
            Request::Kick if self.settings.is_none() => {
                let error = Error::failed(format!(
                    "\"{}\" listens on this machine: there is no connection to renew",
                    self.plan.name
                ));
                let _ = command.replies.try_send(Reply::Error { error });
                None
            }
            Request::Kick => {
                let under_way = self.machine.state() == State::Connecting && self.noticed.load(Ordering::Relaxed);
                let _ = command.replies.try_send(Reply::Kicked { under_way });
                Some(Event::Kick)
            }
            Request::Rotate => {
                let turns = self.outputs.rotate();
                tokio::spawn(async move {
                    let (outputs, error) = turns.await;
                    let _ = command.replies.try_send(Reply::Rotated { outputs, error });
                });
                None
            }
            Request::Down { now } => {
                self.goodbyes.push(command.replies);
                self.now |= now;
                Some(Event::Down)
            }
            Request::Status => unreachable!("answered by the control server"),
        }
    }
}
