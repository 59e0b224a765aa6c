//! Hosts on the way: `ProxyJump` and `-J`.

/// One host on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Login name, if it has one of its own.
    pub user: Option<String>,
    /// Name, address (without brackets) or `Host` alias.
    pub host: String,
    /// Port, if it is written.
    pub port: Option<u16>,
}

/// The hops of a `ProxyJump` value as written, `None` for `none`. As for ssh, white space or `#` ends it.
///
/// # Errors
/// Names the hop that cannot be read.
pub fn hops(text: &str, service: fn(&str) -> Option<u16>) -> Result<Option<Vec<String>>, String> {
    if text.eq_ignore_ascii_case("none") {
        return Ok(None);
    }
    let text = text.split([' ', '\t', '\r', '\n', '#']).next().unwrap_or_default();
    let mut all = Vec::new();
    for hop in text.split(',') {
        if Hop::parse(hop, service).is_none() {
            let shown = crate::escape::escape_str(hop);
            return Err(format!("`{shown}` is no hop; write [user@]host[:port], several with commas between"));
        }
        all.push(hop.to_owned());
    }
    Ok(Some(all))
}

/// The hop next to the target.
#[must_use]
pub fn last(hops: Option<&[String]>, service: fn(&str) -> Option<u16>) -> Option<Hop> {
    hops.filter(|hops| *hops != ["none"])?.last().and_then(|hop| Hop::parse(hop, service))
}

impl Hop {
    /// `[user@]host[:port]` or `ssh://[user@]host[:port]`, IPv6 in brackets.
    #[must_use]
    pub fn parse(text: &str, service: fn(&str) -> Option<u16>) -> Option<Self> {
        let (uri, rest) = match text.strip_prefix("ssh://") {
            Some(rest) => (true, rest.strip_suffix('/').unwrap_or(rest)),
            None => (false, text),
        };
        let (user, rest) = match rest.rsplit_once('@') {
            Some((user, rest)) => (Some(user), rest),
            None => (None, rest),
        };
        let user = match user {
            Some("") => return None,
            // RFC 3986 lets parameters follow a `;`.
            Some(user) if uri => Some(percent_decoded(user.split(';').next().unwrap_or_default())?),
            user => user.map(str::to_owned),
        };
        let (host, port) = split(rest)?;
        if host.is_empty() || (uri && host.contains('%')) {
            return None;
        }
        let port = match port {
            None | Some("") => None,
            Some(port) => Some(number_or(port, service)?),
        };
        Some(Self { user, host: host.to_owned(), port })
    }
}

/// A port: its number or, as ssh has it, the name of a service.
fn number_or(text: &str, service: fn(&str) -> Option<u16>) -> Option<u16> {
    let port = match super::value::number(text, u64::from(u16::MAX)) {
        Some(number) => u16::try_from(number).ok(),
        None => service(text),
    };
    port.filter(|port| *port != 0)
}

fn split(text: &str) -> Option<(&str, Option<&str>)> {
    let (host, after) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => text.split_at(text.find([':', '/']).unwrap_or(text.len())),
    };
    match after.strip_prefix(':') {
        Some(port) if !port.contains([':', '/']) => Some((host, Some(port))),
        None if after.is_empty() => Some((host, None)),
        _ => None,
    }
}

fn percent_decoded(text: &str) -> Option<String> {
    let (mut out, mut left) = (Vec::new(), text.as_bytes());
    while let [first, rest @ ..] = left {
        if *first == b'%' {
            let hex = std::str::from_utf8(rest.get(..2)?).ok().filter(|h| h.bytes().all(|b| b.is_ascii_hexdigit()))?;
            out.push(u8::from_str_radix(hex, 16).ok()?);
            left = &rest[2..];
        } else {
            out.push(*first);
            left = rest;
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn none(_: &str) -> Option<u16> {
        None
    }

    #[test]
    fn hops_are_cut_at_commas_and_kept_as_written() {
        assert_eq!(hops("NONE", none), Ok(None));
        assert_eq!(hops("a,ssh://b@c:5,[::1]:4 # x", none).unwrap().unwrap(), ["a", "ssh://b@c:5", "[::1]:4"]);
        for bad in ["", "a,", ",a", "a, b", "@x", "a@", "x:99999", "x:0", "x:y", "::1", "a:b:c", "a/b", "[a", "ssh://"]
        {
            assert!(hops(bad, none).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_hop_has_user_host_and_port() {
        let hop = |text| Hop::parse(text, none).map(|h| (h.user.unwrap_or_default(), h.host, h.port));
        assert_eq!(hop("a@b@c:3"), Some(("a@b".into(), "c".into(), Some(3))));
        assert_eq!(hop("[::1]"), Some((String::new(), "::1".into(), None)));
        assert_eq!(hop("ssh://a%41;x@c:5/"), Some(("aA".into(), "c".into(), Some(5))));
        assert_eq!(hop("x:"), Some((String::new(), "x".into(), None)));
    }
}
