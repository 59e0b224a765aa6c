//! Records become bytes on disk: one writer thread an output, behind a queue that is bounded in bytes.
//!
//! `std::fs` on a thread of its own, because `tokio::fs` reports a write as done before it is, and a ledger that counts
//! such writes would lie.

mod batch;
mod file;
mod queue;
mod sync;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

pub use batch::Batch;
pub use file::{OpenFailure, OutputFile};
use queue::Queue;

use crate::ledger::StreamLedger;
use crate::plan::Sync;

/// The reason in the ledger for bytes that a given-up output never took.
pub const LOST: &str = "lost";

/// One output: the queue in front of it and the thread behind.
#[derive(Debug)]
pub struct Sink {
    handle: SinkHandle,
    path: PathBuf,
    ledger: StreamLedger,
    done: oneshot::Receiver<Option<String>>,
}

/// What intake holds: the entrance of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    queue: Arc<Queue>,
}

/// How an output is written.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// When bytes are forced to the disk.
    pub sync: Sync,
    /// Begin on a line of its own if the file ends in the middle of one. The line end is written with the first record.
    pub fresh_line: bool,
}

/// How an output ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Payload bytes that did not get into the file.
    pub lost: u64,
    /// Why, and other trouble at the end, in sentences.
    pub trouble: Option<String>,
}

impl Sink {
    /// Starts the writer thread of `file`. Bytes are accounted for in `ledger`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(file: OutputFile, ledger: StreamLedger, options: Options) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::default());
        let path = file.path().to_owned();
        let (trouble, done) = oneshot::channel();
        let handle = SinkHandle { queue: Arc::clone(&queue) };
        writer::Writer::new(file, queue, ledger.clone(), options)?.spawn(trouble)?;
        Ok(Self { handle, path, ledger, done })
    }

    /// The entrance for intake.
    #[must_use]
    pub fn handle(&self) -> SinkHandle {
        self.handle.clone()
    }

    /// The output file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes what is queued, forces it to the disk and ends the thread. After `patience` the rest is given up; it is
    /// discarded as [`LOST`] in the ledger. No sender may be in any more.
    pub async fn finish(mut self, patience: Duration) -> Report {
        self.handle.queue.close();
        let trouble = if let Ok(done) = tokio::time::timeout(patience, &mut self.done).await {
            done.unwrap_or_default()
        } else {
            self.handle.queue.abandon();
            // The writer looks at the flag between two system calls; one that hangs (a dead network disk) is not
            // waited for.
            let hangs = || Some(format!("{} does not answer", self.path.display()));
            tokio::time::timeout(Duration::from_secs(1), &mut self.done)
                .await
                .map_or_else(|_| hangs(), Result::unwrap_or_default)
        };
        let lost = self.ledger.counts().ledger.pending;
        if lost > 0 {
            self.ledger.discarded(LOST, lost);
        }
        Report { lost, trouble }
    }
}

impl SinkHandle {
    /// Lets `fill` append records to the queue. The writer is woken when the current burst of work is over (see
    /// [`SinkHandle::run_waker`]) or when there is enough for a write that is worth it.
    pub fn push<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> T {
        self.queue.push(fill)
    }

    /// Waits until the queue takes more bytes; returns at once while there is room. This is the brake of the whole
    /// path: whoever reads from the network awaits it after every push.
    pub async fn room(&self) {
        self.queue.room().await;
    }

    /// Whether [`room`](Self::room) would return at once.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.queue.has_room()
    }

    /// Whether the output was given up: what is pushed now is lost.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.queue.is_abandoned()
    }

    /// Ends the wait of everyone in [`room`](Self::room), and the writer's tries. Used when a drain is over.
    pub fn abandon(&self) {
        self.queue.abandon();
    }

    /// Wakes the writer once for all pushes of one turn of the event loop; runs until the sink is closed. Without it
    /// a record would wait until more follow, with one wake-up a push the thread switches would cost more than the
    /// writing.
    pub async fn run_waker(self) {
        self.queue.run_waker().await;
    }
}
