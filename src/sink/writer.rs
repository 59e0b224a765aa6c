//! The writer thread: takes batches, writes them whole, and keeps the ledger true.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::Options;
use super::batch::Batch;
use super::file::OutputFile;
use super::queue::{Queue, Work};
use super::sync::{self, Syncer};
use crate::error::io_reason;
use crate::ledger::{Stall, StreamLedger};
use crate::plan::Sync;

/// Memory that the buffer in rest keeps; a burst may have made it larger.
const KEPT_BUFFER: usize = 1024 * 1024;
/// The pause between two tries on a disk that refuses bytes. Space that is freed is noticed within this time.
const RETRY: Duration = Duration::from_millis(100);

/// One output's writer.
#[derive(Debug)]
pub struct Writer {
    file: OutputFile,
    /// The same open file, for fsync in this thread.
    handle: File,
    queue: Arc<Queue>,
    ledger: StreamLedger,
    mode: Sync,
    syncer: Option<Syncer>,
    /// A crash left half a record: the next one begins on a line of its own.
    mend: bool,
}

impl Writer {
    /// Prepares the writer; [`Writer::spawn`] starts it.
    pub fn new(file: OutputFile, queue: Arc<Queue>, ledger: StreamLedger, options: Options) -> io::Result<Self> {
        let Options { sync: mode, fresh_line, .. } = options;
        let mend = fresh_line && file.ends_in_mid_line();
        let handle = file.duplicate()?;
        let syncer = match mode {
            Sync::Interval => Some(Syncer::start(file.duplicate()?, ledger.clone())?),
            Sync::Never | Sync::Always => None,
        };
        ledger.output(file.size());
        Ok(Self { file, handle, queue, ledger, mode, syncer, mend })
    }

    /// Starts the thread; `trouble` hears what was wrong at the end.
    pub fn spawn(self, trouble: oneshot::Sender<Option<String>>) -> io::Result<()> {
        std::thread::Builder::new().name("reclog-writer".into()).spawn(move || {
            // Nobody listens any more when the process is about to end anyway.
            let _ = trouble.send(self.run());
        })?;
        Ok(())
    }

    fn run(mut self) -> Option<String> {
        let mut batch = Batch::default();
        while let Work::Batch = self.queue.take(&mut batch) {
            if !self.mend() || self.write(&batch, true) < batch.len() {
                break;
            }
            batch.recycle(KEPT_BUFFER);
            match self.mode {
                Sync::Always => sync::sync(&self.handle, &self.ledger),
                Sync::Interval => self.syncer.iter().for_each(Syncer::dirty),
                Sync::Never => {}
            }
        }
        self.syncer = None;
        let trouble = self.ledger.set_stall(None).map(|stall| stall.sentence);
        sync::sync(&self.handle, &self.ledger);
        trouble
    }

    /// Ends the half record that a crash left, once there is something to follow it. False: given up.
    fn mend(&mut self) -> bool {
        if self.mend {
            let mut end = Batch::default();
            end.added(b"\n");
            self.mend = self.write(&end, false) == 0;
        }
        !self.mend
    }

    /// Writes the whole batch, however long the disk takes; less only when the queue was abandoned. Returns the bytes
    /// that stand in the file. A refused or short write is continued exactly where it stopped: the half record first.
    /// `queued`: the batch came from the queue, which is told what is done.
    fn write(&mut self, batch: &Batch, queued: bool) -> usize {
        let mut at = 0;
        while at < batch.len() {
            match self.file.write(&batch.bytes()[at..]) {
                Ok(n) if n > 0 => {
                    let (payload, added) = batch.account(at, at + n);
                    self.ledger.stored(payload, added, self.file.size());
                    if queued {
                        self.queue.wrote(n);
                    }
                    at += n;
                    if self.ledger.set_stall(None).is_some() {
                        tracing::info!(path = %self.file.path().display(), "the output takes bytes again");
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                refused => {
                    let reason = match refused {
                        Err(e) => io_reason(&e),
                        Ok(_) => "the system wrote nothing".into(),
                    };
                    self.stall(&reason);
                    if self.queue.is_abandoned() {
                        break;
                    }
                    self.queue.pause(RETRY);
                }
            }
        }
        at
    }

    fn stall(&self, reason: &str) {
        let sentence = format!("cannot write to {}: {reason}; senders wait", self.file.path().display());
        let known = self.ledger.counts().stall;
        if known.as_ref().is_none_or(|s| s.sentence != sentence) {
            tracing::warn!("{sentence}");
            let since = known.map_or_else(Timestamp::now, |s| s.since);
            let _ = self.ledger.set_stall(Some(Stall { since, sentence }));
        }
    }
}
