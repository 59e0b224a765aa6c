//! The wire below SSH: tuned, counted.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Phase;
use super::brake::Brake;

/// The receive buffer while we renew the keys under load; see [`super::rekey`].
const SMALL_BUFFER: usize = 128 * 1024;

/// Sets what a connection that is to live for months needs; a system without an option goes without.
pub fn tune(stream: &TcpStream, dead_after: Option<Duration>, receive_buffer: Option<usize>) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_keepalive(true);
    if let Some(bytes) = receive_buffer {
        let _ = socket.set_recv_buffer_size(bytes);
    }
    #[cfg(target_os = "linux")]
    if let Some(dead_after) = dead_after {
        // Unacknowledged bytes of ours are given up after this, not after the system's quarter of an hour.
        let _ = socket.set_tcp_user_timeout(Some(dead_after));
    }
    #[cfg(not(target_os = "linux"))]
    let _ = dead_after;
}

/// What the wrapper tells the handler, which never sees the socket.
#[derive(Debug)]
pub struct Meter {
    read: AtomicU64,
    written: AtomicU64,
    caught_up: AtomicBool,
    socket: Option<OwnedFd>,
    software: OnceLock<String>,
    /// Whether anything is read at all.
    pub brake: Brake,
    begin: Instant,
    /// When something was read last, in milliseconds since `begin`.
    heard: AtomicU64,
}

impl Meter {
    /// Of a wire that has read nothing yet.
    pub(super) fn new(socket: Option<OwnedFd>) -> Self {
        Self {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            caught_up: AtomicBool::new(true),
            socket,
            software: OnceLock::new(),
            brake: Brake::default(),
            begin: Instant::now(),
            heard: AtomicU64::new(0),
        }
    }

    /// When something was read last, or the brake let go.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.begin + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }

    /// The server lives, or could not be heard until now.
    pub fn heard_now(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(now, Ordering::Relaxed);
    }

    /// Bytes that came.
    #[must_use]
    pub fn bytes_read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Bytes of the busier direction.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.read.load(Ordering::Relaxed).max(self.written.load(Ordering::Relaxed))
    }

    /// Whether the last read emptied the receive buffer.
    #[must_use]
    pub fn caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    /// What the server calls itself, `OpenSSH_9.2p1 Debian-2` of `SSH-2.0-OpenSSH_9.2p1 Debian-2`: a stranger's text. Empty
    /// before it has said so.
    #[must_use]
    pub fn software(&self) -> &str {
        self.software.get().map_or("", String::as_str)
    }

    /// Our address, where the wire is a socket.
    #[must_use]
    pub fn local_address(&self) -> Option<SocketAddr> {
        SockRef::from(self.socket.as_ref()?).local_addr().ok()?.as_socket()
    }

    /// The address that was dialed, where the wire is a socket.
    #[must_use]
    pub fn peer_address(&self) -> Option<SocketAddr> {
        SockRef::from(self.socket.as_ref()?).peer_addr().ok()?.as_socket()
    }

    /// Makes the receive buffer small from now on.
    pub fn shrink(&self) {
        if let Some(socket) = &self.socket {
            let _ = SockRef::from(socket).set_recv_buffer_size(SMALL_BUFFER);
        }
    }
}

/// What carries the bytes of a connection.
pub enum Wire {
    /// A socket of ours.
    Tcp(TcpStream),
    /// A tunnel through another connection, or a program.
    Tunnel(Box<dyn Tunnel>),
}

/// Anything that bytes go through both ways.
pub trait Tunnel: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Tunnel for T {}

impl Wire {
    fn half(&mut self) -> Pin<&mut dyn Tunnel> {
        match self {
            Self::Tcp(stream) => Pin::new(stream),
            Self::Tunnel(tunnel) => Pin::new(tunnel.as_mut()),
        }
    }
}

