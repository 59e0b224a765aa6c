//! What the answers about one port mean: who can connect, where senders are lost, and what to change. Pure.

use core::fmt::Write as _;
use core::net::{IpAddr, SocketAddr};

use super::Finding;
use super::facts::Facts;
use crate::ledger::{Families, Reach};
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
    pub(super) fn family(&self) -> Option<Family> {
        self.address.map(family)
    }

    pub(super) fn failed(&self) -> bool {
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
    /// Arguments of ssh that lead there; `None`: the account runs no commands.
    pub ssh: Option<&'a str>,
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
    /// The families that came back before.
    pub before: Families,
}

fn family(address: IpAddr) -> Family {
    if address.is_ipv4() { Family::V4 } else { Family::V6 }
}

/// What it means.
#[must_use]
pub fn judge(e: &Evidence<'_>) -> Finding {
    let back = |handed_on: bool| {
        e.outside.iter().filter(|a| e.is_handed_on(a) == handed_on).find_map(|a| match &a.outcome {
            Outside::CameBack { seen_as } => Some(seen_as.clone()),
            _ => None,
        })
    };
    if let Some(seen_as) = back(false) {
        return e.proven(seen_as);
    }
    let others = e.other_programs();
    let handed_on = back(true);
    let mut finding = match (e.is_public(), &handed_on) {
        (_, Some(seen_as)) => e.handed_on(seen_as),
        (Some(false), _) => e.loopback_only(),
        _ if !others.is_empty() => Finding { why: e.taken(&others), ..Finding::default() },
        (Some(true), _) if e.outside.iter().any(Attempt::failed) => e.lost_on_the_way(),
        (public, _) => e.not_told(public),
    };
    if !others.is_empty() {
        if finding.reach == Reach::LoopbackOnly {
            finding.why.push_str("; ");
            finding.why.push_str(&e.taken(&others));
        }
        finding.remedies.push(e.who_listens());
    }
    finding.untold = e.untold();
    finding
}

