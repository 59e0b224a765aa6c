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

/// The account of one connection.
#[derive(Debug, Default)]
pub struct Strange {
    unasked: u32,
    told: HashSet<&'static str>,
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
}
