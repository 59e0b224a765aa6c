//! What the handler does with those who come in by the forward of a relay, and with what the relay says.

use std::time::Instant;

use russh::client::{Msg, Session};
use russh::{Channel, ChannelId};

use super::ears::Heard;
use super::hall::Seen;
use super::{Visitor, turn_away};
use crate::intake::{End, Intake, Sender};
use crate::ssh::handler::{Guest, Stop};
use crate::ssh::seats::Slot;

impl Guest {
    /// Somebody came in for the relay of `port`; whoever it is has still to be accepted.
    pub(in crate::ssh) fn visit(
        &mut self,
        channel: Channel<Msg>,
        intake: Intake,
        port: u16,
        from: String,
        session: &mut Session,
    ) -> Result<(), Stop> {
        let id = channel.id();
        let (_, channel) = channel.split();
        match self.lobby.enter(id, Visitor { intake, port, from, channel }, Instant::now()) {
            Some((oldest, visitor)) => self.show_out(oldest, visitor, session),
            None => Ok(()),
        }
    }

    /// Somebody who is not the relay's.
    fn show_out(&mut self, id: ChannelId, visitor: Visitor, session: &mut Session) -> Result<(), Stop> {
        if self.strange.is_new("relay") {
            tracing::warn!(from = visitor.from, "somebody who is not the relay came in by its forward; refused");
        }
        turn_away(&visitor);
        self.send_off(id, visitor, session)
    }

    /// EOF and not CLOSE, as after a sender's end: whoever then goes by itself is forgotten. The library keeps a little of each
    /// channel that is closed from here, until the connection ends: there is a bound.
    fn send_off(&mut self, id: ChannelId, visitor: Visitor, session: &mut Session) -> Result<(), Stop> {
        session.eof(id)?;
        let Some((oldest, visitor)) = self.lobby.leave(id, visitor, Instant::now()) else { return Ok(()) };
        drop(visitor);
        session.close(oldest)?;
        if self.lobby.closes() { Ok(()) } else { Err(Stop::Flooded) }
    }

    /// Nothing more comes from this sender. Whether its own end says so or that of its relay shows when the relay answers.
    pub(in crate::ssh) fn part(&mut self, id: ChannelId, sender: Sender, session: &mut Session) -> Result<(), Stop> {
        if !self.lobby.was_ours(id) {
            sender.end(End::Clean);
            return Ok(());
        }
        self.ears.part(sender);
        self.ask_on(session)
    }

    /// Asks the relay whether it lives if there is a reason.
    fn ask_on(&self, session: &mut Session) -> Result<(), Stop> {
        match self.ears.question() {
            Some((channel, question)) => Ok(session.data(channel, question)?),
            None => Ok(()),
        }
    }

    /// `data` of `channel` came, or (`None`) its end. Returns what of it is a sender's, if anything.
    pub(in crate::ssh) fn greeted<'a>(
        &mut self,
        id: ChannelId,
        data: &'a [u8],
        session: &mut Session,
    ) -> Result<Option<&'a [u8]>, Stop> {
        match self.lobby.came(id, Some(data)) {
            Seen::Unknown => Ok(Some(data)),
            Seen::Kept => Ok(None),
            Seen::Foreign(visitor) => self.show_out(id, visitor, session).map(|()| None),
            Seen::Said { who, peer, taken } => {
                let Visitor { intake, port, from: by, channel } = who;
                let (from, peer) = (peer.ip().to_string(), peer.to_string());
                if let Some(channel) = self.hold_back_half(id, channel, &intake, u32::from(port), &from, &peer) {
                    let Ok(sender) = intake.admit(&peer) else {
                        // It must not take its end for a sign that all was stored.
                        session.data(id, self.lobby.refusal())?;
                        let visitor = Visitor { intake, port, from: by, channel };
                        return self.send_off(id, visitor, session).map(|()| None);
                    };
                    self.senders.insert(id, Slot::new(sender, channel));
                }
                Ok(Some(&data[taken..]).filter(|rest| !rest.is_empty()))
            }
        }
    }

    /// Nothing more comes on `channel`: whoever has not said who it is never will.
    pub(in crate::ssh) fn left_the_lobby(&mut self, id: ChannelId) -> bool {
        match self.lobby.came(id, None) {
            Seen::Foreign(visitor) => {
                turn_away(&visitor);
                true
            }
            _ => false,
        }
    }

    /// Whether `data` was the relay's own; it is taken care of then.
    pub(in crate::ssh) fn relay_spoke(
        &self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<bool, Stop> {
        match self.ears.heard(channel, data, Instant::now()) {
            Heard::Other => return Ok(false),
            Heard::Taken => {}
            Heard::Full { room, voice } => {
                self.meter.brake.speak_to(&voice);
                self.meter.brake.press(room);
            }
            Heard::Released => return Err(Stop::Abandoned),
        }
        self.ask_on(session)?;
        Ok(true)
    }
}
