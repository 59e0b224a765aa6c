//! Waiting for a descriptor that takes nothing.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Waits until `fd` can be written to, is broken, or the time is over.
pub fn writable(fd: impl AsFd, most: Duration) {
    let _ = events(fd, PollFlags::OUT, most);
}

/// Waits for `wanted` or trouble; what there is.
pub fn events(fd: impl AsFd, wanted: PollFlags, most: Duration) -> io::Result<PollFlags> {
    let mut fds = [PollFd::new(&fd, wanted)];
    let most = Timespec::try_from(most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 });
    poll(&mut fds, Some(&most))?;
    Ok(fds[0].revents())
}
