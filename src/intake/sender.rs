//! One connection at the door of a stream, and behind it.

mod knock;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tokio::sync::OwnedSemaphorePermit;

use super::answers::{Answers, Mouth};
use super::framing::{Framer, Made, Over};
use super::gate::Gate;
use super::watch::{Leash, Ticket};
use super::why::{End, Kind};
use super::{FRAMING, Inner, MAX_UNFINISHED, Reject};
use crate::ledger::StreamLedger;
use crate::sink::Meta;

/// One sender that was let in, or that may say the keyword. Dropping it without [`Sender::end`] counts as a cut.
#[derive(Debug)]
pub struct Sender {
    intake: Arc<Inner>,
    /// Who it is, and how many records it has delivered.
    meta: Meta,
    /// Its address, if it has one.
    ip: Option<IpAddr>,
    stage: Stage,
    /// When it may have to go before it wants to.
    ticket: Option<Arc<Ticket>>,
    framer: Framer,
    /// For a framing that answers.
    answers: Option<Answers>,
    /// What `unfinished` knows of our unfinished record, in bytes.
    held: usize,
    /// Received from it.
    bytes: u64,
    /// How it ended; the first word counts.
    end: Option<End>,
}

#[derive(Debug)]
enum Stage {
    /// What it has said is in there.
    Before(Gate),
    /// It is counted among those that are open.
    In {
        /// Bytes that it has sent as such, of those that were wanted.
        wanted: u64,
    },
    /// It was not let in, and that is told.
    Out,
}

impl Sender {
    /// A sender that was let in.
    pub(super) fn inside(intake: Arc<Inner>, meta: Meta, ip: Option<IpAddr>, ticket: Option<Arc<Ticket>>) -> Self {
        Self::new(intake, meta, ip, ticket, Stage::In { wanted: 0 })
    }

    /// A sender that has to say the keyword first.
    pub(super) fn before_gate(intake: Arc<Inner>, meta: Meta, ip: Option<IpAddr>, ticket: Arc<Ticket>) -> Self {
        Self::new(intake, meta, ip, Some(ticket), Stage::Before(Gate::default()))
    }

    fn new(intake: Arc<Inner>, meta: Meta, ip: Option<IpAddr>, ticket: Option<Arc<Ticket>>, stage: Stage) -> Self {
        let framer = Framer::new(intake.plan.framing, intake.plan.ends, intake.plan.max_line);
        let answers = intake.plan.framing.answers().then(Answers::default);
        if let (Some(answers), Stage::In { .. }) = (&answers, &stage) {
            answers.let_in();
        }
        Self { intake, meta, ip, stage, ticket, framer, answers, held: 0, bytes: 0, end: None }
    }

