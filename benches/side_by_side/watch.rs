//! When bytes stand in the file.

use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};

use super::Fallible;
use super::stop::{interrupted, wait_for};

/// A file that has not grown for so long will not grow any more. Far above every delay of the network (a lost SYN is
/// sent again after one second, and after three).
const STALL: Duration = Duration::from_secs(10);

/// No single run takes longer; the longest (4 GiB through the slowest side) needs about 20 s on two free cores.
pub const LIMIT: Duration = Duration::from_secs(240);

/// Waits until the file has `length` bytes and says when that was seen; for a file that stops growing before, when it
/// last grew. Looks about every millisecond: for times of 50 ms and more.
pub fn until_length(path: &Path, length: u64) -> Fallible<Instant> {
    let mut seen = 0;
    let mut grew = Instant::now();
    wait_for("the bytes in the file", LIMIT, || {
        let now = fs::metadata(path)?.len();
        if now != seen {
            seen = now;
            grew = Instant::now();
        }
        Ok((seen >= length || grew.elapsed() > STALL).then_some(grew))
    })
}

/// Learns of every write to a file within some ten microseconds and without using the processor meanwhile: a poller
/// that spins would take one of the cores that are measured.
#[derive(Debug)]
pub struct Observer {
    events: OwnedFd,
    file: File,
}

impl Observer {
    /// Watches this file, which exists.
    pub fn new(path: &Path) -> Fallible<Self> {
        let events = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        inotify::add_watch(&events, path, WatchFlags::MODIFY)?;
        Ok(Self { events, file: File::open(path)? })
    }

    /// Bytes in the file.
    pub fn length(&self) -> Fallible<u64> {
        Ok(self.file.metadata()?.len())
    }

    /// Waits for the next write, at most a tenth of a second.
    pub fn next_write(&self) -> Fallible<()> {
        let mut ready = [PollFd::new(&self.events, PollFlags::IN)];
        poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 100_000_000 }))?;
        // What was written and how often is in the length; the events only need to go.
        let mut buffer = [0; 4096];
        while rustix::io::read(&self.events, &mut buffer).is_ok_and(|read| read > 0) {}
        Ok(())
    }

    /// When the file reached each of these lengths, in rising order; shorter when it stopped growing before.
    pub fn arrivals(&self, lengths: &[u64]) -> Fallible<Vec<Instant>> {
        let mut times = Vec::with_capacity(lengths.len());
        let mut last = Instant::now();
        while times.len() < lengths.len() && last.elapsed() < STALL {
            if interrupted() {
                return Err("interrupted".into());
            }
            let length = self.length()?;
            let now = Instant::now();
            while lengths.get(times.len()).is_some_and(|&end| end <= length) {
                times.push(now);
                last = now;
            }
            if times.len() < lengths.len() {
                self.next_write()?;
            }
        }
        Ok(times)
    }
}
