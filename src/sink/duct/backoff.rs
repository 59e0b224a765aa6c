//! How long to wait before something that ended is begun anew.

use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(100);
/// No pause is longer after an end that was in order: a command that has had enough of its records is wanted again.
const LONGEST_AFTER_WELL: Duration = Duration::from_secs(1);
/// No pause is longer.
const LONGEST: Duration = Duration::from_secs(30);
/// Whatever has lived so long begins with the first pause again.
const LONG_LIFE: Duration = Duration::from_secs(10);

/// See the module. Each pause is twice as long as the one before.
#[derive(Debug, Default)]
pub struct Backoff {
    /// Ends since the last long life.
    ends: u32,
}

impl Backoff {
    /// It has ended after a `life`, in order (`well`) or not. `jitter`: from 0 to 1, so that many do not come back at once.
    #[must_use]
    pub fn pause(&mut self, life: Duration, well: bool, jitter: f64) -> Duration {
        if life >= LONG_LIFE {
            self.ends = 0;
        }
        let longest = if well { LONGEST_AFTER_WELL } else { LONGEST };
        let pause = FIRST.saturating_mul(1 << self.ends.min(16)).min(longest);
        self.ends = self.ends.saturating_add(1);
        pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_a_long_life_begins_anew() {
        let mut backoff = Backoff::default();
        let mut pause = |life, well, jitter| backoff.pause(Duration::from_millis(life), well, jitter).as_millis();
        assert_eq!([0, 1, 2].map(|_| pause(5, false, 1.0)), [100, 200, 400]);
        assert_eq!((pause(5, false, 0.0), pause(5, true, 1.0)), (400, 1_000));
        for _ in 0..40 {
            assert!(pause(5, false, 1.0) <= 30_000);
        }
        assert_eq!((pause(5, false, 1.0), pause(5, true, 1.0)), (30_000, 1_000));
        assert_eq!((pause(10_000, false, 1.0), pause(9_999, false, 1.0)), (100, 200));
    }
}
