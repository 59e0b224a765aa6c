//! How fast one address may try passwords. Pure: the time comes in.

use core::net::IpAddr;
use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::penalty::{Penalty, group};

/// Addresses that are remembered. Whoever has more of them is not kept out by their number, but by what a try costs.
const MOST: usize = 4096;

/// The tries that failed, by address.
#[derive(Debug, Default)]
pub struct Throttle(HashMap<Option<IpAddr>, Penalty>);

impl Throttle {
    /// A try begins; it counts as failed until [`succeeded`](Self::succeeded) is told. `None` is whoever has no address.
    ///
    /// # Errors
    /// How long this address has to wait.
    pub fn begin(&mut self, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        let address = address.map(group);
        if let Some(left) = self.0.get(&address).and_then(|penalty| penalty.left(now)) {
            return Err(left);
        }
        if self.0.len() >= MOST && !self.0.contains_key(&address) {
            self.0.retain(|_, penalty| penalty.left(now).is_some());
            let oldest = self.0.iter().min_by_key(|(_, penalty)| penalty.last()).map(|(address, _)| *address);
            if let Some(oldest) = oldest.filter(|_| self.0.len() >= MOST) {
                self.0.remove(&oldest);
            }
        }
        self.0.entry(address).or_default().failed(now);
        Ok(())
    }

    /// The try was none that failed. Those before it stay: who has one password must not be free to try others.
    pub fn succeeded(&mut self, address: Option<IpAddr>) {
        let address = address.map(group);
        if let Some(penalty) = self.0.get_mut(&address) {
            penalty.forgive_one();
            if penalty.is_clear() {
                self.0.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_keeps_failing_waits_and_nobody_else_does() {
        let (mut throttle, mut now) = (Throttle::default(), Instant::now());
        let mut free = 0;
        while throttle.begin(Some(at("192.0.2.7")), now).is_ok() {
            free += 1;
        }
        assert_eq!(free, 6, "the sixth is let through, and makes the next one wait");
        let mut waits = Vec::new();
        for _ in 0..3 {
            let left = throttle.begin(Some(at("192.0.2.7")), now).unwrap_err();
            waits.push(left.as_secs());
            now += left;
            assert!(throttle.begin(Some(at("192.0.2.7")), now).is_ok());
        }
        assert_eq!(waits, [2, 4, 8]);
        assert!(throttle.begin(Some(at("192.0.2.8")), now).is_ok());
        assert!(throttle.begin(None, now).is_ok());
    }

    #[test]
    fn a_success_forgives_itself_alone() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for _ in 0..4 {
            throttle.begin(Some(at("192.0.2.7")), now).unwrap();
        }
        for _ in 0..50 {
            throttle.begin(Some(at("192.0.2.7")), now).unwrap();
            throttle.succeeded(Some(at("192.0.2.7")));
        }
        throttle.begin(Some(at("192.0.2.7")), now).unwrap();
        throttle.begin(Some(at("192.0.2.7")), now).unwrap();
        assert!(throttle.begin(Some(at("192.0.2.7")), now).is_err());
    }

    #[test]
    fn a_network_of_one_machine_is_one_address_and_the_table_is_bounded() {
        let (mut throttle, now) = (Throttle::default(), Instant::now());
        for n in 0..6 {
            throttle.begin(Some(at(&format!("2001:db8::{n}"))), now).unwrap();
        }
        assert!(throttle.begin(Some(at("2001:db8::99")), now).is_err());
        assert!(throttle.begin(Some(at("2001:db8:0:1::")), now).is_ok());
        for n in 0..3 * u32::try_from(MOST).unwrap() {
            let _ = throttle.begin(Some(IpAddr::V4(n.into())), now + Duration::from_millis(u64::from(n)));
        }
        assert!(throttle.0.len() <= MOST);
    }
}
