//! Datagrams become records. No connection tells when a sender comes and goes: an address that is heard is a sender until
//! it has been silent for a while.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use super::framing::datagram;
use super::{End, Inner, Intake, Kind, Reject};
use crate::sink::Meta;

/// An address that was silent for so long is gone: syslog senders keep their port, one-shot ones never come back.
pub const SILENCE: Duration = Duration::from_secs(60);
/// When the stream is full, an address that was silent for so long makes room, whatever wants to come in; who sends now is not
/// pushed out by strangers.
const QUIET: Duration = Duration::from_secs(1);

/// The door for the datagrams of a stream. Dropping it without [`Datagrams::end`] counts those of its
/// senders as cut that were heard a moment ago.
#[derive(Debug)]
pub struct Datagrams {
    intake: Arc<Inner>,
    sessions: Arc<Mutex<Sessions>>,
}

/// Addresses that are heard; at most `max_connections`, together with the stream's other senders.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    heard: HashMap<SocketAddr, Session>,
    /// By the turn of their last datagram: the first one is silent longest.
    order: BTreeMap<u64, SocketAddr>,
    /// Of the newest datagram.
    turn: u64,
    /// [`Intake::shut`] leaves them to whoever holds the door.
    lingers: bool,
}

#[derive(Debug)]
struct Session {
    meta: Meta,
    bytes: u64,
    last: Instant,
    turn: u64,
}

impl Intake {
    /// A door for datagrams. Its senders end, as clean, when the stream is [shut](Intake::shut).
    #[must_use]
    pub fn datagrams(&self) -> Datagrams {
        self.door(false)
    }

    /// As [`datagrams`](Self::datagrams), for whoever has still to hand in what came before the stream was shut, and
    /// ends the door after that.
    #[must_use]
    pub fn lingering_datagrams(&self) -> Datagrams {
        self.door(true)
    }

    fn door(&self, lingers: bool) -> Datagrams {
        let sessions = Arc::new(Mutex::new(Sessions { lingers, ..Sessions::default() }));
        let mut doors = self.0.lock_doors();
        doors.retain(|door| door.strong_count() > 0);
        doors.push(Arc::downgrade(&sessions));
        if self.0.needs_watch() {
            self.0.look_after();
        }
        Datagrams { intake: Arc::clone(&self.0), sessions }
    }
}

impl Datagrams {
    fn lock(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes one datagram of `peer`: one record, in the sink's queue when this returns. An empty one holds none. Await
    /// [`room`](Self::room) before the next call, or memory is not bounded.
    pub fn take(&mut self, peer: SocketAddr, bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let intake = &*self.intake;
        let known = self.lock().heard.contains_key(&peer);
        if !known && intake.is_full() {
            intake.make_room(now);
        }
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(session) = sessions.hear(intake, peer, now) else {
            // Thrown away by us, and as lost as what the kernel throws away.
            return intake.ledger.datagrams_lost(1);
        };
        if !intake.is_within_rate(Some(peer.ip()), bytes.len(), now) {
            intake.turn_away(&session.meta.peer, Reject::MaxRate);
            return intake.ledger.datagrams_lost(1);
        }
        let (made, _) = intake.push(&session.meta, |out| {
            let made = datagram(intake.plan.framing, intake.plan.max_line, bytes, out);
            intake.ledger.received(bytes.len() as u64, made.records, made.split);
            made
        });
        session.bytes += bytes.len() as u64;
        session.meta.records += made.records;
    }

    /// Senders that were silent for [`SILENCE`] are gone. To be called every few seconds.
    pub fn tick(&mut self, now: Instant) {
        let mut sessions = self.lock();
        while sessions.leave_oldest(&self.intake, now, SILENCE) {}
    }

    /// So many datagrams more are known to be lost on their way here.
    pub fn lost(&self, datagrams: u64) {
        self.intake.ledger.datagrams_lost(datagrams);
    }

    /// Waits while the output takes no more.
    pub async fn room(&self) {
        self.intake.sink.room().await;
    }

    /// As [`room`](Self::room), for whoever cannot wait here; false when the drain is over.
    pub fn wait(&self) -> impl Future<Output = bool> + Send + use<> {
        self.intake.wait()
    }

    /// Whether [`room`](Self::room) would return at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.intake.sink.has_room()
    }

