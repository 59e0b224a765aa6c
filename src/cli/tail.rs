//! `reclog tail`

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use regex::bytes::Regex;

use super::args::TailArgs;
use super::pick;
use super::printer::Printer;
use super::words;
use crate::collector::lock;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape;
use crate::history::{Follower, Many, POLL_INTERVAL, last_records};
use crate::ledger::{OutputSnapshot, StreamSnapshot};
use crate::paths::Paths;
use crate::plan::{Output, Template, To};

/// How often `--follow` looks whether the collector still runs.
const LOOK: Duration = Duration::from_secs(1);
/// After so many looks in vain it ends; one that is restarted is back before.
const GONE: u32 = 3;

/// Where records come from.
enum Source {
    File(Follower),
    /// Of all files of a template, and when others were looked for last.
    Files(Many, Instant),
}

impl Source {
    /// What has arrived; of many files with the names.
    fn poll(&mut self) -> std::io::Result<Vec<(Option<PathBuf>, Vec<u8>)>> {
        match self {
            Self::File(follower) => {
                let arrived = follower.poll()?;
                Ok(if arrived.is_empty() { Vec::new() } else { vec![(None, arrived)] })
            }
            Self::Files(many, looked) => {
                if looked.elapsed() >= LOOK {
                    *looked = Instant::now();
                    many.look()?;
                }
                Ok(many.poll()?.into_iter().map(|(path, arrived)| (Some(path), arrived)).collect())
            }
        }
    }
}

/// How records are shown.
struct View {
    filter: Option<Regex>,
    raw: bool,
    /// Stands before a record when several streams are shown.
    labels: Vec<String>,
    /// Of each stream that has many files, the one that was shown last.
    files: RefCell<Vec<Option<PathBuf>>>,
    printer: Printer,
}

/// Shows the last records of the streams, and those that follow.
pub async fn run(args: &TailArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let filter = args.regex.as_deref().map(parse).transpose()?;
    let (collector, streams) = pick::streams(args.name.as_deref(), paths, printer).await?;
    let labels = labels(&streams);
    let files = RefCell::new(vec![None; streams.len()]);
    let view = View { filter, raw: args.raw, labels, files, printer };
    let mut followers = Vec::new();
    let (with, without): (Vec<_>, Vec<_>) = streams.iter().partition(|stream| on_disk(stream).is_some());
    for stream in &without {
        let nothing = format!("stream {} writes to no file", stream.name);
        if with.is_empty() {
            return Err(Error::failed(nothing).hint("give it a file as a second output: `--out FILE`"));
        }
        printer.note(&nothing);
    }
    for (index, stream) in streams.iter().enumerate() {
        let Some(output) = on_disk(stream) else { continue };
        let failed =
            |e: std::io::Error| Error::failed(format!("cannot read {}: {}", words::path(&output.path), io_reason(&e)));
        if let Some(template) = template(&output.path) {
            let (shown, many) = Many::after_last(&template, args.lines, view.filter.as_ref()).map_err(failed)?;
            for (path, lines) in shown {
                lines.iter().try_for_each(|line| view.show_of(index, Some(&path), line))?;
            }
            followers.push((index, Source::Files(many, Instant::now())));
            continue;
        }
        let lines = if args.follow {
            let (lines, follower) =
                Follower::after_last(&output.path, args.lines, view.filter.as_ref()).map_err(failed)?;
            followers.push((index, Source::File(follower)));
            lines
        } else {
            last_records(&output.path, args.lines, view.filter.as_ref()).map_err(failed)?
        };
        for line in lines {
            view.show(index, &line)?;
        }
    }
    if !args.follow {
        return Ok(());
    }
    let follow = async {
        let (mut looked, mut gone) = (Instant::now(), 0);
        loop {
            let mut quiet = true;
            for (index, follower) in &mut followers {
                let arrived =
                    follower.poll().map_err(|e| Error::failed(format!("cannot go on reading: {}", io_reason(&e))))?;
                quiet &= arrived.is_empty();
                for (path, arrived) in arrived {
                    for line in arrived.split_inclusive(|b| *b == b'\n') {
                        let line = line.strip_suffix(b"\n").unwrap_or(line);
                        if view.filter.as_ref().is_none_or(|f| f.is_match(line)) {
                            view.show_of(*index, path.as_deref(), line)?;
                        }
                    }
                }
            }
            if quiet && gone >= GONE {
                printer.note(&format!("{} is down", collector.name));
                return Ok(());
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                gone = if lock::holder(paths, &collector.name).is_some() { 0 } else { gone + 1 };
            }
            if quiet {
                tokio::time::sleep(POLL_INTERVAL).await;
            } else {
                tokio::task::yield_now().await;
            }
        }
    };
    tokio::select! {
        result = follow => result,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

/// The first output that is on disk.
fn on_disk(stream: &StreamSnapshot) -> Option<&OutputSnapshot> {
    stream.outputs.iter().find(|output| Output::parse(&output.path).map_or(true, |output| output.is_on_disk()))
}

/// The template that an output is, if it is one.
fn template(path: &Path) -> Option<Template> {
    match Output::parse(path).ok()?.to() {
        To::Files(template) => Some(template.clone()),
        _ => None,
    }
}

fn parse(pattern: &str) -> Result<Regex> {
    Regex::new(pattern).map_err(|e| {
        Error::usage(format!("cannot use -e {}: {e}", crate::escape::escape_str(pattern)))
            .hint("the syntax is that of https://docs.rs/regex; put a backslash before a character to mean it")
    })
}

fn labels(streams: &[StreamSnapshot]) -> Vec<String> {
    if streams.len() < 2 {
        return vec![String::new(); streams.len()];
    }
    let width = streams.iter().map(|s| s.name.len()).max().unwrap_or(0);
    streams.iter().map(|s| format!("{:width$} | ", s.name)).collect()
}

impl View {
    /// As [`show`](Self::show), of one of many files: a line with its name stands before what is from another one than what
    /// was before it, as tail(1) has it.
    fn show_of(&self, stream: usize, path: Option<&Path>, record: &[u8]) -> Result<()> {
        let last = &mut self.files.borrow_mut()[stream];
        if let Some(path) = path.filter(|path| last.as_deref() != Some(path)) {
            let gap = if last.is_some() { "\n" } else { "" };
            self.printer.bytes(format!("{gap}==> {} <==\n", words::path(path)).as_bytes())?;
            *last = Some(path.to_owned());
        }
        self.show(stream, record)
    }

    /// Shows one record, without its line end.
    fn show(&self, stream: usize, record: &[u8]) -> Result<()> {
        let mut line = self.labels[stream].clone().into_bytes();
        if self.raw {
            line.extend_from_slice(record);
        } else {
            // A CR at the end belongs to the line end of some senders; shown it would only be noise.
            line.extend_from_slice(escape(record.strip_suffix(b"\r").unwrap_or(record)).as_bytes());
        }
        line.push(b'\n');
        self.printer.bytes(&line)
    }
}