impl Evidence<'_> {
    fn place(&self) -> String {
        format!("{}:{}", bracketed(self.host), self.port)
    }

    /// Where commands are to be typed.
    pub(super) fn there(&self) -> String {
        self.ssh.map_or_else(|| "by an account that may".into(), |ssh| format!("ssh {ssh}"))
    }

    /// Whether our line came back from the jump host's own addresses: somebody there took the connection and made another.
    fn is_handed_on(&self, attempt: &Attempt) -> bool {
        let Outside::CameBack { seen_as } = &attempt.outcome else { return false };
        let Ok(ip) = seen_as.parse::<SocketAddr>().map(|at| at.ip().to_canonical()) else { return false };
        let dialed = self.outside.iter().any(|a| a.address == Some(ip));
        match self.facts.is_own(ip) {
            _ if ip.is_loopback() || self.facts.arrived_at == Some(ip) => true,
            Some(own) => own,
            None => dialed,
        }
    }

    /// Senders get through, maybe not all of them.
    fn proven(&self, seen_as: String) -> Finding {
        let came = |of: Family| {
            let mut all = self.outside.iter().filter(|a| a.family() == Some(of));
            all.any(|a| matches!(a.outcome, Outside::CameBack { .. }) && !self.is_handed_on(a))
        };
        let through = Families { v4: came(Family::V4), v6: came(Family::V6) };
        let mut finding = Finding { reach: Reach::Proven, seen_as: Some(seen_as), through, ..Finding::default() };
        self.other_family(&mut finding);
        finding
    }

    /// What came back took a way that is not ours.
    fn handed_on(&self, seen_as: &str) -> Finding {
        let from = seen_as.parse::<SocketAddr>().map_or_else(|_| seen_as.to_owned(), |at| at.ip().to_string());
        let mut why = format!(
            "another program on {} hands connections on: our line came back from {from}, and so does every sender; that \
             our own port is open to others is not proven",
            self.host
        );
        if self.outside.iter().any(Attempt::failed) {
            let _ = write!(why, "; {}", self.how_it_failed());
        }
        let remedies = vec![self.who_listens()];
        Finding { why, remedies, seen_as: Some(seen_as.to_owned()), ..Finding::default() }
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
        // Whoever took a connection from outside is another program, or our own port and late.
        let others = self.other_programs();
        let taken = |a: &Attempt| a.outcome == Outside::Other && !a.address.is_some_and(|ip| others.contains(&ip));
        (ours && shut && !self.outside.iter().any(taken)).then_some(false)
    }

    /// Addresses of the jump host where somebody else has the port.
    fn other_programs(&self) -> Vec<IpAddr> {
        self.own.iter().filter(|(_, door)| *door == Door::Other).map(|(at, _)| *at).collect()
    }

    fn taken(&self, others: &[IpAddr]) -> String {
        format!("another program on {} answers on port {} ({})", self.host, self.port, list(others))
    }

    fn loopback_only(&self) -> Finding {
        let Self { host, port, .. } = self;
        let why = format!(
            "{host} opened port {port} on its loopback interface alone (GatewayPorts no): only programs there can connect"
        );
        // A relay is a program there.
        let relay = self.ssh.map(|_| {
            "let reclog carry the connections, without root there: `reclog down NAME`, then the same command with --relay (in \
             a profile `relay: auto`)"
                .to_owned()
        });
        let or = if relay.is_some() { "or let" } else { "let" };
        let remedies = relay.into_iter().chain([self.gateway_ports(or)]).collect();
        Finding { reach: Reach::LoopbackOnly, why, remedies, ..Finding::default() }
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
                "on the router in front: hand TCP port {} on to {to}; at a provider: let it in by the security group (network \
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
        let failed = || self.outside.iter().filter(|a| a.failed());
        if failed().next().is_some() {
            // What takes connections is open to others.
            if public.is_none() && !failed().any(|a| a.outcome == Outside::Other) {
                why.push("most likely this is GatewayPorts no (the default), or a firewall".into());
                remedies.push(self.gateway_ports("let"));
                remedies.push(self.firewall());
            }
            remedies.push(format!(
                "look on {} ({}) whether the port is open to others and a firewall is in the way:\n  ss -ltn 'sport = :{}'",
                self.host,
                self.there(),
                self.port
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
                _ => format!("{to} takes the connection, and our line does not come back"),
            });
        }
        all.dedup();
        all.join(", ")
    }

    /// The family that does not get through while the other one does, and addresses that lead elsewhere. What should not be so
    /// is why not everybody gets through; else it is a note.
    fn other_family(&self, finding: &mut Finding) {
        let Families { v4, v6 } = finding.through;
        for (of, through, before) in [(Family::V4, v4, self.before.v4), (Family::V6, v6, self.before.v6)] {
            let (name, twin) = if of == Family::V4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
            let lost: Vec<_> = self.outside.iter().filter(|a| a.failed() || self.is_handed_on(a)).collect();
            let lost: Vec<_> = lost.into_iter().filter(|a| a.family() == Some(of)).cloned().collect();
            let Some(first) = lost.first().and_then(|a| a.address) else { continue };
            let part = Evidence { outside: &lost, ..self.clone() };
            let how = part.how_it_failed();
            let handed_on = lost.iter().any(|a| self.is_handed_on(a));
            let taken =
                handed_on || lost.iter().any(|a| a.address.is_some_and(|ip| self.other_programs().contains(&ip)));
            if through && !taken {
                finding.notes.push(format!("{} has an address that does not lead there: {how}", self.host));
                continue;
            }
            let listens = self.facts.listening(self.port).filter(|all| !all.is_empty());
            let open = listens.map(|all| all.iter().any(|at| family(*at) == of && !at.is_loopback()));
            let cause = if handed_on {
                "another program hands connections on there".to_owned()
            } else if taken {
                "another program has the port there".to_owned()
            } else if open == Some(false) {
                format!("{how}, and the port is not open over {name}")
            } else {
                how
            };
            let sentence = if through {
                format!("senders get to {} at some of its {name} addresses alone: at {first} {cause}", self.place())
            } else {
                format!("senders get to {} over {twin} alone: over {name} {cause}", self.place())
            };
            finding.remedies.push(if taken {
                self.who_listens()
            } else if open == Some(false) {
                self.address_family()
            } else {
                part.firewall()
            });
            if taken || before {
                finding.why = sentence;
            } else {
                finding.notes.push(sentence);
            }
        }
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
        if self.own.iter().any(|(_, door)| *door == Door::Late) {
            untold.push("who answers there: the jump host was asked, and no answer came in time".into());
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