    /// Whether the drain is over, so that reading on may only lose bytes.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.intake.sink.is_released()
    }

    /// No more comes: every sender has ended like this.
    pub fn end(self, end: End) {
        self.lock().end_all(&self.intake, end);
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        let mut sessions = self.lock();
        sessions.leave_quiet(&self.intake, Instant::now());
        sessions.end_all(&self.intake, End::Cut);
    }
}

impl Inner {
    /// Whether nobody is let in as long as all stay.
    pub(super) fn is_full(&self) -> bool {
        self.ledger.senders_open() >= self.plan.max_connections
    }

    /// Of all addresses of the stream the one that is silent longest leaves, if it was for [`QUIET`]. No door may be locked.
    pub(super) fn make_room(&self, now: Instant) {
        let doors: Vec<_> = self.lock_doors().iter().filter_map(Weak::upgrade).collect();
        let oldest = |door: &Arc<Mutex<Sessions>>| door.lock().unwrap_or_else(PoisonError::into_inner).oldest();
        let quietest = doors.iter().filter_map(|door| Some((oldest(door)?, door))).min_by_key(|(last, _)| *last);
        if let Some((_, door)) = quietest {
            door.lock().unwrap_or_else(PoisonError::into_inner).leave_oldest(self, now, QUIET);
        }
    }
}

impl Sessions {
    /// When the one that is silent longest was heard.
    fn oldest(&self) -> Option<Instant> {
        let (_, oldest) = self.order.first_key_value()?;
        Some(self.heard[oldest].last)
    }

    /// The session of `peer`, which is heard now.
    fn hear(&mut self, intake: &Inner, peer: SocketAddr, now: Instant) -> Result<&mut Session, Reject> {
        if !self.heard.contains_key(&peer) {
            let (name, ip) = (peer.to_string(), peer.ip());
            intake.knock_by_datagram(ip, now).inspect_err(|why| intake.turn_away(&name, *why))?;
            let connection = intake.open(&name, Some(ip), None, self.lingers, Kind::Address)?;
            let meta = intake.meta(&name, connection);
            // A turn that nobody has: it is given below.
            self.heard.insert(peer, Session { meta, bytes: 0, last: now, turn: 0 });
        }
        let session = self.heard.get_mut(&peer).expect("put in above at the latest");
        session.last = now;
        if session.turn != self.turn || session.turn == 0 {
            self.order.remove(&session.turn);
            self.turn += 1;
            session.turn = self.turn;
            self.order.insert(self.turn, peer);
        }
        Ok(session)
    }

    /// Ends the session that is silent longest if it was for `silence`.
    fn leave_oldest(&mut self, intake: &Inner, now: Instant, silence: Duration) -> bool {
        let Some(oldest) = self.order.first_entry() else { return false };
        if now.saturating_duration_since(self.heard[oldest.get()].last) < silence {
            return false;
        }
        let peer = oldest.remove();
        self.leave(intake, peer, End::Idle);
        true
    }

    /// Ends those that were silent for [`QUIET`].
    pub(super) fn leave_quiet(&mut self, intake: &Inner, now: Instant) {
        while self.leave_oldest(intake, now, QUIET) {}
    }

    fn leave(&mut self, intake: &Inner, peer: SocketAddr, end: End) {
        if let Some(session) = self.heard.remove(&peer) {
            intake.close(session.meta, Some(peer.ip()), session.bytes, end, Kind::Address);
        }
    }

    fn end_all(&mut self, intake: &Inner, end: End) {
        for (_, peer) in std::mem::take(&mut self.order) {
            self.leave(intake, peer, end);
        }
    }

