//! Whether a key can do more than it needs: everything else is tried, over one connection. Whatever opens is closed at once.

use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Error as Ssh};
use tokio::time::{sleep, timeout};

use super::ability::{Ability, Found};
use super::lines::Need;
use super::session::{self, Asked};
use crate::error::Result;
use crate::escape::escape_str;
use crate::ssh::connection::Connection;
use crate::ssh::handler::Guest;
use crate::ssh::refusal;
use crate::ssh::routes::wire_address;
use crate::ssh::settings::PHASE_TIMEOUT;

/// An answer that depends on nothing but the rules.
const ANSWER: Duration = Duration::from_secs(5);
/// What saying good-bye to a channel may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What came of a try, and what made it so, where more than one thing was tried.
pub(super) struct Tried {
    pub found: Found,
    pub note: Option<String>,
}

impl From<Found> for Tried {
    fn from(found: Found) -> Self {
        Self { found, note: None }
    }
}

/// Tries everything that `need` does not name; `hear` is told of each as it is known, with a note where there is one.
pub async fn check(connection: &Connection, need: &Need, mut hear: impl FnMut(Ability, Found, Option<&str>)) {
    let handle = &connection.leg.handle;
    let host = (connection.leg.settings.host.as_str(), connection.leg.settings.port);
    let mut own_socket = false;
    for ability in Ability::ALL {
        let tried = match ability {
            Ability::Command => session::command(handle).await,
            Ability::Shell => session::shell(handle).await,
            Ability::Sftp => session::sftp(handle).await,
            Ability::Terminal => session::asks(handle, Asked::Terminal).await.into(),
            Ability::Agent => session::asks(handle, Asked::Agent).await.into(),
            Ability::X11 => session::asks(handle, Asked::X11).await.into(),
            Ability::LoopbackPort => port(handle, "127.0.0.1", need).await,
            Ability::PublicPort => port(handle, "", need).await,
            Ability::ConnectInside => {
                let inside = ["127.0.0.1", "localhost", "::1"];
                connect(handle, &inside, [host.1].into_iter().chain(DOORS)).await
            }
            Ability::ConnectOutside => connect(handle, &[host.0], [host.1, 22, 80, 443].into_iter()).await,
            Ability::SocketListen => {
                let found = make_socket(handle).await;
                own_socket = found == Found::Open;
                found.into()
            }
            Ability::SocketConnect => connect_socket(handle, own_socket).await.into(),
        };
        let needed = match ability {
            // A relay needs its own command to run, and not one that is forced upon it.
            Ability::Command | Ability::Shell | Ability::Sftp => need.command && tried.note.is_none(),
            Ability::LoopbackPort => need.any_port(true),
            Ability::PublicPort => need.any_port(false),
            Ability::SocketListen => need.socket,
            _ => false,
        };
        let found = if tried.found == Found::Open && needed { Found::Needed } else { tried.found };
        tracing::debug!(?ability, ?found, note = tried.note, "tried");
        hear(ability, found, tried.note.as_deref());
    }
    if own_socket {
        let _ = timeout(FAREWELL, handle.cancel_streamlocal_forward("")).await;
    }
}

/// Whether the key can do what it is for: open `port` on `bind`. It is closed at once.
///
/// # Errors
/// Refused (exit code 4) when a rule of the server is in the way.
pub async fn own_port(connection: &Connection, bind: &str, port: u16) -> Result<Found> {
    let leg = &connection.leg;
    let address = wire_address(bind);
    match timeout(PHASE_TIMEOUT, leg.handle.tcpip_forward(address, u32::from(port))).await {
        Ok(Ok(chosen)) => {
            let opened = if port == 0 { chosen } else { u32::from(port) };
            let _ = timeout(ANSWER, leg.handle.cancel_tcpip_forward(address, opened)).await;
            Ok(Found::Needed)
        }
        Ok(Err(Ssh::RequestDenied)) => {
            let software = leg.meter.software();
            let refused = refusal::explain(&leg.handle, &leg.settings, software, bind, port).await;
            // A collector may have it, as it should.
            if refused.maybe_taken { Ok(Found::CannotTell) } else { Err(refused.error) }
        }
        _ => Ok(Found::CannotTell),
    }
}

