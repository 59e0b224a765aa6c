//! A sender's bytes become records of a stream.
//!
//! [`Intake`] is the door of one stream: it lets senders in while the gate is open and there is room. [`Sender`] is one
//! connection behind that door. The framing itself is pure ([`framing`]); what is here connects it with ledger and sink.

mod acks;
mod answers;
pub mod datagrams;
mod door;
pub mod framing;
#[cfg(test)]
#[path = "fuzz_tests.rs"]
pub mod fuzz;
mod gate;
mod keywords;
mod limits;
pub mod listen;
mod pool;
mod rejects;
mod sender;
mod watch;
mod why;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use datagrams::Sessions;

pub use answers::{LINGER, Mouth};
pub use keywords::Keywords;
use limits::Addresses;
pub use pool::MAX_WAITING;
use rejects::Rejects;
pub use sender::{Ear, Leavings, Sender};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;
pub use watch::Leash;
use watch::Watch;
use why::Kind;
pub use why::{End, Reject};

use crate::audit::Trail;
use crate::ledger::StreamLedger;
use crate::plan::{Framing, StreamPlan};
use crate::sink::{Look, Meta, Records, SinkHandle};

/// Bytes of unfinished records that all senders of a stream may hold together. Beyond it those of senders that
/// hold more than the average are split: 4,096 senders with 256 KiB each would be a gigabyte.
pub const MAX_UNFINISHED: usize = 64 * 1024 * 1024;
/// The reason in the ledger for bytes that framing took away: octet counts, headers, half frames, stripped ends.
pub const FRAMING: &str = "framing";
/// The reason for the lines that let senders in, and for senders that were at the gate and had no fault.
pub const GATE: &str = "gate";

/// Senders of a stream on local ports that may wait for room at once; the others queue up behind them. As many as read at the same
/// time on a few processors.
const READERS: usize = 4;

/// The door of one stream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Intake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// For the task that looks after senders.
    me: Weak<Inner>,
    /// Of the stream.
    name: Arc<str>,
    plan: StreamPlan,
    ledger: StreamLedger,
    sink: SinkHandle,
    trail: Trail,
    shut: AtomicBool,
    /// Senders that are answered are told to go.
    leaving: CancellationToken,
    /// Those that were told and are still in: nothing more is taken from them, and nobody waits for their end.
    gone: AtomicUsize,
    /// Whoever is still in is ended from here.
    over: AtomicBool,
    unfinished: AtomicUsize,
    /// Senders that are answered, until they have heard the last word.
    listening: AtomicUsize,
    /// The doors for datagrams, whose senders end when nobody is let in any more.
    doors: Mutex<Vec<Weak<Mutex<Sessions>>>>,
    keywords: Keywords,
    /// Senders that may have to go before they want to.
    watch: Watch,
    /// Who may read next, first come, first served.
    turns: Arc<Semaphore>,
    addresses: Mutex<Addresses>,
    rejects: Mutex<Rejects>,
    /// Told whenever a sender leaves.
    left: Notify,
}

impl Intake {
    /// The door of the stream `plan`, whose records go to `sink`.
    #[must_use]
    pub fn new(plan: StreamPlan, ledger: StreamLedger, sink: SinkHandle, trail: Trail) -> Self {
        Self(Arc::new_cyclic(|me| Inner {
            me: Weak::clone(me),
            name: plan.name.as_str().into(),
            plan,
            ledger,
            sink,
            trail,
            shut: AtomicBool::new(false),
            leaving: CancellationToken::new(),
            gone: AtomicUsize::new(0),
            over: AtomicBool::new(false),
            unfinished: AtomicUsize::new(0),
            listening: AtomicUsize::new(0),
            doors: Mutex::default(),
            keywords: Keywords::default(),
            watch: Watch::new(Instant::now()),
            turns: Arc::new(Semaphore::new(READERS)),
            addresses: Mutex::default(),
            rejects: Mutex::default(),
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

    /// What senders have to say first.
    #[must_use]
    pub fn keywords(&self) -> &Keywords {
        &self.0.keywords
    }

    /// Lets a sender in, or counts and names why not. `peer` is `ip:port`, for the limits and the audit trail. Where there are
    /// keywords it is in when it has said one.
    ///
    /// # Errors
    /// When the stream is shut, its address is not let in, or enough are open.
    pub fn admit(&self, peer: &str) -> Result<Sender, Reject> {
        let (inner, now) = (&self.0, Instant::now());
        let ip = inner.knock(peer, now)?;
        if inner.has_gate() {
            let ticket = inner.wait_before_gate(peer, ip, now);
            return Ok(Sender::before_gate(Arc::clone(inner), inner.meta(peer, 0), ip, ticket));
        }
        let connection = inner.open(peer, ip, None, false, Kind::Connection)?;
        let ticket = inner.needs_watch().then(|| inner.watch_over(now));
        Ok(Sender::inside(Arc::clone(inner), inner.meta(peer, connection), ip, ticket))
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
        self.0.leaving.cancel();
        for door in self.0.lock_doors().iter().filter_map(Weak::upgrade) {
            door.lock().unwrap_or_else(PoisonError::into_inner).shut(&self.0);
        }
        self.0.clear_gate();
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
        self.drained_but(|_| 0).await;
    }

    /// As [`drained`](Self::drained), but for senders that were told to go: their connections end with the way here, and some
    /// of them listen to nothing before they have something to say.
    pub async fn deserted(&self) {
        self.drained_but(|intake| intake.gone.load(Ordering::Acquire)).await;
    }

    async fn drained_but(&self, gone: impl Fn(&Inner) -> usize) {
        loop {
            let left = self.0.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            if self.open_senders() <= gone(&self.0) && self.0.listening.load(Ordering::Acquire) == 0 {
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

    /// Lets `fill` hand over records of the sender of `meta`; with what it returns comes the position of their end. Its bytes are
    /// to be entered in the ledger by `fill`: the writer must not store bytes that the ledger has not received.
    fn push<T>(&self, meta: &Meta, fill: impl FnOnce(&mut dyn Records) -> T) -> (T, u64) {
        let syslog = matches!(self.plan.framing, Framing::Syslog | Framing::Relp);
        self.sink.write(Look { format: &self.plan.format, syslog }, meta, fill)
    }

    fn meta(&self, peer: &str, connection: u64) -> Meta {
        Meta { peer: peer.to_owned(), keyword: None, stream: Arc::clone(&self.name), connection, records: 0 }
    }

    fn lock_doors(&self) -> MutexGuard<'_, Vec<Weak<Mutex<Sessions>>>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Output, Transport};
    use crate::sink::{Options, OutputFile, Sink};

    fn plan(path: &std::path::Path, max_connections: usize, framing: Framing, transport: Transport) -> StreamPlan {
        let out = Output::file_at(path);
        StreamPlan { transport, out, framing, max_connections, ..StreamPlan::example() }
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
