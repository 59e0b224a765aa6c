//! A disk in memory on which any system call fails, stops short, is interrupted, or is the last one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rustix::io::Errno;

use super::disk::{Disk, Stat};
use crate::ledger::StreamLedger;

/// What befalls a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Refused with this error.
    Refused(Errno),
    /// A write takes half of what it was given.
    Short,
    /// The process ends before it.
    Crash,
    /// The process ends after it.
    CrashAfter,
}

/// The process ended.
#[derive(Debug)]
pub struct Crash;

#[derive(Debug, Clone)]
pub struct Fake(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    /// The names that a power cut leaves.
    durable: BTreeMap<PathBuf, usize>,
    handles: usize,
    /// Two names cannot be changed for one another.
    no_swap: bool,
    calls: usize,
    /// From this call on, for so many calls.
    fault: Option<(Fault, usize, usize)>,
    /// Must be true before every call.
    ledger: Option<StreamLedger>,
    ended: bool,
    /// Bytes that may still be written.
    room: Option<usize>,
    /// What somebody removes when the disk is full, to make room.
    removed_when_full: Option<PathBuf>,
    /// This call stops half-way, if it is one that can.
    short: bool,
}

#[derive(Debug, Default)]
struct Inode {
    content: Vec<u8>,
    /// What became of each byte.
    pages: Vec<Page>,
    locked: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Page {
    Dirty,
    Durable,
    /// An fsync that failed has dropped it.
    Dropped,
}

#[derive(Debug)]
pub struct Handle {
    disk: Fake,
    id: usize,
    inode: usize,
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.disk.lock_state();
        let inode = &mut state.inodes[self.inode];
        inode.locked = inode.locked.filter(|id| *id != self.id);
        if !state.names.values().any(|i| *i == self.inode) {
            // Its blocks are free now.
            state.room = None;
        }
    }
}

impl Fake {
    pub fn new(no_swap: bool) -> Self {
        Self(Arc::new(Mutex::new(State { no_swap, ..State::default() })))
    }

    fn lock_state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The call after so many more befalls `fault`, and those after it, `times` in all.
    pub fn plan(&self, fault: Fault, call: usize, times: usize) {
        let mut state = self.lock_state();
        state.fault = Some((fault, call, times));
    }

    pub fn calls(&self) -> usize {
        self.lock_state().calls
    }

    /// The ledger that must be true whenever the disk is called.
    pub fn watch(&self, ledger: &StreamLedger) {
        self.lock_state().ledger = Some(ledger.clone());
    }

    /// Nothing befalls anybody any more.
    pub fn heal(&self) {
        let mut state = self.lock_state();
        (state.fault, state.ledger, state.ended) = (None, None, false);
    }

    /// Somebody renames a file, if it is there.
    pub fn mv(&self, from: &str, to: &str) {
        let mut state = self.lock_state();
        if let Some(inode) = state.names.remove(Path::new(from)) {
            assert!(state.names.insert(to.into(), inode).is_none());
        }
    }

    /// The disk is full after `room` more bytes. Somebody removes the file then, which makes room only when nobody has it
    /// open any more.
    pub fn fill(&self, room: usize, then_remove: &str) {
        let mut state = self.lock_state();
        (state.room, state.removed_when_full) = (Some(room), Some(then_remove.into()));
    }

    /// Only what was forced to the disk is left.
    pub fn power_cut(&self) {
        let mut state = self.lock_state();
        state.names = state.durable.clone();
        for inode in &mut state.inodes {
            let pages = std::mem::take(&mut inode.pages);
            let kept = std::mem::take(&mut inode.content).into_iter().zip(&pages);
            inode.content = kept.filter(|(_, p)| **p == Page::Durable).map(|(b, _)| b).collect();
            inode.pages = vec![Page::Durable; inode.content.len()];
        }
    }

    /// The files that have a name, in the order of their making.
    pub fn files(&self) -> Vec<(PathBuf, Vec<u8>)> {
        let state = self.lock_state();
        let mut all: Vec<_> = state.names.iter().map(|(name, inode)| (*inode, name.clone())).collect();
        all.sort();
        all.into_iter().map(|(inode, name)| (name, state.inodes[inode].content.clone())).collect()
    }

