//! Senders that are in by a connection, or wait at a gate, each with the channel that it came by.
//!
//! The handler feeds them, and runs only when the server says something. Whoever has to go before it wants to is fetched from here
//! by whoever says so.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};

use super::brake::Voice;
use super::half_closed::HalfClosed;
use super::socket::Meter;
use crate::intake::{Leash, Sender};

/// A sender. The write half is kept so that the library keeps the channel.
pub struct Slot {
    pub sender: Sender,
    pub channel: Voice,
}

impl Slot {
    /// A sender and what it came by, which its answers take, too.
    pub fn new(sender: Sender, channel: ChannelWriteHalf<Msg>) -> Self {
        let channel = Arc::new(channel);
        if let Some(mouth) = sender.mouth() {
            tokio::spawn(super::answers::speak(mouth, Arc::clone(&channel)));
        }
        Self { sender, channel }
    }
}

/// Those of one connection. Cheap to clone.
#[derive(Clone)]
pub struct Seats(Arc<Inner>);

struct Inner {
    slots: Mutex<HashMap<ChannelId, Slot>>,
    half_closed: HalfClosed,
    meter: Arc<Meter>,
}

impl Seats {
    /// Empty ones; whoever is sent away goes to `half_closed`.
    pub fn new(half_closed: HalfClosed, meter: Arc<Meter>) -> Self {
        Self(Arc::new(Inner { slots: Mutex::default(), half_closed, meter }))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, Slot>> {
        self.0.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more.
    pub fn insert(&self, id: ChannelId, slot: Slot) {
        let mut slots = self.lock();
        slot.sender.tie(|| Arc::new(Rope { seats: Arc::downgrade(&self.0), id, read: AtomicU64::default() }));
        slots.insert(id, slot);
    }

    /// How many are in.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// Whether this is one.
    pub fn contains(&self, id: ChannelId) -> bool {
        self.lock().contains_key(&id)
    }

    /// Does something with this one; `None`: it is none. Must not come back here.
    pub fn with<T>(&self, id: ChannelId, work: impl FnOnce(&mut Slot) -> T) -> Option<T> {
        self.lock().get_mut(&id).map(work)
    }

    /// Takes it out.
    pub fn remove(&self, id: ChannelId) -> Option<Slot> {
        self.lock().remove(&id)
    }

    /// The connection is over: who is in was cut.
    pub fn clear(&self) {
        let slots = std::mem::take(&mut *self.lock());
        drop(slots);
    }
}

/// Pulls one sender out of its seat.
struct Rope {
    seats: Weak<Inner>,
    id: ChannelId,
    /// Bytes that the connection had read when somebody asked last.
    read: AtomicU64,
}

impl std::fmt::Debug for Rope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Rope").field(&self.id).finish()
    }
}

impl Leash for Rope {
    /// While any stream of the connection is behind, nobody is read from. One that only cannot keep up brakes and goes on by turns.
    fn is_heard(&self) -> bool {
        let Some(seats) = self.seats.upgrade() else { return true };
        let read = seats.meter.bytes_read();
        self.read.swap(read, Ordering::Relaxed) != read || !seats.meter.brake.is_on()
    }

    fn is_held_up(&self) -> bool {
        self.seats.upgrade().is_some_and(|seats| seats.meter.brake.is_on())
    }

    fn pull(&self) {
        let (seats, id) = (Weak::clone(&self.seats), self.id);
        // Not here: whoever pulls may stand in the handler, and a seat may be taken a moment later.
        tokio::spawn(async move {
            let Some(seats) = seats.upgrade().map(Seats) else { return };
            let slot = seats.remove(id);
            if let Some(slot) = slot {
                seats.0.half_closed.send_away(id, slot).await;
            }
        });
    }
}
