//! The audit trail: who connected, what was refused, cut, stalled and rotated; one JSON object a line.
//!
//! Whoever does something that an auditor asks for tells the [`Trail`]; a thread of its own writes it down. A room that
//! everybody may import: it knows nobody.
//!
//! A line is made of an event in `line`, `store` keeps the files in bounds, [`read`] reads them again, and [`before`]
//! tells from them how the last collector ended.

pub mod before;
mod line;
pub mod read;
mod shared;
mod store;
mod trail;

use std::net::IpAddr;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::ledger::Reach;

pub use shared::{SharedTrail, WEB_FILE};
pub use store::FILE;
pub use trail::Trail;

/// One line of the trail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// When, RFC 3339 in UTC, to the microsecond.
    #[serde(serialize_with = "to_the_microsecond")]
    pub ts: Timestamp,
    /// One more than the line before, over restarts of the collector, too.
    pub seq: u64,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// Always six digits, so that lines sort as text.
fn to_the_microsecond<S: Serializer>(ts: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{ts:.6}"))
}

/// What happened. The tag is the `event` of the line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The collector begins.
    Start {
        /// The release, such as `0.1.0`.
        reclog: String,
        /// Its process.
        pid: u32,
        /// `user@host:port`; null for `listen`.
        target: Option<String>,
        /// Where the records go, in the order of the plan.
        outputs: Vec<PathBuf>,
    },
    /// The collector ends.
    Stop {
        /// Payload bytes stored since the start, all streams together.
        stored: u64,
        /// Payload bytes that are in no output.
        lost: u64,
        /// Why, when it is not that it was asked to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
    /// The first connection is there.
    Connect {
        /// `user@host:port`.
        target: String,
    },
    /// The connection is lost.
    Cut {
        /// How.
        why: String,
        /// Senders that were in.
        senders_cut: u64,
        /// Nothing of them is missing that was sent before. The `gap` that is told when the connection is back begins here.
        #[serde(serialize_with = "to_the_microsecond")]
        from: Timestamp,
    },
    /// The connection is there again, with every port.
    Reconnect {
        /// `user@host:port`.
        target: String,
        /// Attempts that it took.
        attempts: u64,
    },
    /// A port or socket is open.
    Forward {
        /// The stream.
        stream: String,
        /// The address that was asked for.
        bind: String,
        /// The port.
        remote_port: u16,
        /// The Unix socket that takes the place of address and port.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        socket: Option<PathBuf>,
    },
    /// A sender was let in.
    SenderOpen {
        /// The stream.
        stream: String,
        /// `ip:port`; for a Unix socket of this machine `unix:uid=1000,pid=4711`, of the jump host `unix`.
        peer: String,
        /// Counts the senders of the stream from 1.
        connection: u64,
        /// The name of the keyword that it said.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        keyword: Option<String>,
    },
    /// A sender is gone.
    SenderClose {
        /// The stream.
        stream: String,
        /// `ip:port`.
        peer: String,
        /// As in `sender_open`.
        connection: u64,
        /// Payload bytes received from it.
        bytes: u64,
        /// Records made of them.
        records: u64,
        /// `end`: it said that no more follows; `cut`: the connection died; `draining`: it was still in when `down` would
        /// wait no longer; `idle`: its address sent no more datagrams; else the name of the option that ended it.
        why: String,
    },
    /// A sender was turned away.
    Reject {
        /// The stream.
        stream: String,
        /// `ip:port`.
        peer: String,
        /// The name of the option, as in `rejected`.
        why: String,
        /// So many were turned away for that within a second and are not told one by one; `peer` is the last of them. `None`: this
        /// one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        more: Option<u64>,
    },
    /// An output takes no bytes.
    Stall {
        /// The stream.
        stream: String,
        /// The file.
        output: PathBuf,
        /// The cause.
        why: String,
    },
    /// An output takes bytes again.
    Resume {
        /// The stream.
        stream: String,
        /// The file.
        output: PathBuf,
        /// Milliseconds of the stall.
        after_ms: u64,
    },
    /// The output goes on in a new file.
    Rotate {
        /// The stream.
        stream: String,
        /// The file.
        output: PathBuf,
        /// What the old one is called now; null when somebody else took it away.
        archive: Option<PathBuf>,
        /// Its bytes.
        bytes: u64,
        /// `size`, `time`, `command`, or what others did: `renamed`, `removed`, `truncated`, `reopened`.
        why: String,
    },
    /// Bytes may be missing.
    Gap {
        /// Nothing is missing before.
        #[serde(serialize_with = "to_the_microsecond")]
        from: Timestamp,
        /// Nothing is missing after.
        #[serde(serialize_with = "to_the_microsecond")]
        to: Timestamp,
        /// Senders that were in when it began.
        senders_cut: u64,
        /// Bytes that those senders have sent and that may be in no output.
        bytes_at_most: u64,
    },
    /// It was tried from outside whether senders get through to a port; told when that has changed or fails.
    Probe {
        /// The stream.
        stream: String,
        /// Who can connect.
        reach: Reach,
        /// Why it is not proven; empty when it is.
        why: String,
    },
    /// `reclog web` begins. This and what follows stands in its own trail.
    WebStart {
        /// The release, such as `0.1.0`.
        reclog: String,
        /// Its process.
        pid: u32,
        /// Where it listens.
        listen: String,
    },
    /// It ends.
    WebStop {
        /// Its process.
        pid: u32,
    },
    /// Somebody logged in.
    Login {
        /// Who.
        user: String,
        /// The address; null over a Unix socket.
        from: Option<IpAddr>,
    },
    /// Somebody did not get in.
    LoginFailed {
        /// The name that was said, which nobody need have.
        user: String,
        /// The address; null over a Unix socket.
        from: Option<IpAddr>,
        /// `wrong`, `wait` (it failed too often) or `busy`.
        why: String,
    },
    /// Somebody logged out.
    Logout {
        /// Who.
        user: String,
        /// The address; null over a Unix socket.
        from: Option<IpAddr>,
    },
    /// Somebody looks at streams; the same within a minute is told once.
    Look {
        /// Who; null where nobody has a name.
        user: Option<String>,
        /// The address; null over a Unix socket.
        from: Option<IpAddr>,
        /// `view`, `tail`, `lines`, `search` or `download`.
        what: String,
        /// `COLLECTOR/STREAM`; none: all that may be seen.
        streams: Vec<String>,
        /// What was looked for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pattern: Option<String>,
    },
    /// Something that a person should look at.
    Warn {
        /// A sentence.
        message: String,
    },
}

impl Event {
    /// The tags, as `reclog audit --event` takes them.
    pub const NAMES: [&str; 21] = [
        "start",
        "stop",
        "connect",
        "cut",
        "reconnect",
        "forward",
        "sender_open",
        "sender_close",
        "reject",
        "stall",
        "resume",
        "rotate",
        "gap",
        "probe",
        "web_start",
        "web_stop",
        "login",
        "login_failed",
        "logout",
        "look",
        "warn",
    ];
}
