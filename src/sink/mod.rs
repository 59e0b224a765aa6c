//! Records become bytes on disk: one writer thread an output, behind a queue that is bounded in bytes.
//!
//! `std::fs` on a thread of its own, because `tokio::fs` reports a write as done before it is, and a ledger that counts
//! such writes would lie.

mod batch;
mod below;
mod clerk;
mod clock;
mod desk;
mod disk;
mod duct;
mod ending;
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
mod opened;
mod orders;
mod pack;
mod pen;
mod pulse;
mod queue;
mod records;
mod rescue;
mod retention;
mod rotation;
mod route;
mod router;
mod scribe;
mod side;
mod sync;
mod turn;
mod voice;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

pub use batch::{Aim, Batch};
pub use clerk::Clerk;
pub use duct::reach;
pub use ending::{LOST, RESCUED, Report};
pub use file::{OpenFailure, OutputFile};
pub use files::Files;
use jiff::Timestamp;
pub use opened::Opened;
use orders::Order;
pub use orders::{Answer, Archived};
pub use pen::{Look, Meta, Pen};
pub use pulse::Pulse;
pub use queue::LIMIT as QUEUE;
use queue::Queue;
pub use queue::Safe;
pub use records::{End, Records};
pub use rescue::Rescue;
use router::Router;
pub use side::{SIDE_QUEUE, SideView, too_long};
use side::{Side, Sides};
use voice::Voice;
pub use writer::OPEN_FILES;
use writer::{Ended, Writer};

use crate::audit::Trail;
use crate::ledger::StreamLedger;
use crate::plan::{Rotate, StreamPlan, Sync};

/// A write that takes longer is a stall: the disk or the network behind it does not answer.
pub const STUCK: Duration = Duration::from_millis(700);
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
    /// LF ends a record.
    lines: bool,
    /// The second outputs, in the order of the handle's.
    also: Vec<Sink>,
}

/// What intake holds: the entrance of the queue. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SinkHandle {
    queue: Arc<Queue>,
    /// Where there are many files.
    router: Option<Arc<Router>>,
    sides: Sides,
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
    /// Enters what was put away.
    pub clerk: Clerk,
    /// Nobody waits for it: it is one of the second outputs.
    pub side: bool,
}

impl Options {
    /// What `plan` says.
    #[must_use]
    pub fn of(plan: &StreamPlan, trail: Trail) -> Self {
        Self {
            stream: plan.name.clone(),
            sync: plan.sync,
            fresh_line: plan.has_lines(),
            rotate: plan.rotate.clone(),
            min_free: plan.min_free,
            trail,
            clerk: Clerk::nowhere(),
            side: false,
        }
    }
}

impl Sink {
    /// Starts the writer thread of `file`. Bytes are accounted for in `ledger`.
    ///
    /// # Errors
    /// When the system has no thread left.
    #[expect(clippy::needless_pass_by_value, reason = "made for it, and for nothing else")]
    pub fn start(file: OutputFile, ledger: StreamLedger, options: Options) -> std::io::Result<Self> {
        Self::start_all(Opened::File(file), Vec::new(), ledger, &options)
    }