    /// The stream is shut.
    pub(super) fn shut(&mut self, intake: &Inner) {
        if !self.lingers {
            self.end_all(intake, End::Clean);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{open, open_as};
    use super::*;
    use crate::plan::{Framing, Transport};
    use tokio_util::sync::CancellationToken;

    /// Longer than a test takes.
    const LONG: Duration = Duration::from_secs(600);

    fn peer(n: u16) -> SocketAddr {
        SocketAddr::new([192, 0, 2, 1].into(), n)
    }

    #[tokio::test]
    async fn a_datagram_is_one_record_and_gets_the_end_that_it_lacks() {
        let (dir, intake, sink) = open(10);
        let (mut door, now) = (intake.datagrams(), Instant::now());
        for bytes in [&b"whole\n"[..], b"no end", b"", b"two\nlines", b"\0\xff"] {
            door.take(peer(1), bytes, now);
        }
        door.take("[::ffff:192.0.2.1]:1".parse().unwrap(), b"the same sender\n", now);
        let counts = intake.ledger().counts();
        assert_eq!((counts.records, counts.senders.open, counts.senders.accepted), (5, 1, 1));
        door.lost(3);
        door.lost(4);
        drop(door);
        assert_eq!(sink.finish(CancellationToken::new()).await.lost, 0);
        let file = std::fs::read(dir.path().join("out")).unwrap();
        assert_eq!(file, b"whole\nno end\ntwo\nlines\n\0\xff\nthe same sender\n");
        let counts = intake.ledger().counts();
        assert_eq!((counts.ledger.received, counts.ledger.stored, counts.ledger.added), (39, 39, 3));
        assert_eq!((counts.datagrams_lost, counts.senders.open, counts.senders.cut), (7, 0, 1));
    }

    #[tokio::test]
    async fn a_long_datagram_is_split_and_a_raw_one_is_left_as_it_is() {
        let (dir, intake, sink) = open(10);
        let mut door = intake.datagrams();
        let (fits, long) = ([b'x'; 1023], [b'y'; 1024]);
        door.take(peer(1), &fits, Instant::now());
        door.take(peer(1), &long, Instant::now());
        door.end(End::Clean);
        sink.finish(CancellationToken::new()).await;
        let counts = intake.ledger().counts();
        assert_eq!((counts.records, counts.split, counts.ledger.added, counts.senders.cut), (3, 1, 3, 0));
        let lines: Vec<usize> =
            std::fs::read(dir.path().join("out")).unwrap().split(|b| *b == b'\n').map(<[u8]>::len).collect();
        assert_eq!(lines, [1023, 1023, 1, 0]);

        let (dir, intake, sink) = open_as(10, Framing::Raw, Transport::Udp);
        let mut door = intake.datagrams();
        door.take(peer(1), &long, Instant::now());
        door.end(End::Clean);
        sink.finish(CancellationToken::new()).await;
        assert_eq!(std::fs::read(dir.path().join("out")).unwrap(), long);
        let counts = intake.ledger().counts();
        assert_eq!((counts.records, counts.split, counts.ledger.added), (1, 0, 0));
    }

    #[tokio::test]
    async fn who_is_silent_leaves_and_who_sends_is_not_pushed_out() {
        let (_dir, intake, sink) = open(2);
        let (mut door, start) = (intake.datagrams(), Instant::now());
        let at = |seconds: f64| start + Duration::from_secs_f64(seconds);
        let senders = || intake.ledger().counts().senders;
        door.take(peer(1), b"a\n", at(0.0));
        door.take(peer(2), b"b\n", at(0.5));
        door.take(peer(1), b"a\n", at(0.6));
        door.take(peer(3), b"c\n", at(1.0));
        assert_eq!(senders().rejected.get("max_connections"), Some(&1), "both have just sent");
        let counts = intake.ledger().counts();
        assert_eq!((counts.records, counts.datagrams_lost), (3, 1), "each is stored or counted");
        door.take(peer(3), b"c\n", at(1.5));
        assert_eq!((senders().open, senders().accepted), (2, 3), "the second was silent longest");
        door.take(peer(1), b"a\n", at(2.0));
        assert_eq!(senders().accepted, 3, "the first is still in");
        door.tick(at(61.4));
        assert_eq!(senders().open, 2);
        door.tick(at(61.5));
        assert_eq!(senders().open, 1);
        door.tick(at(62.0));
        assert_eq!((senders().open, senders().cut), (0, 0));
        door.take(peer(1), b"a\n", at(63.0));
        assert_eq!(senders().accepted, 4);
        drop(door);
        sink.finish(CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn addresses_that_went_silent_make_room_for_connections_and_for_other_doors() {
        let (_dir, intake, sink) = open(4);
        let (mut first, mut second) = (intake.datagrams(), intake.datagrams());
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        let senders = || intake.ledger().counts().senders;
        first.take(peer(1), b"a\n", ago(3));
        second.take(peer(2), b"b\n", ago(5));
        first.take(peer(3), b"c\n", Instant::now() + LONG);
        second.take(peer(4), b"d\n", Instant::now() + LONG);
        let _one = intake.admit("192.0.2.9:1").unwrap();
        second.take(peer(2), b"b\n", Instant::now() + LONG);
        assert_eq!(senders().accepted, 6, "the second came back in the place of the first, at the other door");
        assert_eq!(intake.admit("192.0.2.9:2").unwrap_err(), Reject::MaxConnections, "all others send");
        assert_eq!((senders().open, senders().cut), (4, 0));
        second.end(End::Clean);
        drop(first);
        sink.finish(CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn only_who_was_still_sending_counts_as_cut_when_the_way_here_is_lost() {
        let (_dir, intake, sink) = open(10);
        let ago = |seconds| Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap();
        for told in [false, true] {
            let mut door = intake.datagrams();
            for one_shot in 1..=5 {
                door.take(peer(one_shot), b"a\n", ago(30));
            }
            door.take(peer(6), b"b\n", Instant::now() + LONG);
            if told {
                intake.lost(Instant::now());
                assert_eq!(intake.open_senders(), 1);
            }
            drop(door);
        }
        let counts = intake.ledger().counts();
        assert_eq!((counts.senders.accepted, counts.senders.open, counts.senders.cut), (12, 0, 2));
        assert_eq!((counts.addresses.open, counts.addresses.cut), (0, 2));
        let both = (intake.admit("192.0.2.9:1").unwrap(), intake.lingering_datagrams());
        intake.lost(Instant::now() + LONG);
        drop(both);
        let counts = intake.ledger().counts();
        assert_eq!((counts.senders.cut, counts.addresses.cut), (3, 2), "a connection is cut however silent it was");
        sink.finish(CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn nobody_waits_for_the_silence_of_senders_when_the_stream_is_shut() {
        let (_dir, intake, sink) = open(10);
        let mut door = intake.datagrams();
        door.take(peer(1), b"a\n", Instant::now());
        intake.shut();
        tokio::time::timeout(Duration::from_secs(5), intake.drained()).await.unwrap();
        door.take(peer(1), b"late\n", Instant::now());
        let counts = intake.ledger().counts();
        assert_eq!((counts.senders.cut, counts.records, counts.datagrams_lost), (0, 1, 1));
        assert_eq!(counts.senders.rejected.get("draining"), Some(&1));
        sink.finish(CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn a_door_that_lingers_takes_what_came_before_the_end() {
        let (_dir, intake, sink) = open(10);
        let mut door = intake.lingering_datagrams();
        door.take(peer(1), b"a\n", Instant::now());
        intake.shut();
        door.take(peer(1), b"was in the kernel\n", Instant::now());
        door.take(peer(2), b"this too\n", Instant::now());
        assert_eq!(intake.open_senders(), 2);
        door.end(End::Clean);
        intake.drained().await;
        let counts = intake.ledger().counts();
        assert_eq!((counts.senders.cut, counts.senders.accepted, counts.records), (0, 2, 3));
        sink.finish(CancellationToken::new()).await;
    }
}
