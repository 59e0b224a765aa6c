//! Where senders of a stream go, for people and for snippets.

use std::path::PathBuf;

use super::words;
use crate::collector::events::{Up, UpStream};
use crate::collector::live;
use crate::ledger::{CollectorSnapshot, Reach, StreamSnapshot};
use crate::plan::{bracketed, is_loopback};

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
    /// A port that only programs of the jump host reach.
    Inside {
        /// The port, as it was asked for.
        place: Box<Place>,
        /// The jump host.
        on: String,
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

    /// The same, known to be on the loopback interface of the jump host alone.
    fn inside(self, reach: Reach, jump_host: Option<&str>) -> Self {
        match (self, jump_host) {
            (place @ (Self::Tcp { .. } | Self::Udp { .. } | Self::Both { .. }), Some(on))
                if reach == Reach::LoopbackOnly =>
            {
                Self::Inside { place: Box::new(place), on: on.to_owned() }
            }
            (place, _) => place,
        }
    }

    /// Where a program sends to that runs where the place can be reached: there the name of the jump host leads to an address
    /// on which nobody listens.
    #[must_use]
    pub fn from_inside(&self) -> Self {
        let near = |host: &str| if is_loopback(host) { host.to_owned() } else { "localhost".to_owned() };
        match self {
            Self::Inside { place, .. } => match &**place {
                Self::Tcp { host, port } => Self::Tcp { host: near(host), port: *port },
                Self::Udp { host, port } => Self::Udp { host: near(host), port: *port },
                Self::Both { host, port } => Self::Both { host: near(host), port: *port },
                other => other.clone(),
            },
            other => other.clone(),
        }
    }

    /// The machine whose programs alone reach it, where that is the jump host.
    #[must_use]
    pub fn only_on(&self) -> Option<&str> {
        match self {
            Self::Socket { on, .. } => on.as_deref(),
            Self::Inside { on, .. } => Some(on),
            Self::Tcp { .. } | Self::Udp { .. } | Self::Both { .. } => None,
        }
    }

    /// The place of a stream that came up.
    #[must_use]
    pub fn of_up(up: &Up, stream: &UpStream) -> Self {
        let UpStream { host, remote_port, socket, udp, .. } = stream;
        let jump_host = up.target.as_deref().map(host_of);
        let place = Self::new(host.clone(), *remote_port, socket.clone(), *udp, jump_host.map(str::to_owned));
        place.inside(stream.reach, jump_host)
    }

    /// The place of a stream that runs.
    #[must_use]
    pub fn of(collector: &CollectorSnapshot, stream: &StreamSnapshot) -> Self {
        let jump_host = collector.target.as_deref().map(host_of);
        let host = live::sender_host(jump_host, &stream.bind);
        let udp = stream.datagrams_lost.is_some();
        let place = Self::new(host, stream.remote_port, stream.socket.clone(), udp, jump_host.map(str::to_owned));
        place.inside(stream.reach, jump_host)
    }

    /// In words for people, safe to show.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Tcp { host, port } => words::place(host, *port),
            Self::Udp { host, port } => format!("udp:{}", words::place(host, *port)),
            Self::Both { host, port } => format!("{} (TCP and UDP)", words::place(host, *port)),
            Self::Inside { place, .. } => place.text(),
            Self::Socket { path, on: None } => format!("unix:{}", words::path(path)),
            Self::Socket { path, on: Some(host) } => {
                format!("unix:{} on {}", words::path(path), bracketed(&crate::escape::escape_str(host)))
            }
        }
    }
}

/// The host in `user@host:port`, brackets of IPv6 removed.
#[must_use]
pub fn host_of(target: &str) -> &str {
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
        let inside = |host: &str| Place::new(host.into(), 7, None, false, Some("jump".into()));
        let near = |host| inside(host).inside(Reach::LoopbackOnly, Some("jump")).from_inside();
        assert_eq!([near("jump"), near("127.0.0.2")], [inside("localhost"), inside("127.0.0.2")]);
        assert_eq!(inside("jump").inside(Reach::Unproven, Some("jump")), inside("jump"));
        assert_eq!([host_of("u@h:22"), host_of("u@[::1]:22")], ["h", "::1"]);
    }
}
