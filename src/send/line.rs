//! One connection, and waiting for everything at once.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Instant;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::Wake;
use crate::error::{Error, Result, io_reason};

/// A connection that never blocks.
#[derive(Debug)]
pub struct Line {
    stream: TcpStream,
    /// To be written first.
    out: Vec<u8>,
    written: usize,
    /// Since then.
    pub since: Instant,
}

impl Line {
    /// A new connection, on which the keyword comes first.
    #[must_use]
    pub fn new(stream: TcpStream, keyword: Option<&str>, now: Instant) -> Self {
        let out = keyword.map(|word| format!("{word}\n").into_bytes()).unwrap_or_default();
        Self { stream, out, written: 0, since: now }
    }

    /// Where to append what is to be written.
    pub fn out(&mut self) -> &mut Vec<u8> {
        &mut self.out
    }

    /// Whether all of that is written.
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Writes of it what the connection takes.
    ///
    /// # Errors
    /// Why the connection is gone.
    pub fn flush(&mut self) -> Result<(), String> {
        while self.written < self.out.len() {
            match self.write(self.written) {
                Ok(0) => return Ok(()),
                Ok(n) => self.written += n,
                Err(why) => return Err(why),
            }
        }
        self.out.clear();
        self.written = 0;
        Ok(())
    }

    fn write(&self, from: usize) -> Result<usize, String> {
        self.send(&self.out[from..])
    }

    /// Writes of `bytes` what the connection takes; 0: nothing now.
    ///
    /// # Errors
    /// Why the connection is gone.
    pub fn send(&self, bytes: &[u8]) -> Result<usize, String> {
        loop {
            match (&self.stream).write(bytes) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                result => return result.map_err(|e| io_reason(&e)),
            }
        }
    }

    /// Reads what has come; `None`: nothing now. 0: the other side has closed.
    ///
    /// # Errors
    /// Why the connection is gone.
    pub fn hear(&self, buffer: &mut [u8]) -> Result<Option<usize>, String> {
        loop {
            match (&self.stream).read(buffer) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                result => return result.map(Some).map_err(|e| io_reason(&e)),
            }
        }
    }

    /// Says that no more follows.
    pub fn end(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }
}

/// What is waited for.
pub struct Wants<'a> {
    /// Standard input has something.
    pub input: bool,
    /// The connection has something, or (`true`) takes something.
    pub line: Option<(&'a Line, bool)>,
    /// Not longer than that.
    pub until: Option<Instant>,
}

/// Waits; whether standard input has something.
///
/// # Errors
/// Those of poll(2).
pub fn wait(wake: &Wake, wants: &Wants, now: Instant) -> Result<bool> {
    let mut fds = vec![PollFd::from_borrowed_fd(wake.fd(), PollFlags::IN)];
    if let Some((line, writes)) = wants.line {
        let flags = if writes { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
        fds.push(PollFd::from_borrowed_fd(line.stream.as_fd(), flags));
    }
    if wants.input {
        fds.push(PollFd::from_borrowed_fd(rustix::stdio::stdin(), PollFlags::IN));
    }
    let limit = wants.until.map(|until| until.saturating_duration_since(now));
    let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
    match poll(&mut fds, limit.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(Error::failed(format!("cannot wait for input: {}", io_reason(&e.into())))),
    }
    if !fds[0].revents().is_empty() {
        wake.clear();
    }
    Ok(wants.input && fds.last().is_some_and(|fd| !fd.revents().is_empty()))
}

/// The earlier one.
#[must_use]
pub fn sooner(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
