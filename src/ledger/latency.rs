//! How long system calls of a writer take: a histogram.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Page;

/// Upper bounds of the buckets, each four or five times the one before: a write into memory takes less than the first, one to a disk that
/// struggles takes seconds. Few, as each is a line of every scrape and stream.
pub const BOUNDS: [Duration; 8] = [
    Duration::from_micros(100),
    Duration::from_micros(500),
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// A histogram that is counted into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Calls of each bucket alone; the last are those beyond all bounds.
    counts: [u64; BOUNDS.len() + 1],
    sum: Duration,
}

/// The same as it is shown; times are in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LatencySnapshot {
    /// Upper bounds, rising, and the calls that took no longer, those of lower bounds among them.
    pub buckets: Vec<(f64, u64)>,
    /// All calls.
    pub count: u64,
    /// Of all calls together.
    pub sum: f64,
}

impl Latency {
    /// One call took so long.
    pub fn record(&mut self, took: Duration) {
        self.counts[BOUNDS.partition_point(|bound| *bound < took)] += 1;
        self.sum = self.sum.saturating_add(took);
    }

    /// `None` before the first call.
    #[must_use]
    pub fn snapshot(&self) -> Option<LatencySnapshot> {
        let mut count = 0;
        let mut buckets = Vec::with_capacity(BOUNDS.len());
        for (bound, calls) in BOUNDS.iter().zip(self.counts) {
            count += calls;
            buckets.push((bound.as_secs_f64(), count));
        }
        count += self.counts[BOUNDS.len()];
        (count > 0).then_some(LatencySnapshot { buckets, count, sum: self.sum.as_secs_f64() })
    }
}

impl Page {
    /// One write that the system took has lasted so long.
    pub fn write_took(&self, took: Duration) {
        self.ledger.lock().write.record(took);
    }

    /// One flush that succeeded has lasted so long.
    pub fn fsync_took(&self, took: Duration) {
        self.ledger.lock().fsync.record(took);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_in_the_bucket_of_its_bound_and_in_all_above() {
        let mut latency = Latency::default();
        assert_eq!(latency.snapshot(), None);
        for micros in [100, 101, 5_000, 11_000_000] {
            latency.record(Duration::from_micros(micros));
        }
        let seen = latency.snapshot().unwrap();
        let at = |bound: f64| seen.buckets.iter().find(|(b, _)| (b - bound).abs() < bound / 1000.0).unwrap().1;
        assert_eq!([at(0.0001), at(0.0005), at(0.002), at(0.01), at(5.0)], [1, 2, 2, 3, 3]);
        assert_eq!(seen.count, 4, "the one beyond all bounds");
        assert!((seen.sum - 11.005_201).abs() < 1e-9, "{}", seen.sum);
        assert!(seen.buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1));
    }
}
