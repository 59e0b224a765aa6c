//! What the answers about one port mean: who can connect, where senders are lost, and what to change. Pure.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use super::Finding;
use super::facts::{Facts, Firewall};
use crate::ledger::Reach;
use crate::plan::bracketed;
use crate::ssh::doors::{Door, Doors, Family};

/// What came of a connection from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outside {
    /// Our line came back through our own forward.
    CameBack {
        /// From this address, as the jump host sees it: `ip:port`.
        seen_as: String,
    },
    /// The connection was refused: nobody listens, or a firewall says so.
    Refused,
    /// Nobody answered.
    NoAnswer,
    /// Something on the way said that there is no way, in these words.
    Unreachable(String),
    /// The connection came about, and our line did not come back.
    Other,
    /// It was not tried, for this reason.
    NotAsked(String),
}

/// One connection from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Where to; `None`: a name that somebody else looked up.
    pub address: Option<IpAddr>,
    pub outcome: Outside,
}

impl Attempt {
    fn family(&self) -> Option<Family> {
        self.address.map(family)
    }

    fn failed(&self) -> bool {
        !matches!(self.outcome, Outside::CameBack { .. } | Outside::NotAsked(_))
    }
}

/// All that is known about one port.
#[derive(Debug, Clone)]
pub struct Evidence<'a> {
    /// The jump host as senders know it.
    pub host: &'a str,
    /// Who logs in there.
    pub user: &'a str,
    /// Arguments of ssh that lead there.
    pub ssh: &'a str,
    /// The port.
    pub port: u16,
    /// The connections that were tried.
    pub outside: &'a [Attempt],
    /// The jump host's loopback addresses, asked by the jump host itself; `None`: not asked.
    pub doors: Option<Doors>,
    /// Other addresses that are, or may be, its own, asked in the same way.
    pub own: &'a [(IpAddr, Door)],
    /// What its shell tells.
    pub facts: &'a Facts,
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// What it means.
#[must_use]
pub fn judge(e: &Evidence<'_>) -> Finding {
    let came = e.outside.iter().find_map(|a| match &a.outcome {
        Outside::CameBack { seen_as } => Some(seen_as.clone()),
        _ => None,
    });
    if let Some(seen_as) = came {
        let mut notes = e.other_family();
        if seen_as.parse::<SocketAddr>().is_ok_and(|at| at.ip().is_loopback()) {
            notes.push(format!(
                "something on {} hands the connections on: every sender seems to come from {seen_as}",
                e.host
            ));
        }
        return Finding { reach: Reach::Proven, seen_as: Some(seen_as), notes, ..Finding::default() };
    }
    let others = e.other_programs();
    let mut finding = match e.is_public() {
        Some(false) => e.loopback_only(),
        _ if !others.is_empty() => Finding { why: e.taken(&others), ..Finding::default() },
        Some(true) if e.outside.iter().any(Attempt::failed) => e.lost_on_the_way(),
        public => e.not_told(public),
    };
    if !others.is_empty() {
        if finding.reach == Reach::LoopbackOnly {
            finding.why.push_str("; ");
            finding.why.push_str(&e.taken(&others));
        }
        finding.remedies.push(format!(
            "who answers there is told by (ssh {}):\n  sudo ss -ltnp 'sport = :{}'\n\
             another port is chosen with --remote-port; 0 lets the jump host choose",
            e.ssh, e.port
        ));
    }
    finding.untold = e.untold();
    finding
}

