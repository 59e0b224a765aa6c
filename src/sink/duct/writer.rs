//! The writer thread of an output that is no file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::backoff::Backoff;
use super::{Duct, Gone, Put, TICK};
use crate::ledger::{Page, StreamLedger};
use crate::sink::LOST;
use crate::sink::batch::Batch;
use crate::sink::orders::Order;
use crate::sink::pulse::away;
use crate::sink::queue::{Queue, Work};
use crate::sink::side::were;
use crate::sink::voice::Voice;
use crate::sink::writer::Ended;

/// How often an idle one looks whether what it writes to is still there.
const IDLE_LOOK: Duration = Duration::from_millis(500);
/// What has been there for so long is there, though nothing was written.
const SETTLED: Duration = Duration::from_secs(1);

/// What is behind a duct takes its time, and that is no fault of the writer.
fn outside<T>(call: impl FnOnce() -> T) -> T {
    let _away = away();
    call()
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    duct: Box<dyn Duct>,
    queue: Arc<Queue>,
    ledger: StreamLedger,
    page: Page,
    voice: Voice,
    /// LF ends a record.
    lines: bool,
    backoff: Backoff,
    /// Since when there is something to write to.
    open: Option<Instant>,
    /// No try to open it before.
    again: Instant,
    /// It is gone for good.
    over: bool,
    /// Bytes written since the start.
    bytes: u64,
    /// Records that were left out for their length.
    too_long: u64,
}

impl Writer {
    /// Prepares it; [`Writer::spawn`] starts it. `lines`: LF ends a record.
    pub fn new(duct: Box<dyn Duct>, queue: Arc<Queue>, ledger: StreamLedger, voice: Voice, lines: bool) -> Self {
        let (backoff, again, page) = (Backoff::default(), Instant::now(), ledger.page(0));
        Self { duct, queue, ledger, page, voice, lines, backoff, open: None, again, over: false, bytes: 0, too_long: 0 }
    }

    /// Starts the thread; `end` hears how it ended.
    pub fn spawn(mut self, end: oneshot::Sender<Ended>) -> std::io::Result<()> {
        std::thread::Builder::new().name("reclog-duct".into()).spawn(move || {
            let pulse = Arc::clone(self.queue.pulse());
            pulse.adopt();
            self.look();
            while self.turn() {}
            let ended = self.finish();
            pulse.end();
            let _ = end.send(ended);
        })?;
        Ok(())
    }

    /// Does what there is to do, or waits for it. False: the end.
    fn turn(&mut self) -> bool {
        let rest = if self.open.is_some() { IDLE_LOOK } else { self.pause().min(IDLE_LOOK) };
        match self.queue.take(rest) {
            Work::Batch(batch) => {
                if !self.write(&batch) {
                    return false;
                }
                self.queue.done(batch);
                true
            }
            Work::Look => {
                self.look();
                true
            }
            Work::Closed | Work::Abandoned => false,
        }
    }

    /// Until the next try, and no busy loop.
    fn pause(&self) -> Duration {
        self.again.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
    }

    /// Looks whether what it writes to is there, and begins it anew when it is time. Returns whether it is.
    fn look(&mut self) -> bool {
        self.hear();
        if self.open.is_some()
            && let Some(gone) = outside(|| self.duct.gone())
        {
            self.lost(&gone);
        }
        if self.open.is_none() && !self.over && Instant::now() >= self.again {
            match outside(|| self.duct.open()) {
                Ok(()) => self.open = Some(Instant::now()),
                Err(why) => self.failed(&why, Duration::ZERO, false),
            }
        }
        if self.open.is_some_and(|since| since.elapsed() >= SETTLED) {
            self.voice.resume(&self.ledger);
        }
        self.open.is_some()
    }

    /// There is nothing to put away; what stands behind a name is looked up when it is opened anew.
    fn hear(&mut self) {
        while let Some(order) = self.queue.ordered() {
            match order {
                Order::Reopen => self.again = Instant::now(),
                Order::Rotate(answer) => drop(answer.send(Ok(Vec::new()))),
            }
        }
    }

