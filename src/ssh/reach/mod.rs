//! Whether senders from outside get through to a port, and where they are lost if not.

mod facts;
mod outside;
mod remedies;
mod verdict;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client::Handle;
use tokio::sync::OnceCell;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

pub use facts::{Facts, Firewall};

pub use crate::ledger::{Families, Finding};

use self::outside::{Ends, From, Hop};
use self::verdict::{Attempt, Evidence, Outside};
use super::connection::Connection;
use super::doors::lookout::{Lookout, Origin};
use super::doors::{self, Door, Doors};
use super::handler::Guest;
use super::seats::Seats;
use super::server_process;
use super::settings::{Proxy, Settings};
use super::socket::Meter;
use crate::intake::Intake;

/// How long the shell of the jump host may take: what it reads as it starts takes a while on some machines.
const SHELL: Duration = Duration::from_secs(10);
/// How long somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(4);
/// A port that comes back within this time is proven, and nothing else is asked. Else the search for the fault begins, beside
/// whatever still may come back.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What the jump host may take to connect to an address of its own: it needs no network for that.
const OWN: Duration = Duration::from_millis(2500);
/// Addresses of its own that it is asked to connect to.
const MOST_OWN: usize = 8;
/// What an answer may take on a connection that lives.
const ANSWER: Duration = Duration::from_secs(10);
/// After so long the fault is looked for again, though nothing else comes from outside: somebody may be mending it.
const STALE: Duration = Duration::from_secs(60);

/// Looks at the ports of one connection; cheap to clone, good for as long as the connection lives. One port is looked at by one
/// caller at a time.
#[derive(Clone)]
pub struct Prober {
    handle: Arc<Handle<Guest>>,
    settings: Arc<Settings>,
    lookout: Lookout,
    seats: Seats,
    meter: Arc<Meter>,
    from: From,
    /// What was found last, by port: as long as the same comes from outside, nobody looks for the fault again.
    last: Arc<Mutex<HashMap<u16, Last>>>,
    /// The account runs no commands: it is not asked again.
    mute: Arc<AtomicBool>,
    /// What its shell tells of its addresses: asked once, when the first line came back.
    addresses: Arc<OnceCell<Facts>>,
}

/// What came from outside, what it meant, and when that was found out.
type Last = (Vec<Attempt>, Finding, Instant);

/// What a port is that does not come back any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulse {
    /// The connection lives and the port is ours, as far as can be told.
    Beats,
    /// Nobody answers at the other end of the connection; a sentence.
    Dead(String),
    /// The connection lives, and the port is no longer ours; a sentence.
    Gone(String),
}

impl Connection {
    /// Looks at the ports of this connection.
    #[must_use]
    pub fn prober(&self) -> Prober {
        let (leg, settings) = (&self.leg, &self.leg.settings);
        let first = self.hops.first().map_or(settings, |hop| &hop.settings);
        let from = match (self.hops.last(), leg.meter.peer_address(), &first.proxy) {
            (Some(hop), _, _) => From::Hop(Hop {
                handle: Arc::clone(&hop.handle),
                target: hop.settings.target(),
                turned_down: Arc::clone(&hop.turned_down),
            }),
            (None, Some(dialed), proxy) if !matches!(proxy, Proxy::Command(_)) => From::Here(dialed),
            _ => From::Nowhere,
        };
        Prober {
            handle: Arc::clone(&leg.handle),
            settings: Arc::clone(settings),
            lookout: leg.routes.lookout.clone(),
            seats: leg.seats.clone(),
            meter: Arc::clone(&leg.meter),
            from,
            last: Arc::default(),
            mute: Arc::default(),
            addresses: Arc::default(),
        }
    }
}

impl Prober {
    /// Sends a line that nobody else can send to `port` from outside, and sees whether it comes back by the forward of
    /// `intake`; if not, finds out where it is lost. Some 8 s at most.
    pub async fn probe(&self, intake: &Intake, port: u16) -> Finding {
        self.probe_again(intake, port, Families::default()).await
    }

