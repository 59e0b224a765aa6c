//! `reclog down`

use std::time::Duration;

use indicatif::ProgressBar;
use tokio::task::JoinSet;

use super::args::DownArgs;
use super::pick::{self, Running};
use super::printer::Printer;
use super::{spinner, words};
use crate::collector::lock;
use crate::control::client::{self, Client, Found, Silence};
use crate::control::{DownReport, Reply, Request};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::Output;

/// A collector that has answered is gone within this time.
const LAST_BREATH: Duration = Duration::from_secs(5);
/// One that says nothing for so long hangs.
const SILENCE: Duration = Duration::from_secs(15);
/// How often that is looked at; the wait is a few milliseconds.
const LOOK: Duration = Duration::from_millis(5);

/// Drains and stops what `args` name.
pub async fn run(args: &DownArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let Chosen { running, swept, hung } = choose(args, paths, printer).await?;
    if running.is_empty() && !swept && hung.is_none() && args.names.is_empty() {
        printer.note("nothing is running");
    }
    let bar = spinner::bar(printer);
    let mut ends = JoinSet::new();
    for running in running {
        ends.spawn(stop(running, args.now, bar.clone()));
    }
    let mut result = hung.map_or(Ok(()), Err);
    while let Some(end) = ends.join_next().await {
        let end = end.expect("stopping does not panic");
        bar.suspend(|| match end {
            Ok(report) => {
                if let Err(e) = tell(&report, args.json, printer) {
                    result = Err(e);
                }
            }
            Err(e) if result.is_err() => printer.error(&e),
            Err(e) => result = Err(e),
        });
    }
    bar.finish_and_clear();
    result
}

/// What is meant.
struct Chosen {
    running: Vec<Running>,
    /// What a killed one left was cleared away.
    swept: bool,
    /// One that does not answer; the others are stopped all the same.
    hung: Option<Error>,
}

async fn choose(args: &DownArgs, paths: &Paths, printer: Printer) -> Result<Chosen> {
    let found: Vec<Found> = client::find(paths);
    for name in &args.names {
        if !found.iter().any(|f| f.name == *name) && !lock::sweep(paths, name) {
            let hint = crate::profile::did_you_mean(name, found.iter().map(|f| f.name.as_str()));
            printer.note(&format!("\"{name}\" is not running{}", hint.map_or(String::new(), |h| format!("; {h}"))));
        }
    }
    let (mut chosen, mut swept, mut hung) = (Vec::new(), false, None);
    for found in found.into_iter().filter(|f| args.names.is_empty() || args.names.contains(&f.name)) {
        match Client::connect(&found.socket).await {
            Ok(client) => {
                pick::note_age(&client, printer);
                chosen.push(Running { found, client });
            }
            Err(Silence::Dead) => {
                swept |= lock::sweep(paths, &found.name);
                printer.note(&format!("\"{}\" was killed before; what it left is cleared away", found.name));
            }
            Err(Silence::Ending) => printer.note(&format!("\"{}\" is just ending", found.name)),
            Err(Silence::Hung(error)) => hung = Some(error),
        }
    }
    if args.names.is_empty() && !args.all && chosen.len() + usize::from(hung.is_some()) > 1 {
        return Err(pick::several(&chosen, "name those to stop, or all of them: reclog down --all"));
    }
    Ok(Chosen { running: chosen, swept, hung })
}

/// Asks one collector to stop and waits until nothing of it is left.
async fn stop(mut running: Running, now: bool, bar: ProgressBar) -> Result<DownReport> {
    let name = running.found.name.clone();
    running.client.request(Request::Down { now, successor: false }).await?;
    let mut report = None;
    while let Some(reply) = hear(&mut running).await? {
        match reply {
            Reply::Draining { open } => {
                bar.set_message(format!("{name}: waiting for {}", words::plural(open, "sender")));
            }
            Reply::Down(totals) => report = Some(totals),
            _ => {}
        }
    }
    let report = report.ok_or_else(|| {
        Error::failed(format!("the collector \"{name}\" (pid {}) ended without its totals", running.client.hello.pid))
            .hint("its log says why: collector.log in its state folder")
    })?;
    let gone = async {
        let lock = running.found.socket.with_extension("lock");
        // The name may have a new holder at once: only ours counts.
        let ours = running.client.hello.pid;
        while lock::alive(&lock).is_some_and(|holder| holder.pid == ours) {
            tokio::time::sleep(LOOK).await;
        }
    };
    match tokio::time::timeout(LAST_BREATH, gone).await {
        Ok(()) => Ok(report),
        Err(_) => {
            Err(Error::failed(format!("the collector \"{name}\" (pid {}) does not end", running.client.hello.pid)))
        }
    }
}

