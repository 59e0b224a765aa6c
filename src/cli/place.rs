//! Where senders of a stream go, for people and for snippets.

use std::path::PathBuf;

use super::words;
use crate::collector::events::{Up, UpStream};
use crate::collector::live;
use crate::ledger::{CollectorSnapshot, StreamSnapshot};
use crate::plan::bracketed;

/// A place to send to. `host` is a name or an address, IPv6 without brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// A TCP port.
    Tcp {
        /// Where.
        host: String,
        /// Which.
        port: u16,
    },
    /// A UDP port.
    Udp {
        /// Where.
        host: String,
        /// Which.
        port: u16,
    },
    /// Ports of both with the same number.
    Both {
        /// Where.
        host: String,
        /// Which.
        port: u16,
    },
    /// A Unix socket.
    Socket {
        /// Where.
        path: PathBuf,
        /// The jump host; `None`: this machine.
        on: Option<String>,
    },
}

impl Place {
    fn new(host: String, port: u16, socket: Option<PathBuf>, udp: bool, on: Option<String>) -> Self {
        match (socket, udp, &on) {
            (Some(path), ..) => Self::Socket { path, on },
            (None, false, _) => Self::Tcp { host, port },
            // On the jump host UDP is beside TCP, on this machine it stands alone.
            (None, true, Some(_)) => Self::Both { host, port },
            (None, true, None) => Self::Udp { host, port },
        }
    }

    /// The place of a stream that came up.
    #[must_use]
    pub fn of_up(up: &Up, stream: &UpStream) -> Self {
        let UpStream { host, remote_port, socket, udp, .. } = stream;
        Self::new(host.clone(), *remote_port, socket.clone(), *udp, up.target.as_ref().map(|_| host.clone()))
    }

    /// The place of a stream that runs.
    #[must_use]
    pub fn of(collector: &CollectorSnapshot, stream: &StreamSnapshot) -> Self {
        let jump_host = collector.target.as_deref().map(host_of);
        let host = live::sender_host(jump_host, &stream.bind);
        let udp = stream.datagrams_lost.is_some();
        Self::new(host, stream.remote_port, stream.socket.clone(), udp, jump_host.map(str::to_owned))
    }

    /// In words for people, safe to show.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Tcp { host, port } => words::place(host, *port),
            Self::Udp { host, port } => format!("udp:{}", words::place(host, *port)),
            Self::Both { host, port } => format!("{} (TCP and UDP)", words::place(host, *port)),
            Self::Socket { path, on: None } => format!("unix:{}", words::path(path)),
            Self::Socket { path, on: Some(host) } => {
                format!("unix:{} on {}", words::path(path), bracketed(&crate::escape::escape_str(host)))
            }
        }
    }
}

/// The host in `user@host:port`, brackets of IPv6 removed.
fn host_of(target: &str) -> &str {
    let host = target.rsplit_once('@').map_or(target, |(_, host)| host);
    let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
    host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_with_what_it_is() {
        let of = |socket: Option<&str>, udp, on: Option<&str>| {
            Place::new("::1".into(), 7, socket.map(Into::into), udp, on.map(Into::into)).text()
        };
        assert_eq!(of(None, false, None), "[::1]:7");
        assert_eq!(of(None, true, None), "udp:[::1]:7");
        assert_eq!(of(None, true, Some("::1")), "[::1]:7 (TCP and UDP)");
        assert_eq!(of(Some("/run/x"), false, None), "unix:/run/x");
        assert_eq!(of(Some("/run/x"), false, Some("jump")), "unix:/run/x on jump");
        assert_eq!([host_of("u@h:22"), host_of("u@[::1]:22")], ["h", "::1"]);
    }
}
