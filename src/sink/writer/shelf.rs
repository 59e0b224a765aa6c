//! Many files: opened when a record comes for them, and closed when others are wanted more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;

use super::{Stuck, Writer};
use crate::sink::batch::{Aim, is_same};
use crate::sink::desk::Desk;
use crate::sink::disk::Disk;
use crate::sink::file::{OutputFile, Refusal};

/// Files that one output has open at once, in descriptors. Far more than sites have devices that send in one second; a
/// usual limit of 1,024 leaves room for senders. Beyond it each new file costs the fsync of the one that was idle longest.
pub const OPEN_FILES: usize = 256;
/// Idle files that are looked at in one round: all of them in ten seconds.
const LOOKS: usize = OPEN_FILES / 20 + 1;

impl<D: Disk> Writer<D> {
    /// Makes the file of `aim` the current one, opens it if need be.
    pub(super) fn desk_of(&mut self, aim: &Aim) -> Result<(), Stuck> {
        if self.desks.get(self.current).is_some_and(|desk| is_same(&desk.aim, aim)) {
            return Ok(());
        }
        let Some(on) = self.disk.clone() else { return Ok(()) };
        let Some(path) = aim else {
            // Whoever hands records over names one.
            return Err(Stuck { why: "no file is named for a record".into(), at: Some(PathBuf::new()) });
        };
        self.turns += 1;
        let by_name = |desk: &Desk<D>| desk.aim.as_ref().is_some_and(|aim| aim.as_os_str() == path.as_os_str());
        let known = self.desks.iter().position(|desk| is_same(&desk.aim, aim));
        self.current = match known.or_else(|| self.desks.iter().position(by_name)) {
            Some(known) => known,
            None => self.open(&on, path)?,
        };
        let desk = &mut self.desks[self.current];
        (desk.aim, desk.used) = (Some(Arc::clone(path)), self.turns);
        Ok(())
    }

    /// Opens the file at `path`, and closes others if there is no room. Returns the place of its desk.
    fn open(&mut self, on: &Arc<D>, path: &Path) -> Result<usize, Stuck> {
        if self.desks.len() >= self.open_files {
            self.close_one();
        }
        loop {
            // A look at its name and the flush of its folder need some descriptors more, for a moment, as this does.
            let opened = OutputFile::open_or_refuse(on, path).and_then(|file| match on.stat(path) {
                Err(e) if is_out_of_descriptors(&e) => Err(Refusal::Io(e)),
                _ => Ok(file),
            });
            match opened {
                Ok(file) => {
                    self.desks.push(Desk::new(file, None, &self.house));
                    return Ok(self.desks.len() - 1);
                }
                // Senders may have taken the descriptors.
                Err(Refusal::Io(e)) if is_out_of_descriptors(&e) && !self.desks.is_empty() => self.close_one(),
                Err(refusal) => return Err(Stuck { why: refusal.reason(), at: Some(path.to_path_buf()) }),
            }
        }
    }

    /// Closes the file that was not used for the longest time.
    fn close_one(&mut self) {
        let oldest = (0..self.desks.len()).min_by_key(|at| self.desks[*at].used);
        if let Some(at) = oldest {
            self.close(at);
        }
    }

    fn close(&mut self, at: usize) {
        self.desks.swap_remove(at).close(&self.house);
        // Whichever is there now: it is looked for anew.
        self.current = usize::MAX;
    }

    /// Nobody writes: rotations that are due, and a look at some of the files. One that has lost its name is let go of, and
    /// made anew with the next record: whoever clears old folders away shall not find them there again.
    pub(super) fn look_around(&mut self) {
        self.put_away_if_due();
        let asked = self.desks.iter().any(|desk| desk.asked);
        for _ in 0..if asked { self.desks.len() } else { LOOKS.min(self.desks.len()) } {
            self.looked = if self.looked + 1 < self.desks.len() { self.looked + 1 } else { 0 };
            let Some(desk) = self.desks.get_mut(self.looked) else { return };
            desk.asked = false;
            desk.look_at_space();
            if let Some(why) = desk.lost() {
                desk.let_go(why, &self.house);
                self.close(self.looked);
            }
        }
    }
}

fn is_out_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}
