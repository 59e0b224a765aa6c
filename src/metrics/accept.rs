//! Which of the two formats a client wants (RFC 9110, Accept).

/// A text format of Prometheus.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The older one, 0.0.4: what everything reads.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// Its media type.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that the header field `accept` likes better. OpenMetrics has to be named; whoever cannot be understood gets the
    /// older one.
    #[must_use]
    pub fn wanted(accept: &str) -> Self {
        let (mut open, mut text, mut any) = (0, None, 0);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default().to_ascii_lowercase();
            let (mut weight, mut version) = (1000, None);
            for (name, value) in parts.filter_map(|part| part.split_once('=')) {
                match name.trim().to_ascii_lowercase().as_str() {
                    "q" => weight = thousandths(value.trim()),
                    "version" => version = Some(value.trim().trim_matches('"')),
                    _ => {}
                }
            }
            match media.as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => {
                    open = open.max(weight);
                }
                "text/plain" if matches!(version, None | Some("0.0.4")) => text = text.max(Some(weight)),
                "text/*" | "*/*" => any = any.max(weight),
                _ => {}
            }
        }
        if open > 0 && open >= text.unwrap_or(any) { Self::OpenMetrics } else { Self::Text }
    }
}

/// A weight from 0 to 1 with at most three digits behind its point, times 1000; 0 for anything else.
fn thousandths(text: &str) -> u32 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let digits = rest.len() <= 3 && rest.bytes().all(|b| b.is_ascii_digit());
    let rest = if digits { format!("{rest:0<3}").parse().unwrap_or(0) } else { 0 };
    match whole {
        "1" => 1000,
        "0" => rest,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn prometheus_gets_openmetrics_and_everybody_else_what_they_can_read() {
        for (accept, format) in [
            ("", Format::Text),
            ("*/*", Format::Text),
            ("text/html", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", Format::OpenMetrics),
            ("application/openmetrics-text;version=\"1.0.0\"", Format::OpenMetrics),
            ("application/openmetrics-text;version=2.0.0,text/plain;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=0.2,text/plain;q=0.3", Format::Text),
            ("application/openmetrics-text;q=0.30,text/plain;q=0.3", Format::OpenMetrics),
            ("application/openmetrics-text;q=2", Format::Text),
            ("text/plain;version=0.0.4", Format::Text),
            // Prometheus 2 and 3.
            (
                "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
                Format::OpenMetrics,
            ),
            // Prometheus told to use the older one.
            ("text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::Text),
        ] {
            assert_eq!(Format::wanted(accept), format, "{accept}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_it_panic(accept in "\\PC{0,40}|[a-z/*;=q.0-9, \"]{0,60}") {
            let _ = Format::wanted(&accept);
        }
    }
}
