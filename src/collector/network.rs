//! This machine's own network and clock, which change and tell nobody.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use crate::error::Error;

/// How often the address of a connection is looked for. It costs three system calls.
const LOOK: Duration = Duration::from_secs(2);
/// Looks in a row that do not find it: an interface that is set up anew may lack its address for a moment.
const LOOKS: u32 = 2;
/// How often a pause looks whether the machine has slept.
const STIR: Duration = Duration::from_secs(1);
/// The two clocks drift apart by less while it is awake.
const SLEPT: Duration = Duration::from_secs(2);

/// Ends when this machine no longer has `address`, with the sentence that says so: no answer can reach the connection any
/// more, and keepalive would need a minute to notice. Without an address it never ends.
pub async fn address_gone(address: Option<SocketAddr>) -> Error {
    let Some(mut address) = address else { return std::future::pending().await };
    // Any port: it is the address that is asked for.
    address.set_port(0);
    let mut looks = interval(LOOK);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut missing = 0;
    while missing < LOOKS {
        looks.tick().await;
        missing = if is_ours(address) { 0 } else { missing + 1 };
    }
    Error::failed(format!("this machine no longer has the address {}: the network changed", address.ip()))
}

/// Whether this machine has the address. Nothing is sent; any other trouble does not count against it.
fn is_ours(address: SocketAddr) -> bool {
    UdpSocket::bind(address).map_or_else(|e| e.kind() != std::io::ErrorKind::AddrNotAvailable, |_| true)
}

/// Waits for `length`; shorter when the machine slept meanwhile: its clock for pauses stood still, the world went on.
pub async fn pause(length: Duration) {
    let end = Instant::now() + length;
    let asleep = slept();
    while Instant::now() < end {
        sleep_until(end.min(Instant::now() + STIR)).await;
        if slept().saturating_sub(asleep) > SLEPT {
            tracing::info!("the machine slept");
            return;
        }
    }
}

/// All the time that the machine has slept since it was started.
#[cfg(target_os = "linux")]
fn slept() -> Duration {
    use rustix::time::{ClockId, clock_gettime};
    let [with, without] = [ClockId::Boottime, ClockId::Monotonic].map(|clock| {
        let now = clock_gettime(clock);
        Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0))
    });
    with.saturating_sub(without)
}

/// Not known here: a pause that was slept through lasts its length.
#[cfg(not(target_os = "linux"))]
fn slept() -> Duration {
    Duration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_this_machine_is_told_from_others() {
        assert!(is_ours("127.0.0.1:0".parse().unwrap()));
        // TEST-NET-1 (RFC 5737): nobody's.
        assert!(!is_ours("192.0.2.77:0".parse().unwrap()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_is_gone_is_noticed_within_seconds() {
        let start = Instant::now();
        let error = address_gone(Some("192.0.2.77:4711".parse().unwrap())).await;
        assert!(start.elapsed() <= LOOK * LOOKS, "{:?}", start.elapsed());
        assert_eq!(error.message, "this machine no longer has the address 192.0.2.77: the network changed");
        let here = address_gone(Some("127.0.0.1:4711".parse().unwrap()));
        assert!(tokio::time::timeout(LOOK * 10, here).await.is_err());
        assert!(tokio::time::timeout(LOOK * 10, address_gone(None)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_lasts_its_length() {
        let start = Instant::now();
        pause(Duration::from_millis(3500)).await;
        assert_eq!(start.elapsed().as_millis(), 3500);
    }
}
