//! fsync, in the writer's thread or beside it, so that a slow disk flush does not hold up the writing.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::disk::Disk;
use super::file::{OutputFile, folder};
use super::pulse::Pulse;
use crate::error::io_reason;
use crate::ledger::Page;

/// The time between two flushes of a file that grows (`--sync interval`).
const INTERVAL: Duration = Duration::from_secs(1);

/// Flushes a file of an output, and what takes its place; one flush at a time: of two at once the one that hears of lost pages might
/// not be the one that is believed.
#[derive(Debug)]
pub struct Flusher<D: Disk> {
    disk: Arc<D>,
    page: Page,
    /// Something was written since the last flush [when needed](Self::flush_if_dirty).
    dirty: AtomicBool,
    /// `None`: it is closed.
    current: Mutex<Option<Current<D>>>,
}

/// Those of all files that an output has open.
pub type Flushers<D> = Arc<Mutex<Vec<Arc<Flusher<D>>>>>;

#[derive(Debug)]
struct Current<D: Disk> {
    file: Arc<D::File>,
    folder: PathBuf,
    /// The file's name survives a power cut.
    named: bool,
}

impl<D: Disk> Current<D> {
    fn of(file: &OutputFile<D>) -> Self {
        Self { file: Arc::clone(&file.file), folder: folder(&file.place).to_owned(), named: file.named }
    }
}

impl<D: Disk> Flusher<D> {
    /// For `file`; `page` is told what a completed flush covers.
    pub fn new(file: &OutputFile<D>, page: Page) -> Self {
        let current = Mutex::new(Some(Current::of(file)));
        Self { disk: Arc::clone(&file.disk), page, dirty: AtomicBool::new(false), current }
    }

    /// The books of the file.
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// Something was written.
    pub fn wrote(&self) {
        self.dirty.store(true, Ordering::Release);
    }

    /// Flushes the file and, when it is new, its name; enters what that covers: all that was stored before it began.
    /// Returns whether that is safe now.
    pub fn flush(&self) -> bool {
        self.run(true)
    }

    /// As [`flush`](Self::flush), if something was written since the last time.
    pub fn flush_if_dirty(&self) {
        if self.dirty.swap(false, Ordering::AcqRel) {
            self.flush();
        }
    }

    /// As [`flush`](Self::flush), if it is `needed`. Returns whether it was not, or all is safe now.
    pub fn flush_if(&self, needed: bool) -> bool {
        !needed || self.flush()
    }

    /// Flushes the file without entering it. A failure is entered all the same. Returns whether it is safe now.
    pub fn flush_silently(&self) -> bool {
        self.run(false)
    }

    fn run(&self, enter: bool) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // It was flushed when it was closed.
        let Some(current) = &mut *current else { return true };
        let covered = self.page.stored_so_far();
        let mut synced = self.disk.sync(&current.file);
        if synced.is_ok() && !current.named {
            synced = self.disk.sync_folder(&current.folder);
            current.named = synced.is_ok();
            if let Err(e) = synced {
                // The bytes are safe and the name is not yet: the next flush tries again.
                tracing::warn!("cannot force the folder {} to the disk: {}", current.folder.display(), io_reason(&e));
                return false;
            }
        }
        match synced {
            Ok(()) if enter => self.page.synced(covered),
            Ok(()) => !self.page.is_broken(),
            // After a failed fsync the kernel may have dropped the pages: later success proves nothing about them.
            Err(e) => {
                self.page.sync_failed(io_reason(&e));
                false
            }
        }
    }

    /// The output goes on in `file`; the old one was flushed. Returns whether that had failed.
    #[must_use]
    pub fn switch(&self, file: &OutputFile<D>) -> bool {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Some(Current::of(file));
        self.page.new_file()
    }

    /// Lets go of the file, which was flushed: `flushed` says how that went.
    pub fn close(&self, flushed: bool) {
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.page.close(flushed);
    }
}

/// A thread that flushes once a second while there is something new.
#[derive(Debug)]
pub struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    flags: Mutex<Flags>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Flags {
    dirty: bool,
    stop: bool,
}

impl Syncer {
    /// Starts the thread. It works for the output of `pulse`, whose writer may have to wait for a flush.
    pub fn start<D: Disk>(flushers: Flushers<D>, pulse: Arc<Pulse>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("reclog-sync".into()).spawn(move || {
            pulse.adopt();
            theirs.run(&flushers);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Something was written.
    pub fn dirty(&self) {
        let mut flags = self.shared.flags.lock().unwrap_or_else(PoisonError::into_inner);
        if !flags.dirty {
            flags.dirty = true;
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.flags.lock().unwrap_or_else(PoisonError::into_inner).stop = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn run<D: Disk>(&self, flushers: &Flushers<D>) {
        let mut flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            flags = self.changed.wait_while(flags, |f| !f.dirty && !f.stop).unwrap_or_else(PoisonError::into_inner);
            flags =
                self.changed.wait_timeout_while(flags, INTERVAL, |f| !f.stop).unwrap_or_else(PoisonError::into_inner).0;
            if flags.stop {
                return;
            }
            flags.dirty = false;
            drop(flags);
            let all = flushers.lock().unwrap_or_else(PoisonError::into_inner).clone();
            for flusher in all {
                flusher.flush_if_dirty();
            }
            flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}
