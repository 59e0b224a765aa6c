//! Where to connect to and which address to bind, as written.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::plan::bracketed;
use crate::profile::problem::quote;
use crate::profile::units;

/// `[user@]host[:port]`, IPv6 in brackets, or `ssh://[user@]host[:port]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Login name.
    pub user: Option<String>,
    /// Host name, address (without brackets) or `Host` alias of `ssh_config`.
    pub host: String,
    /// Port of the SSH server.
    pub port: Option<u16>,
}

impl Target {
    /// Reads a target; nothing is looked up.
    ///
    /// # Errors
    /// A sentence that quotes `text`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = |why: &str| format!("{} is not a target: {why}", quote(text));
        let uri = text.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("ssh://"));
        let rest = if uri { text[6..].strip_suffix('/').unwrap_or(&text[6..]) } else { text };
        // The last @, as in ssh: login names may hold one, hosts may not.
        let (user, host) = match rest.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, rest),
        };
        let user = match user {
            Some(user) if uri && user.contains(':') => {
                return Err("an ssh:// target cannot hold a password; use a key".to_owned());
            }
            Some(user) if uri => Some(percent_decoded(user).ok_or_else(|| wrong("a bad % in the user"))?),
            user => user.map(str::to_owned),
        };
        if let Some(user) = &user {
            check_user(user).map_err(|why| wrong(&why))?;
        }
        let (host, port) = split_port(host).map_err(|why| wrong(&why))?;
        check_host(host).map_err(|why| wrong(&why))?;
        let port = port.map(parse_port).transpose().map_err(|why| wrong(&why))?;
        Ok(Self { user, host: host.to_owned(), port })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(user) = &self.user {
            write!(f, "{user}@")?;
        }
        f.write_str(&bracketed(&self.host))?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Hosts on the way, one or several in each text; `none` stands alone.
pub(super) fn hops(texts: &[String]) -> Result<Vec<String>, String> {
    if texts.is_empty() {
        return Ok(Vec::new());
    }
    let all: Vec<&str> = texts.iter().flat_map(|text| text.split(',')).map(str::trim).collect();
    if all.len() > 1 && all.iter().any(|hop| hop.eq_ignore_ascii_case("none")) {
        return Err("`none` stands alone: no other host is gone through".to_owned());
    }
    all.into_iter().map(|hop| Target::parse(hop).map(|target| target.to_string())).collect()
}

/// An address to bind: `*`, an address (brackets are taken off) or a host name.
pub(super) fn check_bind(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    if bare == "*" {
        return Ok(bare.to_owned());
    }
    if bare.is_empty() {
        return Err("the address to bind is empty; `*` is every interface".to_owned());
    }
    if bare.contains(':') && !is_ipv6(bare) {
        return Err(format!("{} is no address to bind; the port stands elsewhere", quote(text)));
    }
    check_host(bare).map_err(|why| format!("{} is no address to bind: {why}", quote(text)))?;
    Ok(bare.to_owned())
}

/// Whether listeners on `a` and `b` with one port are in each other's way.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let covers = |wide: &str, other: &str| match wide {
        "*" => true,
        "0.0.0.0" => other.parse::<Ipv4Addr>().is_ok(),
        "::" => is_ipv6(other),
        _ => wide.eq_ignore_ascii_case(other),
    };
    covers(a, b) || covers(b, a)
}

/// `host:port`, `[v6]:port`, bare IPv6 or bare host. The port is not looked at.
pub(super) fn split_port(text: &str) -> Result<(&str, Option<&str>), String> {
    if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']').ok_or("the bracket is not closed")?;
        if !is_ipv6(host) {
            return Err(format!("{} is no IPv6 address", quote(host)));
        }
        return match after {
            "" => Ok((host, None)),
            _ => after
                .strip_prefix(':')
                .map(|port| (host, Some(port)))
                .ok_or_else(|| format!("{} stands behind the bracket", quote(after))),
        };
    }
    match text.split_once(':') {
        None => Ok((text, None)),
        Some(_) if is_ipv6(text) => Ok((text, None)),
        Some((_, port)) if port.contains(':') => Err("it has more than one colon; IPv6 stands in brackets".to_owned()),
        Some((host, port)) => Ok((host, Some(port))),
    }
}

fn parse_port(text: &str) -> Result<u16, String> {
    let not = || format!("{} is not a port (1 to 65535)", quote(text));
    digits(text).and_then(|number| units::port(number).ok()).ok_or_else(not)
}

