//! Where browsers come in: so many connections at once, each with deadlines for what it asks and for what it takes.

use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::admit::Admission;
use super::places::{Connection, Connections};
use crate::error::{Error, Result, io_reason};
use crate::socket::Socket;

/// Connections at once. One more takes the place of whoever asks nothing for the longest time.
const MOST: usize = 1024;
/// A question is there within this time, and the next one of the same connection; and a handshake of TLS is done.
const QUESTION: Duration = Duration::from_secs(10);
/// Whoever takes nothing of an answer for so long is gone. A page goes on where it was.
const ANSWER: Duration = Duration::from_secs(60);
/// Bytes of a question's header fields.
const LONGEST_QUESTION: usize = 16 * 1024;
/// The pause after the system had no connection to give.
const BREATH: Duration = Duration::from_millis(100);
/// The first byte of TLS: a record of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// What is said to whoever speaks plain HTTP where TLS is spoken.
const PLAIN: &[u8] =
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n\
this place speaks TLS: write https:// in front\n";

/// Descriptors that this process may have. Half of them are for files and collectors.
fn descriptors() -> usize {
    use rustix::process::{Resource, getrlimit};
    let limit = getrlimit(Resource::Nofile).current;
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX)
}

/// A place to listen at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// An address of this machine.
    Tcp(SocketAddr),
    /// A Unix socket.
    Unix(PathBuf),
}

/// An open place.
pub enum Bound {
    /// On TCP.
    Tcp(TcpListener),
    /// On a Unix socket.
    Unix(Socket),
}

impl Bound {
    /// Opens `place`.
    ///
    /// # Errors
    /// When it is taken, or not to be had.
    pub async fn open(place: &Place) -> Result<Self> {
        match place {
            Place::Unix(path) => Socket::open(path).await.map(Self::Unix),
            Place::Tcp(address) => TcpListener::bind(address).await.map(Self::Tcp).map_err(|e| {
                let error = Error::failed(format!("cannot listen on {address}: {}", io_reason(&e)));
                match e.kind() {
                    io::ErrorKind::AddrInUse => {
                        error.hint("another program has this port; `--listen 127.0.0.1:0` takes a free one")
                    }
                    _ => error,
                }
            }),
        }
    }

    /// The port that was chosen.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Lets people in until `stop`, which ends what is open, too.
    pub async fn attend(self, admission: Admission, tls: Option<TlsAcceptor>, stop: CancellationToken) {
        let (admission, connections) = (Arc::new(admission), Connections::new(MOST.min(descriptors() / 2)));
        loop {
            // Before accepting: who waits costs the kernel little and us nothing.
            let come = async {
                connections.room().await;
                match &self {
                    Self::Tcp(listener) => listener.accept().await.map(|(stream, from)| Come::Tcp(stream, from.ip())),
                    Self::Unix(socket) => socket.accept().await.map(Come::Unix),
                }
            };
            let come = tokio::select! {
                come = come => come,
                () = stop.cancelled() => return,
            };
            match come {
                Ok(come) => {
                    let (connection, stop) = (connections.enter(), stop.clone());
                    drop(tokio::spawn(welcome(come, connection, Arc::clone(&admission), tls.clone(), stop)));
                }
                Err(_) => sleep(BREATH).await,
            }
        }
    }
}

/// Somebody who has come.
enum Come {
    Tcp(TcpStream, IpAddr),
    Unix(tokio::net::UnixStream),
}

trait Stream: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Stream for T {}
type Wire = Box<dyn Stream + Unpin>;

async fn welcome(
    come: Come,
    connection: Connection,
    admission: Arc<Admission>,
    tls: Option<TlsAcceptor>,
    stop: CancellationToken,
) {
    let gone = connection.gone.clone();
    let serve = async {
        let (wire, from): (Wire, _) = match come {
            Come::Unix(stream) => (Box::new(stream), None),
            Come::Tcp(stream, from) => {
                let _ = stream.set_nodelay(true);
                match tls {
                    None => (Box::new(stream), Some(from)),
                    Some(tls) => match timeout(QUESTION, shake_hands(stream, &tls)).await {
                        Ok(Some(wire)) => (wire, Some(from)),
                        _ => return,
                    },
                }
            }
        };
        converse(wire, from, connection, admission).await;
    };
    tokio::select! {
        () = serve => {}
        () = gone.cancelled() => {}
        () = stop.cancelled() => {}
    }
}

async fn shake_hands(mut stream: TcpStream, tls: &TlsAcceptor) -> Option<Wire> {
    let mut first = [0];
    if stream.peek(&mut first).await.ok()? == 1 && first[0] != HANDSHAKE {
        let _ = stream.write_all(PLAIN).await;
        return None;
    }
    Some(Box::new(tls.accept(stream).await.ok()?))
}

async fn converse(wire: Wire, from: Option<IpAddr>, connection: Connection, admission: Arc<Admission>) {
    let connection = Arc::new(connection);
    let answer = service_fn(move |request: hyper::Request<Incoming>| {
        // What a form brings may come slowly: whoever sends one gives way as one who asks nothing.
        let busy = (request.method() != Method::POST).then(|| connection.busy());
        let admission = Arc::clone(&admission);
        async move { Ok::<_, Infallible>(admission.respond(request.map(Body::new), from, busy).await) }
    });
    let mut wire = TimeoutStream::new(wire);
    wire.set_write_timeout(Some(ANSWER));
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(QUESTION)
        .max_buf_size(LONGEST_QUESTION)
        .serve_connection(TokioIo::new(Box::pin(wire)), answer)
        .await;
}
