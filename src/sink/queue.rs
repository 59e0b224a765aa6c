//! The queue between the network and one writer thread; its unit is bytes of output.

mod aside;
mod rest;

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};

use super::batch::Batch;
use super::orders::Order;
use super::pulse::Pulse;
pub use rest::Rest;

/// Memory that the buffer in rest keeps; a burst may have made it larger.
const KEPT_BUFFER: usize = 1024 * 1024;

/// While the disk keeps up, the network side waits above this: more would only cost memory. Two buffers of this size
/// are the whole price of a fast stream.
const SMOOTH: usize = 1024 * 1024;
/// While the disk does not keep up, this much is taken before senders have to wait: it bridges short stalls.
pub const LIMIT: usize = 64 * 1024 * 1024;
/// A write of this size is worth a wake-up of its own even in the middle of a burst.
const WORTH_A_WAKE: usize = 512 * 1024;
/// Without any progress of the writer for this long the disk counts as not keeping up.
const PATIENCE: Duration = Duration::from_millis(100);

/// A burst of this size is part of a stream, not a line that someone waits for.
const BULK: usize = 16 * 1024;
/// How long a stream may gather for a write.
const GATHER: Duration = Duration::from_millis(1);

/// What is in the output for certain. Positions count bytes of output since the start; a record is in when the
/// [position of its end](Queue::push_and_tell) is.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Safe {
    /// Written up to here, and forced to the disk where that is asked for.
    pub until: u64,
    /// Of what is not after this position nothing is certain, and never will be: an fsync of its file failed.
    pub lost: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Queue {
    inner: Mutex<Inner>,
    /// Wakes the writer thread.
    work: Condvar,
    /// Wakes the waker task at the end of a burst.
    burst: Notify,
    /// Wakes whoever waits for room.
    room: Notify,
    /// For whoever promises senders something.
    safe: watch::Sender<Safe>,
    /// What is written is safe only when it is forced to the disk.
    forced: bool,
    /// Why there is no output any more, a sentence.
    broken: watch::Sender<Option<String>>,
    left_out: AtomicU64,
    given_up: AtomicU64,
    pulse: Arc<Pulse>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Bytes of all batches that the writer has taken.
    taken: u64,
    filling: Batch,
    /// The batch that the writer has taken.
    flight: Option<Arc<Batch>>,
    /// Bytes of it that are written.
    written: usize,
    /// An empty one for the next turn.
    spare: Batch,
    /// What the writer is told to do beside the writing.
    orders: VecDeque<Order>,
    /// The writer is at work.
    busy: bool,
    /// The writer sleeps on `work`.
    writer_sleeps: bool,
    /// A wake-up at the end of the burst is under way.
    burst_noted: bool,
    /// The disk does not keep up: fill up to [`LIMIT`].
    elastic: bool,
    closed: bool,
    /// Nobody waits for room any more, and nobody should read on.
    released: bool,
    /// The writer ends, whatever is left.
    abandoned: bool,
    /// When the writer last took a batch or wrote of it.
    moved: Option<Instant>,
}

impl Inner {
    /// In bytes of memory, so that many short records are not more than a few long ones.
    fn queued(&self) -> usize {
        self.filling.weight() + self.flight.as_ref().map_or(0, |batch| batch.weight() - self.written)
    }

    /// The position of the end of what is written.
    fn stored(&self) -> u64 {
        self.taken - self.in_flight() as u64
    }

    fn in_flight(&self) -> usize {
        self.flight.as_ref().map_or(0, |batch| batch.len() - self.written)
    }

    fn has_room(&self) -> bool {
        self.released || self.queued() < if self.elastic { LIMIT } else { SMOOTH }
    }
}

/// What the writer finds when it looks for work.
#[derive(Debug)]
pub enum Work {
    /// To be written; [`Queue::done`] gives it back.
    Batch(Arc<Batch>),
    /// Nothing came for a while, or there are orders.
    Look,
    /// Closed, and everything was taken.
    Closed,
    /// Given up.
    Abandoned,
}

