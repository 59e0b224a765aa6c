//! What was found out about who can connect.

use serde::{Deserialize, Serialize};

use super::Reach;

/// What was found out about who can connect to one port. Sentences are not yet safe for a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who can connect.
    pub reach: Reach,
    /// Why it is not proven, or why not everybody gets through to a port that is, a sentence; else empty.
    pub why: String,
    /// Ways out, each a sentence with lines to paste below it, the best first.
    pub remedies: Vec<String>,
    /// What could not be told, a sentence each.
    pub untold: Vec<String>,
    /// What else a person should know of a port that is proven, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The families over which our line came back.
    #[serde(default, skip_serializing_if = "Families::is_none")]
    pub through: Families,
    /// The address that the jump host saw the probe come from, `ip:port`.
    pub seen_as: Option<String>,
    /// An output is behind, and with it the connection: nothing could be found out, and what was known before still holds.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub held_up: bool,
}

impl Finding {
    /// Whether somebody was asked and does not get through, be it over one family.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        !self.remedies.is_empty()
    }
}

/// Address families.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Families {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

impl Families {
    /// Neither.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Those of both.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { v4: self.v4 || other.v4, v6: self.v6 || other.v6 }
    }
}