/// Ports that lists name beside ours, and that nobody has on most machines.
const LISTED: [u16; 12] = [8080, 8000, 8443, 8888, 3000, 5000, 9000, 2222, 10022, 6514, 80, 443];
/// Ports behind which most machines have something.
const DOORS: [u16; 12] = [22, 80, 443, 25, 53, 2222, 3306, 5432, 6379, 8080, 9200, 27017];

/// Whether another port is granted: one that the server chooses, the neighbours of those that are needed, and some that are
/// often listed. One that somebody has is refused like one that no list names.
async fn port(handle: &Handle<Guest>, address: &str, need: &Need) -> Tried {
    let own = need.ports();
    let beside = own.iter().flat_map(|port| [port.checked_add(1), port.checked_sub(1)]).flatten();
    let others = beside.chain(LISTED).filter(|port| *port != 0 && !own.contains(port));
    for wanted in std::iter::once(0).chain(others) {
        match timeout(PHASE_TIMEOUT, handle.tcpip_forward(address, u32::from(wanted))).await {
            Ok(Ok(port)) => {
                let port = if wanted == 0 { port } else { u32::from(wanted) };
                let _ = timeout(ANSWER, handle.cancel_tcpip_forward(address, port)).await;
                let note = if wanted == 0 { "any port".to_owned() } else { format!("port {wanted}") };
                return Tried { found: Found::Open, note: Some(note) };
            }
            Ok(Err(Ssh::RequestDenied)) => {}
            _ => return Found::CannotTell.into(),
        }
    }
    Found::Closed.into()
}

/// Whether the jump host connects to one of `ports` under one of the names `hosts`: rules compare names letter by letter.
async fn connect(handle: &Handle<Guest>, hosts: &[&str], ports: impl Iterator<Item = u16>) -> Tried {
    for port in ports {
        for host in hosts {
            match timeout(ANSWER, handle.channel_open_direct_tcpip(*host, u32::from(port), "127.0.0.1", 0)).await {
                Ok(Ok(channel)) => session::leave(channel).await,
                Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => continue,
                // It tries, or tried: no rule is in the way.
                Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) | Err(_) => {}
                Ok(Err(_)) => return Found::CannotTell.into(),
            }
            return Tried { found: Found::Open, note: Some(format!("{} port {port}", escape_str(host))) };
        }
    }
    Found::Closed.into()
}

/// How often a socket that is refused is asked for again: somebody else may have the same one at the moment.
const TRIES: u32 = 3;
const AGAIN: Duration = Duration::from_millis(300);

/// A socket of the abstract name space (unix(7)): its name is what sshd makes of an empty path, and no file is left behind,
/// as sshd would leave one of any other path. A system without that name space refuses it like a rule would.
async fn make_socket(handle: &Handle<Guest>) -> Found {
    for _ in 0..TRIES {
        match timeout(ANSWER, handle.streamlocal_forward("")).await {
            Ok(Ok(())) => return Found::Open,
            Ok(Err(Ssh::RequestDenied)) => sleep(AGAIN).await,
            _ => return Found::CannotTell,
        }
    }
    Found::Closed
}

/// Sockets that most machines have and everybody may connect to.
const SOCKETS: [&str; 6] = [
    "/run/dbus/system_bus_socket",
    "/run/systemd/journal/stdout",
    "/run/systemd/userdb/io.systemd.DynamicUser",
    "/run/nscd/socket",
    "/run/docker.sock",
    "/run/snapd.socket",
];

/// `own`: there is one of ours. sshd refuses a socket that is not there like one that it forbids.
async fn connect_socket(handle: &Handle<Guest>, own: bool) -> Found {
    for path in own.then_some("").into_iter().chain(SOCKETS) {
        match timeout(ANSWER, handle.channel_open_direct_streamlocal(path)).await {
            Ok(Ok(channel)) => {
                session::leave(channel).await;
                return Found::Open;
            }
            Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => return Found::Closed,
            Ok(Err(Ssh::ChannelOpenFailure(_))) if own && path.is_empty() => return Found::Closed,
            Ok(Err(Ssh::ChannelOpenFailure(_))) => {}
            _ => break,
        }
    }
    Found::CannotTell
}