impl Evidence<'_> {
    fn place(&self) -> String {
        format!("{}:{}", bracketed(self.host), self.port)
    }

    /// Whether our own listener is open on an address that others can connect to; `None`: it cannot be told.
    fn is_public(&self) -> Option<bool> {
        if self.own.iter().any(|(_, door)| *door == Door::Ours) {
            return Some(true);
        }
        if let Some(listening) = self.facts.listening(self.port).filter(|all| !all.is_empty()) {
            let others = self.other_programs();
            return Some(listening.iter().any(|at| !at.is_loopback() && !others.contains(at)));
        }
        // The jump host gets no further than its own loopback interface.
        let ours = self.doors.is_some_and(|doors| [doors.v4, doors.v6].contains(&Door::Ours));
        let shut = !self.own.is_empty() && self.own.iter().all(|(_, d)| matches!(d, Door::Nobody | Door::Other));
        (ours && shut).then_some(false)
    }

    /// Addresses of the jump host where somebody else has the port.
    fn other_programs(&self) -> Vec<IpAddr> {
        self.own.iter().filter(|(_, door)| *door == Door::Other).map(|(at, _)| *at).collect()
    }

    fn taken(&self, others: &[IpAddr]) -> String {
        format!("another program on {} answers on port {} ({})", self.host, self.port, list(others))
    }

    fn loopback_only(&self) -> Finding {
        let Self { host, user, ssh, port, .. } = self;
        let why = format!(
            "{host} opened port {port} on its loopback interface alone (GatewayPorts no): only programs there can connect"
        );
        let relay = "let reclog carry the connections, without root there: add --relay\n\
                     (in a profile `relay: auto`)"
            .to_owned();
        let sshd = format!(
            "or let its sshd open the port to others (ssh {ssh}): as root, at the end of\n/etc/ssh/sshd_config\n  \
             Match User {user}\n    GatewayPorts clientspecified\nand then\n  systemctl reload ssh || systemctl reload sshd"
        );
        Finding { reach: Reach::LoopbackOnly, why, remedies: vec![relay, sshd], ..Finding::default() }
    }

    /// The port is open to others, and nobody gets there.
    fn lost_on_the_way(&self) -> Finding {
        let how = self.how_it_failed();
        if let Some(away) = self.behind_nat() {
            let own = self.facts.addresses.as_deref().unwrap_or_default();
            let same: Vec<IpAddr> = own.iter().copied().filter(|ip| family(*ip) == family(away)).collect();
            let to = list(if same.is_empty() { own } else { &same });
            let why = format!(
                "{} stands behind NAT or a provider's firewall: {away} is not its own address ({to} is), and port {} is not \
                 handed on: {how}",
                self.host, self.port
            );
            let router = format!(
                "on the router in front: hand TCP port {} on to {to}; at a provider: let it in by the\nsecurity group (network \
                 ACL, firewall rule) of the machine",
                self.port
            );
            return Finding { why, remedies: vec![router, self.firewall()], ..Finding::default() };
        }
        let why = format!(
            "port {} of {} is open there, but a firewall or security group keeps connections from outside away: {how}",
            self.port, self.host
        );
        let group = format!("and at a provider: allow TCP port {} in the machine's security group, too", self.port);
        Finding { why, remedies: vec![self.firewall(), group], ..Finding::default() }
    }

    /// The address that was dialed when it is none of the jump host's own.
    fn behind_nat(&self) -> Option<IpAddr> {
        let dialed = || self.outside.iter().filter(|a| a.failed()).filter_map(|a| a.address);
        let away = |ip: &IpAddr| self.facts.is_own(*ip) == Some(false);
        dialed().find(away).filter(|_| dialed().all(|ip| away(&ip)))
    }

    /// The commands that let the port through.
    fn firewall(&self) -> String {
        let Self { port, ssh, .. } = self;
        let v6 = self.outside.iter().any(|a| a.failed() && a.family() == Some(Family::V6));
        let lines = match self.facts.firewalls.first() {
            Some(Firewall::Ufw) => format!("  sudo ufw allow {port}/tcp"),
            Some(Firewall::Firewalld) => {
                format!("  sudo firewall-cmd --permanent --add-port={port}/tcp\n  sudo firewall-cmd --reload")
            }
            Some(Firewall::Nft) => format!(
                "  sudo nft insert rule inet filter input tcp dport {port} accept\n\
                 (`sudo nft list ruleset` shows how table and chain are called there)"
            ),
            Some(Firewall::Iptables) | None => {
                let mut lines = format!("  sudo iptables -I INPUT -p tcp --dport {port} -j ACCEPT");
                if v6 {
                    let _ = write!(lines, "\n  sudo ip6tables -I INPUT -p tcp --dport {port} -j ACCEPT");
                }
                lines
            }
        };
        let which = if self.facts.firewalls.is_empty() { ", or what its firewall has for that" } else { "" };
        format!("let the port in there (ssh {ssh}){which}:\n{lines}")
    }

    /// What cannot be located.
    fn not_told(&self, public: Option<bool>) -> Finding {
        let mut why: Vec<String> = Vec::new();
        if self.outside.iter().any(Attempt::failed) {
            why.push(self.how_it_failed());
            why.push("where senders are lost cannot be told".into());
        } else {
            why.extend(self.outside.iter().filter_map(|a| match &a.outcome {
                Outside::NotAsked(why) => Some(why.clone()),
                _ => None,
            }));
            why.dedup();
            if public == Some(true) {
                why.push(format!("port {} is open on {} for all, as far as it can tell", self.port, self.host));
            }
        }
        let mut remedies = Vec::new();
        if self.outside.iter().any(Attempt::failed) {
            remedies.push(format!(
                "look on {} (ssh {}) whether the port is open to others and a firewall is\nin the way:\n  \
                 ss -ltn 'sport = :{}'",
                self.host, self.ssh, self.port
            ));
        }
        Finding { why: why.join("; "), remedies, ..Finding::default() }
    }

    /// What came of every connection that failed, the same only once.
    fn how_it_failed(&self) -> String {
        let mut all: Vec<String> = Vec::new();
        for attempt in self.outside.iter().filter(|a| a.failed()) {
            let to = attempt.address.map_or_else(|| self.place(), |ip| bracketed(&ip.to_string()).into_owned());
            all.push(match &attempt.outcome {
                Outside::Refused => format!("{to} refuses the connection"),
                Outside::NoAnswer => format!("{to} does not answer"),
                Outside::Unreachable(words) => format!("no way to {to} ({words})"),
                _ => format!("something else answers at {to}"),
            });
        }
        all.dedup();
        all.join(", ")
    }

    /// The family that does not get through while the other one does, and addresses that lead elsewhere.
    fn other_family(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let through = |of: Family| {
            let mut all = self.outside.iter().filter(|a| a.family() == Some(of));
            all.any(|a| matches!(a.outcome, Outside::CameBack { .. }))
        };
        for (of, name, twin) in [(Family::V4, "IPv4", "IPv6"), (Family::V6, "IPv6", "IPv4")] {
            let lost: Vec<_> = self.outside.iter().filter(|a| a.failed() && a.family() == Some(of)).collect();
            let Some(first) = lost.first().and_then(|a| a.address) else { continue };
            let part = Evidence { outside: &lost.iter().map(|a| (*a).clone()).collect::<Vec<_>>(), ..self.clone() };
            let how = part.how_it_failed();
            if through(of) {
                notes.push(format!("{} has an address that does not lead there: {how}", self.host));
                continue;
            }
            let listens = self.facts.listening(self.port).filter(|all| !all.is_empty());
            let open = listens.map(|all| all.iter().any(|at| family(*at) == of && !at.is_loopback()));
            let cause = if self.other_programs().contains(&first) {
                "another program has the port there".to_owned()
            } else if open == Some(false) {
                format!("{how}, and the port is not open over {name}")
            } else {
                how
            };
            notes.push(format!("senders get to {} over {twin} alone: over {name} {cause}", self.place()));
        }
        notes
    }

    fn untold(&self) -> Vec<String> {
        let mut untold = Vec::new();
        let failed: Vec<_> = self.outside.iter().filter(|a| a.failed()).collect();
        for attempt in self.outside.iter().filter(|_| !failed.is_empty()) {
            if let Outside::NotAsked(why) = &attempt.outcome {
                let over = match attempt.family() {
                    Some(Family::V4) => " over IPv4",
                    Some(Family::V6) => " over IPv6",
                    None => "",
                };
                untold.push(format!("whether senders get through{over}: {why}"));
            }
        }
        if self.facts.listeners.is_none() {
            untold
                .push("where the port is listened on: the account runs no commands there, or they do not tell".into());
        }
        let forbidden = self.own.iter().any(|(_, door)| *door == Door::CannotTell)
            || self.doors.is_some_and(|doors| doors.v4 == Door::CannotTell && doors.v6 == Door::CannotTell);
        if forbidden {
            untold.push(
                "who answers there: sshd lets this account connect to nothing (PermitOpen, AllowTcpForwarding)".into(),
            );
        }
        if self.is_public() != Some(false) && failed.iter().any(|a| matches!(a.outcome, Outside::NoAnswer)) {
            untold.push("whether the network of this machine lets connections to that port out".into());
        }
        if self.is_public() == Some(false) && self.facts.listeners.is_none() && self.facts.addresses.is_none() {
            untold.push("whether there is NAT in front that does not hand the port on".into());
        }
        untold
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "verdict_tests.rs"]
mod tests;
