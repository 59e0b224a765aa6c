//! Families as text: OpenMetrics 1.0, and the older format of Prometheus, 0.0.4. They differ in what counters and infos are called in
//! their heads, in units, and in how they end.
//!
//! A scrape is thousands of lines: each is written where it will be sent from, and none asks for memory of its own.

use jiff::Timestamp;

use super::accept::Format;
use crate::ledger::LatencySnapshot;

/// Types of figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Goes up and down.
    Gauge,
    /// Only goes up, until the collector starts anew.
    Counter,
    /// Always 1; the labels tell.
    Info,
    /// Times by how long they were.
    Histogram,
}

/// Figures of one name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Without what its type adds (`_total`, `_info`).
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// One sentence.
    pub help: &'static str,
}

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'a> {
    /// A whole number.
    Whole(u64),
    /// Seconds since 1970.
    Time(Timestamp),
    /// A histogram.
    Latency(&'a LatencySnapshot),
}

/// What is written.
#[derive(Debug)]
pub struct Page {
    format: Format,
    text: String,
    /// The family at hand.
    family: Family,
    /// Its head is written: it has a figure.
    begun: bool,
    /// Bounds of histograms as text: all have the same few.
    bounds: Vec<(f64, String)>,
}

impl Family {
    /// The unit that its name ends with.
    #[must_use]
    pub fn unit(&self) -> Option<&'static str> {
        ["bytes", "seconds"]
            .into_iter()
            .find(|unit| self.name.strip_suffix(unit).is_some_and(|name| name.ends_with('_')))
    }

    /// What its samples have behind its name.
    fn suffix(&self) -> &'static str {
        match self.kind {
            Kind::Counter => "_total",
            Kind::Info => "_info",
            Kind::Gauge | Kind::Histogram => "",
        }
    }
}

impl Page {
    /// An empty one, with space for about so many `bytes`.
    #[must_use]
    pub fn new(format: Format, bytes: usize) -> Self {
        let family = Family { name: "", kind: Kind::Gauge, help: "" };
        Self { format, text: String::with_capacity(bytes), family, begun: false, bounds: Vec::new() }
    }

    /// What follows is of `family`. One without a figure is left out.
    pub fn family(&mut self, family: Family) {
        (self.family, self.begun) = (family, false);
    }

    /// One figure. `labels` are as [`label`] writes them; `more` is one of which the value needs no escaping.
    pub fn figure(&mut self, labels: &str, more: Option<(&str, &str)>, value: Value) {
        if !std::mem::replace(&mut self.begun, true) {
            self.head();
        }
        let suffix = self.family.suffix();
        match value {
            Value::Whole(number) => self.line(suffix, labels, more, |text| whole(number, text)),
            Value::Time(at) => self.line(suffix, labels, more, |text| time(at, text)),
            Value::Latency(latency) => self.latency(labels, latency),
        }
    }

    /// All of it, the last line ended.
    #[must_use]
    pub fn end(mut self) -> String {
        if self.format == Format::OpenMetrics {
            self.text.push_str("# EOF\n");
        }
        self.text
    }

    fn head(&mut self) {
        let (family, open) = (self.family, self.format == Format::OpenMetrics);
        // In OpenMetrics the suffix belongs to the sample, in the older format to the name.
        let suffix = if open { "" } else { family.suffix() };
        let kind = match family.kind {
            Kind::Counter => "counter",
            Kind::Histogram => "histogram",
            Kind::Info if open => "info",
            Kind::Gauge | Kind::Info => "gauge",
        };
        let unit = family.unit().filter(|_| open);
        for (what, words) in [("HELP", Some(family.help)), ("TYPE", Some(kind)), ("UNIT", unit)] {
            let Some(words) = words else { continue };
            for part in ["# ", what, " ", family.name, suffix, " ", words, "\n"] {
                self.text.push_str(part);
            }
        }
    }

    fn latency(&mut self, labels: &str, latency: &LatencySnapshot) {
        let mut bounds = std::mem::take(&mut self.bounds);
        bounds.truncate(latency.buckets.len());
        for (place, (bound, count)) in latency.buckets.iter().enumerate() {
            match bounds.get_mut(place) {
                Some(known) if known.0.to_bits() == bound.to_bits() => {}
                Some(other) => *other = (*bound, real(*bound)),
                None => bounds.push((*bound, real(*bound))),
            }
            self.line("_bucket", labels, Some(("le", &bounds[place].1)), |text| whole(*count, text));
        }
        self.bounds = bounds;
        self.line("_bucket", labels, Some(("le", "+Inf")), |text| whole(latency.count, text));
        self.line("_sum", labels, None, |text| text.push_str(&real(latency.sum)));
        self.line("_count", labels, None, |text| whole(latency.count, text));
    }

