//! The verbs for programs that watch collectors, as clap sees them.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueHint};

/// `reclog health`
#[derive(Debug, Args)]
pub struct HealthArgs {
    /// Collector to ask [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// One JSON object on stdout
    #[arg(long)]
    pub json: bool,
}

/// `reclog metrics`
#[derive(Debug, Args)]
pub struct MetricsArgs {
    /// Collector to show [default: all]
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// In the format OpenMetrics instead of the older one
    #[arg(long, conflicts_with = "textfile")]
    pub openmetrics: bool,
    /// Write them to this file, for the textfile collector of the node exporter
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub textfile: Option<PathBuf>,
}

/// `reclog web`
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct WebArgs {
    /// What to do instead of showing streams.
    #[command(subcommand)]
    pub command: Option<WebCommand>,
    /// Collectors to show [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// An address with or without a port, or `unix:/path`; where others get to, users log in by TLS [default: 127.0.0.1:8866]
    #[arg(long, value_name = "ADDR")]
    pub listen: Option<String>,
    /// Open the link in the browser of this desktop
    #[arg(long)]
    pub open: bool,
    /// Ask for no token; only on a Unix socket
    #[arg(long)]
    pub no_token: bool,
    /// A name under which browsers reach it, beside its address and `localhost`; may be repeated
    #[arg(long = "host", value_name = "NAME", value_hint = ValueHint::Hostname)]
    pub hosts: Vec<String>,
    /// What a proxy puts before every path, such as `/logs`
    #[arg(long, value_name = "PATH")]
    pub base_path: Option<String>,
    /// A proxy that says by X-Forwarded-For, -Host and -Proto who asks: a network, or `unix`; may be repeated
    #[arg(long, value_name = "CIDR")]
    pub trust_proxy: Vec<String>,
    /// The certificate, in PEM with those that it needs behind it [default: a self-made one where others get to]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its key, in PEM without a passphrase
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Show collectors that do not run, and their history, too
    #[arg(long)]
    pub stopped: bool,
}

/// `reclog web …`
#[derive(Debug, Subcommand)]
pub enum WebCommand {
    /// Who may log in
    #[command(subcommand_required = true, arg_required_else_help = true)]
    User(WebUserArgs),
}

/// `reclog web user`
#[derive(Debug, Args)]
pub struct WebUserArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: WebUserCommand,
}

/// `reclog web user …`
#[derive(Debug, Subcommand)]
pub enum WebUserCommand {
    /// Let somebody in, or change the password and streams of a user; the password comes from the terminal or standard input
    Add {
        /// The name: letters, digits and `._-@+`
        #[arg(value_name = "USER")]
        user: String,
        /// COLLECTOR or COLLECTOR/STREAM that may be seen; may be repeated [default: all]
        #[arg(long = "stream", value_name = "NAME")]
        streams: Vec<String>,
    },
    /// Who may log in, and what they see
    List {
        /// One JSON array on stdout
        #[arg(long)]
        json: bool,
    },
    /// Let somebody in no longer; what is open ends at once
    Rm {
        /// The name
        #[arg(value_name = "USER")]
        user: String,
    },
}
