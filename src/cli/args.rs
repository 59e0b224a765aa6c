//! The command line as clap sees it; nothing here does anything.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueEnum, ValueHint};

use super::args_examine::{DoctorArgs, HardenArgs};
use super::args_service::{ExamineArgs, ServiceArgs};
use super::args_watch::{HealthArgs, MetricsArgs, WebArgs};
use super::options::{RunArgs, SshArgs, StreamArgs};
use crate::console::args::SendArgs;

/// Collect log lines from anywhere into a local file, through an SSH jump host
///
/// One command opens a port on the jump host and writes whatever is sent there to a file on this machine. Nothing is
/// installed on the jump host, no port is opened here, and `reclog down` takes all of it down again.
#[derive(Debug, Parser)]
#[command(name = "reclog", version, propagate_version = true, max_term_width = 100)]
#[command(arg_required_else_help = true, subcommand_required = true, disable_help_subcommand = true)]
pub struct Cli {
    /// Say less: no progress, no hints on success
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more; twice: everything
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// What to do
    #[command(subcommand)]
    pub verb: Verb,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Open the port on the jump host and collect what is sent there
    Up(UpArgs),
    /// Collect on a port of this machine, without SSH
    Listen(ListenArgs),
    /// Drain, cancel the forward, flush, fsync, stop
    Down(DownArgs),
    /// What runs, what arrived, what is wrong
    Status(StatusArgs),
    /// One sentence a trouble; exit code 0 when there is none
    Health(HealthArgs),
    /// The figures of the status as Prometheus reads them
    Metrics(MetricsArgs),
    /// Show records as they arrive, safe for a terminal
    Tail(TailArgs),
    /// Show all streams in a browser: live, and back to the first line
    Web(WebArgs),
    /// Who connected, what was refused, cut, stalled, rotated
    Audit(AuditArgs),
    /// Reconnect now
    Kick(KickArgs),
    /// Put the file away now and begin a new one
    Rotate(RotateArgs),
    /// Down and up in one: the profile read anew, this release, the shortest gap
    Restart(RestartArgs),
    /// Prove, step by step, that senders can get through
    Doctor(DoctorArgs),
    /// Print a ready-to-paste sender line
    How(HowArgs),
    /// Send lines of standard input or of files to a collector
    Send(SendArgs),
    /// Print, or prove, that the key can do no more than it needs
    Harden(HardenArgs),
    /// Saved profiles
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Profile(ProfileArgs),
    /// A profile that runs by itself, looked after by systemd
    #[command(subcommand_required = true, arg_required_else_help = true)]
    Service(ServiceArgs),
    /// Print the completion script of a shell
    Completions(CompletionsArgs),
    /// Show a page of the manual, or write all of them
    Man(ManArgs),
    /// The whole path on this machine, with an embedded jump host
    Demo(DemoArgs),
    /// Names for the completion scripts, one a line
    #[command(name = "__names", hide = true)]
    Names(NamesArgs),
    /// What a profile needs as a service, as its account sees it; started by `service`
    #[command(name = super::service::examine::VERB, hide = true)]
    Examine(ExamineArgs),
    /// The background process; started by `up` and `listen`
    #[command(name = crate::collector::launch::VERB, hide = true)]
    Collector,
}

/// `reclog up`
#[derive(Debug, Args, Default)]
pub struct UpArgs {
    /// Where to connect to: [user@]host[:port], a Host of ssh_config, or the name of a saved profile
    #[arg(value_name = "TARGET|PROFILE", value_hint = ValueHint::Hostname)]
    pub target: Option<String>,
    /// Port to open on the jump host; 0 lets the jump host choose
    #[arg(long, value_name = "PORT")]
    pub remote_port: Option<u16>,
    /// Address to bind on the jump host [default: * (all interfaces)]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
    /// Open the port with a helper on the jump host (python3 or perl), where sshd binds loopback alone
    #[arg(long)]
    pub relay: bool,
    /// Do not prove that senders get through
    #[arg(long, conflicts_with = "probe_every")]
    pub no_probe: bool,
    /// How often to prove that senders get through [default: 5m]
    #[arg(long, value_name = "TIME")]
    pub probe_every: Option<String>,
    /// SSH options of the command line
    #[command(flatten)]
    pub ssh: SshArgs,
    /// What to do with the bytes
    #[command(flatten)]
    pub stream: StreamArgs,
    /// How the collector runs
    #[command(flatten)]
    pub run: RunArgs,
    /// Save target and options as profile NAME, then start it
    #[arg(long, value_name = "NAME")]
    pub save: Option<String>,
    /// With --save: replace a profile of that name
    #[arg(long, requires = "save")]
    pub force: bool,
}

/// `reclog listen`
#[derive(Debug, Args, Default)]
pub struct ListenArgs {
    /// PORT, HOST:PORT, udp:PORT, udp:HOST:PORT or unix:/PATH; a port alone listens on all interfaces, 0 lets the system choose
    #[arg(value_name = "PORT")]
    pub address: String,
    /// What to do with the bytes
    #[command(flatten)]
    pub stream: StreamArgs,
    /// How the collector runs
    #[command(flatten)]
    pub run: RunArgs,
}

/// `reclog down`
#[derive(Debug, Args)]
pub struct DownArgs {
    /// Collectors to stop; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Stop all of them
    #[arg(long, conflicts_with = "names")]
    pub all: bool,
    /// Do not wait for open senders
    #[arg(long)]
    pub now: bool,
    /// One JSON object a collector on stdout
    #[arg(long)]
    pub json: bool,
}

