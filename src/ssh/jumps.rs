//! `ProxyJump`: the chain of hosts on the way, each with what its own configuration says.

use super::settings::{Proxy, Settings};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::plan::SshPlan;

/// More hops than this are a mistake; each costs a login.
const MOST_HOPS: usize = 16;

/// Everything that is to be known about the way to `plan`'s host, hops included.
///
/// # Errors
/// Usage errors for what ssh would refuse, and for hops that lead in circles.
pub fn resolve(plan: &SshPlan) -> Result<Settings> {
    chain(plan, &mut Vec::new())
}

/// `on_the_way`: the hosts whose configuration led here.
fn chain(plan: &SshPlan, on_the_way: &mut Vec<String>) -> Result<Settings> {
    let mut settings = Settings::resolve(plan)?;
    let Proxy::Jump(hops) = &settings.proxy else { return Ok(settings) };
    let name = settings.target();
    let circle = on_the_way.contains(&name);
    on_the_way.push(name);
    if circle || on_the_way.len() + hops.len() > MOST_HOPS {
        let way = on_the_way.iter().map(|name| escape_str(name)).collect::<Vec<_>>().join(" → ");
        let what =
            if circle { "its ProxyJump leads in a circle" } else { "its ProxyJump leads through too many hosts" };
        return Err(Error::usage(format!("cannot connect to {}: {what}: {way}", on_the_way[0]))
            .hint("a hop is looked up in the ssh configuration, too: give it a `Host` block with `ProxyJump none` before the others"));
    }
    let mut jumps: Vec<Settings> = Vec::new();
    for (index, hop) in hops.iter().enumerate() {
        let mut hop_plan = parse(hop)?;
        hop_plan.config_file.clone_from(&plan.config_file);
        if index == 0 {
            // The first one is reached however its own configuration says.
            let mut first = chain(&hop_plan, on_the_way)?;
            jumps.append(&mut first.jumps);
            jumps.push(first);
        } else {
            jumps.push(Settings { proxy: Proxy::None, ..Settings::resolve(&hop_plan)? });
        }
    }
    settings.jumps = jumps;
    Ok(settings)
}

/// `[user@]host[:port]` or `ssh://[user@]host[:port]`: ssh passes on no other option, and so do we.
fn parse(hop: &str) -> Result<SshPlan> {
    let bad = || {
        Error::usage(format!("cannot use the hop {:?} of ProxyJump", escape_str(hop)))
            .hint("a hop is [user@]host[:port] or ssh://[user@]host[:port]; several are separated by commas")
    };
    let (text, uri) = match hop.strip_prefix("ssh://") {
        Some(rest) => (rest.trim_end_matches('/'), true),
        None => (hop, false),
    };
    let (user, place) = match text.rsplit_once('@') {
        Some(("", _)) => return Err(bad()),
        // `;` begins the options of an URI, which nobody uses.
        Some((user, place)) => (Some(user.split(';').next().filter(|_| uri).unwrap_or(user).to_owned()), place),
        None => (None, text),
    };
    let (host, port) = match place.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']').ok_or_else(bad)?;
            match rest.strip_prefix(':') {
                Some(port) => (host, Some(port)),
                None if rest.is_empty() => (host, None),
                None => return Err(bad()),
            }
        }
        // More than one colon: an IPv6 address.
        None => match place.split_once(':') {
            Some((_, rest)) if rest.contains(':') => (place, None),
            Some((host, port)) => (host, Some(port)),
            None => (place, None),
        },
    };
    let port = match port {
        None => None,
        Some(port) => Some(port.parse::<u16>().ok().filter(|p| *p != 0).ok_or_else(bad)?),
    };
    if host.is_empty() || host.starts_with('-') || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(bad());
    }
    Ok(SshPlan { user, host: host.to_owned(), port, ..SshPlan::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::bracketed;

    #[test]
    fn hops_are_read_as_ssh_reads_them() {
        let read = |hop: &str| parse(hop).ok().map(|p| (p.user, p.host, p.port));
        let is = |user: Option<&str>, host: &str, port| Some((user.map(str::to_owned), host.to_owned(), port));
        assert_eq!(read("bastion"), is(None, "bastion", None));
        assert_eq!(read("me@x@bastion:2222"), is(Some("me@x"), "bastion", Some(2222)));
        assert_eq!(read("ssh://me@bastion:7/"), is(Some("me"), "bastion", Some(7)));
        assert_eq!(read("[2001:db8::1]:22"), is(None, "2001:db8::1", Some(22)));
        assert_eq!(read("::1"), is(None, "::1", None));
        for bad in ["", "@h", "h:0", "h:x", "h:65536", "[::1", "[::1]x", "-oProxyCommand=x", "a b"] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    fn way(config: &str) -> Result<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        let plan = SshPlan { host: "jump".into(), config_file: Some(file.path().into()), ..SshPlan::default() };
        let settings = resolve(&plan)?;
        let name = |s: &Settings| format!("{}:{}", bracketed(&s.host), s.port);
        Ok(settings.jumps.iter().chain([&settings]).map(name).collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn each_hop_has_its_own_configuration() {
        let config = "Host jump\n ProxyJump a,b:7\nHost a\n HostName a.example\n Port 5\nHost b\n ProxyJump nowhere\n";
        assert_eq!(
            way(config).unwrap(),
            "a.example:5 b:7 jump:22",
            "the second hop is reached through the first alone"
        );
        assert_eq!(way("Host jump\n ProxyJump a\nHost a\n ProxyJump b\n").unwrap(), "b:22 a:22 jump:22");
        assert_eq!(way("Host jump\n ProxyJump none\n").unwrap(), "jump:22");
    }

    #[test]
    fn circles_are_refused() {
        let error = way("Host *\n ProxyJump bastion\n").unwrap_err();
        assert!(error.message.contains("circle") && error.message.contains("@bastion:22"), "{error}");
        assert_eq!(error.kind.exit_code(), 2);
        let many = (0..20).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
        assert!(way(&format!("ProxyJump {many}\n")).unwrap_err().message.contains("too many"));
    }
}
