//! What the handler does with those who are held back.

use russh::client::{Msg, Session};
use russh::{Channel, ChannelId, ChannelWriteHalf};

use super::lookout::{Held, Seen};
use crate::intake::Intake;
use crate::ssh::handler::{Guest, Stop};
use crate::ssh::seats::Slot;

impl Guest {
    /// Holds a connection for `intake` back that may be an echo of ours; the channel comes back when it cannot be. Whoever
    /// is held back is accepted.
    pub fn hold_back(
        &mut self,
        channel: Channel<Msg>,
        intake: &Intake,
        port: u32,
        originator: &str,
        peer: &str,
    ) -> Option<Channel<Msg>> {
        let Some(port) = self.routes.lookout.wants(port, originator) else { return Some(channel) };
        let id = channel.id();
        let (_, write) = channel.split();
        self.routes.lookout.hold(id, Held::new(port, intake.clone(), peer.to_owned(), write));
        None
    }

    /// As [`hold_back`](Self::hold_back), for a connection that was accepted before it was known whose it is.
    pub fn hold_back_half(
        &mut self,
        id: ChannelId,
        channel: ChannelWriteHalf<Msg>,
        intake: &Intake,
        port: u32,
        originator: &str,
        peer: &str,
    ) -> Option<ChannelWriteHalf<Msg>> {
        let Some(port) = self.routes.lookout.wants(port, originator) else { return Some(channel) };
        self.routes.lookout.hold(id, Held::new(port, intake.clone(), peer.to_owned(), channel));
        None
    }

    /// `data` of `channel` came, or (`None`) its end. True: there is nothing to be done about it any more.
    pub fn was_held_back(&mut self, id: ChannelId, data: Option<&[u8]>, session: &mut Session) -> Result<bool, Stop> {
        match self.routes.lookout.came(id, data) {
            Seen::Unknown => Ok(false),
            Seen::Kept => Ok(true),
            Seen::Ours => {
                // As after a sender's end: the server's CLOSE makes the library forget it.
                self.half_closed.insert(id, None);
                session.eof(id)?;
                Ok(true)
            }
            Seen::Sender(sender, channel) => {
                self.senders.insert(id, Slot::new(sender, channel));
                Ok(false)
            }
            Seen::TurnedAway => {
                if data.is_some() {
                    session.close(id)?;
                }
                Ok(true)
            }
        }
    }
}
