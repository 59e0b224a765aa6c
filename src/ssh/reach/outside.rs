//! A connection from outside: from this machine, or from the last hop on the way, to the addresses that senders use.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use russh::client::Handle;
use russh::{ChannelOpenFailure, Error as Ssh};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::verdict::{Attempt, Outside};
use crate::error::io_reason;
use crate::ssh::doors::lookout::{Lookout, Origin};
use crate::ssh::doors::{Sent, nonce};
use crate::ssh::handler::{Guest, Words};
use crate::ssh::routes::wire_address;
use crate::ssh::settings::{Family, Settings};
use crate::ssh::socket::Meter;

/// The time that the line has to come back, the connection included: a SYN that is lost is sent again after 1 and after 3 s.
const DEADLINE: Duration = Duration::from_millis(4500);
/// Who waits for a task waits so much longer than the task.
const MARGIN: Duration = Duration::from_millis(200);
/// What a name server may take of it.
const LOOK_UP: Duration = Duration::from_secs(2);
/// Addresses of one name that are tried.
const MOST_ADDRESSES: usize = 8;

/// The last host on the way, which connects for us.
#[derive(Clone)]
pub struct Hop {
    pub handle: Arc<Handle<Guest>>,
    /// `user@host:port`.
    pub target: String,
    /// Why it did not connect, in its words.
    pub turned_down: Words,
}

/// Where connections come from.
#[derive(Clone)]
pub enum From {
    /// This machine; the address that its SSH connection leads to.
    Here(SocketAddr),
    /// The last hop.
    Hop(Hop),
    /// Nowhere: a program stands between us and the jump host.
    Nowhere,
}

/// The connection by which the line comes back.
#[derive(Clone)]
pub struct Ends {
    pub handle: Arc<Handle<Guest>>,
    pub lookout: Lookout,
    pub meter: Arc<Meter>,
}

/// Tries every address at once, in the order in which they are returned.
pub async fn look(from: &From, settings: &Settings, bind: &str, ends: &Ends, port: u16) -> Vec<Attempt> {
    match from {
        From::Nowhere => {
            let why = "the jump host is reached by a ProxyCommand, and there is no other way to it";
            vec![Attempt { address: None, outcome: Outside::NotAsked(why.into()) }]
        }
        From::Hop(hop) => {
            let address = settings.host.parse().ok();
            let outcome = if crate::plan::is_loopback(&settings.host) {
                let words = format!("{} is the last host on the way itself: nobody outside is asked", settings.host);
                Outside::NotAsked(words)
            } else {
                through(hop, &settings.host, ends, port).await
            };
            vec![Attempt { address, outcome }]
        }
        From::Here(dialed) => {
            let addresses = addresses(settings, dialed.ip().to_canonical(), bind).await;
            let mut tries = JoinSet::new();
            for (index, address) in addresses.iter().copied().enumerate() {
                let ends = ends.clone();
                tries.spawn(async move { (index, direct(address, &ends, port).await) });
            }
            let mut done = tries.join_all().await;
            done.sort_by_key(|(index, _)| *index);
            done.into_iter().map(|(n, outcome)| Attempt { address: Some(addresses[n]), outcome }).collect()
        }
    }
}

/// The one that was dialed, the others of the name, and the one that is bound: as far as something may listen there.
async fn addresses(settings: &Settings, dialed: IpAddr, bind: &str) -> Vec<IpAddr> {
    let mut all = vec![dialed];
    if let Ok(Ok(found)) = timeout(LOOK_UP, lookup_host((settings.host.as_str(), settings.port))).await {
        all.extend(found.map(|at| at.ip().to_canonical()).filter(|ip| match settings.family {
            Family::Any => true,
            Family::Inet => ip.is_ipv4(),
            Family::Inet6 => ip.is_ipv6(),
        }));
    }
    if let Ok(bound) = wire_address(bind).parse::<IpAddr>() {
        // Behind NAT it is that of the router which leads to it.
        all.extend(Some(bound).filter(|ip| !ip.is_unspecified()));
        all.retain(|ip| ip.is_ipv4() == bound.is_ipv4());
    }
    let mut seen = Vec::new();
    all.retain(|ip| {
        !seen.contains(ip) && seen.len() < MOST_ADDRESSES && {
            seen.push(*ip);
            true
        }
    });
    all
}