/// Only digits: `+22` and ` 22` are no ports.
pub(super) fn digits(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// An IPv6 address, with or without a zone (`fe80::1%eth0`).
fn is_ipv6(text: &str) -> bool {
    let (address, zone) = text.split_once('%').unwrap_or((text, "0"));
    let safe = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    address.parse::<Ipv6Addr>().is_ok() && !zone.is_empty() && zone.chars().all(safe)
}

/// What OpenSSH refuses in a host (`valid_hostname` in ssh.c), because it may reach a shell through ProxyCommand, and
/// `/`, which no host has and a path has.
fn check_host(host: &str) -> Result<(), String> {
    if host.is_empty() {
        return Err("the host is missing".to_owned());
    }
    if host.len() > 1025 {
        return Err("the host is too long".to_owned());
    }
    if host.starts_with('-') {
        return Err("a host cannot begin with `-`".to_owned());
    }
    check_characters("host", host, "'`\"$\\;&<>|(){}[],*?!#@/")
}

/// What OpenSSH refuses in a user (`valid_ruser` in ssh.c).
fn check_user(user: &str) -> Result<(), String> {
    if user.is_empty() {
        return Err("the user is missing before `@`".to_owned());
    }
    if user.starts_with('-') {
        return Err("a user cannot begin with `-`".to_owned());
    }
    check_characters("user", user, "'`\"$;&<>|(){}\\")
}

fn check_characters(what: &str, text: &str, bad: &str) -> Result<(), String> {
    match text.chars().find(|&c| c.is_whitespace() || c.is_control() || bad.contains(c)) {
        Some(c) => Err(format!("a {what} cannot hold {}", quote(c.encode_utf8(&mut [0; 4])))),
        None => Ok(()),
    }
}

/// RFC 3986 section 2.1.
fn percent_decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let pair = after.get(..2).filter(|pair| pair.iter().all(u8::is_ascii_hexdigit))?;
            out.push(u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?);
            rest = &after[2..];
        } else {
            out.push(first);
            rest = after;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn targets_are_read_as_ssh_reads_them() {
        for (text, user, host, port) in [
            ("jump", None, "jump", None),
            ("jump.example.org:2222", None, "jump.example.org", Some(2222)),
            ("me@jump", Some("me"), "jump", None),
            ("me@corp@jump:22", Some("me@corp"), "jump", Some(22)),
            ("[2001:db8::1]:2222", None, "2001:db8::1", Some(2222)),
            ("me@[::1]", Some("me"), "::1", None),
            ("2001:db8::1", None, "2001:db8::1", None),
            ("fe80::1%eth0", None, "fe80::1%eth0", None),
            ("ssh://me@jump:2222", Some("me"), "jump", Some(2222)),
            ("SSH://me%40corp@jump/", Some("me@corp"), "jump", None),
            ("[::1]:22", None, "::1", Some(22)),
        ] {
            let expected = Target { user: user.map(Into::into), host: host.into(), port };
            assert_eq!(Target::parse(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_target_is_refused() {
        for bad in [
            "",
            "@jump",
            "me@",
            ":22",
            "jump:",
            "jump:0",
            "jump:65536",
            "jump:+22",
            "jump:ssh",
            "-oProxyCommand=x",
            "me@-x",
            "-me@jump",
            "a b",
            "jump\n",
            "$(id)",
            "a;b",
            "[::1",
            "[jump]:22",
            "[::1]x",
            "a:b:c",
            "ssh://",
            "ssh://jump/path",
            "ssh://me:secret@jump",
            "ssh://%zz@jump",
            "a/b",
            "jump\u{202e}x;",
        ] {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        assert!(!Target::parse("ssh://me:secret@jump").unwrap_err().contains("secret"), "no secret is echoed");
        assert!(!Target::parse("a\x1b[31m").unwrap_err().contains('\x1b'));
    }

    #[test]
    fn a_wildcard_covers_every_address_of_its_family() {
        for (a, b) in
            [("*", "127.0.0.1"), ("::1", "*"), ("0.0.0.0", "10.0.0.1"), ("::", "::1"), ("Localhost", "localhost")]
        {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [("0.0.0.0", "::1"), ("0.0.0.0", "::"), ("10.0.0.1", "10.0.0.2")] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn a_target_that_is_read_is_written_the_same(text in "(ssh://)?([a-z@:%._4]{0,6}@)?[-a-z0-9.:\\[\\]]{0,12}(:[0-9]{0,6})?|\\PC{0,20}") {
            if let Ok(target) = Target::parse(&text) {
                prop_assert_eq!(Target::parse(&target.to_string()), Ok(target));
            }
        }
    }
}