    /// Takes what arrived; complete records are in the sink's queue when this returns. Await [`Sender::room`] before the
    /// next call, or memory is not bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(why) = self.ousted() {
            return self.throw_away(bytes.len(), why);
        }
        match &mut self.stage {
            Stage::Before(_) => self.knock(bytes),
            Stage::In { .. } => self.take(bytes),
            Stage::Out => {}
        }
    }

    /// Why it has to go, if it was told so: nothing more of it is wanted.
    fn ousted(&mut self) -> Option<End> {
        let told = self.ticket.as_ref().and_then(|ticket| ticket.why());
        let own = self.end.filter(|end| end.is_limit() || matches!(end, End::TurnedAway(_)));
        let why = told.or(own)?;
        self.end = Some(why);
        Some(why)
    }

    /// These bytes came and are not wanted.
    fn throw_away(&self, bytes: usize, why: End) {
        self.intake.ledger.received(bytes as u64, 0, 0);
        self.intake.ledger.discarded(why.as_str(), bytes as u64);
    }

    fn hear(&self) {
        if let Some(ticket) = &self.ticket {
            self.intake.watch.heard(ticket, Instant::now());
        }
    }

    /// What it sends as a sender.
    fn take(&mut self, bytes: &[u8]) {
        self.hear();
        let limits = &self.intake.plan.limits;
        let Stage::In { wanted } = &mut self.stage else { return };
        let left = limits.max_bytes.map_or(u64::MAX, |most| most - *wanted);
        let (now_wanted, beyond) = bytes.split_at(usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()));
        if limits.max_rate.is_some() && !self.intake.is_within_rate(self.ip, now_wanted.len(), Instant::now()) {
            self.end.get_or_insert(End::MaxRate);
            return self.throw_away(bytes.len(), End::MaxRate);
        }
        *wanted += now_wanted.len() as u64;
        self.frame(now_wanted);
        if !beyond.is_empty() {
            self.end.get_or_insert(End::MaxBytes);
            self.throw_away(beyond.len(), End::MaxBytes);
        }
    }

    fn frame(&mut self, bytes: &[u8]) {
        if self.has_left() {
            // Stored without an acknowledgement it would stand there twice.
            enter(&self.intake.ledger, bytes.len(), Made { taken: bytes.len() as u64, ..Made::default() });
            return;
        }
        let Self { intake, meta, framer, held, .. } = self;
        let (made, position) = intake.push(meta, |out| {
            let mut made = framer.feed(bytes, out);
            // Whoever holds more than the average pays; others go on, which at most doubles the sum.
            if framer.held() != *held
                && track(&intake.unfinished, held, framer.held()) > MAX_UNFINISHED
                && *held > MAX_UNFINISHED / intake.ledger.senders_open().max(1)
            {
                made += framer.relieve(out);
                track(&intake.unfinished, held, framer.held());
            }
            enter(&intake.ledger, bytes.len(), made);
            made
        });
        self.meta.records += made.records;
        if let Some(answers) = &self.answers
            && let Some(said) = framer.said()
        {
            answers.hear(said, position);
            if let Some(over) = said.over {
                self.end.get_or_insert(if over == Over::Bad { End::Framing } else { End::Clean });
            }
        }
    }

    /// Has it held by whoever reads from its connection, where it may have to go before it wants to.
    pub fn tie(&self, leash: impl FnOnce() -> Arc<dyn Leash>) {
        if let Some(ticket) = &self.ticket {
            let leash = leash();
            if !self.intake.watch.tie(ticket, Arc::clone(&leash)) {
                leash.pull();
            }
        }
    }

    /// What is to be written back to it, for a framing that answers.
    #[must_use]
    pub fn mouth(&self) -> Option<Mouth> {
        self.answers.as_ref().zip(self.ear()).map(|(answers, ear)| answers.mouth(self.intake.sink.safe(), ear))
    }

    /// Whether it was told to go.
    fn has_left(&self) -> bool {
        self.answers.as_ref().is_some_and(Answers::has_left)
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

    /// For what still comes from one that was sent away. `None`: it was not.
    #[must_use]
    pub fn leavings(&mut self) -> Option<Leavings> {
        self.ousted().map(|why| Leavings { intake: Arc::clone(&self.intake), why })
    }

    /// Waits for its turn and for [`room`](Self::room), where senders are read by a task each. Without turns, whoever the system
    /// asks first takes all the room there is, again and again. To be kept until what was read is fed.
    pub fn turn(&self) -> impl Future<Output = Option<OwnedSemaphorePermit>> + Send + use<> {
        let intake = Arc::clone(&self.intake);
        async move {
            let turn = Arc::clone(&intake.turns).acquire_owned().await.ok();
            intake.sink.room().await;
            turn
        }
    }

    /// Senders that are in, at least 1.
    #[must_use]
    pub fn senders(&self) -> usize {
        self.intake.ledger.senders_open().max(1)
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

    /// It ended, or had to, without having been let in.
    fn depart(&mut self, held: u64) {
        let why = self.ousted().unwrap_or_else(|| {
            // Whoever looks whether somebody listens says nothing, and does no harm.
            let (why, is_failure) = match self.end {
                Some(End::Clean) => (Reject::Keyword, held > 0),
                _ => (Reject::Gate, false),
            };
            if self.leave_gate() {
                self.intake.turn_away_at_gate(&self.meta.peer, why, is_failure);
            }
            End::TurnedAway(why)
        });
        if held > 0 {
            self.intake.ledger.discarded(why.as_str(), held);
        }
    }
}

/// What a sender that was sent away still sends.
#[derive(Debug)]
pub struct Leavings {
    intake: Arc<Inner>,
    why: End,
}

impl Leavings {
    /// Whether it never was in.
    #[must_use]
    pub fn was_turned_away(&self) -> bool {
        matches!(self.why, End::TurnedAway(_))
    }

    /// So many bytes came: thrown away.
    pub fn came(&self, bytes: usize) {
        self.intake.ledger.received(bytes as u64, 0, 0);
        self.intake.ledger.discarded(self.why.as_str(), bytes as u64);
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

    /// The sender was told to go.
    pub(super) fn told(&self) {
        self.0.gone.fetch_add(1, Ordering::AcqRel);
    }

    /// Whether senders are to go as soon as they may.
    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.is_cancelled()
    }

    /// Waits until they are.
    pub(super) async fn leaving(&self) {
        self.0.leaving.cancelled().await;
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
        if self.has_left() {
            self.end.get_or_insert(End::Clean);
            self.intake.gone.fetch_sub(1, Ordering::AcqRel);
        }
        let _ = self.ousted();
        match &self.stage {
            Stage::Before(gate) => {
                let held = gate.held() as u64;
                self.depart(held);
            }
            Stage::In { .. } => {
                let Self { intake, meta, framer, held, .. } = self;
                let (records, _) = intake.push(meta, |out| {
                    let made = framer.finish(out);
                    enter(&intake.ledger, 0, made);
                    made.records
                });
                track(&intake.unfinished, held, 0);
                meta.records += records;
            }
            Stage::Out => {}
        }
        if let Some(answers) = &self.answers {
            answers.end(self.end.is_some_and(|end| !matches!(end, End::TurnedAway(_))));
        }
        if let Some(ticket) = &self.ticket {
            self.intake.watch.leave(ticket);
        }
        if let Stage::In { .. } = self.stage {
            self.intake.close(self.meta.clone(), self.ip, self.bytes, self.end.unwrap_or(End::Cut), Kind::Connection);
        }
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