    fn lost(&mut self, gone: &Gone) {
        let life = self.open.take().map_or(Duration::ZERO, |since| since.elapsed());
        if gone.for_good {
            self.over = true;
            let sentence = format!("cannot write to {}: {}", self.voice.output.display(), gone.why);
            self.voice.stall(&self.ledger, &gone.why);
            self.queue.break_off(&sentence);
            if self.voice.side {
                // What comes from here on is lost, and counted as soon as it comes.
                self.queue.abandon();
            }
        } else {
            self.failed(&gone.why, life, gone.well);
        }
    }

    fn failed(&mut self, why: &str, life: Duration, well: bool) {
        let pause = self.backoff.pause(life, well, rand::random());
        self.again = Instant::now() + pause;
        if well {
            tracing::info!(path = %self.voice.output.display(), "{why}; it is begun anew");
        } else {
            self.voice.stall(&self.ledger, why);
        }
    }

    /// Writes the whole batch, however long that takes. False: the queue was abandoned, or there is no way on. What is
    /// counted are whole records.
    fn write(&mut self, batch: &Batch) -> bool {
        let (mut at, mut counted) = (0, 0);
        self.look();
        while at < batch.len() {
            if self.over || self.queue.is_abandoned() {
                return false;
            }
            if self.open.is_none() && !self.look() {
                if self.voice.side && self.queue.is_closed() && self.ledger.counts().stall.is_some() {
                    // Nobody waits for what is not there.
                    return false;
                }
                self.queue.pause(self.pause().min(TICK));
                continue;
            }
            let (to, gone) = match outside(|| self.duct.put(batch, at)) {
                Ok(Put::To(to)) => (to, None),
                Ok(Put::TooLong(end)) => {
                    self.leave_out(batch, at, end);
                    (at, counted) = (end, end);
                    continue;
                }
                Err(gone) => (gone.at.unwrap_or(at), Some(gone)),
            };
            if to > at {
                self.bytes += (to - at) as u64;
                at = to;
                if !self.count(batch, &mut counted, at) {
                    return false;
                }
            } else {
                self.hear();
            }
            if let Some(gone) = gone {
                self.lost(&gone);
            }
        }
        true
    }

    /// Everything of `batch` before `at` is written. False: somebody else has the rest of it now.
    fn count(&mut self, batch: &Batch, counted: &mut usize, at: usize) -> bool {
        let whole = batch.end_before(*counted, at, self.lines);
        let before = std::mem::replace(counted, whole);
        let (payload, added) = batch.account(before, whole);
        self.page.stored(payload, added, self.bytes);
        self.voice.resume(&self.ledger);
        self.queue.wrote(whole - before)
    }

    /// One record is longer than it takes.
    fn leave_out(&mut self, batch: &Batch, at: usize, end: usize) {
        self.ledger.discarded(LOST, batch.account(at, end).0);
        self.queue.wrote(end - at);
        self.too_long += 1;
        self.queue.leave_out();
        if self.too_long == 1 {
            let path = self.voice.output.display();
            self.voice.warn(&format!("a record of {} bytes is too long for {path}, and lost; so are others", end - at));
        }
    }

    fn finish(mut self) -> Ended {
        let queue = Arc::clone(&self.queue);
        let finished = outside(|| self.duct.finish(self.voice.side, &|| queue.is_abandoned()));
        self.page.end();
        let stalled = if self.over && self.voice.side {
            queue.give_up(queue.take_rest().records(self.lines));
            // It stays wrong as long as the others are written.
            self.ledger.counts().stall
        } else {
            self.ledger.set_stall(None)
        };
        let stalled = stalled.map(|stall| stall.sentence);
        let path = self.voice.output.display();
        let unread = self.duct.unread();
        let missed = format!("{} not read: {path} had taken them, and they count as stored", were(unread));
        let finished = finished.err().map(|why| format!("{path}: {why}"));
        let missed = (unread > 0 && !self.voice.side).then_some(missed);
        let trouble: Vec<String> = [stalled, finished, missed].into_iter().flatten().collect();
        Ended { trouble: (!trouble.is_empty()).then(|| trouble.join("; ")), mend: Vec::new(), unread }
    }
}
