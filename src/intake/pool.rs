//! Who has not said the keyword yet. Pure: the time comes in.
//!
//! They hold no place of a sender, and not many places at all: when there are no more, the oldest of the address that holds most
//! of them goes, which is whoever floods.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use crate::penalty::group;

/// Senders of one stream that may wait before its gate. A right one waits for one round trip: this many pass in a tenth of a
/// second when they come from the other side of the world. Each costs a descriptor and some 2 KiB at most.
pub const MAX_WAITING: usize = 256;

/// Whoever holds more of these places than this and wants another one does not wait for a round trip: it says nothing.
const HANDFUL: usize = 8;

/// Who had to go for a newcomer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pushed {
    pub number: u64,
    /// Its address held more than a handful of all places.
    pub crowds: bool,
}

/// See the module. Numbers are given from outside and only ever grow.
#[derive(Debug, Default)]
pub struct Pool {
    /// By number: the first is the oldest.
    waiting: BTreeMap<u64, (Group, Instant)>,
    groups: HashMap<Group, BTreeSet<u64>>,
}

/// Those who share the places of one. Every host of IPv6 has a /64 to itself, and could come from a new address each time.
type Group = Option<IpAddr>;

impl Pool {
    /// One more waits. Returns who has to go for that.
    #[must_use]
    pub fn enter(&mut self, number: u64, ip: Option<IpAddr>, now: Instant) -> Option<Pushed> {
        let gone = if self.waiting.len() >= MAX_WAITING { self.oldest_of_most() } else { None };
        gone.map(|gone| self.leave(gone.number));
        let group = ip.map(group);
        self.waiting.insert(number, (group, now));
        self.groups.entry(group).or_default().insert(number);
        gone
    }

    /// Of the groups that hold most the oldest, of these the one that waits longest.
    fn oldest_of_most(&self) -> Option<Pushed> {
        let of = |group: &BTreeSet<u64>| Some((group.len(), std::cmp::Reverse(*group.first()?)));
        let (held, oldest) = self.groups.values().filter_map(of).max()?;
        Some(Pushed { number: oldest.0, crowds: held > HANDFUL })
    }

    /// It waits no longer; false: it had not.
    pub fn leave(&mut self, number: u64) -> bool {
        let Some((group, _)) = self.waiting.remove(&number) else { return false };
        if let Some(members) = self.groups.get_mut(&group) {
            members.remove(&number);
            if members.is_empty() {
                self.groups.remove(&group);
            }
        }
        true
    }

    /// Who has waited for `patience` by `now`; they wait no longer. Before `since` nobody was heard, and that time does not count.
    #[must_use]
    pub fn overdue(&mut self, now: Instant, since: Instant, patience: Duration) -> Vec<u64> {
        let late = |came: Instant| now.saturating_duration_since(came.max(since)) >= patience;
        let late: Vec<u64> = self.waiting.iter().take_while(|(_, (_, came))| late(*came)).map(|(n, _)| *n).collect();
        for number in &late {
            self.leave(*number);
        }
        late
    }

    /// Nobody waits any more. Returns who did.
    #[must_use]
    pub fn clear(&mut self) -> Vec<u64> {
        self.groups.clear();
        std::mem::take(&mut self.waiting).into_keys().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, n])
    }

    #[expect(clippy::unnecessary_wraps, reason = "to compare with")]
    fn pushed(number: u64) -> Option<Pushed> {
        Some(Pushed { number, crowds: true })
    }

    #[test]
    fn who_holds_a_handful_of_places_does_not_crowd() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        for n in 0..MAX_WAITING {
            let address = u8::try_from(n / HANDFUL).unwrap();
            assert_eq!(pool.enter(n as u64, Some(ip(address)), now), None);
        }
        assert_eq!(pool.enter(300, Some(ip(0)), now), Some(Pushed { number: 0, crowds: false }));
        assert_eq!(pool.enter(301, Some(ip(200)), now), Some(Pushed { number: 1, crowds: false }));
        assert!(pool.leave(8));
        assert_eq!(pool.enter(302, Some(ip(2)), now), None);
        assert_eq!(pool.enter(303, Some(ip(200)), now), pushed(16));
    }

    #[test]
    fn whoever_floods_loses_its_own_places_and_the_oldest_first() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        assert_eq!(pool.enter(0, Some(ip(7)), now), None);
        for n in 1..MAX_WAITING as u64 {
            assert_eq!(pool.enter(n, Some(ip(1)), now), None);
        }
        let full = MAX_WAITING as u64;
        assert_eq!(pool.enter(full, Some(ip(1)), now), pushed(1));
        assert_eq!(pool.enter(full + 1, Some(ip(8)), now), pushed(2), "a newcomer pushes out the flood, nobody else");
        assert!(pool.leave(0) && !pool.leave(0) && !pool.leave(1));
        assert_eq!(pool.enter(full + 2, Some(ip(1)), now), None, "somebody left");
        assert_eq!(pool.waiting.len(), MAX_WAITING);
        assert_eq!(pool.groups.values().map(BTreeSet::len).sum::<usize>(), MAX_WAITING);
    }

    #[test]
    fn a_host_with_many_addresses_of_one_network_is_one() {
        let (mut pool, now) = (Pool::default(), Instant::now());
        let six = |n: u64| Some(format!("2001:db8::{n:x}").parse::<IpAddr>().unwrap());
        assert_eq!(pool.enter(0, Some(ip(7)), now), None);
        assert_eq!(pool.enter(1, None, now), None);
        for n in 2..MAX_WAITING as u64 {
            assert_eq!(pool.enter(n, six(n), now), None);
        }
        assert_eq!(pool.enter(1000, Some(ip(9)), now), pushed(2));
        assert_eq!(pool.enter(1001, Some("2001:db8:0:1::1".parse().unwrap()), now), pushed(3), "another network");
        assert_eq!(pool.groups.len(), 5);
        assert_eq!(pool.clear().len(), MAX_WAITING);
        assert!(pool.groups.is_empty() && pool.clear().is_empty());
    }

    #[test]
    fn nobody_waits_for_ever_and_what_was_not_heard_does_not_count() {
        let (mut pool, start) = (Pool::default(), Instant::now());
        let (patience, at) = (Duration::from_secs(10), |seconds| start + Duration::from_secs(seconds));
        let _ = pool.enter(1, Some(ip(1)), at(0));
        let _ = pool.enter(2, Some(ip(1)), at(5));
        assert!(pool.overdue(at(9), start, patience).is_empty());
        assert!(pool.overdue(at(12), at(3), patience).is_empty());
        assert_eq!(pool.overdue(at(13), at(3), patience), [1]);
        assert_eq!(pool.overdue(at(15), at(3), patience), [2]);
        assert!(pool.waiting.is_empty() && pool.groups.is_empty());
    }
}
