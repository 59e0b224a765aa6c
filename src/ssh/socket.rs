//! The wire below SSH: tuned, counted.

use std::io;
use std::os::fd::OwnedFd;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Phase;

/// The receive buffer while we renew the keys under load; see [`super::rekey`].
const SMALL_BUFFER: usize = 128 * 1024;

/// Sets what a connection that is to live for months needs; a system without an option goes without.
pub fn tune(stream: &TcpStream, dead_after: Option<Duration>) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_keepalive(true);
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
}

impl Meter {
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
    Seen,
}

impl Metered {
    /// Wraps `stream`; `phase` moves to [`Phase::KeyExchange`] when the server has identified itself. `kill` makes
    /// every read fail: a loop that waits for the server in the middle of a key exchange ends by nothing else.
    #[must_use]
    pub fn new(stream: Wire, phase: watch::Sender<Phase>, kill: &CancellationToken) -> (Self, Arc<Meter>) {
        use std::os::fd::AsFd;
        let socket = match &stream {
            Wire::Tcp(stream) => stream.as_fd().try_clone_to_owned().ok(),
            Wire::Tunnel(_) => None,
        };
        let meter = Arc::new(Meter {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            caught_up: AtomicBool::new(true),
            socket,
        });
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

    fn look_for_banner(&mut self, bytes: &[u8]) {
        const START: &[u8] = b"SSH-";
        for b in bytes {
            self.banner = match self.banner {
                Banner::Seen => return,
                _ if *b == b'\n' => Banner::LineStart(0),
                Banner::LineStart(n) if START.get(n) == Some(b) && n + 1 == START.len() => {
                    self.phase.send_replace(Phase::KeyExchange);
                    Banner::Seen
                }
                Banner::LineStart(n) if START.get(n) == Some(b) => Banner::LineStart(n + 1),
                Banner::LineStart(_) | Banner::InOther => Banner::InOther,
            };
        }
    }
}

impl AsyncRead for Metered {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(self.stream.half().poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.meter.read.fetch_add(read as u64, Ordering::Relaxed);
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
        let n = ready!(self.stream.half().poll_write(cx, bytes))?;
        self.meter.written.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.half().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.half().poll_shutdown(cx)
    }
}
