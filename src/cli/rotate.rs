//! `reclog rotate`

use super::args::RotateArgs;
use super::printer::Printer;
use super::{pick, words};
use crate::control::{Reply, Request, Rotated};
use crate::error::{Error, Result};
use crate::paths::Paths;

/// Puts every file of a collector away now, and says what the archives are called.
pub async fn run(args: &RotateArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let mut running = pick::one(args.name.as_deref(), paths, printer).await?;
    running.client.request(Request::Rotate).await?;
    let reply = running.client.reply().await?;
    let Some(Reply::Rotated { outputs, error }) = reply else {
        return Err(Error::failed(format!("{} ended before the file was put away", running.found.name)));
    };
    if args.json {
        printer.json(&Reply::Rotated { outputs, error: error.clone() })?;
    } else {
        outputs.iter().try_for_each(|output| printer.data(&line(output)))?;
    }
    // What could be done is done.
    error.map_or(Ok(()), Err)
}

fn line(output: &Rotated) -> String {
    let file = words::path(&output.output);
    match &output.archive {
        Some(archive) => format!("✔ {file} is now {}\n", words::path(archive)),
        None => format!("{file} is empty and stays\n"),
    }
}
