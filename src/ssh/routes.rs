//! Which forwards were asked for, and where their senders go.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::doors::lookout::Lookout;
use crate::intake::Intake;

/// The forwards of one connection; shared between whoever asks for them and the handler that gets their senders.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    ports: Arc<Mutex<Vec<Route>>>,
    /// Unix sockets, by their paths.
    sockets: Arc<Mutex<Vec<(String, Intake)>>>,
    /// Echoes of ours that are awaited.
    pub lookout: Lookout,
}

#[derive(Debug)]
struct Route {
    address: String,
    /// 0 until the server has told which port it chose.
    port: u32,
    intake: Intake,
    relay: Option<u16>,
}

/// Where a sender belongs.
#[derive(Debug, Clone)]
pub struct Found {
    pub intake: Intake,
    /// It comes by the relay of this port (0 until that is open), and has to say so.
    pub relay: Option<u16>,
}

impl Routes {
    fn lock(&self) -> MutexGuard<'_, Vec<Route>> {
        self.ports.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The forward of `address` and `port` is about to be asked for: its first sender may come before the answer does.
    pub fn expect(&self, address: &str, port: u16, intake: Intake) {
        self.lock().push(Route { address: address.to_owned(), port: u32::from(port), intake, relay: None });
    }

    /// As [`expect`](Self::expect) for port 0, behind a relay.
    pub fn expect_relayed(&self, address: &str, intake: Intake) {
        self.lock().push(Route { address: address.to_owned(), port: 0, intake, relay: Some(0) });
    }

    /// The relay of the forward of `address` and `port` listens on `public`.
    pub fn relays(&self, address: &str, port: u16, public: u16) {
        let of = |r: &&mut Route| r.address == address && r.port == u32::from(port);
        if let Some(route) = self.lock().iter_mut().find(of) {
            route.relay = Some(public);
        }
    }

    /// The server chose `port` for the forward of `address` that was asked for with port 0.
    pub fn chosen(&self, address: &str, port: u16) {
        if let Some(route) = self.lock().iter_mut().find(|r| r.address == address && r.port == 0) {
            route.port = u32::from(port);
        }
    }

    /// The forward was refused or cancelled.
    pub fn forget(&self, address: &str, port: u16) {
        self.lock().retain(|r| r.address != address || r.port != u32::from(port));
    }

    fn sockets(&self) -> MutexGuard<'_, Vec<(String, Intake)>> {
        self.sockets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As [`expect`](Self::expect), for the Unix socket `path`.
    pub fn expect_socket(&self, path: &str, intake: Intake) {
        self.sockets().push((path.to_owned(), intake));
    }

    /// As [`forget`](Self::forget).
    pub fn forget_socket(&self, path: &str) {
        self.sockets().retain(|(known, _)| known != path);
    }

    /// Where a sender of the socket `path` belongs; `None`: nobody asked for it.
    #[must_use]
    pub fn find_socket(&self, path: &str) -> Option<Intake> {
        self.sockets().iter().find(|(known, _)| known == path).map(|(_, intake)| intake.clone())
    }

    /// Where a sender of `address` and `port` belongs; `None`: nobody asked for it. Only one forward at a time waits to
    /// hear its port, and until then a sender for an unknown port of its address is one of its.
    #[must_use]
    pub fn find(&self, address: &str, port: u32) -> Option<Found> {
        let routes = self.lock();
        let of = |wanted: u32| {
            let mut same = routes.iter().filter(|r| r.port == wanted);
            let exact = same.clone().find(|r| r.address == address);
            exact.or_else(|| same.find(|r| covers(&r.address, address)))
        };
        of(port).or_else(|| of(0)).map(|route| Found { intake: route.intake.clone(), relay: route.relay })
    }
}

/// Whether a sender at `told` may belong to a forward of the address `asked`. OpenSSH, Dropbear and others repeat what was
/// asked for; RFC 4254, section 7.2, has the address that the sender connected to.
fn covers(asked: &str, told: &str) -> bool {
    const ALL: [&str; 4] = ["", "*", "0.0.0.0", "::"];
    let all = |a: &str| ALL.contains(&a);
    let loopback = |a: &str| a == "localhost" || a.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match asked {
        _ if asked == told => true,
        "" => all(told) || told.parse::<IpAddr>().is_ok(),
        "0.0.0.0" => told.parse::<Ipv4Addr>().is_ok(),
        "::" => told.parse::<IpAddr>().is_ok(),
        "localhost" => loopback(told),
        _ => false,
    }
}

/// The address on the wire: RFC 4254, section 7.1 has an empty string for all interfaces of both families.
#[must_use]
pub fn wire_address(bind: &str) -> &str {
    if bind == "*" { "" } else { bind }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forward_covers_its_own_addresses_and_no_others() {
        for (asked, told) in [
            ("", ""),
            ("", "0.0.0.0"),
            ("", "::"),
            ("", "192.0.2.7"),
            ("0.0.0.0", "192.0.2.7"),
            ("localhost", "127.0.0.1"),
            ("localhost", "::1"),
            ("192.0.2.7", "192.0.2.7"),
            ("name", "name"),
        ] {
            assert!(covers(asked, told), "{asked:?} covers {told:?}");
        }
        for (asked, told) in [
            ("", "example.org"),
            ("", "/run/socket"),
            ("0.0.0.0", "2001:db8::1"),
            ("localhost", "192.0.2.7"),
            ("localhost", ""),
            ("127.0.0.1", ""),
            ("127.0.0.1", "192.0.2.7"),
            ("192.0.2.7", "192.0.2.8"),
            ("name", "192.0.2.7"),
        ] {
            assert!(!covers(asked, told), "{asked:?} does not cover {told:?}");
        }
    }
}
