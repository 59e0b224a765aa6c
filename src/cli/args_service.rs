//! The command line of `reclog service`.

use clap::{Args, Subcommand, ValueEnum};

/// `reclog service`
#[derive(Debug, Args)]
pub struct ServiceArgs {
    /// What to do
    #[command(subcommand)]
    pub verb: ServiceVerb,
}

/// What can be done with services.
#[derive(Debug, Subcommand)]
pub enum ServiceVerb {
    /// Write a unit for a profile, enable it, start it and wait until the collector is up
    Install(ServiceArg),
    /// Drain and stop the service of a profile, and remove its unit
    Uninstall(ServiceArg),
    /// How the service of a profile is
    Status(ServiceArg),
    /// Print the unit and install nothing
    Print(ServicePrint),
}

/// A service.
#[derive(Debug, Args)]
pub struct ServiceArg {
    /// Saved profile
    #[arg(value_name = "PROFILE")]
    pub name: String,
    /// Where it runs
    #[command(flatten)]
    pub place: ServicePlace,
}

/// Where a service runs.
#[derive(Debug, Args, Clone)]
pub struct ServicePlace {
    /// A service of the machine instead of one of yours; needs root
    #[arg(long)]
    pub system: bool,
    /// With --system: the account that it runs as, whose profile is read [default: who called sudo]
    #[arg(long, value_name = "USER", requires = "system")]
    pub user: Option<String>,
}

/// `reclog service print`
#[derive(Debug, Args)]
pub struct ServicePrint {
    /// Saved profile
    #[arg(value_name = "PROFILE")]
    pub name: String,
    /// For which service manager
    #[arg(long, value_name = "KIND", default_value = "systemd")]
    pub kind: KindArg,
    /// Where it runs
    #[command(flatten)]
    pub place: ServicePlace,
}

/// Values of `service print --kind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum KindArg {
    /// A unit
    Systemd,
    /// A property list of macOS
    Launchd,
    /// A section of supervisord.conf
    Supervisord,
}

/// `reclog __service`
#[derive(Debug, Args)]
pub struct ExamineArgs {
    /// Saved profile
    pub name: String,
    /// New host keys are written down
    #[arg(long)]
    pub writes: bool,
}