    /// Starts the writer threads of all outputs of a stream. What becomes of bytes is accounted for by the `first` alone.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start_all(
        first: Opened,
        also: Vec<Opened>,
        ledger: StreamLedger,
        options: &Options,
    ) -> std::io::Result<Self> {
        let (shape, mut sides, mut sinks) = (first.shape(), Vec::new(), Vec::new());
        for output in also {
            let shape = output.shape();
            let options = Options { side: true, ..options.clone() };
            let sink = Self::start_one(output, StreamLedger::new(), options.clone())?;
            sides.push(Side::of(&sink, shape, options));
            sinks.push(sink);
        }
        let mut sink = Self::start_one(first, ledger, options.clone())?;
        sink.handle.sides = Sides { first: shape, all: sides.into() };
        sink.also = sinks;
        Ok(sink)
    }

    fn start_one(output: Opened, ledger: StreamLedger, options: Options) -> std::io::Result<Self> {
        let (end, done) = oneshot::channel();
        let (stream, fresh_line) = (options.stream.clone(), options.fresh_line);
        let files = || Arc::new(Queue::new(options.sync == Sync::Always));
        let (mut root, mut router) = (None, None);
        let (path, queue, lines) = match output {
            Opened::File(file) => {
                let (queue, path) = (files(), file.path().to_owned());
                Writer::new(file, Arc::clone(&queue), ledger.clone(), options)?.spawn(end)?;
                (path, queue, fresh_line)
            }
            Opened::Files(files_of) => {
                let (queue, route) = (files(), files_of.router.route());
                let (path, template) = (route.written().to_owned(), route.template().clone());
                root = Some(route.fixed().to_owned());
                router = Some(Arc::clone(&files_of.router));
                Writer::of_many(files_of.disk, Some(template), Arc::clone(&queue), ledger.clone(), options)?
                    .spawn(end)?;
                (path, queue, fresh_line)
            }
            Opened::Duct(duct::Place { path, duct, shape }) => {
                let queue = Arc::new(Queue::new(false));
                let voice =
                    Voice { stream: stream.clone(), output: path.clone(), trail: options.trail, side: options.side };
                // A daemon gets messages, which always have an end.
                let lines = fresh_line || shape == side::Shape::Syslog;
                duct::writer::Writer::new(duct, Arc::clone(&queue), ledger.clone(), voice, lines).spawn(end)?;
                (path, queue, lines)
            }
        };
        let handle = SinkHandle { queue, router, sides: Sides::none() };
        Ok(Self { handle, path, root, stream, ledger, done, lines, also: Vec::new() })
    }

    /// The entrance for intake.
    #[must_use]
    pub fn handle(&self) -> SinkHandle {
        self.handle.clone()
    }
}

impl SinkHandle {
    /// Lets `fill` append records to the queue. The writer is woken when the current burst of work is over (see
    /// [`SinkHandle::run_waker`]) or when there is enough for a write that is worth it.
    pub fn push<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> T {
        self.queue.push(fill)
    }

    /// As [`push`](Self::push), with the position of the end of what was appended: it is in the output when that is
    /// [safe](Self::safe).
    pub fn push_and_tell<T>(&self, fill: impl FnOnce(&mut Batch) -> T) -> (T, u64) {
        self.queue.push_and_tell(fill)
    }

    /// Lets `fill` hand over records of the sender of `meta`, which get the shape that each output has; with what it returns
    /// comes the position of their end, as in [`push_and_tell`](Self::push_and_tell). What it hands over is entered in the
    /// ledger by `fill`: the writer must not store bytes that the ledger has not received.
    pub fn write<T>(&self, look: Look, meta: &Meta, fill: impl FnOnce(&mut dyn Records) -> T) -> (T, u64) {
        let now = Timestamp::now();
        let aim = self.router.as_ref().map(|router| router.path(meta, now));
        self.queue.push_and_tell(|batch| {
            batch.aim(&aim);
            self.sides.fill(batch, (look, meta, now), fill)
        })
    }

    /// The second outputs, as they are now.
    #[must_use]
    pub fn sides(&self) -> Vec<SideView> {
        self.sides.views()
    }

    /// Records that the first output did not take for their length.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.queue.left_out()
    }

    /// Waits until the output is over for good; the sentence that says why. Most never are.
    pub async fn broken(&self) -> String {
        self.queue.broken().await
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

    /// Looks what stands under the files' names and goes on there, between two records.
    pub fn reopen(&self) {
        for queue in self.queues() {
            queue.order(Order::Reopen);
        }
    }

    fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        std::iter::once(&self.queue).chain(self.sides.all.iter().map(|side| &side.queue))
    }

    /// The entrances of all outputs, each alone, in the order of the plan.
    #[must_use]
    pub fn each(&self) -> Vec<Self> {
        let alone = |queue: &Arc<Queue>| Self { queue: Arc::clone(queue), router: None, sides: Sides::none() };
        self.queues().map(alone).collect()
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

    /// Whether the writers move, in the order of the outputs.
    #[must_use]
    pub fn pulses(&self) -> Vec<Arc<Pulse>> {
        self.queues().map(|queue| Arc::clone(queue.pulse())).collect()
    }

    /// Wakes the writer once for all pushes of one turn of the event loop; runs until the sink is closed. Without it
    /// a record would wait until more follow, with one wake-up a push the thread switches would cost more than the
    /// writing.
    pub async fn run_waker(self) {
        let mut wakers = tokio::task::JoinSet::new();
        for queue in self.queues().map(Arc::clone) {
            wakers.spawn(async move { queue.run_waker().await });
        }
        while wakers.join_next().await.is_some() {}
    }
}
