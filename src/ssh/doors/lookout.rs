//! Who comes in by our forwards while an echo of ours is awaited.
//!
//! Shared between the handler, which sees what comes, and whoever sent the echo. A connection that may be the echo is held
//! back, counted nowhere; as soon as it is known to be none, it becomes the sender that it always was, with all that it had
//! sent. Nothing here waits.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use russh::client::Msg;
use russh::{ChannelId, ChannelWriteHalf};
use tokio::sync::oneshot;

use super::nonce::{First, Looks, Nonce};
use crate::intake::{Intake, Sender};

/// Connections held back at once. Our own sends its line at once: when there are more, the longest silent one is a sender.
const MAX_HELD: usize = 256;

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
}

#[derive(Debug)]
struct Expected {
    port: u16,
    nonce: Nonce,
    /// Told when it comes.
    came: oneshot::Sender<()>,
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

/// What becomes of a connection, and of what came by it.
#[derive(Debug)]
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
    pub fn expect(&self, port: u16, nonce: Nonce) -> oneshot::Receiver<()> {
        let (came, comes) = oneshot::channel();
        let mut state = self.lock();
        state.expected.push(Expected { port, nonce, came });
        self.0.busy.store(true, Ordering::Release);
        comes
    }

    /// Whether somebody who says to come from `originator` may bring what is expected at `port`: the jump host sends it
    /// from its own loopback interface.
    #[must_use]
    pub fn wants(&self, port: u32, originator: &str) -> Option<u16> {
        if !self.0.busy.load(Ordering::Acquire) {
            return None;
        }
        originator.parse::<IpAddr>().ok().filter(|ip| ip.to_canonical().is_loopback())?;
        self.lock().expected.iter().map(|e| e.port).find(|p| u32::from(*p) == port)
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
                    state.remove(id);
                    let _ = expected.came.send(());
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

    /// Expects nothing at `port` any more: whoever was held back there is a sender. Returns what is to be closed.
    #[must_use]
    pub fn finish(&self, port: u16) -> Vec<C> {
        let mut state = self.lock();
        state.expected.retain(|e| e.port != port);
        let mut theirs = state.order.clone();
        theirs.retain(|id| state.held.get(id).is_some_and(|h| h.port == port));
        for id in theirs {
            state.let_in(id);
        }
        let turned_away = std::mem::take(&mut state.turned_away);
        self.rest(&state);
        turned_away.into_iter().map(|(_, channel)| channel).collect()
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
