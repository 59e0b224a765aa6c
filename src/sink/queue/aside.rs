//! What a queue is asked beside the way of bytes through it: by whoever does not wait, and by a writer that has no way on.

use std::sync::atomic::Ordering;

use super::Queue;
use crate::sink::Batch;

impl Queue {
    /// Lets `fill` append unless the queue holds `limit` bytes of memory or is given up; `None` then.
    pub fn offer<T>(&self, limit: usize, fill: impl FnOnce(&mut Batch) -> T) -> Option<T> {
        {
            let inner = self.lock();
            if inner.abandoned || inner.queued() >= limit {
                return None;
            }
        }
        // Whoever offers is the only one who fills: meanwhile it can only have become less.
        Some(self.push(fill))
    }

    /// Whether less than half of `limit` bytes wait.
    pub fn is_below_half(&self, limit: usize) -> bool {
        self.lock().queued() < limit / 2
    }

    /// Nothing will ever be written any more, for this reason. A sentence.
    pub fn break_off(&self, why: &str) {
        self.broken.send_replace(Some(why.to_owned()));
    }

    /// Waits until it [breaks off](Self::break_off).
    pub async fn broken(&self) -> String {
        let mut broken = self.broken.subscribe();
        let why = broken.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
        match why {
            Some(why) => why,
            None => std::future::pending().await,
        }
    }

    /// Whether nothing will be pushed any more.
    pub fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// One record will never be in the output, though there is one.
    pub fn leave_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// The output is over for good, and so many records will never be written.
    pub fn give_up(&self, records: u64) {
        self.given_up.fetch_add(records, Ordering::Relaxed);
    }

    /// Records that were [given up](Self::give_up).
    pub fn given_up(&self) -> u64 {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Records that were [left out](Self::leave_out).
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}
