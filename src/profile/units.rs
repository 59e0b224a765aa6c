//! The ranges that options must keep.

use std::time::Duration;

use crate::plan::{Framing, Relay, Sync};
use crate::profile::nearest::did_you_mean;
use crate::profile::problem::quote;
pub use crate::units::{parse_duration, parse_size, show_duration, show_size};

/// `max_line` in bytes: 64 B, which holds the header of a syslog line, to 16 MiB, because each sender may fill one.
pub(super) fn max_line(bytes: u64) -> Result<usize, String> {
    let range = 64..=16 * 1024 * 1024;
    usize::try_from(bytes)
        .ok()
        .filter(|bytes| range.contains(bytes))
        .ok_or_else(|| format!("`{}` is not between 64 bytes and 16MiB", show_size(bytes)))
}

/// `max_connections`: 1 to 100,000; beyond that file descriptors and ports run out first.
pub(super) fn max_connections(count: u64) -> Result<usize, String> {
    usize::try_from(count)
        .ok()
        .filter(|count| (1..=100_000).contains(count))
        .ok_or_else(|| format!("`{count}` is not between 1 and 100000"))
}

/// A port to connect to.
pub(super) fn port(number: u64) -> Result<u16, String> {
    remote_port(number).ok().filter(|port| *port > 0).ok_or_else(|| format!("`{number}` is not a port (1 to 65535)"))
}

/// A port to open: 0 lets the other side choose.
pub(super) fn remote_port(number: u64) -> Result<u16, String> {
    u16::try_from(number).map_err(|_| format!("`{number}` is not a port (1 to 65535, or 0 to let one be chosen)"))
}

/// `drain_timeout`: up to a day; 0 waits for nobody.
pub(super) fn drain_timeout(text: &str) -> Result<Duration, String> {
    within(text, Duration::ZERO)
}

/// `ssh.keepalive`: 0 turns it off, else 100 ms to a day. Below that the questions are the load.
pub(super) fn keepalive(text: &str) -> Result<Duration, String> {
    within(text, Duration::from_millis(100))
}

fn within(text: &str, least: Duration) -> Result<Duration, String> {
    const DAY: Duration = Duration::from_secs(24 * 3600);
    let duration = parse_duration(text)?;
    if duration > DAY {
        return Err(format!("{} is more than a day", quote(text)));
    }
    if !duration.is_zero() && duration < least {
        return Err(format!("{} is less than {}", quote(text), show_duration(least)));
    }
    Ok(duration)
}

/// `probe_every`: a second to a day.
pub(super) fn probe_every(text: &str) -> Result<Duration, String> {
    let every = within(text, Duration::from_secs(1))?;
    if every.is_zero() {
        return Err("0 is no time between two probes; `no_probe: true` turns them off".to_owned());
    }
    Ok(every)
}

/// The kind of relay of that name.
pub(super) fn relay(text: &str) -> Result<Relay, String> {
    named("relay", text, &[Relay::Never, Relay::Auto, Relay::Always].map(|relay| (relay.as_str(), relay)))
}

/// The framing of that name.
pub(super) fn framing(text: &str) -> Result<Framing, String> {
    let all = [Framing::Lines, Framing::Raw, Framing::Syslog, Framing::Relp];
    named("framing", text, &all.map(|framing| (framing.as_str(), framing)))
}

/// The sync mode of that name.
pub(super) fn sync(text: &str) -> Result<Sync, String> {
    named("sync", text, &[("never", Sync::Never), ("interval", Sync::Interval), ("always", Sync::Always)])
}

/// The name that [`sync`] reads.
pub(super) fn sync_name(sync: Sync) -> &'static str {
    match sync {
        Sync::Never => "never",
        Sync::Interval => "interval",
        Sync::Always => "always",
    }
}

pub(super) fn named<T: Copy>(key: &str, text: &str, all: &[(&str, T)]) -> Result<T, String> {
    if let Some((_, value)) = all.iter().find(|(name, _)| *name == text) {
        return Ok(*value);
    }
    let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
    let meant = did_you_mean(text, names.iter().copied()).map_or_else(String::new, |meant| format!("; {meant}"));
    Err(format!("`{key}` is one of {}, not {}{meant}", names.join(", "), quote(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept() {
        assert!(max_line(63).is_err() && max_line(64).is_ok());
        assert!(max_line(16 << 20).is_ok() && max_line((16 << 20) + 1).is_err());
        assert!(max_connections(0).is_err() && max_connections(100_000).is_ok() && max_connections(100_001).is_err());
        assert!(port(0).is_err() && port(65_535).is_ok() && port(65_536).is_err());
        assert!(remote_port(0).is_ok() && remote_port(65_536).is_err());
        assert!(keepalive("0").is_ok() && keepalive("50ms").is_err() && keepalive("25h").is_err());
        assert!(drain_timeout("1ms").is_ok() && drain_timeout("1d").is_ok());
        assert_eq!(
            sync("alway").unwrap_err(),
            "`sync` is one of never, interval, always, not `alway`; did you mean `always`?"
        );
    }
}
