//! How much of a sender may be on its way, by how far the jump host is. Pure.
//!
//! sshd reads as much ahead of every sender as its window lets it, and what many of them have sent stands before what one more
//! says. On a long way a window is what makes a sender fast: it sends a window in a round trip. On a short one it only makes others
//! wait, and sshd slow: with two hundred that flood it, windows of 3 MiB gave 80 to 130 MB/s, those of 512 KiB 420 to 600. The
//! buffer that sshd has for each of them grows by a read at a time up to the window, and each time all of it is copied and the old
//! one wiped: what that costs grows with the square of the window, and until it is done a flood is slow.

use std::time::Duration;

/// The window of one sender in bytes, at most: also what sshd may buffer for it on the jump host. OpenSSH's own is 2 MiB; the
/// third is what a renewal of keys under load needs, see [`super::rekey`].
pub const WINDOW: u32 = 3 * 1024 * 1024;
/// Where a round trip takes no longer than [`NEAR`]: 512 MB/s for each sender. With half of it one sender alone is as fast as with
/// `ssh -R` and no faster; with twice as much, others wait for three times as long.
const NEAR_WINDOW: u32 = 512 * 1024;
/// A machine in the same building, or this one.
const NEAR: Duration = Duration::from_millis(1);
/// Our receive buffer there: what waits in it is late for everybody. The system's own grows to 32 MiB and more.
const NEAR_BUFFER: usize = 1024 * 1024;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Distance {
    /// No farther than [`NEAR`].
    Near,
    /// Farther, or nobody knows: behind a hop or a program.
    Far,
}

impl Distance {
    /// `round_trip`: what the connection took. `renews`: keys are to be renewed before the server would do so of its own accord,
    /// which needs the large window.
    #[must_use]
    pub fn of(round_trip: Duration, renews: bool) -> Self {
        if round_trip <= NEAR && !renews { Self::Near } else { Self::Far }
    }

    /// Bytes.
    #[must_use]
    pub fn window(self) -> u32 {
        match self {
            Self::Near => NEAR_WINDOW,
            Self::Far => WINDOW,
        }
    }

    /// Bytes; `None` leaves it to the system.
    #[must_use]
    pub fn receive_buffer(self) -> Option<usize> {
        match self {
            Self::Near => Some(NEAR_BUFFER),
            Self::Far => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_window_is_small_only_where_it_costs_no_speed_and_no_renewal() {
        let window = |micros, renews| Distance::of(Duration::from_micros(micros), renews).window();
        assert_eq!([(40, false), (1000, false)].map(|(n, renews)| window(n, renews)), [NEAR_WINDOW; 2]);
        assert_eq!([(1001, false), (80_000, false), (40, true)].map(|(n, renews)| window(n, renews)), [WINDOW; 3]);
    }
}
