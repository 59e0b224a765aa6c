//! Who may send and how much: `allow`, `deny` and the bounds, as written, as flags, and as meant.

use core::net::IpAddr;
use std::time::Duration;

use ipnet::{IpNet, Ipv4Net};
use serde::{Deserialize, Serialize};
use serde_yaml::{Mapping, Value};

use crate::error::{Error, Result};
use crate::plan::{DEFAULT_MAX_NEW, DEFAULT_MAX_PER_ADDRESS, Limits};
use crate::profile::flags::listed;
use crate::profile::problem::quote;
use crate::profile::raw::RawStream;
use crate::profile::units::{parse_duration, parse_size, show_duration, show_size};

/// What the command line says, as typed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitFlags {
    /// `--allow`: addresses and networks.
    pub allow: Vec<String>,
    /// `--deny`: addresses and networks.
    pub deny: Vec<String>,
    /// `--max-per-address`
    pub max_per_address: Option<usize>,
    /// `--max-new`: a second.
    pub max_new: Option<u32>,
    /// `--max-rate`: a size, a second.
    pub max_rate: Option<String>,
    /// `--max-bytes`: a size.
    pub max_bytes: Option<String>,
    /// `--idle-timeout`: a duration.
    pub idle_timeout: Option<String>,
}

/// The same, each found sound by itself; what is not given is empty. 0 is no bound.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct RawLimits {
    /// Who comes in; empty: everybody.
    pub allow: Vec<IpNet>,
    /// Who does not.
    pub deny: Vec<IpNet>,
    /// Senders.
    pub max_per_address: Option<usize>,
    /// Connections a second.
    pub max_new: Option<u32>,
    /// Bytes a second.
    pub max_rate: Option<u64>,
    /// Bytes.
    pub max_bytes: Option<u64>,
    /// Silence.
    pub idle_timeout: Option<Duration>,
}

impl RawLimits {
    /// What the command line says, checked.
    pub fn from_flags(flags: &LimitFlags) -> Result<Self> {
        fn read<T>(flag: &str, text: Option<&str>, rule: fn(&str) -> Result<T, String>) -> Result<Option<T>> {
            text.map(rule).transpose().map_err(|why| Error::usage(format!("{flag}: {why}")))
        }
        let wrong = |flag: &'static str| move |why: String| Error::usage(format!("{flag}: {why}"));
        let nets = |texts: &[String]| texts.iter().map(|text| net(text)).collect::<Result<Vec<_>, _>>();
        Ok(Self {
            allow: nets(&flags.allow).map_err(wrong("--allow"))?,
            deny: nets(&flags.deny).map_err(wrong("--deny"))?,
            max_per_address: flags
                .max_per_address
                .map(|count| max_per_address(count as u64))
                .transpose()
                .map_err(wrong("--max-per-address"))?,
            max_new: flags.max_new.map(|count| max_new(count.into())).transpose().map_err(wrong("--max-new"))?,
            max_rate: read("--max-rate", flags.max_rate.as_deref(), rate)?,
            max_bytes: read("--max-bytes", flags.max_bytes.as_deref(), parse_size)?,
            idle_timeout: read("--idle-timeout", flags.idle_timeout.as_deref(), idle_timeout)?,
        })
    }

    /// What a profile says.
    pub fn of(raw: &RawStream) -> Self {
        let RawStream { max_per_address, max_new, max_rate, max_bytes, idle_timeout, .. } = *raw;
        let (allow, deny) = (raw.allow.clone(), raw.deny.clone());
        Self { allow, deny, max_per_address, max_new, max_rate, max_bytes, idle_timeout }
    }

    /// The flags that are set.
    pub fn given(&self) -> Vec<&'static str> {
        listed(&[
            ("--allow", !self.allow.is_empty()),
            ("--deny", !self.deny.is_empty()),
            ("--max-per-address", self.max_per_address.is_some()),
            ("--max-new", self.max_new.is_some()),
            ("--max-rate", self.max_rate.is_some()),
            ("--max-bytes", self.max_bytes.is_some()),
            ("--idle-timeout", self.idle_timeout.is_some()),
        ])
    }

    /// These, and below them those of `other`. A list takes the place of the other one.
    pub fn over(&self, other: &Self) -> Limits {
        let list = |here: &[IpNet], there: &[IpNet]| if here.is_empty() { there } else { here }.to_vec();
        let bound = |here: Option<u64>, there: Option<u64>| here.or(there).filter(|bytes| *bytes > 0);
        Limits {
            allow: list(&self.allow, &other.allow),
            deny: list(&self.deny, &other.deny),
            max_per_address: self.max_per_address.or(other.max_per_address).unwrap_or(DEFAULT_MAX_PER_ADDRESS),
            max_new: self.max_new.or(other.max_new).unwrap_or(DEFAULT_MAX_NEW),
            max_rate: bound(self.max_rate, other.max_rate),
            max_bytes: bound(self.max_bytes, other.max_bytes),
            idle_timeout: self.idle_timeout.or(other.idle_timeout).filter(|time| !time.is_zero()),
        }
    }
}

