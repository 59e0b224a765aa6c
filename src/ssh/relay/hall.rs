//! Where those wait who came in by the forward of a relay and have not said who they are.
//!
//! The relay's own say so at once. Others may know the port, too; they get nothing but a place here for a while, and are
//! counted in no stream as senders. Knows no clock: the time comes in.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::Hash;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::hello::{Hello, Secret, Step};

/// Those who wait at once, as many as a stream lets in unless it is told otherwise. When there are more, the oldest goes: the
/// relay's own stay for one round trip.
const MOST: usize = 4096;
/// How long somebody may take to say the line.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Channels that had to be closed from here in the life of one connection: the library keeps some 3 KiB of each until it ends.
const CLOSED: u32 = 10_000;
/// What a sender that is not let in hears before its end, then the secret: its relay resets it. NAK.
const REFUSAL: u8 = 0x15;

/// See the module. `K` names a connection, `W` is what is known of it.
#[derive(Debug)]
pub struct Hall<K, W>(Arc<Mutex<State<K, W>>>);

impl<K, W> Clone for Hall<K, W> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K, W> Default for Hall<K, W> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State::default())))
    }
}

#[derive(Debug)]
struct State<K, W> {
    /// None: nobody can know it.
    secret: Option<Secret>,
    /// The number of the next who comes.
    next: u64,
    waiting: HashMap<K, Waiting<W>>,
    /// By their numbers: the first is the oldest.
    order: BTreeMap<u64, K>,
    /// Who said the line and is still there.
    ours: HashSet<K>,
    /// Who was told to go and has not gone, by numbers, and since when.
    leaving: BTreeMap<u64, (K, Instant, W)>,
    /// Channels that were closed from here.
    closed: u32,
}

impl<K, W> Default for State<K, W> {
    fn default() -> Self {
        let (waiting, order, ours, leaving) = (HashMap::new(), BTreeMap::new(), HashSet::new(), BTreeMap::new());
        Self { secret: None, next: 0, waiting, order, ours, leaving, closed: 0 }
    }
}

#[derive(Debug)]
struct Waiting<W> {
    number: u64,
    since: Instant,
    hello: Hello,
    who: W,
}

/// What became of somebody.
#[derive(Debug, PartialEq, Eq)]
pub enum Seen<W> {
    /// Nobody who waits here.
    Unknown,
    /// It is not yet clear.
    Kept,
    /// A sender at this address; so many of the bytes that came belong to the line.
    Said {
        /// What was known of it.
        who: W,
        /// Where it comes from.
        peer: SocketAddr,
        /// Of the bytes that came.
        taken: usize,
    },
    /// It does not come by the relay.
    Foreign(W),
}

impl<K: Copy + Eq + Hash, W> Hall<K, W> {
    fn lock(&self) -> MutexGuard<'_, State<K, W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on this is what the relay says.
    pub fn expect(&self, secret: Secret) {
        self.lock().secret = Some(secret);
    }

    /// Somebody came. Returns who has to go for that.
    pub fn enter(&self, id: K, who: W, now: Instant) -> Option<(K, W)> {
        let mut state = self.lock();
        let oldest = if state.waiting.len() >= MOST { state.order.values().next().copied() } else { None };
        let gone = oldest.and_then(|oldest| Some((oldest, state.remove(oldest)?.who)));
        let number = state.next;
        state.next += 1;
        state.order.insert(number, id);
        state.waiting.insert(id, Waiting { number, since: now, hello: Hello::default(), who });
        gone
    }

    /// `data` came; `None`: nothing more will.
    pub fn came(&self, id: K, data: Option<&[u8]>) -> Seen<W> {
        let mut state = self.lock();
        let State { secret, waiting, .. } = &mut *state;
        let Some(it) = waiting.get_mut(&id) else { return Seen::Unknown };
        let step = match (data, secret) {
            (Some(data), Some(secret)) => it.hello.feed(data, secret),
            _ => Step::Foreign,
        };
        match (step, data) {
            (Step::Open, _) => Seen::Kept,
            (Step::Said { peer, taken }, _) => {
                state.ours.insert(id);
                state.remove(id).map_or(Seen::Unknown, |it| Seen::Said { who: it.who, peer, taken })
            }
            (Step::Foreign, _) => state.remove(id).map_or(Seen::Unknown, |it| Seen::Foreign(it.who)),
        }
    }

