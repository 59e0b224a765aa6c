//! What ends the waiting of the one loop beside its connection and its input: someone wants it to stop, or a connection is made.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use rustix::pipe::{PipeFlags, pipe_with};

/// One pipe with a flag. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Wake(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    stop: AtomicU8,
    read: OwnedFd,
    write: OwnedFd,
}

/// Who wants the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A person: Ctrl-C.
    Person = 1,
    /// A service manager: SIGTERM.
    Manager = 2,
}

impl Wake {
    /// Nobody wants anything yet.
    ///
    /// # Errors
    /// When there is no pipe to be had.
    pub fn new() -> io::Result<Self> {
        let (read, write) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        Ok(Self(Arc::new(Inner { stop: AtomicU8::new(0), read, write })))
    }

    /// Asks for the end.
    pub fn stop(&self, who: Stop) {
        self.0.stop.store(who as u8, Ordering::Release);
        self.wake();
    }

    /// Ends the waiting.
    pub fn wake(&self) {
        // A full pipe wakes as well.
        let _ = rustix::io::write(&self.0.write, &[0]);
    }

    /// Whether the end is wanted.
    #[must_use]
    pub fn stopped(&self) -> Option<Stop> {
        match self.0.stop.load(Ordering::Acquire) {
            0 => None,
            1 => Some(Stop::Person),
            _ => Some(Stop::Manager),
        }
    }

    /// Readable when somebody has called.
    #[must_use]
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.0.read.as_fd()
    }

    /// Forgets the calls so far.
    pub fn clear(&self) {
        let mut buffer = [0; 64];
        while rustix::io::read(&self.0.read, &mut buffer).is_ok_and(|n| n == buffer.len()) {}
    }
}
