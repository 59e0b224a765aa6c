//! When a file is put away: pure, sizes and times come in as arguments.

use jiff::{SignedDuration, Timestamp, ToSpan, Zoned};

use crate::plan::Every;

/// Whether a file of `has` bytes is put away. The record that reaches `size` is its last one: an archive has at least
/// `size` bytes, and more by less than one record.
#[must_use]
pub fn is_full(size: Option<u64>, has: u64) -> bool {
    size.is_some_and(|size| has > 0 && has >= size)
}

/// Bytes until a file of `has` bytes is full; at least one. `None`: it never is.
#[must_use]
pub fn room(size: Option<u64>, has: u64) -> Option<u64> {
    size.map(|size| size.saturating_sub(has).max(1))
}

/// When the file that is there at the start was begun, as far as can be told: with the newest archive, else not later
/// than it was last written.
#[must_use]
pub fn begun(newest: Option<Timestamp>, modified: Timestamp) -> Timestamp {
    newest.unwrap_or(modified)
}

/// The first time of rotation that is later than `after`, in `after`'s time zone.
///
/// A clock time that a change of the clocks leaves out comes as much later as they jump; one that comes twice counts the
/// first time. `None` beyond the end of the calendar.
#[must_use]
pub fn next(every: Every, after: &Zoned) -> Option<Timestamp> {
    match every {
        Every::Hour => {
            let next = to_hour(after)?;
            let over = i64::from(next.minute()) * 60 + i64::from(next.second());
            // Clocks that change by half an hour make an hour of another length.
            let exact = next.checked_sub(over.seconds()).ok().filter(|exact| exact > after);
            Some(if over == 0 { next } else { exact.map_or_else(|| to_hour(&next), Some)? }.timestamp())
        }
        Every::Day { hour, minute } => {
            let (hour, minute) = (i8::try_from(hour).ok()?, i8::try_from(minute).ok()?);
            let mut day = after.date();
            // The day after tomorrow is for calendars that skip a day, as Samoa's did in 2011.
            for _ in 0..3 {
                let due = day.at(hour, minute, 0, 0).to_zoned(after.time_zone().clone()).ok()?;
                if due.timestamp() > after.timestamp() {
                    return Some(due.timestamp());
                }
                day = day.tomorrow().ok()?;
            }
            None
        }
    }
}

/// `after` and what its hour still has.
fn to_hour(after: &Zoned) -> Option<Zoned> {
    let gone = i64::from(after.minute()) * 60 + i64::from(after.second());
    let rest = SignedDuration::from_secs(3600 - gone) - SignedDuration::from_nanos(after.subsec_nanosecond().into());
    after.checked_add(rest).ok()
}

#[cfg(test)]
#[path = "rotation_tests.rs"]
mod tests;
