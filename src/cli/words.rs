//! Figures in words for people.

use std::path::Path;

use jiff::Timestamp;

use crate::escape::escape_str;
use crate::ledger::Senders;
use crate::plan::bracketed;

/// `1234567` as `1,234,567`.
#[must_use]
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}

/// `n` of something, with its plural.
#[must_use]
pub fn plural(n: u64, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {one}s", count(n)) }
}

/// Who was turned away, by reason; `None`: nobody.
#[must_use]
pub fn turned_away(senders: &Senders) -> Option<String> {
    let reasons: Vec<_> =
        senders.rejected.iter().map(|(why, n)| format!("{} {}", escape_str(why), count(*n))).collect();
    (!reasons.is_empty()).then(|| format!("turned away: {}", reasons.join(", ")))
}

/// Bytes as `1.2 GB`, powers of 1000 as `df -H` and disks have them.
#[must_use]
pub fn bytes(n: u64) -> String {
    bytesize::ByteSize(n).display().si().to_string()
}

/// The time since `then` in its two largest units: `3 h 12 min`.
#[must_use]
pub fn since(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs().max(0);
    let (d, h, m, s) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    match (d, h, m) {
        (0, 0, 0) => format!("{s} s"),
        (0, 0, m) => format!("{m} min {s} s"),
        (0, h, m) => format!("{h} h {m} min"),
        (d, h, _) => format!("{d} d {h} h"),
    }
}

/// A path, safe to show.
#[must_use]
pub fn path(path: &Path) -> String {
    escape_str(&path.display().to_string())
}

/// `host:port`, IPv6 addresses in brackets.
#[must_use]
pub fn place(host: &str, port: u16) -> String {
    let host = escape_str(host);
    format!("{}:{port}", bracketed(&host))
}

/// A first connection that failed is tried again.
#[must_use]
pub fn not_yet(message: &str, again_in_ms: u64) -> String {
    let seconds = again_in_ms.div_ceil(1000);
    format!("not yet: {message}; trying again in {seconds} s (Ctrl-C ends it)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_like_figures() {
        assert_eq!([count(0), count(999), count(1000), count(1_234_567)], ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([plural(1, "sender"), plural(0, "sender")], ["1 sender", "0 senders"]);
        assert_eq!(place("::1", 7), "[::1]:7");
        let now = Timestamp::from_second(1_000_000).unwrap();
        let ago = |s: i64| since(Timestamp::from_second(1_000_000 - s).unwrap(), now);
        assert_eq!(
            [ago(5), ago(65), ago(3700), ago(90_000), ago(-5)],
            ["5 s", "1 min 5 s", "1 h 1 min", "1 d 1 h", "0 s"]
        );
    }
}
