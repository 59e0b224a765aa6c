//! Times as they stand in syslog. Looked at for their shape alone, and kept as written.

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// The length of a time of RFC 3339 at the beginning of `text`, its zone included: `2003-10-11T22:14:15.003Z`.
pub fn rfc3339(text: &str) -> Option<usize> {
    let (at, zone) = iso(text)?;
    zone.then_some(at)
}

/// The length of a time at the beginning of `text`: `Oct 11 22:14:15`, with a year before, in the middle or behind, with
/// parts of a second, with a zone; or that of ISO 8601.
pub fn any(text: &str) -> Option<usize> {
    iso(text).map(|(at, _)| at).or_else(|| bsd(text))
}

/// Length, and whether there is a zone.
fn iso(text: &str) -> Option<(usize, bool)> {
    let bytes = text.as_bytes();
    if !like(bytes, 0, b"0000-00-00") || !matches!(bytes.get(10), Some(b'T' | b' ')) {
        return None;
    }
    let at = clock(bytes, 11)?;
    if bytes.get(at) == Some(&b'Z') {
        return Some((at + 1, true));
    }
    if matches!(bytes.get(at), Some(b'+' | b'-')) {
        if like(bytes, at + 1, b"00:00") {
            return Some((at + 6, true));
        }
        if like(bytes, at + 1, b"0000") {
            return Some((at + 5, false));
        }
    }
    Some((at, false))
}

fn bsd(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = year(bytes, 0).map_or(0, |at| at + 1);
    if !text.get(at..at + 3).is_some_and(|month| MONTHS.contains(&month)) {
        return None;
    }
    at = space(bytes, at + 3)?;
    // `Oct  1`: the day has two places.
    at = space(bytes, at).unwrap_or(at);
    at = digits(bytes, at, 2)?;
    at = space(bytes, at)?;
    at = year(bytes, at).map_or(at, |at| at + 1);
    at = clock(bytes, at)?;
    if let Some(after) = space(bytes, at).and_then(|at| year(bytes, at)) {
        at = after;
    }
    Some(zone(text, at).unwrap_or(at))
}

/// ` UTC`, or of other capitals when a message of Cisco's kind follows: else it is the name of a machine.
fn zone(text: &str, at: usize) -> Option<usize> {
    let from = space(text.as_bytes(), at)?;
    let rest = &text[from..];
    let letters = rest.bytes().take_while(u8::is_ascii_uppercase).count();
    let (zone, behind) = rest.split_at(letters);
    let known = matches!(zone, "UTC" | "GMT") && behind.starts_with([' ', ':']);
    let cisco = (3..=5).contains(&letters) && behind.starts_with(": %");
    (known || cisco).then_some(from + letters)
}

/// `22:14:15`, with parts of a second.
fn clock(bytes: &[u8], at: usize) -> Option<usize> {
    if !like(bytes, at, b"00:00:00") {
        return None;
    }
    let at = at + 8;
    if !matches!(bytes.get(at), Some(b'.' | b',')) {
        return Some(at);
    }
    Some(digits(bytes, at + 1, 9).unwrap_or(at))
}

/// A year of this time, and something that ends it.
fn year(bytes: &[u8], at: usize) -> Option<usize> {
    let here = like(bytes, at, b"0000") && matches!(&bytes[at..at + 2], b"19" | b"20");
    (here && matches!(bytes.get(at + 4), Some(b' ' | b':'))).then_some(at + 4)
}

fn space(bytes: &[u8], at: usize) -> Option<usize> {
    (bytes.get(at) == Some(&b' ')).then_some(at + 1)
}

/// One to `most` digits, and no more.
fn digits(bytes: &[u8], at: usize, most: usize) -> Option<usize> {
    let n = bytes.get(at..)?.iter().take_while(|b| b.is_ascii_digit()).count();
    (1..=most).contains(&n).then_some(at + n)
}

/// Whether `shape` stands at `at`, with any digit for each 0 in it.
fn like(bytes: &[u8], at: usize, shape: &[u8]) -> bool {
    let here = bytes.get(at..at + shape.len());
    here.is_some_and(|here| here.iter().zip(shape).all(|(b, s)| if *s == b'0' { b.is_ascii_digit() } else { b == s }))
}
