//! What a value may be, read as ssh reads it.

/// `yes` and `no` and their other spelling.
#[must_use]
pub fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "yes" | "true" => Some(true),
        "no" | "false" => Some(false),
        _ => None,
    }
}

/// A decimal number up to `max`, the way C reads it: white space and a sign may stand in front.
#[must_use]
pub fn number(text: &str, max: u64) -> Option<u64> {
    let (value, rest) = leading_number(text)?;
    (rest.is_empty() && value <= max).then_some(value)
}

/// A number and what stands behind it. `None` for none, a negative one and one beyond all bounds.
fn leading_number(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\r', '\x0b', '\x0c']);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let value: u64 = digits[..end].parse().ok()?;
    (value == 0 || !negative).then_some((value, &digits[end..]))
}

/// A span of time in seconds: `90`, `1m30`, `1h30m`, `2w` (sshd_config(5), "TIME FORMATS").
#[must_use]
pub fn time(text: &str) -> Option<u64> {
    const MOST: u64 = i32::MAX as u64;
    let (mut total, mut left) = (0_u64, text);
    if text.is_empty() {
        return None;
    }
    while !left.is_empty() {
        let (count, rest) = leading_number(left)?;
        let unit = match rest.chars().next() {
            None | Some('s' | 'S') => 1,
            Some('m' | 'M') => 60,
            Some('h' | 'H') => 3600,
            Some('d' | 'D') => 86_400,
            Some('w' | 'W') => 604_800,
            Some(_) => return None,
        };
        left = rest.get(1..).unwrap_or_default();
        total = count.checked_mul(unit).and_then(|secs| total.checked_add(secs)).filter(|total| *total <= MOST)?;
    }
    Some(total)
}

/// Bytes for `RekeyLimit`: `1G`, `1.5M`, `default`; 0 is ssh's own choice.
#[must_use]
pub fn rekey_bytes(text: &str) -> Option<u64> {
    if text == "default" {
        return Some(0);
    }
    let text = text.trim_start().strip_prefix('+').unwrap_or(text.trim_start());
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (whole, rest) = text.split_at(end);
    let fraction_end = |rest: &str| rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let (fraction, unit) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(fraction_end(rest)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let scale: u128 = match unit {
        "" | "b" | "B" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        "t" | "T" => 1 << 40,
        "p" | "P" => 1 << 50,
        "e" | "E" => 1 << 60,
        _ => return None,
    };
    let fraction = &fraction[..fraction.len().min(9)];
    let part = if fraction.is_empty() {
        0
    } else {
        fraction.parse::<u128>().ok()? * scale / 10_u128.pow(u32::try_from(fraction.len()).ok()?)
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let bytes = u128::from(whole).checked_mul(scale)?.checked_add(part)?;
    let bytes = u64::try_from(bytes).ok().filter(|b| i64::try_from(*b).is_ok())?;
    (bytes == 0 || bytes >= 16).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_for_ssh() {
        for (text, seconds) in
            [("90", Some(90)), ("1m30", Some(90)), ("1h2", Some(3602)), ("1W1d", Some(691_200)), ("0", Some(0))]
        {
            assert_eq!(time(text), seconds, "{text}");
        }
        for bad in ["", "m", "1x", "1.5", "-1", "99999999999", "9999w", "1 "] {
            assert_eq!(time(bad), None, "{bad}");
        }
    }

    #[test]
    fn bytes_have_units_and_fractions() {
        let cases =
            [("1G", Some(1 << 30)), ("1.5g", Some(3 << 29)), ("default", Some(0)), ("16", Some(16)), ("0", Some(0))];
        for (text, bytes) in cases {
            assert_eq!(rekey_bytes(text), bytes, "{text}");
        }
        for bad in ["15", "", "G", "1GB", "none", "-5", "99999999999G"] {
            assert_eq!(rekey_bytes(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_are_those_of_c() {
        assert_eq!(
            (number("+5", 9), number(" 5", 9), number("05", 9), number("-0", 9)),
            (Some(5), Some(5), Some(5), Some(0))
        );
        assert_eq!((number("-1", 9), number("10", 9), number("5 ", 9), number("", 9)), (None, None, None, None));
    }
}
