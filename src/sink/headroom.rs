//! How much may be written before the disk has less free space than it shall keep (`min_free`).

use std::io;
use std::time::{Duration, Instant};

/// What others write to the disk is noticed within this time. One statvfs(2) in it costs nothing beside the writing.
const FRESH: Duration = Duration::from_millis(100);
/// Files take whole blocks, and some for their own bookkeeping.
const SLACK: u64 = 16 * 1024;

/// See the module.
#[derive(Debug)]
pub struct Headroom {
    min: u64,
    /// Bytes that may be written before the next look.
    allowance: u64,
    looked: Option<Instant>,
    /// There was too little the last time: more is asked for now, or every freed block would be a resume and a stall.
    low: bool,
}

impl Headroom {
    /// `min`: bytes that stay free; 0: none.
    #[must_use]
    pub fn new(min: u64) -> Self {
        Self { min, allowance: 0, looked: None, low: false }
    }

    /// How many of `want` bytes may be written now; `free` asks the disk.
    ///
    /// # Errors
    /// What `free` says.
    pub fn allow(&mut self, want: u64, now: Instant, free: impl FnOnce() -> io::Result<u64>) -> io::Result<u64> {
        if self.min == 0 {
            return Ok(want);
        }
        let fresh = self.looked.is_some_and(|at| now.saturating_duration_since(at) < FRESH);
        if !fresh || self.allowance < want {
            let more = if self.low { self.min / 64 } else { 0 };
            self.allowance = free()?.saturating_sub(self.min.saturating_add(more).saturating_add(SLACK));
            self.looked = Some(now);
        }
        Ok(self.allowance.min(want))
    }

    /// So many bytes were written.
    pub fn spent(&mut self, bytes: u64) {
        self.allowance = self.allowance.saturating_sub(bytes);
        self.low = false;
    }

    /// It was too little.
    pub fn was_low(&mut self) {
        self.low = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_disk_is_asked_seldom_and_never_has_less_than_it_shall() {
        let (mut room, now) = (Headroom::new(1_000_000), Instant::now());
        assert_eq!(room.allow(100_000, now, || Ok(1_500_000)).unwrap(), 100_000);
        room.spent(100_000);
        assert_eq!(room.allow(300_000, now, || panic!("asked again")).unwrap(), 300_000);
        room.spent(300_000);
        let rest = 1_100_000 - 1_000_000 - SLACK;
        assert_eq!(room.allow(300_000, now, || Ok(1_100_000)).unwrap(), rest);
        room.spent(rest);
        assert_eq!(room.allow(1, now, || Ok(1_000_000 + SLACK)).unwrap(), 0);
        room.was_low();
        assert_eq!(room.allow(1, now, || Ok(1_000_001 + SLACK)).unwrap(), 0, "a block more is not enough to go on");
        assert_eq!(room.allow(1, now, || Ok(1_100_000)).unwrap(), 1);
        // Somebody else has filled it meanwhile.
        room.spent(1);
        assert_eq!(room.allow(1, now + FRESH, || Ok(0)).unwrap(), 0);
    }

    #[test]
    fn without_a_bound_nobody_asks() {
        let mut room = Headroom::new(0);
        assert_eq!(room.allow(u64::MAX, Instant::now(), || panic!("asked")).unwrap(), u64::MAX);
    }
}
