//! Options that `up` and `listen` share.

use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};

/// Options about SSH, with ssh's own letters.
#[derive(Debug, Args, Default, Clone)]
pub struct SshArgs {
    /// Private key file; repeatable
    #[arg(short = 'i', long = "identity", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub identity: Vec<PathBuf>,
    /// Port of the SSH server
    #[arg(short = 'p', long = "port", value_name = "PORT")]
    pub port: Option<u16>,
    /// Configuration file to read instead of the user's and the system's ssh_config
    #[arg(short = 'F', long = "ssh-config", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ssh_config: Option<PathBuf>,
    /// Go through these hosts, in order: [user@]host[:port]; several with commas between, or repeated
    #[arg(short = 'J', long = "jump", value_name = "HOP", value_hint = ValueHint::Hostname)]
    pub jump: Vec<String>,
    /// Keyword of ssh_config, as ssh takes it; repeatable
    #[arg(short = 'o', value_name = "KEY=VALUE")]
    pub option: Vec<String>,
}

/// Options about the stream `main`.
#[derive(Debug, Args, Default, Clone)]
pub struct StreamArgs {
    /// Where records go: a file to append to, - (with --foreground), exec:COMMAND, syslog+udp://HOST:PORT, syslog+tcp:// or
    /// syslog+unix:///PATH; repeatable, the first one is what senders wait for
    #[arg(long, value_name = "OUT", value_hint = ValueHint::FilePath)]
    pub out: Vec<PathBuf>,
    /// What records look like [default: raw]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<FormatArg>,
    /// Text in front of every record.
    // clap takes `{n}` for a line end unless something stands in it; a reset of colours is seen nowhere. Lines may break there:
    // it stands where they are short.
    #[arg(
        long,
        value_name = "TEMPLATE",
        help = "Text in front of every record: {\u{1b}[0mn}, {time}, {peer}, {keyword}, {stream}; means --format prefix"
    )]
    pub prefix: Option<String>,
    /// File with the word that senders have to say first; -: ask for it
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub keyword_file: Option<PathBuf>,
    /// Let only these senders in: an address or CIDR; repeatable [default: all]
    #[arg(long, value_name = "CIDR")]
    pub allow: Vec<String>,
    /// Never let these senders in: an address or CIDR; repeatable
    #[arg(long, value_name = "CIDR")]
    pub deny: Vec<String>,
    /// How bytes become records [default: lines]
    #[arg(long, value_name = "FRAMING")]
    pub framing: Option<FramingArg>,
    /// Take the CR of lines that end with CRLF away
    #[arg(long)]
    pub strip_cr: bool,
    /// NUL ends a line instead of LF; LF is written for it
    #[arg(long)]
    pub nul: bool,
    /// Longest record, line end included; longer ones are split [default: 256KiB]
    #[arg(long, value_name = "SIZE")]
    pub max_line: Option<String>,
    /// Senders that may be connected at once [default: 4096]
    #[arg(long, value_name = "N")]
    pub max_connections: Option<usize>,
    /// Senders of one address that may be connected at once [default: 2048]
    #[arg(long, value_name = "N")]
    pub max_per_address: Option<usize>,
    /// New connections a second and address [default: 10000]
    #[arg(long, value_name = "N")]
    pub max_new: Option<u32>,
    /// Bytes a second and address, such as 1MB/s; who sends more is closed; 0: no limit [default: 0]
    #[arg(long, value_name = "SIZE")]
    pub max_rate: Option<String>,
    /// Bytes of one connection; who sends more is closed; 0: no limit [default: 0]
    #[arg(long, value_name = "SIZE")]
    pub max_bytes: Option<String>,
    /// Close senders that say nothing for so long; 0: never [default: 0]
    #[arg(long, value_name = "TIME")]
    pub idle_timeout: Option<String>,
    /// When to force written bytes to the disk [default: interval (every second)]
    #[arg(long, value_name = "WHEN")]
    pub sync: Option<SyncArg>,
    /// Free space of the disk that is left alone; senders wait below it; 0: off [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    pub min_free: Option<String>,
    /// Put the file away at this size and begin a new one
    #[arg(long, value_name = "SIZE")]
    pub rotate_size: Option<String>,
    /// Put it away at these times: hourly, daily, or a time of day such as 03:30
    #[arg(long, value_name = "WHEN")]
    pub rotate_every: Option<String>,
    /// Bytes of all files put away; the oldest go [default: no limit]
    #[arg(long, value_name = "SIZE")]
    pub rotate_total: Option<String>,
    /// Delete files put away when they are older, such as 30d [default: no limit]
    #[arg(long, value_name = "TIME")]
    pub rotate_age: Option<String>,
    /// Keep so many files put away [default: all]
    #[arg(long, value_name = "N")]
    pub keep: Option<u32>,
    /// Compress files put away [default: none]
    #[arg(long, value_name = "HOW")]
    pub compress: Option<CompressArg>,
}

/// Options about the process.
#[derive(Debug, Args, Default, Clone)]
pub struct RunArgs {
    /// Name of the collector [default: the profile's name, else the host's]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Stay in the foreground; Ctrl-C drains and stops
    #[arg(long, short)]
    pub foreground: bool,
    /// How long `down` waits for open senders [default: 10s]
    #[arg(long, value_name = "TIME")]
    pub drain_timeout: Option<String>,
    /// Try again when the first connection fails, instead of giving up
    #[arg(long)]
    pub keep_trying: bool,
    /// One JSON object a line on stdout for every step
    #[arg(long)]
    pub json: bool,
}

/// Values of `--framing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FramingArg {
    /// LF ends a record; lines of several senders never mix
    Lines,
    /// Bytes as they come
    Raw,
    /// Syslog over TCP: octet counting or LF, as each record says itself
    Syslog,
    /// RELP: syslog, acknowledged when it is stored
    Relp,
}

/// Values of `--format`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// As they came
    Raw,
    /// With text in front
    Prefix,
    /// One JSON object a line
    Json,
}

/// Values of `--sync`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SyncArg {
    /// Only at `down`
    Never,
    /// Every second while there is something new
    Interval,
    /// After every batch
    Always,
}

/// Values of `--compress`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompressArg {
    /// As they are
    None,
    /// gzip, .gz
    Gzip,
    /// zstd, .zst
    Zstd,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn help_shows_every_placeholder_of_a_prefix() {
        for verb in ["up", "listen"] {
            let mut all = crate::cli::args::Cli::command();
            let verb = all.find_subcommand_mut(verb).unwrap();
            for help in [verb.render_help(), verb.render_long_help()] {
                let help: Vec<_> = help.to_string().split_whitespace().map(str::to_owned).collect();
                let help = help.join(" ");
                assert!(
                    help.contains("every record: {n}, {time}, {peer}, {keyword}, {stream}; means --format prefix"),
                    "{help}"
                );
            }
        }
    }
}
