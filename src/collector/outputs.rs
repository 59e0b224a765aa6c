//! The outputs of a plan: opened before anything else, undone when nothing comes of it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::keywords::Keyring;
use super::lock::{self, Holder};
use crate::archive::catalog::{self, Source};
use crate::audit::Trail;
use crate::control::Rotated;
use crate::error::{Error, Result};
use crate::intake::Intake;
use crate::ledger::StreamLedger;
use crate::paths::Paths;
use crate::plan::{Format, Output, Plan, StreamPlan, To};
use crate::sink::{self, Archived, Clerk, OpenFailure, Opened, Report, Rescue, Sink, SinkHandle};

/// A command that was started for nothing, and reads to the end of its input, has ended by then.
const COMMANDS_END: Duration = Duration::from_secs(1);

/// Every stream's door, queue and writer.
#[derive(Debug)]
pub struct Outputs {
    intakes: Vec<Intake>,
    sinks: Vec<Sink>,
    wakers: Vec<JoinHandle<()>>,
    /// What senders have to say first.
    keyring: Keyring,
    /// Files that were not there before.
    created: Vec<PathBuf>,
}

impl Outputs {
    /// Opens every file of `plan`, prepares what is none, and starts the writers.
    ///
    /// # Errors
    /// Names the file, and the collector that has it if that is the reason. Files made on the way are removed.
    pub fn open(plan: &Plan, paths: &Paths, trail: &Trail) -> Result<Self> {
        let mut opened = Vec::new();
        for stream in &plan.streams {
            for output in stream.outputs() {
                match open(output, &stream.name, stream.has_lines(), paths) {
                    Ok(open) => opened.push(open),
                    Err(failure) => {
                        // First: it looks for the file that is locked.
                        let error = match failure {
                            OpenFailure::Other(error) => error,
                            OpenFailure::Locked => locked(plan, output, paths),
                        };
                        opened.iter().filter_map(Opened::created).for_each(remove_empty);
                        return Err(error);
                    }
                }
            }
        }
        let created = opened.iter().filter_map(Opened::created).map(Path::to_owned).collect();
        let mut all =
            Self { intakes: Vec::new(), sinks: Vec::new(), wakers: Vec::new(), keyring: Keyring::default(), created };
        let mut opened = opened.into_iter();
        let clerk = clerk(plan, paths);
        for stream in &plan.streams {
            let ledger = StreamLedger::new();
            let options = sink::Options { clerk: clerk.clone(), ..sink::Options::of(stream, trail.clone()) };
            let mut outputs = opened.by_ref().take(1 + stream.also.len());
            let first = outputs.next().expect("each output is open");
            let sink = Sink::start_all(first, outputs.collect(), ledger.clone(), &options)
                .map_err(|e| Error::failed(format!("cannot start the writer of {}: {e}", stream.out)))?;
            all.wakers.push(tokio::spawn(sink.handle().run_waker()));
            all.intakes.push(Intake::new(stream.clone(), ledger, sink.handle(), trail.clone()));
            all.sinks.push(sink);
        }
        Ok(all)
    }

    /// The counters, in the order of the plan.
    #[must_use]
    pub fn ledgers(&self) -> Vec<StreamLedger> {
        self.intakes.iter().map(|i| i.ledger().clone()).collect()
    }

    /// The doors, in the order of the plan.
    #[must_use]
    pub fn intakes(&self) -> &[Intake] {
        &self.intakes
    }

    /// The entrances of the queues, in the order of the plan.
    #[must_use]
    pub fn handles(&self) -> Vec<SinkHandle> {
        self.sinks.iter().map(Sink::handle).collect()
    }

    /// Waits until an output is over for good: nobody reads standard output any more. The sentence that says so.
    pub async fn broken(&self) -> String {
        match self.intakes.iter().position(|intake| *intake.plan().out.to() == To::Stdout) {
            Some(index) => self.sinks[index].handle().broken().await,
            None => std::future::pending().await,
        }
    }

    /// Has `keyring` read again whenever outputs are [reopened](Self::reopen).
    pub fn keep(&mut self, keyring: Keyring) {
        self.keyring = keyring;
    }

    /// Every writer looks what stands under its file's name, and goes on there; keywords are read again. What is returned ends
    /// when the keywords are.
    pub fn reopen(&self) -> oneshot::Receiver<()> {
        self.sinks.iter().for_each(|s| s.handle().reopen());
        self.keyring.reload()
    }

    /// Puts every file away, all at the same time. With what was done comes the first thing that went wrong: which file, and
    /// why.
    pub fn rotate(&self) -> impl Future<Output = (Vec<Rotated>, Option<Error>)> + Send + use<> {
        let mut all = Vec::new();
        for (intake, sink) in self.intakes.iter().zip(&self.sinks) {
            let plan = intake.plan();
            let outputs = plan.outputs().cloned().zip(sink.handle().each());
            all.extend(outputs.filter(|(out, _)| out.is_on_disk()).map(|(out, sink)| (plan.name.clone(), out, sink)));
        }
        async move {
            let (mut answers, mut error) = (Vec::new(), None);
            let begin = |(stream, out, sink): (_, _, SinkHandle)| {
                (stream, out, tokio::spawn(async move { sink.rotate().await }))
            };
            let turns: Vec<_> = all.into_iter().map(begin).collect();
            for (stream, out, turn) in turns {
                let turn = turn.await.unwrap_or_else(|_| Err("reclog failed".into()));
                let turned = match turn {
                    Ok(turned) => turned,
                    Err(why) => {
                        error.get_or_insert_with(|| Error::failed(format!("cannot rotate {out}: {why}")));
                        continue;
                    }
                };
                if turned.is_empty() {
                    let output = out.name().to_owned();
                    answers.push(Rotated { stream: stream.clone(), output, archive: None, bytes: 0 });
                }
                answers.extend(turned.into_iter().map(|Archived { file, archive, bytes }| Rotated {
                    stream: stream.clone(),
                    output: file,
                    archive: Some(archive),
                    bytes,
                }));
            }
            (answers, error)
        }
    }

