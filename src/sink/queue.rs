//! The queue between the network and one writer thread; its unit is bytes of output.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::batch::Batch;

/// While the disk keeps up, the network side waits above this: more would only cost memory. Two buffers of this size
/// are the whole price of a fast stream.
const SMOOTH: usize = 1024 * 1024;
/// While the disk does not keep up, this much is taken before senders have to wait: it bridges short stalls.
const LIMIT: usize = 64 * 1024 * 1024;
/// A write of this size is worth a wake-up of its own even in the middle of a burst.
const WORTH_A_WAKE: usize = 512 * 1024;
/// Without any progress of the writer for this long the disk counts as not keeping up.
const PATIENCE: Duration = Duration::from_millis(100);

/// A burst of this size is part of a stream, not a line that someone waits for.
const BULK: usize = 16 * 1024;
/// How long a stream may gather for a write.
const GATHER: Duration = Duration::from_millis(1);

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
}

#[derive(Debug, Default)]
struct Inner {
    filling: Batch,
    /// Bytes of the batch that the writer has taken and not yet written.
    in_flight: usize,
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
    fn queued(&self) -> usize {
        self.filling.len() + self.in_flight
    }

    fn has_room(&self) -> bool {
        self.released || self.queued() < if self.elastic { LIMIT } else { SMOOTH }
    }
}

/// What the writer finds when it looks for work.
#[derive(Debug, PartialEq, Eq)]
pub enum Work {
    /// A batch was swapped in.
    Batch,
    /// Closed, and everything was taken.
    Closed,
    /// Given up.
    Abandoned,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `fill` append to the current batch.
    pub fn push<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> T {
        let mut inner = self.lock();
        let result = fill(&mut inner.filling);
        if inner.writer_sleeps && !inner.filling.is_empty() {
            if inner.filling.len() >= WORTH_A_WAKE {
                self.work.notify_one();
            } else if !inner.burst_noted {
                inner.burst_noted = true;
                self.burst.notify_one();
            }
        }
        result
    }

    /// See [`super::SinkHandle::run_waker`].
    pub async fn run_waker(&self) {
        loop {
            self.burst.notified().await;
            if self.lock().filling.len() >= BULK {
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

    /// How long the writer has been at its batch without writing a byte; `None` while it has none.
    pub fn stuck(&self) -> Option<Duration> {
        let inner = self.lock();
        if inner.in_flight > 0 { inner.moved.map(|at| at.elapsed()) } else { None }
    }

    /// Swaps the filled batch for the empty `spare`; waits for one.
    pub fn take(&self, spare: &mut Batch) -> Work {
        debug_assert!(spare.is_empty());
        let mut inner = self.lock();
        loop {
            if inner.abandoned {
                return Work::Abandoned;
            }
            if !inner.filling.is_empty() {
                std::mem::swap(&mut inner.filling, spare);
                inner.in_flight = spare.len();
                inner.moved = Some(Instant::now());
                return Work::Batch;
            }
            if inner.closed {
                return Work::Closed;
            }
            inner.writer_sleeps = true;
            inner = self.work.wait(inner).unwrap_or_else(PoisonError::into_inner);
            inner.writer_sleeps = false;
        }
    }

    /// The writer has written `n` bytes of its batch.
    pub fn wrote(&self, n: usize) {
        let mut inner = self.lock();
        inner.in_flight -= n;
        inner.moved = Some(Instant::now());
        inner.elastic = false;
        if inner.has_room() {
            self.room.notify_waiters();
        }
    }

    /// Sleeps for `pause` unless the queue is abandoned meanwhile; used between two tries on a disk that refuses.
    pub fn pause(&self, pause: Duration) {
        let inner = self.lock();
        if !inner.abandoned {
            // A push may wake it early; an early try does no harm.
            drop(self.work.wait_timeout_while(inner, pause, |i| !i.abandoned));
        }
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
            let mut spare = Batch::default();
            assert_eq!(queue.take(&mut spare), Work::Batch);
            queue.wrote(spare.len());
            queue.room().await;
        });
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
            assert_eq!(queue.take(&mut Batch::default()), Work::Abandoned);
        });
    }

    #[test]
    fn close_hands_out_the_rest_first() {
        let queue = Queue::default();
        queue.push(|b| b.payload(b"rest"));
        queue.close();
        let mut spare = Batch::default();
        assert_eq!(queue.take(&mut spare), Work::Batch);
        assert_eq!(spare.bytes(), b"rest");
        spare.recycle(0);
        assert_eq!(queue.take(&mut spare), Work::Closed);
    }
}