/// Whether this machine has the address. Nothing is sent.
fn is_ours(address: IpAddr) -> bool {
    address.is_loopback() || UdpSocket::bind((address, 0)).is_ok()
}

async fn direct(address: IpAddr, ends: &Ends, port: u16) -> Outside {
    if is_ours(address) {
        return Outside::NotAsked(format!("{address} is this very machine: nobody outside was asked"));
    }
    let Some(nonce) = nonce() else { return Outside::NotAsked("there is no randomness on this machine".into()) };
    let deadline = Instant::now() + DEADLINE;
    // Before the connection: it may come in before we hear that it is there.
    let expecting = ends.lookout.expect(port, nonce.clone(), Origin::Anywhere);
    let mut stream = match timeout_at(deadline, TcpStream::connect((address, port))).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return unconnected(&error, address),
        Err(_) => return Outside::NoAnswer,
    };
    let mut echo = Sent::new(expecting, &ends.handle, &ends.meter);
    let talk = async {
        // Whoever closes at once may still have read it.
        let _ = stream.write_all(nonce.line()).await;
        echo.comes().await
    };
    match timeout_at(deadline, talk).await {
        Ok(Some(seen_as)) => Outside::CameBack { seen_as },
        _ => Outside::Other,
    }
}

fn unconnected(error: &io::Error, address: IpAddr) -> Outside {
    use io::ErrorKind as Kind;
    match error.kind() {
        Kind::ConnectionRefused => Outside::Refused,
        Kind::TimedOut => Outside::NoAnswer,
        // Our own system says so at once.
        Kind::NetworkUnreachable | Kind::AddrNotAvailable | Kind::Unsupported => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            Outside::NotAsked(format!("this machine has no way to {family} addresses such as {address}"))
        }
        _ => Outside::Unreachable(io_reason(error)),
    }
}

/// From the last host on the way.
async fn through(hop: &Hop, host: &str, ends: &Ends, port: u16) -> Outside {
    let (hop, host, ends) = (hop.clone(), host.to_owned(), ends.clone());
    // In a task of its own: a connection that comes about when nobody waits for it any more would be counted as a sender.
    let trying = tokio::spawn(async move { through_to_the_end(&hop, host, &ends, port).await });
    timeout(DEADLINE, trying).await.ok().and_then(Result::ok).unwrap_or(Outside::NoAnswer)
}

/// Ends soon after the hop has answered.
async fn through_to_the_end(hop: &Hop, host: String, ends: &Ends, port: u16) -> Outside {
    let Some(nonce) = nonce() else { return Outside::NotAsked("there is no randomness on this machine".into()) };
    let deadline = Instant::now() + DEADLINE.saturating_sub(MARGIN);
    let expecting = ends.lookout.expect(port, nonce.clone(), Origin::Anywhere);
    let channel = match hop.handle.channel_open_direct_tcpip(host, u32::from(port), "127.0.0.1", 0).await {
        Ok(channel) => channel,
        Err(Ssh::ChannelOpenFailure(ChannelOpenFailure::ConnectFailed)) => {
            let words = hop.turned_down.lock().unwrap_or_else(PoisonError::into_inner).clone();
            return match words.to_lowercase() {
                words if words.contains("refused") => Outside::Refused,
                words if words.contains("timed out") => Outside::NoAnswer,
                _ => Outside::Unreachable(words),
            };
        }
        Err(Ssh::ChannelOpenFailure(_)) => {
            return Outside::NotAsked(format!("{} does not connect to that port for us", hop.target));
        }
        Err(_) => return Outside::NotAsked(format!("the connection to {} is gone", hop.target)),
    };
    // What comes is nobody's: a queue that is not read would stop the hop.
    let (_, write) = channel.split();
    let mut echo = Sent::new(expecting, &ends.handle, &ends.meter);
    let talk = async {
        let _ = write.data_bytes(nonce.line().to_vec()).await;
        echo.comes().await
    };
    let outcome = match timeout_at(deadline, talk).await {
        Ok(Some(seen_as)) => Outside::CameBack { seen_as },
        _ => Outside::Other,
    };
    let _ = write.close().await;
    outcome
}
