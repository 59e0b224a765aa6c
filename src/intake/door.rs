//! Who comes in at the door of a stream, who waits there, and who has to leave.

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use super::limits::{Addresses, unlisted};
use super::rejects::{More, Rejects};
use super::watch::{Ousted, Ticket};
use super::why::Kind;
use super::{End, Inner, Reject};
use crate::audit::Event;
use crate::plan::GATE_TIMEOUT;
use crate::sink::Meta;

/// How often somebody looks for those whose time is over. They are late by no more than this.
const TICK: Duration = Duration::from_millis(250);
/// A clock that jumps further than this between two looks stood still, and so did we: nothing could be heard.
const STOOD_STILL: Duration = Duration::from_secs(2);
/// How the peers of Unix sockets begin. They have no address, and whoever may open the socket is known to the system.
const UNIX: &str = "unix";

impl Inner {
    fn lock_addresses(&self) -> MutexGuard<'_, Addresses> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock_rejects(&self) -> MutexGuard<'_, Rejects> {
        self.rejects.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a keyword is to be said. One that is asked for and not known yet lets nobody in.
    pub(super) fn has_gate(&self) -> bool {
        !self.plan.keywords.is_empty() || !self.keywords.is_empty()
    }

    /// Whether somebody has to look after those who are in.
    pub(super) fn needs_watch(&self) -> bool {
        self.plan.limits.idle_timeout.is_some() || self.plan.limits.max_rate.is_some()
    }

    /// Somebody is at the door. Its address comes back if it has one; or it was turned away.
    pub(super) fn knock(&self, peer: &str, now: Instant) -> Result<Option<IpAddr>, Reject> {
        let ip = peer.parse::<SocketAddr>().ok().map(|at| at.ip().to_canonical());
        let welcome = match ip {
            _ if self.shut.load(Ordering::Acquire) => Err(Reject::Draining),
            Some(ip) => self.lock_addresses().knock(ip, &self.plan.limits, now),
            None if peer.starts_with(UNIX) => Ok(()),
            None => unlisted(&self.plan.limits),
        };
        welcome.inspect_err(|why| self.turn_away(peer, *why))?;
        Ok(ip)
    }

    /// It waits until it has said the keyword.
    pub(super) fn wait_before_gate(&self, peer: &str, ip: Option<IpAddr>, now: Instant) -> Arc<Ticket> {
        self.look_after();
        let (ticket, gone) = self.watch.enter(Some((peer, ip)), now);
        if let Some(gone) = gone {
            self.send_away(&gone, Reject::Gate);
        }
        ticket
    }

    /// It is in, and may have to leave.
    pub(super) fn watch_over(&self, now: Instant) -> Arc<Ticket> {
        self.look_after();
        self.watch.enter(None, now).0
    }

    /// Lets a sender in, or counts and names why not; its number. `late`: even when the stream is shut.
    pub(super) fn open(
        &self,
        peer: &str,
        ip: Option<IpAddr>,
        keyword: Option<&str>,
        late: bool,
        kind: Kind,
    ) -> Result<u64, Reject> {
        let Self { plan, ledger, trail, shut, .. } = self;
        // Addresses that only were heard must not keep out whoever is there.
        if matches!(kind, Kind::Connection) && self.is_full() {
            self.make_room(Instant::now());
        }
        let admitted = if shut.load(Ordering::Acquire) && !late {
            Err(Reject::Draining)
        } else {
            let entered = ip.map_or(Ok(()), |ip| self.lock_addresses().enter(ip, &plan.limits));
            entered.and_then(|()| {
                let number = match kind {
                    Kind::Connection => ledger.sender_opened(plan.max_connections),
                    Kind::Address => ledger.address_opened(plan.max_connections),
                };
                number.ok_or_else(|| {
                    self.out(ip);
                    Reject::MaxConnections
                })
            })
        };
        match admitted {
            Ok(connection) => {
                let (stream, peer, keyword) = (plan.name.clone(), peer.to_owned(), keyword.map(str::to_owned));
                trail.tell(&Event::SenderOpen { stream, peer, connection, keyword });
            }
            Err(reject) => self.turn_away(peer, reject),
        }
        admitted
    }

    /// It said the right thing.
    pub(super) fn passed(&self, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.lock_addresses().passed(ip);
        }
    }

    /// One that was counted among those of its address is not there any more.
    fn out(&self, ip: Option<IpAddr>) {
        if let Some(ip) = ip {
            self.lock_addresses().leave(ip);
        }
    }

    /// Whether so many bytes of this address are within its rate.
    pub(super) fn is_within_rate(&self, ip: Option<IpAddr>, bytes: usize, now: Instant) -> bool {
        let of = ip.zip(self.plan.limits.max_rate);
        of.is_none_or(|(ip, rate)| self.lock_addresses().takes(ip, bytes, rate, now))
    }

