//! Sizes and durations as people write them.

use std::time::Duration;

use bytesize::ByteSize;
use jiff::{Span, SpanRelativeTo};

use crate::escape::quote;

/// Bytes in a size: `100MB` (10^6), `256KiB` (2^10), `64k`, or a plain number of bytes.
///
/// # Errors
/// A sentence that quotes `text`.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let trimmed = text.trim();
    match trimmed.parse::<ByteSize>() {
        // The crate saturates; nobody means 16 EiB to the byte.
        Ok(size) if size.as_u64() < u64::MAX => Ok(size.as_u64()),
        _ => Err(format!("{} is not a size; write a number of bytes, or `100MB`, `256KiB`", quote(text))),
    }
}

/// A duration: `15s`, `500ms`, `10m`, `1h30m`, `2d` (of 24 hours), or a plain number of seconds. Milliseconds are the
/// smallest unit.
///
/// # Errors
/// A sentence that quotes `text`.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{} is not a duration; write a number of seconds, or `15s`, `500ms`, `1h30m`", quote(text));
    let trimmed = text.trim();
    if !trimmed.is_empty() && trimmed.bytes().all(|b| b.is_ascii_digit()) {
        return trimmed.parse().map(Duration::from_secs).map_err(|_| wrong());
    }
    let span: Span = trimmed.parse().map_err(|_| wrong())?;
    let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    let duration = Duration::try_from(signed).map_err(|_| wrong())?;
    if duration.subsec_nanos() % 1_000_000 != 0 {
        return Err(format!("{} is finer than a millisecond", quote(text)));
    }
    Ok(duration)
}

/// `bytes` so that [`parse_size`] reads the same number: `256KiB`, `100MB`, `1000001`.
#[must_use]
pub fn show_size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 6] =
        [(1 << 30, "GiB"), (1_000_000_000, "GB"), (1 << 20, "MiB"), (1_000_000, "MB"), (1 << 10, "KiB"), (1000, "kB")];
    match UNITS.iter().find(|(factor, _)| bytes > 0 && bytes.is_multiple_of(*factor)) {
        Some((factor, unit)) => format!("{}{unit}", bytes / factor),
        None => bytes.to_string(),
    }
}

/// `duration` so that [`parse_duration`] reads the same: `1h30m`, `15s`, `500ms`, `0s`. Below a millisecond it is cut.
#[must_use]
pub fn show_duration(duration: Duration) -> String {
    let (seconds, millis) = (duration.as_secs(), duration.subsec_millis());
    let parts = [(seconds / 3600, "h"), (seconds / 60 % 60, "m"), (seconds % 60, "s"), (u64::from(millis), "ms")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if parts.is_empty() { "0s".to_owned() } else { parts.concat() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_decimal_or_binary_as_written() {
        for (text, bytes) in [
            ("0", 0),
            ("4096", 4096),
            ("100MB", 100_000_000),
            ("256KiB", 262_144),
            ("256 KiB", 262_144),
            ("64k", 64_000),
            ("1.5MiB", 1_572_864),
            ("1Gi", 1 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "MB", "-1", "1e6", "10x", "1.2.3MB", "0x10", "1 000", "inf", "NaN", "99999999EiB", "100mbit"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn durations_need_a_unit_or_are_seconds() {
        let ms = |n| Ok(Duration::from_millis(n));
        for (text, expected) in [
            ("0", ms(0)),
            ("15", ms(15_000)),
            ("15s", ms(15_000)),
            ("10m", ms(600_000)),
            ("1h30m", ms(5_400_000)),
            ("1h 30m", ms(5_400_000)),
            ("500ms", ms(500)),
            ("1.5s", ms(1500)),
            ("2d", ms(172_800_000)),
        ] {
            assert_eq!(parse_duration(text), expected, "{text}");
        }
        for bad in ["", "s", "-5s", "5s ago", "1h30", "10x", "1mo", "1y", "5us", "99999999999999999999", "∞"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_shown_reads_back_the_same(bytes in 0..u64::MAX, factor in 0_usize..7, millis in 0..10_u64.pow(12)) {
            let bytes = [bytes, bytes << 30, bytes << 20, bytes << 10, bytes % 9999 * 1000, bytes % 99 * 1_000_000, 1][factor];
            prop_assume!(bytes < u64::MAX);
            prop_assert_eq!(parse_size(&show_size(bytes)), Ok(bytes));
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&show_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_makes_the_parsers_panic(text in "\\PC{0,40}") {
            let _ = (parse_size(&text), parse_duration(&text));
        }
    }
}
