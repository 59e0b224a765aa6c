//! The TCP socket below SSH: opened in time, tuned, counted.

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
use tokio::task::JoinSet;

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::Phase;
use crate::error::{Error, Result, io_reason};
use crate::plan::bracketed;

/// The head start that one address has before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The receive buffer while we renew the keys under load; see [`super::rekey`].
const SMALL_BUFFER: usize = 128 * 1024;

/// Connects to `host`, trying its addresses in turn with a head start each. One deadline for name and connection.
///
/// # Errors
/// Names host, port and reason; of several addresses the first one's.
pub async fn dial(host: &str, port: u16, deadline: Duration) -> Result<TcpStream> {
    let place = format!("{}:{port}", bracketed(host));
    let attempt = async {
        let addresses: Vec<SocketAddr> = match tokio::net::lookup_host((host, port)).await {
            Ok(found) => found.collect(),
            Err(e) => {
                return Err(Error::failed(format!("cannot find the host {host}: {}", resolve_reason(&e)))
                    .hint("check the name; `getent hosts NAME` asks the same question"));
            }
        };
        connect_first(addresses).await.map_err(|e| {
            let error = Error::failed(format!("cannot connect to {place}: {}", io_reason(&e)));
            match e.kind() {
                io::ErrorKind::ConnectionRefused => error.hint("no SSH server listens there; is the port right (-p)?"),
                _ => error,
            }
        })
    };
    match tokio::time::timeout(deadline, attempt).await {
        Ok(result) => result,
        Err(_) => Err(Error::failed(format!(
            "cannot connect to {place}: no answer within {} s (phase: connect)",
            deadline.as_secs()
        ))
        .hint("a firewall may drop the packets, or the machine is down")),
    }
}

/// The words of getaddrinfo without Rust's wrapping.
fn resolve_reason(error: &io::Error) -> String {
    let text = io_reason(error);
    text.strip_prefix("failed to lookup address information: ").map_or(text.clone(), str::to_owned)
}

async fn connect_first(addresses: Vec<SocketAddr>) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for (index, address) in (0u32..).zip(addresses) {
        attempts.spawn(async move {
            tokio::time::sleep(HEAD_START * index).await;
            (index, TcpStream::connect(address).await)
        });
    }
    let mut first_error: Option<(u32, io::Error)> = None;
    while let Some(done) = attempts.join_next().await {
        match done {
            Ok((_, Ok(stream))) => return Ok(stream),
            Ok((index, Err(e))) => {
                if first_error.as_ref().is_none_or(|(first, _)| index < *first) {
                    first_error = Some((index, e));
                }
            }
            Err(_) => {}
        }
    }
    Err(first_error.map_or_else(|| io::ErrorKind::AddrNotAvailable.into(), |(_, e)| e))
}

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
    software: OnceLock<String>,
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

    /// What the server calls itself, `OpenSSH_9.2p1 Debian-2` of `SSH-2.0-OpenSSH_9.2p1 Debian-2`: a stranger's text. Empty
    /// before it has said so.
    #[must_use]
    pub fn software(&self) -> &str {
        self.software.get().map_or("", String::as_str)
    }

    /// Makes the receive buffer small from now on.
    pub fn shrink(&self) {
        if let Some(socket) = &self.socket {
            let _ = SockRef::from(socket).set_recv_buffer_size(SMALL_BUFFER);
        }
    }
}

/// The socket as the library sees it.
#[derive(Debug)]
pub struct Metered {
    stream: TcpStream,
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
    /// every read fail: a loop that waits for the server in the middle of a key exchange ends by nothing else.
    #[must_use]
    pub fn new(stream: TcpStream, phase: watch::Sender<Phase>, kill: &CancellationToken) -> (Self, Arc<Meter>) {
        use std::os::fd::AsFd;
        let meter = Arc::new(Meter {
            read: AtomicU64::new(0),
            written: AtomicU64::new(0),
            caught_up: AtomicBool::new(true),
            socket: stream.as_fd().try_clone_to_owned().ok(),
            software: OnceLock::new(),
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
        if self.killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let (before, room) = (buf.filled().len(), buf.remaining());
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        self.meter.read.fetch_add(read as u64, Ordering::Relaxed);
        self.meter.caught_up.store(read < room, Ordering::Relaxed);
        // sshd leaves Nagle on for forwards and waits for our delayed ACK; Linux forgets QUICKACK after each use. In the
        // middle of a stream the ACKs come by themselves.
        #[cfg(target_os = "linux")]
        if read < room {
            let _ = rustix::net::sockopt::set_tcp_quickack(&self.stream, true);
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
        let n = ready!(Pin::new(&mut self.stream).poll_write(cx, bytes))?;
        self.meter.written.fetch_add(n as u64, Ordering::Relaxed);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
