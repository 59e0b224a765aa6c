//! A sender's bytes become records of a stream.
//!
//! [`Intake`] is the door of one stream: it lets senders in while the gate is open and there is room. [`Sender`] is one
//! connection behind that door. The framing itself is pure ([`framing`]); what is here connects it with ledger and sink.

mod acks;
mod answers;
pub mod datagrams;
pub mod framing;
pub mod listen;
mod why;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use datagrams::Sessions;

use answers::Answers;
pub use answers::{LINGER, Mouth};
use framing::{Framer, Made, Over};
use tokio::sync::Notify;
use why::Kind;
pub use why::{End, Reject};

use crate::audit::{Event, Trail};
use crate::ledger::StreamLedger;
use crate::plan::StreamPlan;
use crate::sink::SinkHandle;

/// Bytes of unfinished records that all senders of a stream may hold together. Beyond it those of senders that
/// hold more than the average are split: 4,096 senders with 256 KiB each would be a gigabyte.
pub const MAX_UNFINISHED: usize = 64 * 1024 * 1024;
/// The reason in the ledger for bytes that framing took away: octet counts, headers, half frames, stripped ends.
pub const FRAMING: &str = "framing";

/// The door of one stream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    plan: StreamPlan,
    ledger: StreamLedger,
    sink: SinkHandle,
    trail: Trail,
    shut: AtomicBool,
    /// Whoever is still in is ended from here.
    over: AtomicBool,
    unfinished: AtomicUsize,
    /// Senders that are answered, until they have heard the last word.
    listening: AtomicUsize,
    /// The doors for datagrams, whose senders end when nobody is let in any more.
    doors: Mutex<Vec<Weak<Mutex<Sessions>>>>,
    /// Told whenever a sender leaves.
    left: Notify,
}

impl Intake {
    /// The door of the stream `plan`, whose records go to `sink`.
    #[must_use]
    pub fn new(plan: StreamPlan, ledger: StreamLedger, sink: SinkHandle, trail: Trail) -> Self {
        Self(Arc::new(Inner {
            plan,
            ledger,
            sink,
            trail,
            shut: AtomicBool::new(false),
            over: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            listening: AtomicUsize::new(0),
            doors: Mutex::default(),
            left: Notify::new(),
        }))
    }

    /// What the stream is meant to be.
    #[must_use]
    pub fn plan(&self) -> &StreamPlan {
        &self.0.plan
    }

    /// The stream's counters.
    #[must_use]
    pub fn ledger(&self) -> &StreamLedger {
        &self.0.ledger
    }

    /// Lets a sender in, or counts and names why not. `peer` is `ip:port`, for the audit trail.
    ///
    /// # Errors
    /// When the gate is shut or `max_connections` are open.
    pub fn admit(&self, peer: &str) -> Result<Sender, Reject> {
        // Addresses that only were heard must not keep out whoever is there.
        if self.0.is_full() {
            self.0.make_room(Instant::now());
        }
        let connection = self.0.open(peer, false, Kind::Connection)?;
        let framer = Framer::new(self.0.plan.framing, self.0.plan.ends, self.0.plan.max_line);
        let answers = self.0.plan.framing.answers().then(Answers::default);
        let (intake, peer) = (Arc::clone(&self.0), peer.to_owned());
        Ok(Sender { intake, peer, connection, framer, answers, held: 0, bytes: 0, records: 0, end: None })
    }

    /// Counts and tells that `peer` was turned away before it came to the door.
    pub fn turn_away(&self, peer: &str, why: Reject) {
        self.0.turn_away(peer, why);
    }

