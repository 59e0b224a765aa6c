//! Which requests are answered at all, and what stands over every answer. Pure.
//!
//! A page of somebody else may make a browser send requests here: to a name that leads to this address (DNS rebinding), or with
//! the cookie of whoever looks at it. The first has a foreign `Host`, the second a foreign `Origin`.

use core::net::IpAddr;

/// The header fields of every answer, errors included.
pub const FIELDS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
         base-uri 'none'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    // With `no-referrer` a form of our own would come from the origin `null` (Fetch Standard, section 3.2).
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=()"),
];

/// What a request says of where it comes from and where it wants to go.
#[derive(Debug, Clone, Copy, Default)]
pub struct Claims<'a> {
    /// `Host`.
    pub host: Option<&'a str>,
    /// `Origin`.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a str>,
    /// `Sec-Fetch-Mode`.
    pub mode: Option<&'a str>,
}

/// Why it is turned away, one sentence; `None`: it is not. `names` are those that `Host` may have beside addresses and
/// `localhost`.
#[must_use]
pub fn objection(claims: Claims<'_>, names: &[String]) -> Option<&'static str> {
    let Some(host) = claims.host else { return Some("the request names no host") };
    let name = without_port(host);
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    let known = bare.parse::<IpAddr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|known| known.eq_ignore_ascii_case(name));
    if !known {
        return Some("the request is for a host of another name; `--host NAME` allows one");
    }
    if let Some(origin) = claims.origin {
        let place = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        if !place.is_some_and(|place| place.eq_ignore_ascii_case(host)) {
            return Some("the request comes from a page of another site");
        }
    }
    // A link may lead here from anywhere; it can do nothing but show the page.
    let is_link = claims.mode == Some("navigate");
    if claims.site.is_some_and(|site| matches!(site, "cross-site" | "same-site")) && !is_link {
        return Some("the request comes from a page of another site");
    }
    None
}

/// `Host` without its port.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port))
            if port.bytes().all(|b| b.is_ascii_digit()) && (!name.contains(':') || name.ends_with(']')) =>
        {
            name
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(host: &str, origin: Option<&str>) -> bool {
        objection(Claims { host: Some(host), origin, ..Claims::default() }, &["logs.example.org".into()]).is_none()
    }

    #[test]
    fn hosts_are_addresses_localhost_or_names_that_were_allowed() {
        for host in
            ["127.0.0.1:8866", "127.0.0.1", "[::1]:8866", "[::1]", "localhost:1", "LocalHost", "Logs.Example.org:443"]
        {
            assert!(passes(host, None), "{host}");
        }
        for host in ["evil.example", "localhost.evil.example:8866", "127.0.0.1.evil.example", "", ":8866", "a:b"] {
            assert!(!passes(host, None), "{host}");
        }
        assert!(objection(Claims::default(), &[]).is_some());
    }

    #[test]
    fn an_origin_has_to_be_this_very_place() {
        assert!(passes("localhost:8866", Some("http://localhost:8866")));
        for origin in
            ["null", "http://localhost:8867", "http://localhost", "http://evil.example", "file://localhost:8866"]
        {
            assert!(!passes("localhost:8866", Some(origin)), "{origin}");
        }
    }

    #[test]
    fn other_sites_may_link_here_and_nothing_else() {
        let of =
            |site, mode| Claims { host: Some("localhost"), site: Some(site), mode: Some(mode), ..Claims::default() };
        assert!(objection(of("cross-site", "no-cors"), &[]).is_some());
        assert!(objection(of("same-site", "cors"), &[]).is_some());
        assert!(objection(of("cross-site", "navigate"), &[]).is_none());
        assert!(objection(of("same-origin", "cors"), &[]).is_none());
    }
}
