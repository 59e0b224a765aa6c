//! When reclog itself renews the keys of a connection. Pure: byte counts come in.
//!
//! The library ends a connection on which more than twice the window arrives after our KEXINIT, before the server's.
//! What can still arrive then is what the server's kernel has queued (4 MiB by default, `tcp_wmem`) and what waits in
//! our own receive buffer (up to 32 MiB). The first fits into [`super::WINDOW`] twice, the second does not. So the
//! renewal waits until our receive buffer is empty; if that never happens under load, the buffer is made small first.
//! On top comes what sshd itself has in hand: it looks whether there is room once for all senders, and then takes a packet of each.
//! Of two hundred that is 6.4 MiB, and no window that could bear with it is one that sshd could buffer for each of them. So with many
//! senders in, ours waits until some have gone; the server's own limit, which nobody can do without, is in force meanwhile.
//! A renewal that the server begins needs none of this: it stops sending before it begins.
//!
//! Near by, windows are small and twice one is next to nothing. There the server's own renewal comes first, and where it does not, ours
//! waits for a moment with so few senders that their windows are all that can be on its way.

use super::distance::Distance;

/// Beyond the limit, this many bytes may pass while an empty receive buffer is waited for.
const SLACK: u64 = 64 * 1024 * 1024;
/// After the buffer was made small, what the old one held has been read when this much has arrived.
const FLUSHED: u64 = 40 * 1024 * 1024;

/// Senders whose windows the library bears with.
const FEW: usize = 2;
/// Senders of whom a packet each (32 KiB) fits into two windows (6 MiB) beside what the server's kernel has queued (4 MiB) and what sshd
/// may have in hand before it takes more (128 KiB): 60, and a fifth less for what else is on its way.
const MANY: usize = 48;

/// What is to be done now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Nothing.
    None,
    /// Make the receive buffer small.
    Shrink,
    /// Send KEXINIT.
    Start,
}

/// The decision for one connection.
#[derive(Debug)]
pub struct Rekey {
    limit: u64,
    distance: Distance,
    /// Bytes that had passed when the keys in force were made.
    since: u64,
    stage: Stage,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Counting,
    Shrunk { at: u64 },
    Started,
}

impl Rekey {
    /// Renew after `limit` bytes.
    #[must_use]
    pub fn new(limit: u64, distance: Distance) -> Self {
        Self { limit, distance, since: 0, stage: Stage::Counting }
    }

    /// `passed` bytes have passed so far (of the busier direction); `caught_up`: the last read emptied our buffer; `senders`: how
    /// many are in.
    pub fn observe(&mut self, passed: u64, caught_up: bool, senders: usize) -> Action {
        let used = passed - self.since;
        if used < self.limit {
            return Action::None;
        }
        match self.stage {
            Stage::Started => Action::None,
            _ if self.distance == Distance::Near => {
                if caught_up && senders <= FEW {
                    self.start()
                } else {
                    Action::None
                }
            }
            _ if senders > MANY => Action::None,
            _ if caught_up => self.start(),
            Stage::Counting if used >= self.limit + SLACK => {
                self.stage = Stage::Shrunk { at: passed };
                Action::Shrink
            }
            Stage::Shrunk { at } if passed - at >= FLUSHED => self.start(),
            Stage::Counting | Stage::Shrunk { .. } => Action::None,
        }
    }

    fn start(&mut self) -> Action {
        self.stage = Stage::Started;
        Action::Start
    }

    /// New keys are in force, whoever wanted them.
    pub fn renewed(&mut self, passed: u64) {
        self.since = passed;
        self.stage = Stage::Counting;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_waits_for_an_empty_buffer_and_starts_once() {
        let mut rekey = Rekey::new(100, Distance::Far);
        assert_eq!(rekey.observe(99, true, 9), Action::None);
        assert_eq!(rekey.observe(100, false, 9), Action::None);
        assert_eq!(rekey.observe(150, true, 9), Action::Start);
        assert_eq!(rekey.observe(200, true, 9), Action::None);
        rekey.renewed(210);
        assert_eq!(rekey.observe(309, true, 9), Action::None);
        assert_eq!(rekey.observe(310, true, 9), Action::Start);
    }

    #[test]
    fn under_load_that_never_ends_the_buffer_is_made_small_first() {
        let mut rekey = Rekey::new(100, Distance::Far);
        assert_eq!(rekey.observe(100 + SLACK, false, 9), Action::Shrink);
        assert_eq!(rekey.observe(100 + SLACK + FLUSHED - 1, false, 9), Action::None);
        assert_eq!(rekey.observe(100 + SLACK + FLUSHED, false, 9), Action::Start);
    }

    #[test]
    fn with_many_senders_in_it_waits_until_some_have_gone() {
        let mut rekey = Rekey::new(100, Distance::Far);
        assert_eq!(rekey.observe(150, true, MANY + 1), Action::None);
        assert_eq!(rekey.observe(100 + SLACK + FLUSHED, false, MANY + 1), Action::None);
        assert_eq!(rekey.observe(101 + SLACK + FLUSHED, true, MANY), Action::Start);
    }

    #[test]
    fn near_by_it_waits_until_few_are_in_and_never_makes_the_buffer_small() {
        let mut rekey = Rekey::new(100, Distance::Near);
        assert_eq!(rekey.observe(100 + SLACK + FLUSHED, true, FEW + 1), Action::None);
        assert_eq!(rekey.observe(101 + SLACK + FLUSHED, false, FEW), Action::None);
        assert_eq!(rekey.observe(102 + SLACK + FLUSHED, true, FEW), Action::Start);
    }

    #[test]
    fn a_renewal_by_the_server_resets_the_count() {
        let mut rekey = Rekey::new(100, Distance::Far);
        rekey.renewed(90);
        assert_eq!(rekey.observe(150, true, 9), Action::None);
    }
}