    /// Who has waited for [`PATIENCE`] by `now`. What came before `since` could not be heard until then.
    #[must_use]
    pub fn overdue(&self, now: Instant, since: Instant) -> Vec<(K, W)> {
        let mut state = self.lock();
        let mut gone = Vec::new();
        while let Some(id) = state.order.values().next().copied() {
            let late = |it: &Waiting<W>| now.saturating_duration_since(it.since.max(since)) >= PATIENCE;
            if !state.waiting.get(&id).is_some_and(late) {
                break;
            }
            gone.extend(state.remove(id).map(|it| (id, it.who)));
        }
        gone
    }

    /// Whether it said the line; asked once.
    #[must_use]
    pub fn was_ours(&self, id: K) -> bool {
        self.lock().ours.remove(&id)
    }

    /// What a sender hears that is not let in.
    #[must_use]
    pub fn refusal(&self) -> Vec<u8> {
        let state = self.lock();
        let digits = state.secret.as_ref().map_or("", Secret::digits);
        [&[REFUSAL][..], digits.as_bytes(), b"\n"].concat()
    }

    /// Somebody was told the end of what there is to hear, and is to go by itself: then nothing is kept of it. Returns who is
    /// to be closed for that, since too many are still there.
    pub fn leave(&self, id: K, who: W, now: Instant) -> Option<(K, W)> {
        let mut state = self.lock();
        let oldest = if state.leaving.len() >= MOST { state.leaving.pop_first() } else { None };
        let number = state.next;
        state.next += 1;
        state.leaving.insert(number, (id, now, who));
        oldest.map(|(_, (id, _, who))| (id, who))
    }

    /// The server closed it.
    pub fn gone(&self, id: K) {
        let mut state = self.lock();
        state.ours.remove(&id);
        let gone = state.leaving.iter().find_map(|(number, (it, ..))| (*it == id).then_some(*number));
        let gone = gone.and_then(|number| state.leaving.remove(&number));
        drop(state);
        drop(gone);
    }

    /// Who was told to go [`PATIENCE`] ago and is to be closed.
    #[must_use]
    pub fn lingering(&self, now: Instant, since: Instant) -> Vec<(K, W)> {
        let mut state = self.lock();
        let late = |told: Instant| now.saturating_duration_since(told.max(since)) >= PATIENCE;
        let mut gone = Vec::new();
        while state.leaving.first_key_value().is_some_and(|(_, (_, told, _))| late(*told)) {
            gone.extend(state.leaving.pop_first().map(|(_, (id, _, who))| (id, who)));
        }
        gone
    }

    /// One more channel is closed from here; false: it is one too many.
    #[must_use]
    pub fn closes(&self) -> bool {
        let mut state = self.lock();
        state.closed = state.closed.saturating_add(1);
        state.closed <= CLOSED
    }

    /// The connection is over.
    pub fn clear(&self) {
        let mut state = self.lock();
        let secret = state.secret.take();
        let gone = std::mem::replace(&mut *state, State { secret, ..State::default() });
        drop(state);
        drop(gone);
    }
}

impl<K: Copy + Eq + Hash, W> State<K, W> {
    fn remove(&mut self, id: K) -> Option<Waiting<W>> {
        let it = self.waiting.remove(&id)?;
        self.order.remove(&it.number);
        Some(it)
    }
}

#[cfg(test)]
mod tests {
    use super::super::hello::RANDOM;
    use super::*;

    fn hall() -> (Hall<usize, &'static str>, Instant, String) {
        let (hall, secret) = (Hall::default(), Secret::new(&[7; RANDOM]));
        let line = format!("PROXY TCP4 192.0.2.1 192.0.2.2 4711 514 {}\r\n", secret.digits());
        hall.expect(secret);
        (hall, Instant::now(), line)
    }

