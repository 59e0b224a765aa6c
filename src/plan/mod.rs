//! The plan: one collector as it is meant, with every default filled in and every contradiction refused.
//!
//! The profile room makes it from YAML and flags; the collector and everything below it see nothing else. It crosses
//! the pipe to the background process as JSON.

mod format;
mod gate;
mod metrics;
mod output;
mod pattern;
mod template;

use core::net::IpAddr;
use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use format::{DEFAULT_PREFIX, Format};
pub use gate::{
    DEFAULT_MAX_NEW, DEFAULT_MAX_PER_ADDRESS, GATE_TIMEOUT, Keyword, Limits, NAMELESS, PRIVATE_VARIABLES, Source,
};
pub use metrics::MetricsPlace;
pub use output::{Daemon, Output, To};
pub use pattern::fits;
pub use template::{Field, Piece, Template};

pub use crate::secret::{KEYWORD_VARIABLE, LONGEST_KEYWORD, word};

/// The longest record in bytes, line end included, before it is split (`max_line`).
pub const DEFAULT_MAX_LINE: usize = 256 * 1024;
/// Senders that may be connected to a stream at once (`max_connections`).
pub const DEFAULT_MAX_CONNECTIONS: usize = 4096;
/// How long `down` waits for open senders (`drain_timeout`).
pub const DEFAULT_DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Free bytes of the file system below which an output stalls (`min_free`).
pub const DEFAULT_MIN_FREE: u64 = 64 * 1024 * 1024;
/// How often it is proven that senders get through (`probe_every`).
pub const DEFAULT_PROBE_EVERY: Duration = Duration::from_secs(5 * 60);
/// How often a quiet connection is asked whether it lives (`ssh.keepalive`).
pub const DEFAULT_KEEPALIVE: Duration = Duration::from_secs(15);

/// One collector.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The collector's name: file-safe, see [`is_name`].
    pub name: String,
    /// Where to connect to; `None` for `listen`, which uses no SSH.
    pub ssh: Option<SshPlan>,
    /// At least one stream; names are unique.
    pub streams: Vec<StreamPlan>,
    /// How long `down` waits for open senders to finish.
    pub drain_timeout: Duration,
    /// A first connection that fails is tried again, as later ones are.
    #[serde(default)]
    pub keep_trying: bool,
    /// How often it is proven from outside that senders get through; the first time at once. `None`: never.
    #[serde(default)]
    pub probe_every: Option<Duration>,
    /// Where its figures are served. `None`: nowhere.
    #[serde(default)]
    pub metrics: Option<MetricsPlace>,
}

/// How to reach the jump host: what the user said, before `ssh_config` fills in the rest (the ssh room does that).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshPlan {
    /// Login name, if the target names one.
    pub user: Option<String>,
    /// Host name, address or `Host` alias of `ssh_config`.
    pub host: String,
    /// Port, if the target, `-p` or the profile names one.
    pub port: Option<u16>,
    /// Private key files given by `-i` or the profile, tried in this order before those of `ssh_config`.
    pub identities: Vec<PathBuf>,
    /// `-F`: read this file alone. `None`: the user's and the system's `ssh_config`.
    pub config_file: Option<PathBuf>,
    /// `-o` and the profile's `options`: keyword and value, before anything of a configuration file.
    pub options: Vec<(String, String)>,
    /// `-J`: hosts on the way, as written; `none` alone for no other. Beats what `ssh_config` says about proxies.
    #[serde(default)]
    pub jump: Vec<String>,
    /// Keepalive interval; zero turns it off. `None`: `ServerAliveInterval`, else [`DEFAULT_KEEPALIVE`].
    pub keepalive: Option<Duration>,
}

/// One listening port and the outputs its bytes go to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StreamPlan {
    /// File-safe and unique in the plan; `main` on the command line.
    pub name: String,
    /// What senders speak.
    #[serde(default)]
    pub transport: Transport,
    /// Address to bind; `*` is every interface, v4 and v6. Empty for a Unix socket.
    pub bind: String,
    /// Port on the jump host (or here, for `listen`); 0 lets the other side choose. 0 for a Unix socket.
    pub port: u16,
    /// Whether a helper on the jump host opens the port.
    #[serde(default)]
    pub relay: Relay,
    /// Where the records go: what is counted as stored, and what senders wait for. Paths are absolute.
    pub out: Output,
    /// Where they go, too, as far as that keeps up.
    #[serde(default)]
    pub also: Vec<Output>,
    /// What they look like there.
    #[serde(default)]
    pub format: Format,
    /// One of these words is to be said first; none: nobody is asked.
    #[serde(default)]
    pub keywords: Vec<Keyword>,
    /// Who may send, and how much.
    #[serde(default)]
    pub limits: Limits,
    /// How bytes become records.
    pub framing: Framing,
    /// Which ends lines have.
    #[serde(default)]
    pub ends: Ends,
    /// The longest record in bytes, line end included.
    pub max_line: usize,
    /// Senders that may be connected at once.
    pub max_connections: usize,
    /// When written bytes are forced to the disk.
    pub sync: Sync,
    /// When the file is put away and a new one begun.
    #[serde(default)]
    pub rotate: Rotate,
    /// Free bytes of the file system below which nothing is written; 0: until it is full.
    pub min_free: u64,
}

impl StreamPlan {
    /// Where the records go, what counts first.
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        std::iter::once(&self.out).chain(&self.also)
    }

    /// Whether LF ends a record in what is written.
    #[must_use]
    pub fn has_lines(&self) -> bool {
        self.framing != Framing::Raw || self.format == Format::Json
    }
}

