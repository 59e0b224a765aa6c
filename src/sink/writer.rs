//! The writer thread: takes batches, writes them whole, and keeps the ledger true.

mod shelf;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::Options;
use super::batch::Batch;
use super::desk::{Desk, House};
use super::disk::Disk;
use super::file::OutputFile;
use super::headroom::Headroom;
use super::keeper::Keeper;
use super::orders::{Answer, Order};
use super::queue::{Queue, Work};
use super::sync::{Flushers, Syncer};
use crate::ledger::StreamLedger;
use crate::plan::{Rotate, Sync, Template};
pub use shelf::OPEN_FILES;

/// The pause between two tries on a disk that refuses bytes. Space that is freed is noticed within this time.
const RETRY: Duration = Duration::from_millis(100);
/// How often an idle writer looks whether its file still has its name.
const IDLE_LOOK: Duration = Duration::from_millis(500);

/// One output's writer.
#[derive(Debug)]
pub struct Writer<D: Disk> {
    house: House<D>,
    /// The files that are open: the only one, or those of the [`shelf`].
    desks: Vec<Desk<D>>,
    /// Where others are opened.
    disk: Option<Arc<D>>,
    /// So many at most.
    open_files: usize,
    /// The desk that was used last, and how often another one was taken.
    current: usize,
    turns: u64,
    /// The next desk that is looked at while there is nothing to do.
    looked: usize,
    syncer: Option<Syncer>,
    min_free: u64,
    /// Of each file system, by its device.
    rooms: BTreeMap<u64, Headroom>,
    /// Who wants the files put away.
    wanted: Vec<oneshot::Sender<Answer>>,
}

/// How a writer ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// What was wrong at the end, a sentence.
    pub trouble: Option<String>,
    /// Files of whose bytes the last ones are half a record: what follows them begins with a line end of ours.
    pub mend: Vec<PathBuf>,
    /// Records that were written and that nobody has read.
    pub unread: u64,
}

impl<D: Disk> Writer<D> {
    /// Prepares the writer of one file; [`Writer::spawn`] starts it.
    pub fn new(file: OutputFile<D>, queue: Arc<Queue>, ledger: StreamLedger, options: Options) -> io::Result<Self> {
        let mut writer = Self::with(queue, ledger, options, None)?;
        writer.desks.push(Desk::new(file, None, &writer.house));
        Ok(writer)
    }

    /// Prepares the writer of all files that batches name, on `disk`; which `template` has made.
    pub fn of_many(
        disk: Arc<D>,
        template: Option<Template>,
        queue: Arc<Queue>,
        ledger: StreamLedger,
        options: Options,
    ) -> io::Result<Self> {
        Ok(Self { disk: Some(disk), ..Self::with(queue, ledger, options, template)? })
    }

    fn with(queue: Arc<Queue>, ledger: StreamLedger, options: Options, template: Option<Template>) -> io::Result<Self> {
        let Options { stream, sync: mode, fresh_line: lines, rotate, min_free, trail, clerk, side } = options;
        let keeper = if rotate == Rotate::default() {
            None
        } else {
            Some(Keeper::start(&rotate, template, &stream, trail.clone())?)
        };
        let flushers = Flushers::default();
        let syncer = match mode {
            Sync::Interval => Some(Syncer::start(Arc::clone(&flushers), Arc::clone(queue.pulse()))?),
            Sync::Never | Sync::Always => None,
        };
        let house =
            House { queue, ledger, flushers, mode, lines, rotate, keeper, retry: RETRY, stream, trail, clerk, side };
        Ok(Self {
            house,
            desks: Vec::new(),
            disk: None,
            open_files: OPEN_FILES,
            current: 0,
            turns: 0,
            looked: 0,
            syncer,
            min_free,
            rooms: BTreeMap::new(),
            wanted: Vec::new(),
        })
    }

