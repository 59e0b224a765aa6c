//! Opening a TCP connection in time: all addresses of a name, a head start each; and looking whether a server that did not
//! answer does so again.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use super::auth::Memory;
use super::settings::{Family, Proxy, Settings};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::plan::bracketed;

/// The head start that one address has before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The pause between attempts (`ConnectionAttempts`); ssh's own.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// A network that comes back carries the next SYN. The kernel's own would follow ever later (1, 3, 7 s, tcp(7)), so a fresh
/// one goes out so often, from a socket of its own.
const FRESH: Duration = Duration::from_secs(1);
/// Sockets to one address at a time. The first stays, for a way that takes long; of the others the oldest goes.
const MOST_SOCKETS: usize = 4;

/// What an attempt leaves for the next one.
#[derive(Debug, Default)]
pub struct Left(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    /// Where the first host on the way was looked for last: a name server may be away longer than the host.
    addresses: Vec<SocketAddr>,
    /// What [`knock`] was answered with.
    stream: Option<Dialed>,
}

/// A connection that stands.
#[derive(Debug)]
pub struct Dialed {
    pub stream: TcpStream,
    /// From our SYN to the server's: a round trip.
    pub took: Duration,
}

impl Left {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends when the first host on the way to that of `settings` answers, and leaves the connection in `memory` for the attempt
/// that follows. Nothing but TCP: no server sees it before somebody answers. Never ends behind a `ProxyCommand`.
pub async fn knock(settings: &Settings, memory: &Memory) {
    let first = settings.jumps.first().unwrap_or(settings);
    if let Proxy::Command(_) = first.proxy {
        return std::future::pending().await;
    }
    loop {
        let mut known = memory.left.lock().addresses.clone();
        if known.is_empty() {
            known = look_up(&first.host, first.port, first.family).await.unwrap_or_default();
        }
        let mut knocks = JoinSet::new();
        if let Ok(ours) = sources(first).await {
            for address in known {
                let source = Source::of(&ours, address);
                knocks.spawn(async move {
                    loop {
                        if let Ok(stream) = connect(address, source).await {
                            return stream;
                        }
                        sleep(FRESH).await;
                    }
                });
            }
        }
        if let Some(Ok(stream)) = knocks.join_next().await {
            memory.left.lock().stream = Some(stream);
            return;
        }
        sleep(FRESH).await;
    }
}

/// The addresses of the first host on the way to that of `settings`, in the order in which they are tried. `None`: a
/// `ProxyCommand` finds the way.
///
/// # Errors
/// When the name has no address, or the name server says nothing within the deadline.
pub async fn addresses(settings: &Settings) -> Result<Option<Vec<SocketAddr>>> {
    let Settings { host, port, family, connect_timeout, proxy, .. } = settings.jumps.first().unwrap_or(settings);
    if let Proxy::Command(_) = proxy {
        return Ok(None);
    }
    match timeout(*connect_timeout, look_up(host, *port, *family)).await {
        Ok(found) => found.map(Some).map_err(|why| unknown(host, &why)),
        Err(_) => Err(unknown(host, &format!("no answer within {} s", connect_timeout.as_secs()))),
    }
}

/// Connects to every one of `addresses`, which are those of [`addresses`], and says what that took. The first of them
/// that answers is left in `memory` for the attempt that follows.
pub async fn try_each(
    settings: &Settings,
    addresses: &[SocketAddr],
    memory: &Memory,
) -> Vec<(SocketAddr, io::Result<Duration>)> {
    let first = settings.jumps.first().unwrap_or(settings);
    let Ok(ours) = sources(first).await else {
        return addresses.iter().map(|a| (*a, Err(io::ErrorKind::AddrNotAvailable.into()))).collect();
    };
    let mut attempts = JoinSet::new();
    for (index, address) in addresses.iter().copied().enumerate() {
        let (source, limit) = (Source::of(&ours, address), first.connect_timeout);
        attempts.spawn(async move {
            let begun = Instant::now();
            let connected = timeout(limit, connect(address, source)).await;
            let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            (index, address, connected.map(|stream| (stream, begun.elapsed())))
        });
    }
    let mut all = attempts.join_all().await;
    all.sort_by_key(|(index, ..)| *index);
    let each = all.into_iter().map(|(_, address, connected)| match connected {
        Ok((stream, took)) => {
            memory.left.lock().stream.get_or_insert(stream);
            (address, Ok(took))
        }
        Err(e) => (address, Err(e)),
    });
    each.collect()
}

fn unknown(host: &str, why: &str) -> Error {
    Error::failed(format!("cannot find the host {}: {why}", escape_str(host)))
        .hint("check the name; `getent hosts NAME` asks the same question")
}

/// Connects to the host of `settings`; each of its `ConnectionAttempts` has the whole deadline. What [`knock`] left in
/// `memory` is taken first.
///
/// # Errors
/// Names host, port and reason; of several addresses the first one's.
pub async fn dial(settings: &Settings, memory: &Memory) -> Result<Dialed> {
    if let Some(stream) = memory.left.lock().stream.take() {
        return Ok(stream);
    }
    let mut left = settings.connection_attempts;
    loop {
        left = left.saturating_sub(1);
        match attempt(settings, memory).await {
            Err(error) if left > 0 => {
                tracing::debug!("{error}; trying again");
                sleep(BETWEEN_ATTEMPTS).await;
            }
            done => return done,
        }
    }
}

async fn attempt(settings: &Settings, memory: &Memory) -> Result<Dialed> {
    let Settings { host, port, connect_timeout, family, bind_address, .. } = settings;
    let place = format!("{}:{port}", escape_str(&bracketed(host)));
    let attempt = async {
        let addresses = find(host, *port, *family, memory).await.map_err(|why| unknown(host, &why))?;
        let ours = sources(settings).await.map_err(|(name, why)| {
            Error::failed(format!("cannot connect to {place} from {}: {why}", escape_str(name)))
                .hint("BindAddress names an address of this machine")
        })?;
        connect_first(addresses, &ours).await.map_err(|e| {
            let error = Error::failed(format!("cannot connect to {place}: {}", io_reason(&e)));
            match (e.kind(), bind_address) {
                (io::ErrorKind::ConnectionRefused, _) => {
                    error.hint("no SSH server listens there; is the port right (-p)?")
                }
                (io::ErrorKind::AddrNotAvailable, Some(name)) => {
                    error.hint(format!("BindAddress {}: is it an address of this machine?", escape_str(name)))
                }
                _ => error,
            }
        })
    };
    match timeout(*connect_timeout, attempt).await {
        Ok(result) => result,
        Err(_) => Err(Error::failed(format!(
            "cannot connect to {place}: no answer within {} s (phase: connect)",
            connect_timeout.as_secs()
        ))
        .hint("a firewall may drop the packets, or the machine is down")),
    }
}

/// As [`look_up`]; where the name server is silent or does not know at the moment, what it said the last time.
async fn find(host: &str, port: u16, family: Family, memory: &Memory) -> std::result::Result<Vec<SocketAddr>, String> {
    let known = memory.left.lock().addresses.clone();
    let asked = look_up(host, port, family);
    tokio::pin!(asked);
    let found = match timeout(FRESH, &mut asked).await {
        Ok(found) => found,
        Err(_) if known.is_empty() => asked.await,
        Err(_) => Err(String::new()),
    };
    match found {
        Err(_) if !known.is_empty() => Ok(known),
        Err(why) => Err(why),
        Ok(addresses) => {
            memory.left.lock().addresses.clone_from(&addresses);
            Ok(addresses)
        }
    }
}

/// The addresses of a name, those of another family left out. With the error comes the reason alone.
async fn look_up(host: &str, port: u16, family: Family) -> std::result::Result<Vec<SocketAddr>, String> {
    let found = lookup_host((host, port)).await.map_err(|e| {
        // The words of getaddrinfo without Rust's wrapping.
        let text = io_reason(&e);
        text.strip_prefix("failed to lookup address information: ").map_or(text.clone(), str::to_owned)
    })?;
    let of_family = |a: &SocketAddr| match family {
        Family::Any => true,
        Family::Inet => a.is_ipv4(),
        Family::Inet6 => a.is_ipv6(),
    };
    let addresses: Vec<_> = found.filter(of_family).collect();
    match (addresses.is_empty(), family) {
        (false, _) => Ok(addresses),
        (true, Family::Inet) => Err("it has no IPv4 address, and AddressFamily asks for one".into()),
        (true, Family::Inet6) => Err("it has no IPv6 address, and AddressFamily asks for one".into()),
        (true, Family::Any) => Err("it has no address".into()),
    }
}

/// The addresses of ours to connect from; none: whichever the system likes. With the error comes the name.
async fn sources(settings: &Settings) -> std::result::Result<Vec<SocketAddr>, (&str, String)> {
    match &settings.bind_address {
        None => Ok(Vec::new()),
        Some(name) => look_up(name, 0, settings.family).await.map_err(|why| (name.as_str(), why)),
    }
}

/// Where to connect from.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// Wherever the system likes.
    Any,
    /// Here.
    From(SocketAddr),
    /// There is no address of the other one's family.
    Missing,
}