    #[test]
    fn who_says_the_line_is_a_sender_and_all_others_are_foreign() {
        let (hall, now, line) = hall();
        for id in 0..4 {
            assert_eq!(hall.enter(id, "who", now), None);
        }
        let (first, rest) = line.split_at(20);
        assert_eq!(hall.came(0, Some(first.as_bytes())), Seen::Kept);
        assert_eq!(hall.came(1, Some(b"a line\n")), Seen::Foreign("who"));
        assert_eq!(hall.came(2, None), Seen::Foreign("who"));
        let peer = "192.0.2.1:4711".parse().unwrap();
        let said = hall.came(0, Some(format!("{rest}more").as_bytes()));
        assert_eq!(said, Seen::Said { who: "who", peer, taken: rest.len() });
        for id in [0, 1, 2, 9] {
            assert_eq!(hall.came(id, Some(b"x")), Seen::Unknown);
        }
        hall.clear();
        assert_eq!(hall.came(3, Some(line.as_bytes())), Seen::Unknown);
    }

    #[test]
    fn without_a_secret_nobody_knows_it() {
        let (_, now, line) = hall();
        let hall = Hall::default();
        hall.enter(1, "who", now);
        assert_eq!(hall.came(1, Some(line.as_bytes())), Seen::Foreign("who"));
    }

    #[test]
    fn nobody_waits_for_ever_and_a_stall_does_not_count() {
        let (hall, start, _) = hall();
        let at = |seconds| start + Duration::from_secs(seconds);
        hall.enter(1, "early", at(0));
        hall.enter(2, "late", at(5));
        assert_eq!(hall.overdue(at(9), at(0)), []);
        assert_eq!(hall.overdue(at(12), at(3)), [], "nothing could be heard for three seconds");
        assert_eq!(hall.overdue(at(13), at(3)), [(1, "early")]);
        assert_eq!(hall.overdue(at(15), at(3)), [(2, "late")]);
        assert!(hall.lock().order.is_empty() && hall.lock().waiting.is_empty());
    }

    #[test]
    fn a_full_hall_loses_its_oldest() {
        let (hall, now, line) = hall();
        for id in 0..MOST {
            assert_eq!(hall.enter(id, "who", now), None);
        }
        assert!(matches!(hall.came(0, Some(line.as_bytes())), Seen::Said { .. }));
        assert_eq!(hall.enter(MOST, "who", now), None);
        assert_eq!(hall.enter(MOST + 1, "who", now), Some((1, "who")));
        assert_eq!(hall.lock().waiting.len(), MOST);
    }

    #[test]
    fn whoever_is_told_to_go_is_closed_when_it_stays() {
        let (hall, start, line) = hall();
        let at = |seconds| start + Duration::from_secs(seconds);
        for id in 0..3 {
            assert_eq!(hall.leave(id, "who", at(0)), None);
        }
        hall.gone(1);
        assert_eq!(hall.lingering(at(9), start), []);
        assert_eq!(hall.lingering(at(12), at(3)), [], "nothing could be heard for three seconds");
        assert_eq!(hall.lingering(at(10), start), [(0, "who"), (2, "who")]);
        for id in 0..MOST {
            assert_eq!(hall.leave(id, "who", at(20)), None);
        }
        assert_eq!(hall.leave(MOST, "who", at(20)), Some((0, "who")));
        assert!((0..CLOSED).all(|_| hall.closes()));
        assert!(!hall.closes(), "there is a bound");
        hall.clear();
        assert!(hall.lingering(at(99), start).is_empty() && hall.closes());
        // Nobody is the relay's who has not said the line, and each is once.
        hall.enter(7, "who", start);
        assert!(!hall.was_ours(7));
        assert!(matches!(hall.came(7, Some(line.as_bytes())), Seen::Said { .. }));
        assert!(hall.was_ours(7) && !hall.was_ours(7));
    }

    #[test]
    fn a_refusal_is_told_with_the_secret() {
        let (hall, ..) = hall();
        let digits = Secret::new(&[7; RANDOM]).digits().to_owned();
        assert_eq!(hall.refusal(), format!("\u{15}{digits}\n").into_bytes());
    }
}
