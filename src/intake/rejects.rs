//! How much of a flood at the door is told one by one. Pure: the time comes in.
//!
//! Every sender that is turned away is counted; the trail hears of each as long as they are few. Beyond that one line a second and
//! reason says how many more there were.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Those of one stream that are told one by one in each [`WINDOW`]: a person can look at them, and a device that does wrong shows.
const ONE_BY_ONE: u32 = 20;
/// How long they are counted together.
const WINDOW: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub struct Rejects {
    since: Option<Instant>,
    told: u32,
    /// By reason.
    more: BTreeMap<&'static str, More>,
}

/// Those who were not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct More {
    /// How many.
    pub count: u64,
    /// The last one.
    pub peer: String,
}

impl Rejects {
    /// One more, `peer`, was turned away. True: that is to be told; the [rest](Self::rest) has to be asked for before that.
    pub fn add(&mut self, why: &'static str, peer: &str, now: Instant) -> bool {
        let since = *self.since.get_or_insert(now);
        if now.saturating_duration_since(since) >= WINDOW {
            (self.since, self.told) = (Some(now), 0);
        }
        if self.told < ONE_BY_ONE {
            self.told += 1;
            return true;
        }
        let more = self.more.entry(why).or_insert_with(|| More { count: 0, peer: String::new() });
        more.count += 1;
        peer.clone_into(&mut more.peer);
        false
    }

    /// Those who were not told, when their time is over, or at once if this is the end.
    pub fn rest(&mut self, now: Instant, end: bool) -> BTreeMap<&'static str, More> {
        let over = self.since.is_some_and(|since| now.saturating_duration_since(since) >= WINDOW);
        if over || end { std::mem::take(&mut self.more) } else { BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_a_few_lines_and_one_that_says_how_many_more() {
        let (mut rejects, start) = (Rejects::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        let told = (0..1000).filter(|n| rejects.add("max_new", &format!("peer {n}"), at(*n / 2))).count();
        assert_eq!(told, ONE_BY_ONE as usize);
        assert!(!rejects.add("deny", "other", at(600)));
        assert!(rejects.rest(at(999), false).is_empty());
        let rest = rejects.rest(at(1000), false);
        assert_eq!(rest["max_new"], More { count: 1000 - u64::from(ONE_BY_ONE), peer: "peer 999".into() });
        assert_eq!(rest["deny"].count, 1);
        assert!(rejects.rest(at(1000), true).is_empty());
        assert!(rejects.add("deny", "x", at(1000)), "the next second");
    }

    #[test]
    fn a_few_are_told_one_by_one_for_ever() {
        let (mut rejects, start) = (Rejects::default(), Instant::now());
        assert!((0..1000).all(|n| rejects.add("keyword", "x", start + WINDOW * n / ONE_BY_ONE)));
        assert!(rejects.rest(start + WINDOW * 1000, true).is_empty());
    }
}
