//! Channels that have ended for us and that the server has not closed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::ChannelId;
use russh::client::Session;
use tokio::time::timeout;

use super::brake::Voice;
use super::distance::WINDOW;
use super::handler::{Guest, Stop};
use super::seats::Slot;
use crate::intake::{Ear, End, LINGER, Leavings};

/// How long a sender that was told the end of our stream may take to end. It hears that [`LINGER`] after its own last word at
/// the latest.
const PATIENCE: Duration = Duration::from_secs(2 * LINGER.as_secs());
/// The same for one that was sent away and is told nothing else: a round trip and a moment. It holds a descriptor of the server.
const BRIEFLY: Duration = Duration::from_secs(2);
/// Bytes of one that was sent away that are taken meanwhile: those on their way, as many as the window of a channel. Who sends more
/// is closed at once.
const MOST_LEAVINGS: usize = WINDOW as usize;
/// Channels that had to be closed from here in the life of one connection, because senders that were sent away did not go. The
/// library keeps some 3 KiB of each until the connection ends: 60 MiB at most, then a new connection is made.
pub const MAX_CLOSED: u32 = 20_000;

/// Those of one connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HalfClosed(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    channels: Mutex<HashMap<ChannelId, Ended>>,
    closed: AtomicU32,
}

#[derive(Debug, Default)]
struct Ended {
    /// Of a sender that is answered.
    _ear: Option<Ear>,
    /// Of one that was sent away, and how many bytes it has sent since.
    leavings: Option<(Leavings, usize)>,
}

impl HalfClosed {
    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, Ended>> {
        self.0.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// This one has ended for us. A sender that is answered has an `ear`: a server that we leave now would not pass on what it
    /// has for it.
    pub fn insert(&self, channel: ChannelId, ear: Option<Ear>) {
        self.lock().insert(channel, Ended { _ear: ear, leavings: None });
    }

    /// The connection is over, and nobody hears anything.
    pub fn clear(&self) {
        let all = std::mem::take(&mut *self.lock());
        drop(all);
    }

    /// The server has closed this one. False: it was none of these.
    pub fn remove(&self, channel: ChannelId) -> bool {
        let gone = self.lock().remove(&channel);
        gone.is_some()
    }

    /// So many bytes came after the end. True: it sends on and on, and is to be closed.
    pub fn came(&self, channel: ChannelId, bytes: usize) -> bool {
        let mut all = self.lock();
        let Some(Ended { leavings: Some((leavings, so_far)), .. }) = all.get_mut(&channel) else { return false };
        leavings.came(bytes);
        *so_far += bytes;
        let too_many = *so_far > MOST_LEAVINGS;
        if too_many {
            all.remove(&channel);
            self.0.closed.fetch_add(1, Ordering::Relaxed);
        }
        too_many
    }

    /// Whether as many were closed from here as may be.
    pub fn is_spent(&self) -> bool {
        self.0.closed.load(Ordering::Relaxed) > MAX_CLOSED
    }

    /// The sender is over for us; it is closed if the server has not done so in time. True: our stream ends now; that of a sender
    /// that is answered ends after the last answer.
    fn leave(&self, id: ChannelId, slot: Slot) -> (bool, Voice) {
        let Slot { mut sender, channel } = slot;
        let leavings = sender.leavings();
        // Who was never let in gets no answer, and nobody waits for it.
        let ear = if leavings.as_ref().is_some_and(Leavings::was_turned_away) { None } else { sender.ear() };
        let (answered, sent_away) = (ear.is_some(), leavings.is_some());
        self.lock().insert(id, Ended { _ear: ear, leavings: leavings.map(|leavings| (leavings, 0)) });
        sender.end(End::Clean);
        let patience = if sent_away && !answered { BRIEFLY } else { PATIENCE };
        self.close_later(id, Arc::clone(&channel), patience);
        (!answered, channel)
    }

    /// Sends a sender away, wherever the handler is.
    pub async fn send_away(&self, id: ChannelId, slot: Slot) {
        let (ends, voice) = self.leave(id, slot);
        if ends {
            // EOF and not CLOSE, as after a sender's own end: what goes by itself is forgotten.
            let _ = timeout(LINGER, voice.eof()).await;
        }
    }

    /// Closes it if the server has not done so in time.
    fn close_later(&self, channel: ChannelId, voice: Voice, patience: Duration) {
        let all = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(patience).await;
            if all.remove(channel) {
                // The library keeps some 3 KiB of it until the connection ends; of one that the server closes it does not.
                all.0.closed.fetch_add(1, Ordering::Relaxed);
                let _ = voice.close().await;
            }
        });
    }
}

impl Guest {
    /// A sender has ended its stream. True: ours is to end now; that of a sender that is answered ends after the last answer.
    pub(super) fn eof_of_sender(&mut self, channel: ChannelId, session: &mut Session) -> Result<bool, Stop> {
        let Some(slot) = self.senders.remove(channel) else { return Ok(false) };
        let ear = slot.sender.ear();
        let answered = ear.is_some();
        self.half_closed.insert(channel, ear);
        self.part(channel, slot.sender, session)?;
        if answered {
            self.half_closed.close_later(channel, slot.channel, PATIENCE);
        }
        Ok(!answered)
    }

    /// The session of a sender is over, whether it ends its stream or not.
    pub(super) fn dismiss(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Stop> {
        if let Some(slot) = self.senders.remove(channel)
            && self.half_closed.leave(channel, slot).0
        {
            session.eof(channel)?;
        }
        Ok(())
    }
}
