//! Who comes in by our forwards while an echo of ours is awaited.
//!
//! Shared between the handler, which sees what comes, and whoever sent the echo. A connection that may be the echo is held
//! back, counted nowhere; as soon as it is known to be none, it becomes the sender that it always was, with all that it had
//! sent. Nothing here waits.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::sync::oneshot;

use super::nonce::{First, Looks, Nonce};
use crate::intake::{Intake, Sender};
use crate::ssh::arrival::address_of;

/// Connections held back at once; as many as a stream lets in unless it is told otherwise. Our own sends its line at once: when
/// there are more, the longest silent one is a sender.
const MAX_HELD: usize = 4096;

/// Where an echo comes from, as the jump host has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Its own loopback interface.
    Loopback,
    /// Anywhere: NAT stands between most machines.
    Anywhere,
}

/// See the module. `K` names a connection, `C` keeps it open.
#[derive(Debug)]
pub struct Lookout<K = ChannelId, C = ChannelWriteHalf<Msg>>(Arc<Shared<K, C>>);

impl<K, C> Clone for Lookout<K, C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, C> Default for Lookout<K, C> {
    fn default() -> Self {
        let state = State {
            expected: Vec::new(),
            held: HashMap::new(),
            order: VecDeque::new(),
            let_in: HashMap::new(),
            turned_away: Vec::new(),
            expected_so_far: 0,
        };
        Self(Arc::new(Shared { busy: AtomicBool::new(false), state: Mutex::new(state) }))
    }
}

#[derive(Debug)]
struct Shared<K, C> {
    /// False: there is nothing in `state`. Asked for every packet of every sender.
    busy: AtomicBool,
    state: Mutex<State<K, C>>,
}

#[derive(Debug)]
struct State<K, C> {
    expected: Vec<Expected>,
    held: HashMap<K, Held<C>>,
    /// The keys of `held`, the oldest first.
    order: VecDeque<K>,
    /// Senders that were let in, and that the handler has not fetched yet.
    let_in: HashMap<K, (Sender, C)>,
    /// Held back, and then not let in.
    turned_away: Vec<(K, C)>,
    expected_so_far: u64,
}

#[derive(Debug)]
struct Expected {
    /// No other has this number.
    id: u64,
    port: u16,
    nonce: Nonce,
    origin: Origin,
    /// Told when it comes, by whose address: `ip:port`.
    came: oneshot::Sender<String>,
}

impl Expected {
    /// Whether somebody who comes from loopback, or not, may bring it.
    fn may_come(&self, port: u32, loopback: bool) -> bool {
        u32::from(self.port) == port && (loopback || self.origin == Origin::Anywhere)
    }
}

/// An echo that is awaited for as long as this is kept. Whoever is held back only for its sake is a sender then.
#[derive(Debug)]
pub struct Expecting<K: Copy + Eq + Hash = ChannelId, C = ChannelWriteHalf<Msg>> {
    lookout: Lookout<K, C>,
    id: u64,
    /// The address that brought it, `ip:port`.
    pub comes: oneshot::Receiver<String>,
}

impl<K: Copy + Eq + Hash, C> Drop for Expecting<K, C> {
    fn drop(&mut self) {
        self.lookout.forget(self.id);
    }
}

/// A connection that may be ours.
#[derive(Debug)]
pub struct Held<C> {
    pub port: u16,
    /// Where it belongs if it is a sender, and its name there.
    pub intake: Intake,
    pub peer: String,
    pub channel: C,
    first: First,
}

impl<C> Held<C> {
    /// One that came in by `port` and has sent nothing yet.
    #[must_use]
    pub fn new(port: u16, intake: Intake, peer: String, channel: C) -> Self {
        Self { port, intake, peer, channel, first: First::default() }
    }

    fn comes_from_loopback(&self) -> bool {
        is_loopback(&self.peer)
    }

    /// It is a sender, with all that it has sent.
    fn enter(self) -> Result<(Sender, C), C> {
        match self.intake.admit(&self.peer) {
            Ok(mut sender) => {
                if !self.first.bytes().is_empty() {
                    sender.feed(self.first.bytes());
                }
                Ok((sender, self.channel))
            }
            Err(_) => Err(self.channel),
        }
    }
}

/// Whether an address, with its port or without, is one of the jump host's loopback interface.
fn is_loopback(address: &str) -> bool {
    let ip = address.parse::<SocketAddr>().ok().map(|at| at.ip().to_canonical()).or_else(|| address_of(address));
    ip.is_some_and(|ip| ip.is_loopback())
}

/// What becomes of a connection, and of what came by it.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "handed on at once, and seldom")]
pub enum Seen<C> {
    /// Nothing is known of it here: what came is the handler's.
    Unknown,
    /// What came is kept: it may still be an echo.
    Kept,
    /// It was an echo.
    Ours,
    /// It is a sender, and what came is the next of what it sends.
    Sender(Sender, C),
    /// It was a sender, and there is no place for it.
    TurnedAway,
}

impl<K: Copy + Eq + Hash, C> Lookout<K, C> {
    fn lock(&self) -> MutexGuard<'_, State<K, C>> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Expects `nonce` at `port` from now on, once.
    pub fn expect(&self, port: u16, nonce: Nonce, origin: Origin) -> Expecting<K, C> {
        let (came, comes) = oneshot::channel();
        let mut state = self.lock();
        let id = state.expected_so_far;
        state.expected_so_far += 1;
        state.expected.push(Expected { id, port, nonce, origin, came });
        self.0.busy.store(true, Ordering::Release);
        Expecting { lookout: self.clone(), id, comes }
    }

