//! Whether a key can do more than it needs: everything else is tried, over one connection. Whatever opens is closed at once.

use std::time::Duration;

use russh::client::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelOpenFailure, Error as Ssh};
use serde::Serialize;
use tokio::time::{sleep, timeout};

use super::lines::Need;
use crate::error::Result;
use crate::ssh::connection::Connection;
use crate::ssh::handler::Guest;
use crate::ssh::refusal;
use crate::ssh::routes::wire_address;
use crate::ssh::server_process;
use crate::ssh::settings::PHASE_TIMEOUT;

/// The start of a shell, and what it reads as it starts.
const SHELL: Duration = Duration::from_secs(20);
/// An answer that depends on nothing but the rules.
const ANSWER: Duration = Duration::from_secs(5);
/// What saying good-bye to a channel may take.
const FAREWELL: Duration = Duration::from_secs(1);

/// What a key may be able to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ability {
    /// Run a command.
    Command,
    /// Have a shell.
    Shell,
    /// Have a terminal.
    Terminal,
    /// Open another port on loopback.
    LoopbackPort,
    /// Open another port on all interfaces.
    PublicPort,
    /// Have the jump host connect to itself.
    ConnectInside,
    /// Have the jump host connect to somebody else.
    ConnectOutside,
    /// Make a Unix socket.
    SocketListen,
    /// Have the jump host connect to a Unix socket.
    SocketConnect,
    /// Take an agent along.
    Agent,
    /// Take an X11 display along.
    X11,
}

impl Ability {
    /// All, in the order in which they are tried.
    pub const ALL: [Self; 11] = [
        Self::Command,
        Self::Shell,
        Self::Terminal,
        Self::LoopbackPort,
        Self::PublicPort,
        Self::ConnectInside,
        Self::ConnectOutside,
        // Before the other: what it makes is what the other connects to.
        Self::SocketListen,
        Self::SocketConnect,
        Self::Agent,
        Self::X11,
    ];

    /// The name in JSON and for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Shell => "shell",
            Self::Terminal => "terminal",
            Self::LoopbackPort => "loopback-port",
            Self::PublicPort => "public-port",
            Self::ConnectInside => "connect-inside",
            Self::ConnectOutside => "connect-outside",
            Self::SocketListen => "socket-listen",
            Self::SocketConnect => "socket-connect",
            Self::Agent => "agent",
            Self::X11 => "x11",
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Command => "run a command",
            Self::Shell => "have a shell",
            Self::Terminal => "have a terminal",
            Self::LoopbackPort => "open another port on loopback",
            Self::PublicPort => "open another port on all interfaces",
            Self::ConnectInside => "connect to a port of the jump host",
            Self::ConnectOutside => "connect to others through the jump host",
            Self::SocketListen => "make a Unix socket",
            Self::SocketConnect => "connect to a Unix socket of the jump host",
            Self::Agent => "take an agent along",
            Self::X11 => "take an X11 display along",
        }
    }

    /// What closes it: of sshd_config, and of authorized_keys where that can.
    #[must_use]
    pub fn closed_by(self) -> &'static str {
        match self {
            Self::Command | Self::Shell => {
                "sshd_config: ForceCommand /bin/false and MaxSessions 0; authorized_keys: command=\"/bin/false\""
            }
            Self::Terminal => "sshd_config: PermitTTY no; authorized_keys: restrict",
            Self::LoopbackPort | Self::PublicPort => {
                "sshd_config: PermitListen with the ports that are needed; authorized_keys: permitlisten"
            }
            Self::ConnectInside | Self::ConnectOutside => {
                "sshd_config: AllowTcpForwarding remote, PermitOpen none; authorized_keys: permitopen=\"127.0.0.1:1\""
            }
            Self::SocketListen => "sshd_config: AllowStreamLocalForwarding no; authorized_keys cannot",
            Self::SocketConnect => {
                "sshd_config: AllowStreamLocalForwarding no, PermitOpen none; authorized_keys: permitopen=\"127.0.0.1:1\""
            }
            Self::Agent => "sshd_config: AllowAgentForwarding no; authorized_keys: restrict",
            Self::X11 => "sshd_config: X11Forwarding no; authorized_keys: restrict",
        }
    }
}

/// What came of a try.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It was refused.
    Closed,
    /// It works, and what is to be done needs it.
    Needed,
    /// It works.
    Open,
    /// The answer tells nothing.
    CannotTell,
}

