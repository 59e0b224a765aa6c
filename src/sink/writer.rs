//! The writer thread: takes batches, writes them whole, and keeps the ledger true.

mod names;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::oneshot;

use super::Options;
use super::batch::Batch;
use super::clock::Clock;
use super::disk::Disk;
use super::file::OutputFile;
use super::headroom::Headroom;
use super::keeper::Keeper;
use super::orders::{Answer, Order};
use super::queue::{Queue, Work};
use super::rotation;
use super::sync::{Flusher, Syncer};
use super::voice::Voice;
use crate::error::io_reason;
use crate::ledger::StreamLedger;
use crate::plan::{Rotate, Sync};

/// Bytes of one write, but for a record that is longer. After each the queue sees that the disk keeps up: one write of all that a
/// slow moment has gathered would itself be a slow moment, and senders would wait behind [`super::queue::LIMIT`] for ever.
const AT_ONCE: usize = 1024 * 1024;
/// The pause between two tries on a disk that refuses bytes. Space that is freed is noticed within this time.
const RETRY: Duration = Duration::from_millis(100);
/// How often a busy writer looks whether its file still has its name: two system calls, not a write more often.
const LOOK: Duration = Duration::from_millis(250);
/// How often an idle one does.
const IDLE_LOOK: Duration = Duration::from_millis(500);

/// One output's writer.
#[derive(Debug)]
pub struct Writer<D: Disk> {
    file: OutputFile<D>,
    queue: Arc<Queue>,
    ledger: StreamLedger,
    flusher: Arc<Flusher<D>>,
    mode: Sync,
    syncer: Option<Syncer>,
    /// LF ends a record.
    lines: bool,
    /// The file ends with half a record: the next one begins on a line of its own.
    mend: bool,
    headroom: Headroom,
    rotate: Rotate,
    clock: Clock,
    /// The next look at the file's name.
    look: Instant,
    /// Asked by a signal to look.
    asked: bool,
    /// Why there is no going on elsewhere for a file that has lost its name in the middle of a record.
    no_way_on: Option<String>,
    /// Who wants the file put away.
    wanted: Vec<oneshot::Sender<Answer>>,
    /// No try to put the file away before.
    patience: Option<Instant>,
    voice: Voice,
    /// Told of every archive.
    keeper: Option<Keeper>,
    retry: Duration,
}

/// How a writer ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// What was wrong at the end, a sentence.
    pub trouble: Option<String>,
    /// What follows the file's bytes begins with a line end of ours.
    pub mend: bool,
}

impl<D: Disk> Writer<D> {
    /// Prepares the writer; [`Writer::spawn`] starts it.
    pub fn new(
        file: OutputFile<D>,
        queue: Arc<Queue>,
        ledger: StreamLedger,
        options: Options,
        keeper: Option<Keeper>,
    ) -> io::Result<Self> {
        let Options { stream, sync: mode, fresh_line: lines, rotate, min_free, trail } = options;
        let flusher = Arc::new(Flusher::new(&file, ledger.clone()));
        let syncer = match mode {
            Sync::Interval => Some(Syncer::start(Arc::clone(&flusher))?),
            Sync::Never | Sync::Always => None,
        };
        let newest = if rotate.every.is_some() { file.disk.newest(&file.place).unwrap_or_default() } else { None };
        let begun = if file.size() > 0 { rotation::begun(newest, file.modified()) } else { Timestamp::now() };
        ledger.output(file.size());
        let trouble = file.trouble.clone();
        let voice = Voice { stream, output: file.path().to_owned(), trail };
        if let Some(sentence) = &trouble {
            voice.warn(sentence);
        }
        Ok(Self {
            mend: lines && file.ends_in_mid_line(),
            headroom: Headroom::new(min_free),
            clock: Clock::new(rotate.every, begun),
            file,
            queue,
            ledger,
            flusher,
            mode,
            syncer,
            lines,
            rotate,
            look: Instant::now(),
            asked: false,
            no_way_on: None,
            wanted: Vec::new(),
            patience: None,
            voice,
            keeper,
            retry: RETRY,
        })
    }

    /// For a disk whose trouble is over when it is asked again.
    #[cfg(test)]
    pub fn without_pauses(mut self) -> Self {
        self.retry = Duration::ZERO;
        self
    }

    /// Starts the thread; `end` hears how it ended.
    pub fn spawn(mut self, end: oneshot::Sender<Ended>) -> io::Result<()> {
        std::thread::Builder::new().name("reclog-writer".into()).spawn(move || {
            while self.turn() {}
            // Nobody listens any more when the process is about to end anyway.
            let _ = end.send(self.finish());
        })?;
        Ok(())
    }

    /// Does what there is to do, or waits for it. False: the end.
    pub fn turn(&mut self) -> bool {
        match self.queue.take(IDLE_LOOK) {
            Work::Batch(batch) => {
                if !self.write(&batch) {
                    return false;
                }
                self.queue.done(batch);
                if self.mode == Sync::Always {
                    self.force();
                }
                self.put_away_if_due();
                true
            }
            Work::Look => {
                self.look = self.look.min(Instant::now());
                match self.between() {
                    Ok(()) => self.voice.resume(&self.ledger),
                    Err(why) => self.stall(&why),
                }
                true
            }
            Work::Closed | Work::Abandoned => false,
        }
    }

