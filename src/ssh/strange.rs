//! What a server does that nobody asked it for: refused, counted, told once. Pure.
//!
//! A server that opens what was not asked for is broken or hostile. One such channel harms nobody; a flood of them is work
//! without end, and the log must not tell of each.

use std::collections::HashSet;

/// Channels that nobody asked for, in the life of one connection. Honest servers open a few: senders that come while a
/// port is being given back.
pub const MAX_UNASKED: u32 = 10_000;
/// Channels that have ended for us and that the server has not closed: the library keeps some 3 KiB of each until it does.
/// Honest servers close them within one round trip.
pub const MAX_HALF_CLOSED: usize = 8_192;
/// Bytes of banners that are shown; the rest is left out.
const MAX_BANNERS: usize = 64 * 1024;
/// What a banner counts for at least, so that there are not thousands of them.
const LEAST_BANNER: usize = 512;

/// The account of one connection.
#[derive(Debug, Default)]
pub struct Strange {
    unasked: u32,
    told: HashSet<&'static str>,
    banners: usize,
}

/// What to do with a banner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// So many bytes of it.
    Upto(usize),
    /// Say that there is more than is shown.
    Enough,
    /// Nothing: that was said.
    Nothing,
}

impl Strange {
    /// Whether `what` happens for the first time, and is worth a line.
    pub fn is_new(&mut self, what: &'static str) -> bool {
        self.told.insert(what)
    }

    /// One more channel that nobody asked for; false: it is one too many.
    pub fn unasked(&mut self) -> bool {
        self.unasked = self.unasked.saturating_add(1);
        self.unasked <= MAX_UNASKED
    }

    /// A banner of `length` bytes has come.
    pub fn banner(&mut self, length: usize) -> Show {
        let left = MAX_BANNERS.saturating_sub(self.banners);
        self.banners = self.banners.saturating_add(length.max(LEAST_BANNER));
        match left {
            0 if self.is_new("banners") => Show::Enough,
            0 => Show::Nothing,
            left => Show::Upto(left.min(length)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_strange_thing_is_told_once_and_too_many_channels_are_too_many() {
        let mut strange = Strange::default();
        assert!(strange.is_new("x11") && !strange.is_new("x11") && strange.is_new("agent"));
        assert!((0..MAX_UNASKED).all(|_| strange.unasked()));
        assert!(!strange.unasked());
    }

    #[test]
    fn banners_are_shown_up_to_a_bound_however_they_come() {
        let mut one = Strange::default();
        assert_eq!(one.banner(10), Show::Upto(10));
        assert_eq!(one.banner(10_000_000), Show::Upto(MAX_BANNERS - LEAST_BANNER));
        assert_eq!(one.banner(10), Show::Enough);
        assert_eq!(one.banner(10), Show::Nothing);
        let mut many = Strange::default();
        let shown = (0..100_000).filter(|_| matches!(many.banner(1), Show::Upto(_))).count();
        assert_eq!(shown, MAX_BANNERS / LEAST_BANNER);
    }
}
