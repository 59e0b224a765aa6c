//! What a record looks like in an output.

use serde::{Deserialize, Serialize};

use super::template::Template;

/// The front of a record where none is written.
pub const DEFAULT_PREFIX: &str = "{time} {peer} ";

/// The shape of records.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// As they came.
    #[default]
    Raw,
    /// With text of ours in front.
    Prefix(Template),
    /// One JSON object a line.
    Json,
}

impl Format {
    /// The name in profiles and flags.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Prefix(_) => "prefix",
            Self::Json => "json",
        }
    }

    /// What stands in front of each record, as written.
    #[must_use]
    pub fn prefix(&self) -> Option<&str> {
        match self {
            Self::Prefix(template) => Some(template.as_str()),
            Self::Raw | Self::Json => None,
        }
    }
}