    /// For a disk whose trouble is over when it is asked again.
    #[cfg(test)]
    pub fn without_pauses(mut self) -> Self {
        self.house.retry = Duration::ZERO;
        self
    }

    #[cfg(test)]
    pub fn with_room_for(mut self, files: usize) -> Self {
        self.open_files = files;
        self
    }

    /// Starts the thread; `end` hears how it ended.
    pub fn spawn(mut self, end: oneshot::Sender<Ended>) -> io::Result<()> {
        std::thread::Builder::new().name("reclog-writer".into()).spawn(move || {
            let pulse = Arc::clone(self.house.queue.pulse());
            pulse.adopt();
            while self.turn() {}
            let ended = self.finish();
            pulse.end();
            // Nobody listens any more when the process is about to end anyway.
            let _ = end.send(ended);
        })?;
        Ok(())
    }

    /// Does what there is to do, or waits for it. False: the end.
    pub fn turn(&mut self) -> bool {
        match self.house.queue.take(IDLE_LOOK) {
            Work::Batch(batch) => {
                if !self.write(&batch) {
                    return false;
                }
                self.house.queue.done(batch);
                if self.house.mode == Sync::Always {
                    self.force();
                }
                self.put_away_if_due();
                true
            }
            Work::Look => {
                self.hear();
                if self.disk.is_some() {
                    self.look_around();
                } else {
                    self.look_at_the_only_one();
                }
                true
            }
            Work::Closed | Work::Abandoned => false,
        }
    }

    /// Forces what is written to the disk.
    pub fn finish(mut self) -> Ended {
        self.syncer = None;
        let trouble = self.house.ledger.set_stall(None).map(|stall| stall.sentence);
        for desk in &self.desks {
            desk.flusher.flush();
            desk.flusher.page().end();
        }
        self.house.ledger.enter_quiet();
        let mend = self.desks.iter().filter(|desk| desk.mend).map(|desk| desk.file.path().to_owned()).collect();
        Ended { trouble, mend, unread: 0 }
    }

    /// Forces what is written to the disk, and tells who promises that: when it is all of it, in whichever file.
    fn force(&mut self) {
        let written = self.house.queue.stored();
        let mut safe = true;
        for desk in &mut self.desks {
            desk.touched &= !desk.flusher.flush_if(desk.touched);
            safe &= !desk.touched && !desk.flusher.page().is_broken();
        }
        if safe {
            self.house.queue.forced(written);
        }
    }

    /// Writes the whole batch, however long the disk takes. False: the queue was abandoned. A refused or short write is
    /// continued exactly where it stopped: the half record first, unless its file is lost. Then the record is written
    /// anew, and what was counted of it is not counted again.
    fn write(&mut self, batch: &Batch) -> bool {
        let (mut at, mut counted, mut flushed) = (0, 0, 0);
        while at < batch.len() {
            let stepped = self.desk_of(batch.part(at).1).and_then(|()| self.step(batch, at));
            match stepped {
                Ok(0) => {}
                Ok(n) => {
                    at += n;
                    let before = counted;
                    counted = counted.max(at);
                    let (payload, added) = batch.account(before, counted);
                    let desk = &mut self.desks[self.current];
                    // Not only when the whole batch is written: a disk that trickles may take hours for it.
                    desk.wrote(payload, added);
                    self.syncer.iter().for_each(Syncer::dirty);
                    desk.voice.resume(&self.house.ledger);
                    if !self.house.queue.wrote(counted - before) {
                        return false;
                    }
                }
                Err(stuck) => match self.leave(batch, at, stuck) {
                    Ok(begin) => at = begin,
                    Err(stuck) => {
                        self.stall(&stuck);
                        // At the end nobody waits for a second output.
                        let queue = &self.house.queue;
                        if queue.is_abandoned() || self.house.side && queue.is_closed() {
                            return false;
                        }
                        if self.house.mode == Sync::Always && flushed < counted {
                            self.force();
                            flushed = counted;
                        }
                        self.house.queue.pause(self.house.retry);
                    }
                },
            }
        }
        true
    }

