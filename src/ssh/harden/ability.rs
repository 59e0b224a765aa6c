//! What a key may be able to do, and what closes it. Pure.

use serde::Serialize;

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
    /// Read and write files by the subsystem `sftp`.
    Sftp,
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
    pub const ALL: [Self; 12] = [
        Self::Command,
        Self::Shell,
        Self::Terminal,
        Self::Sftp,
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
            Self::Sftp => "sftp",
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
            Self::Sftp => "read and write files (sftp)",
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
            Self::Command | Self::Shell | Self::Sftp => {
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