    /// As [`files`](Self::files), of every byte with whether a power cut leaves it.
    pub fn files_and_pages(&self) -> Vec<(PathBuf, Vec<u8>, Vec<bool>)> {
        let files = self.files();
        let state = self.lock_state();
        let pages = |name: &PathBuf| {
            let pages = &state.inodes[state.names[name]].pages;
            pages.iter().map(|page| *page == Page::Durable).collect()
        };
        files.into_iter().map(|(name, content)| (name.clone(), content, pages(&name))).collect()
    }

    /// Whether a fault is planned.
    pub fn is_faulty(&self) -> bool {
        self.lock_state().fault.is_some()
    }

    /// Of every byte in [these](Self::files), whether a power cut leaves it.
    pub fn durable(&self) -> Vec<bool> {
        let state = self.lock_state();
        let mut inodes: Vec<usize> = state.names.values().copied().collect();
        inodes.sort_unstable();
        inodes.into_iter().flat_map(|inode| &state.inodes[inode].pages).map(|page| *page == Page::Durable).collect()
    }

    fn enter<T>(&self, run: impl FnOnce(&mut State, bool) -> io::Result<T>) -> io::Result<T> {
        let mut state = self.lock_state();
        // The writer is dropped after the end of its process; nobody hears of what it does then.
        assert!(!state.ended, "a call after the end");
        state.check();
        state.short = false;
        let call = state.calls;
        state.calls += 1;
        let fault = state.fault.filter(|(_, first, times)| (*first..first + times).contains(&call)).map(|f| f.0);
        let result = match fault {
            Some(Fault::Crash) => {
                state.ended = true;
                drop(state);
                std::panic::resume_unwind(Box::new(Crash))
            }
            Some(Fault::Refused(errno)) => {
                let _ = run(&mut state, false);
                Err(errno.into())
            }
            Some(Fault::Short) => {
                state.short = true;
                run(&mut state, true)
            }
            Some(Fault::CrashAfter) | None => run(&mut state, true),
        };
        if fault == Some(Fault::CrashAfter) {
            state.ended = true;
            drop(state);
            std::panic::resume_unwind(Box::new(Crash));
        }
        result
    }
}

impl State {
    fn check(&self) {
        let Some(ledger) = &self.ledger else { return };
        let ledger = ledger.counts().ledger;
        let kept = ledger.stored + ledger.pending + ledger.discarded.values().sum::<u64>();
        assert_eq!(ledger.received, kept, "{ledger:?}");
        let mut named: Vec<usize> = self.durable.values().copied().collect();
        named.sort_unstable();
        named.dedup();
        let durable = |i: &usize| self.inodes[*i].pages.iter().filter(|p| **p == Page::Durable).count() as u64;
        let survive: u64 = named.iter().map(durable).sum();
        assert!(ledger.synced <= survive, "{ledger:?}, and a power cut leaves {survive}");
    }

    fn find(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| Errno::NOENT.into())
    }

    fn stat(&self, inode: usize) -> Stat {
        let links = self.names.values().filter(|i| **i == inode).count() as u64;
        let size = self.inodes[inode].content.len() as u64;
        Stat { id: (1, inode as u64 + 10), size, links, modified: Timestamp::UNIX_EPOCH, own: true, unusual: None }
    }
}

/// Only the error matters of a call that is refused.
fn only(really: bool) -> io::Result<()> {
    if really { Ok(()) } else { Err(Errno::IO.into()) }
}

impl Disk for Fake {
    type File = Handle;

    fn create(&self, path: &Path) -> io::Result<Handle> {
        let (id, inode) = self.enter(|s, really| {
            if s.names.contains_key(path) {
                return Err(Errno::EXIST.into());
            }
            only(really)?;
            s.inodes.push(Inode::default());
            s.names.insert(path.to_owned(), s.inodes.len() - 1);
            s.handles += 1;
            Ok((s.handles, s.inodes.len() - 1))
        })?;
        Ok(Handle { disk: self.clone(), id, inode })
    }

    fn open(&self, path: &Path) -> io::Result<Handle> {
        let (id, inode) = self.enter(|s, _| {
            s.handles += 1;
            Ok((s.handles, s.find(path)?))
        })?;
        Ok(Handle { disk: self.clone(), id, inode })
    }