/// The keys of a profile that are not as they are by default, and what they say.
fn written(limits: &Limits) -> Vec<(&'static str, Value)> {
    let Limits { allow, deny, max_per_address, max_new, max_rate, max_bytes, idle_timeout } = limits;
    let nets = |nets: &[IpNet]| {
        let mut all: Vec<Value> = nets.iter().map(|net| Value::from(show_net(*net))).collect();
        match all.len() {
            0 => None,
            1 => all.pop(),
            _ => Some(Value::Sequence(all)),
        }
    };
    let all = [
        ("allow", nets(allow)),
        ("deny", nets(deny)),
        ("max_per_address", (*max_per_address != DEFAULT_MAX_PER_ADDRESS).then(|| (*max_per_address as u64).into())),
        ("max_new", (*max_new != DEFAULT_MAX_NEW).then(|| (*max_new).into())),
        ("max_rate", max_rate.map(|bytes| show_size(bytes).into())),
        ("max_bytes", max_bytes.map(|bytes| show_size(bytes).into())),
        ("idle_timeout", idle_timeout.map(|time| show_duration(time).into())),
    ];
    all.into_iter().filter_map(|(key, value)| value.map(|value| (key, value))).collect()
}

/// Puts what is not as it is by default into the map of a stream.
pub(super) fn write(limits: &Limits, map: &mut Mapping) {
    for (key, value) in written(limits) {
        map.insert(key.into(), value);
    }
}

/// The limits for a person: what was chosen, and the bounds that always are. `addresses`: senders have some.
pub(super) fn explain(limits: &Limits, addresses: bool) -> Vec<(&'static str, String)> {
    let nets = |nets: &[IpNet]| nets.iter().map(|net| show_net(*net)).collect::<Vec<_>>().join(", ");
    let mut rows = Vec::new();
    let mut put = |key, value: Option<String>| rows.extend(value.map(|value| (key, value)));
    put("allow", (!limits.allow.is_empty()).then(|| nets(&limits.allow)));
    put("deny", (!limits.deny.is_empty()).then(|| nets(&limits.deny)));
    let default = |is: bool| if is { " (default)" } else { "" };
    let (each, new) = (limits.max_per_address, limits.max_new);
    put("max_per_address", addresses.then(|| format!("{each}{}", default(each == DEFAULT_MAX_PER_ADDRESS))));
    put("max_new", addresses.then(|| format!("{new} a second and address{}", default(new == DEFAULT_MAX_NEW))));
    put("max_rate", limits.max_rate.map(|bytes| format!("{} a second and address", show_size(bytes))));
    put("max_bytes", limits.max_bytes.map(|bytes| format!("{} a connection", show_size(bytes))));
    put("idle_timeout", limits.idle_timeout.map(show_duration));
    rows
}

