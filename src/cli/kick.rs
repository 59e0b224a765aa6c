//! `reclog kick`

use super::args::KickArgs;
use super::pick;
use super::printer::Printer;
use crate::control::Request;
use crate::error::Result;
use crate::paths::Paths;

/// Makes a collector reconnect now.
pub async fn run(args: &KickArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let mut running = pick::one(args.name.as_deref(), paths, printer).await?;
    running.client.request(Request::Kick).await?;
    running.client.reply().await?;
    printer.note(&format!("{} reconnects now", running.found.name));
    Ok(())
}
