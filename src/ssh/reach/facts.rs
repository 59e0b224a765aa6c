//! What a shell on the jump host tells about its ports and addresses: the script that asks, and what its answers mean. Pure.
//!
//! The script obeys the rules of [`crate::ssh::server_process`]: one word of single quotes for `/bin/sh`, no single quote, no
//! backslash, no exclamation mark and no new line in it, and every line that it prints begins with a mark of this one run.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The most that one run may print, in bytes.
pub const LONGEST_OUTPUT: usize = 32 * 1024;

/// Programs that guard ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firewall {
    /// `ufw`, on top of iptables or nftables.
    Ufw,
    /// `firewall-cmd`.
    Firewalld,
    /// `nft`.
    Nft,
    /// `iptables` and `ip6tables`.
    Iptables,
}

/// Empty where there is no shell, or it does not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Where TCP ports that were asked for are listened on; `None`: not told.
    pub listeners: Option<Vec<SocketAddr>>,
    /// The jump host's own addresses, without loopback and link-local ones; `None`: not told.
    pub addresses: Option<Vec<IpAddr>>,
    /// The address of its own at which this connection came in.
    pub arrived_at: Option<IpAddr>,
    /// Where this connection comes from, as the jump host sees it.
    pub seen_as: Option<IpAddr>,
    /// What there is to guard ports, that which is known to be on first.
    pub firewalls: Vec<Firewall>,
}

impl Facts {
    /// The addresses on which `port` is listened on; `None`: not told.
    #[must_use]
    pub fn listening(&self, port: u16) -> Option<Vec<IpAddr>> {
        let all = self.listeners.as_ref()?;
        Some(all.iter().filter(|at| at.port() == port).map(SocketAddr::ip).collect())
    }

    /// Whether somebody listens on `port`, and on loopback addresses alone; `None`: not told.
    #[must_use]
    pub fn is_loopback_only(&self, port: u16) -> Option<bool> {
        let addresses = self.listening(port)?;
        Some(!addresses.is_empty() && addresses.iter().all(IpAddr::is_loopback))
    }

    /// Whether it is an address of the jump host; `None`: not told.
    #[must_use]
    pub fn is_own(&self, address: IpAddr) -> Option<bool> {
        Some(self.addresses.as_ref()?.contains(&address.to_canonical()))
    }
}

/// `grep` filters on the far side: a jump host may have a hundred thousand connections. The order of bytes in
/// `/proc/net/tcp` is that of the machine, which `od` tells (an `I` and a new line are 2633 on most).
const ASK: &str = r"set -f; exec 2>/dev/null </dev/null; PATH=$PATH:/usr/sbin:/sbin:/usr/local/sbin; \
has() { command -v $1 >/dev/null; }; \
echo MARK order $(echo I | od -An -td2); echo MARK connection $SSH_CONNECTION; \
if [ -r /proc/net/tcp ] && has grep; then \
grep -hsE ':(HEX) [0-9A-F]+:0000 0A ' /proc/net/tcp /proc/net/tcp6 | head -n 100 | while read -r n l r; do echo MARK raw $l; done; \
echo MARK told; \
elif has ss; then \
ss -tln | grep -E '[.:](DECIMAL) ' | head -n 100 | while read -r s r q l x; do echo MARK at ss $l; done; echo MARK told; \
elif has netstat; then \
netstat -an | grep -E '^tcp.*[.:](DECIMAL) .*LISTEN' | head -n 100 | while read -r p r q l x; do echo MARK at $p $l; done; \
echo MARK told; fi; \
if has ip; then ip -o addr | head -n 200 | while read -r n i f a x; do echo MARK own $a; done; \
elif has ifconfig; then ifconfig -a | grep -E 'inet6? ' | head -n 200 | while read -r f a x; do echo MARK own ${a#addr:}; done; \
else for a in $(hostname -I); do echo MARK own $a; done; fi; \
grep -qs ^ENABLED=yes /etc/ufw/ufw.conf && has ufw && echo MARK guard ufw; \
has systemctl && systemctl is-active --quiet firewalld && echo MARK guard firewall-cmd; \
for f in ufw firewall-cmd nft iptables; do has $f && echo MARK guard $f; done; ";

/// The command that asks about `ports`.
#[must_use]
pub fn ask(mark: &str, ports: &[u16]) -> String {
    let all = |of: fn(&u16) -> String| ports.iter().map(of).collect::<Vec<_>>().join("|");
    let script = ASK
        .replace("\\\n", "")
        // The script is one word of single quotes.
        .replace('\'', "\"")
        .replace("HEX", &all(|port| format!("{port:04X}")))
        .replace("DECIMAL", &all(u16::to_string))
        .replace("MARK", mark);
    format!("exec /bin/sh -c '{script}echo {mark} done'")
}