    /// A new address sends datagrams.
    pub(super) fn knock_by_datagram(&self, ip: IpAddr, now: Instant) -> Result<(), Reject> {
        self.lock_addresses().knock(ip, &self.plan.limits, now)
    }

    /// Counts that `peer` was turned away, and tells it unless there are many.
    pub(super) fn turn_away(&self, peer: &str, why: Reject) {
        self.ledger.sender_rejected(why.as_str());
        let now = Instant::now();
        // A flood that stops leaves its last line to whoever looks after the stream.
        self.tell_rest(now, false);
        let tells = self.lock_rejects().add(why.as_str(), peer, now);
        if tells {
            let (stream, why) = (self.plan.name.clone(), why.as_str().into());
            self.trail.tell(&Event::Reject { stream, peer: peer.to_owned(), why, more: None });
        } else {
            self.look_after();
        }
    }

    /// As [`turn_away`](Self::turn_away), for somebody who was at the gate.
    pub(super) fn turn_away_at_gate(&self, peer: &str, why: Reject, is_failure: bool) {
        self.turn_away(peer, why);
        if is_failure && let Ok(at) = peer.parse::<SocketAddr>() {
            self.lock_addresses().failed(at.ip().to_canonical(), Instant::now());
        }
    }

    /// Tells of those who were not told one by one.
    fn tell_rest(&self, now: Instant, end: bool) {
        let rest = self.lock_rejects().rest(now, end);
        for (why, More { count, peer }) in rest {
            let (stream, why) = (self.plan.name.clone(), why.into());
            self.trail.tell(&Event::Reject { stream, peer, why, more: Some(count) });
        }
    }

    fn send_away(&self, gone: &Ousted, why: Reject) {
        if let Some(peer) = &gone.peer {
            self.turn_away_at_gate(peer, why, why.is_failure() || gone.crowds);
        }
        gone.pull();
    }

    /// Nobody is let in any more.
    pub(super) fn clear_gate(&self) {
        for gone in self.watch.clear_gate() {
            self.send_away(&gone, Reject::Draining);
        }
        self.tell_rest(Instant::now(), true);
    }

    /// A sender that was let in is gone.
    pub(super) fn close(&self, meta: Meta, ip: Option<IpAddr>, bytes: u64, end: End, kind: Kind) {
        let Meta { peer, connection, records, .. } = meta;
        let over = end == End::Cut && self.over.load(Ordering::Acquire);
        let end = if over { End::Draining } else { end };
        let (stream, why) = (self.plan.name.clone(), end.as_str().into());
        self.trail.tell(&Event::SenderClose { stream, peer, connection, bytes, records, why });
        self.out(ip);
        if end.is_limit() {
            self.ledger.sender_rejected(end.as_str());
        }
        // Last: whoever waits for the drain may end the trail then.
        let cut = !matches!(end, End::Clean | End::Idle | End::Framing) && !end.is_limit();
        match kind {
            Kind::Connection => self.ledger.sender_closed(cut),
            Kind::Address => self.ledger.address_closed(cut),
        }
        self.left.notify_waiters();
    }

    /// One task for all senders of the stream looks for those whose time is over.
    pub(super) fn look_after(&self) {
        if !self.watch.runs.swap(true, Ordering::AcqRel) {
            tokio::spawn(look_after(Weak::clone(&self.me)));
        }
    }

    /// One look, after what the last one has found.
    fn look(&self, looks: &mut Looks, now: Instant) {
        let limits = &self.plan.limits;
        let Looks { since, last, stored } = looks;
        let (before, was_stored) = (std::mem::replace(last, now), *stored);
        *stored = self.ledger.stored();
        let slept = now.saturating_duration_since(before) > STOOD_STILL;
        let (full, heard) = (!self.sink.has_room(), self.watch.all_heard());
        // An output that is full and writes is one that many send to: whoever says something gets its turn.
        if slept || !heard || (full && *stored == was_stored) {
            *since = now;
        }
        if limits.max_rate.is_some() && (slept || full || self.watch.some_held_up()) {
            self.lock_addresses().stalled(before, now);
        }
        for late in self.watch.overdue(now, *since, GATE_TIMEOUT) {
            self.send_away(&late, Reject::GateTimeout);
        }
        if let Some(patience) = limits.idle_timeout {
            for silent in self.watch.idle(now, *since, patience) {
                silent.pull();
            }
        }
        self.tell_rest(now, false);
    }
}

/// What is known from one look to the next.
struct Looks {
    /// Since when everybody could be heard, as far as is known.
    since: Instant,
    /// The last look.
    last: Instant,
    /// Bytes stored by then.
    stored: u64,
}

async fn look_after(inner: Weak<Inner>) {
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let now = Instant::now();
    let mut looks = Looks { since: now, last: now, stored: 0 };
    loop {
        ticks.tick().await;
        let Some(inner) = inner.upgrade() else { return };
        inner.look(&mut looks, Instant::now());
    }
}
