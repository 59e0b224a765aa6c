//! Where to listen on this machine, as written.

use std::fmt;

use crate::plan::{MetricsPlace, StreamPlan, Transport, bracketed};
use crate::profile::problem::quote;
use crate::profile::target::{check_bind, digits, split_port};
use crate::profile::units;

/// What may be written.
const LISTEN_PLACES: &str = "write PORT, HOST:PORT, udp:PORT or unix:/PATH";
/// The same for `metrics`.
const METRICS_PLACES: &str = "write HOST:PORT or unix:/PATH";

/// A place of this machine: a port, `HOST:PORT` or `[IPV6]:PORT`, with `udp:` before it for datagrams or `tcp:` for none, or
/// `unix:/PATH`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Never both TCP and UDP.
    pub transport: Transport,
    /// `*` is every interface; empty for a Unix socket.
    pub bind: String,
    /// 0 lets the system choose; 0 for a Unix socket.
    pub port: u16,
}

impl Address {
    /// The TCP port of all interfaces.
    #[must_use]
    pub fn port(port: u16) -> Self {
        Self { transport: Transport::Tcp, bind: "*".to_owned(), port }
    }

    /// Where `stream` listens.
    #[must_use]
    pub fn of(stream: &StreamPlan) -> Self {
        Self { transport: stream.transport.clone(), bind: stream.bind.clone(), port: stream.port }
    }

    /// Reads an address; nothing is looked up.
    ///
    /// # Errors
    /// A sentence that quotes `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| {
            let text = quote(text);
            format!("{text} is no place to listen: {why}; {LISTEN_PLACES}")
        };
        if let Some(path) = after(text, "unix:") {
            let path = socket(path).map_err(|why| wrong(&why))?;
            return Ok(Self { transport: Transport::Unix(path.into()), bind: String::new(), port: 0 });
        }
        let (transport, rest) = match after(text, "udp:") {
            Some(rest) => (Transport::Udp, rest),
            None => (Transport::Tcp, after(text, "tcp:").unwrap_or(text)),
        };
        let port = |text: &str| {
            let number = digits(text).ok_or_else(|| wrong(&format!("{} is not a port", quote(text))))?;
            units::remote_port(number).map_err(|why| wrong(&why))
        };
        if digits(rest).is_some() {
            return Ok(Self { transport, bind: "*".to_owned(), port: port(rest)? });
        }
        let (host, number) = split_port(rest).map_err(|why| wrong(&why))?;
        let number = number.ok_or_else(|| wrong("it has no port"))?;
        let bind = if host.is_empty() { "*" } else { host };
        Ok(Self { transport, bind: check_bind(bind).map_err(|why| wrong(&why))?, port: port(number)? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.transport {
            Transport::Unix(path) => return write!(f, "unix:{}", path.display()),
            Transport::Udp => f.write_str("udp:")?,
            // A machine of that name.
            _ if ["tcp", "udp", "unix"].iter().any(|word| self.bind.eq_ignore_ascii_case(word)) => {
                f.write_str("tcp:")?;
            }
            Transport::Tcp | Transport::TcpAndUdp => {}
        }
        write!(f, "{}:{}", bracketed(&self.bind), self.port)
    }
}

/// What follows `word`, in whatever case it is written.
fn after<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(word.len())?;
    head.eq_ignore_ascii_case(word).then_some(rest)
}

/// Bytes of the longest path that a socket can have: `sun_path` of unix(7), its end included, is 108.
const LONGEST_SOCKET: usize = 107;

/// `remote_socket`: the path of a Unix socket, absolute.
pub(super) fn remote_socket(text: &str) -> Result<String, String> {
    socket(text).map_err(|why| format!("{} cannot be a socket: {why}", quote(text)))
}

/// `metrics`: `HOST:PORT` or `unix:/PATH`. A port alone would be on all interfaces, which is seldom meant.
pub(super) fn metrics(text: &str) -> Result<MetricsPlace, String> {
    if let Some(port) = digits(text) {
        return metrics_port(port);
    }
    let Address { transport, bind, port } =
        Address::parse(text).map_err(|why| why.replace(LISTEN_PLACES, METRICS_PLACES))?;
    match transport {
        Transport::Unix(path) => Ok(MetricsPlace::Unix(path)),
        Transport::Tcp => Ok(MetricsPlace::Tcp { bind, port }),
        Transport::Udp | Transport::TcpAndUdp => {
            Err(format!("{} is no place for metrics: they are not served by UDP; {METRICS_PLACES}", quote(text)))
        }
    }
}

