//! What the server may do to us: deliver senders of forwards that we asked for, and nothing else.
//!
//! Bytes are handled here, inside the connection's loop: it is the fastest way. When an output takes no more, the brake of
//! the wire is pressed; nothing here waits for it, and nothing may await something that needs the loop itself.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use russh::client::{ChannelOpenHandle, DisconnectReason, Handler, Msg, Session};
use russh::keys::{PublicKey, PublicKeyOrCertificate};
use russh::{Channel, ChannelId, ChannelOpenFailure, Names, Sig};

use super::algorithms;
use super::auth::brief;
use super::distance::Distance;
use super::half_closed::{HalfClosed, MAX_CLOSED};
use super::host_key::{self, KnownHosts};
use super::pipe::Inlet;
use super::porch::Porch;
use super::prompt::Desk;
use super::rekey::{Action, Rekey};
use super::relay::{Ears, Lobby};
use super::routes::Routes;
use super::seats::Seats;
use super::settings::Settings;
use super::socket::Meter;
use super::strange::{MAX_UNASKED, Strange};
use super::vigil::{self, Ended};
use crate::error::Error;
use crate::escape::escape_str;

/// Characters of a server's reason that are told.
const LONGEST_REASON: usize = 200;

/// The library's view of one connection.
pub struct Guest {
    pub settings: Arc<Settings>,
    pub known: KnownHosts,
    pub desk: Desk,
    pub routes: Routes,
    pub meter: Arc<Meter>,
    /// Why the connection was refused from here; read when the library reports its own, poorer error.
    pub refusal: Refusal,
    pub ended: Ended,
    pub senders: Seats,
    /// Where senders wait until all ports are granted.
    pub porch: Porch,
    /// Where those wait who came in by the forward of a relay.
    pub lobby: Lobby,
    /// Hears the relay.
    pub ears: Ears,
    /// Where the bytes of the tunnel that was asked for go.
    pub tunnel: Expected,
    /// The same once it is open.
    pub opened: Option<(ChannelId, Inlet)>,
    /// Ended for us, not yet closed by the server.
    pub half_closed: HalfClosed,
    pub strange: Strange,
    /// Why the server did not open the channel that we asked for last, in its words.
    pub turned_down: Words,
    /// From the first key exchange on.
    pub rekey: Option<Rekey>,
    pub distance: Distance,
}

/// A place for the error of a callback.
pub type Refusal = Arc<Mutex<Option<Error>>>;

/// A place for a few words of the server, safe to show.
pub type Words = Arc<Mutex<String>>;

/// A place for the pipe of a tunnel that was asked for.
pub type Expected = Arc<Mutex<Option<Inlet>>>;

/// What ends the connection's loop.
#[derive(Debug, thiserror::Error)]
pub enum Stop {
    #[error(transparent)]
    Ssh(#[from] russh::Error),
    #[error("it was given up from here")]
    Abandoned,
    #[error("the jump host opened more than {MAX_UNASKED} channels that nobody asked for")]
    Flooded,
    #[error("more than {MAX_CLOSED} senders that were sent away would not go")]
    Stubborn,
}

impl Guest {
    /// `false` for an error that the library is not to put its own in the place of.
    fn accept(&self, checked: Result<(), Error>) -> bool {
        let Err(error) = checked else { return true };
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
        false
    }

    /// Refuses a channel of this `kind`; `what` it is, for the log.
    pub(super) async fn unasked(
        &mut self,
        kind: &'static str,
        what: &str,
        reply: ChannelOpenHandle,
    ) -> Result<(), Stop> {
        if self.strange.is_new(kind) {
            tracing::warn!(
                "the jump host tried to open {what}, which was not asked for; refused, as all others like it"
            );
        }
        reply.reject(ChannelOpenFailure::AdministrativelyProhibited).await;
        if self.strange.unasked() { Ok(()) } else { Err(Stop::Flooded) }
    }
}

impl Handler for Guest {
    type Error = Stop;

    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Stop> {
        let begun = Instant::now();
        let checked = host_key::verify(key, &self.known, &self.settings, &self.desk).await;
        self.desk.memory.book.shown(key, begun.elapsed());
        Ok(self.accept(checked))
    }

