//! What an address may do: which ones come in at all, how many senders of one, how soon, how much. Pure: the time comes in.

use core::net::IpAddr;
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use super::why::Reject;
use crate::penalty::{Penalty, group};
use crate::plan::Limits;

/// Addresses that are remembered without having a sender in; some 150 bytes each. When there are more, the one that was seen least
/// recently is forgotten, with its failures. Those with senders are as many as senders are let in, and stay.
const MEMORY: usize = 16_384;
/// New connections may come as many at once as come in this time at `max_new`.
const NEW_BURST: Duration = Duration::from_secs(1);
/// Bytes may come as many at once as come in this time at `max_rate`, and [`READS`] more: they do not come off the wire as evenly as
/// they went onto it.
const RATE_BURST: Duration = Duration::from_secs(2);
/// Bytes of a few reads, so that a low rate does not forbid a line.
const READS: u64 = 64 * 1024;

/// Whether the lists let `ip` in.
///
/// # Errors
/// Which of them does not.
pub fn listed(limits: &Limits, ip: IpAddr) -> Result<(), Reject> {
    let ip = ip.to_canonical();
    if limits.deny.iter().any(|net| net.contains(&ip)) {
        Err(Reject::Deny)
    } else if !limits.allow.is_empty() && !limits.allow.iter().any(|net| net.contains(&ip)) {
        Err(Reject::Allow)
    } else {
        Ok(())
    }
}

/// Whether the lists let somebody in whose address is not told: nobody knows then whether it is one of these.
///
/// # Errors
/// Which of them does not.
pub fn unlisted(limits: &Limits) -> Result<(), Reject> {
    if !limits.deny.is_empty() {
        Err(Reject::Deny)
    } else if !limits.allow.is_empty() {
        Err(Reject::Allow)
    } else {
        Ok(())
    }
}

/// The addresses of one stream. A host of IPv6 has a /64 to itself, and counts as one however many it uses.
#[derive(Debug, Default)]
pub struct Addresses {
    known: HashMap<IpAddr, Known>,
    /// Those that have no sender in, by the turn in which they were seen last.
    absent: BTreeMap<u64, IpAddr>,
    turn: u64,
    /// Callers take the time before they get here, and may come in another order.
    latest: Option<Instant>,
    /// Nothing was read from then on; what has come since counts as if it had come meanwhile, until the second instant.
    stall: Option<(Instant, Instant)>,
}

#[derive(Debug)]
struct Known {
    open: usize,
    /// Its place among the absent; nobody's while it has senders in.
    turn: u64,
    new: Bucket,
    rate: Bucket,
    penalty: Penalty,
}

impl Addresses {
    /// A sender of `ip` is at the door.
    ///
    /// # Errors
    /// Why it is not let in.
    pub fn knock(&mut self, ip: IpAddr, limits: &Limits, now: Instant) -> Result<(), Reject> {
        listed(limits, ip)?;
        let now = self.not_before(now);
        let known = self.see(ip);
        // Who has senders in knows the keyword: others behind the same address do not keep it out.
        if known.open == 0 && known.penalty.holds(now) {
            return Err(Reject::Penalty);
        }
        if !known.new.take(1, limits.max_new.into(), NEW_BURST, now, now) {
            return Err(Reject::MaxNew);
        }
        if known.open >= limits.max_per_address { Err(Reject::MaxPerAddress) } else { Ok(()) }
    }

    /// One of them comes in.
    ///
    /// # Errors
    /// When as many are in as may be.
    pub fn enter(&mut self, ip: IpAddr, limits: &Limits) -> Result<(), Reject> {
        let known = self.see(ip);
        if known.open >= limits.max_per_address {
            return Err(Reject::MaxPerAddress);
        }
        known.open += 1;
        let turn = known.turn;
        self.absent.remove(&turn);
        Ok(())
    }

    /// One that was in is gone.
    pub fn leave(&mut self, ip: IpAddr) {
        if let Some(known) = self.known.get_mut(&group(ip)) {
            known.open = known.open.saturating_sub(1);
            self.see(ip);
        }
    }