    /// Forces what is written to the disk.
    pub fn finish(mut self) -> Ended {
        self.syncer = None;
        let trouble = self.ledger.set_stall(None).map(|stall| stall.sentence);
        self.flusher.flush();
        Ended { trouble, mend: self.mend }
    }

    /// Forces what is written to the disk, and tells who promises that.
    fn force(&self) {
        let written = self.queue.stored();
        if self.flusher.flush() {
            self.queue.forced(written);
        }
    }

    /// Writes the whole batch, however long the disk takes. False: the queue was abandoned. A refused or short write is
    /// continued exactly where it stopped: the half record first, unless its file is lost. Then the record is written
    /// anew, and what was counted of it is not counted again.
    fn write(&mut self, batch: &Batch) -> bool {
        let (mut at, mut counted, mut flushed) = (0, 0, 0);
        while at < batch.len() {
            match self.step(batch, at) {
                Ok(0) => {}
                Ok(n) => {
                    at += n;
                    let before = counted;
                    counted = counted.max(at);
                    let (payload, added) = batch.account(before, counted);
                    self.ledger.stored(payload, added, self.file.size());
                    // Not only when the whole batch is written: a disk that trickles may take hours for it.
                    self.syncer.iter().for_each(Syncer::dirty);
                    self.voice.resume(&self.ledger);
                    if !self.queue.wrote(counted - before) {
                        return false;
                    }
                }
                Err(why) => match self.leave(batch, at, why) {
                    Ok(begin) => at = begin,
                    Err(why) => {
                        self.stall(&why);
                        if self.queue.is_abandoned() {
                            return false;
                        }
                        if self.mode == Sync::Always && flushed < counted {
                            self.force();
                            flushed = counted;
                        }
                        self.queue.pause(self.retry);
                    }
                },
            }
        }
        true
    }

    /// One write, from `at` to at most the next place where something else is to be done. Returns the bytes written.
    fn step(&mut self, batch: &Batch, at: usize) -> Result<usize, String> {
        let end = if batch.is_end(at, self.lines) {
            self.between()?;
            self.end_of_write(batch, at)?
        } else {
            self.hear();
            batch.end_after(at, self.lines)
        };
        let n = self.put(|file| file.write(&batch.bytes()[at..end]))?;
        self.headroom.spent(n as u64);
        Ok(n)
    }

    /// One system call; 0 when a signal came between.
    fn put(&mut self, write: impl FnOnce(&mut OutputFile<D>) -> io::Result<usize>) -> Result<usize, String> {
        match write(&mut self.file) {
            Ok(0) => Err("the system wrote nothing".into()),
            Ok(n) => Ok(n),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(io_reason(&e)),
        }
    }

    /// Up to where may be written at once: a full file is put away after the record that filled it.
    fn end_of_write(&mut self, batch: &Batch, at: usize) -> Result<usize, String> {
        let mut end = batch.len();
        if end - at > AT_ONCE {
            end = batch.end_after(at + AT_ONCE, self.lines);
        }
        if self.patience.is_none()
            && let Some(room) = rotation::room(self.rotate.size, self.file.size())
            && room < (end - at) as u64
        {
            end = batch.end_after(at + usize::try_from(room).unwrap_or(end), self.lines);
        }
        let (file, want) = (&self.file, (end - at) as u64);
        let free = || file.disk.free(&file.file);
        let allowed = self.headroom.allow(want, Instant::now(), free).map_err(|e| io_reason(&e))?;
        if allowed < want {
            end = batch.end_before(at, at + usize::try_from(allowed).unwrap_or(0), self.lines);
        }
        if end == at {
            self.headroom.was_low();
            return Err("less space is left on its disk than shall stay free (min_free)".into());
        }
        Ok(end)
    }

    /// What is done between two records: orders, a look at the file's name, rotation, the end of a half record that a
    /// crash left. `Err`: nothing may be written now.
    fn between(&mut self) -> Result<(), String> {
        self.hear();
        let now = Instant::now();
        if self.asked || now >= self.look {
            let found = self.file.find(self.asked);
            if found.is_ok() {
                self.asked = false;
                self.look = now + LOOK;
            }
            self.found(found?);
        }
        self.put_away_if_due();
        if self.mend && self.queue.is_writing() {
            self.mend_line()?;
        }
        Ok(())
    }

    fn mend_line(&mut self) -> Result<(), String> {
        while self.mend {
            if self.put(|file| file.write(b"\n"))? == 1 {
                self.ledger.stored(0, 1, self.file.size());
                self.mend = false;
                self.voice.mended();
            }
        }
        Ok(())
    }

    /// Takes the orders.
    fn hear(&mut self) {
        while let Some(order) = self.queue.ordered() {
            match order {
                Order::Reopen => (self.asked, self.patience) = (true, None),
                Order::Rotate(answer) => self.wanted.push(answer),
            }
        }
    }

    /// Whoever waits for a rotation hears that there is none now.
    fn refuse(&mut self, why: &str) {
        for wanted in self.wanted.drain(..) {
            let _ = wanted.send(Err(why.to_owned()));
        }
    }

    fn stall(&mut self, reason: &str) {
        self.refuse(reason);
        self.voice.stall(&self.ledger, reason);
    }
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
