//! How long an address stays out that keeps failing: at the gate with keywords, at the login with passwords. Pure: the time comes in.

use core::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Failures that cost nothing: whoever types a keyword, or tries out a line of a script, may be wrong for a while.
const FREE: u32 = 5;
/// For the first failure beyond them; each further one costs twice as much.
const FIRST: Duration = Duration::from_secs(2);
/// However often it failed. Whoever mends a device waits no longer than this.
const LONGEST: Duration = Duration::from_secs(300);
/// Failures are forgotten after so long without another.
const MEMORY: Duration = Duration::from_secs(1800);

/// What counts as one address: of IPv6 its /64, which every host has to itself.
#[must_use]
pub fn group(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() & !u128::from(u64::MAX)).into(),
        four @ IpAddr::V4(_) => four,
    }
}

/// The failures of one address.
#[derive(Debug, Default, Clone, Copy)]
pub struct Penalty {
    failures: u32,
    last: Option<Instant>,
}

impl Penalty {
    /// One more.
    pub fn failed(&mut self, now: Instant) {
        let forgotten = self.last.is_none_or(|last| now.saturating_duration_since(last) >= MEMORY);
        self.failures = if forgotten { 1 } else { self.failures.saturating_add(1) };
        self.last = Some(now);
    }

    /// It did it right.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// One failure was none.
    pub fn forgive_one(&mut self) {
        self.failures = self.failures.saturating_sub(1);
    }

    /// Whether there is nothing to remember.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.failures == 0
    }

    /// When it failed last.
    #[must_use]
    pub fn last(&self) -> Option<Instant> {
        self.last
    }

    /// Whether it has to stay out.
    #[must_use]
    pub fn holds(&self, now: Instant) -> bool {
        self.left(now).is_some()
    }

    /// How long it has to stay out yet.
    #[must_use]
    pub fn left(&self, now: Instant) -> Option<Duration> {
        let gone = now.saturating_duration_since(self.last?);
        self.length().checked_sub(gone).filter(|left| !left.is_zero())
    }

    fn length(&self) -> Duration {
        match self.failures.checked_sub(FREE + 1) {
            None => Duration::ZERO,
            Some(doublings) => FIRST.saturating_mul(1u32.checked_shl(doublings).unwrap_or(u32::MAX)).min(LONGEST),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failures_are_free_then_it_grows_up_to_a_bound_and_a_success_clears() {
        let (mut penalty, mut now) = (Penalty::default(), Instant::now());
        for _ in 0..FREE {
            penalty.failed(now);
            assert!(!penalty.holds(now));
        }
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
            penalty.failed(now);
            assert!(penalty.holds(now + Duration::from_millis(seconds * 1000 - 1)), "{seconds}");
            now += Duration::from_secs(seconds);
            assert!(!penalty.holds(now), "{seconds}");
        }
        for _ in 0..100 {
            penalty.failed(now);
        }
        assert!(!penalty.holds(now + LONGEST), "there is a bound");
        penalty.clear();
        penalty.failed(now);
        assert!(!penalty.holds(now));
    }

    #[test]
    fn failures_are_forgotten_after_a_while() {
        let (mut penalty, now) = (Penalty::default(), Instant::now());
        for n in 0..50 {
            penalty.failed(now + MEMORY * n);
            assert!(!penalty.holds(now + MEMORY * n), "one in a while is nothing");
        }
    }
}
