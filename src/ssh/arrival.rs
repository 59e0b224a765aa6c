//! Who comes in by a forward, and whose the first bytes of a channel are.

use std::net::{IpAddr, SocketAddr};

use russh::client::{ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure};

use super::auth::brief;
use super::handler::{Guest, Stop};
use super::porch::{Caller, Place};
use super::routes::Found;
use super::strange::MAX_HALF_CLOSED;

impl Guest {
    /// Somebody from `originator` came to the address and port of a forward.
    pub(super) async fn arrives(
        &mut self,
        channel: Channel<Msg>,
        (address, port): (&str, u32),
        (originator, originator_port): (&str, u32),
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Stop> {
        let peer = match originator.parse::<IpAddr>() {
            Ok(ip) => SocketAddr::new(ip.to_canonical(), u16::try_from(originator_port).unwrap_or(0)).to_string(),
            Err(_) => format!("{}:{originator_port}", brief(originator)),
        };
        let Some(Found { intake, relay }) = self.routes.find(address, port) else {
            let what = format!("a connection for {}:{port}", brief(address));
            return self.unasked("forwarded-tcpip", &what, reply).await;
        };
        if self.half_closed.len() >= MAX_HALF_CLOSED {
            if self.strange.is_new("half-closed") {
                tracing::warn!("the jump host closes no channel that has ended; senders are refused until it does");
            }
            reply.reject(ChannelOpenFailure::ResourceShortage).await;
            return Ok(());
        }
        if let Some(public) = relay {
            self.visit(channel, intake, public, peer, session)?;
            reply.accept().await;
            return Ok(());
        }
        let Some(channel) = self.hold_back(channel, &intake, port, originator, &peer) else {
            reply.accept().await;
            return Ok(());
        };
        let caller = match self.porch.receive(Caller { channel, peer, intake, reply }) {
            Place::Waits => return Ok(()),
            Place::Open(caller) => caller,
            Place::Full(caller) => {
                if self.strange.is_new("crowd") {
                    tracing::warn!("too many senders wait for the last port to be granted; more of them are refused");
                }
                caller.reply.reject(ChannelOpenFailure::ResourceShortage).await;
                return Ok(());
            }
        };
        match caller.admit() {
            Ok((id, slot, reply)) => {
                self.senders.insert(id, slot);
                reply.accept().await;
            }
            Err(reply) => reply.reject(ChannelOpenFailure::ResourceShortage).await,
        }
        Ok(())
    }

    /// What of `data` is to be fed to the sender of `channel`; `None`: nothing.
    pub(super) fn of_a_sender<'a>(
        &mut self,
        channel: ChannelId,
        data: &'a [u8],
        session: &mut Session,
    ) -> Result<Option<&'a [u8]>, Stop> {
        if self.senders.contains_key(&channel) {
            return Ok(Some(data));
        }
        if self.relay_spoke(channel, data)? {
            return Ok(None);
        }
        let Some(data) = self.greeted(channel, data, session)? else { return Ok(None) };
        self.claim(channel);
        Ok(if self.was_held_back(channel, Some(data), session)? { None } else { Some(data) })
    }
}
