//! A UDP port. What the kernel threw away is counted: it says so, a second later at most.

use std::fs::read_to_string;
use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Type};
use tokio::net::UdpSocket;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::{Door, SCRATCH, drops};
use crate::error::io_reason;
use crate::intake::End;
use crate::intake::datagrams::Datagrams;

/// What the kernel may keep for us, in bytes: half a second of 8 MB/s. It grants what `net.core.rmem_max` allows, and more
/// only to root.
const BUFFER: usize = 4 * 1024 * 1024;
/// Datagrams taken before others of this thread have their turn.
const BURST: usize = 64;
/// How often drops are counted and silent senders are looked for.
const TICK: Duration = Duration::from_secs(1);
/// At the end, what is in the kernel is taken for no longer than this: whoever sends on has no end.
const FAREWELL: Duration = Duration::from_secs(2);

/// A bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    bound: UdpSocket,
    drops: Drops,
}

/// Listens on `address`; with it comes the port.
pub(super) fn bind(address: SocketAddr) -> io::Result<(Door, u16)> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // No SO_REUSEADDR: two programs would share the port, and one of them gets nothing.
    #[cfg(target_os = "linux")]
    let forced = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, BUFFER).is_ok();
    #[cfg(not(target_os = "linux"))]
    let forced = false;
    if !forced {
        let _ = socket.set_recv_buffer_size(BUFFER);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    let inode = rustix::fs::fstat(&socket).ok().map(|stat| stat.st_ino);
    let table = if address.is_ipv6() { "/proc/net/udp6" } else { "/proc/net/udp" };
    let bound = UdpSocket::from_std(socket.into())?;
    let port = bound.local_addr()?.port();
    Ok((Door::Udp(Socket { bound, drops: Drops { inode, table, before: 0 } }), port))
}

impl Socket {
    /// Takes datagrams until `stop`, and after that what is in the kernel already.
    pub(super) async fn receive(self, mut door: Datagrams, stop: &CancellationToken) {
        let Self { bound, mut drops } = self;
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    drops.count(&door);
                    door.tick(Instant::now());
                }
                () = ready(&bound, &door) => {
                    if door.is_released() {
                        return;
                    }
                    take(|buffer| bound.try_recv_from(buffer), &mut door);
                }
            }
        }
        // The runtime may not have heard yet of what has just come.
        let Ok(bound) = bound.into_std() else { return };
        let deadline = Instant::now() + FAREWELL;
        loop {
            // As long as the output takes: whoever ends the drain drops this.
            door.room().await;
            if door.is_released() {
                return;
            }
            if !take(|buffer| bound.recv_from(buffer), &mut door) || Instant::now() >= deadline {
                break;
            }
        }
        drops.count(&door);
        door.end(End::Clean);
    }
}

/// Returns when there is something to take, and room for it.
async fn ready(bound: &UdpSocket, door: &Datagrams) {
    door.room().await;
    // An error is one of the socket's, and taking clears it.
    let _ = bound.readable().await;
}

/// Takes a burst; whether there may be more.
fn take(receive: impl Fn(&mut [u8]) -> io::Result<(usize, SocketAddr)>, door: &mut Datagrams) -> bool {
    let now = Instant::now();
    SCRATCH.with_borrow_mut(|buffer| {
        for _ in 0..BURST {
            if !door.has_room() {
                return true;
            }
            match receive(buffer) {
                Ok((n, peer)) => door.take(peer, &buffer[..n], now),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                Err(e) => tracing::debug!("cannot receive a datagram: {}", io_reason(&e)),
            }
        }
        true
    })
}

/// What the kernel threw away.
#[derive(Debug)]
struct Drops {
    /// Names the socket in the kernel's table; `None`: drops cannot be told.
    inode: Option<u64>,
    table: &'static str,
    /// The kernel's count as last read.
    before: u32,
}

impl Drops {
    fn count(&mut self, door: &Datagrams) {
        let Some(inode) = self.inode else { return };
        if let Some(now) = read_to_string(self.table).ok().and_then(|table| drops::of(&table, inode)) {
            let new = now.wrapping_sub(std::mem::replace(&mut self.before, now));
            if new > 0 {
                door.lost(u64::from(new));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::tests::open;

    #[tokio::test]
    async fn what_is_in_the_kernel_at_the_end_is_taken_and_what_was_thrown_away_is_counted() {
        const ALL: u64 = 50_000;
        let (_dir, intake, sink) = open(10);
        let (door, port) = bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let Door::Udp(socket) = door else { panic!("a UDP port") };
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..ALL {
            sender.send_to(b"a datagram", ("127.0.0.1", port)).unwrap();
        }
        let stop = CancellationToken::new();
        stop.cancel();
        let door = intake.lingering_datagrams();
        intake.shut();
        socket.receive(door, &stop).await;
        let counts = intake.ledger().counts();
        assert!(counts.records > 0 && counts.datagrams_lost > 0, "{counts:?}");
        assert_eq!(counts.records + counts.datagrams_lost, ALL);
        assert_eq!((counts.senders.open, counts.senders.cut), (0, 0));
        sink.finish(CancellationToken::new()).await;
    }
}