    fn line(&mut self, suffix: &str, labels: &str, more: Option<(&str, &str)>, value: impl FnOnce(&mut String)) {
        let text = &mut self.text;
        text.push_str(self.family.name);
        text.push_str(suffix);
        // In few pieces: there are thousands of lines.
        match (labels.is_empty(), more) {
            (true, None) => text.push(' '),
            (false, None) => {
                text.push('{');
                text.push_str(labels);
                text.push_str("} ");
            }
            (alone, Some((name, value))) => {
                text.push('{');
                text.push_str(labels);
                if !alone {
                    text.push(',');
                }
                text.push_str(name);
                text.push_str("=\"");
                text.push_str(value);
                text.push_str("\"} ");
            }
        }
        value(text);
        text.push('\n');
    }
}

/// One more label behind those that are in `text`.
pub fn label(name: &str, value: &str, text: &mut String) {
    if !text.is_empty() {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    escape(value, text);
    text.push('"');
}

/// `value` as it stands between the quotation marks of a label.
pub fn escape(value: &str, text: &mut String) {
    if !value.bytes().any(|b| matches!(b, b'\\' | b'"' | b'\n')) {
        return text.push_str(value);
    }
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
}

/// A whole number.
fn whole(mut number: u64, text: &mut String) {
    // Most are 0.
    if number < 10 {
        return text.push(char::from(b"0123456789"[usize::try_from(number).expect("a digit")]));
    }
    // u64::MAX has twenty digits.
    let (mut digits, mut at) = ([0; 20], 20);
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(number % 10).expect("a digit");
        number /= 10;
        if number == 0 {
            break;
        }
    }
    text.push_str(std::str::from_utf8(&digits[at..]).expect("digits"));
}

/// Seconds since 1970 with three digits behind the point.
fn time(at: Timestamp, text: &mut String) {
    // Whoever has a clock that stands before 1970 is told so; the fraction is that of the number, not of the second.
    let millis = at.as_millisecond();
    if millis < 0 {
        text.push('-');
    }
    whole(millis.unsigned_abs() / 1000, text);
    let rest = millis.unsigned_abs() % 1000;
    text.push_str(match rest {
        0..10 => ".00",
        10..100 => ".0",
        _ => ".",
    });
    whole(rest, text);
}

/// A number as OpenMetrics wants bounds, so that both formats make the same series: with a point or an exponent of two digits.
fn real(number: f64) -> String {
    let text = format!("{number:?}");
    match text.split_once("e-") {
        Some((digits, exponent)) if exponent.len() == 1 => format!("{digits}e-0{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_canonical() {
        for number in [0, 7, 10, 99, 100, u64::MAX] {
            let mut text = String::new();
            whole(number, &mut text);
            assert_eq!(text, number.to_string());
        }
        let all = [0.00001, 0.00003, 0.0001, 0.003, 0.1, 1.0, 10.0].map(real);
        assert_eq!(all, ["1e-05", "3e-05", "0.0001", "0.003", "0.1", "1.0", "10.0"]);
        for (at, expected) in [
            ("2026-11-21T00:41:28.5Z", "1795221688.500"),
            ("2026-11-21T00:41:28.0079Z", "1795221688.007"),
            ("2026-11-21T00:41:28.043Z", "1795221688.043"),
            ("1969-12-31T23:59:58.5Z", "-1.500"),
        ] {
            let mut text = String::new();
            time(at.parse().unwrap(), &mut text);
            assert_eq!(text, expected);
        }
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        let mut labels = String::new();
        label("output", "exec:a \"b\" \\ c\nd", &mut labels);
        let mut page = Page::new(Format::Text, 0);
        page.family(Family { name: "reclog_output_bytes", kind: Kind::Gauge, help: "x" });
        page.figure(&labels, None, Value::Whole(7));
        let text = page.end();
        assert!(text.ends_with("\nreclog_output_bytes{output=\"exec:a \\\"b\\\" \\\\ c\\nd\"} 7\n"), "{text}");
    }
}