    fn lock(&self, file: &Handle) -> io::Result<()> {
        self.enter(|s, really| {
            only(really)?;
            let locked = &mut s.inodes[file.inode].locked;
            match *locked {
                Some(id) if id != file.id => Err(Errno::WOULDBLOCK.into()),
                _ => {
                    *locked = Some(file.id);
                    Ok(())
                }
            }
        })
    }

    fn write(&self, file: &Handle, bytes: &[u8]) -> io::Result<usize> {
        self.enter(|s, really| {
            only(really)?;
            let mut n = if s.short { bytes.len().div_ceil(2) } else { bytes.len() };
            if let Some(room) = &mut s.room {
                n = n.min(*room);
                *room -= n;
                if n == 0 {
                    if let Some(name) = s.removed_when_full.take() {
                        s.names.remove(&name);
                    }
                    return Err(Errno::NOSPC.into());
                }
            }
            let inode = &mut s.inodes[file.inode];
            assert_eq!(inode.locked, Some(file.id), "written without the lock");
            inode.content.extend_from_slice(&bytes[..n]);
            inode.pages.resize(inode.content.len(), Page::Dirty);
            Ok(n)
        })
    }

    fn sync(&self, file: &Handle) -> io::Result<()> {
        self.enter(|s, really| {
            for page in s.inodes[file.inode].pages.iter_mut().filter(|p| **p == Page::Dirty) {
                *page = if really { Page::Durable } else { Page::Dropped };
            }
            only(really)
        })
    }

    fn sync_folder(&self, _folder: &Path) -> io::Result<()> {
        self.enter(|s, really| {
            if really {
                s.durable = s.names.clone();
            }
            only(really)
        })
    }

    fn stat_of(&self, file: &Handle) -> io::Result<Stat> {
        self.enter(|s, really| only(really).map(|()| s.stat(file.inode)))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.enter(|s, _| match path.to_str() {
            Some("/d" | "/") => {
                let folder = Some("a folder");
                Ok(Stat { id: (1, 1), size: 0, links: 1, modified: Timestamp::UNIX_EPOCH, own: true, unusual: folder })
            }
            _ => s.find(path).map(|inode| s.stat(inode)),
        })
    }

    fn link(&self, _path: &Path) -> io::Result<Option<PathBuf>> {
        self.enter(|_, _| Ok(None))
    }

    fn free(&self, _file: &Handle) -> io::Result<u64> {
        self.enter(|_, _| Ok(u64::MAX))
    }

    fn last_byte(&self, path: &Path) -> io::Result<u8> {
        self.enter(|s, _| Ok(*s.inodes[s.find(path)?].content.last().expect("not empty")))
    }

    fn swap(&self, one: &Path, other: &Path) -> io::Result<()> {
        self.enter(|s, really| {
            if s.no_swap {
                return Err(io::ErrorKind::Unsupported.into());
            }
            let (a, b) = (s.find(one)?, s.find(other)?);
            if really {
                s.names.insert(one.to_owned(), b);
                s.names.insert(other.to_owned(), a);
            }
            only(really)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.enter(|s, really| {
            let inode = s.find(from)?;
            if s.names.contains_key(to) {
                return Err(Errno::EXIST.into());
            }
            if really {
                s.names.remove(from);
                s.names.insert(to.to_owned(), inode);
            }
            only(really)
        })
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        self.enter(|s, really| {
            let inode = s.find(path)?;
            assert!(s.inodes[inode].content.is_empty(), "{path:?} has bytes");
            if really {
                s.names.remove(path);
            }
            only(really)
        })
    }

    fn is_archive(&self, _file: &Path, _id: (u64, u64)) -> io::Result<bool> {
        self.enter(|_, _| Ok(false))
    }

    fn newest(&self, file: &Path) -> io::Result<Option<Timestamp>> {
        self.enter(|s, _| {
            let prefix = format!("{}.", file.display());
            let stamps = s.names.keys().filter_map(|name| {
                let stamp = name.to_str()?.strip_prefix(&prefix)?;
                let civil = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S%.fZ", stamp).ok()?;
                civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
            });
            Ok(stamps.max())
        })
    }
}
