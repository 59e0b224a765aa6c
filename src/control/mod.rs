//! The socket between a running collector and the verbs: versioned JSON lines.
//!
//! The server says [`Hello`] first, the client sends one [`Request`], and the server answers with one or more
//! [`Reply`] lines, the last of which ends the connection.
//!
//! Collectors live for months, and the verbs are replaced under them. Fields, requests and replies are only ever added, with
//! [`MINOR`] growing; whoever does not know one leaves it out.

mod age;
pub mod client;
pub mod server;

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::ledger::{CollectorSnapshot, StreamSnapshot};

/// The version of what follows the hello. It grows when an older client would misunderstand.
pub const PROTOCOL: u32 = 1;
/// What was added to it since. 1: [`Request::Origin`], [`Request::Renew`] and the successor of [`Request::Down`].
pub const MINOR: u32 = 1;
/// The longest request line in bytes. Replies have no bound but the number of streams.
pub const MAX_REQUEST: usize = 64 * 1024;

/// The server's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`PROTOCOL`] of the server.
    pub protocol: u32,
    /// [`MINOR`] of the server.
    #[serde(default)]
    pub minor: u32,
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
        /// Another collector waits to take over: be gone within [`HANDOVER`], whoever is still in.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        successor: bool,
    },
    /// How it was started: [`Reply::Origin`].
    Origin,
    /// Of a collector in the foreground: become another one, in the same process: [`Reply::Renewing`] when the old one is about
    /// to end.
    Renew,
    /// Reconnect now: [`Reply::Kicked`].
    Kick,
    /// Put every file away: [`Reply::Rotated`] when the archives stand.
    Rotate,
}

/// A collector that gives way to another is gone within this time, of the 2 s for which the port may be shut.
pub const HANDOVER: Duration = Duration::from_millis(1500);

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
    /// How it was started.
    Origin {
        /// As whoever started it wrote it down; null when nobody did.
        origin: serde_json::Value,
    },
    /// The process goes on as a new collector, within a moment.
    Renewing,
    /// The request cannot be served.
    Error {
        /// Why.
        error: Error,
    },
    /// What a newer collector says and this release does not know.
    #[serde(other)]
    Unknown,
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
    /// What its successor tells the audit trail; absent when none waits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Handover>,
}

/// What a collector leaves to its successor: a gap that has begun and that ends when the ports are open again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Nothing is missing before.
    pub from: Timestamp,
    /// Senders that were still in.
    pub senders_cut: u64,
    /// Bytes that they have sent and that may be in no output.
    pub bytes_at_most: u64,
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

    const DOWN: Request = Request::Down { now: false, successor: false };

    #[test]
    fn the_lines_are_what_older_and_newer_releases_agreed_on() {
        let line = |r: &Request| serde_json::to_string(r).unwrap();
        assert_eq!(line(&Request::Status), r#"{"request":"status"}"#);
        assert_eq!(line(&Request::Rotate), r#"{"request":"rotate"}"#);
        assert_eq!(line(&Request::Down { now: true, successor: false }), r#"{"request":"down","now":true}"#);
        assert_eq!(serde_json::from_str::<Request>(r#"{"request":"down"}"#).unwrap(), DOWN);
        let down = Reply::Down(DownReport {
            name: "x".into(),
            streams: vec![],
            lost: 0,
            rescue: None,
            trouble: vec![],
            notes: vec![],
            gap: None,
        });
        assert_eq!(serde_json::to_string(&down).unwrap(), r#"{"event":"down","name":"x","streams":[]}"#);
    }

    #[test]
    fn what_a_newer_release_adds_is_left_out() {
        let request = r#"{"request":"down","now":false,"because":"upgrade"}"#;
        assert_eq!(serde_json::from_str::<Request>(request).unwrap(), DOWN);
        let reply = r#"{"event":"weather","sky":{"clouds":3}}"#;
        assert_eq!(serde_json::from_str::<Reply>(reply).unwrap(), Reply::Unknown);
        let hello = r#"{"protocol":1,"reclog":"0.1.0","name":"x","pid":7,"mood":"good"}"#;
        assert_eq!(serde_json::from_str::<Hello>(hello).unwrap().minor, 0);
    }
}
