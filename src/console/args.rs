//! The command line of the sender.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// `reclog send`
#[derive(Debug, Args)]
pub struct SendArgs {
    /// Where a collector listens: HOST:PORT, an IPv6 address as [::1]:PORT
    #[arg(value_name = "HOST:PORT", value_hint = ValueHint::Hostname)]
    pub target: String,
    /// Want each line acknowledged (RELP), and send again what is not
    #[arg(long)]
    pub ack: bool,
    /// Folder of what is not acknowledged [default: one a target in the state folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub spool: Option<PathBuf>,
    /// What may lie in the spool; then standard input waits [default: 1GiB]
    #[arg(long, value_name = "SIZE")]
    pub spool_size: Option<String>,
    /// How long an acknowledgement may take before another connection is tried [default: 90s]
    #[arg(long, value_name = "TIME")]
    pub ack_timeout: Option<String>,
    /// Send what is appended to a file, over renames and truncation; repeatable [default: standard input]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub follow: Vec<PathBuf>,
    /// How lines are set apart [default: lines, with --ack relp]
    #[arg(long, value_name = "FRAMING")]
    pub framing: Option<SendFraming>,
    /// File with the one line that is said first on each connection; - asks for it [default: RECLOG_KEYWORD, else none]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keyword_file: Option<PathBuf>,
    /// Wait for a first connection that cannot be made
    #[arg(long)]
    pub keep_trying: bool,
}

/// Values of `send --framing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SendFraming {
    /// Each line ends with its LF
    Lines,
    /// Syslog messages with an octet count (RFC 6587), other lines as they are
    Syslog,
    /// Acknowledged frames: the same as --ack
    Relp,
}
