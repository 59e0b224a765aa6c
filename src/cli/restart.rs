//! `reclog restart`

use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::args::RestartArgs;
use super::options::RunArgs;
use super::pick::{self, Running};
use super::place::host_of;
use super::printer::Printer;
use super::up::{self, Start, failed};
use super::{down, keyword, words};
use crate::collector::events::{Event, Up, UpStream};
use crate::collector::live;
use crate::collector::takeover::Predecessor;
use crate::control::client::{self, Client};
use crate::control::{DownReport, Hello, Reply, Request};
use crate::error::{Error, Kind, Result};
use crate::escape::escape_str;
use crate::ledger::{CollectorSnapshot, State};
use crate::paths::Paths;
use crate::profile::{self, Origin};

/// A collector in the foreground has found out whether it can be renewed by then.
const REHEARSAL: Duration = Duration::from_secs(70);
/// One that gave way is back within this time: its login, and what it tries first.
const COMING_UP: Duration = Duration::from_secs(60);
/// How often it is looked for.
const LOOK: Duration = Duration::from_millis(20);

/// Puts a new collector into the place of one that runs.
pub async fn run(args: &RestartArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let told = |error: Error| failed(error, args.json, printer);
    let mut running = pick::one(args.name.as_deref(), paths, printer).await.map_err(told)?;
    let (origin, snapshot) = ask(&mut running).await.map_err(told)?;
    if origin.foreground {
        return renew(running, &snapshot, args.json, printer).await.map_err(told);
    }
    let hello = &running.client.hello;
    enter(&origin).map_err(told)?;
    let plan = origin.resolve(paths).map_err(|e| told(e.hint(format!("\"{}\" goes on as it is", hello.name))))?;
    let replaces = Predecessor { pid: hello.pid, socket: running.found.socket.clone() };
    let mut start = Start { plan, keyword_file: keyword_file(&origin), origin, replaces: Some(replaces) };
    // A collector that was called otherwise would be a second one.
    start.plan.name.clone_from(&hello.name);
    let ports = snapshot.streams.iter().map(|stream| (stream.name.clone(), stream.remote_port)).collect();
    profile::keep_ports(&mut start.plan, &ports);
    start.origin.verbose = start.origin.verbose.max(printer.verbose);
    let run = RunArgs { json: args.json, ..RunArgs::default() };
    Box::pin(up::start(start, &run, paths, printer)).await
}

/// How it was started, and what it is like now.
async fn ask(running: &mut Running) -> Result<(Origin, CollectorSnapshot)> {
    let Hello { minor, name, reclog, .. } = running.client.hello.clone();
    if minor < 1 {
        return Err(too_old(&name, &reclog));
    }
    running.client.request(Request::Origin).await?;
    let origin = match running.client.reply().await? {
        Some(Reply::Origin { origin }) => Origin::read(origin, &name, &reclog)?,
        _ => return Err(ended(&name)),
    };
    match Client::connect(&running.found.socket).await {
        Ok(mut client) => {
            let snapshot = client.snapshot().await?;
            // Somebody wants it to end.
            if snapshot.state == State::Draining { Err(ended(&name)) } else { Ok((origin, snapshot)) }
        }
        Err(_) => Err(ended(&name)),
    }
}

fn ended(name: &str) -> Error {
    Error::not_running(format!("\"{name}\" is just ending")).hint("start it with `reclog up`")
}

/// It says nothing of its options, and nobody else knows them.
fn too_old(name: &str, reclog: &str) -> Error {
    Error::failed(format!("\"{name}\" is reclog {reclog}, which cannot tell with which options it was started"))
        .hint(format!("once, start it anew by hand: `reclog down {name}`, then `reclog up …` as before"))
}

/// Options are relative to the folder in which they were typed.
fn enter(origin: &Origin) -> Result<()> {
    match std::env::set_current_dir(&origin.folder) {
        Err(_) if origin.flags.is_relative() => Err(Error::failed(format!(
            "cannot enter {}, the folder in which the collector was started and which its options start from",
            words::path(&origin.folder)
        ))
        .hint("make the folder again, or start the collector anew with `reclog down` and `reclog up`")),
        // Nothing depends on it; only it must not be a folder that the options were never meant for.
        Err(_) => std::env::set_current_dir("/").map_err(|e| Error::failed(format!("cannot enter /: {e}"))),
        Ok(()) => Ok(()),
    }
}

/// `--keyword-file` as it was. A keyword of the environment that is not there now is asked for.
fn keyword_file(origin: &Origin) -> Option<std::path::PathBuf> {
    let asked = origin.flags.keyword_given && !keyword::is_in_environment();
    origin.flags.keyword_file.clone().or_else(|| asked.then(|| Path::new("-").to_owned()))
}