impl Queue {
    /// `forced`: what is written is safe only when it is forced to the disk.
    pub fn new(forced: bool) -> Self {
        Self { forced, ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fill` append to the current batch.
    pub fn push<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> T {
        self.push_and_tell(fill).0
    }

    /// As [`push`](Self::push), with the position of the end of what was appended.
    pub fn push_and_tell<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> (T, u64) {
        let mut inner = self.lock();
        let result = fill(&mut inner.filling);
        let position = inner.taken + inner.filling.len() as u64;
        if inner.writer_sleeps && !inner.filling.is_empty() {
            if inner.filling.len() >= WORTH_A_WAKE {
                self.work.notify_one();
            } else if !inner.burst_noted {
                inner.burst_noted = true;
                self.burst.notify_one();
            }
        }
        (result, position)
    }

    /// What is safe, now and later.
    pub fn safe(&self) -> watch::Receiver<Safe> {
        self.safe.subscribe()
    }

    /// The position of the end of what is written.
    pub fn stored(&self) -> u64 {
        self.lock().stored()
    }

    /// What is written up to `position` is on the disk.
    pub fn forced(&self, position: u64) {
        self.safe.send_modify(|safe| safe.until = safe.until.max(position));
    }

    /// What is written by now and not [forced](Self::forced) never will be for certain.
    pub fn unproven(&self) {
        let stored = self.stored();
        self.safe.send_modify(|safe| safe.lost = stored);
    }

    /// See [`super::SinkHandle::run_waker`].
    pub async fn run_waker(&self) {
        loop {
            self.burst.notified().await;
            // Who waits for acknowledgements sends no more until they come.
            if self.safe.receiver_count() == 0 && self.lock().filling.len() >= BULK {
                // More is on its way: a larger write and fewer switches of threads, for a delay that nobody sees.
                tokio::time::sleep(GATHER).await;
            }
            let mut inner = self.lock();
            inner.burst_noted = false;
            if inner.closed {
                return;
            }
            if inner.writer_sleeps {
                self.work.notify_one();
            }
        }
    }

    /// Whether more bytes are welcome now.
    pub fn has_room(&self) -> bool {
        self.lock().has_room()
    }

    /// Waits for room; see the constants for how much that is.
    pub async fn room(&self) {
        loop {
            let woken = self.room.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            let elastic = {
                let inner = self.lock();
                if inner.has_room() {
                    return;
                }
                inner.elastic
            };
            if elastic {
                woken.await;
            } else if tokio::time::timeout(PATIENCE, woken).await.is_err() {
                self.lock().elastic = true;
            }
        }
    }

    /// Whether the writer moves.
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Nothing will be pushed any more.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.closed = true;
        self.work.notify_one();
        self.burst.notify_one();
    }

    /// Nobody waits for room any more; what is queued is still written.
    pub fn release(&self) {
        self.lock().released = true;
        self.room.notify_waiters();
    }

    /// See [`super::SinkHandle::is_released`].
    pub fn is_released(&self) -> bool {
        self.lock().released
    }

    /// The rest is given up; the writer ends.
    pub fn abandon(&self) {
        let mut inner = self.lock();
        inner.abandoned = true;
        inner.released = true;
        self.work.notify_one();
        self.room.notify_waiters();
    }

    /// Whether the writer should end.
    pub fn is_abandoned(&self) -> bool {
        self.lock().abandoned
    }

    /// How long the writer has been at work without writing a byte while bytes wait; `None` when none do.
    pub fn stuck(&self) -> Option<Duration> {
        let inner = self.lock();
        if inner.busy && inner.queued() > 0 { inner.moved.map(|at| at.elapsed()) } else { None }
    }

    /// Whether the writer has bytes to write.
    pub fn is_writing(&self) -> bool {
        self.lock().in_flight() > 0
    }

    /// Tells the writer to do something between two records.
    pub fn order(&self, order: Order) {
        self.lock().orders.push_back(order);
        self.work.notify_one();
    }

    /// The next order.
    pub fn ordered(&self) -> Option<Order> {
        self.lock().orders.pop_front()
    }

    /// Hands out what has been filled; waits for it, at most for `rest`.
    pub fn take(&self, rest: Duration) -> Work {
        self.pulse.step();
        let mut inner = self.lock();
        inner.busy = false;
        let mut rested = false;
        let work = loop {
            if inner.abandoned {
                break Work::Abandoned;
            }
            if !inner.orders.is_empty() {
                break Work::Look;
            }
            if !inner.filling.is_empty() {
                let spare = std::mem::take(&mut inner.spare);
                let batch = Arc::new(std::mem::replace(&mut inner.filling, spare));
                inner.flight = Some(Arc::clone(&batch));
                inner.taken += batch.len() as u64;
                inner.written = 0;
                break Work::Batch(batch);
            }
            if inner.closed {
                break Work::Closed;
            }
            if rested {
                break Work::Look;
            }
            inner.writer_sleeps = true;
            let (woken, slept) = self.work.wait_timeout(inner, rest).unwrap_or_else(PoisonError::into_inner);
            (inner, rested) = (woken, slept.timed_out());
            inner.writer_sleeps = false;
        };
        inner.busy = true;
        inner.moved = Some(Instant::now());
        self.pulse.step();
        work
    }

    /// The whole batch is written.
    pub fn done(&self, batch: Arc<Batch>) {
        self.lock().flight = None;
        // Whoever has come for the rest meanwhile has the other half.
        if let Ok(mut batch) = Arc::try_unwrap(batch) {
            batch.recycle(KEPT_BUFFER);
            self.lock().spare = batch;
        }
    }

    /// What is not written, in order; `None` for what the writer does not have. Nothing of it is handed out any more.
    pub fn take_rest(&self) -> Rest {
        let mut inner = self.lock();
        inner.abandoned = true;
        // It never gets into the output: nobody is promised that it did.
        inner.taken -= inner.in_flight() as u64;
        let written = inner.written;
        Rest { flight: inner.flight.take().map(|batch| (batch, written)), queued: std::mem::take(&mut inner.filling) }
    }

    /// The writer has written `n` bytes of its batch. False: somebody else has the rest of it now.
    pub fn wrote(&self, n: usize) -> bool {
        let mut inner = self.lock();
        if inner.flight.is_none() {
            return false;
        }
        inner.written += n;
        inner.moved = Some(Instant::now());
        inner.elastic = false;
        if inner.has_room() {
            self.room.notify_waiters();
        }
        if !self.forced && self.safe.receiver_count() > 0 {
            let stored = inner.stored();
            drop(inner);
            self.safe.send_modify(|safe| safe.until = stored);
        }
        true
    }

    /// Sleeps for `pause` unless the queue is abandoned or an order comes meanwhile; used between two tries on a disk that refuses.
    pub fn pause(&self, pause: Duration) {
        self.pulse.step();
        let inner = self.lock();
        let sleeps = |i: &mut Inner| !i.abandoned && i.orders.is_empty();
        drop(self.work.wait_timeout_while(inner, pause, sleeps));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    }

    #[test]
    fn a_disk_that_does_not_keep_up_stops_the_network_at_the_limit() {
        runtime().block_on(async {
            let queue = Arc::new(Queue::default());
            let mut pushed = 0;
            // Nobody writes: every push up to the limit must be let in at last, the one above it must wait.
            while pushed < LIMIT {
                queue.push(|b| b.payload(&vec![b'x'; 512 * 1024]));
                pushed += 512 * 1024;
                if pushed < LIMIT {
                    queue.room().await;
                }
            }
            let waits = tokio::time::timeout(Duration::from_secs(3600), queue.room()).await;
            assert!(waits.is_err(), "the queue took more than its limit");
            let Work::Batch(batch) = queue.take(Duration::ZERO) else { panic!("no batch") };
            assert!(queue.wrote(batch.len()));
            queue.done(batch);
            queue.room().await;
        });
    }

    #[test]
    fn many_short_records_take_no_more_memory_than_a_few_long_ones() {
        let queue = Queue::default();
        let mut bytes = 0;
        while queue.has_room() {
            bytes += queue.push(|batch| {
                batch.payload(b"x");
                batch.added(b"\n");
                2
            });
        }
        assert!(bytes < SMOOTH / 8, "{bytes} bytes and the account of each");
    }

    #[test]
    fn giving_up_frees_everyone() {
        runtime().block_on(async {
            let queue = Arc::new(Queue::default());
            queue.push(|b| b.payload(&vec![b'x'; LIMIT]));
            let waiter = tokio::spawn({
                let queue = Arc::clone(&queue);
                async move { queue.room().await }
            });
            tokio::task::yield_now().await;
            queue.abandon();
            waiter.await.unwrap();
            assert!(matches!(queue.take(Duration::ZERO), Work::Abandoned));
        });
    }

    #[test]
    fn close_hands_out_the_rest_first() {
        let queue = Queue::default();
        queue.push(|b| b.payload(b"rest"));
        queue.close();
        let Work::Batch(batch) = queue.take(Duration::ZERO) else { panic!("no batch") };
        assert_eq!(batch.bytes(), b"rest");
        assert!(queue.wrote(4));
        queue.done(batch);
        assert!(matches!(queue.take(Duration::ZERO), Work::Closed));
    }

    #[test]
    fn the_rest_is_what_was_not_written_and_what_was_never_seen() {
        let queue = Queue::default();
        queue.push(|b| b.payload(b"first"));
        let Work::Batch(_batch) = queue.take(Duration::ZERO) else { panic!("no batch") };
        queue.push(|b| b.payload(b"second"));
        assert!(queue.wrote(2));
        assert_eq!(queue.stored(), 2);
        assert_eq!(queue.take_rest().parts(), [&b"rst"[..], b"second"]);
        assert_eq!(queue.take_rest().parts(), [&b""[..], b""]);
        assert_eq!(queue.stored(), 2, "what was rescued is not in the output");
        // A write that hung returns after all.
        assert!(!queue.wrote(3), "it must not go on");
        assert!(queue.is_abandoned() && queue.stuck().is_none());
    }

    #[test]
    fn a_record_is_safe_when_it_is_written_or_where_that_is_asked_for_forced() {
        for forced in [false, true] {
            let queue = Queue::new(forced);
            let safe = queue.safe();
            let now = || *safe.borrow();
            let ((), first) = queue.push_and_tell(|b| b.payload(b"one\n"));
            let Work::Batch(batch) = queue.take(Duration::ZERO) else { panic!("no batch") };
            let ((), second) = queue.push_and_tell(|b| b.payload(b"second\n"));
            assert_eq!((first, second, now().until), (4, 11, 0));
            assert!(queue.wrote(3));
            assert!(now().until < first, "half of it");
            assert!(queue.wrote(1));
            assert_eq!((queue.stored(), now().until), (4, if forced { 0 } else { 4 }));
            queue.done(batch);
            queue.forced(4);
            assert_eq!(now(), Safe { until: 4, lost: 0 });
            queue.unproven();
            assert_eq!(now(), Safe { until: 4, lost: 4 });
            assert!(matches!(queue.take(Duration::ZERO), Work::Batch(_)));
            assert_eq!((queue.stored(), now().until), (4, 4));
        }
    }

    #[test]
    fn nothing_to_do_is_a_time_to_look_around() {
        let queue = Queue::default();
        assert!(matches!(queue.take(Duration::ZERO), Work::Look));
        queue.order(Order::Reopen);
        queue.push(|b| b.payload(b"x"));
        assert!(matches!(queue.take(Duration::from_secs(3600)), Work::Look), "orders come first");
        assert!(matches!(queue.ordered(), Some(Order::Reopen)));
        assert!(matches!(queue.take(Duration::from_secs(3600)), Work::Batch(_)));
    }
}
