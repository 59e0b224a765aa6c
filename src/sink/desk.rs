//! One file of a writer, and everything that is known about it.

mod names;

use std::io;
use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::batch::{Aim, Batch};
use super::clerk::Clerk;
use super::clock::Clock;
use super::disk::Disk;
use super::file::OutputFile;
use super::headroom::Headroom;
use super::keeper::Keeper;
use super::queue::Queue;
use super::rotation;
use super::sync::{Flusher, Flushers};
use super::voice::Voice;
use crate::audit::Trail;
use crate::error::io_reason;
use crate::ledger::StreamLedger;
use crate::plan::{Rotate, Sync};

/// Bytes of one write, but for a record that is longer. After each the queue sees that the disk keeps up: one write of all that a
/// slow moment has gathered would itself be a slow moment, and senders would wait behind [`super::queue::LIMIT`] for ever.
const AT_ONCE: usize = 1024 * 1024;
/// How often a busy writer looks whether its file still has its name: two system calls, not a write more often.
const LOOK: Duration = Duration::from_millis(250);
/// How often the free space of its disk is looked up, to be shown.
const SPACE: Duration = Duration::from_secs(5);

/// What the files of a writer have in common.
#[derive(Debug)]
pub struct House<D: Disk> {
    pub queue: Arc<Queue>,
    pub ledger: StreamLedger,
    pub flushers: Flushers<D>,
    pub mode: Sync,
    /// LF ends a record.
    pub lines: bool,
    pub rotate: Rotate,
    /// Told of every archive.
    pub keeper: Option<Keeper>,
    pub retry: Duration,
    pub stream: String,
    pub trail: Trail,
    pub clerk: Clerk,
    /// Nobody waits for it: it is one of the second outputs.
    pub side: bool,
}

impl<D: Disk> House<D> {
    /// Tells about `output`.
    pub fn voice(&self, output: &Path) -> Voice {
        Voice { stream: self.stream.clone(), output: output.to_owned(), trail: self.trail.clone(), side: self.side }
    }
}

/// See the module.
#[derive(Debug)]
pub struct Desk<D: Disk> {
    /// What is written to it.
    pub aim: Aim,
    pub file: OutputFile<D>,
    pub flusher: Arc<Flusher<D>>,
    /// The turn in which it was last taken. As it keeps that turn until another one is taken, this is the order of use.
    pub used: u64,
    /// Written to, and not forced to the disk since.
    pub touched: bool,
    /// Asked by a signal to look.
    pub asked: bool,
    /// The file ends with half a record: the next one begins on a line of its own.
    pub mend: bool,
    /// The next look at the file's name.
    pub look: Instant,
    /// The next look at the free space of its disk.
    space: Instant,
    pub voice: Voice,
    clock: Clock,
    /// Why there is no going on elsewhere for a file that has lost its name in the middle of a record.
    no_way_on: Option<String>,
    /// No try to put the file away before.
    patience: Option<Instant>,
}

