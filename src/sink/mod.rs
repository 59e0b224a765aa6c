//! Records become bytes on disk: one writer thread an output, behind a queue that is bounded in bytes.
//!
//! `std::fs` on a thread of its own, because `tokio::fs` reports a write as done before it is, and a ledger that counts
//! such writes would lie.

mod batch;
mod file;
#[allow(dead_code, reason = "the writer is about to start it at its first rotation")]
mod keeper;
mod pack;
mod queue;
mod retention;
mod sync;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

pub use batch::Batch;
pub use file::{OpenFailure, OutputFile};
use queue::Queue;

use crate::audit::Trail;
use crate::ledger::StreamLedger;
use crate::plan::{Framing, Rotate, StreamPlan, Sync};

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
#[derive(Debug, Clone)]
pub struct Options {
    /// The stream, for the audit trail.
    pub stream: String,
    /// When bytes are forced to the disk.
    pub sync: Sync,
    /// Begin on a line of its own if the file ends in the middle of one. The line end is written with the first record.
    pub fresh_line: bool,
    /// When the file is put away.
    pub rotate: Rotate,
    /// Free bytes of the file system below which nothing is written.
    pub min_free: u64,
    /// Hears of stalls and rotations.
    pub trail: Trail,
}

impl Options {
    /// What `plan` says.
    #[must_use]
    pub fn of(plan: &StreamPlan, trail: Trail) -> Self {
        Self {
            stream: plan.name.clone(),
            sync: plan.sync,
            fresh_line: plan.framing == Framing::Lines,
            rotate: plan.rotate.clone(),
            min_free: plan.min_free,
            trail,
        }
    }
}

/// How an output ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Payload bytes that did not get into the file.
    pub lost: u64,
    /// Why, and other trouble, in sentences.
    pub trouble: Vec<String>,
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

    /// Writes what is queued, forces it to the disk and ends the thread. When `give_up` is cancelled the rest is given up;
    /// it is discarded as [`LOST`] in the ledger. No sender may be in any more.
    pub async fn finish(mut self, give_up: CancellationToken) -> Report {
        self.handle.queue.close();
        let trouble = tokio::select! {
            done = &mut self.done => done.unwrap_or_else(|_| Some(format!("the writer of {} died", self.path.display()))),
            () = give_up.cancelled() => {
                self.handle.queue.abandon();
                // The writer looks at the flag between two system calls; one that hangs (a dead network disk) is not
                // waited for.
                match tokio::time::timeout(Duration::from_secs(1), &mut self.done).await {
                    Ok(done) => done.unwrap_or_default(),
                    Err(_) => Some(format!("{} does not answer", self.path.display())),
                }
            }
        };
        let counts = self.ledger.counts();
        let lost = counts.ledger.pending;
        if lost > 0 {
            self.ledger.discarded(LOST, lost);
        }
        let sync = counts.sync_trouble.map(|why| format!("cannot force {} to the disk: {why}", self.path.display()));
        Report { lost, trouble: trouble.into_iter().chain(sync).collect() }
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

    /// Whether a drain is over: whoever still reads should stop, what is read now may be lost.
    #[must_use]
    pub fn is_released(&self) -> bool {
        self.queue.is_released()
    }

    /// Ends the wait of everyone in [`room`](Self::room). What is queued is still written.
    pub fn release(&self) {
        self.queue.release();
    }

    /// How long the system has sat on one write; `None` while nothing is being written.
    #[must_use]
    pub fn stuck(&self) -> Option<Duration> {
        self.queue.stuck()
    }

    /// Wakes the writer once for all pushes of one turn of the event loop; runs until the sink is closed. Without it
    /// a record would wait until more follow, with one wake-up a push the thread switches would cost more than the
    /// writing.
    pub async fn run_waker(self) {
        self.queue.run_waker().await;
    }
}
