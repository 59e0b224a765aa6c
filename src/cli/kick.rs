//! `reclog kick`

use super::args::KickArgs;
use super::pick;
use super::printer::Printer;
use crate::control::{Reply, Request};
use crate::error::Result;
use crate::paths::Paths;

/// Makes a collector reconnect now.
pub async fn run(args: &KickArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let mut running = pick::one(args.name.as_deref(), paths, printer).await?;
    running.client.request(Request::Kick).await?;
    let name = &running.found.name;
    printer.note(&match running.client.reply().await? {
        Some(Reply::Kicked { under_way: true }) => format!("{name} is connecting already"),
        _ => format!("{name} reconnects now"),
    });
    Ok(())
}