/// The wire as the library sees it.
pub struct Metered {
    stream: Wire,
    meter: Arc<Meter>,
    phase: watch::Sender<Phase>,
    banner: Banner,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Looking for the end of the server's identification, the line that begins with `SSH-` (RFC 4253, section 4.2).
#[derive(Debug)]
enum Banner {
    LineStart(usize),
    InOther,
    /// What follows `SSH-` so far.
    Name(Vec<u8>),
    Seen,
}

/// The longest identification there may be (RFC 4253, section 4.2).
const LONGEST_NAME: usize = 255;

impl Metered {
    /// Wraps `stream`; `phase` moves to [`Phase::KeyExchange`] when the server has identified itself. `kill` makes
    /// every read and write fail: a loop that waits for the server in the middle of a key exchange ends by nothing else.
    #[must_use]
    pub fn new(stream: Wire, phase: watch::Sender<Phase>, kill: &CancellationToken) -> (Self, Arc<Meter>) {
        use std::os::fd::AsFd;
        let socket = match &stream {
            Wire::Tcp(stream) => stream.as_fd().try_clone_to_owned().ok(),
            Wire::Tunnel(_) => None,
        };
        let meter = Arc::new(Meter::new(socket));
        (
            Self {
                stream,
                meter: Arc::clone(&meter),
                phase,
                banner: Banner::LineStart(0),
                killed: Box::pin(kill.clone().cancelled_owned()),
            },
            meter,
        )
    }

    /// Also makes sure that whoever waits for the wire hears of the end.
    fn check_killed(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        match self.killed.as_mut().poll(cx) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }

    fn look_for_banner(&mut self, bytes: &[u8]) {
        const START: &[u8] = b"SSH-";
        for b in bytes {
            self.banner = match std::mem::replace(&mut self.banner, Banner::Seen) {
                Banner::Seen => return,
                Banner::Name(mut name) => {
                    if *b != b'\n' && name.len() < LONGEST_NAME {
                        name.push(*b);
                        Banner::Name(name)
                    } else {
                        let name = String::from_utf8_lossy(&name);
                        // The version of the protocol comes first.
                        let software = name.trim_end().split_once('-').map_or("", |(_, software)| software);
                        let _ = self.meter.software.set(software.to_owned());
                        self.phase.send_replace(Phase::KeyExchange);
                        Banner::Seen
                    }
                }
                _ if *b == b'\n' => Banner::LineStart(0),
                Banner::LineStart(n) if START.get(n) == Some(b) && n + 1 == START.len() => Banner::Name(Vec::new()),
                Banner::LineStart(n) if START.get(n) == Some(b) => Banner::LineStart(n + 1),
                Banner::LineStart(_) | Banner::InOther => Banner::InOther,
            };
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_killed(cx)?;
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(self.stream.half().poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.meter.read.fetch_add(read as u64, Ordering::Relaxed);
        self.meter.heard_now();
        self.meter.caught_up.store(read < room, Ordering::Relaxed);
        // sshd leaves Nagle on for forwards and waits for our delayed ACK; Linux forgets QUICKACK after each use. In the
        // middle of a stream the ACKs come by themselves.
        #[cfg(target_os = "linux")]
        if read < room
            && let Wire::Tcp(stream) = &self.stream
        {
            let _ = rustix::net::sockopt::set_tcp_quickack(stream, true);
        }
        if !matches!(self.banner, Banner::Seen) {
            let bytes = buf.filled()[before..].to_vec();
            self.look_for_banner(&bytes);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Metered {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check_killed(cx)?;
        let n = ready!(self.stream.half().poll_write(cx, bytes))?;
        self.meter.written.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.half().poll_flush(cx)
    }

    /// Whoever is gone need not be told, and the library would take the trouble for the reason of the end.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.check_killed(cx).is_ok() {
            let _ = ready!(self.stream.half().poll_shutdown(cx));
        }
        Poll::Ready(Ok(()))
    }
}