/// Tries everything that `need` does not name; `hear` is told of each as it is known.
pub async fn check(connection: &Connection, need: &Need, mut hear: impl FnMut(Ability, Found)) {
    let handle = &connection.leg.handle;
    let host = (connection.leg.settings.host.as_str(), connection.leg.settings.port);
    let mut own_socket = false;
    for ability in Ability::ALL {
        let found = match ability {
            Ability::Command => command(handle).await,
            Ability::Shell => shell(handle).await,
            Ability::Terminal => asks(handle, Asked::Terminal).await,
            Ability::Agent => asks(handle, Asked::Agent).await,
            Ability::X11 => asks(handle, Asked::X11).await,
            Ability::LoopbackPort => port(handle, "127.0.0.1").await,
            Ability::PublicPort => port(handle, "").await,
            Ability::ConnectInside => connect(handle, "127.0.0.1", 22).await,
            Ability::ConnectOutside => connect(handle, host.0, host.1).await,
            Ability::SocketListen => {
                let found = make_socket(handle).await;
                own_socket = found == Found::Open;
                found
            }
            Ability::SocketConnect => connect_socket(handle, own_socket).await,
        };
        let needed = match ability {
            Ability::Command | Ability::Shell => need.command,
            Ability::LoopbackPort => need.any_port(true),
            Ability::PublicPort => need.any_port(false),
            Ability::SocketListen => need.socket,
            _ => false,
        };
        tracing::debug!(?ability, ?found, needed, "tried");
        hear(ability, if found == Found::Open && needed { Found::Needed } else { found });
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

/// A session; `Err`: what its refusal means.
async fn session(handle: &Handle<Guest>) -> std::result::Result<Channel<Msg>, Found> {
    match timeout(PHASE_TIMEOUT, handle.channel_open_session()).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(Ssh::ChannelOpenFailure(_))) => Err(Found::Closed),
        _ => Err(Found::CannotTell),
    }
}

/// Ends a session and whatever runs in it.
async fn leave(channel: Channel<Msg>) {
    let (read, write) = channel.split();
    drop(read);
    let _ = timeout(FAREWELL, write.close()).await;
}

async fn command(handle: &Handle<Guest>) -> Found {
    let mark = server_process::mark();
    match session(handle).await {
        Ok(channel) => {
            let asked = channel.exec(true, format!("echo {mark}")).await;
            answered(channel, asked, &mark).await
        }
        Err(found) => found,
    }
}

async fn shell(handle: &Handle<Guest>) -> Found {
    let mark = server_process::mark();
    match session(handle).await {
        Ok(channel) => {
            let asked = match channel.request_shell(true).await {
                // Without a terminal nothing comes back but what was run.
                Ok(()) => channel.data_bytes(format!("echo {mark}\nexit\n").into_bytes()).await,
                error => error,
            };
            answered(channel, asked, &mark).await
        }
        Err(found) => found,
    }
}

/// Whether a line of the output is `mark`: a command that was forced upon us says other things.
async fn answered(mut channel: Channel<Msg>, asked: std::result::Result<(), Ssh>, mark: &str) -> Found {
    if asked.is_err() {
        return Found::CannotTell;
    }
    let mut output = Vec::new();
    let listen = async {
        while let Some(message) = channel.wait().await {
            match message {
                ChannelMsg::Data { data } => {
                    output.extend_from_slice(&data[..data.len().min(64 * 1024)]);
                    if output.split(|b| *b == b'\n').any(|line| line.trim_ascii() == mark.as_bytes()) {
                        return Found::Open;
                    }
                    if output.len() > 1024 * 1024 {
                        return Found::CannotTell;
                    }
                }
                ChannelMsg::Failure | ChannelMsg::ExitStatus { .. } | ChannelMsg::Close => return Found::Closed,
                _ => {}
            }
        }
        Found::Closed
    };
    let found = timeout(SHELL, listen).await.unwrap_or(Found::CannotTell);
    leave(channel).await;
    found
}

/// What is asked of a session before anything runs in it.
#[derive(Clone, Copy)]
enum Asked {
    Terminal,
    Agent,
    X11,
}

async fn asks(handle: &Handle<Guest>, what: Asked) -> Found {
    let mut channel = match session(handle).await {
        Ok(channel) => channel,
        Err(found) => return found,
    };
    let asked = match what {
        Asked::Terminal => channel.request_pty(true, "dumb", 80, 24, 0, 0, &[]).await,
        Asked::Agent => channel.agent_forward(true).await,
        // A cookie of zeros: nobody will ever show it to a display.
        Asked::X11 => channel.request_x11(true, true, "MIT-MAGIC-COOKIE-1", "0".repeat(32), 0).await,
    };
    let found = if asked.is_ok() {
        timeout(ANSWER, answer(&mut channel)).await.unwrap_or(Found::CannotTell)
    } else {
        Found::CannotTell
    };
    leave(channel).await;
    found
}

async fn answer(channel: &mut Channel<Msg>) -> Found {
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Success => return Found::Open,
            ChannelMsg::Failure | ChannelMsg::Close => return Found::Closed,
            _ => {}
        }
    }
    Found::CannotTell
}

/// Whether a port that the server chooses is granted: where ports are listed, that never is.
async fn port(handle: &Handle<Guest>, address: &str) -> Found {
    match timeout(PHASE_TIMEOUT, handle.tcpip_forward(address, 0)).await {
        Ok(Ok(port)) => {
            let _ = timeout(ANSWER, handle.cancel_tcpip_forward(address, port)).await;
            Found::Open
        }
        Ok(Err(Ssh::RequestDenied)) => Found::Closed,
        _ => Found::CannotTell,
    }
}

async fn connect(handle: &Handle<Guest>, host: &str, port: u16) -> Found {
    match timeout(ANSWER, handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0)).await {
        Ok(Ok(channel)) => {
            leave(channel).await;
            Found::Open
        }
        Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited))) => Found::Closed,
        // It tries, or tried: no rule is in the way.
        Ok(Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed))) | Err(_) => Found::Open,
        Ok(Err(_)) => Found::CannotTell,
    }
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
                leave(channel).await;
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