    /// One write, from `at` to at most the next place where something else is to be done. Returns the bytes written.
    fn step(&mut self, batch: &Batch, at: usize) -> Result<usize, Stuck> {
        self.hear();
        let (part, _) = batch.part(at);
        let between = batch.is_end(at, self.house.lines);
        if between && !self.wanted.is_empty() {
            self.put_all_away();
        }
        let Self { house, desks, current, rooms, min_free, .. } = self;
        let desk = &mut desks[*current];
        let here = |why| Stuck { why, at: None };
        if between {
            desk.between(house).map_err(here)?;
        }
        let room = rooms.entry(desk.file.id.0).or_insert_with(|| Headroom::new(*min_free));
        let end = if between {
            desk.end_of_write(batch, at, part, room, house).map_err(here)?
        } else {
            batch.end_after(at, house.lines)
        };
        let n = desk.put(&batch.bytes()[at..end]).map_err(here)?;
        room.spent(n as u64);
        Ok(n)
    }

    fn leave(&mut self, batch: &Batch, at: usize, stuck: Stuck) -> Result<usize, Stuck> {
        if stuck.at.is_some() {
            return Err(stuck);
        }
        let wanted = !self.wanted.is_empty();
        let left = self.desks[self.current].leave(batch, at, stuck.why, wanted, &self.house);
        left.map_err(|why| Stuck { why, at: None })
    }

    /// Takes the orders.
    fn hear(&mut self) {
        while let Some(order) = self.house.queue.ordered() {
            match order {
                Order::Reopen => self.desks.iter_mut().for_each(Desk::ask),
                Order::Rotate(answer) => self.wanted.push(answer),
            }
        }
    }

    /// Puts all files away because somebody wants it.
    fn put_all_away(&mut self) {
        let many = self.disk.is_some();
        let named = |desk: &Desk<D>, why| if many { format!("{}: {why}", desk.file.path().display()) } else { why };
        let put_away = |desk: &mut Desk<D>| {
            desk.put_away_if_due(true, &self.house).map(|answer| answer.map_err(|why| named(desk, why)))
        };
        let answers: Vec<Answer> = self.desks.iter_mut().filter_map(put_away).collect();
        let answer: Answer = answers.into_iter().collect::<Result<Vec<_>, _>>().map(|all| all.concat());
        for wanted in self.wanted.drain(..) {
            let _ = wanted.send(answer.clone());
        }
    }

    fn put_away_if_due(&mut self) {
        if !self.wanted.is_empty() {
            self.put_all_away();
        }
        for desk in &mut self.desks {
            desk.put_away_if_due(false, &self.house);
        }
    }

    fn look_at_the_only_one(&mut self) {
        let desk = &mut self.desks[0];
        desk.look = desk.look.min(Instant::now());
        match desk.look_at_name(&self.house) {
            Ok(()) => {
                self.put_away_if_due();
                self.desks[0].voice.resume(&self.house.ledger);
            }
            Err(why) => self.stall(&Stuck { why, at: None }),
        }
    }

    fn stall(&mut self, stuck: &Stuck) {
        // Whoever waits for a rotation hears that there is none now.
        for wanted in self.wanted.drain(..) {
            let _ = wanted.send(Err(stuck.why.clone()));
        }
        self.desks.get_mut(self.current).into_iter().for_each(Desk::look_at_space);
        match &stuck.at {
            Some(path) => self.house.voice(path).stall(&self.house.ledger, &stuck.why),
            None => self.desks[self.current].voice.stall(&self.house.ledger, &stuck.why),
        }
    }
}

/// Nothing may be written now.
#[derive(Debug)]
struct Stuck {
    /// The end of a sentence.
    why: String,
    /// The file that cannot be opened; `None`: it is about the current one.
    at: Option<PathBuf>,
}

#[cfg(test)]
#[path = "writer_tests.rs"]
mod tests;