    /// Whether a sender could feed now: the output is not behind.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.0.sink.has_room()
    }

    /// Lets nobody in any more; whoever is in may finish.
    pub fn shut(&self) {
        self.0.shut.store(true, Ordering::Release);
        for door in self.0.lock_doors().iter().filter_map(Weak::upgrade) {
            door.lock().unwrap_or_else(PoisonError::into_inner).shut(&self.0);
        }
    }

    /// The way here is lost at `now`: addresses that were silent before have lost nothing and are gone; all others are cut by
    /// whoever drops them. It takes a while until a way that died without a word is known to be lost, and nobody is heard
    /// then.
    pub fn lost(&self, now: Instant) {
        let doors: Vec<_> = self.0.lock_doors().iter().filter_map(Weak::upgrade).collect();
        for door in doors {
            door.lock().unwrap_or_else(PoisonError::into_inner).leave_quiet(&self.0, now);
        }
    }

    /// The time to finish is over: who is still in is cut, and it is not the network's doing.
    pub fn call_time(&self) {
        self.0.over.store(true, Ordering::Release);
    }

    /// Senders that are in.
    #[must_use]
    pub fn open_senders(&self) -> usize {
        self.0.ledger.senders_open()
    }

    /// Returns when no sender is in, and none waits for an answer.
    pub async fn drained(&self) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.open_senders() == 0 && self.0.listening.load(Ordering::Acquire) == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Inner {
    /// Waits while the output takes no more; false when the drain is over.
    fn wait(self: &Arc<Self>) -> impl Future<Output = bool> + Send + use<> {
        let intake = Arc::clone(self);
        async move {
            intake.sink.room().await;
            !intake.sink.is_released()
        }
    }

    fn lock_doors(&self) -> MutexGuard<'_, Vec<Weak<Mutex<Sessions>>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a sender in, or counts and names why not; its number. `late`: even when the gate is shut.
    fn open(&self, peer: &str, late: bool, kind: Kind) -> Result<u64, Reject> {
        let Self { plan, ledger, trail, shut, .. } = self;
        let admitted = if shut.load(Ordering::Acquire) && !late {
            Err(Reject::Draining)
        } else {
            let number = match kind {
                Kind::Connection => ledger.sender_opened(plan.max_connections),
                Kind::Address => ledger.address_opened(plan.max_connections),
            };
            number.ok_or(Reject::MaxConnections)
        };
        match admitted {
            Ok(connection) => {
                trail.tell(&Event::SenderOpen { stream: plan.name.clone(), peer: peer.to_owned(), connection });
            }
            Err(reject) => self.turn_away(peer, reject),
        }
        admitted
    }

    fn turn_away(&self, peer: &str, why: Reject) {
        self.ledger.sender_rejected(why.as_str());
        let (stream, why) = (self.plan.name.clone(), why.as_str().into());
        self.trail.tell(&Event::Reject { stream, peer: peer.to_owned(), why });
    }

    /// A sender that was let in is gone.
    fn close(&self, peer: String, connection: u64, (bytes, records): (u64, u64), end: End, kind: Kind) {
        let over = end == End::Cut && self.over.load(Ordering::Acquire);
        let end = if over { End::Draining } else { end };
        let (stream, why) = (self.plan.name.clone(), end.as_str().into());
        self.trail.tell(&Event::SenderClose { stream, peer, connection, bytes, records, why });
        // Last: whoever waits for the drain may end the trail then.
        let cut = !matches!(end, End::Clean | End::Idle);
        match kind {
            Kind::Connection => self.ledger.sender_closed(cut),
            Kind::Address => self.ledger.address_closed(cut),
        }
        self.left.notify_waiters();
    }
}

/// One sender that was let in. Dropping it without [`Sender::end`] counts as a cut.
#[derive(Debug)]
pub struct Sender {
    intake: Arc<Inner>,
    /// `ip:port`.
    peer: String,
    /// Which of the stream's senders it is.
    connection: u64,
    framer: Framer,
    /// For a framing that answers.
    answers: Option<Answers>,
    /// What `unfinished` knows of our unfinished record, in bytes.
    held: usize,
    /// Received from it.
    bytes: u64,
    /// Made of them.
    records: u64,
    /// How it ended; the first word counts.
    end: Option<End>,
}

