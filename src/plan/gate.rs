//! Who may send, and how much.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::secret::KEYWORD_VARIABLE;

/// Senders of one address that may be connected at once (`max_per_address`). A site may sit behind one NAT.
pub const DEFAULT_MAX_PER_ADDRESS: usize = 2048;
/// New connections a second and address (`max_new`).
pub const DEFAULT_MAX_NEW: u32 = 10_000;
/// How long a sender may take for its keyword.
pub const GATE_TIMEOUT: Duration = Duration::from_secs(10);
/// What of the environment no program that is started from here gets: the keyword, and the line to the service manager, on which
/// a child could say that we are ready, or well.
pub const PRIVATE_VARIABLES: [&str; 4] = [KEYWORD_VARIABLE, "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"];
/// What a keyword without a name is called.
pub const NAMELESS: &str = "default";

/// A word that senders say first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyword {
    /// File-safe and unique in the stream; [`NAMELESS`] where none was given.
    pub name: String,
    /// Where the word itself is.
    pub from: Source,
}

/// Where a keyword is read. It stands in no plan, argument or log itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// In a file, absolute; read again when the collector is told to reload.
    File(PathBuf),
    /// A person or the environment gave it at the start; it comes beside the plan.
    Given,
}

/// Bounds for senders. None of them is met by a newcomer, all of them by a flood.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Only senders of these networks come in; empty: all.
    pub allow: Vec<IpNet>,
    /// Senders of these never do, whatever is allowed.
    pub deny: Vec<IpNet>,
    /// Senders of one address at once.
    pub max_per_address: usize,
    /// New connections a second and address.
    pub max_new: u32,
    /// Bytes a second and address; who sends more is closed.
    pub max_rate: Option<u64>,
    /// Bytes of one connection; who sends more is closed.
    pub max_bytes: Option<u64>,
    /// A sender that says nothing for so long is closed.
    pub idle_timeout: Option<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            allow: Vec::new(),
            deny: Vec::new(),
            max_per_address: DEFAULT_MAX_PER_ADDRESS,
            max_new: DEFAULT_MAX_NEW,
            max_rate: None,
            max_bytes: None,
            idle_timeout: None,
        }
    }
}
