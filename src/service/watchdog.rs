//! Whether the manager may hear that all is well; pure. Whoever asks is alive: what is watched here are the others.

use std::time::Duration;

/// A thread that has nothing to do makes a step twice a second; one that makes none for so long hangs, however impatient the manager
/// is.
const STANDS: Duration = Duration::from_secs(2);

/// A thread as it is seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sign {
    /// Grows with every step that it makes.
    pub steps: u64,
    /// It waits for the system (a disk, a pipe, a network), or has ended: that it makes no step is no fault of its own.
    pub excused: bool,
}

/// The watch over threads. Instants are times since any one instant.
#[derive(Debug)]
pub struct Watchdog {
    /// Within this time the manager wants to hear from us.
    limit: Duration,
    /// Of each thread, the steps that were seen last, and when they were fewer.
    threads: Vec<(u64, Duration)>,
    /// The last message.
    told: Option<Duration>,
}

impl Watchdog {
    /// A watch for a manager that waits for `limit`.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self { limit, threads: Vec::new(), told: None }
    }

    /// How often it is to be [asked](Self::tells) at least.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.limit / 8
    }

    /// Whether the manager is to be told `now` that all is well. Every thread has to have made a step within half of the limit, so
    /// that a busy machine is no hang.
    pub fn tells(&mut self, signs: impl IntoIterator<Item = Sign>, now: Duration) -> bool {
        let mut well = true;
        for (n, sign) in signs.into_iter().enumerate() {
            if n == self.threads.len() {
                self.threads.push((sign.steps, now));
            }
            let (steps, at) = &mut self.threads[n];
            if sign.excused || *steps != sign.steps {
                (*steps, *at) = (sign.steps, now);
            }
            well &= now.saturating_sub(*at) < STANDS.max(self.limit / 2);
        }
        let due = self.told.is_none_or(|told| now.saturating_sub(told) >= self.limit / 4);
        let tells = well && due;
        if tells {
            self.told = Some(now);
        }
        tells
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn steps(steps: u64) -> Sign {
        Sign { steps, excused: false }
    }

    #[test]
    fn the_manager_hears_in_time_and_not_all_the_time() {
        let mut watch = Watchdog::new(at(40));
        let told: Vec<u64> = (0..40).filter(|&n| watch.tells([steps(n)], at(n))).collect();
        assert_eq!(told, [0, 10, 20, 30]);
        assert!(watch.every() <= at(40) / 4);
    }

    #[test]
    fn one_thread_that_hangs_silences_it_and_one_that_waits_for_a_disk_does_not() {
        let mut watch = Watchdog::new(at(40));
        let excused = Sign { steps: 1, excused: true };
        for n in 0..100 {
            let _ = watch.tells([steps(n), excused], at(n));
        }
        assert!(watch.tells([steps(100), excused], at(110)));
        // From here on it hangs outside of the disk.
        let told: Vec<u64> = (111..300).filter(|&n| watch.tells([steps(n), steps(1)], at(n))).collect();
        assert_eq!(told, [120], "not any more when it has stood for half of the limit");
        assert!(watch.tells([steps(300), steps(2)], at(300)), "it moves again");
    }

    #[test]
    fn without_threads_whoever_asks_is_enough() {
        assert!(Watchdog::new(at(1)).tells([], at(0)));
    }
}
