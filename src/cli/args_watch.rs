//! The verbs for programs that watch collectors, as clap sees them.

use std::path::PathBuf;

use clap::{Args, ValueHint};

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
pub struct WebArgs {
    /// Collectors to show [default: all]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// A loopback address with or without a port, or `unix:/path` [default: 127.0.0.1:8866]
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
    /// Show collectors that do not run, and their history, too
    #[arg(long)]
    pub stopped: bool,
}
