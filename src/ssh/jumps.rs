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
    let hops = settings.hops(plan)?;
    if hops.is_empty() {
        return Ok(settings);
    }
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
        if index == 0 {
            // The first one is reached however its own configuration says.
            let mut first = chain(hop, on_the_way)?;
            jumps.append(&mut first.jumps);
            jumps.push(first);
        } else {
            jumps.push(Settings { proxy: Proxy::None, ..Settings::resolve(hop)? });
        }
    }
    settings.jumps = jumps;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::bracketed;

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
        let config = "Host jump b\n ProxyJump a\nHost a\n ProxyJump b\n";
        let error = way(config).unwrap_err();
        assert!(error.message.contains("circle") && error.message.contains("@b:22"), "{error}");
        assert_eq!(error.kind.exit_code(), 2);
        assert_eq!(way("Host *\n ProxyJump bastion\n").unwrap_err().kind.exit_code(), 2);
        let many = (0..20).map(|n| format!("h{n}")).collect::<Vec<_>>().join(",");
        assert!(way(&format!("ProxyJump {many}\n")).unwrap_err().message.contains("too many"));
    }
}