    async fn kex_done(&mut self, _secret: Option<&[u8]>, names: &Names, _session: &mut Session) -> Result<(), Stop> {
        let cipher = names.cipher.as_ref();
        tracing::debug!(kex = names.kex.as_ref(), cipher, "new keys");
        self.desk.memory.book.agreed(names);
        let limit = self.settings.rekey_limit.unwrap_or_else(|| algorithms::rekey_after(cipher));
        self.rekey.get_or_insert_with(|| Rekey::new(limit, self.distance)).renewed(self.meter.passed());
        Ok(())
    }

    async fn auth_banner(&mut self, banner: &str, _session: &mut Session) -> Result<(), Stop> {
        self.desk.banner(banner);
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        connected_address: &str,
        connected_port: u32,
        originator_address: &str,
        originator_port: u32,
        reply: ChannelOpenHandle,
        session: &mut Session,
    ) -> Result<(), Stop> {
        let at = (connected_address, connected_port);
        self.arrives(channel, at, (originator_address, originator_port), reply, session).await
    }

    /// Before the first byte of the channel.
    async fn channel_open_confirmation(
        &mut self,
        channel: ChannelId,
        _max_packet_size: u32,
        _window_size: u32,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        if let Some(inlet) = self.tunnel.lock().unwrap_or_else(PoisonError::into_inner).take() {
            self.opened = Some((channel, inlet));
        }
        Ok(())
    }

    async fn data(&mut self, channel: ChannelId, data: &[u8], session: &mut Session) -> Result<(), Stop> {
        if let Some((tunnel, inlet)) = &self.opened
            && *tunnel == channel
        {
            if !inlet.push(data) {
                self.meter.brake.press(inlet.room());
            }
        } else if let Some(data) = self.of_a_sender(channel, data, session)? {
            self.deliver(channel, data, session)?;
        }
        if self.meter.brake.is_on() {
            // Not now: who begins to renew the keys has to read on, and may say nothing else until it is done.
            return Ok(());
        }
        let (passed, caught_up) = (self.meter.passed(), self.meter.caught_up());
        let senders = self.senders.len();
        match self.rekey.as_mut().map_or(Action::None, |rekey| rekey.observe(passed, caught_up, senders)) {
            Action::None => {}
            Action::Shrink => self.meter.shrink(),
            Action::Start => {
                tracing::debug!("renewing the keys");
                session.initiate_rekey()?;
            }
        }
        Ok(())
    }