#[cfg(test)]
impl StreamPlan {
    /// A stream for tests: lines to a TCP port, nothing chosen.
    #[must_use]
    pub fn example() -> Self {
        Self {
            name: "main".into(),
            transport: Transport::Tcp,
            bind: "*".into(),
            port: 0,
            relay: Relay::Never,
            out: Output::file_at("/out"),
            also: Vec::new(),
            format: Format::default(),
            keywords: Vec::new(),
            limits: Limits::default(),
            framing: Framing::Lines,
            ends: Ends::default(),
            max_line: 1024,
            max_connections: 8,
            sync: Sync::Never,
            rotate: Rotate::default(),
            min_free: 0,
        }
    }
}

/// What senders of a stream speak.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    /// Connections to a TCP port.
    #[default]
    Tcp,
    /// Datagrams to a UDP port; each is one record.
    Udp,
    /// Both, to ports of the same number. Only a relay opens them.
    TcpAndUdp,
    /// Connections to a Unix socket, on the jump host or, for `listen`, here; absolute.
    Unix(PathBuf),
}

impl Transport {
    /// The path of a Unix socket.
    #[must_use]
    pub fn socket(&self) -> Option<&Path> {
        match self {
            Self::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Whether datagrams are taken.
    #[must_use]
    pub fn has_udp(&self) -> bool {
        matches!(self, Self::Udp | Self::TcpAndUdp)
    }

    /// Whether connections to a TCP port are taken.
    #[must_use]
    pub fn has_tcp(&self) -> bool {
        matches!(self, Self::Tcp | Self::TcpAndUdp)
    }
}

/// Whether a helper on the jump host opens the port, where sshd would bind loopback alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Relay {
    /// sshd opens it, whatever it binds.
    #[default]
    Never,
    /// The helper does when sshd binds loopback alone, and for UDP.
    Auto,
    /// The helper does.
    Always,
}

impl Relay {
    /// The name in profiles.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::Auto => "auto",
            Self::Always => "always",
        }
    }
}

/// Rotation: the file becomes an archive beside it, and a new one begins. All bounds that are given hold at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rotate {
    /// At this many bytes, at the next end of a record.
    pub size: Option<u64>,
    /// At these times.
    pub every: Option<Every>,
    /// So many archives at most; the oldest go.
    pub keep: Option<u32>,
    /// Archives older than this go.
    pub age: Option<Duration>,
    /// Bytes of all archives together; the oldest go.
    pub total: Option<u64>,
    /// What becomes of archives.
    pub compress: Compress,
}

/// Times of rotation, in the local time of the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Every {
    /// At each full hour.
    Hour,
    /// Once a day, at this time.
    Day {
        /// 0 to 23.
        hour: u8,
        /// 0 to 59.
        minute: u8,
    },
}

/// Compression of archives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Compress {
    /// As they are.
    #[default]
    None,
    /// gzip(1), `.gz`.
    Gzip,
    /// zstd(1), `.zst`.
    Zstd,
}

/// How a sender's bytes become records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// LF ends a record; senders' lines never mix.
    #[default]
    Lines,
    /// Bytes go to the file as they come; nothing is added, chunks of several senders may alternate.
    Raw,
    /// Syslog over TCP: octet counting or LF, as each record says itself (RFC 6587).
    Syslog,
    /// Syslog, acknowledged record by record: RELP.
    Relp,
}

impl Framing {
    /// The name in profiles, flags and JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Lines => "lines",
            Self::Raw => "raw",
            Self::Syslog => "syslog",
            Self::Relp => "relp",
        }
    }

    /// Whether senders are answered, and so have to be connections.
    #[must_use]
    pub fn answers(self) -> bool {
        self == Self::Relp
    }
}

/// Ends of lines that are not LF alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ends {
    /// A CR before the end is taken away.
    pub strip_cr: bool,
    /// NUL ends a line, and becomes LF.
    pub nul: bool,
}

/// When written bytes are forced to the disk (fsync). `down` does it in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sync {
    /// Only at `down`.
    Never,
    /// Every second while there is something new.
    #[default]
    Interval,
    /// After every batch that was written.
    Always,
}

/// Whether `name` may name a collector, profile or stream: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with `.` or
/// `-`. Such a name is safe as a file name and on every command line.
#[must_use]
pub fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// `text` with everything that [`is_name`] forbids replaced, so that a host can name its collector.
#[must_use]
pub fn name_from(text: &str) -> String {
    let mut name: String = text
        .chars()
        .take(64)
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '_' })
        .collect();
    if name.starts_with(['.', '-']) || name.is_empty() {
        name.insert(0, '_');
        name.truncate(64);
    }
    name
}

/// `host` as it stands before a colon: IPv6 addresses in brackets.
#[must_use]
pub fn bracketed(host: &str) -> Cow<'_, str> {
    if host.contains(':') { format!("[{host}]").into() } else { host.into() }
}

/// Whether only the machine itself can connect to the address `bind`.
#[must_use]
pub fn is_loopback(bind: &str) -> bool {
    bind.eq_ignore_ascii_case("localhost") || bind.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_as_files_and_arguments() {
        for good in ["a", "jump.example.org", "web_2", "A-b"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", ".hidden", "-x", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn any_host_gives_a_name() {
        for host in ["2001:db8::1", "-oProxyCommand=x", "..", "", "jump", &"é".repeat(99)] {
            assert!(is_name(&name_from(host)), "{host}");
        }
        assert_eq!(name_from("jump.example.org"), "jump.example.org");
    }
}
