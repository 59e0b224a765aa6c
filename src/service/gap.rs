//! The time between the starts of a service that fails early; pure.
//!
//! systemd lengthens the delay itself from version 254 on (`RestartSteps=`); before that it starts what fails at once again and again
//! with the same pause. As the gap is measured from start to start, the two do not add up.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Between the first start and the second one; each gap is twice as long.
const FIRST: Duration = Duration::from_secs(5);
/// No gap is longer: somebody who has put right what was wrong may be waiting for it.
const LONGEST: Duration = Duration::from_secs(60);
/// A start so long ago tells nothing about the next one.
const LONG_LIFE: SignedDuration = SignedDuration::from_mins(10);

/// The starts that came to nothing, in a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starts {
    /// So many.
    pub failed: u32,
    /// When the last one was.
    pub last: Timestamp,
}

impl Starts {
    /// How long a start has to wait that comes `now`, after those of `before`; and with it, what the next one has to know. A start
    /// counts as one that failed until it is known that it has not.
    #[must_use]
    pub fn next(before: Option<&Self>, now: Timestamp) -> (Duration, Self) {
        let since = |starts: &&Self| now.duration_since(starts.last);
        let recent = before.filter(|starts| (SignedDuration::ZERO..LONG_LIFE).contains(&since(starts)));
        let Some(before) = recent else { return (Duration::ZERO, Self { failed: 1, last: now }) };
        let gap = FIRST.saturating_mul(1 << before.failed.saturating_sub(1).min(10)).min(LONGEST);
        let wait = gap.saturating_sub(since(&before).unsigned_abs());
        (wait, Self { failed: before.failed.saturating_add(1), last: now + wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_grows_from_start_to_start_up_to_a_minute() {
        let (mut now, mut starts, mut gaps) = (Timestamp::UNIX_EPOCH, None, Vec::new());
        for _ in 0..8 {
            let (wait, next) = Starts::next(starts.as_ref(), now);
            gaps.push(wait.as_secs());
            // It fails at once, and the manager waits for a second.
            now = next.last + Duration::from_secs(1);
            starts = Some(next);
        }
        assert_eq!(gaps, [0, 4, 9, 19, 39, 59, 59, 59]);
        assert_eq!(starts.unwrap().failed, 8);
    }

    #[test]
    fn a_long_life_or_a_clock_that_was_set_back_begins_anew() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let before = Starts { failed: 9, last: at(1000) };
        assert_eq!(Starts::next(Some(&before), at(1600)), (Duration::ZERO, Starts { failed: 1, last: at(1600) }));
        assert_eq!(Starts::next(Some(&before), at(999)).0, Duration::ZERO);
        // A manager that waits itself is not waited for on top.
        assert_eq!(Starts::next(Some(&before), at(1060)), (Duration::ZERO, Starts { failed: 10, last: at(1060) }));
        assert_eq!(Starts::next(Some(&before), at(1059)).0, Duration::from_secs(1));
    }
}
