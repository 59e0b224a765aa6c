//! How an output goes on in a new file: put away by us, or taken away by others.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::disk::Disk;
use super::file::{OutputFile, Refusal};
use super::mount::Now;
use crate::archive::{archive_path, aside};
use crate::error::io_reason;

/// Names that are tried when archives stand in the way. Each is a microsecond later than the one before.
const NAMES: u32 = 1000;

/// What stands under the name of the output.
#[derive(Debug)]
pub enum Found<D: Disk> {
    /// Our file.
    Ours,
    /// Our file, from which bytes were taken (`copytruncate`). It had so many.
    Shrunk(u64),
    /// Another one, which is open and locked now; and what was done to ours, as the audit trail calls it.
    Other(Box<OutputFile<D>>, &'static str),
}

impl<D: Disk> OutputFile<D> {
    /// Whether nobody will look for our file under its name, nor anywhere else: the name leads elsewhere, and the file
    /// has no other name, or its folder is not there any more, or a signal (`asked`) says so.
    #[must_use]
    pub fn is_left(&self, asked: bool) -> bool {
        match self.disk.stat(&self.path) {
            Ok(there) if there.id == self.id => return false,
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return false,
            _ => {}
        }
        asked
            || self.disk.stat_of(&self.file).is_ok_and(|ours| ours.links == 0)
            || !matches!(self.mount.look(&*self.disk), Ok(Now::Same))
    }

    /// Looks whether the name still leads to our file, and opens what stands there when it does not. `asked`: by a
    /// signal, which counts as the cause.
    ///
    /// # Errors
    /// Why nothing can be written there; the end of a sentence.
    pub fn find(&mut self, asked: bool) -> Result<Found<D>, String> {
        match self.disk.stat(&self.path) {
            Ok(there) if there.id == self.id => {
                let had = std::mem::replace(&mut self.size, there.size);
                return Ok(if there.size < had { Found::Shrunk(had) } else { Found::Ours });
            }
            Ok(_) => {}
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(e) => return Err(io_reason(&e)),
        }
        let why = match self.mount.look(&*self.disk)? {
            Now::Same if !asked => match self.disk.stat_of(&self.file) {
                Ok(ours) if ours.links == 0 => "removed",
                _ => "renamed",
            },
            _ => "reopened",
        };
        match Self::attempt(Arc::clone(&self.disk), &self.path, self.is_linked()) {
            Ok(mut other) => {
                other.before = Some(self.id);
                Ok(Found::Other(Box::new(other), why))
            }
            Err(refusal) => Err(refusal.reason()),
        }
    }

    /// Puts the file away and goes on in a new one, which has the name and our lock before anybody can see it. The old
    /// one is still open in what is returned, with the name that it has now.
    ///
    /// The new file is made and locked beside the old one, then the two change names at once, then the old one gets its
    /// archive name. After each step a collector that is killed leaves what the next start can go on with. Where the
    /// file system cannot change two names at once there is a moment without the file.
    ///
    /// # Errors
    /// The end of a sentence. The output is as it was: it can be written to.
    pub fn put_away(&mut self, now: Timestamp) -> Result<(Self, PathBuf), String> {
        let reason = |e: io::Error| io_reason(&e);
        self.clear_away(now, false)?;
        let aside = aside(&self.place);
        let made = self.disk.create(&aside).map_err(reason)?;
        let fresh = Self::locked(Arc::clone(&self.disk), self.path.clone(), self.place.clone(), made, true);
        let turned = fresh.map_err(|refusal: Refusal| refusal.reason()).and_then(|fresh| {
            let archive = match self.disk.swap(&aside, &self.place) {
                Ok(()) => self.name_archive(&aside, now).inspect_err(|_| {
                    let _ = self.disk.swap(&aside, &self.place);
                }),
                Err(e) if e.kind() == io::ErrorKind::Unsupported => {
                    self.name_archive(&self.place, now).and_then(|archive| {
                        let named = self.disk.rename(&aside, &self.place);
                        named.map(|()| archive.clone()).inspect_err(|_| {
                            let _ = self.disk.rename(&archive, &self.place);
                        })
                    })
                }
                Err(e) => Err(e),
            };
            Ok((fresh, archive.map_err(reason)?))
        });
        // Whatever stands aside now is empty, or the next try goes on with it.
        let (fresh, archive) = turned.inspect_err(|_| drop(self.clear_away(now, false)))?;
        Ok((std::mem::replace(self, fresh), archive))
    }

    /// Finishes a rotation that was interrupted: the new file that never got its name goes; the old one that had lost
    /// its name already becomes an archive. One with bytes is ours when this process wrote it, or when it is `known`:
    /// what a user calls so is left alone.
    ///
    /// # Errors
    /// A sentence: what is in the way.
    pub(super) fn clear_away(&self, now: Timestamp, known: bool) -> Result<(), String> {
        let aside = aside(&self.place);
        let failed = |e: io::Error| format!("what a rotation left, {}: {}", aside.display(), io_reason(&e));
        let foreign = |why: &str| Err(format!("{} is in the way: {why}", aside.display()));
        if self.disk.link(&aside).map_err(failed)?.is_some() {
            return foreign("it is a symbolic link");
        }
        let left = match self.disk.stat(&aside) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            left => left.map_err(failed)?,
        };
        if let Some(what) = left.unusual {
            return foreign(&format!("it is {what}"));
        }
        if !left.own {
            return foreign("it belongs to another user");
        }
        if left.size > 0 && !known && left.id != self.id && Some(left.id) != self.before {
            return foreign("it has bytes that reclog did not put there");
        }
        // Our own file is locked already.
        let held = if left.id == self.id { None } else { Some(self.disk.open(&aside).map_err(failed)?) };
        match held.as_ref().map_or(Ok(()), |file| self.disk.lock(file)) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return foreign("another program has it locked"),
            locked => locked.map_err(failed)?,
        }
        if left.size == 0 || left.links > 1 && self.disk.is_archive(&self.place, left.id).map_err(failed)? {
            return self.disk.unlink(&aside).map_err(failed);
        }
        self.name_archive(&aside, now).map(drop).map_err(failed)
    }

    /// Gives `from` the name of an archive that is later than all others.
    fn name_archive(&self, from: &Path, now: Timestamp) -> io::Result<PathBuf> {
        let step = SignedDuration::from_micros(1);
        let after = |t: Timestamp| t.checked_add(step).map_err(|_| io::Error::from(io::ErrorKind::InvalidInput));
        let mut at = match self.disk.newest(&self.place)? {
            Some(newest) if newest >= now => after(newest)?,
            _ => now,
        };
        for _ in 0..NAMES {
            let archive = archive_path(&self.place, at);
            match self.disk.rename(from, &archive) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => at = after(at)?,
                other => return other.map(|()| archive),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}
