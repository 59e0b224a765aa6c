//! Channels that have ended for us and that the server has not closed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use russh::ChannelId;
use russh::client::Session;

use super::brake::Voice;
use super::handler::{Guest, Stop};
use crate::intake::{Ear, End, LINGER};

/// How long a sender that was told the end of our stream may take to end. It hears that [`LINGER`] after its own last word at
/// the latest.
const PATIENCE: Duration = Duration::from_secs(2 * LINGER.as_secs());

/// Those of one connection. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct HalfClosed(Arc<Mutex<HashMap<ChannelId, Option<Ear>>>>);

impl HalfClosed {
    fn lock(&self) -> MutexGuard<'_, HashMap<ChannelId, Option<Ear>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.lock().len()
    }

    /// This one has ended for us. A sender that is answered has an `ear`: a server that we leave now would not pass on what it
    /// has for it.
    pub fn insert(&self, channel: ChannelId, ear: Option<Ear>) {
        self.lock().insert(channel, ear);
    }

    /// The connection is over, and nobody hears anything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The server has closed this one. False: it was none of these.
    pub fn remove(&self, channel: ChannelId) -> bool {
        self.lock().remove(&channel).is_some()
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
    pub(super) fn eof_of_sender(&mut self, channel: ChannelId, session: &mut Session) -> Result<bool, Stop> {
        let Some(slot) = self.senders.remove(&channel) else { return Ok(false) };
        let ear = slot.sender.ear();
        let answered = ear.is_some();
        self.half_closed.insert(channel, ear);
        self.part(channel, slot.sender, session)?;
        if answered {
            self.half_closed.close_later(channel, slot.channel);
        }
        Ok(!answered)
    }

    /// The session of a sender is over, whether it ends its stream or not.
    pub(super) fn dismiss(&mut self, channel: ChannelId) {
        if let Some(slot) = self.senders.remove(&channel) {
            self.half_closed.insert(channel, slot.sender.ear());
            slot.sender.end(End::Clean);
            self.half_closed.close_later(channel, slot.channel);
        }
    }
}
