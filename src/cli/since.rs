//! A moment in the past, as people write it.

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp, Zoned};

use crate::error::{Error, Result};
use crate::escape::escape_str;

/// What `--since` may be, for hints.
const FORMS: &str =
    "14:30, 2026-11-21, \"2026-11-21 14:30\", 2026-11-21T14:30:00Z, today, yesterday, or 30m, 2h, 1d ago";

/// The moment that `text` means at `now`, whose time zone counts where none is given.
///
/// # Errors
/// Usage, with what was written.
pub fn parse(text: &str, now: &Zoned) -> Result<Timestamp> {
    moment(text.trim(), now).ok_or_else(|| {
        Error::usage(format!("\"{}\" is no time for --since", escape_str(text))).hint(format!("write {FORMS}"))
    })
}

fn moment(text: &str, now: &Zoned) -> Option<Timestamp> {
    let zone = now.time_zone();
    let of_day = |day: Date, time: Time| Some(day.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp());
    match text.to_ascii_lowercase().as_str() {
        "now" => return Some(now.timestamp()),
        "today" => return of_day(now.date(), Time::midnight()),
        "yesterday" => return of_day(now.date().yesterday().ok()?, Time::midnight()),
        _ => {}
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment);
    }
    // A time is tried before a date: `14:30` is both to a lenient parser.
    if let Some(time) = text.contains(':').then(|| text.parse::<Time>().ok()).flatten().filter(|_| !text.contains('-'))
    {
        return of_day(now.date(), time);
    }
    if text.contains('-')
        && let Ok(moment) = text.parse::<DateTime>()
    {
        return Some(moment.to_zoned(zone.clone()).ok()?.timestamp());
    }
    // `2h` and `2h ago` are the same here: nothing has happened in the future.
    let span = text.parse::<Span>().ok()?.abs();
    Some(now.checked_sub(span).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_taken_as_people_write_them() {
        let now: Zoned = "2026-11-21T15:33:40[Europe/Berlin]".parse().unwrap();
        for (text, moment) in [
            ("2026-11-21T14:30:00.5Z", "2026-11-21T14:30:00.5Z"),
            ("2026-11-21T14:30:00+05:00", "2026-11-21T09:30:00Z"),
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("2026-06-21", "2026-06-20T22:00:00Z"),
            ("2026-11-20 14:30", "2026-11-20T13:30:00Z"),
            ("2026-11-20T14:30:05", "2026-11-20T13:30:05Z"),
            ("14:30", "2026-11-21T13:30:00Z"),
            (" 14:30:15 ", "2026-11-21T13:30:15Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("Yesterday", "2026-11-19T23:00:00Z"),
            ("now", "2026-11-21T14:33:40Z"),
            ("1h", "2026-11-21T13:33:40Z"),
            ("30m", "2026-11-21T14:03:40Z"),
            ("1h30m", "2026-11-21T13:03:40Z"),
            ("2h ago", "2026-11-21T12:33:40Z"),
            ("10 minutes ago", "2026-11-21T14:23:40Z"),
            ("2d", "2026-11-19T14:33:40Z"),
        ] {
            assert_eq!(parse(text, &now).unwrap().to_string(), moment, "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_quoted() {
        let now = Zoned::now();
        for text in ["", "soon", "5", "25:00", "2026-13-01", "1x", "\x1b[2J", "2026-11-21T99:00Z"] {
            let error = parse(text, &now).expect_err(text);
            assert_eq!(error.kind.exit_code(), 2);
            assert!(error.message.starts_with(&format!("\"{}\" is no time", escape_str(text))), "{}", error.message);
            assert!(error.hint_text().unwrap().contains("yesterday"));
        }
    }
}