impl<D: Disk> Desk<D> {
    /// For an open file.
    pub fn new(file: OutputFile<D>, aim: Aim, house: &House<D>) -> Self {
        let newest =
            if house.rotate.every.is_some() { file.disk.newest(&file.place).unwrap_or_default() } else { None };
        let begun = if file.size() > 0 { rotation::begun(newest, file.modified()) } else { Timestamp::now() };
        let flusher = Arc::new(Flusher::new(&file, house.ledger.page(file.size())));
        house.flushers.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&flusher));
        let voice = house.voice(file.path());
        if let Some(sentence) = &file.trouble {
            voice.warn(sentence);
        }
        // A crash may have left archives as they are.
        house.keeper.iter().for_each(|keeper| keeper.look_at(file.place()));
        house.clerk.look_at(&house.stream, file.place());
        Self {
            aim,
            mend: house.lines && file.ends_in_mid_line(),
            clock: Clock::new(house.rotate.every, begun),
            file,
            flusher,
            used: 0,
            touched: false,
            asked: false,
            look: Instant::now(),
            space: Instant::now(),
            voice,
            no_way_on: None,
            patience: None,
        }
    }

    /// Looks up, if it is time, how much space is free, for whoever watches the collector.
    pub fn look_at_space(&mut self) {
        let now = Instant::now();
        if now >= self.space {
            self.space = now + SPACE;
            if let Ok(free) = self.file.disk.free(&self.file.file) {
                self.flusher.page().has_free(free);
            }
        }
    }

    /// What is done between two records: a look at the file's name, rotation, the end of a half record that a crash left.
    /// `Err`: nothing may be written now.
    pub fn between(&mut self, house: &House<D>) -> Result<(), String> {
        self.look_at_name(house)?;
        self.put_away_if_due(false, house);
        if self.mend && house.queue.is_writing() {
            self.mend_line()?;
        }
        Ok(())
    }

    /// Looks, if it is time, whether the name still leads to the file, and goes on where it leads.
    pub fn look_at_name(&mut self, house: &House<D>) -> Result<(), String> {
        let now = Instant::now();
        if self.asked || now >= self.look {
            self.look_at_space();
            let found = self.file.find(self.asked);
            if found.is_ok() {
                self.asked = false;
                self.look = now + LOOK;
            }
            self.found(found?, house);
        }
        Ok(())
    }

    /// Up to where may be written at once, before `end`: a full file is put away after the record that filled it.
    pub fn end_of_write(
        &self,
        batch: &Batch,
        at: usize,
        end: usize,
        room: &mut Headroom,
        house: &House<D>,
    ) -> Result<usize, String> {
        let mut end = end;
        if end - at > AT_ONCE {
            end = end.min(batch.end_after(at + AT_ONCE, house.lines));
        }
        if self.patience.is_none()
            && let Some(room) = rotation::room(house.rotate.size, self.file.size())
            && room < (end - at) as u64
        {
            end = batch.end_after(at + usize::try_from(room).unwrap_or(end), house.lines);
        }
        let (file, want) = (&self.file, (end - at) as u64);
        let free = || file.disk.free(&file.file);
        let allowed = room.allow(want, Instant::now(), free).map_err(|e| io_reason(&e))?;
        if allowed < want {
            end = batch.end_before(at, at + usize::try_from(allowed).unwrap_or(0), house.lines);
        }
        if end == at {
            room.was_low();
            return Err("less space is left on its disk than shall stay free (min_free)".into());
        }
        Ok(end)
    }

    /// One system call; 0 when a signal came between.
    pub fn put(&mut self, bytes: &[u8]) -> Result<usize, String> {
        let began = Instant::now();
        match self.file.write(bytes) {
            Ok(0) => Err("the system wrote nothing".into()),
            Ok(n) => {
                self.flusher.page().write_took(began.elapsed());
                Ok(n)
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(0),
            Err(e) => Err(io_reason(&e)),
        }
    }

    /// So much was written.
    pub fn wrote(&mut self, payload: u64, added: u64) {
        self.flusher.page().stored(payload, added, self.file.size());
        self.flusher.wrote();
        self.touched = true;
    }

    fn mend_line(&mut self) -> Result<(), String> {
        while self.mend {
            if self.put(b"\n")? == 1 {
                self.wrote(0, 1);
                self.mend = false;
                self.voice.mended();
            }
        }
        Ok(())
    }

    /// Asked by a signal: whatever was tried before is tried at once.
    pub fn ask(&mut self) {
        (self.asked, self.patience) = (true, None);
    }

    /// Forces it to the disk and lets go of it.
    pub fn close(self, house: &House<D>) {
        let flushed = self.flush_old(house);
        if !flushed && house.mode == Sync::Always {
            house.queue.unproven();
        }
        self.flusher.close(flushed);
        let mut all = house.flushers.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|flusher| !Arc::ptr_eq(flusher, &self.flusher));
    }
}