    /// Frees whoever waits for room; what is queued is still written.
    pub fn release(&self) {
        self.sinks.iter().for_each(|s| s.handle().release());
    }

    /// Writes what is queued and ends the writers, all at the same time. When `give_up` is cancelled, those that have not
    /// ended give up; what they leave goes to `rescue`.
    pub async fn finish(self, give_up: &CancellationToken, rescue: Option<&Rescue>) -> Vec<Report> {
        let mut ends = JoinSet::new();
        for (sink, intake) in self.sinks.into_iter().zip(&self.intakes) {
            // Whoever reads standard output no more wants no rest of it either.
            let rescue = rescue.filter(|_| *intake.plan().out.to() != To::Stdout);
            ends.spawn(sink.finish_or_rescue(give_up.clone(), rescue.cloned()));
        }
        let reports = ends.join_all().await;
        self.wakers.iter().for_each(JoinHandle::abort);
        reports
    }

    /// Nothing came of it: the writers end, and files that were made for it and are empty go.
    pub async fn undo(mut self) {
        let created = std::mem::take(&mut self.created);
        // Nothing was queued: there is nothing to wait for but the end of commands.
        let give_up = CancellationToken::new();
        let patience = tokio::spawn({
            let give_up = give_up.clone();
            async move {
                tokio::time::sleep(COMMANDS_END).await;
                give_up.cancel();
            }
        });
        self.finish(&give_up, None).await;
        patience.abort();
        for file in &created {
            take_back(file);
        }
    }
}

/// Keeps the catalogs of `plan`, and writes down where its streams go. Nobody waits for it, and nothing fails without it.
fn clerk(plan: &Plan, paths: &Paths) -> Clerk {
    let folder = paths.collector_state(&plan.name).join(catalog::FOLDER);
    let sources: Vec<_> = plan.streams.iter().filter_map(source).collect();
    let made = crate::paths::ensure_private_dir(&folder).map_err(|e| e.message);
    let written = made.and_then(|()| catalog::write_sources(&folder, &sources).map_err(|e| e.to_string()));
    if let Err(why) = written {
        tracing::warn!("cannot write down the streams in {}: {why}", folder.display());
    }
    Clerk::start(&folder).unwrap_or_else(|e| {
        tracing::warn!("no catalogs are kept: {e}");
        Clerk::nowhere()
    })
}

/// What is found of `stream` on disk.
fn source(stream: &StreamPlan) -> Option<Source> {
    let output = stream.outputs().find(|output| output.is_on_disk())?;
    let prefix = match &stream.format {
        Format::Prefix(template) => Some(template.as_str().to_owned()),
        Format::Raw | Format::Json => None,
    };
    let (stream, format) = (stream.name.clone(), stream.format.as_str().to_owned());
    Some(Source { stream, output: output.name().to_owned(), format, prefix })
}

fn open(output: &Output, stream: &str, lines: bool, paths: &Paths) -> std::result::Result<Opened, OpenFailure> {
    // The files of a template have locks of their own; who will have them all is told before the first record.
    if let To::Files(template) = output.to()
        && let Some(holder) = lock::other_with(paths, output.name())
    {
        return Err(OpenFailure::Other(taken(&format!("the files {template} are"), &holder)));
    }
    Opened::open(output, stream, lines)
}

/// Removes a file that is empty; whoever calls has its lock.
fn remove_empty(file: &Path) {
    if std::fs::metadata(file).is_ok_and(|m| m.len() == 0) {
        let _ = std::fs::remove_file(file);
    }
}

/// As [`remove_empty`], unless another collector has taken it meanwhile.
fn take_back(file: &Path) {
    let Ok(held) = File::open(file) else { return };
    if flock(&held, FlockOperation::NonBlockingLockExclusive) != Err(Errno::WOULDBLOCK) {
        remove_empty(file);
    }
}

/// `what` is somebody else's.
fn taken(what: &str, holder: &Holder) -> Error {
    let Holder { name, pid, .. } = holder;
    Error::failed(format!("{what} written by the collector \"{name}\" (pid {pid})"))
        .hint(format!("stop it with `reclog down {name}`, or choose another --out"))
}

fn locked(plan: &Plan, out: &Output, paths: &Paths) -> Error {
    match lock::writer_of(paths, out.name()) {
        // Our own lock names the file, too: then it is another output of this plan, under another name.
        Some(holder) if holder.pid == std::process::id() => {
            Error::usage(format!("two outputs of \"{}\" are the same file {out}", plan.name))
                .hint("give each stream an `out` of its own, and each output a file of its own")
        }
        Some(holder) => taken(&format!("the file {out} is"), &holder),
        None => Error::failed(format!("another program holds a lock on {out}"))
            .hint(format!("`fuser -v {out}` shows which")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::OutputFile;

    #[test]
    fn an_empty_file_is_taken_back_unless_another_collector_has_it_now() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let other = OutputFile::open(&path).unwrap();
        take_back(&path);
        assert!(path.exists(), "it is written by another one");
        drop(other);
        take_back(&path);
        assert!(!path.exists());
    }
}
