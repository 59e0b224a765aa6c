//! The command line of verbs that look at a jump host and change nothing.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use super::options::SshArgs;
use crate::profile::Overrides;

/// `reclog doctor`
#[derive(Debug, Args, Default)]
pub struct DoctorArgs {
    /// What is to be examined: [user@]host[:port], a Host of ssh_config, or the name of a saved profile
    #[arg(value_name = "TARGET|PROFILE", value_hint = ValueHint::Hostname)]
    pub target: String,
    /// Port to open meanwhile; 0 lets the jump host choose [default: 0, or those of the profile]
    #[arg(long, value_name = "PORT")]
    pub remote_port: Option<u16>,
    /// Address to bind on the jump host [default: * (all interfaces)]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
    /// Output whose folder is examined; the file itself is left alone
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub out: Option<PathBuf>,
    /// SSH options of the command line
    #[command(flatten)]
    pub ssh: SshArgs,
    /// One JSON object a step on stdout
    #[arg(long)]
    pub json: bool,
}

/// `reclog harden`
#[derive(Debug, Args, Default)]
pub struct HardenArgs {
    /// What the key is for: [user@]host[:port], a Host of ssh_config, or the name of a saved profile
    #[arg(value_name = "TARGET|PROFILE", value_hint = ValueHint::Hostname)]
    pub target: String,
    /// Log in with this key alone and try everything else; 1 when something is open
    #[arg(long)]
    pub check: bool,
    /// Port that the key is for; 0 is any [default: those of the profile]
    #[arg(long, value_name = "PORT")]
    pub remote_port: Option<u16>,
    /// Address to bind on the jump host [default: * (all interfaces)]
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<String>,
    /// SSH options of the command line
    #[command(flatten)]
    pub ssh: SshArgs,
    /// JSON on stdout
    #[arg(long)]
    pub json: bool,
}

/// The plan's part of such a command line.
#[must_use]
pub fn overrides(target: &str, remote_port: Option<u16>, bind: Option<&String>, ssh: &SshArgs) -> Overrides {
    let ssh = ssh.clone();
    Overrides {
        target: Some(target.to_owned()),
        remote_port,
        bind: bind.cloned(),
        identities: ssh.identity,
        port: ssh.port,
        ssh_config: ssh.ssh_config,
        jump: ssh.jump,
        options: ssh.option,
        ..Overrides::default()
    }
}
