use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

fn at(zone: &str, text: &str) -> Zoned {
    let zone = TimeZone::get(zone).unwrap();
    text.parse::<jiff::civil::DateTime>().unwrap().to_zoned(zone).unwrap()
}

fn next_in(every: Every, zone: &str, after: &str) -> String {
    let after = at(zone, after);
    let due = next(every, &after).unwrap().to_zoned(after.time_zone().clone());
    due.strftime("%Y-%m-%dT%H:%M:%S%:z").to_string()
}

#[test]
fn the_record_that_reaches_the_size_is_the_last_one() {
    assert!(!is_full(None, u64::MAX));
    assert!(!is_full(Some(10), 9) && is_full(Some(10), 10) && is_full(Some(10), 11));
    assert!(!is_full(Some(0), 0), "an empty file is never put away");
    assert_eq!(
        (room(None, 5), room(Some(10), 4), room(Some(10), 10), room(Some(10), 99)),
        (None, Some(6), Some(1), Some(1))
    );
}

#[test]
fn hours_and_days_are_those_of_the_wall_clock() {
    let four = Every::Day { hour: 4, minute: 30 };
    assert_eq!(next_in(Every::Hour, "Europe/Berlin", "2026-11-21T10:00:00"), "2026-11-21T11:00:00+01:00");
    assert_eq!(next_in(Every::Hour, "Asia/Kolkata", "2026-11-21T10:59:59.9"), "2026-11-21T11:00:00+05:30");
    assert_eq!(next_in(four, "Europe/Berlin", "2026-11-21T04:29:59"), "2026-11-21T04:30:00+01:00");
    assert_eq!(next_in(four, "Europe/Berlin", "2026-11-21T04:30:00"), "2026-11-22T04:30:00+01:00");
    // The clocks go from 2 to 3: half past two comes at half past three, once.
    let gap = Every::Day { hour: 2, minute: 30 };
    assert_eq!(next_in(gap, "Europe/Berlin", "2026-03-29T00:00:00"), "2026-03-29T03:30:00+02:00");
    assert_eq!(next_in(gap, "Europe/Berlin", "2026-03-29T03:30:00"), "2026-03-30T02:30:00+02:00");
    // And back from 3 to 2: half past two comes twice and counts once.
    assert_eq!(next_in(gap, "Europe/Berlin", "2026-10-25T00:00:00"), "2026-10-25T02:30:00+02:00");
    assert_eq!(next_in(gap, "Europe/Berlin", "2026-10-25T02:30:00"), "2026-10-26T02:30:00+01:00");
    // Both hours of two o'clock are hours.
    assert_eq!(next_in(Every::Hour, "Europe/Berlin", "2026-10-25T02:10:00"), "2026-10-25T02:00:00+01:00");
    // Lord Howe changes by half an hour.
    assert_eq!(next_in(Every::Hour, "Australia/Lord_Howe", "2026-10-04T01:59:00"), "2026-10-04T03:00:00+11:00");
    // Samoa had no 30 December 2011.
    assert_eq!(
        next_in(Every::Day { hour: 12, minute: 0 }, "Pacific/Apia", "2011-12-29T13:00:00"),
        "2011-12-31T12:00:00+14:00"
    );
}

#[test]
fn a_file_was_begun_with_the_newest_archive() {
    let (old, new) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH + SignedDuration::from_secs(9));
    assert_eq!((begun(Some(old), new), begun(None, new)), (old, new));
}

proptest! {
    #[test]
    fn the_next_time_is_later_and_no_other_lies_between(
        seconds in 1_500_000_000i64..2_000_000_000,
        nanos in 0i32..1_000_000_000,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
        day in prop::option::of((0u8..24, 0u8..60)),
    ) {
        let every = day.map_or(Every::Hour, |(hour, minute)| Every::Day { hour, minute });
        let after = Timestamp::new(seconds, nanos).unwrap().to_zoned(TimeZone::get(zone).unwrap());
        let due = next(every, &after).unwrap();
        prop_assert!(due > after.timestamp());
        let wait = due.duration_since(after.timestamp()).as_secs();
        match every {
            Every::Hour => {
                prop_assert!(wait <= 5400, "{}", wait);
                let local = due.to_zoned(after.time_zone().clone());
                prop_assert_eq!((local.minute(), local.second(), local.subsec_nanosecond()), (0, 0, 0));
            }
            Every::Day { .. } => prop_assert!(wait <= 25 * 3600 + 1800, "{}", wait),
        }
        // Asked in between, the answer is the same.
        let between = after.timestamp() + due.duration_since(after.timestamp()) / 2;
        prop_assert_eq!(next(every, &between.to_zoned(after.time_zone().clone())).unwrap(), due);
    }
}