/// The next answer. One that ends says something twice a second.
async fn hear(running: &mut Running) -> Result<Option<Reply>> {
    match tokio::time::timeout(SILENCE, running.client.reply()).await {
        Ok(reply) => reply,
        Err(_) => Err(Error::failed(format!(
            "the collector \"{}\" (pid {}) has stopped answering",
            running.found.name, running.client.hello.pid
        ))
        .hint(format!("end it with `kill -KILL {}`; what was stored stays stored", running.client.hello.pid))),
    }
}

/// Prints how one ended. Lost bytes are an error.
pub fn tell(report: &DownReport, json: bool, printer: Printer) -> Result<()> {
    if json {
        printer.json(&Reply::Down(report.clone()))?;
    } else {
        printer.note(&summary(report));
        for note in &report.notes {
            printer.note(&format!("note: {}", escape_str(note)));
        }
    }
    settle(report)
}

/// Lost bytes, and where they are, as an error.
pub fn settle(report: &DownReport) -> Result<()> {
    if report.lost > 0 || !report.trouble.is_empty() {
        let mut error =
            Error::failed(if report.lost > 0 { lost(report) } else { format!("\"{}\" did not end well", report.name) });
        for trouble in &report.trouble {
            error = error.hint(trouble.clone());
        }
        for stream in &report.streams {
            if let Some(rescue) = &stream.rescue {
                let Some(first) = stream.snapshot.outputs.first() else { continue };
                let (rescue, file) = (words::path(rescue), words::path(&first.path));
                let is_file = Output::parse(&first.path).is_ok_and(|output| output.file().is_some());
                let hint = if is_file { format!(": cat {rescue} >> {file}") } else { format!(", in {rescue}") };
                error = error.hint(format!("they follow {file}, as they are{hint}"));
            }
        }
        return Err(error);
    }
    Ok(())
}

/// How many bytes are not in the files, and where they are.
fn lost(report: &DownReport) -> String {
    let kept: u64 = report.streams.iter().filter(|s| s.rescue.is_some()).map(|s| s.lost).sum();
    let what =
        format!("{} from senders could not be stored by \"{}\"", words::plural(report.lost, "byte"), report.name);
    match &report.rescue {
        Some(rescue) if kept == report.lost => format!("{what} and are kept in {}", words::path(rescue)),
        Some(rescue) => format!("{what}; {} of them are kept in {}", words::bytes(kept), words::path(rescue)),
        None => format!("{what} and are lost"),
    }
}

fn summary(report: &DownReport) -> String {
    let mut text = format!("✔ {} is down", report.name);
    for stream in report.streams.iter().map(|s| &s.snapshot) {
        let first = stream.outputs.first().map(|output| words::path(&output.path)).unwrap_or_default();
        text.push_str(&format!(
            "\n  {}: {}, {} from {} in {}",
            stream.name,
            words::plural(stream.records, "record"),
            words::bytes(stream.ledger.stored),
            words::plural(stream.senders.accepted, "sender"),
            first
        ));
        if stream.senders.cut > 0 {
            text.push_str(&format!("; {} cut off", words::plural(stream.senders.cut, "sender")));
        }
        if let Some(away) = words::turned_away(&stream.senders) {
            text.push_str(&format!("; {away}"));
        }
        if let Some(lost) = stream.datagrams_lost.filter(|lost| *lost > 0) {
            text.push_str(&format!("; {} lost", words::plural(lost, "datagram")));
        }
        let also: Vec<String> = stream.outputs.iter().skip(1).map(|output| words::path(&output.path)).collect();
        if !also.is_empty() {
            text.push_str(&format!("; also in {}", also.join(", ")));
        }
    }
    text
}
