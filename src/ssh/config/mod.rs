//! ssh_config(5): which values hold for a host, found as ssh finds them.
//!
//! - [`line`], [`pattern`], [`value`], [`expand`], [`jump`]: the language, as pure functions
//! - [`keywords`], [`check`], [`names`]: what there is, and what it may be
//! - [`reader`], [`criteria`]: files, blocks and conditions
//! - [`values`]: what came of it

pub(super) mod account;
pub(super) mod check;
mod criteria;
pub(super) mod expand;
pub(super) mod jump;
pub(super) mod keywords;
mod line;
pub(super) mod names;
mod pattern;
mod reader;
pub(super) mod value;
pub(super) mod values;

use std::path::Path;

use account::Account;
use reader::{Reader, Source};
use values::Values;

use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::plan::SshPlan;

pub use pattern::host_matches;

/// What the configuration says about one host.
pub struct Found {
    /// The values in force.
    pub values: Values,
    /// Name or address to connect to, in lower case.
    pub host: String,
}

/// Reads all that `plan` and the configuration files have to say about its host: options first, then the user's file,
/// then the system's.
///
/// # Errors
/// Usage errors for what ssh would refuse, too.
pub fn find(plan: &SshPlan, account: &Account) -> Result<Found> {
    let mut values = Values::default();
    if let Some(user) = &plan.user {
        values.set("user", user.clone());
    }
    if let Some(port) = plan.port {
        values.set("port", port.to_string());
    }
    let mut reader =
        Reader { account, alias: &plan.host, host: plan.host.clone(), is_final: false, wants_final: false, values };
    if !plan.jump.is_empty() {
        reader.option(&format!("ProxyJump={}", plan.jump.join(",")))?;
    }
    for (keyword, value) in &plan.options {
        reader.option(&format!("{keyword}={value}"))?;
    }
    read_files(&mut reader, plan)?;
    let host = match reader.values.text("hostname") {
        Some(name) => expand::Tokens::host(&plan.host).expand(name, expand::HOST).map_err(|why| {
            Error::usage(format!("cannot use HostName {} of the ssh configuration: {why}", escape_str(name)))
        })?,
        None => plan.host.clone(),
    };
    let host = host.to_ascii_lowercase();
    let canonicalize = reader.values.text("canonicalizehostname").is_some_and(|v| value::flag(v) != Some(false));
    if reader.wants_final || canonicalize {
        tracing::debug!("reading the ssh configuration again for {}", escape_str(&host));
        reader.values.set("hostname", host.clone());
        reader.host.clone_from(&host);
        reader.is_final = true;
        read_files(&mut reader, plan)?;
    }
    Ok(Found { values: reader.values, host })
}

fn read_files(reader: &mut Reader<'_>, plan: &SshPlan) -> Result<()> {
    match &plan.config_file {
        Some(file) if file.as_os_str() == "none" => Ok(()),
        Some(path) => reader.file(&Source { path, required: true, by_user: true, private: false }),
        None => {
            // Without an account there is no file of the user's.
            if let Ok(home) = reader.account.ssh_home() {
                let path = home.join("config");
                reader.file(&Source { path: &path, required: false, by_user: true, private: true })?;
            }
            let path = Path::new("/etc/ssh/ssh_config");
            reader.file(&Source { path, required: false, by_user: false, private: false })
        }
    }
}
