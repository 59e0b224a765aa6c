//! Where the senders of a stream come in: the keys of a stream that exclude and need each other.

use crate::error::{Error, Result};
use crate::plan::{Relay, Transport, is_loopback};
use crate::profile::address::Address;
use crate::profile::flags::{StreamFlags, listed};
use crate::profile::problem::Problem;
use crate::profile::raw::RawStream;
use crate::profile::store::Profile;

/// A place that senders connect to, and who opens it.
pub(super) struct Door {
    /// On the jump host, or here for `listen`.
    pub address: Address,
    /// Never for `listen`.
    pub relay: Relay,
}

impl From<Address> for Door {
    fn from(address: Address) -> Self {
        Self { address, relay: Relay::Never }
    }
}

/// The door of the stream `name`. `listens`: others of its profile do.
pub(super) fn door(profile: &Profile, name: &str, raw: &RawStream, flags: &StreamFlags, listens: bool) -> Result<Door> {
    let wrong = |key: &str, message: String, hint: &str| {
        profile.error(Problem::key(&["streams", name, key], message).hint(hint))
    };
    let remote = listed(&[
        ("remote_port", raw.remote_port.is_some()),
        ("bind", raw.bind.is_some()),
        ("udp", raw.udp.is_some()),
        ("relay", raw.relay.is_some()),
    ]);
    if let Some(address) = &raw.listen {
        if let Some(key) = remote.first().copied().or_else(|| raw.remote_socket.as_ref().map(|_| "remote_socket")) {
            return Err(wrong(
                key,
                format!("`{key}` and `listen` exclude each other"),
                match key {
                    "udp" => "`listen: udp:HOST:PORT` takes datagrams on this machine",
                    "remote_socket" => {
                        "`listen: unix:/PATH` is a socket of this machine, `remote_socket` one of the jump host"
                    }
                    _ => "`listen: HOST:PORT` is a port of this machine, `remote_port` one of the jump host",
                },
            ));
        }
        return Ok(address.clone().into());
    }
    let missing = |key: &str, hint: &str| {
        let problem = Problem::key(&["streams", name], format!("the stream `{name}` has no `{key}`"));
        profile.error(problem.hint(hint))
    };
    if listens {
        return Err(missing("listen", "the other streams of this profile have one; one profile cannot mix both"));
    }
    if let Some(socket) = &raw.remote_socket {
        if let Some(key) = remote.first() {
            return Err(wrong(
                key,
                format!("`{key}` and `remote_socket` exclude each other"),
                "a socket is for programs on the jump host itself, a port for everybody who reaches it",
            ));
        }
        if let Some(flag) = flags.about_a_port().first() {
            return Err(Error::usage(format!(
                "{flag} is about a port, and the stream `{name}` of the profile {} is a Unix socket",
                profile.shown()
            ))
            .hint("change the profile, or name the jump host instead of it"));
        }
        let transport = Transport::Unix(socket.into());
        return Ok(Address { transport, bind: String::new(), port: 0 }.into());
    }
    let port = flags.remote_port.or(raw.remote_port);
    let port = port.ok_or_else(|| missing("remote_port", "add `remote_port: 55514`; 0 lets the jump host choose"))?;
    let bind = flags.bind.clone().or_else(|| raw.bind.clone()).unwrap_or_else(|| "*".to_owned());
    let relay = if flags.relay { Relay::Always } else { raw.relay.unwrap_or_default() };
    let udp = raw.udp.unwrap_or(false);
    if udp && relay == Relay::Never {
        return Err(wrong(
            "udp",
            "`udp` needs a relay: SSH forwards no datagrams".to_owned(),
            "add `relay: auto`, if python3 or perl is on the jump host",
        ));
    }
    if relay != Relay::Never && !udp && is_loopback(&bind) {
        return Err(wrong(
            if raw.relay.is_some() { "relay" } else { "bind" },
            "a relay is for addresses that sshd does not bind, and a loopback address is not one".to_owned(),
            "leave out `relay`, or `bind`",
        ));
    }
    let transport = if udp { Transport::TcpAndUdp } else { Transport::Tcp };
    Ok(Door { address: Address { transport, bind, port }, relay })
}