    /// Whether somebody who says to come from `originator` may bring what is expected at `port`.
    #[must_use]
    pub fn wants(&self, port: u32, originator: &str) -> Option<u16> {
        if !self.0.busy.load(Ordering::Acquire) {
            return None;
        }
        let loopback = is_loopback(originator);
        self.lock().expected.iter().find(|e| e.may_come(port, loopback)).map(|e| e.port)
    }

    /// Holds it back.
    pub fn hold(&self, id: K, held: Held<C>) {
        let mut state = self.lock();
        if state.held.len() >= MAX_HELD
            && let Some(oldest) = state.order.front().copied()
        {
            state.let_in(oldest);
        }
        state.held.insert(id, held);
        state.order.push_back(id);
        self.0.busy.store(true, Ordering::Release);
    }

    /// `data` came; `None`: nothing more will.
    pub fn came(&self, id: K, data: Option<&[u8]>) -> Seen<C> {
        if !self.0.busy.load(Ordering::Acquire) {
            return Seen::Unknown;
        }
        let mut state = self.lock();
        let State { expected, held, .. } = &mut *state;
        if let Some(it) = held.get_mut(&id) {
            let here: Vec<usize> = (0..expected.len()).filter(|n| expected[*n].port == it.port).collect();
            let looks = data.map_or(Looks::Foreign, |d| it.first.look(d, here.iter().map(|n| &expected[*n].nonce)));
            match looks {
                Looks::Open => return Seen::Kept,
                Looks::Ours(n) => {
                    let expected = expected.swap_remove(here[n]);
                    let peer = state.remove(id).map(|held| held.peer).unwrap_or_default();
                    // A held one that nothing is expected of any more is a sender now.
                    state.release(expected.port);
                    let _ = expected.came.send(peer);
                    self.rest(&state);
                    return Seen::Ours;
                }
                Looks::Foreign => state.let_in(id),
            }
        }
        let seen = if let Some((sender, channel)) = state.let_in.remove(&id) {
            Seen::Sender(sender, channel)
        } else if let Some(at) = state.turned_away.iter().position(|(who, _)| *who == id) {
            state.turned_away.swap_remove(at);
            Seen::TurnedAway
        } else {
            Seen::Unknown
        };
        self.rest(&state);
        seen
    }

    /// Expects it no longer.
    fn forget(&self, id: u64) {
        let mut state = self.lock();
        if let Some(at) = state.expected.iter().position(|e| e.id == id) {
            let port = state.expected.swap_remove(at).port;
            state.release(port);
        }
        self.rest(&state);
    }

    /// The channels of those who were held back and not let in: to be closed, for they may never send anything.
    #[must_use]
    pub fn turned_away(&self) -> Vec<C> {
        let mut state = self.lock();
        let turned_away = std::mem::take(&mut state.turned_away);
        self.rest(&state);
        turned_away.into_iter().map(|(_, channel)| channel).collect()
    }

    /// Hands senders over that were let in and have said nothing since: they may never do, and may have to go. Nothing comes in
    /// between.
    pub fn settle(&self, mut seat: impl FnMut(K, Sender, C)) {
        let mut state = self.lock();
        for (id, (sender, channel)) in std::mem::take(&mut state.let_in) {
            seat(id, sender, channel);
        }
        self.rest(&state);
    }

    /// The connection is over. What was sent is kept; whoever had sent nothing, or was most likely our own, was never there.
    pub fn end(&self) {
        let mut state = self.lock();
        state.expected.clear();
        for id in std::mem::take(&mut state.order) {
            let Some(held) = state.held.remove(&id) else { continue };
            if !held.first.bytes().is_empty() && !held.first.is_beyond_magic() {
                drop(held.enter());
            }
        }
        state.let_in.clear();
        state.turned_away.clear();
        self.rest(&state);
    }

    fn rest(&self, state: &State<K, C>) {
        let idle = state.expected.is_empty()
            && state.held.is_empty()
            && state.let_in.is_empty()
            && state.turned_away.is_empty();
        self.0.busy.store(!idle, Ordering::Release);
    }
}

impl<K: Copy + Eq + Hash, C> State<K, C> {
    fn remove(&mut self, id: K) -> Option<Held<C>> {
        self.order.retain(|other| *other != id);
        self.held.remove(&id)
    }

    /// Whoever is held back at `port` and can bring nothing that is expected is a sender.
    fn release(&mut self, port: u16) {
        let mut free = self.order.clone();
        free.retain(|id| {
            self.held.get(id).is_some_and(|h| {
                h.port == port && !self.expected.iter().any(|e| e.may_come(port.into(), h.comes_from_loopback()))
            })
        });
        for id in free {
            self.let_in(id);
        }
    }

    /// It is a sender.
    fn let_in(&mut self, id: K) {
        match self.remove(id).map(Held::enter) {
            Some(Ok(sender)) => {
                self.let_in.insert(id, sender);
            }
            Some(Err(channel)) => self.turned_away.push((id, channel)),
            None => {}
        }
    }
}

#[cfg(test)]
#[path = "lookout_tests.rs"]
mod tests;