impl Sender {
    /// Takes what arrived; complete records are in the sink's queue when this returns. Await [`Sender::room`] before the
    /// next call, or memory is not bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        let Self { intake, framer, held, .. } = self;
        let (made, position) = intake.sink.push_and_tell(|out| {
            let mut made = framer.feed(bytes, out);
            // Whoever holds more than the average pays; others go on, which at most doubles the sum.
            if framer.held() != *held
                && track(&intake.unfinished, held, framer.held()) > MAX_UNFINISHED
                && *held > MAX_UNFINISHED / intake.ledger.senders_open().max(1)
            {
                made += framer.relieve(out);
                track(&intake.unfinished, held, framer.held());
            }
            // Inside the queue's lock: the writer must not store bytes that the ledger has not received.
            enter(&intake.ledger, bytes.len(), made);
            made
        });
        self.bytes += bytes.len() as u64;
        self.records += made.records;
        if let Some(answers) = &self.answers
            && let Some(said) = framer.said()
        {
            answers.hear(said, position);
            if let Some(over) = said.over {
                self.end.get_or_insert(if over == Over::Bad { End::Framing } else { End::Clean });
            }
        }
    }

    /// What is to be written back to it, for a framing that answers.
    #[must_use]
    pub fn mouth(&self) -> Option<Mouth> {
        self.answers.as_ref().zip(self.ear()).map(|(answers, ear)| answers.mouth(self.intake.sink.safe(), ear))
    }

    /// For whoever knows better than the [`Mouth`] when it has heard the last word. `None`: it is never answered.
    #[must_use]
    pub fn ear(&self) -> Option<Ear> {
        self.answers.as_ref().map(|_| Ear::new(Arc::clone(&self.intake)))
    }

    /// Whether nothing that it still sends is wanted: its session is over.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// Waits while the output takes no more.
    pub async fn room(&self) {
        self.intake.sink.room().await;
    }

    /// As [`room`](Self::room), for whoever cannot wait here; false when the [drain is over](Self::is_released).
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

    /// The sender has ended; an unfinished last line gets its end.
    pub fn end(mut self, end: End) {
        self.end.get_or_insert(end);
    }
}

/// A sender that listens to answers: a [drain](Intake::drained) waits as long as this is there.
#[derive(Debug)]
pub struct Ear(Arc<Inner>);

impl Ear {
    fn new(intake: Arc<Inner>) -> Self {
        intake.listening.fetch_add(1, Ordering::AcqRel);
        Self(intake)
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        self.0.listening.fetch_sub(1, Ordering::AcqRel);
        self.0.left.notify_waiters();
    }
}

/// `bytes` came, of which a framing `made` something.
fn enter(ledger: &StreamLedger, bytes: usize, made: Made) {
    ledger.received(bytes as u64, made.records, made.split);
    if made.taken > 0 {
        ledger.discarded(FRAMING, made.taken);
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let Self { intake, framer, held, records, .. } = self;
        *records += intake.sink.push(|out| {
            let made = framer.finish(out);
            enter(&intake.ledger, 0, made);
            made.records
        });
        track(&intake.unfinished, held, 0);
        if let Some(answers) = &self.answers {
            answers.end(self.end.is_some());
        }
        let sum = (self.bytes, *records);
        let end = self.end.unwrap_or(End::Cut);
        intake.close(std::mem::take(&mut self.peer), self.connection, sum, end, Kind::Connection);
    }
}

