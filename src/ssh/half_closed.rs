//! Channels that have ended for us and that the server has not closed.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::ChannelId;

use super::brake::Voice;
use super::handler::Guest;
use crate::intake::{End, LINGER};

/// How long a sender that was told the end of our stream may take to end. It hears that [`LINGER`] after its own last word at
/// the latest.
const PATIENCE: Duration = Duration::from_secs(2 * LINGER.as_secs());

/// Those of one connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HalfClosed(Arc<Mutex<HashSet<ChannelId>>>);

impl HalfClosed {
    fn lock(&self) -> MutexGuard<'_, HashSet<ChannelId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// This one has ended for us.
    pub fn insert(&self, channel: ChannelId) {
        self.lock().insert(channel);
    }

    /// The server has closed this one. False: it was none of these.
    pub fn remove(&self, channel: ChannelId) -> bool {
        self.lock().remove(&channel)
    }

    /// Closes it if the server has not done so in time.
    fn close_later(&self, channel: ChannelId, voice: Voice) {
        let all = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            if all.remove(channel) {
                // The library keeps some 3 KiB of it until the connection ends; of one that the server closes it does not.
                let _ = voice.close().await;
            }
        });
    }
}

impl Guest {
    /// A sender has ended its stream. True: ours is to end now; that of a sender that is answered ends after the last answer.
    pub(super) fn eof_of_sender(&mut self, channel: ChannelId) -> bool {
        let Some(slot) = self.senders.remove(&channel) else { return false };
        let answered = slot.sender.is_answered();
        slot.sender.end(End::Clean);
        self.half_closed.insert(channel);
        if answered {
            self.half_closed.close_later(channel, slot.channel);
        }
        !answered
    }

    /// The session of a sender is over, whether it ends its stream or not.
    pub(super) fn dismiss(&mut self, channel: ChannelId) {
        if let Some(slot) = self.senders.remove(&channel) {
            slot.sender.end(End::Clean);
            self.half_closed.insert(channel);
            self.half_closed.close_later(channel, slot.channel);
        }
    }
}
