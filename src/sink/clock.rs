//! The times of rotation, as the clock of this machine tells them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::rotation;
use crate::plan::Every;

/// When a file is due by time.
#[derive(Debug)]
pub struct Clock {
    every: Option<Every>,
    next: Option<Timestamp>,
}

impl Clock {
    /// For a file that was begun at that time.
    #[must_use]
    pub fn new(every: Option<Every>, begun: Timestamp) -> Self {
        let mut clock = Self { every, next: None };
        clock.begin(begun);
        clock
    }

    /// The file was begun just then. The time zone is asked for every time: it may have been changed.
    pub fn begin(&mut self, at: Timestamp) {
        self.next = self.every.and_then(|every| rotation::next(every, &at.to_zoned(TimeZone::system())));
    }

    /// Whether it is time.
    #[must_use]
    pub fn due(&self, now: Timestamp) -> bool {
        self.next.is_some_and(|next| next <= now)
    }
}
