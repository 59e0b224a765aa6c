//! One connection behind the door of a stream.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::answers::{Answers, Mouth};
use super::framing::{Framer, Made, Over};
use super::why::{End, Kind};
use super::{FRAMING, Inner, MAX_UNFINISHED};
use crate::ledger::StreamLedger;
use crate::sink::Meta;

/// One sender that was let in. Dropping it without [`Sender::end`] counts as a cut.
#[derive(Debug)]
pub struct Sender {
    intake: Arc<Inner>,
    /// Who it is, and how many records it has delivered.
    meta: Meta,
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

impl Sender {
    /// A sender that was let in.
    pub(super) fn new(intake: Arc<Inner>, meta: Meta) -> Self {
        let framer = Framer::new(intake.plan.framing, intake.plan.ends, intake.plan.max_line);
        let answers = intake.plan.framing.answers().then(Answers::default);
        Self { intake, meta, framer, answers, held: 0, bytes: 0, end: None }
    }

    /// Takes what arrived; complete records are in the sink's queue when this returns. Await [`Sender::room`] before the
    /// next call, or memory is not bounded.
    pub fn feed(&mut self, bytes: &[u8]) {
        if self.has_left() {
            // Stored without an acknowledgement it would stand there twice.
            self.bytes += bytes.len() as u64;
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
        self.bytes += bytes.len() as u64;
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
        let Self { intake, meta, framer, held, .. } = self;
        let (records, _) = intake.push(meta, |out| {
            let made = framer.finish(out);
            enter(&intake.ledger, 0, made);
            made.records
        });
        track(&intake.unfinished, held, 0);
        if let Some(answers) = &self.answers {
            answers.end(self.end.is_some());
        }
        meta.records += records;
        intake.close(meta.clone(), self.bytes, self.end.unwrap_or(End::Cut), Kind::Connection);
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
