//! A syslog daemon, which takes messages as datagrams or counted in a stream.

use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::{Duct, Gone, Put, TICK, wait};
use crate::error::io_reason;
use crate::plan::{Daemon, bracketed};
use crate::sink::Batch;
use crate::syslog::format;

/// How long one address of a daemon may take for a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes that are made ready for one write to a stream; a message that is longer is written all the same.
const PIECE: usize = 64 * 1024;
/// How long a port that nobody listens to has for saying so, after the first datagram.
const REFUSAL: Duration = Duration::from_millis(50);
/// What was sent is taken by then, or the daemon hangs.
const DEAD: Duration = Duration::from_secs(30);
/// Datagrams in one go.
const BURST: usize = 256;

/// See the module.
#[derive(Debug)]
pub struct Link {
    daemon: Daemon,
    line: Option<Line>,
    /// Which address of the name is tried first: for datagrams any can be connected to, and only a refusal tells that
    /// nobody is there.
    turn: usize,
}

#[derive(Debug)]
enum Line {
    Udp {
        socket: UdpSocket,
        /// Nothing was sent before.
        fresh: bool,
    },
    Datagrams(UnixDatagram),
    Stream(Stream),
}

/// A stream, and the messages that are on their way into it.
#[derive(Debug)]
struct Stream {
    socket: Socket,
    /// Counted octets; else LF ends a message.
    counted: bool,
    frames: Vec<u8>,
    sent: usize,
    /// Where each message of `frames` ends there, and its record in the batch.
    ends: Vec<(usize, usize)>,
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Link {
    /// To this daemon.
    pub fn new(daemon: &Daemon) -> Self {
        Self { daemon: daemon.clone(), line: None, turn: 0 }
    }

    /// Nobody is there.
    fn drop_line(&mut self) {
        if matches!(self.line.take(), Some(Line::Udp { .. })) {
            self.turn = self.turn.wrapping_add(1);
        }
    }
}

/// `of` a connection is tried with every address of the name, in turn, beginning with the one of that number.
fn first<T>(
    (host, port): (&str, u16),
    turn: usize,
    of: impl Fn(std::net::SocketAddr) -> io::Result<T>,
) -> Result<T, String> {
    let place = format!("{}:{port}", bracketed(host));
    let found = (host, port).to_socket_addrs().map_err(|e| format!("cannot find {host}: {}", io_reason(&e)))?;
    let mut found: Vec<_> = found.collect();
    let count = found.len().max(1);
    found.rotate_left(turn % count);
    let mut why = format!("{host} has no address");
    for address in found {
        match of(address) {
            Ok(there) => return Ok(there),
            Err(e) => why = format!("{place}: {}", io_reason(&e)),
        }
    }
    Err(why)
}

fn udp(address: std::net::SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" })?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn tcp(address: std::net::SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, CONNECT)?;
    #[cfg(target_os = "linux")]
    socket2::SockRef::from(&stream).set_tcp_user_timeout(Some(DEAD))?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

impl Duct for Link {
    fn open(&mut self) -> Result<(), String> {
        self.line = None;
        let at_path = |path: &std::path::Path, e: &io::Error| format!("{}: {}", path.display(), io_reason(e));
        self.line = Some(match &self.daemon {
            Daemon::Udp(host, port) => Line::Udp { socket: first((host, *port), self.turn, udp)?, fresh: true },
            Daemon::Tcp(host, port) => Line::Stream(Stream::new(Socket::Tcp(first((host, *port), 0, tcp)?), true)),
            Daemon::Unix(path) => {
                let connected = UnixDatagram::unbound().and_then(|socket| {
                    socket.connect(path)?;
                    socket.set_nonblocking(true)?;
                    Ok(socket)
                });
                match connected {
                    Ok(socket) => Line::Datagrams(socket),
                    // The daemon wants a stream.
                    Err(e) if e.raw_os_error() == Some(rustix::io::Errno::PROTOTYPE.raw_os_error()) => {
                        let stream = UnixStream::connect(path).map_err(|e| at_path(path, &e))?;
                        stream.set_nonblocking(true).map_err(|e| at_path(path, &e))?;
                        Line::Stream(Stream::new(Socket::Unix(stream), false))
                    }
                    Err(e) => return Err(at_path(path, &e)),
                }
            }
        });
        Ok(())
    }

    fn put(&mut self, batch: &Batch, at: usize) -> Result<Put, Gone> {
        let put = match &mut self.line {
            None => Err(Gone::because("it is not connected")),
            Some(Line::Stream(stream)) => stream.put(batch, at),
            Some(Line::Datagrams(socket)) => datagrams(socket.as_fd(), batch, at, BURST, |text| socket.send(text)),
            Some(Line::Udp { socket, fresh }) => {
                let most = if *fresh { 1 } else { BURST };
                let put = datagrams(socket.as_fd(), batch, at, most, |text| socket.send(text));
                match put {
                    Ok(Put::To(to)) if to > at && std::mem::take(fresh) => refusal(socket, at).map(|()| Put::To(to)),
                    put => put,
                }
            }
        };
        if put.is_err() {
            self.drop_line();
        }
        put
    }

    fn gone(&mut self) -> Option<Gone> {
        let gone = match &mut self.line {
            Some(Line::Stream(stream)) => stream.gone(),
            Some(Line::Udp { socket, .. }) => socket.take_error().ok().flatten().map(|e| Gone::because(io_reason(&e))),
            _ => None,
        };
        if gone.is_some() {
            self.drop_line();
        }
        gone
    }

    fn finish(&mut self, _side: bool, hurry: &dyn Fn() -> bool) -> Result<(), String> {
        // What a daemon has not taken from a stream when that is closed may be thrown away.
        if let Some(Line::Stream(stream)) = &mut self.line {
            stream.socket.shut();
            let begun = Instant::now();
            while stream.gone().is_none() && !hurry() && begun.elapsed() < CONNECT {
                let _ = wait::events(stream.socket.as_fd(), PollFlags::IN, TICK);
            }
        }
        self.line = None;
        Ok(())
    }
}

/// The record of `batch` at `at` without its line end, and where it ends.
fn record(batch: &Batch, at: usize) -> (&[u8], usize) {
    let end = batch.end_after(at + 1, true);
    let text = &batch.bytes()[at..end];
    (text.strip_suffix(b"\n").unwrap_or(text), end)
}

/// Sends up to `most` records, one a datagram.
fn datagrams(
    fd: BorrowedFd<'_>,
    batch: &Batch,
    mut at: usize,
    most: usize,
    send: impl Fn(&[u8]) -> io::Result<usize>,
) -> Result<Put, Gone> {
    let begin = at;
    for _ in 0..most {
        if at >= batch.len() {
            break;
        }
        let (text, end) = record(batch, at);
        match send(text) {
            Ok(_) => at = end,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if is(&e, rustix::io::Errno::MSGSIZE) && at == begin => return Ok(Put::TooLong(end)),
            Err(e) if is(&e, rustix::io::Errno::MSGSIZE) => break,
            Err(e) if e.kind() == io::ErrorKind::WouldBlock || is(&e, rustix::io::Errno::NOBUFS) => {
                if at == begin {
                    wait::writable(fd, TICK);
                }
                break;
            }
            Err(e) => return Err(Gone::because(io_reason(&e)).after(at)),
        }
    }
    Ok(Put::To(at))
}

fn is(error: &io::Error, number: rustix::io::Errno) -> bool {
    error.raw_os_error() == Some(number.raw_os_error())
}

/// Waits a moment for the word that nobody listens there: then the first datagram, which began `at`, is nowhere.
fn refusal(socket: &UdpSocket, at: usize) -> Result<(), Gone> {
    let _ = wait::events(socket, PollFlags::IN, REFUSAL);
    match socket.take_error() {
        Ok(Some(e)) | Err(e) => Err(Gone::because(io_reason(&e)).after(at)),
        Ok(None) => Ok(()),
    }
}

impl Stream {
    fn new(socket: Socket, counted: bool) -> Self {
        Self { socket, counted, frames: Vec::new(), sent: 0, ends: Vec::new() }
    }

    fn put(&mut self, batch: &Batch, at: usize) -> Result<Put, Gone> {
        if self.frames.is_empty() {
            self.frame(batch, at);
        }
        let gone = |stream: &Self, why: &str| Gone::because(why).after(stream.whole(at));
        match self.socket.write(&self.frames[self.sent..]) {
            Ok(0) => Err(gone(self, "it takes nothing more")),
            Ok(n) => {
                self.sent += n;
                let whole = self.whole(at);
                if self.sent == self.frames.len() {
                    (self.sent, self.frames) = (0, Vec::new());
                    self.ends.clear();
                }
                // Else the rest of the frames is written first.
                Ok(Put::To(if self.frames.is_empty() { whole } else { at }))
            }
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(Put::To(at)),
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                wait::writable(self.socket.as_fd(), TICK);
                match self.gone() {
                    Some(ended) => Err(ended.after(self.whole(at))),
                    None => Ok(Put::To(at)),
                }
            }
            Err(e) => Err(gone(self, &io_reason(&e))),
        }
    }

    /// Makes the next messages ready.
    fn frame(&mut self, batch: &Batch, mut at: usize) {
        while at < batch.len() && self.frames.len() < PIECE {
            let (text, end) = record(batch, at);
            if self.counted {
                self.frames.extend_from_slice(format::octet_count(text).as_bytes());
                self.frames.extend_from_slice(text);
            } else {
                // A line end would begin another message.
                self.frames.extend(text.iter().map(|b| if *b == b'\n' { b' ' } else { *b }));
                self.frames.push(b'\n');
            }
            self.ends.push((self.frames.len(), end));
            at = end;
        }
    }

    /// Up to where the records are sent whole.
    fn whole(&self, at: usize) -> usize {
        let sent = self.ends.partition_point(|(end, _)| *end <= self.sent);
        if sent == 0 { at } else { self.ends[sent - 1].1 }
    }

    /// Whether the daemon has ended it; what it says is nothing to us.
    fn gone(&mut self) -> Option<Gone> {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Some(Gone::because("the daemon has closed the connection")),
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return None,
                Err(e) => return Some(Gone::because(io_reason(&e))),
            }
        }
    }
}

impl Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }

    fn shut(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn datagrams_find_the_daemon_behind_any_address_of_its_name() {
        let all: Vec<_> = ("localhost", 0).to_socket_addrs().unwrap().collect();
        for address in &all {
            let Ok(there) = UdpSocket::bind(address) else { continue };
            there.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            let mut link = Link::new(&Daemon::Udp("localhost".into(), there.local_addr().unwrap().port()));
            let mut batch = Batch::default();
            batch.payload(b"one\n");
            let mut put = || link.open().is_ok() && link.put(&batch, 0) == Ok(Put::To(4));
            assert!((0..all.len()).any(|_| put()), "{address}");
            let mut text = [0; 8];
            let n = there.recv(&mut text).unwrap_or_else(|e| panic!("{address} of {all:?}: {e}"));
            assert_eq!(&text[..n], b"one");
        }
    }
}
