//! Where to send: `HOST:PORT`.

use std::fmt;

use crate::escape::escape_str;

/// A TCP port of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name or an address, IPv6 without brackets.
    pub host: String,
    /// Which port; never 0.
    pub port: u16,
}

impl Target {
    /// Reads `host:port`, `1.2.3.4:port` or `[::1]:port`.
    ///
    /// # Errors
    /// A sentence that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let shown = escape_str(text);
        let form = "write HOST:PORT, an IPv6 address as [::1]:PORT";
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once("]:").ok_or_else(|| format!("`{shown}` is no place: {form}"))?;
            if host.parse::<std::net::Ipv6Addr>().is_err() && !is_zoned(host) {
                return Err(format!("`{}` is no IPv6 address", escape_str(host)));
            }
            (host, port)
        } else {
            let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("`{shown}` has no port: {form}"))?;
            if host.contains(':') {
                return Err(format!("`{shown}` is no place: {form}"));
            }
            (host, port)
        };
        if host.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control() || "/@[]".contains(c)) {
            return Err(format!("`{shown}` names no host: {form}"));
        }
        // `+5` would parse.
        let port = Some(port).filter(|p| p.bytes().all(|b| b.is_ascii_digit())).and_then(|p| p.parse().ok());
        match port {
            Some(port) if port != 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(format!("`{shown}` has no port from 1 to 65535")),
        }
    }
}

/// `fe80::1%eth0`.
fn is_zoned(host: &str) -> bool {
    host.split_once('%').is_some_and(|(ip, zone)| ip.parse::<std::net::Ipv6Addr>().is_ok() && !zone.is_empty())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_addresses_of_both_families_are_places() {
        for text in ["jump.example.org:55514", "10.0.0.1:1", "[::1]:65535", "[fe80::1%eth0]:514"] {
            assert_eq!(Target::parse(text).expect(text).to_string(), text);
        }
        assert_eq!(Target::parse("[::1]:5").unwrap().host, "::1");
    }

    #[test]
    fn what_is_no_place_is_refused_with_the_form() {
        for text in [
            "",
            "host",
            "host:",
            ":5",
            "host:0",
            "host:65536",
            "host:+5",
            "host:-1",
            "::1:5",
            "[::1]",
            "[::1]5",
            "[x]:5",
        ] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        for text in ["a b:5", "a\n:5", "u@h:5", "tcp://h:5"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
        assert!(Target::parse("x\x1b:0").unwrap_err().contains("\\x1b"));
    }
}
