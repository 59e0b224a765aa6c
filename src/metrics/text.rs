//! Families as text: OpenMetrics 1.0, and the older format of Prometheus, 0.0.4. They differ in what counters and infos are called in
//! their heads, in units, and in how they end.

use super::accept::Format;
use super::families::{Family, Kind, Labels, Sample, Value};

/// All of `families`, the last line ended.
#[must_use]
pub fn write(families: &[Family], format: Format) -> String {
    let lines: usize = families.iter().map(|family| family.samples.len() * family.kind.lines()).sum();
    let mut page = Page { text: String::with_capacity(lines * 100), labels: String::new(), bounds: Vec::new() };
    for family in families {
        head(family, format, &mut page.text);
        for sample in &family.samples {
            page.figure(family, sample);
        }
    }
    if format == Format::OpenMetrics {
        page.text.push_str("# EOF\n");
    }
    page.text
}

/// What is written. A scrape is thousands of lines, and none of them asks for memory of its own.
struct Page {
    text: String,
    /// Those of the sample at hand, without braces.
    labels: String,
    /// Bounds of histograms as text: all have the same few.
    bounds: Vec<(f64, String)>,
}

fn head(family: &Family, format: Format, text: &mut String) {
    let open = format == Format::OpenMetrics;
    // In OpenMetrics the suffix belongs to the sample, in the older format to the name.
    let name = if open { family.name.to_owned() } else { format!("{}{}", family.name, suffix(family.kind)) };
    let kind = match family.kind {
        Kind::Counter => "counter",
        Kind::Histogram => "histogram",
        Kind::Info if open => "info",
        Kind::Gauge | Kind::Info => "gauge",
    };
    text.push_str(&format!("# HELP {name} {}\n# TYPE {name} {kind}\n", family.help));
    if let Some(unit) = family.unit().filter(|_| open) {
        text.push_str(&format!("# UNIT {name} {unit}\n"));
    }
}

/// What samples of this type have behind their family's name.
fn suffix(kind: Kind) -> &'static str {
    match kind {
        Kind::Counter => "_total",
        Kind::Info => "_info",
        Kind::Gauge | Kind::Histogram => "",
    }
}

impl Page {
    fn figure(&mut self, family: &Family, sample: &Sample) {
        self.labels.clear();
        labels(&sample.labels, &mut self.labels);
        let suffix = suffix(family.kind);
        match sample.value {
            Value::Whole(number) => self.line(family, suffix, None, |text| whole(number, text)),
            Value::Time(at) => self.line(family, suffix, None, |text| {
                text.push_str(&format!("{}.{:03}", at.as_second(), at.subsec_millisecond()));
            }),
            Value::Latency(latency) => {
                let bounds = std::mem::take(&mut self.bounds);
                let mut bounds = if bounds.len() == latency.buckets.len() { bounds } else { Vec::new() };
                for (place, (bound, count)) in latency.buckets.iter().enumerate() {
                    match bounds.get_mut(place) {
                        Some(known) if known.0.to_bits() == bound.to_bits() => {}
                        Some(other) => *other = (*bound, real(*bound)),
                        None => bounds.push((*bound, real(*bound))),
                    }
                    self.line(family, "_bucket", Some(&bounds[place].1), |text| whole(*count, text));
                }
                self.bounds = bounds;
                self.line(family, "_bucket", Some("+Inf"), |text| whole(latency.count, text));
                self.line(family, "_sum", None, |text| text.push_str(&real(latency.sum)));
                self.line(family, "_count", None, |text| whole(latency.count, text));
            }
        }
    }

    fn line(&mut self, family: &Family, suffix: &str, bound: Option<&str>, value: impl FnOnce(&mut String)) {
        let Self { text, labels, .. } = self;
        text.push_str(family.name);
        text.push_str(suffix);
        if !labels.is_empty() || bound.is_some() {
            text.push('{');
            text.push_str(labels);
            if let Some(bound) = bound {
                text.push_str(if labels.is_empty() { "le=\"" } else { ",le=\"" });
                text.push_str(bound);
                text.push('"');
            }
            text.push('}');
        }
        text.push(' ');
        value(text);
        text.push('\n');
    }
}

/// The labels, with commas between them.
fn labels(labels: &Labels, text: &mut String) {
    let Labels { collector, stream, more } = labels;
    let more = more.as_ref().map(|(name, value)| (*name, value.as_ref()));
    let named = [collector.map(|name| ("collector", name)), stream.map(|name| ("stream", name)), more];
    for (name, value) in named.into_iter().flatten() {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        escape(value, text);
        text.push('"');
    }
}

/// A whole number.
fn whole(mut number: u64, text: &mut String) {
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

fn escape(value: &str, text: &mut String) {
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
    use std::borrow::Cow;

    #[test]
    fn numbers_are_canonical() {
        for number in [0, 7, 10, 99, 100, u64::MAX] {
            let mut text = String::new();
            whole(number, &mut text);
            assert_eq!(text, number.to_string());
        }
        let all = [0.00001, 0.00003, 0.0001, 0.003, 0.1, 1.0, 10.0].map(real);
        assert_eq!(all, ["1e-05", "3e-05", "0.0001", "0.003", "0.1", "1.0", "10.0"]);
    }

    #[test]
    fn what_would_end_a_label_is_escaped() {
        let labels = Labels { more: Some(("output", Cow::Borrowed("exec:a \"b\" \\ c\nd"))), ..Labels::default() };
        let family = Family {
            name: "reclog_output_bytes",
            kind: Kind::Gauge,
            help: "x",
            samples: vec![Sample { labels, value: Value::Whole(7) }],
        };
        let text = write(&[family], Format::Text);
        assert!(text.ends_with("\nreclog_output_bytes{output=\"exec:a \\\"b\\\" \\\\ c\\nd\"} 7\n"), "{text}");
    }
}
