//! What lines say in known places.

use jiff::Timestamp;

/// Where the columns of a format are.
#[derive(Debug, Clone)]
pub struct Columns {
    json: bool,
}

/// What was found in a line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// When it was received.
    pub time: Option<Timestamp>,
    /// From whom.
    pub peer: Option<String>,
}

impl Columns {
    /// Of the `format` (`raw`, `prefix`, `json`).
    #[must_use]
    pub fn new(format: &str, _prefix: Option<&str>) -> Self {
        Self { json: format == "json" }
    }

    /// Reads a line.
    #[must_use]
    pub fn read(&self, line: &[u8]) -> Fields {
        let value = self.json.then(|| serde_json::from_slice::<serde_json::Value>(line).ok()).flatten();
        let text = |key: &str| value.as_ref().and_then(|value| Some(value.get(key)?.as_str()?.to_owned()));
        Fields { time: text("time").and_then(|time| time.parse().ok()), peer: text("peer") }
    }
}
