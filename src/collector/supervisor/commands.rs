//! What other processes ask of a collector.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use tokio::sync::mpsc;

use super::Supervisor;
use crate::collector::state::{Event, State};
use crate::control::server::Command;
use crate::control::{Reply, Request};
use crate::error::{Error, Result};

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
            Request::Renew => {
                let refused = match &self.options.anew {
                    None => "is no process that could be another one",
                    Some(_) if self.renewal.is_some() => "is being restarted already",
                    Some(_) => "",
                };
                if let (Some(anew), "") = (self.options.anew.clone(), refused) {
                    let (ports, replies) = (self.ports_by_name(), command.replies);
                    self.renewal = Some(Box::pin(async move { (replies, anew.rehearse(ports).await) }));
                } else {
                    let error = Error::failed(format!("\"{}\" {refused}", self.plan.name));
                    let _ = command.replies.try_send(Reply::Error { error });
                }
                None
            }
            Request::Rotate => {
                let turns = self.outputs.rotate();
                tokio::spawn(async move {
                    let (outputs, error) = turns.await;
                    let _ = command.replies.try_send(Reply::Rotated { outputs, error });
                });
                None
            }
            Request::Down { now, successor } => {
                self.goodbyes.push(command.replies);
                self.now |= now;
                self.successor |= successor;
                Some(Event::Down)
            }
            Request::Status | Request::Origin => unreachable!("answered by the control server"),
        }
    }

    /// Another one that would take over in this process was tried out.
    pub(super) fn rehearsed(&mut self, replies: mpsc::Sender<Reply>, result: Result<()>) -> Option<Event> {
        self.renewal = None;
        if let Err(error) = result {
            let _ = replies.try_send(Reply::Error { error });
            return None;
        }
        if let Some(anew) = &self.options.anew {
            let _ = anew.wanted.set(self.ports_by_name());
        }
        let _ = replies.try_send(Reply::Renewing);
        self.goodbyes.push(replies);
        self.successor = true;
        Some(Event::Down)
    }

    fn ports_by_name(&self) -> BTreeMap<String, u16> {
        let named = self.plan.streams.iter().map(|stream| stream.name.clone());
        named.zip(self.ports.iter().copied()).collect()
    }
}
