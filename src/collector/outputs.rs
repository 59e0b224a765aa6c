//! The outputs of a plan: opened before anything else, undone when nothing comes of it.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::lock::{self, Holder};
use crate::audit::Trail;
use crate::control::Rotated;
use crate::error::{Error, Result};
use crate::intake::Intake;
use crate::ledger::StreamLedger;
use crate::paths::Paths;
use crate::plan::{Plan, StreamPlan, To};
use crate::sink::{self, Archived, Files, OpenFailure, OutputFile, Report, Rescue, Sink, SinkHandle};

/// Every stream's door, queue and writer.
#[derive(Debug)]
pub struct Outputs {
    intakes: Vec<Intake>,
    sinks: Vec<Sink>,
    wakers: Vec<JoinHandle<()>>,
    /// Files that were not there before.
    created: Vec<PathBuf>,
}

impl Outputs {
    /// Opens every file of `plan` and starts the writers.
    ///
    /// # Errors
    /// Names the file, and the collector that has it if that is the reason. Files made on the way are removed.
    pub fn open(plan: &Plan, paths: &Paths, trail: &Trail) -> Result<Self> {
        let mut opened: Vec<Opened> = Vec::new();
        for stream in &plan.streams {
            match open(stream, paths) {
                Ok(output) => opened.push(output),
                Err(failure) => {
                    opened.iter().filter_map(Opened::created).for_each(remove_empty);
                    return Err(match failure {
                        OpenFailure::Other(error) => error,
                        OpenFailure::Locked => locked(plan, stream, paths),
                    });
                }
            }
        }
        let created = opened.iter().filter_map(Opened::created).map(Path::to_owned).collect();
        let mut all = Self { intakes: Vec::new(), sinks: Vec::new(), wakers: Vec::new(), created };
        for (stream, output) in plan.streams.iter().zip(opened) {
            let ledger = StreamLedger::new();
            let options = sink::Options::of(stream, trail.clone());
            let started = match output {
                Opened::File(file) => Sink::start(*file, ledger.clone(), options),
                Opened::Files(files) => Sink::start_files(files, ledger.clone(), options),
            };
            let sink = started.map_err(|e| Error::failed(format!("cannot start the writer of {}: {e}", stream.out)))?;
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

    /// Every writer looks what stands under its file's name, and goes on there.
    pub fn reopen(&self) {
        self.sinks.iter().for_each(|s| s.handle().reopen());
    }

    /// Puts every file away, all at the same time.
    ///
    /// # Errors
    /// The future's: which file, and why.
    pub fn rotate(&self) -> impl Future<Output = Result<Vec<Rotated>>> + Send + use<> {
        let all: Vec<_> = self.intakes.iter().map(|i| i.plan().clone()).zip(self.handles()).collect();
        async move {
            let mut answers = Vec::new();
            let turns: Vec<_> =
                all.into_iter().map(|(plan, sink)| (plan, tokio::spawn(async move { sink.rotate().await }))).collect();
            for (plan, turn) in turns {
                let out = &plan.out;
                let turn = turn.await.unwrap_or_else(|_| Err("reclog failed".into()));
                let turned = turn.map_err(|why| Error::failed(format!("cannot rotate {out}: {why}")))?;
                if turned.is_empty() {
                    let output = plan.out.name().to_owned();
                    answers.push(Rotated { stream: plan.name.clone(), output, archive: None, bytes: 0 });
                }
                answers.extend(turned.into_iter().map(|Archived { file, archive, bytes }| Rotated {
                    stream: plan.name.clone(),
                    output: file,
                    archive: Some(archive),
                    bytes,
                }));
            }
            Ok(answers)
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
        for sink in self.sinks {
            ends.spawn(sink.finish_or_rescue(give_up.clone(), rescue.cloned()));
        }
        let reports = ends.join_all().await;
        self.wakers.iter().for_each(JoinHandle::abort);
        reports
    }

    /// Nothing came of it: the writers end, and files that were made for it and are empty go.
    pub async fn undo(mut self) {
        let created = std::mem::take(&mut self.created);
        // Nothing was queued: there is nothing to wait for.
        self.finish(&CancellationToken::new(), None).await;
        for file in &created {
            take_back(file);
        }
    }
}

/// An output, before its writer.
enum Opened {
    File(Box<OutputFile>),
    Files(Files),
}

impl Opened {
    /// What was not there before.
    fn created(&self) -> Option<&Path> {
        match self {
            Self::File(file) => file.was_created().then(|| file.place()),
            Self::Files(_) => None,
        }
    }
}

fn open(stream: &StreamPlan, paths: &Paths) -> std::result::Result<Opened, OpenFailure> {
    match stream.out.to() {
        To::Files(template) => {
            // Its files have locks of their own; who will have them all is told before the first record.
            if let Some(holder) = lock::other_with(paths, stream.out.name()) {
                return Err(OpenFailure::Other(taken(&format!("the files {template} are"), &holder)));
            }
            Files::of(template, &stream.name).map(Opened::Files).map_err(OpenFailure::Other)
        }
        _ => OutputFile::open(stream.out.name()).map(|file| Opened::File(Box::new(file))),
    }
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

fn locked(plan: &Plan, stream: &StreamPlan, paths: &Paths) -> Error {
    let out = &stream.out;
    match lock::writer_of(paths, stream.out.name()) {
        // Our own lock names the file, too: then it is another stream of this plan, under another name.
        Some(holder) if holder.pid == std::process::id() => {
            Error::usage(format!("two streams of \"{}\" write the same file {out}", plan.name))
                .hint("give each stream an `out` of its own")
        }
        Some(holder) => taken(&format!("the file {out} is"), &holder),
        None => Error::failed(format!("another program holds a lock on {out}"))
            .hint(format!("`fuser -v {out}` shows which")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
