//! Where figures are fetched: one HTTP answer a connection, so few at once and so many a second that nobody else notices.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, lookup_host};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::answers::Figures;
use crate::error::{Error, Result, io_reason};
use crate::plan::MetricsPlace;
use crate::socket::Socket;

/// Clients at once: some scrapers and a person. One more takes the place of whoever is there longest, so that clients which say nothing
/// keep nobody out.
pub const MAX_CLIENTS: usize = 32;
/// The time between two clients, when more than [`BURST`] come at once: 200 a second cost a hundredth of a processor.
const PACE: Duration = Duration::from_millis(5);
/// Clients that may come without a pause.
const BURST: u32 = 20;
/// A client has sent its question within this time.
const QUESTION: Duration = Duration::from_secs(5);
/// And has read the answer within this time.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of a question, header fields and all.
const LONGEST_QUESTION: usize = 16 * 1024;
/// The pause after the system refused a connection for lack of descriptors, and between two tries to open the door again.
const BREATH: Duration = Duration::from_millis(250);
/// How often it is looked whether a Unix socket still has its name.
const LOOK: Duration = Duration::from_secs(1);

/// What is known about a door from outside. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sign(Arc<Mutex<Written>>);

#[derive(Debug)]
struct Written {
    place: String,
    trouble: Option<String>,
}

impl Sign {
    fn new(place: &MetricsPlace) -> Self {
        Self(Arc::new(Mutex::new(Written { place: place.to_string(), trouble: None })))
    }

    fn lock(&self) -> MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it is, as in a profile.
    #[must_use]
    pub fn place(&self) -> String {
        self.lock().place.clone()
    }

    /// Why nobody gets in, a sentence.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    fn set(&self, trouble: Option<String>) {
        self.lock().trouble = trouble;
    }
}

/// A door that nobody attends yet.
#[derive(Debug)]
pub struct Door {
    place: MetricsPlace,
    /// Or the end of a sentence that says why it is not open.
    bound: Result<Bound, String>,
    sign: Sign,
}

#[derive(Debug)]
enum Bound {
    /// One an address.
    Tcp(Vec<TcpListener>),
    Unix(Socket),
}

/// A door that is attended. Dropped, it is shut, its clients are gone and so is the file of its socket.
#[derive(Debug)]
pub struct Attended(JoinHandle<()>);

impl Drop for Attended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Attended {
    /// Shuts the door; then it is shut.
    pub async fn shut(mut self) {
        self.0.abort();
        let _ = (&mut self.0).await;
    }
}

impl Door {
    /// Opens a door at `place`; port 0 lets the system choose.
    ///
    /// # Errors
    /// When the port or path is taken, or is not to be had.
    pub async fn open(place: &MetricsPlace) -> Result<Self> {
        let (bound, place) = open(place).await?;
        Ok(Self { sign: Sign::new(&place), place, bound: Ok(bound) })
    }

    /// As [`open`](Self::open), for a collector that goes on without it: what cannot be opened now is as soon as that is possible.
    pub async fn open_in_time(place: &MetricsPlace) -> Self {
        match Self::open(place).await {
            Ok(door) => door,
            Err(error) => Self { sign: Sign::new(place), bound: Err(reason(place, &error)), place: place.clone() },
        }
    }

    /// What is known about it, now and later.
    #[must_use]
    pub fn sign(&self) -> Sign {
        self.sign.clone()
    }

    /// Answers with `figures`. A door that is broken open or taken away is made anew as soon as that is possible; its sign says so until
    /// then.
    #[must_use]
    pub fn attend(self, figures: Figures) -> Attended {
        let Self { place, mut bound, sign } = self;
        Attended(tokio::spawn(async move {
            let mut clients = Clients::default();
            loop {
                let mut why = match bound {
                    Ok(bound) => bound.attend(&mut clients, &figures).await,
                    Err(why) => why,
                };
                bound = loop {
                    let sentence = format!("metrics are not served at {place}: {why}");
                    if sign.trouble().as_ref() != Some(&sentence) {
                        tracing::warn!("{sentence}");
                        sign.set(Some(sentence));
                    }
                    sleep(BREATH).await;
                    match open(&place).await {
                        Ok((bound, _)) => break Ok(bound),
                        Err(error) => why = reason(&place, &error),
                    }
                };
                tracing::info!("metrics are served at {place} again");
                sign.set(None);
            }
        }))
    }
}

/// The end of the sentence of `error`, which says what could not be done.
fn reason(place: &MetricsPlace, error: &Error) -> String {
    let message = &error.message;
    message.strip_prefix(&format!("cannot serve metrics at {place}: ")).unwrap_or(message).to_owned()
}

