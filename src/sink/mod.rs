//! Records become bytes on disk: one writer thread an output, behind a queue that is bounded in bytes.
//!
//! `std::fs` on a thread of its own, because `tokio::fs` reports a write as done before it is, and a ledger that counts
//! such writes would lie.

mod batch;
mod below;
mod clock;
mod desk;
mod disk;
#[cfg(test)]
#[path = "fake_tests.rs"]
mod fake;
mod file;
mod files;
mod front;
mod headroom;
mod json;
mod keeper;
mod mount;
mod orders;
mod pack;
mod pen;
mod queue;
mod records;
mod rescue;
mod retention;
mod rotation;
mod route;
mod router;
mod sync;
mod turn;
mod voice;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{oneshot, watch};
use tokio_util::sync::CancellationToken;

pub use batch::{Aim, Batch};
use disk::Disk;
pub use file::{OpenFailure, OutputFile};
pub use files::Files;
use orders::Order;
pub use orders::{Answer, Archived};
pub use pen::{Meta, Pen};
pub use queue::LIMIT as QUEUE;
use queue::Queue;
pub use queue::Safe;
pub use records::{End, Records};
pub use rescue::Rescue;
use router::Router;
pub use writer::OPEN_FILES;
use writer::{Ended, Writer};

use crate::audit::Trail;
use crate::ledger::StreamLedger;
use crate::plan::{Format, Framing, Rotate, StreamPlan, Sync};

/// The reason in the ledger for bytes that a given-up output never took and that are nowhere.
pub const LOST: &str = "lost";
/// The reason in the ledger for bytes that a given-up output never took and that stand in a rescue file.
pub const RESCUED: &str = "rescued";

/// A writer that was told to give up looks at the flag between two system calls; one that hangs in one (a dead network
/// disk) is not waited for.
const LAST_CALL: Duration = Duration::from_secs(1);
/// A rotation forces up to a whole file to the disk; nobody waits longer for its answer.
const ROTATION: Duration = Duration::from_secs(60);

/// One output: the queue in front of it and the thread behind.
#[derive(Debug)]
pub struct Sink {
    handle: SinkHandle,
    /// As it is shown.
    path: PathBuf,
    /// Files below here are told apart when they are rescued.
    root: Option<PathBuf>,
    stream: String,
    ledger: StreamLedger,
    done: oneshot::Receiver<Ended>,
}

/// What intake holds: the entrance of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    queue: Arc<Queue>,
    /// Where there are many files.
    router: Option<Arc<Router>>,
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
            fresh_line: plan.framing != Framing::Raw || plan.format == Format::Json,
            rotate: plan.rotate.clone(),
            min_free: plan.min_free,
            trail,
        }
    }
}

/// How an output ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The stream.
    pub stream: String,
    /// Payload bytes that did not get into the file.
    pub lost: u64,
    /// Where they are instead.
    pub rescue: Option<PathBuf>,
    /// Why, and other trouble, in sentences.
    pub trouble: Vec<String>,
}

