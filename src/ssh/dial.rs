//! Opening a TCP connection in time: all addresses of a name, a head start each.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::settings::{Family, Settings};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::plan::bracketed;

/// The head start that one address has before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);
/// The pause between attempts (`ConnectionAttempts`); ssh's own.
const BETWEEN_ATTEMPTS: Duration = Duration::from_secs(1);

/// Connects to the host of `settings`; each of its `ConnectionAttempts` has the whole deadline.
///
/// # Errors
/// Names host, port and reason; of several addresses the first one's.
pub async fn dial(settings: &Settings) -> Result<TcpStream> {
    let mut left = settings.connection_attempts;
    loop {
        left = left.saturating_sub(1);
        match attempt(settings).await {
            Err(error) if left > 0 => {
                tracing::debug!("{error}; trying again");
                sleep(BETWEEN_ATTEMPTS).await;
            }
            done => return done,
        }
    }
}

async fn attempt(settings: &Settings) -> Result<TcpStream> {
    let Settings { host, port, connect_timeout, family, bind_address, .. } = settings;
    let place = format!("{}:{port}", escape_str(&bracketed(host)));
    let attempt = async {
        let addresses = look_up(host, *port, *family).await.map_err(|why| {
            Error::failed(format!("cannot find the host {}: {why}", escape_str(host)))
                .hint("check the name; `getent hosts NAME` asks the same question")
        })?;
        let ours = match bind_address {
            None => Vec::new(),
            Some(name) => look_up(name, 0, *family).await.map_err(|why| {
                Error::failed(format!("cannot connect to {place} from {}: {why}", escape_str(name)))
                    .hint("BindAddress names an address of this machine")
            })?,
        };
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

/// `ours`: where to connect from; empty: wherever the system likes.
async fn connect_first(addresses: Vec<SocketAddr>, ours: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut attempts = JoinSet::new();
    for (index, address) in (0u32..).zip(addresses) {
        let from = ours.iter().find(|a| a.is_ipv4() == address.is_ipv4()).copied();
        let bound = !ours.is_empty();
        attempts.spawn(async move {
            sleep(HEAD_START * index).await;
            (index, connect(address, from, bound).await)
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

async fn connect(address: SocketAddr, from: Option<SocketAddr>, bound: bool) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    match from {
        Some(from) => socket.bind(from)?,
        None if bound => return Err(io::ErrorKind::AddrNotAvailable.into()),
        None => {}
    }
    socket.connect(address).await
}