/// The same for a number.
pub(super) fn metrics_port(port: u64) -> Result<MetricsPlace, String> {
    Err(format!(
        "an address is missing; write 127.0.0.1:{port} for this machine alone, or *:{port} for every interface"
    ))
}

fn socket(text: &str) -> Result<String, String> {
    if !text.starts_with('/') {
        return Err("its path does not begin with /".to_owned());
    }
    if text.ends_with('/') || text.ends_with("/.") || text.ends_with("/..") {
        return Err("its path is that of a folder".to_owned());
    }
    if text.chars().any(char::is_control) {
        return Err("its path holds a control character".to_owned());
    }
    if text.len() > LONGEST_SOCKET {
        return Err(format!("its path has more than {LONGEST_SOCKET} bytes"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_to_listen() {
        for (text, bind, port) in [
            ("5514", "*", 5514),
            ("0", "*", 0),
            ("localhost:5514", "localhost", 5514),
            ("127.0.0.1:0", "127.0.0.1", 0),
            ("[::1]:5514", "::1", 5514),
            ("*:5514", "*", 5514),
            (":5514", "*", 5514),
        ] {
            assert_eq!(
                Address::parse(text),
                Ok(Address { transport: Transport::Tcp, bind: bind.into(), port }),
                "{text}"
            );
            let udp = Address::parse(&format!("udp:{text}"));
            assert_eq!(udp, Ok(Address { transport: Transport::Udp, bind: bind.into(), port }), "{text}");
        }
        let tcp = |bind: &str| Ok(Address { transport: Transport::Tcp, bind: bind.into(), port: 5514 });
        for text in ["tcp:5514", "TCP:5514", "tcp:*:5514"] {
            assert_eq!(Address::parse(text), tcp("*"), "{text}");
        }
        assert_eq!(Address::parse("Tcp:[::1]:5514"), tcp("::1"));
        assert_eq!(Address::parse("UDP:5514"), Address::parse("udp:5514"));
        assert_eq!(Address::parse("Unix:/run/x"), Address::parse("unix:/run/x"));
        // A machine of that name can still be meant.
        for name in ["tcp", "udp", "unix"] {
            let text = format!("tcp:{name}:5514");
            assert_eq!(Address::parse(&text), tcp(name));
            assert_eq!(tcp(name).unwrap().to_string(), text);
        }
        let unix = Address { transport: Transport::Unix("/run/a b".into()), bind: String::new(), port: 0 };
        assert_eq!(Address::parse("unix:/run/a b"), Ok(unix));
        for bad in [
            "",
            "x",
            "localhost",
            "::1",
            "65536",
            "a:65536",
            "a:",
            "a:-1",
            "[::1]",
            "unix:",
            "unix:x",
            "unix:/run/",
            "unix:/a\nb",
            "udp:",
            "a b:1",
        ] {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn places_of_metrics() {
        let tcp = |bind: &str, port| Ok(MetricsPlace::Tcp { bind: bind.into(), port });
        for (text, place) in [
            ("127.0.0.1:9184", tcp("127.0.0.1", 9184)),
            ("[::1]:0", tcp("::1", 0)),
            ("localhost:9184", tcp("localhost", 9184)),
            ("*:9184", tcp("*", 9184)),
            ("unix:/run/m.sock", Ok(MetricsPlace::Unix("/run/m.sock".into()))),
        ] {
            assert_eq!(metrics(text), place, "{text}");
            assert_eq!(metrics(&place.clone().unwrap().to_string()), place, "{text}");
        }
        for (text, why) in [
            ("9184", "127.0.0.1:9184 for this machine alone"),
            ("udp:127.0.0.1:9184", "not served by UDP"),
            ("unix:m.sock", "does not begin with /; write HOST:PORT or unix:/PATH"),
            ("here", "it has no port; write HOST:PORT or unix:/PATH"),
            ("127.0.0.1:65536", "is not a port"),
        ] {
            let said = metrics(text).unwrap_err();
            assert!(said.contains(why), "{text}: {said}");
        }
    }

    proptest! {
        #[test]
        fn a_place_that_is_read_is_written_the_same(text in "(udp:|tcp:|unix:/)?[-a-z0-9.:\\[\\]]{0,12}(:[0-9]{0,6})?|\\PC{0,20}") {
            if let Ok(address) = Address::parse(&text) {
                prop_assert_eq!(Address::parse(&address.to_string()), Ok(address));
            }
        }
    }
}
