//! Where senders wait until every port of the connection is granted. Let in before, they could fill a queue that is full
//! already, and the answer about the next port would never be read.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::{ChannelOpenHandle, Msg};
use russh::{Channel, ChannelId, ChannelOpenFailure};

use super::handler::{Guest, Stop};
use super::seats::{Seats, Slot};
use super::strange::MAX_HALF_CLOSED;
use crate::intake::Intake;

/// Senders that wait; as many as a stream lets in unless it is told otherwise. None of their bytes is here yet: the server
/// reads from a sender when its channel is open.
const MOST: usize = 4096;

/// A sender at the door.
pub struct Caller {
    pub channel: Channel<Msg>,
    pub peer: String,
    pub intake: Intake,
    /// Says no when it is dropped.
    pub reply: ChannelOpenHandle,
}

/// What is to be done with a sender.
pub enum Place {
    /// Nothing: it waits.
    Waits,
    /// Let it in, the door is open.
    Open(Caller),
    /// Too many wait.
    Full(Caller),
}

impl Caller {
    /// Asks the intake; whoever may come in has still to be told so.
    pub fn admit(self) -> Result<(ChannelId, Slot, ChannelOpenHandle), ChannelOpenHandle> {
        let Self { channel, peer, intake, reply } = self;
        let Ok(sender) = intake.admit(&peer) else { return Err(reply) };
        let id = channel.id();
        // The read half goes: nobody reads it, and a queue that fills up would stop the connection.
        let (_, write) = channel.split();
        Ok((id, Slot::new(sender, write), reply))
    }
}

impl Guest {
    /// Whether so many channels have ended for us and not for the server that no sender is let in.
    ///
    /// # Errors
    /// When as many had to be closed from here as may be.
    pub(super) fn is_crowded(&mut self) -> Result<bool, Stop> {
        if self.half_closed.is_spent() {
            return Err(Stop::Stubborn);
        }
        let crowded = self.half_closed.len() >= MAX_HALF_CLOSED;
        if crowded && self.strange.is_new("half-closed") {
            tracing::warn!("the jump host closes no channel that has ended; senders are refused until it does");
        }
        Ok(crowded)
    }

    /// Lets a sender in, onto the porch, or turns it away.
    pub(super) async fn receive(&mut self, caller: Caller) {
        let caller = match self.porch.receive(caller) {
            Place::Waits => return,
            Place::Open(caller) => caller,
            Place::Full(caller) => {
                if self.strange.is_new("crowd") {
                    tracing::warn!("too many senders wait for the last port to be granted; more of them are refused");
                }
                return caller.reply.reject(ChannelOpenFailure::ResourceShortage).await;
            }
        };
        match caller.admit() {
            Ok((id, slot, reply)) => {
                self.senders.insert(id, slot);
                reply.accept().await;
            }
            Err(reply) => reply.reject(ChannelOpenFailure::ResourceShortage).await,
        }
    }
}

/// The porch of one connection.
#[derive(Clone, Default)]
pub struct Porch(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    open: bool,
    /// First come, first served.
    waiting: VecDeque<Caller>,
}

impl Porch {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a sender in if the door is still shut.
    pub fn receive(&self, caller: Caller) -> Place {
        let mut inner = self.lock();
        if inner.open {
            return Place::Open(caller);
        }
        if inner.waiting.len() >= MOST {
            return Place::Full(caller);
        }
        inner.waiting.push_back(caller);
        Place::Waits
    }

    /// Every port is granted: who waits comes in, and so does everybody after them.
    pub async fn open(&self, seats: &Seats) {
        let waiting = {
            let mut inner = self.lock();
            inner.open = true;
            std::mem::take(&mut inner.waiting)
        };
        for caller in waiting {
            match caller.admit() {
                Ok((id, slot, reply)) => {
                    // Before it hears so: its first byte may come at once.
                    seats.insert(id, slot);
                    reply.accept().await;
                }
                Err(reply) => reply.reject(ChannelOpenFailure::ResourceShortage).await,
            }
        }
    }

    /// The connection is over: nobody waits any more.
    pub fn clear(&self) {
        let Inner { waiting, .. } = std::mem::take(&mut *self.lock());
        drop(waiting);
    }
}
