//! Senders that may have to go before they want to: who waits at the gate, who is silent for too long, who sends too much.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::pool::{Pool, Pushed};
use super::why::End;

/// What a sender is held by: whoever reads from its connection has the other end.
pub trait Leash: std::fmt::Debug + Send + Sync {
    /// Whether it was read from since that was asked last. Nobody is late who is not heard.
    fn is_heard(&self) -> bool;

    /// Whether what it sends waits on the way now, for others.
    fn is_held_up(&self) -> bool;

    /// It has to go: its [`Sender`](super::Sender) is to be ended, which knows why, and its connection closed. Must not wait, nor
    /// call back.
    fn pull(&self);
}

/// What is known of a sender to whoever may send it away.
#[derive(Debug)]
pub struct Ticket {
    pub number: u64,
    /// When something came from it last, in milliseconds since the stream began.
    heard: AtomicU64,
    /// Why it has to go; the first word counts.
    why: OnceLock<End>,
}

impl Ticket {
    /// Why it has to go, if it has.
    pub fn why(&self) -> Option<End> {
        self.why.get().copied()
    }
}

/// See the module.
#[derive(Debug)]
pub struct Watch {
    begun: Instant,
    /// A task looks after them.
    pub runs: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// The number of the last sender.
    last: u64,
    pool: Pool,
    tied: HashMap<u64, Tied>,
}

#[derive(Debug)]
struct Tied {
    ticket: Arc<Ticket>,
    leash: Option<Arc<dyn Leash>>,
    /// Until it is in.
    peer: Option<String>,
}

/// Somebody who has to go, and has not been told.
#[derive(Debug)]
pub struct Ousted {
    /// `None`: it is in, and its end will be told.
    pub peer: Option<String>,
    /// It had to make room because its address holds much of what there is.
    pub crowds: bool,
    leash: Option<Arc<dyn Leash>>,
}

impl Ousted {
    /// Tells it. One that has no leash yet hears it when it gets one.
    pub fn pull(&self) {
        if let Some(leash) = &self.leash {
            leash.pull();
        }
    }
}

impl Inner {
    fn oust(&mut self, number: u64, why: End) -> Option<Ousted> {
        let Tied { ticket, leash, peer } = self.tied.get_mut(&number)?;
        ticket.why.set(why).is_ok().then(|| Ousted { peer: peer.take(), crowds: false, leash: leash.take() })
    }
}

impl Watch {
    pub fn new(begun: Instant) -> Self {
        Self { begun, runs: AtomicBool::new(false), inner: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.begun).as_millis()).unwrap_or(u64::MAX)
    }

    /// Somebody is watched from now on; `waits`: before the gate, as `peer`, from this address. Who has to go for that comes with it.
    pub fn enter(
        &self,
        waits: Option<(&str, Option<std::net::IpAddr>)>,
        now: Instant,
    ) -> (Arc<Ticket>, Option<Ousted>) {
        let mut inner = self.lock();
        inner.last += 1;
        let number = inner.last;
        let heard = AtomicU64::new(self.millis(now));
        let ticket = Arc::new(Ticket { number, heard, why: OnceLock::new() });
        let gone = waits.and_then(|(_, ip)| inner.pool.enter(number, ip, now));
        let peer = waits.map(|(peer, _)| peer.to_owned());
        inner.tied.insert(number, Tied { ticket: Arc::clone(&ticket), leash: None, peer });
        let gone = gone.and_then(|Pushed { number, crowds }| {
            let gone = inner.oust(number, End::TurnedAway(super::Reject::Gate))?;
            Some(Ousted { crowds, ..gone })
        });
        (ticket, gone)
    }

    /// It is held by this from now on. False: it has to go.
    pub fn tie(&self, ticket: &Ticket, leash: Arc<dyn Leash>) -> bool {
        let mut inner = self.lock();
        if ticket.why().is_some() {
            return false;
        }
        if let Some(tied) = inner.tied.get_mut(&ticket.number) {
            tied.leash = Some(leash);
        }
        true
    }

    /// It waits before the gate no longer, for better or worse. False: it had to go before.
    pub fn leave_gate(&self, ticket: &Ticket) -> bool {
        let mut inner = self.lock();
        if let Some(tied) = inner.tied.get_mut(&ticket.number) {
            tied.peer = None;
        }
        inner.pool.leave(ticket.number)
    }

    /// It is gone.
    pub fn leave(&self, ticket: &Ticket) {
        let mut inner = self.lock();
        inner.pool.leave(ticket.number);
        let tied = inner.tied.remove(&ticket.number);
        drop(inner);
        drop(tied);
    }

    /// Something came from it.
    pub fn heard(&self, ticket: &Ticket, now: Instant) {
        ticket.heard.store(self.millis(now), Ordering::Relaxed);
    }

    /// Whether all are read from.
    pub fn all_heard(&self) -> bool {
        // The leashes of a stream lead to one connection, or to as many as there are senders, each read for itself.
        self.lock().tied.values().all(|tied| tied.leash.as_ref().is_none_or(|leash| leash.is_heard()))
    }

    /// Whether what some of them send waits on the way.
    pub fn some_held_up(&self) -> bool {
        self.lock().tied.values().any(|tied| tied.leash.as_ref().is_some_and(|leash| leash.is_held_up()))
    }

    /// Whose time before the gate is over. Before `since` nobody was heard.
    pub fn overdue(&self, now: Instant, since: Instant, patience: Duration) -> Vec<Ousted> {
        let mut inner = self.lock();
        let late = inner.pool.overdue(now, since, patience);
        late.into_iter().filter_map(|n| inner.oust(n, End::TurnedAway(super::Reject::GateTimeout))).collect()
    }

    /// Who is in and has been silent for `patience`.
    pub fn idle(&self, now: Instant, since: Instant, patience: Duration) -> Vec<Ousted> {
        let mut inner = self.lock();
        let (now, since) = (self.millis(now), self.millis(since));
        let patience = u64::try_from(patience.as_millis()).unwrap_or(u64::MAX);
        let silent = |tied: &Tied| {
            let heard = tied.ticket.heard.load(Ordering::Relaxed).max(since);
            tied.peer.is_none() && tied.ticket.why().is_none() && now.saturating_sub(heard) >= patience
        };
        let silent: Vec<u64> = inner.tied.iter().filter(|(_, tied)| silent(tied)).map(|(n, _)| *n).collect();
        silent.into_iter().filter_map(|n| inner.oust(n, End::IdleTimeout)).collect()
    }

    /// Nobody is let in any more.
    pub fn clear_gate(&self) -> Vec<Ousted> {
        let mut inner = self.lock();
        let all = inner.pool.clear();
        all.into_iter().filter_map(|n| inner.oust(n, End::TurnedAway(super::Reject::Draining))).collect()
    }
}
