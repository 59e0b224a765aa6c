//! What is remembered between runs: how far everything is acknowledged.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::slots::Slots;
use super::tail::Place;
use crate::error::{Error, Result, io_reason};
use crate::paths::ensure_private_dir;

/// The folder of one sender.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    slots: Slots,
    state: State,
    /// Something is not stored yet.
    changed: bool,
    /// Held as long as this is there.
    _lock: File,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct State {
    /// `HOST:PORT`.
    target: String,
    /// The place in the spool before which everything is acknowledged.
    spool: u64,
    /// The same for each file that is followed.
    files: BTreeMap<String, Place>,
}

impl Store {
    /// Opens `folder` for `target` and keeps everybody else out.
    ///
    /// # Errors
    /// When it is in use, belongs to another user or target, or cannot be used.
    pub fn open(folder: &Path, target: &str) -> Result<Self> {
        let shown = folder.display();
        let cannot = |e: &io::Error| Error::failed(format!("cannot use the spool {shown}: {}", io_reason(e)));
        ensure_private_dir(folder)?;
        let lock = File::options().create(true).append(true).open(folder.join("lock")).map_err(|e| cannot(&e))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                return Err(Error::failed(format!("another sender uses the spool {shown}"))
                    .hint("--spool DIR gives this one a spool of its own"));
            }
            Err(std::fs::TryLockError::Error(e)) => return Err(cannot(&e)),
        }
        let (slots, payload) = Slots::open(&folder.join("acknowledged")).map_err(|e| cannot(&e))?;
        let changed = payload.is_none();
        let state = match payload {
            None => State { target: target.to_owned(), ..State::default() },
            Some(payload) => serde_json::from_slice(&payload).map_err(|e| cannot(&io::Error::other(e)))?,
        };
        if state.target != target {
            return Err(Error::failed(format!("the spool {shown} is for {}, not for {target}", state.target))
                .hint("--spool DIR gives each target a spool of its own"));
        }
        Ok(Self { folder: folder.to_owned(), slots, state, changed, _lock: lock })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The place in the spool.
    #[must_use]
    pub fn spool(&self) -> u64 {
        self.state.spool
    }

    /// The place in a file.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<Place> {
        self.state.files.get(&key(path)).copied()
    }

    /// Everything in the spool before `place` is acknowledged.
    pub fn spool_is(&mut self, place: u64) {
        self.changed |= self.state.spool != place;
        self.state.spool = place;
    }

    /// Everything in the file before `place` is acknowledged.
    pub fn file_is(&mut self, path: &Path, place: Place) {
        self.changed |= self.state.files.insert(key(path), place) != Some(place);
    }

    /// Stores it, where it has changed.
    ///
    /// # Errors
    /// Those of the file system; what was stored before still is.
    pub fn save(&mut self) -> io::Result<()> {
        if self.changed {
            self.slots.save(&serde_json::to_vec(&self.state).expect("plain data"))?;
            self.changed = false;
        }
        Ok(())
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&self) -> io::Result<()> {
        self.slots.sync()
    }
}

/// A path that is no text keeps its odd bytes apart.
fn key(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    crate::escape::escape(path.as_os_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spool_has_one_sender_and_one_target() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("s");
        let mut store = Store::open(&folder, "a:1").unwrap();
        let error = Store::open(&folder, "a:1").unwrap_err();
        assert!(error.message.starts_with("another sender uses the spool"), "{error}");
        store.spool_is(7);
        store.save().unwrap();
        drop(store);
        let error = Store::open(&folder, "b:1").unwrap_err();
        assert!(error.message.ends_with("is for a:1, not for b:1"), "{error}");
        assert_eq!(Store::open(&folder, "a:1").unwrap().spool(), 7);
    }
}