/// Has a collector in the foreground become another one: its process belongs to whoever started it.
async fn renew(running: Running, before: &CollectorSnapshot, json: bool, printer: Printer) -> Result<()> {
    let Running { found, client: old } = running;
    let name = &found.name;
    let Ok(mut client) = Client::connect(&found.socket).await else { return Err(ended(name)) };
    drop(old);
    client.request(Request::Renew).await?;
    let mut report = None;
    loop {
        match timeout(REHEARSAL, client.reply()).await {
            Ok(Ok(Some(Reply::Renewing))) if json => printer.json(&Event::Handover { pid: before.pid })?,
            Ok(Ok(Some(Reply::Down(totals)))) => {
                if json {
                    printer.json(&Event::Down(totals.clone()))?;
                }
                report = Some(totals);
            }
            Ok(Ok(Some(_))) => {}
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(error.hint(format!("\"{name}\" goes on as it is"))),
            Err(_) => return Err(Error::failed(format!("\"{name}\" does not answer"))),
        }
    }
    let come_up = async {
        loop {
            if let Ok(mut client) = Client::connect(&found.socket).await
                && let Ok(snapshot) = client.snapshot().await
                && snapshot.since > before.since
                && snapshot.state != State::Connecting
            {
                return snapshot;
            }
            sleep(LOOK).await;
        }
    };
    let Ok(now) = timeout(COMING_UP, come_up).await else {
        return Err(Error::failed(format!("\"{name}\" (pid {}) gave way and has not come up again", before.pid))
            .hint("whoever started it has seen why: a terminal, or `journalctl`"));
    };
    if matches!(now.state, State::Waiting | State::Failed) {
        let why = now.last_error.as_deref().unwrap_or("no reason is known");
        let kind = now.last_error_kind.unwrap_or(Kind::Failed);
        return Err(Error::new(kind, format!("\"{name}\" has taken over and is not up yet: {why}"))
            .hint(format!("`reclog status {name}` shows how it goes")));
    }
    let up = up_of(&now);
    if json {
        printer.json(&Event::Up(up))?;
    } else {
        up::announce(&up, false, printer)?;
    }
    report.map_or(Ok(()), |report| tell(&report, printer))
}

/// What `up` would say of a collector that runs.
fn up_of(snapshot: &CollectorSnapshot) -> Up {
    let streams = snapshot.streams.iter().map(|stream| UpStream {
        name: stream.name.clone(),
        host: live::sender_host(snapshot.target.as_deref().map(host_of), &stream.bind),
        remote_port: stream.remote_port,
        socket: stream.socket.clone(),
        udp: stream.datagrams_lost.is_some(),
        bind: stream.bind.clone(),
        framing: serde_json::from_value(stream.framing.clone().into()).unwrap_or_default(),
        keyword: !stream.keywords.is_empty(),
        reach: stream.reach,
        finding: stream.finding.clone(),
        out: stream.outputs.first().map(|output| output.path.clone()).unwrap_or_default(),
    });
    Up { name: snapshot.name.clone(), pid: snapshot.pid, target: snapshot.target.clone(), streams: streams.collect() }
}

/// How the one before ended; lost bytes are an error.
pub fn tell(report: &DownReport, printer: Printer) -> Result<()> {
    if let Some(gap) = report.gap.filter(|gap| gap.senders_cut > 0) {
        printer.note(&format!(
            "{} had to be cut; `reclog audit {}` says who",
            words::plural(gap.senders_cut, "sender"),
            report.name
        ));
    }
    for note in &report.notes {
        printer.note(&format!("note: {}", escape_str(note)));
    }
    down::settle(report)
}

/// Refuses a name that a running collector has, before anybody is asked anything.
///
/// # Errors
/// Failed: what it is, and how it is replaced.
pub async fn check_free(name: &str, paths: &Paths) -> Result<()> {
    let Some(found) = client::find(paths).into_iter().find(|found| found.name == name) else { return Ok(()) };
    // Whatever else is wrong with it is found out by whoever wants its lock.
    let Ok(Client { hello, .. }) = Client::connect(&found.socket).await else { return Ok(()) };
    let mut error = Error::failed(format!("a collector \"{name}\" is already running (pid {})", hello.pid));
    if hello.is_older() {
        error.message.push_str(&format!(", and it is older: reclog {}", hello.reclog));
    }
    if hello.minor >= 1 {
        error = error.hint(format!(
            "`reclog restart {name}` starts it anew with its options, and keeps senders waiting for a moment only"
        ));
    }
    Err(error.hint(format!("stop it with `reclog down {name}`, or give this one another name with --name")))
}