    /// One of them did not get through the gate, through its own fault.
    pub fn failed(&mut self, ip: IpAddr, now: Instant) {
        self.see(ip).penalty.failed(now);
    }

    /// One of them got through.
    pub fn passed(&mut self, ip: IpAddr) {
        self.see(ip).penalty.clear();
    }

    /// Whether so many bytes more are within `rate`, in bytes a second.
    pub fn takes(&mut self, ip: IpAddr, bytes: usize, rate: u64, now: Instant) -> bool {
        let now = self.not_before(now);
        let since = self.stall.filter(|(_, until)| now < *until).map_or(now, |(from, _)| from);
        let burst = RATE_BURST + time_of(READS, rate);
        self.see(ip).rate.take(bytes as u64, rate, burst, since, now)
    }

    /// Nothing was read between the two, which senders are not to blame for. Stalls that follow each other closely are one.
    pub fn stalled(&mut self, from: Instant, to: Instant) {
        let from = self.stall.filter(|(_, until)| from <= *until).map_or(from, |(first, _)| first);
        // What has gathered on the way comes in no longer than it took to gather.
        self.stall = Some((from, to + to.saturating_duration_since(from) + RATE_BURST));
    }

    fn not_before(&mut self, now: Instant) -> Instant {
        *self.latest.insert(self.latest.map_or(now, |latest| latest.max(now)))
    }

    /// What is known of `ip`, which is heard now.
    fn see(&mut self, ip: IpAddr) -> &mut Known {
        let ip = group(ip);
        self.turn += 1;
        let turn = self.turn;
        if !self.known.contains_key(&ip)
            && self.absent.len() >= MEMORY
            && let Some((_, oldest)) = self.absent.pop_first()
        {
            self.known.remove(&oldest);
        }
        let known = self.known.entry(ip).or_insert_with(|| Known {
            open: 0,
            turn,
            new: Bucket::default(),
            rate: Bucket::default(),
            penalty: Penalty::default(),
        });
        if known.open == 0 {
            self.absent.remove(&known.turn);
            known.turn = turn;
            self.absent.insert(turn, ip);
        }
        known
    }
}

/// What may still come: a bucket that leaks at a rate, as the time at which it will be empty (the generic cell rate algorithm of ATM).
#[derive(Debug, Default)]
struct Bucket(Option<Instant>);

impl Bucket {
    /// Puts so many in if they fit: no more may be in it than leaks in the time `burst`. They came at `since` at the earliest.
    fn take(&mut self, units: u64, rate: u64, burst: Duration, since: Instant, now: Instant) -> bool {
        let begin = self.0.map_or(since, |empty| empty.max(since));
        let fits = begin.checked_add(time_of(units, rate)).filter(|full| *full <= now + burst);
        self.0 = fits.or(self.0);
        fits.is_some()
    }
}