impl Sink {
    /// Starts the writer thread of `file`. Bytes are accounted for in `ledger`.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(file: OutputFile, ledger: StreamLedger, options: Options) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(options.sync == Sync::Always));
        let (path, stream) = (file.path().to_owned(), options.stream.clone());
        let writer = Writer::new(file, Arc::clone(&queue), ledger.clone(), options)?;
        Self::begin(SinkHandle { queue, router: None }, writer, path, None, stream, ledger)
    }

    /// As [`start`](Self::start), for as many `files` as records name.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start_files(files: Files, ledger: StreamLedger, options: Options) -> std::io::Result<Self> {
        let queue = Arc::new(Queue::new(options.sync == Sync::Always));
        let (path, root) = (files.router.route().written().to_owned(), files.router.route().fixed().to_owned());
        let (stream, template) = (options.stream.clone(), files.router.route().template().clone());
        let writer = Writer::of_many(files.disk, Some(template), Arc::clone(&queue), ledger.clone(), options)?;
        Self::begin(SinkHandle { queue, router: Some(files.router) }, writer, path, Some(root), stream, ledger)
    }

    fn begin<D: Disk>(
        handle: SinkHandle,
        writer: Writer<D>,
        path: PathBuf,
        root: Option<PathBuf>,
        stream: String,
        ledger: StreamLedger,
    ) -> std::io::Result<Self> {
        let (end, done) = oneshot::channel();
        writer.spawn(end)?;
        Ok(Self { handle, path, root, stream, ledger, done })
    }

    /// The entrance for intake.
    #[must_use]
    pub fn handle(&self) -> SinkHandle {
        self.handle.clone()
    }

    /// As [`Sink::finish_or_rescue`], with no place for what is given up.
    pub async fn finish(self, give_up: CancellationToken) -> Report {
        self.finish_or_rescue(give_up, None).await
    }

    /// Writes what is queued, forces it to the disk and ends the thread. When `give_up` is cancelled the rest is given up:
    /// it goes where `rescue` says and is discarded as [`RESCUED`] in the ledger, or as [`LOST`] when it cannot be kept.
    /// No sender may be in any more.
    pub async fn finish_or_rescue(mut self, give_up: CancellationToken, rescue: Option<Rescue>) -> Report {
        let queue = Arc::clone(&self.handle.queue);
        queue.close();
        let path = self.path.display().to_string();
        let died = |_| Ended { trouble: Some(format!("the writer of {path} died")), mend: Vec::new() };
        let (ended, hangs) = tokio::select! {
            done = &mut self.done => (done.unwrap_or_else(died), false),
            () = give_up.cancelled() => {
                queue.abandon();
                match tokio::time::timeout(LAST_CALL, &mut self.done).await {
                    Ok(done) => (done.unwrap_or_else(died), false),
                    Err(_) => (Ended { trouble: Some(format!("{path} does not answer")), mend: Vec::new() }, true),
                }
            }
        };
        let mut trouble: Vec<String> = ended.trouble.into_iter().collect();
        let rest = queue.take_rest();
        let counts = self.ledger.counts();
        let lost = counts.ledger.pending;
        let mut kept = None;
        if lost > 0 {
            if hangs && let Some((batch, written)) = &rest.flight {
                trouble.push(format!(
                    "a write to {path} hangs: of the {} bytes that it was given some may turn up there all the same",
                    batch.len() - written
                ));
            }
            if let Some(rescue) = rescue {
                match rescue.keep(&self.stream, self.root.as_deref(), &ended.mend, rest).await {
                    Ok(path) => kept = Some(path),
                    Err(why) => trouble.push(why),
                }
            }
            self.ledger.discarded(if kept.is_some() { RESCUED } else { LOST }, lost);
        }
        let sync = counts.sync_trouble.map(|why| format!("cannot force {path} to the disk: {why}"));
        Report { stream: self.stream, lost, rescue: kept, trouble: trouble.into_iter().chain(sync).collect() }
    }
}

impl SinkHandle {
    /// Lets `fill` append records to the queue. The writer is woken when the current burst of work is over (see
    /// [`SinkHandle::run_waker`]) or when there is enough for a write that is worth it.
    pub fn push<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> T {
        self.queue.push(fill)
    }

    /// Where records go that the sender of `meta` hands over at `now`, for [`Batch::aim`].
    #[must_use]
    pub fn aim(&self, meta: &Meta, now: Timestamp) -> Aim {
        self.router.as_ref().map(|router| router.path(meta, now))
    }

    /// As [`push`](Self::push), with the position of the end of what was appended: it is in the output when that is
    /// [safe](Self::safe).
    pub fn push_and_tell<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> (T, u64) {
        self.queue.push_and_tell(fill)
    }

    /// What is in the output for certain, now and later. While somebody holds this, writes wait for nothing.
    #[must_use]
    pub fn safe(&self) -> watch::Receiver<Safe> {
        self.queue.safe()
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

    /// Looks what stands under the file's name and goes on there, between two records.
    pub fn reopen(&self) {
        self.queue.order(Order::Reopen);
    }

    /// Puts the file away, between two records.
    ///
    /// # Errors
    /// The end of a sentence that says why not.
    pub async fn rotate(&self) -> Answer {
        let (answer, hears) = oneshot::channel();
        self.queue.order(Order::Rotate(answer));
        match tokio::time::timeout(ROTATION, hears).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err("the output is ending".into()),
            Err(_) => Err("the disk does not answer".into()),
        }
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