/// With it comes the place with the port that was chosen.
async fn open(place: &MetricsPlace) -> Result<(Bound, MetricsPlace)> {
    let (bind, wanted) = match place {
        MetricsPlace::Unix(path) => return Ok((Bound::Unix(Socket::open(path).await?), place.clone())),
        MetricsPlace::Tcp { bind, port } => (bind.as_str(), *port),
    };
    let failed = |e: io::Error| {
        let error = Error::failed(format!("cannot serve metrics at {place}: {}", io_reason(&e)));
        match e.kind() {
            io::ErrorKind::AddrInUse => error.hint("another program has this port; `ss -lntp` shows which"),
            io::ErrorKind::PermissionDenied => error.hint("ports below 1024 need root; choose a higher one"),
            io::ErrorKind::AddrNotAvailable => error.hint("no interface of this machine has that address"),
            _ => error,
        }
    };
    let mut port = wanted;
    let mut doors = Vec::new();
    if bind == "*" {
        // One socket for both families; a machine without IPv6 has the other.
        let both = [SocketAddr::from(([0_u16; 8], port)), SocketAddr::from(([0_u8; 4], port))];
        doors.push(TcpListener::bind(&both[..]).await.map_err(failed)?);
    } else {
        for mut address in lookup_host((bind, port)).await.map_err(failed)? {
            address.set_port(port);
            let door = TcpListener::bind(address).await.map_err(failed)?;
            port = door.local_addr().map_err(failed)?.port();
            doors.push(door);
        }
    }
    let first = doors.first().ok_or_else(|| failed(io::ErrorKind::AddrNotAvailable.into()))?;
    let port = first.local_addr().map_err(failed)?.port();
    Ok((Bound::Tcp(doors), MetricsPlace::Tcp { bind: bind.to_owned(), port }))
}

impl Bound {
    /// Lets clients in until that makes no sense any more: the end of a sentence that says why.
    async fn attend(&self, clients: &mut Clients, figures: &Figures) -> String {
        loop {
            let accepted = match self {
                Self::Tcp(doors) => next(doors).await.map(|stream| clients.enter(stream, figures)),
                Self::Unix(socket) => match timeout(LOOK, socket.accept()).await {
                    Ok(accepted) => accepted.map(|stream| clients.enter(stream, figures)),
                    Err(_) if socket.has_its_name() => continue,
                    Err(_) => return "the socket has lost its name".into(),
                },
            };
            match accepted {
                Ok(()) => clients.breathe().await,
                Err(e) if passes(&e) => sleep(BREATH).await,
                Err(e) => return io_reason(&e),
            }
        }
    }
}

/// The next connection of any of `doors`.
async fn next(doors: &[TcpListener]) -> io::Result<tokio::net::TcpStream> {
    poll_fn(|context| {
        let ready = doors.iter().find_map(|door| match door.poll_accept(context) {
            Poll::Ready(accepted) => Some(accepted.map(|(stream, _)| stream)),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
    .await
}

/// Whether the next connection may be accepted all the same (accept(2)).
fn passes(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let for_good = [Errno::INVAL, Errno::BADF, Errno::NOTSOCK, Errno::OPNOTSUPP];
    !Errno::from_io_error(error).is_some_and(|errno| for_good.contains(&errno))
}

/// Who is in.
#[derive(Debug, Default)]
struct Clients {
    tasks: JoinSet<()>,
    /// Whoever is there longest first.
    order: VecDeque<AbortHandle>,
    /// Of whoever came last, had all come as fast as they may for long.
    last: Option<Instant>,
}

impl Clients {
    fn enter(&mut self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, figures: &Figures) {
        while self.tasks.try_join_next().is_some() {}
        self.order.retain(|client| !client.is_finished());
        if self.order.len() >= MAX_CLIENTS
            && let Some(oldest) = self.order.pop_front()
        {
            oldest.abort();
        }
        let figures = figures.clone();
        let client = self.tasks.spawn(async move {
            let answer = service_fn(move |request| {
                let answer = figures.answer(&request);
                async move { Ok::<_, std::convert::Infallible>(answer) }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(QUESTION)
                .max_buf_size(LONGEST_QUESTION)
                .keep_alive(false)
                .serve_connection(TokioIo::new(stream), answer);
            match timeout(QUESTION + ANSWER, served).await {
                Ok(Ok(())) => {}
                Ok(Err(e)) => tracing::debug!("metrics client: {e}"),
                Err(_) => tracing::debug!("metrics client: it does not read its answer"),
            }
        });
        self.order.push_back(client);
    }

    /// Waits until the next one may come.
    async fn breathe(&mut self) {
        let now = Instant::now();
        let quiet = now.checked_sub(PACE * BURST).unwrap_or(now);
        let last = self.last.map_or(quiet, |last| (last + PACE).max(quiet));
        self.last = Some(last);
        if last > now {
            sleep_until(last).await;
        }
    }
}

#[cfg(test)]
#[path = "door_tests.rs"]
mod tests;
