//! What a collector tells whoever started it, one JSON object a line; also what `up --json` prints.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::takeover::Predecessor;
use crate::control::DownReport;
use crate::error::{Error, Kind};
use crate::ledger::Reach;
use crate::plan::{Framing, Plan};
use crate::ssh::{Finding, Phase};

/// The first line on the background process's standard input. The pipe stays open until it is up: its end means that
/// nobody waits any more.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Launch {
    /// What to run.
    pub plan: Plan,
    /// `-v` so many times.
    pub verbose: u8,
    /// What is told to whoever asks how it was started.
    #[serde(default)]
    pub origin: serde_json::Value,
    /// Whose place it takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Predecessor>,
}

/// A step on the way up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A phase of the connection begins.
    Step {
        /// Which.
        phase: Phase,
        /// `user@host:port`.
        target: String,
    },
    /// The first connection could not be made, and with `--keep-trying` it is tried again.
    NotYet {
        /// The class.
        kind: Kind,
        /// The sentence.
        message: String,
        /// What to do about it; several hints stand on lines of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        /// Attempts so far.
        attempts: u64,
        /// Milliseconds until the next one, at the latest.
        again_in_ms: u64,
    },
    /// Everything is ready, and the collector that runs is asked to give way: there is no way back.
    Handover {
        /// Its process.
        pid: u32,
    },
    /// It has given way.
    Down(DownReport),
    /// Senders can be accepted and every file is open. The last event.
    Up(Up),
    /// It will not come up. The last event.
    Failed {
        /// The class.
        kind: Kind,
        /// The sentence.
        message: String,
        /// What to do about it; several hints stand on lines of their own.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    },
}

/// What came up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Up {
    /// The collector's name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// `user@host:port` as resolved; null for `listen`.
    pub target: Option<String>,
    /// In the order of the plan.
    pub streams: Vec<UpStream>,
}

/// One stream that came up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UpStream {
    /// Its name.
    pub name: String,
    /// The host that senders connect to, as far as reclog knows it.
    pub host: String,
    /// The port that senders connect to.
    pub remote_port: u16,
    /// The Unix socket that takes the place of a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// Datagrams are taken; on the jump host beside connections, on this machine instead of them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub udp: bool,
    /// The address that was asked for.
    pub bind: String,
    /// How bytes become records.
    pub framing: Framing,
    /// Senders have to say a keyword first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keyword: bool,
    /// What is known of who can connect.
    pub reach: Reach,
    /// What came of looking from outside; left out when nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<Finding>,
    /// The output file.
    pub out: PathBuf,
}

impl From<&Error> for Event {
    fn from(error: &Error) -> Self {
        Self::Failed { kind: error.kind, message: error.message.clone(), hint: error.hint_text() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_have_the_names_of_the_contract() {
        let up = Event::Up(Up {
            name: "tremplin".into(),
            pid: 7,
            target: Some("u@h:22".into()),
            streams: vec![UpStream {
                name: "main".into(),
                host: "h".into(),
                remote_port: 55514,
                socket: None,
                udp: false,
                bind: "*".into(),
                framing: Framing::Lines,
                keyword: false,
                reach: Reach::Unproven,
                finding: None,
                out: "/o".into(),
            }],
        });
        assert_eq!(
            serde_json::to_string(&up).unwrap(),
            r#"{"event":"up","name":"tremplin","pid":7,"target":"u@h:22","streams":[{"name":"main","host":"h","remote_port":55514,"bind":"*","framing":"lines","reach":"unproven","out":"/o"}]}"#
        );
        let not_yet =
            Event::NotYet { kind: Kind::Failed, message: "no".into(), hint: None, attempts: 2, again_in_ms: 750 };
        assert_eq!(
            serde_json::to_string(&not_yet).unwrap(),
            r#"{"event":"not-yet","kind":"failed","message":"no","attempts":2,"again_in_ms":750}"#
        );
        let failed = Event::from(&Error::refused("no").hint("a").hint("b"));
        assert_eq!(
            serde_json::to_string(&failed).unwrap(),
            r#"{"event":"failed","kind":"refused","message":"no","hint":"a\nb"}"#
        );
    }
}
