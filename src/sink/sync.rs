//! fsync beside the writer, so that a slow disk flush does not hold up the writing.

use std::fs::File;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::io_reason;
use crate::ledger::StreamLedger;

/// The time between two flushes of a file that grows (`--sync interval`).
const INTERVAL: Duration = Duration::from_secs(1);

/// A thread that flushes one file once a second while there is something new.
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
    /// Starts the thread for `file`; `ledger` is told what a completed flush covers.
    pub fn start(file: File, ledger: StreamLedger) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let theirs = Arc::clone(&shared);
        let thread =
            std::thread::Builder::new().name("reclog-sync".into()).spawn(move || theirs.run(&file, &ledger))?;
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
    fn run(&self, file: &File, ledger: &StreamLedger) {
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
            sync(file, ledger);
            flags = self.flags.lock().unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Flushes `file` to the disk and enters into `ledger` what that covers: all that was stored before it began.
pub fn sync(file: &File, ledger: &StreamLedger) {
    let covered = ledger.stored_so_far();
    match file.sync_data() {
        Ok(()) => ledger.synced(covered),
        Err(e) => {
            // After a failed fsync the kernel may have dropped the pages: later success proves nothing about them.
            ledger.sync_failed(io_reason(&e));
        }
    }
}