    /// The same for one whose line came back over these families before.
    pub async fn probe_again(&self, intake: &Intake, port: u16, before: Families) -> Finding {
        let (presses, passed) = (self.meter.brake.presses(), self.meter.passed());
        let free = || intake.has_room() && !self.meter.brake.is_on();
        let held_up = || Finding {
            why: "an output is behind, or the connection is full: nobody could be asked".into(),
            held_up: true,
            ..Finding::default()
        };
        if !free() {
            return held_up();
        }
        let Self { handle, lookout, meter, .. } = self.clone();
        let ends = Ends { handle, lookout, meter };
        let looking = outside::look(&self.from, &self.settings, &intake.plan().bind, &ends, port);
        tokio::pin!(looking);
        let (attempts, found) = match timeout(AT_ONCE, &mut looking).await {
            Ok(attempts) => (attempts, None),
            Err(_) if !free() => return held_up(),
            Err(_) => {
                let (attempts, found) = tokio::join!(looking, self.locate(port, true));
                (attempts, Some(found))
            }
        };
        doors::tidy(&self.lookout, &self.seats).await;
        let came_back = attempts.iter().any(|a| matches!(a.outcome, Outside::CameBack { .. }));
        let asked = attempts.iter().any(|a| !matches!(a.outcome, Outside::NotAsked(_)));
        let all = attempts.iter().all(|a| matches!(a.outcome, Outside::CameBack { .. } | Outside::NotAsked(_)));
        // Whoever took the connection may be us, and the line may wait behind all that others send.
        let late = attempts.iter().any(|a| a.outcome == Outside::Other)
            && self.meter.passed().saturating_sub(passed) >= doors::BUSY;
        if !came_back && (late || !free() || presses != self.meter.brake.presses()) {
            return held_up();
        }
        let known = self.known(port, &attempts);
        let now = Instant::now();
        let (finding, found_at) = match (known, found) {
            (Some(known), _) => known,
            (None, None) if came_back && all => {
                let facts = self.own_addresses(port, free()).await;
                (self.judge(port, &attempts, before, &Located { facts, ..Located::default() }), now)
            }
            (None, None) => (self.judge(port, &attempts, before, &self.locate(port, asked).await), now),
            (None, Some(found)) => (self.judge(port, &attempts, before, &found), now),
        };
        tracing::debug!(port, ?attempts, ?finding, "looked from outside");
        self.last.lock().unwrap_or_else(PoisonError::into_inner).insert(port, (attempts, finding.clone(), found_at));
        finding
    }

