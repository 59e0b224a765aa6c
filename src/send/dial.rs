//! Connections to the target, one after the other, with a pause that grows while none can be made.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::{Duration, Instant};

use socket2::{SockRef, TcpKeepalive};

use super::Wake;
use super::target::Target;
use crate::error::io_reason;

/// How long one address may take to answer.
const CONNECT: Duration = Duration::from_secs(10);
/// The pause after a first failure, and the longest. Each is shortened by up to a half, at random: senders that lost the same
/// server should not come back in one moment.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A peer that vanished without a word is noticed after a minute and a half of silence.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(60), Duration::from_secs(10), 3);

/// Who makes connections. Looking up a name and connecting may take long, so a thread does it.
#[derive(Debug)]
pub struct Dial {
    target: Target,
    wake: Wake,
    under_way: Option<Receiver<Result<TcpStream, String>>>,
    /// Not before.
    due: Instant,
    pause: Duration,
}

impl Dial {
    /// The first connection is due at once.
    #[must_use]
    pub fn new(target: Target, wake: Wake, now: Instant) -> Self {
        Self { target, wake, under_way: None, due: now, pause: FIRST_PAUSE }
    }

    /// A connection that was made, or why none could be; `None`: later. Asked again, it tries again.
    pub fn ask(&mut self, now: Instant) -> Option<Result<TcpStream, String>> {
        if let Some(waits) = &self.under_way {
            let result = match waits.try_recv() {
                Ok(result) => result,
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => Err("it was given up".into()),
            };
            self.under_way = None;
            if result.is_err() {
                self.rest(now);
            }
            return Some(result);
        }
        if now >= self.due {
            let (tell, hear) = channel();
            let (target, wake) = (self.target.clone(), self.wake.clone());
            let thread = std::thread::Builder::new().name("dial".into()).spawn(move || {
                let _ = tell.send(connect(&target));
                wake.wake();
            });
            match thread {
                Ok(_) => self.under_way = Some(hear),
                Err(e) => {
                    self.rest(now);
                    return Some(Err(io_reason(&e)));
                }
            }
        }
        None
    }

    /// When to ask next; `None`: a thread is on its way and will wake.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.under_way.is_none().then_some(self.due)
    }

    /// The last connection was no good: the next one comes after a pause.
    pub fn rest(&mut self, now: Instant) {
        let most = u64::try_from(self.pause.as_millis() / 2).unwrap_or(u64::MAX).max(1);
        let less = Duration::from_millis(RandomState::new().hash_one(0) % most);
        self.due = now + self.pause.saturating_sub(less);
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The connection works: after it the pauses begin with the shortest again.
    pub fn well(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

/// The first address that answers.
fn connect(target: &Target) -> Result<TcpStream, String> {
    let addresses = (target.host.as_str(), target.port).to_socket_addrs();
    first(addresses.map_err(|e| format!("cannot find the address: {}", lookup_reason(&e)))?)
}

fn first(addresses: impl Iterator<Item = SocketAddr>) -> Result<TcpStream, String> {
    let mut reason = "the name has no address".to_owned();
    let mut tried = Vec::new();
    for address in addresses {
        if tried.contains(&address) {
            continue;
        }
        match TcpStream::connect_timeout(&address, CONNECT).and_then(|stream| prepare(&stream).map(|()| stream)) {
            Ok(stream) => return Ok(stream),
            Err(e) if e.kind() == io::ErrorKind::TimedOut => reason = "no answer in time".into(),
            Err(e) => reason = io_reason(&e),
        }
        tried.push(address);
    }
    Err(match tried.len() {
        0 | 1 => reason,
        n => format!("{reason} (the last of {n} addresses)"),
    })
}

fn prepare(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_nonblocking(true)?;
    let (time, interval, retries) = KEEPALIVE;
    let keepalive = TcpKeepalive::new().with_time(time).with_interval(interval).with_retries(retries);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// Without the prefix that says no more.
fn lookup_reason(error: &io::Error) -> String {
    let text = io_reason(error);
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_name_is_tried() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let here = listener.local_addr().unwrap();
        // Nobody listens there: the port is bound and no more.
        let dead = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        dead.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        let dead = dead.local_addr().unwrap().as_socket().unwrap();
        assert_eq!(first([dead, here].into_iter()).unwrap().peer_addr().unwrap(), here);
        assert_eq!(first([dead].into_iter()).unwrap_err(), "Connection refused");
        assert_eq!(first([].into_iter()).unwrap_err(), "the name has no address");
    }

    #[test]
    fn pauses_grow_to_a_bound_and_begin_anew_after_a_good_connection() {
        let now = Instant::now();
        let target = Target { host: "127.0.0.1".into(), port: 1 };
        let mut dial = Dial::new(target, Wake::new().unwrap(), now);
        let pause = |dial: &mut Dial| {
            dial.rest(now);
            dial.due - now
        };
        let first = pause(&mut dial);
        assert!(first > FIRST_PAUSE / 3 && first <= FIRST_PAUSE, "{first:?}");
        let last = (0..20).map(|_| pause(&mut dial)).last().unwrap();
        assert!(last >= LONGEST_PAUSE / 2 && last <= LONGEST_PAUSE, "{last:?}");
        dial.well();
        assert!(pause(&mut dial) <= FIRST_PAUSE);
    }
}