/// Whether the script has come to its end.
#[must_use]
pub fn is_done(output: &[u8], mark: &str) -> bool {
    let last = format!("{mark} done");
    output.split_inclusive(|b| *b == b'\n').any(|line| line.strip_suffix(b"\n") == Some(last.as_bytes()))
}

impl Facts {
    /// Reads what [`ask`] printed: the whole lines that begin with `mark`. Of what did not come to its end nothing is believed
    /// that would need to be complete.
    #[must_use]
    pub fn parse(output: &[u8], mark: &str, ports: &[u16]) -> Self {
        let done = is_done(output, mark);
        let lines = output.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let lines = lines.filter_map(|line| std::str::from_utf8(line).ok());
        let lines: Vec<Vec<&str>> = lines
            .filter_map(|line| line.strip_prefix(mark)?.strip_prefix(' '))
            .map(|line| line.split(' ').collect())
            .collect();
        let little = !lines.iter().any(|words| words[..] == ["order", "18698"]);
        let (mut facts, mut told) = (Self::default(), false);
        let (mut listeners, mut own) = (Vec::new(), Vec::new());
        for words in &lines {
            match words[..] {
                ["told"] => told = true,
                ["raw", place] => listeners.extend(raw(place, little)),
                ["at", family, place] => listeners.extend(at(family, place)),
                ["own", address] => own.extend(interface(address)),
                ["connection", from, _, to, _] => {
                    (facts.seen_as, facts.arrived_at) = (plain(from), plain(to));
                }
                ["guard", name] => {
                    if let Some(guard) = firewall(name).filter(|guard| !facts.firewalls.contains(guard)) {
                        facts.firewalls.push(guard);
                    }
                }
                _ => {}
            }
        }
        listeners.retain(|at| ports.contains(&at.port()));
        listeners.sort();
        listeners.dedup();
        own.extend(facts.arrived_at.filter(|ip| !own.is_empty() && !ip.is_loopback()));
        own.sort();
        own.dedup();
        facts.listeners = (told && done).then_some(listeners);
        facts.addresses = (done && !own.is_empty()).then_some(own);
        facts
    }
}

fn firewall(name: &str) -> Option<Firewall> {
    Some(match name {
        "ufw" => Firewall::Ufw,
        "firewall-cmd" => Firewall::Firewalld,
        "nft" => Firewall::Nft,
        "iptables" => Firewall::Iptables,
        _ => return None,
    })
}

/// An address, with what may hang on it: `%eth0`, `/24`.
fn plain(text: &str) -> Option<IpAddr> {
    let end = text.find(['%', '/']).unwrap_or(text.len());
    text[..end].parse::<IpAddr>().ok().map(|ip| ip.to_canonical())
}

/// An address of an interface that others may know.
fn interface(text: &str) -> Option<IpAddr> {
    plain(text).filter(|ip| match ip {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unicast_link_local(),
    })
}

/// A place of `/proc/net/tcp`: `0100007F:D8DA`; of `/proc/net/tcp6` four such words. `little`: the low byte stands last.
fn raw(place: &str, little: bool) -> Option<SocketAddr> {
    let (address, port) = place.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if !address.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let words = address.as_bytes().chunks(8).map(|word| {
        let word = u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?;
        Some(if little { word.to_le_bytes() } else { word.to_be_bytes() })
    });
    let bytes: Vec<u8> = words.collect::<Option<Vec<_>>>()?.concat();
    let ip = match (address.len(), &bytes[..]) {
        (8, bytes) => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        (32, bytes) => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// A place as `ss` (`[::]:22`, `*:22`, `127.0.0.53%lo:53`) and netstat (`:::22`, of BSD `*.22`, with its `family` before it) write
/// them. A star may be both families.
fn at(family: &str, place: &str) -> Vec<SocketAddr> {
    let Some((host, port)) = place.rfind([':', '.']).map(|i| (&place[..i], &place[i + 1..])) else { return Vec::new() };
    let Ok(port) = port.parse() else { return Vec::new() };
    let any = [IpAddr::from(Ipv4Addr::UNSPECIFIED), IpAddr::from(Ipv6Addr::UNSPECIFIED)];
    let hosts = match (host, family) {
        ("*", "tcp4") => vec![any[0]],
        ("*", "tcp6") => vec![any[1]],
        ("*", _) => any.to_vec(),
        _ => plain(host.trim_start_matches('[').trim_end_matches(']')).into_iter().collect(),
    };
    hosts.into_iter().map(|ip| SocketAddr::new(ip, port)).collect()
}

#[cfg(test)]
#[path = "facts_tests.rs"]
mod tests;