    async fn channel_eof(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Stop> {
        if self.was_held_back(channel, None, session)? || self.left_the_lobby(channel) {
            self.half_closed.insert(channel, None);
            session.eof(channel)?;
        }
        if self.eof_of_sender(channel, session)? {
            // EOF and not CLOSE: the server answers with its CLOSE, and only that makes the library forget the channel.
            // After a CLOSE of ours it would keep some 3 KiB a sender until the connection ends.
            session.eof(channel)?;
        }
        self.opened.take_if(|(tunnel, _)| *tunnel == channel);
        Ok(())
    }

    async fn channel_close(&mut self, channel: ChannelId, session: &mut Session) -> Result<(), Stop> {
        self.was_held_back(channel, None, session)?;
        self.left_the_lobby(channel);
        self.ears.ended(channel, "it has ended");
        self.half_closed.remove(channel);
        if let Some(slot) = self.senders.remove(channel) {
            self.part(channel, slot.sender, session)?;
        }
        self.lobby.gone(channel);
        self.opened.take_if(|(tunnel, _)| *tunnel == channel);
        Ok(())
    }

    /// The answer to a question of ours. Of a channel that the server opened it makes no sense, but the library has
    /// forgotten that channel now: nothing more will come from it.
    async fn channel_open_failure(
        &mut self,
        channel: ChannelId,
        _reason: ChannelOpenFailure,
        description: &str,
        _language: &str,
        session: &mut Session,
    ) -> Result<(), Stop> {
        self.was_held_back(channel, None, session)?;
        *self.turned_down.lock().unwrap_or_else(PoisonError::into_inner) =
            escape_str(&description.chars().take(LONGEST_REASON).collect::<String>());
        self.half_closed.remove(channel);
        self.senders.remove(channel);
        Ok(())
    }

    /// No forward has a second stream (RFC 4254, section 5.2): it is none of the sender's bytes. A command of ours has one.
    async fn extended_data(
        &mut self,
        channel: ChannelId,
        code: u32,
        data: &[u8],
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.ears.complains(channel, data);
        if self.senders.contains(channel) && self.strange.is_new("extended data") {
            tracing::warn!(code, "the jump host sent data that is not a sender's; left out");
        }
        Ok(())
    }

    /// A command that may not be run.
    async fn channel_failure(&mut self, channel: ChannelId, _session: &mut Session) -> Result<(), Stop> {
        self.ears.ended(channel, "the server refuses it");
        Ok(())
    }

    async fn exit_status(&mut self, channel: ChannelId, code: u32, _session: &mut Session) -> Result<(), Stop> {
        self.ears.ended(channel, &format!("it ended with exit code {code}"));
        Ok(())
    }

    async fn exit_signal(
        &mut self,
        channel: ChannelId,
        signal: Sig,
        _core_dumped: bool,
        _message: &str,
        _language: &str,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.ears.ended(channel, &format!("it was ended by signal {}", brief(&format!("{signal:?}"))));
        Ok(())
    }

    async fn openssh_ext_host_keys_announced(&mut self, _keys: Vec<PublicKey>, _: &mut Session) -> Result<(), Stop> {
        // Rotation of host keys is not taken over: nothing writes to known_hosts unasked.
        tracing::debug!("the jump host announced its host keys; they are not taken over");
        Ok(())
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Stop>) -> Result<(), Stop> {
        let error = match &reason {
            DisconnectReason::ReceivedDisconnect(info) => {
                self.desk.ended(&info.message);
                format!("the jump host ended the connection: {}", brief(&info.message))
            }
            DisconnectReason::Error(Stop::Ssh(e)) => {
                if let russh::Error::NoAuthMethod = e {
                    self.desk.no_method();
                }
                format!("the connection to the jump host was lost: {}", super::reason(e))
            }
            DisconnectReason::Error(e) => format!("the connection was ended: {e}"),
        };
        // Whoever is still in was cut off.
        self.senders.clear();
        self.half_closed.clear();
        self.porch.clear();
        self.lobby.clear();
        self.ears.close();
        self.routes.lookout.end();
        vigil::tell(&self.ended, Error::failed(error));
        match reason {
            DisconnectReason::ReceivedDisconnect(_) => Ok(()),
            DisconnectReason::Error(e) => Err(e),
        }
    }

    // The library's defaults accept all of these.

    async fn server_channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("session", "a channel of type session", reply).await
    }

    async fn server_channel_open_direct_tcpip(
        &mut self,
        _channel: Channel<Msg>,
        _host: &str,
        _port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("direct-tcpip", "a channel of type direct-tcpip", reply).await
    }

    async fn server_channel_open_direct_streamlocal(
        &mut self,
        _channel: Channel<Msg>,
        _path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("direct-streamlocal", "a channel of type direct-streamlocal", reply).await
    }

    async fn server_channel_open_forwarded_streamlocal(
        &mut self,
        channel: Channel<Msg>,
        path: &str,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.local_sender(channel, path, reply).await
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("agent", "a channel of type agent", reply).await
    }

    async fn server_channel_open_x11(
        &mut self,
        _channel: Channel<Msg>,
        _address: &str,
        _port: u32,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("x11", "a channel of type x11", reply).await
    }

    /// True, so that it is counted and refused below like the others.
    async fn should_accept_unknown_server_channel(&mut self, _id: ChannelId, kind: &str) -> bool {
        if self.strange.is_new("unknown") {
            tracing::warn!("the jump host tried to open a channel of the unknown type {}; refused", brief(kind));
        }
        true
    }

    async fn server_channel_open_unknown(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Stop> {
        self.unasked("unknown", "a channel of an unknown type", reply).await
    }
}