/// Makes our share of the sum what it `is` now; returns the new sum.
fn track(sum: &AtomicUsize, share: &mut usize, is: usize) -> usize {
    let was = std::mem::replace(share, is);
    if is >= was {
        sum.fetch_add(is - was, Ordering::AcqRel) + (is - was)
    } else {
        sum.fetch_sub(was - is, Ordering::AcqRel) - (was - is)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Ends, Framing, Relay, Rotate, Sync, Transport};
    use crate::sink::{Options, OutputFile, Sink};
    use tokio_util::sync::CancellationToken;

    fn plan(path: &std::path::Path, max_connections: usize, framing: Framing, transport: Transport) -> StreamPlan {
        StreamPlan {
            name: "main".into(),
            transport,
            relay: Relay::Never,
            bind: "*".into(),
            port: 0,
            out: path.into(),
            framing,
            ends: Ends::default(),
            max_line: 1024,
            max_connections,
            sync: Sync::Never,
            rotate: Rotate::default(),
            min_free: 0,
        }
    }

    pub(super) fn open(max_connections: usize) -> (tempfile::TempDir, Intake, Sink) {
        open_as(max_connections, Framing::Lines, Transport::Tcp)
    }

    pub(super) fn open_as(
        max_connections: usize,
        framing: Framing,
        transport: Transport,
    ) -> (tempfile::TempDir, Intake, Sink) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let plan = plan(&path, max_connections, framing, transport);
        let ledger = StreamLedger::new();
        let options = Options::of(&plan, Trail::nowhere());
        let sink = Sink::start(OutputFile::open(&path).unwrap(), ledger.clone(), options).unwrap();
        (dir, Intake::new(plan, ledger, sink.handle(), Trail::nowhere()), sink)
    }

    #[tokio::test]
    async fn lines_of_two_senders_never_mix_and_every_byte_is_accounted_for() {
        let (dir, intake, sink) = open(10);
        let (mut a, mut b) = (intake.admit("a").unwrap(), intake.admit("b").unwrap());
        a.feed(b"from a: be");
        b.feed(b"from b: whole\nfrom b: cu");
        a.feed(b"ginning and end\n");
        a.end(End::Clean);
        drop(b);
        let counts = intake.ledger().counts();
        assert_eq!((counts.senders.open, counts.senders.accepted, counts.senders.cut), (0, 2, 1));
        assert_eq!(sink.finish(CancellationToken::new()).await.lost, 0);
        let file = std::fs::read(dir.path().join("out")).unwrap();
        assert_eq!(file, b"from b: whole\nfrom a: beginning and end\nfrom b: cu\n");
        let counts = intake.ledger().counts();
        assert_eq!((counts.ledger.received, counts.ledger.stored, counts.ledger.pending), (50, 50, 0));
        assert_eq!((counts.ledger.added, counts.ledger.synced, counts.records), (1, 50, 3));
        assert_eq!(counts.output_bytes, file.len() as u64);
    }

    #[tokio::test]
    async fn the_door_counts_whom_it_turns_away() {
        let (_dir, intake, sink) = open(1);
        let first = intake.admit("a").unwrap();
        assert_eq!(intake.admit("b").unwrap_err(), Reject::MaxConnections);
        first.end(End::Clean);
        intake.admit("c").unwrap().end(End::Clean);
        intake.shut();
        assert_eq!(intake.admit("d").unwrap_err(), Reject::Draining);
        let senders = intake.ledger().counts().senders;
        assert_eq!(senders.accepted, 2);
        assert_eq!(
            senders.rejected.into_iter().collect::<Vec<_>>(),
            [("draining".into(), 1), ("max_connections".into(), 1)]
        );
        sink.finish(CancellationToken::new()).await;
    }

    #[tokio::test]
    async fn drained_waits_for_the_last_sender() {
        let (_dir, intake, sink) = open(2);
        let sender = intake.admit("a").unwrap();
        let waits = tokio::spawn({
            let intake = intake.clone();
            async move { intake.drained().await }
        });
        tokio::task::yield_now().await;
        assert!(!waits.is_finished());
        sender.end(End::Clean);
        waits.await.unwrap();
        sink.finish(CancellationToken::new()).await;
    }
}
