//! The child's side of a start: a session of its own, the plan from standard input, events to standard output.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::process::{Signal, getpgrp, getpid, kill_process_group};
use tokio::net::unix::pipe;

use super::events::{Event, Launch};
use super::questions::{KEYWORD, LONGEST_ANSWER, LONGEST_PLAN, Lines, Starter, Word, decode};
use super::{Options, Report, log};
use crate::error::{Error, Kind, Result, io_reason};
use crate::paths::Paths;
use crate::plan::Source;
use crate::ssh::Answer;

/// Runs the collector whose [`Launch`] stands on standard input.
pub async fn main() -> ExitCode {
    // Its own session: a terminal that closes, or a Ctrl-C in it, is no business of the collector.
    let _ = rustix::process::setsid();
    let gone_ahead = AtomicBool::new(false);
    let report: Report = Arc::new(move |event| {
        say(&Word::Event(event.clone()));
        match event {
            Event::Handover { .. } => gone_ahead.store(true, Ordering::Relaxed),
            Event::Up(_) => detach(),
            // One that has taken over goes on alone, whoever started it.
            Event::NotYet { .. } if gone_ahead.load(Ordering::Relaxed) => detach(),
            _ => {}
        }
    });
    match start(&report).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            report(&Event::from(&error));
            if error.kind == Kind::Interrupted && getpgrp() == getpid() {
                // A command of the ssh configuration (`Match exec`) that still runs does so for nobody. This signal is
                // taken here, and harms us no more.
                let _ = kill_process_group(getpid(), Signal::TERM);
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}

async fn start(report: &Report) -> Result<()> {
    let internal = |e: io::Error| Error::failed(format!("cannot read the plan: {}", io_reason(&e)));
    // Not for a ProxyCommand to read: answers come this way.
    let input = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).map_err(|e| internal(e.into()))?;
    let mut lines = Lines::new(pipe::Receiver::from_owned_fd(input).map_err(internal)?);
    let line = lines.next(LONGEST_PLAN).await.map_err(internal)?.unwrap_or_default();
    let Launch { plan, verbose, origin, replaces } = serde_json::from_slice(&line).map_err(|e| {
        Error::usage(format!("this is the background half of `reclog up`; it is not started by hand ({e})"))
    })?;
    let waits = plan.streams.iter().flat_map(|stream| &stream.keywords).any(|keyword| keyword.from == Source::Given);
    let mut keyword = None;
    if waits && let Some(line) = lines.next(LONGEST_ANSWER).await.map_err(internal)? {
        keyword = match decode(&line) {
            Some((KEYWORD, Answer::Text(word))) => Some(word),
            _ => None,
        };
    }
    let paths = Paths::discover()?;
    let starter = Arc::new(Starter::new(say));
    let abandoned = {
        let starter = Arc::clone(&starter);
        Box::pin(async move { starter.listen(lines).await })
    };
    let options = Options {
        report: Arc::clone(report),
        person: starter,
        foreground: false,
        keyword,
        origin,
        replaces,
        gap: None,
        anew: None,
        open_log: Box::new(move |file| {
            // A panic is told where a person will look; the terminal is long gone.
            std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
            log::to_file(file, verbose)
        }),
    };
    super::run(plan, &paths, options, abandoned).await.map(drop)
}

/// A line for whoever started this.
fn say(word: &Word) {
    let mut line = serde_json::to_vec(word).expect("plain data");
    line.push(b'\n');
    // The parent may be gone; the end of standard input tells so.
    let _ = io::stdout().lock().write_all(&line);
}

/// Lets go of the pipes and the terminal: whoever waits for their end need wait no longer. No mounted folder is kept busy
/// either; every path in use is absolute by now.
fn detach() {
    let _ = std::env::set_current_dir("/");
    if let Ok(null) = File::options().read(true).write(true).open(Path::new("/dev/null")) {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
}
