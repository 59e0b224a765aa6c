//! Who comes in by a forward, and whose the first bytes of a channel are.

use std::net::{IpAddr, SocketAddr};

use russh::client::{ChannelOpenHandle, Msg, Session};
use russh::{Channel, ChannelId, ChannelOpenFailure};

use super::auth::brief;
use super::handler::{Guest, Stop};
use super::porch::Caller;
use super::routes::Found;
use super::seats::Slot;

/// The address of an originator. sshd writes that of a neighbour with the interface behind it (`fe80::5%eth0`), which is the
/// server's and says nothing here. `None`: it names none.
pub fn address_of(originator: &str) -> Option<IpAddr> {
    let address = originator.split_once('%').map_or(originator, |(address, _)| address);
    address.parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

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
        let peer = match address_of(originator) {
            Some(ip) => SocketAddr::new(ip, u16::try_from(originator_port).unwrap_or(0)).to_string(),
            None => format!("{}:{originator_port}", brief(originator)),
        };
        let Some(Found { intake, relay }) = self.routes.find(address, port) else {
            let what = format!("a connection for {}:{port}", brief(address));
            return self.unasked("forwarded-tcpip", &what, reply).await;
        };
        if self.is_crowded()? {
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
        self.receive(Caller { channel, peer, intake, reply }).await;
        Ok(())
    }

    /// Feeds the sender of `channel`, if there is one.
    pub(super) fn deliver(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Stop> {
        let brake = &self.meter.brake;
        let fed = self.senders.with(channel, |Slot { sender, channel }| {
            sender.feed(data);
            if !sender.has_room() {
                brake.speak_on(channel);
                brake.press(sender.wait());
            } else if sender.is_released() {
                return Err(Stop::Abandoned);
            }
            Ok(sender.is_over())
        });
        match fed {
            Some(over) => {
                if over? {
                    self.dismiss(channel, session)?;
                }
            }
            None => {
                if self.half_closed.came(channel, data.len()) {
                    session.close(channel)?;
                }
            }
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
        if self.senders.contains(channel) {
            return Ok(Some(data));
        }
        if self.relay_spoke(channel, data, session)? {
            return Ok(None);
        }
        let Some(data) = self.greeted(channel, data, session)? else { return Ok(None) };
        Ok(if self.was_held_back(channel, Some(data), session)? { None } else { Some(data) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_has_an_address_whatever_interface_it_comes_by() {
        let at = |text: &str| address_of(text).map(|ip| ip.to_string());
        for (said, ip) in [
            ("fe80::5%eth0", "fe80::5"),
            ("fe80::5%25", "fe80::5"),
            ("fe80::5", "fe80::5"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "192.0.2.1"),
        ] {
            assert_eq!(at(said).as_deref(), Some(ip), "{said}");
        }
        for nothing in ["", "%eth0", "host", "host%eth0", "192.0.2.1:5"] {
            assert_eq!(at(nothing), None, "{nothing}");
        }
    }
}
