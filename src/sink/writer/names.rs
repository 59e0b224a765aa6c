//! What a writer does when its file goes on under another name, or without one.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::{LOOK, Writer};
use crate::error::io_reason;
use crate::plan::Sync;
use crate::sink::batch::Batch;
use crate::sink::disk::Disk;
use crate::sink::file::OutputFile;
use crate::sink::keeper::Keeper;
use crate::sink::orders::{Answer, Archived};
use crate::sink::rotation;
use crate::sink::turn::Found;

/// The pause between two tries to put the file away; it is written to meanwhile.
const RETRY_ROTATION: Duration = Duration::from_secs(1);

impl<D: Disk> Writer<D> {
    /// The file refuses bytes, for the reason `why`, in the middle of a record: the one of `batch` that has `at`. If it
    /// has lost its name for good there is no sense in waiting for it. Then the output goes on in the file that has the
    /// name now, and the place in `batch` is returned from which: the beginning of the record, for no file shall begin
    /// with half of one.
    pub(super) fn leave(&mut self, batch: &Batch, at: usize, why: String) -> Result<usize, String> {
        if batch.is_end(at, self.lines) {
            return Err(why);
        }
        let now = Instant::now();
        if self.asked || !self.wanted.is_empty() || now >= self.look {
            self.look = now + LOOK;
            self.no_way_on = None;
            if self.file.is_left(self.asked) {
                match self.file.find(self.asked) {
                    Ok(found) => {
                        self.asked = false;
                        let left = matches!(found, Found::Other(..));
                        self.found(found);
                        if left {
                            let begin = batch.end_before(0, at, self.lines);
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
    pub(super) fn found(&mut self, found: Found<D>) {
        match found {
            Found::Ours => {}
            Found::Shrunk(had) => {
                self.mend = self.lines && self.file.ends_in_mid_line();
                self.turned(None, had, "truncated");
            }
            Found::Other(new, why) => {
                let old = self.go_on(*new);
                self.mend = self.lines && self.file.ends_in_mid_line();
                if self.keeper.is_some() && old.place != self.file.place {
                    self.keep_elsewhere();
                }
                self.turned(None, old.size(), why);
                self.clock.begin(Timestamp::now());
            }
        }
    }

    /// The archives lie elsewhere from now on: the path is a link that leads somewhere else.
    fn keep_elsewhere(&mut self) {
        let (stream, trail) = (&self.voice.stream, self.voice.trail.clone());
        match Keeper::start(&self.file.place, &self.rotate, stream, trail) {
            Ok(keeper) => self.keeper = Some(keeper),
            Err(e) => self.voice.warn(&format!("cannot look after the archives: {}", io_reason(&e))),
        }
    }

    /// Goes on in `new`. What the old one has is forced to the disk first.
    fn go_on(&mut self, new: OutputFile<D>) -> OutputFile<D> {
        self.flush_old();
        let old = std::mem::replace(&mut self.file, new);
        self.switch();
        old
    }

    /// `file` is another one now. What a failed flush has left of the old one is not made safe by those of the new one.
    fn switch(&self) {
        if self.flusher.switch(&self.file) && self.mode == Sync::Always {
            self.queue.unproven();
        }
    }

    /// `synced` stays 0 until the end when nobody asked for flushes.
    fn flush_old(&self) {
        if self.mode == Sync::Never {
            self.flusher.flush_silently();
        } else {
            self.flusher.flush();
        }
    }

    fn turned(&mut self, archive: Option<PathBuf>, bytes: u64, why: &str) {
        self.ledger.rotated(self.file.size());
        self.ledger.set_rotate_trouble(None);
        self.voice.turned(archive, bytes, why);
    }

    /// Puts the file away if somebody wants it, it is full, or it is time. A rotation that cannot be done does not hold
    /// up the writing.
    pub(super) fn put_away_if_due(&mut self) {
        let due = self.clock.due(Timestamp::now());
        let why = if !self.wanted.is_empty() {
            "command"
        } else if rotation::is_full(self.rotate.size, self.file.size()) {
            "size"
        } else if due {
            "time"
        } else {
            return;
        };
        let now = Instant::now();
        if why != "command" && self.patience.is_some_and(|until| now < until) {
            return;
        }
        let answer = self.put_away(why);
        self.patience = match &answer {
            Ok(_) => None,
            Err(reason) => {
                let sentence = format!("cannot put {} away: {reason}; it grows", self.file.path().display());
                if self.ledger.counts().rotate_trouble.as_ref() != Some(&sentence) {
                    tracing::warn!("{sentence}");
                }
                self.ledger.set_rotate_trouble(Some(sentence));
                self.look = now;
                Some(now + if self.retry.is_zero() { self.retry } else { RETRY_ROTATION })
            }
        };
        for wanted in self.wanted.drain(..) {
            let _ = wanted.send(answer.clone());
        }
    }

    fn put_away(&mut self, why: &str) -> Answer {
        let now = Timestamp::now();
        // What has our name must be ours.
        let found = self.file.find(false)?;
        self.found(found);
        if self.file.size() == 0 {
            self.clock.begin(now);
            return Ok(None);
        }
        self.mend_line()?;
        self.flush_old();
        let (old, archive) = self.file.put_away(now)?;
        self.switch();
        // The names, too.
        self.flusher.flush_silently();
        self.clock.begin(now);
        let bytes = old.size();
        drop(old);
        self.turned(Some(archive.clone()), bytes, why);
        self.keeper.iter().for_each(Keeper::archived);
        Ok(Some(Archived { archive, bytes }))
    }
}
