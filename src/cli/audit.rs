//! `reclog audit`

use std::collections::VecDeque;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};
use serde_json::{Map, Value};

use super::args::AuditArgs;
use super::printer::Printer;
use super::{since, words};
use crate::audit::read::{Brief, Reader, lines};
use crate::audit::{Entry, Event, FILE, WEB_FILE};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::is_name;
use crate::profile::did_you_mean;

/// How often `--follow` looks: soon enough to feel immediate, and a look is two calls.
const LOOK: Duration = Duration::from_millis(100);
/// What `--follow` shows of the past.
const RECENT: usize = 10;
/// Bytes that are printed at once.
const PRINT: usize = 64 * 1024;

/// Shows the trail of one collector.
pub async fn run(args: &AuditArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let now = Zoned::now();
    let since = args.since.as_deref().map(|text| since::parse(text, &now)).transpose()?;
    let (name, stream) = match args.name.as_deref().and_then(|name| name.split_once('/')) {
        Some((name, stream)) => (Some(name), Some(stream.to_owned())),
        None => (args.name.as_deref(), None),
    };
    let path = if args.web { of_web(paths)? } else { choose(name, paths)?.join(FILE) };
    let failed = |e: std::io::Error| Error::failed(format!("cannot read {}: {}", words::path(&path), io_reason(&e)));

    let last = args.lines.or((args.follow && since.is_none()).then_some(RECENT));
    let looked_at = args.name.clone().filter(|_| args.web);
    let stream = stream.filter(|_| !args.web);
    let zone = now.time_zone().clone();
    let chosen = Chosen { since, stream, looked_at, events: &args.event, json: args.json, zone };
    let mut reader = Reader::open(&path).map_err(failed)?;
    let mut kept = Kept { last, lines: VecDeque::new(), text: Vec::new(), printer };
    let mut torn = 0;
    loop {
        let some = reader.poll().map_err(failed)?;
        if some.is_empty() {
            break;
        }
        torn += chosen.take(&some, |line| kept.add(line))?;
    }
    if !args.follow {
        torn += chosen.take(&reader.rest(), |line| kept.add(line))?;
        kept.print()?;
        note(torn, printer);
        return Ok(());
    }
    kept.print()?;
    note(torn, printer);
    let follow = async {
        loop {
            // Restarts and rotations are no end: it goes on until somebody has seen enough.
            let some = reader.poll().map_err(failed)?;
            if some.is_empty() {
                tokio::time::sleep(LOOK).await;
                continue;
            }
            let mut text = Vec::new();
            let torn = chosen.take(&some, |line| {
                text.extend_from_slice(&line);
                Ok(())
            })?;
            printer.bytes(&text)?;
            note(torn, printer);
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        result = follow => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn note(torn: u64, printer: Printer) {
    if torn > 0 {
        let (lines, are) = (words::plural(torn, "line"), if torn == 1 { "is" } else { "are" });
        printer.note(&format!("{lines} of the trail {are} left out, torn by a crash or a full disk"));
    }
}

/// The folder of the collector whose trail is meant: by its name, or the only one that has one.
fn choose(name: Option<&str>, paths: &Paths) -> Result<PathBuf> {
    let entries = paths.states().into_iter().flat_map(|state| std::fs::read_dir(state).into_iter().flatten().flatten());
    let found: Vec<(String, PathBuf)> = entries.filter_map(|entry| Some((has_trail(&entry)?, entry.path()))).collect();
    let mut all: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
    all.sort();
    let folder = |wanted: &str| found.iter().find(|(name, _)| name == wanted).map(|(_, folder)| folder.clone());
    let there = || format!("there are trails of: {}", all.join(", "));
    match (name, all.as_slice()) {
        (Some(name), _) if folder(name).is_some() => Ok(folder(name).unwrap_or_default()),
        (Some(name), _) => {
            let error = Error::not_running(format!("there is no audit trail of a collector \"{}\"", escape_str(name)));
            Err(match did_you_mean(name, all.iter().map(String::as_str)) {
                Some(hint) => error.hint(hint),
                None if all.is_empty() => error,
                None => error.hint(there()),
            })
        }
        (None, []) => Err(Error::not_running("there is no audit trail yet").hint("start a collector with `reclog up`")),
        (None, [one]) => Ok(folder(one).unwrap_or_default()),
        (None, _) => Err(Error::usage("several collectors have an audit trail: name one").hint(there())),
    }
}

/// The trail of `reclog web`.
fn of_web(paths: &Paths) -> Result<PathBuf> {
    let path = paths.state.join(WEB_FILE);
    if path.exists() || path.with_extension("jsonl.1").exists() {
        return Ok(path);
    }
    Err(Error::not_running("nobody has looked yet: there is no audit trail of `reclog web`")
        .hint("start it with `reclog web`"))
}

fn has_trail(entry: &std::fs::DirEntry) -> Option<String> {
    let name = entry.file_name().into_string().ok().filter(|name| is_name(name))?;
    let trail = |file: PathBuf| file.symlink_metadata().is_ok_and(|meta| meta.is_file());
    // For a moment of each rotation the newest is not there.
    (trail(entry.path().join(FILE)) || trail(entry.path().join(format!("{FILE}.1")))).then_some(name)
}

/// Which lines are shown, and how.
struct Chosen<'a> {
    since: Option<Timestamp>,
    /// Other streams are left out; what is about the collector as a whole stays.
    stream: Option<String>,
    /// Looks at nothing of this collector or stream are left out, and what is no look.
    looked_at: Option<String>,
    events: &'a [String],
    json: bool,
    zone: TimeZone,
}

impl Chosen<'_> {
    /// Gives those of `bytes` that are wanted to `show`, as they are printed. Returns how many were torn.
    fn take(&self, bytes: &[u8], mut show: impl FnMut(Vec<u8>) -> Result<()>) -> Result<u64> {
        let mut torn = 0;
        for line in lines(bytes) {
            let Some(brief) = Brief::of(line) else {
                torn += 1;
                continue;
            };
            let other = self.stream.is_some() && brief.stream.is_some() && brief.stream != self.stream;
            let unwanted = !self.events.is_empty() && !self.events.iter().any(|event| *event == brief.event);
            let elsewhere = self.looked_at.as_ref().is_some_and(|name| !is_look_at(line, name));
            if other || elsewhere || unwanted || self.since.is_some_and(|since| brief.ts < since) {
                continue;
            }
            let mut text = if self.json { line.to_vec() } else { self.text(line, &brief).into_bytes() };
            text.push(b'\n');
            show(text)?;
        }
        Ok(torn)
    }

    fn text(&self, line: &[u8], brief: &Brief) -> String {
        let time = brief.ts.to_zoned(self.zone.clone()).strftime("%F %T").to_string();
        let what = match serde_json::from_slice::<Entry>(line) {
            Ok(entry) => told(&entry.event, &self.zone),
            Err(_) => unknown(line),
        };
        format!("{time} {:<12} {}", escape_str(&brief.event), escape_str(&what))
    }
}

/// Whether somebody looked at the collector or stream `name`; whoever named none looked at all.
fn is_look_at(line: &[u8], name: &str) -> bool {
    let Ok(Entry { event: Event::Look { streams, .. }, .. }) = serde_json::from_slice(line) else { return false };
    let below = |stream: &String| stream == name || stream.strip_prefix(name).is_some_and(|rest| rest.starts_with('/'));
    streams.is_empty() || streams.iter().any(below)
}

/// An event of a later release: its fields as they are.
fn unknown(line: &[u8]) -> String {
    let mut fields: Map<String, Value> = serde_json::from_slice(line).unwrap_or_default();
    for field in ["ts", "seq", "event"] {
        fields.remove(field);
    }
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    fields.iter().map(|(name, value)| format!("{name}={}", text(value))).collect::<Vec<_>>().join(" ")
}

/// An event in words, not yet escaped.
fn told(event: &Event, zone: &TimeZone) -> String {
    let senders = |n: &u64| words::plural(*n, "sender");
    match event {
        Event::Start { reclog, pid, target, outputs } => {
            let outputs = outputs.iter().map(|output| output.display().to_string()).collect::<Vec<_>>().join(", ");
            let from = target.as_ref().map_or(String::new(), |target| format!("{target} "));
            format!("{from}→ {outputs} (pid {pid}, reclog {reclog})")
        }
        Event::Stop { stored, lost, why } => {
            let lost = if *lost > 0 { format!(", {} lost", words::plural(*lost, "byte")) } else { String::new() };
            let why = why.as_ref().map_or(String::new(), |why| format!(": {why}"));
            format!("{} stored{lost}{why}", words::plural(*stored, "byte"))
        }
        Event::Connect { target } => target.clone(),
        Event::Cut { why, senders_cut, .. } => format!("{why} ({} cut off)", senders(senders_cut)),
        Event::Reconnect { target, attempts } => format!("{target}, {}", words::plural(*attempts, "attempt")),
        Event::Forward { stream, socket: Some(path), .. } => format!("{stream} unix:{}", path.display()),
        Event::Forward { stream, bind, remote_port, .. } => format!("{stream} {}", words::place(bind, *remote_port)),
        Event::SenderOpen { stream, peer, connection, keyword } => {
            let keyword = keyword.as_ref().map_or(String::new(), |name| format!(" ({name})"));
            format!("{stream} #{connection} {peer}{keyword}")
        }
        Event::SenderClose { stream, peer, connection, bytes, records, why } => {
            let (bytes, records) = (words::bytes(*bytes), words::plural(*records, "record"));
            format!("{stream} #{connection} {peer} {why}, {bytes}, {records}")
        }
        Event::Reject { stream, peer, why, more: None } => format!("{stream} {peer} {why}"),
        Event::Reject { stream, peer, why, more: Some(more) } => {
            format!("{stream} {} more {why}, the last {peer}", words::count(*more))
        }
        Event::Stall { stream, output, why } => format!("{stream} {}: {why}", output.display()),
        Event::Resume { stream, output, after_ms } => {
            format!("{stream} {} after {}.{} s", output.display(), after_ms / 1000, after_ms % 1000 / 100)
        }
        Event::Rotate { stream, output, archive, bytes, why } => {
            let archive = archive.as_ref().map_or(String::new(), |archive| format!(" → {}", archive.display()));
            format!("{stream} {}{archive} ({}, {why})", output.display(), words::bytes(*bytes))
        }
        Event::Gap { from, to, senders_cut, bytes_at_most } => {
            let time = |ts: &Timestamp| ts.to_zoned(zone.clone()).strftime("%F %T").to_string();
            let (from, to, most) = (time(from), time(to), words::bytes(*bytes_at_most));
            format!("{from} to {to}: {} cut off, at most {most} missing", senders(senders_cut))
        }
        Event::Probe { stream, reach, why } if why.is_empty() => format!("{stream} {}", reach.as_str()),
        Event::Probe { stream, reach, why } => format!("{stream} {}: {why}", reach.as_str()),
        Event::WebStart { reclog, pid, listen } => format!("{listen} (pid {pid}, reclog {reclog})"),
        Event::WebStop { pid } => format!("pid {pid}"),
        Event::Login { user, from } | Event::Logout { user, from } => format!("{user} from {}", place_of(*from)),
        Event::LoginFailed { user, from, why } => format!("{user} from {}: {why}", place_of(*from)),
        Event::Look { user, from, what, streams, pattern } => {
            let who = user.as_deref().unwrap_or("the token");
            let streams = if streams.is_empty() { "all streams".to_owned() } else { streams.join(", ") };
            let pattern = pattern.as_ref().map_or(String::new(), |pattern| format!(" for {pattern}"));
            format!("{who} from {}: {what} of {streams}{pattern}", place_of(*from))
        }
        Event::Warn { message } => message.clone(),
    }
}

fn place_of(from: Option<IpAddr>) -> String {
    from.map_or_else(|| "a Unix socket".to_owned(), |ip| ip.to_string())
}

/// What is to be printed of the past: all of it as it comes, or the last few at the end.
struct Kept {
    last: Option<usize>,
    lines: VecDeque<Vec<u8>>,
    text: Vec<u8>,
    printer: Printer,
}

impl Kept {
    fn add(&mut self, line: Vec<u8>) -> Result<()> {
        match self.last {
            Some(0) => {}
            Some(last) => {
                if self.lines.len() == last {
                    self.lines.pop_front();
                }
                self.lines.push_back(line);
            }
            None => {
                self.text.extend(line);
                if self.text.len() >= PRINT {
                    self.printer.bytes(&std::mem::take(&mut self.text))?;
                }
            }
        }
        Ok(())
    }

    fn print(&mut self) -> Result<()> {
        let lines = std::mem::take(&mut self.lines);
        self.text.extend(lines.into_iter().flatten());
        self.printer.bytes(&std::mem::take(&mut self.text))
    }
}