/// A network as it is written: an address stands for itself.
fn show_net(net: IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

/// A network, or the address of one machine. Bits behind the mask are refused: whoever writes `10.0.0.5/8` has one of the
/// two wrong, and the wider reading lets in more than was meant.
pub(super) fn net(text: &str) -> Result<IpNet, String> {
    let trimmed = text.trim();
    let read = trimmed.parse::<IpNet>().ok().or_else(|| trimmed.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(net) = read else {
        return Err(format!(
            "{} is no network; write an address or CIDR such as 192.0.2.7, 10.0.0.0/8, 2001:db8::/32",
            quote(text)
        ));
    };
    let net = mapped(net);
    if net != net.trunc() {
        return Err(format!(
            "{} has bits behind its mask; `{}` is the network, `{}` the machine",
            quote(text),
            net.trunc(),
            net.addr()
        ));
    }
    Ok(net)
}

/// IPv4 written as IPv6 (RFC 4291, section 2.5.5.2): senders are known by the shorter form.
fn mapped(net: IpNet) -> IpNet {
    let IpNet::V6(six) = net else { return net };
    let four = six.addr().to_ipv4_mapped().zip(six.prefix_len().checked_sub(96));
    four.and_then(|(addr, length)| Ipv4Net::new(addr, length).ok()).map_or(net, IpNet::V4)
}

/// Bytes a second: a size, `/s` may follow; 0: no bound.
pub(super) fn rate(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    parse_size(trimmed.strip_suffix("/s").unwrap_or(trimmed))
        .map_err(|_| format!("{} is no size a second; write `1MB/s`, `500KiB/s`, or a number of bytes", quote(text)))
}

/// How long a sender may say nothing: 100 ms to a year; 0: for ever.
pub(super) fn idle_timeout(text: &str) -> Result<Duration, String> {
    const LEAST: Duration = Duration::from_millis(100);
    const MOST: Duration = Duration::from_secs(366 * 24 * 3600);
    let time = parse_duration(text)?;
    if time.is_zero() || (LEAST..=MOST).contains(&time) {
        return Ok(time);
    }
    Err(format!("{} is not between {} and a year", quote(text), show_duration(LEAST)))
}

/// As [`idle_timeout`], of seconds.
pub(super) fn idle_number(seconds: u64) -> Result<Duration, String> {
    idle_timeout(&seconds.to_string())
}

/// `max_per_address`: 1 to 100,000, as many as may be in at all.
pub(super) fn max_per_address(count: u64) -> Result<usize, String> {
    crate::profile::units::max_connections(count)
}

/// `max_new`: 1 to 1,000,000 a second; none would keep everybody out.
pub(super) fn max_new(count: u64) -> Result<u32, String> {
    u32::try_from(count)
        .ok()
        .filter(|count| (1..=1_000_000).contains(count))
        .ok_or_else(|| format!("`{count}` is not between 1 and 1000000"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn networks_are_addresses_or_cidr_and_mean_what_they_say() {
        for (text, shown) in [
            ("192.0.2.7", "192.0.2.7"),
            (" 10.0.0.0/8 ", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("::1", "::1"),
            ("::/0", "::/0"),
            // What the system calls an IPv4 sender of an IPv6 socket.
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ] {
            assert_eq!(net(text).map(show_net), Ok(shown.to_owned()), "{text}");
        }
        assert_eq!(
            net("10.0.0.5/8").unwrap_err(),
            "`10.0.0.5/8` has bits behind its mask; `10.0.0.0/8` is the network, `10.0.0.5` the machine"
        );
        for wrong in ["", "jump.example.org", "10.0.0.0/33", "10.0.0/8", "::1%eth0", "10.0.0.0/8/8", "192.0.2.7:514"] {
            assert!(net(wrong).unwrap_err().contains("is no network"), "{wrong}");
        }
    }

    #[test]
    fn rates_are_sizes_a_second_and_nothing_bounds_by_zero() {
        for (text, bytes) in [("1MB", 1_000_000), ("1MB/s", 1_000_000), ("64KiB/s", 65_536), ("300", 300), ("0", 0)] {
            assert_eq!(rate(text), Ok(bytes), "{text}");
        }
        for wrong in ["", "/s", "1MB/m", "1MB/s/s", "fast"] {
            assert!(rate(wrong).is_err(), "{wrong}");
        }
        let zero = RawLimits {
            max_rate: Some(0),
            max_bytes: Some(0),
            idle_timeout: Some(Duration::ZERO),
            ..RawLimits::default()
        };
        let bounded = RawLimits {
            max_rate: Some(1),
            max_bytes: Some(2),
            idle_timeout: Some(Duration::from_secs(3)),
            ..RawLimits::default()
        };
        assert_eq!(zero.over(&bounded), Limits::default(), "a flag takes a bound of the profile away");
        assert_eq!(RawLimits::default().over(&bounded).max_rate, Some(1));
    }

    #[test]
    fn ranges_are_kept() {
        assert!(idle_timeout("99ms").is_err() && idle_timeout("100ms").is_ok() && idle_timeout("0").is_ok());
        assert!(idle_timeout("7d").is_ok() && idle_timeout("800d").is_err());
        assert!(max_new(0).is_err() && max_new(1_000_000).is_ok() && max_new(1_000_001).is_err());
        assert!(max_per_address(0).is_err() && max_per_address(100_000).is_ok());
    }

    #[test]
    fn a_list_of_the_command_line_takes_the_place_of_the_profiles() {
        let list = |text: &str| RawLimits { allow: vec![net(text).unwrap()], ..RawLimits::default() };
        assert_eq!(list("10.0.0.0/8").over(&list("::1")).allow, [net("10.0.0.0/8").unwrap()]);
        assert_eq!(RawLimits::default().over(&list("::1")).allow, [net("::1").unwrap()]);
    }

    proptest! {
        #[test]
        fn a_network_that_is_read_is_shown_the_same(text in "([0-9]{1,3}\\.){3}[0-9]{1,3}(/[0-9]{1,2})?|[0-9a-f:.]{0,20}(/[0-9]{1,3})?|\\PC{0,20}") {
            if let Ok(net) = net(&text) {
                prop_assert_eq!(super::net(&show_net(net)), Ok(net));
            }
        }
    }
}