    /// What the same attempts meant before; those that came back are always new.
    fn known(&self, port: u16, attempts: &[Attempt]) -> Option<(Finding, Instant)> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, finding, since) = last.get(&port)?;
        (before == attempts && since.elapsed() < STALE).then(|| (finding.clone(), *since))
    }

    /// What is known of the jump host's addresses, whatever the port; asked once in the life of a connection.
    async fn own_addresses(&self, port: u16, free: bool) -> Facts {
        if !free && !self.addresses.initialized() {
            return Facts::default();
        }
        let facts = self.addresses.get_or_init(async || self.facts(&[port]).await).await;
        Facts { listeners: None, ..facts.clone() }
    }

    fn judge(&self, port: u16, outside: &[Attempt], before: Families, located: &Located) -> Finding {
        let Settings { host, user, .. } = &*self.settings;
        let ssh = self.settings.ssh_arguments();
        let commands = self.settings.commands && !self.mute.load(Ordering::Relaxed);
        let ssh = Some(ssh.as_str()).filter(|_| commands);
        let Located { doors, own, facts } = located;
        verdict::judge(&Evidence { host, user, ssh, port, outside, doors: *doors, own, facts, before })
    }

    /// Asks the jump host itself. When nothing was asked from outside, what a shell tells is enough.
    async fn locate(&self, port: u16, asked: bool) -> Located {
        let ports = [port];
        let known = if asked { None } else { Some(self.facts(&ports).await) };
        if let Some(facts) = known.clone().filter(|facts| facts.listeners.is_some()) {
            return Located { facts, ..Located::default() };
        }
        let facts = async {
            match known {
                Some(facts) => facts,
                None => self.facts(&ports).await,
            }
        };
        let dialed = match &self.from {
            From::Here(dialed) => Some(dialed.ip().to_canonical()),
            From::Hop(_) | From::Nowhere => self.settings.host.parse::<IpAddr>().ok(),
        };
        let dialed: Vec<IpAddr> = dialed.into_iter().filter(|ip| !ip.is_loopback()).collect();
        let (facts, doors, mut own) = tokio::join!(
            facts,
            doors::look(&self.handle, &self.lookout, &self.meter, port),
            self.ask_own(&dialed, port)
        );
        // Packets to an address that is not its own may be lost on the way.
        for (_, door) in own.iter_mut().filter(|(ip, door)| *door == Door::Late && facts.is_own(*ip) == Some(false)) {
            *door = Door::Nobody;
        }
        let others = facts.addresses.iter().flatten().copied().filter(|ip| !dialed.contains(ip));
        let others: Vec<IpAddr> = others.take(MOST_OWN).collect();
        own.extend(self.ask_own(&others, port).await);
        doors::tidy(&self.lookout, &self.seats).await;
        Located { doors: Some(doors), own, facts }
    }

    /// Who answers when the jump host connects to these addresses.
    async fn ask_own(&self, addresses: &[IpAddr], port: u16) -> Vec<(IpAddr, Door)> {
        let mut asking = JoinSet::new();
        for (index, address) in addresses.iter().copied().enumerate() {
            let Self { handle, lookout, meter, .. } = self.clone();
            asking.spawn(async move {
                let host = address.to_string();
                (index, doors::ask(&handle, &lookout, &meter, port, &host, Origin::Anywhere).await)
            });
        }
        let mut answers: HashMap<usize, Door> = HashMap::new();
        let all = async {
            while let Some(answer) = asking.join_next().await {
                answers.extend(answer.ok());
            }
        };
        let _ = timeout(OWN, all).await;
        addresses.iter().enumerate().map(|(n, ip)| (*ip, answers.remove(&n).unwrap_or(Door::Late))).collect()
    }

    /// What is to be thought of a connection whose `port` of `intake` does not come back any more. In a stall nothing is asked.
    pub async fn pulse(&self, intake: &Intake, port: u16) -> Pulse {
        let asked = Instant::now();
        let presses = self.meter.brake.presses();
        if self.meter.brake.is_on() || !intake.has_room() {
            return Pulse::Beats;
        }
        let answered = timeout(ANSWER, self.handle.send_ping()).await;
        let heard = self.meter.heard() > asked || presses != self.meter.brake.presses();
        if !matches!(answered, Ok(Ok(()))) && !heard {
            let seconds = asked.elapsed().as_secs();
            return Pulse::Dead(format!(
                "the connection to {} is dead: nothing comes back from outside, and nobody has answered for {seconds} s",
                self.settings.target()
            ));
        }
        if !doors::means_both(&intake.plan().bind) || !intake.has_room() {
            return Pulse::Beats;
        }
        let Doors { v4, v6 } = doors::look(&self.handle, &self.lookout, &self.meter, port).await;
        doors::tidy(&self.lookout, &self.seats).await;
        let gone = |door: Door| matches!(door, Door::Nobody | Door::Other | Door::Absent);
        // Where the rules forbid the question whether the family is there, both count as absent: that tells nothing.
        if gone(v4) && gone(v6) && (v4, v6) != (Door::Absent, Door::Absent) {
            return Pulse::Gone(format!("port {port} of {} is no longer ours", self.settings.target()));
        }
        Pulse::Beats
    }

    /// What a shell on the jump host tells about `ports`; nothing where there is none. One command, a few seconds at most. Not to
    /// be asked while an output is behind.
    pub async fn facts(&self, ports: &[u16]) -> Facts {
        if !self.settings.commands || ports.is_empty() || self.mute.load(Ordering::Relaxed) {
            return Facts::default();
        }
        let (handle, ports, mark) = (Arc::clone(&self.handle), ports.to_vec(), server_process::mark());
        let mute = Arc::clone(&self.mute);
        // In a task of its own: the session ends in order, though nobody may wait so long for it.
        let asking = tokio::spawn(async move {
            let command = facts::ask(&mark, &ports);
            let done = |output: &[u8]| facts::is_done(output, &mark);
            let begun = Instant::now();
            let output = server_process::output(&handle, command, SHELL, facts::LONGEST_OUTPUT, done).await;
            // One that takes its time may tell the next time.
            mute.store(!done(&output) && begun.elapsed() < SHELL, Ordering::Relaxed);
            Facts::parse(&output, &mark, &ports)
        });
        let facts = timeout(PATIENCE, asking).await.ok().and_then(Result::ok).unwrap_or_default();
        tracing::debug!(?facts, "what the jump host's shell tells");
        facts
    }
}

/// What the jump host itself says about a port.
#[derive(Debug, Default)]
struct Located {
    doors: Option<Doors>,
    own: Vec<(IpAddr, Door)>,
    facts: Facts,
}