/// How long so many units take at `rate` a second; very long for a rate of 0.
fn time_of(units: u64, rate: u64) -> Duration {
    let nanos = (u128::from(units) * 1_000_000_000).checked_div(u128::from(rate));
    Duration::from_nanos(nanos.and_then(|nanos| u64::try_from(nanos).ok()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(n: u32) -> IpAddr {
        core::net::Ipv4Addr::from_bits(0x0a00_0000 + n).into()
    }

    fn lists(allow: &[&str], deny: &[&str]) -> Limits {
        let nets = |list: &[&str]| list.iter().map(|net| net.parse().unwrap()).collect();
        Limits { allow: nets(allow), deny: nets(deny), ..Limits::default() }
    }

    #[test]
    fn deny_wins_and_an_empty_list_allows_all() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(listed(&lists(&[], &[]), ip("192.0.2.1")), Ok(()));
        let some = lists(&["192.0.2.0/24", "2001:db8::/32"], &["192.0.2.9/32", "2001:db8:1::/48"]);
        for allowed in ["192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"] {
            assert_eq!(listed(&some, ip(allowed)), Ok(()), "{allowed}");
        }
        for denied in ["192.0.2.9", "::ffff:192.0.2.9", "2001:db8:1::5"] {
            assert_eq!(listed(&some, ip(denied)), Err(Reject::Deny), "{denied}");
        }
        for other in ["198.51.100.1", "2001:db9::1", "::1"] {
            assert_eq!(listed(&some, ip(other)), Err(Reject::Allow), "{other}");
        }
        assert_eq!(listed(&lists(&[], &["::/0"]), ip("127.0.0.1")), Ok(()));
    }

    #[test]
    fn who_has_no_address_is_none_of_those_that_are_allowed_and_may_be_one_that_is_denied() {
        assert_eq!(unlisted(&lists(&[], &[])), Ok(()));
        assert_eq!(unlisted(&lists(&["::/0", "0.0.0.0/0"], &[])), Err(Reject::Allow));
        assert_eq!(unlisted(&lists(&[], &["192.0.2.1/32"])), Err(Reject::Deny));
        assert_eq!(unlisted(&lists(&["::/0"], &["192.0.2.1/32"])), Err(Reject::Deny));
    }

    #[test]
    fn senders_of_one_address_are_counted_and_others_are_not_touched() {
        let (mut all, now) = (Addresses::default(), Instant::now());
        let limits = Limits { max_per_address: 2, ..Limits::default() };
        for _ in 0..2 {
            assert_eq!((all.knock(ip(1), &limits, now), all.enter(ip(1), &limits)), (Ok(()), Ok(())));
        }
        assert_eq!(all.knock(ip(1), &limits, now), Err(Reject::MaxPerAddress));
        assert_eq!(all.enter(ip(1), &limits), Err(Reject::MaxPerAddress));
        assert_eq!(all.enter(ip(2), &limits), Ok(()));
        all.leave(ip(1));
        assert_eq!(all.enter(ip(1), &limits), Ok(()));
        all.leave(ip(9));
        assert_eq!(all.known.len(), 2);
    }

    #[test]
    fn a_host_with_a_network_of_ipv6_is_one_address() {
        let (mut all, now) = (Addresses::default(), Instant::now());
        let limits = Limits { max_per_address: 2, max_new: 20, ..lists(&[], &["2001:db8::bad/128"]) };
        let six = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!((all.enter(six("2001:db8::1"), &limits), all.enter(six("2001:db8::2"), &limits)), (Ok(()), Ok(())));
        assert_eq!(all.knock(six("2001:db8::3"), &limits, now), Err(Reject::MaxPerAddress));
        assert_eq!(all.knock(six("2001:db8:0:1::3"), &limits, now), Ok(()), "another network");
        assert_eq!(all.knock(six("2001:db8::bad"), &limits, now), Err(Reject::Deny), "the lists know each address");
        all.leave(six("2001:db8::2"));
        all.leave(six("2001:db8::1"));
        for n in 1..=6 {
            all.failed(six(&format!("2001:db8::{n}")), now);
        }
        assert_eq!(all.knock(six("2001:db8::7"), &limits, now), Err(Reject::Penalty));
        let later = now + Duration::from_secs(60);
        let came = (0..30).filter(|n| all.knock(six(&format!("2001:db8::{n:x}")), &limits, later).is_ok()).count();
        assert_eq!(came, 20);
        assert!(all.takes(six("2001:db8::1"), 64 * 1024, 1000, later));
        assert!(!all.takes(six("2001:db8::2"), 64 * 1024, 1000, later));
        for n in 1..=3 {
            assert_eq!(all.enter(six(&format!("::ffff:192.0.2.{n}")), &limits), Ok(()));
        }
    }

    #[test]
    fn new_connections_are_bounded_a_second_and_address() {
        let (mut all, start) = (Addresses::default(), Instant::now());
        let limits = Limits { max_new: 10, ..Limits::default() };
        let mut came = |ip, ms| all.knock(ip, &limits, start + Duration::from_millis(ms)).is_ok();
        assert_eq!((0..30).filter(|_| came(ip(1), 0)).count(), 10);
        assert!(came(ip(2), 0), "another address");
        assert_eq!((0..30).filter(|_| came(ip(1), 500)).count(), 5);
        assert_eq!((0..30).filter(|_| came(ip(1), 60_000)).count(), 10, "rest is not saved up");
        assert_eq!((0..100).filter(|n| came(ip(3), 60_000 + n * 100)).count(), 100, "exactly at the rate");
        let nobody = Limits { max_new: 0, ..Limits::default() };
        assert_eq!(all.knock(ip(4), &nobody, start), Err(Reject::MaxNew));
    }

    #[test]
    fn a_sender_exactly_at_its_rate_goes_on_and_one_above_it_does_not() {
        const READ: u64 = 32 * 1024;
        for rate in [1, 1000, 32 * 1024, 1_000_000, 1_000_000_000] {
            let (mut all, start) = (Addresses::default(), Instant::now());
            for n in 1..2000 {
                let now = start + time_of(n * READ, rate);
                assert!(all.takes(ip(1), 32 * 1024, rate, now), "read {n} at {rate}");
            }
            let (mut all, mut sent) = (Addresses::default(), 0);
            while all.takes(ip(1), 1024, rate, start) {
                sent += 1024;
            }
            let most = 2 * rate + READS;
            assert!(sent <= most && sent + 1024 > most, "{sent} of {most} at once");
            assert!(all.takes(ip(2), 1024, rate, start), "another address");
            let twice = |n: u64| start + time_of(n * 1024, 2 * rate);
            let noticed = (0..10_000).any(|n| !all.takes(ip(3), 1024, rate, twice(n)));
            assert!(noticed || rate > 1_000_000, "twice {rate} for 10 MiB");
        }
    }

    #[test]
    fn what_gathers_while_nothing_is_read_is_not_held_against_the_sender() {
        let (start, rate) = (Instant::now(), 1000);
        let at = |seconds| start + Duration::from_secs(seconds);
        let backlog = 60 * 1000 + READS + 2000;
        let all_at_once = |all: &mut Addresses, now| all.takes(ip(1), usize::try_from(backlog).unwrap(), rate, now);
        let mut all = Addresses::default();
        assert!(!all_at_once(&mut all, at(60)));
        all.stalled(at(0), at(30));
        all.stalled(at(30), at(60));
        assert!(all_at_once(&mut all, at(60)), "a minute of it");
        assert!(!all.takes(ip(1), 1, rate, at(60)), "and no byte more");
        let mut all = Addresses::default();
        all.stalled(at(0), at(60));
        assert!(!all_at_once(&mut all, at(200)), "not for ever");
    }

    #[test]
    fn who_keeps_failing_stays_out_unless_others_of_its_address_are_in() {
        let (mut all, now, limits) = (Addresses::default(), Instant::now(), Limits::default());
        for _ in 0..6 {
            assert_eq!(all.knock(ip(1), &limits, now), Ok(()));
            all.failed(ip(1), now);
        }
        assert_eq!(all.knock(ip(1), &limits, now), Err(Reject::Penalty));
        assert_eq!(all.knock(ip(2), &limits, now), Ok(()));
        all.enter(ip(1), &limits).unwrap();
        assert_eq!(all.knock(ip(1), &limits, now), Ok(()), "somebody behind it is known");
        all.leave(ip(1));
        assert_eq!(all.knock(ip(1), &limits, now), Err(Reject::Penalty));
        all.passed(ip(1));
        assert_eq!(all.knock(ip(1), &limits, now), Ok(()));
    }

    #[test]
    fn the_table_is_bounded_and_who_is_in_is_never_forgotten() {
        let (mut all, now, limits) =
            (Addresses::default(), Instant::now(), Limits { max_per_address: 1, ..Limits::default() });
        all.enter(ip(0), &limits).unwrap();
        for n in 1..3 * u32::try_from(MEMORY).unwrap() {
            let _ = all.knock(ip(n), &limits, now);
            assert!(all.known.len() <= MEMORY + 1 && all.absent.len() <= MEMORY);
        }
        assert!(!all.known.contains_key(&ip(1)) && all.known.contains_key(&ip(2 * u32::try_from(MEMORY).unwrap())));
        assert_eq!(all.enter(ip(0), &limits), Err(Reject::MaxPerAddress));
        all.leave(ip(0));
        assert_eq!(all.known.len(), MEMORY + 1, "one more until the next comes");
        assert_eq!(all.absent.len(), MEMORY + 1);
        all.enter(ip(0), &limits).unwrap();
    }
}
