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
