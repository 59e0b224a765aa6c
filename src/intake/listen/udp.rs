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
const FAREWELL: Duration = Duration::from_millis(500);

/// A bound socket.
#[derive(Debug)]
pub(super) struct Socket {
    bound: UdpSocket,
    /// Names it in the kernel's table; `None`: drops cannot be told.
    inode: Option<u64>,
    table: &'static str,
    /// The kernel's count as last read.
    dropped: u32,
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
    Ok((Door::Udp(Socket { bound, inode, table, dropped: 0 }), port))
}

impl Socket {
    /// Takes datagrams until `stop`, and after that what is in the kernel already.
    pub(super) async fn receive(mut self, mut door: Datagrams, stop: &CancellationToken) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                _ = ticks.tick() => {
                    self.count_drops(&door);
                    door.tick(Instant::now());
                }
                () = self.ready(&door) => {
                    if door.is_released() {
                        return;
                    }
                    self.take(&mut door);
                }
            }
        }
        let deadline = Instant::now() + FAREWELL;
        loop {
            // As long as the output takes: whoever ends the drain drops this.
            door.room().await;
            if door.is_released() {
                return;
            }
            if !self.take(&mut door) || Instant::now() >= deadline {
                break;
            }
        }
        self.count_drops(&door);
        door.end(End::Clean);
    }

    /// Returns when there is something to take, and room for it.
    async fn ready(&self, door: &Datagrams) {
        door.room().await;
        // An error is one of the socket's, and taking clears it.
        let _ = self.bound.readable().await;
    }

    /// Takes a burst; whether there may be more.
    fn take(&self, door: &mut Datagrams) -> bool {
        let now = Instant::now();
        SCRATCH.with_borrow_mut(|buffer| {
            for _ in 0..BURST {
                if !door.has_room() {
                    return true;
                }
                match self.bound.try_recv_from(buffer) {
                    Ok((n, peer)) => door.take(peer, &buffer[..n], now),
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => return false,
                    Err(e) => tracing::debug!("cannot receive a datagram: {}", io_reason(&e)),
                }
            }
            true
        })
    }

    fn count_drops(&mut self, door: &Datagrams) {
        let Some(inode) = self.inode else { return };
        if let Some(dropped) = read_to_string(self.table).ok().and_then(|table| drops::of(&table, inode)) {
            let new = dropped.wrapping_sub(self.dropped);
            self.dropped = dropped;
            if new > 0 {
                door.lost(u64::from(new));
            }
        }
    }
}