impl Source {
    /// For a connection to `address`.
    fn of(ours: &[SocketAddr], address: SocketAddr) -> Self {
        match ours.iter().find(|a| a.is_ipv4() == address.is_ipv4()) {
            Some(from) => Self::From(*from),
            None if ours.is_empty() => Self::Any,
            None => Self::Missing,
        }
    }
}

async fn connect_first(addresses: Vec<SocketAddr>, ours: &[SocketAddr]) -> io::Result<Dialed> {
    let mut attempts = JoinSet::new();
    for (index, address) in (0u32..).zip(addresses) {
        let source = Source::of(ours, address);
        attempts.spawn(async move {
            sleep(HEAD_START * index).await;
            (index, connect(address, source).await)
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

/// Waits for an answer, yes or no, with a fresh socket now and then.
async fn connect(address: SocketAddr, source: Source) -> io::Result<Dialed> {
    let mut sockets = JoinSet::new();
    let mut younger: VecDeque<AbortHandle> = VecDeque::new();
    sockets.spawn(connect_once(address, source));
    loop {
        let Ok(answer) = timeout(FRESH, sockets.join_next()).await else {
            if younger.len() + 1 == MOST_SOCKETS
                && let Some(oldest) = younger.pop_front()
            {
                oldest.abort();
            }
            younger.push_back(sockets.spawn(connect_once(address, source)));
            continue;
        };
        match answer {
            Some(Ok(answer)) => return answer,
            // One that was given up.
            Some(Err(_)) => {}
            None => return Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

async fn connect_once(address: SocketAddr, source: Source) -> io::Result<Dialed> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    match source {
        Source::From(from) => socket.bind(from)?,
        Source::Missing => return Err(io::ErrorKind::AddrNotAvailable.into()),
        Source::Any => {}
    }
    let begun = Instant::now();
    let stream = socket.connect(address).await?;
    Ok(Dialed { stream, took: begun.elapsed() })
}

#[cfg(test)]
#[path = "dial_tests.rs"]
mod tests;
