//! Who asks, where a proxy stands in between. Pure.
//!
//! `X-Forwarded-For`, `-Host` and `-Proto` count when a proxy that is trusted sends them, and are nothing else.

use core::net::IpAddr;

use ipnet::IpNet;

/// The proxies that are trusted.
#[derive(Debug, Clone, Default)]
pub struct Proxies {
    /// Networks that they are in.
    pub networks: Vec<IpNet>,
    /// Whoever reaches our Unix socket is one.
    pub unix: bool,
}

/// Header fields of proxies; of each the last field there is, with those before it in front.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forwarded<'a> {
    /// `X-Forwarded-For`, all fields of it in order.
    pub addresses: &'a [&'a str],
    /// `X-Forwarded-Host`.
    pub host: Option<&'a str>,
    /// `X-Forwarded-Proto`.
    pub proto: Option<&'a str>,
}

/// Whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Client<'a> {
    /// `None`: over a Unix socket, or a proxy that does not say it.
    pub address: Option<IpAddr>,
    /// The host that was asked for, where the proxy says it.
    pub host: Option<&'a str>,
    /// Nobody reads along between the browser and the proxy.
    pub secure: bool,
}

impl Proxies {
    /// `CIDR`, an address, or `unix`.
    ///
    /// # Errors
    /// One sentence.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        if text == "unix" {
            self.unix = true;
            return Ok(());
        }
        let network = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        self.networks.push(network.map_err(|_| {
            format!("{} is no network such as 192.0.2.0/24, and not `unix`", crate::escape::escape_str(text))
        })?);
        Ok(())
    }

    fn has(&self, address: Option<IpAddr>) -> bool {
        match address {
            Some(address) => self.networks.iter().any(|network| network.contains(&address.to_canonical())),
            None => self.unix,
        }
    }

    /// Who asks, where `peer` is at the other end of the connection.
    #[must_use]
    pub fn client<'a>(&self, peer: Option<IpAddr>, fields: Forwarded<'a>) -> Client<'a> {
        let peer = peer.map(|address| address.to_canonical());
        if !self.has(peer) {
            return Client { address: peer, ..Client::default() };
        }
        // Each proxy appends whom it sees: the first from behind that is none of them was not made up.
        let mut address = peer;
        let named = fields.addresses.iter().rev().flat_map(|field| field.rsplit(','));
        for named in named.map(str::trim).filter(|named| !named.is_empty()) {
            let Some(named) = address_of(named) else { break };
            address = Some(named);
            if !self.networks.iter().any(|network| network.contains(&named)) {
                break;
            }
        }
        let last = |field: Option<&'a str>| field.and_then(|field| field.rsplit(',').next()).map(str::trim);
        Client { address, host: last(fields.host), secure: last(fields.proto) == Some("https") }
    }
}

/// With or without a port, as proxies write it.
fn address_of(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.split_once(']')).map(|(inside, _)| inside);
    let parsed = bare.unwrap_or(text).parse().ok();
    let parsed = parsed.or_else(|| text.parse::<core::net::SocketAddr>().ok().map(|address| address.ip()));
    parsed.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(texts: &[&str]) -> Proxies {
        let mut proxies = Proxies::default();
        for text in texts {
            proxies.add(text).unwrap();
        }
        proxies
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_a_stranger_says_of_itself_is_nothing() {
        let fields = Forwarded { addresses: &["10.0.0.1"], host: Some("evil"), proto: Some("https") };
        let client = proxies(&["192.0.2.0/24"]).client(Some(address("198.51.100.1")), fields);
        assert_eq!(client, Client { address: Some(address("198.51.100.1")), host: None, secure: false });
        assert_eq!(proxies(&["0.0.0.0/0"]).client(None, fields), Client::default(), "a socket is no network");
    }

    #[test]
    fn of_a_chain_the_last_that_is_no_proxy_counts() {
        let trusted = proxies(&["192.0.2.0/24", "2001:db8::1", "unix"]);
        let from = |addresses: &[&str]| {
            trusted.client(Some(address("::ffff:192.0.2.1")), Forwarded { addresses, ..Forwarded::default() }).address
        };
        assert_eq!(from(&["6.6.6.6, 198.51.100.7"]), Some(address("198.51.100.7")));
        assert_eq!(from(&["6.6.6.6", "198.51.100.7:4711, 192.0.2.9"]), Some(address("198.51.100.7")));
        assert_eq!(from(&["[2001:db8::7]:1, 2001:db8::1"]), Some(address("2001:db8::7")));
        assert_eq!(
            from(&["6.6.6.6, unknown, 192.0.2.9"]),
            Some(address("192.0.2.9")),
            "nothing before what cannot be read"
        );
        assert_eq!(from(&[]), Some(address("192.0.2.1")));
        let fields = Forwarded { addresses: &["198.51.100.7"], host: Some("a, b"), proto: Some("https") };
        let client = trusted.client(None, fields);
        assert_eq!(client, Client { address: Some(address("198.51.100.7")), host: Some("b"), secure: true });
    }

    #[test]
    fn networks_addresses_and_the_socket_can_be_trusted() {
        for text in ["", "proxy", "10.0.0.0/33", "unix:/x"] {
            assert!(Proxies::default().add(text).is_err(), "{text}");
        }
        assert!(proxies(&["10.0.0.1"]).has(Some(address("10.0.0.1"))));
        assert!(!proxies(&["10.0.0.1"]).has(Some(address("10.0.0.2"))));
    }
}
