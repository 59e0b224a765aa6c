//! The socket between a running collector and the verbs: versioned JSON lines.
//!
//! The server says [`Hello`] first, the client sends one [`Request`], and the server answers with one or more
//! [`Reply`] lines, the last of which ends the connection.

pub mod client;
pub mod server;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ledger::{CollectorSnapshot, StreamSnapshot};

/// The version of what follows the hello. It grows when an older client would misunderstand.
pub const PROTOCOL: u32 = 1;
/// The longest request line in bytes. Replies have no bound but the number of streams.
pub const MAX_REQUEST: usize = 64 * 1024;

/// The server's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the server.
    pub protocol: u32,
    /// The server's release, such as `0.1.0`.
    pub reclog: String,
    /// The collector's name.
    pub name: String,
    /// Its process.
    pub pid: u32,
}

/// What a verb wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "kebab-case")]
pub enum Request {
    /// [`Reply::Snapshot`].
    Status,
    /// Drain and stop: [`Reply::Draining`] now and then, [`Reply::Down`] at the end.
    Down {
        /// Do not wait for open senders.
        #[serde(default)]
        now: bool,
    },
    /// Reconnect now: [`Reply::Kicked`].
    Kick,
    /// Put every file away: [`Reply::Rotated`] when the archives stand.
    Rotate,
}

/// What the server says to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Reply {
    /// What runs.
    Snapshot {
        /// This collector.
        collector: Box<CollectorSnapshot>,
    },
    /// Still waiting for senders.
    Draining {
        /// How many are in.
        open: u64,
    },
    /// Stopped; socket and lock go next.
    Down(DownReport),
    /// The connection is being made anew.
    Kicked {
        /// It was already.
        #[serde(default)]
        under_way: bool,
    },
    /// The outputs go on in new files; what `rotate --json` prints.
    Rotated {
        /// In the order of the plan.
        outputs: Vec<Rotated>,
        /// Why one of them does not.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        error: Option<Error>,
    },
    /// The request cannot be served.
    Error {
        /// Why.
        error: Error,
    },
}

/// How a collector ended; what `down --json` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DownReport {
    /// Its name.
    pub name: String,
    /// The final figures.
    pub streams: Vec<FinalStream>,
    /// Payload bytes that are not in the files, all streams together.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Where they are instead: the first such file. Absent when they are nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<PathBuf>,
    /// What went wrong at the end, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trouble: Vec<String>,
    /// What is left for a person to do, in sentences; nothing went wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One stream at the end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FinalStream {
    /// As in the snapshot.
    #[serde(flatten)]
    pub snapshot: StreamSnapshot,
    /// Payload bytes that are not in its file.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lost: u64,
    /// Where they are instead. Absent when they are nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescue: Option<PathBuf>,
}

/// One output that was told to go on in a new file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotated {
    /// The stream.
    pub stream: String,
    /// The file.
    pub output: PathBuf,
    /// What the old one is called now; null when it was empty and stays.
    pub archive: Option<PathBuf>,
    /// Its bytes.
    pub bytes: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_are_what_older_and_newer_releases_agreed_on() {
        let line = |r: &Request| serde_json::to_string(r).unwrap();
        assert_eq!(line(&Request::Status), r#"{"request":"status"}"#);
        assert_eq!(line(&Request::Rotate), r#"{"request":"rotate"}"#);
        assert_eq!(line(&Request::Down { now: true }), r#"{"request":"down","now":true}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"request":"down"}"#).unwrap(), Request::Down { now: false });
        let down = Reply::Down(DownReport {
            name: "x".into(),
            streams: vec![],
            lost: 0,
            rescue: None,
            trouble: vec![],
            notes: vec![],
        });
        assert_eq!(serde_json::to_string(&down).unwrap(), r#"{"event":"down","name":"x","streams":[]}"#);
    }
}
