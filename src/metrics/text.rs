//! Families as text: OpenMetrics 1.0, and the older format of Prometheus, 0.0.4. They differ in what counters and infos are called in
//! their heads, in units, and in how they end.

use super::accept::Format;
use super::families::{Family, Kind, Labels, Sample, Value};

/// All of `families`, the last line ended.
#[must_use]
pub fn write(families: &[Family], format: Format) -> String {
    let samples: usize = families.iter().map(|family| family.samples.len()).sum();
    let mut text = String::with_capacity(samples * 100);
    for family in families {
        head(family, format, &mut text);
        for sample in &family.samples {
            figure(family, sample, &mut text);
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
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

fn figure(family: &Family, sample: &Sample, text: &mut String) {
    let mut line = |suffix: &str, bound: Option<&str>, value: &str| {
        text.push_str(family.name);
        text.push_str(suffix);
        labels(&sample.labels, bound, text);
        text.push(' ');
        text.push_str(value);
        text.push('\n');
    };
    let suffix = suffix(family.kind);
    match sample.value {
        Value::Whole(number) => line(suffix, None, &number.to_string()),
        Value::Time(at) => line(suffix, None, &format!("{}.{:03}", at.as_second(), at.subsec_millisecond())),
        Value::Latency(latency) => {
            for (bound, count) in &latency.buckets {
                line("_bucket", Some(&real(*bound)), &count.to_string());
            }
            line("_bucket", Some("+Inf"), &latency.count.to_string());
            line("_sum", None, &real(latency.sum));
            line("_count", None, &latency.count.to_string());
        }
    }
}

fn labels(labels: &Labels, bound: Option<&str>, text: &mut String) {
    let Labels { collector, stream, more } = labels;
    let named = [("collector", *collector), ("stream", *stream), ("le", bound)];
    let more = more.as_ref().map(|(name, value)| (*name, value.as_ref()));
    let mut before = '{';
    for (name, value) in named.into_iter().filter_map(|(name, value)| Some((name, value?))).chain(more) {
        text.push(before);
        text.push_str(name);
        text.push_str("=\"");
        escape(value, text);
        text.push('"');
        before = ',';
    }
    if before == ',' {
        text.push('}');
    }
}

fn escape(value: &str, text: &mut String) {
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