/// `reclog status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Collector to show [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The snapshot as JSON
    #[arg(long, conflicts_with = "watch")]
    pub json: bool,
    /// Draw it again every second, until Ctrl-C
    #[arg(long)]
    pub watch: bool,
}

/// `reclog tail`
#[derive(Debug, Args)]
pub struct TailArgs {
    /// COLLECTOR or COLLECTOR/STREAM; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Show the last N records
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    pub lines: usize,
    /// Go on with what arrives
    #[arg(short, long)]
    pub follow: bool,
    /// Show only records that match; applied before -n counts
    #[arg(short = 'e', long = "regexp", value_name = "REGEX")]
    pub regex: Option<String>,
    /// The bytes as they are, not escaped
    #[arg(long)]
    pub raw: bool,
}

/// `reclog audit`
#[derive(Debug, Args)]
pub struct AuditArgs {
    /// COLLECTOR or COLLECTOR/STREAM, running or not; may be left out when only one has a trail
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Who logged in to `reclog web` and looked at what; with NAME at those streams
    #[arg(long)]
    pub web: bool,
    /// Go on with what happens
    #[arg(short, long)]
    pub follow: bool,
    /// Show the last N events [default: all; with --follow 10, or all since --since]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    pub lines: Option<usize>,
    /// Show only what happened since then: 14:30, 2026-11-21, today, yesterday, 2h (ago), or RFC 3339
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Show only these events; repeatable, or several with commas between
    #[arg(long, value_name = "EVENT", value_delimiter = ',', value_parser = PossibleValuesParser::new(crate::audit::Event::NAMES))]
    pub event: Vec<String>,
    /// The lines as they stand in the trail
    #[arg(long)]
    pub json: bool,
}

/// `reclog kick`
#[derive(Debug, Args)]
pub struct KickArgs {
    /// Collector; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
}

/// `reclog rotate`
#[derive(Debug, Args)]
pub struct RotateArgs {
    /// Collector; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `reclog restart`
#[derive(Debug, Args)]
pub struct RestartArgs {
    /// Collector; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Every step as one JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `reclog how`
#[derive(Debug, Args)]
pub struct HowArgs {
    /// COLLECTOR or COLLECTOR/STREAM; may be left out when one runs
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// The program that sends
    /// [default: bash, for a Unix socket python]
    #[arg(long, value_name = "PROGRAM")]
    pub sender: Option<SenderArg>,
    /// By datagrams, where the stream takes both TCP and UDP
    #[arg(long)]
    pub udp: bool,
}

/// Values of `how --sender`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SenderArg {
    /// bash alone, through /dev/tcp or /dev/udp
    Bash,
    /// netcat
    Nc,
    /// socat
    Socat,
    /// Python 3
    Python,
    /// logger of util-linux
    Logger,
    /// A configuration fragment for rsyslog
    Rsyslog,
}

/// `reclog profile`
#[derive(Debug, Args)]
pub struct ProfileArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: ProfileVerb,
}

/// What can be done with profiles.
#[derive(Debug, Subcommand)]
pub enum ProfileVerb {
    /// Names of the saved profiles
    List,
    /// Print a profile as it is written
    Show(ProfileName),
    /// Write a commented profile to start from
    Init(ProfileInit),
    /// Check a profile and say what it means
    Check(ProfileRef),
    /// Open a profile in $VISUAL or $EDITOR, then check it
    Edit(ProfileName),
    /// Print where a profile lies
    Path(ProfileOptional),
    /// Delete a profile
    Rm(ProfileName),
    /// Print the JSON Schema of profiles, for editors
    Schema,
}

/// A saved profile.
#[derive(Debug, Args)]
pub struct ProfileName {
    /// Saved profile
    #[arg(value_name = "PROFILE")]
    pub name: String,
}

/// A saved profile, or none.
#[derive(Debug, Args)]
pub struct ProfileOptional {
    /// Saved profile [default: the folder of all]
    #[arg(value_name = "PROFILE")]
    pub name: Option<String>,
}

/// A saved profile or a file.
#[derive(Debug, Args)]
pub struct ProfileRef {
    /// Saved profile, or a path that ends in .yaml
    #[arg(value_name = "PROFILE|FILE", value_hint = ValueHint::FilePath)]
    pub name: String,
}

/// `reclog profile init`
#[derive(Debug, Args)]
pub struct ProfileInit {
    /// Name of the new profile
    #[arg(value_name = "PROFILE")]
    pub name: String,
    /// Replace a profile of that name
    #[arg(long)]
    pub force: bool,
}

/// `reclog completions`
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: clap_complete::Shell,
}

/// `reclog man`
#[derive(Debug, Args)]
pub struct ManArgs {
    /// A verb, or profile.5 for the keys of profiles [default: reclog]
    #[arg(value_name = "PAGE")]
    pub page: Option<String>,
    /// Write all pages below DIR, as man(1) looks for them: man1/reclog.1
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, conflicts_with = "page")]
    pub dir: Option<PathBuf>,
}

/// `reclog demo`
#[derive(Debug, Args)]
pub struct DemoArgs {}

/// `reclog __names`
#[derive(Debug, Args)]
pub struct NamesArgs {
    /// Which names
    pub what: NamesArg,
}

/// What has names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NamesArg {
    /// Saved profiles
    Profiles,
    /// Running collectors
    Collectors,
    /// Pages of the manual
    Pages,
}
