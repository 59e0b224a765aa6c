//! What is done when a file goes on under another name, or without one.

use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{Desk, House, LOOK};
use crate::plan::Sync;
use crate::sink::batch::Batch;
use crate::sink::disk::Disk;
use crate::sink::file::OutputFile;
use crate::sink::orders::{Answer, Archived};
use crate::sink::rotation;
use crate::sink::turn::Found;

/// The pause between two tries to put the file away; it is written to meanwhile.
const RETRY_ROTATION: Duration = Duration::from_secs(1);

impl<D: Disk> Desk<D> {
    /// The file refuses bytes, for the reason `why`, in the middle of a record: the one of `batch` that has `at`. If it
    /// has lost its name for good there is no sense in waiting for it. Then the output goes on in the file that has the
    /// name now, and the place in `batch` is returned from which: the beginning of the record, for no file shall begin
    /// with half of one.
    /// `wanted`: somebody waits for a rotation.
    pub fn leave(
        &mut self,
        batch: &Batch,
        at: usize,
        why: String,
        wanted: bool,
        house: &House<D>,
    ) -> Result<usize, String> {
        if batch.is_end(at, house.lines) {
            return Err(why);
        }
        let now = Instant::now();
        if self.asked || wanted || now >= self.look {
            self.look = now + LOOK;
            self.no_way_on = None;
            if self.file.is_left(self.asked) {
                match self.file.find(self.asked) {
                    Ok(found) => {
                        self.asked = false;
                        let left = matches!(found, Found::Other(..));
                        self.found(found, house);
                        if left {
                            let begin = batch.end_before(0, at, house.lines);
                            self.voice.left_half(at - begin);
                            return Ok(begin);
                        }
                    }
                    Err(reason) => self.no_way_on = Some(reason),
                }
            }
        }
        Err(self.no_way_on.clone().unwrap_or(why))
    }

    /// Others may have done something to the file.
    pub fn found(&mut self, found: Found<D>, house: &House<D>) {
        match found {
            Found::Ours => {}
            Found::Shrunk(had) => {
                self.mend = house.lines && self.file.ends_in_mid_line();
                house.clerk.gone(&house.stream, &self.file.place, had);
                self.turned(None, had, "truncated");
            }
            Found::Other(new, why) => {
                let old = self.go_on(*new, house);
                self.mend = house.lines && self.file.ends_in_mid_line();
                if old.place == self.file.place {
                    house.clerk.gone(&house.stream, &old.place, old.size());
                } else {
                    house.clerk.look_at(&house.stream, &self.file.place);
                    // The archives lie elsewhere from now on: the path is a link that leads somewhere else.
                    house.keeper.iter().for_each(|keeper| keeper.look_at(&self.file.place));
                }
                self.turned(None, old.size(), why);
                self.clock.begin(Timestamp::now());
            }
        }
    }

    /// Whether the file, to which nobody writes now, still has its name, or nobody can tell. If not, what was done to it.
    pub fn lost(&self) -> Option<&'static str> {
        match self.file.disk.stat(&self.file.path) {
            Ok(there) if there.id == self.file.id => None,
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => None,
            _ => Some(match self.file.disk.stat_of(&self.file.file) {
                Ok(ours) if ours.links == 0 => "removed",
                _ => "renamed",
            }),
        }
    }

    /// The file is closed because of what was done to it.
    pub fn let_go(&mut self, why: &str, house: &House<D>) {
        let bytes = self.file.size();
        house.clerk.gone(&house.stream, &self.file.place, bytes);
        self.turned(None, bytes, why);
    }

    /// Goes on in `new`. What the old one has is forced to the disk first.
    fn go_on(&mut self, new: OutputFile<D>, house: &House<D>) -> OutputFile<D> {
        self.flush_old(house);
        let old = std::mem::replace(&mut self.file, new);
        self.switch(house);
        old
    }

    /// `file` is another one now. What a failed flush has left of the old one is not made safe by those of the new one.
    fn switch(&self, house: &House<D>) {
        if self.flusher.switch(&self.file) && house.mode == Sync::Always {
            house.queue.unproven();
        }
    }

    /// `synced` stays 0 until the end when nobody asked for flushes. Returns whether all of it is safe.
    pub(super) fn flush_old(&self, house: &House<D>) -> bool {
        if house.mode == Sync::Never { self.flusher.flush_silently() } else { self.flusher.flush() }
    }

    fn turned(&mut self, archive: Option<PathBuf>, bytes: u64, why: &str) {
        self.flusher.page().rotated(self.file.size());
        let _ = self.flusher.page().set_rotate_trouble(None);
        self.voice.turned(archive, bytes, why);
    }

    /// Puts the file away if it is `wanted`, it is full, or it is time. A rotation that cannot be done does not hold up the
    /// writing. `None`: nothing was due.
    pub fn put_away_if_due(&mut self, wanted: bool, house: &House<D>) -> Option<Answer> {
        let due = self.clock.due(Timestamp::now());
        let why = if wanted {
            "command"
        } else if rotation::is_full(house.rotate.size, self.file.size()) {
            "size"
        } else if due {
            "time"
        } else {
            return None;
        };
        let now = Instant::now();
        if !wanted && self.patience.is_some_and(|until| now < until) {
            return None;
        }
        let answer = self.put_away(why, house);
        self.patience = match &answer {
            Ok(_) => None,
            Err(reason) => {
                let sentence = format!("cannot put {} away: {reason}; it grows", self.file.path().display());
                if self.flusher.page().set_rotate_trouble(Some(sentence.clone())) {
                    tracing::warn!("{sentence}");
                }
                self.look = now;
                Some(now + if house.retry.is_zero() { house.retry } else { RETRY_ROTATION })
            }
        };
        Some(answer)
    }

    fn put_away(&mut self, why: &str, house: &House<D>) -> Answer {
        let now = Timestamp::now();
        // What has our name must be ours.
        let found = self.file.find(false)?;
        self.found(found, house);
        if self.file.size() == 0 {
            self.clock.begin(now);
            return Ok(Vec::new());
        }
        self.mend_line()?;
        self.flush_old(house);
        let (old, archive) = self.file.put_away(now)?;
        self.switch(house);
        // The names, too.
        self.flusher.flush_silently();
        self.clock.begin(now);
        let bytes = old.size();
        drop(old);
        house.clerk.put_away(&house.stream, &self.file.place, &archive, bytes);
        self.turned(Some(archive.clone()), bytes, why);
        house.keeper.iter().for_each(|keeper| keeper.look_at(&self.file.place));
        Ok(vec![Archived { file: self.file.path().to_owned(), archive, bytes }])
    }
}
