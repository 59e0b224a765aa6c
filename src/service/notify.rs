//! Messages to the service manager (sd_notify(3)), which listens at `NOTIFY_SOCKET`.
//!
//! The manager may be gone, or may not read what it is sent: nothing here waits for it or fails because of it. That is what the
//! usual crates do: their `send` sleeps while the manager's queue is full.

use std::io;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::message::{self, Address};
use crate::error::io_reason;

/// Where the manager listens.
const SOCKET: &str = "NOTIFY_SOCKET";
/// Microseconds within which it wants to hear `WATCHDOG=1`.
const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
/// Of which process.
const WATCHDOG_PID: &str = "WATCHDOG_PID";
/// Words that the manager has not taken and that are sent again; beyond that the oldest go.
const OWED: usize = 8;

/// The line to the manager; silent where there is none.
#[derive(Debug, Default)]
pub struct Notifier {
    line: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
    /// What changes the state of the service and did not get through.
    owed: Vec<String>,
    /// That it does not get through was said.
    complained: bool,
}

impl Notifier {
    /// The line that the environment names. `NOTIFY_SOCKET` stays where it is: it is kept from the programs that are started from
    /// here one by one (see [`crate::plan::PRIVATE_VARIABLES`]).
    #[must_use]
    pub fn from_env() -> Self {
        let read = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Some(socket) = read(SOCKET) else { return Self::default() };
        let watchdog =
            message::watchdog(read(WATCHDOG_USEC).as_deref(), read(WATCHDOG_PID).as_deref(), std::process::id());
        Self::to(&socket, watchdog)
    }

    fn to(socket: &str, watchdog: Option<Duration>) -> Self {
        let line = Address::parse(socket)
            .ok_or_else(|| io::Error::other("no address of a Unix socket"))
            .and_then(|address| socket_address(&address))
            .and_then(|address| {
                let socket = UnixDatagram::unbound()?;
                socket.set_nonblocking(true)?;
                Ok((socket, address))
            });
        let line = line.inspect_err(|e| tracing::warn!("{SOCKET} cannot be used: {}", io_reason(e))).ok();
        Self { watchdog: watchdog.filter(|_| line.is_some()), line, ..Self::default() }
    }

    /// Whether somebody asked to be told.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.line.is_some()
    }

    /// Within this time the manager wants to hear that we are [alive](Self::alive); `None`: it does not.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The service is up. `main_pid`: of the process that is the service from now on, where the manager does not know it.
    pub fn ready(&mut self, main_pid: Option<u32>) {
        self.state(main_pid.map_or_else(|| "READY=1".into(), |pid| format!("READY=1\nMAINPID={pid}")));
    }

    /// The configuration is being read again; [`Self::ready`] ends that.
    pub fn reloading(&mut self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1000;
        self.state(format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// The service is on its way down.
    pub fn stopping(&mut self) {
        self.state("STOPPING=1".into());
    }

    /// How it goes: a line that [`message::status`] or [`message::line`] has made.
    pub fn status(&mut self, line: &str) {
        self.say(&format!("STATUS={line}"));
    }

    /// We are alive.
    pub fn alive(&mut self) {
        self.say("WATCHDOG=1");
    }

    /// Starting or stopping takes its time: the manager shall be patient for so long from now on.
    pub fn patience(&mut self, time: Duration) {
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
    }

    /// Sends again what did not get through. To be called now and then.
    pub fn catch_up(&mut self) {
        while let Some(word) = self.owed.first() {
            if self.send(word).is_err() {
                return;
            }
            self.owed.remove(0);
        }
    }

    /// Says what the manager must not miss.
    fn state(&mut self, word: String) {
        if self.line.is_some() {
            self.owed.push(word);
            if self.owed.len() > OWED {
                self.owed.remove(0);
            }
            self.catch_up();
        }
    }

    /// Says what is soon said again.
    fn say(&mut self, word: &str) {
        self.catch_up();
        // Never before what came first.
        if self.owed.is_empty()
            && let Err(e) = self.send(word)
            && !std::mem::replace(&mut self.complained, true)
        {
            tracing::warn!("the service manager cannot be told how it goes: {}", io_reason(&e));
        }
    }

    fn send(&self, word: &str) -> io::Result<()> {
        match &self.line {
            Some((socket, address)) => socket.send_to_addr(word.as_bytes(), address).map(drop),
            None => Ok(()),
        }
    }
}

fn socket_address(address: &Address) -> io::Result<SocketAddr> {
    match address {
        Address::Path(path) => SocketAddr::from_pathname(path),
        #[cfg(target_os = "linux")]
        Address::Abstract(name) => {
            use std::os::linux::net::SocketAddrExt as _;
            SocketAddr::from_abstract_name(name)
        }
        #[cfg(not(target_os = "linux"))]
        Address::Abstract(_) => Err(io::Error::other("this system has no abstract sockets")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(socket: &UnixDatagram) -> String {
        let mut buffer = [0; 4096];
        let n = socket.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..n].to_vec()).unwrap()
    }

    #[test]
    fn nobody_to_tell_is_no_trouble() {
        for mut line in [Notifier::default(), Notifier::to("relative", Some(Duration::from_secs(1)))] {
            assert!(!line.is_on() && line.watchdog().is_none());
            line.ready(None);
            line.alive();
            line.catch_up();
            assert!(line.owed.is_empty());
        }
    }

    #[test]
    fn a_manager_that_is_away_hears_of_the_state_when_it_is_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let mut line = Notifier::to(path.to_str().unwrap(), None);
        line.ready(Some(7));
        line.status("up");
        line.alive();
        assert_eq!(line.owed, ["READY=1\nMAINPID=7"]);
        let manager = UnixDatagram::bind(&path).unwrap();
        line.catch_up();
        assert_eq!(heard(&manager), "READY=1\nMAINPID=7");
        line.status("up");
        assert_eq!(heard(&manager), "STATUS=up", "what was said meanwhile is old");
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        let mut line = Notifier::to(path.to_str().unwrap(), None);
        let mut sent = 0;
        while line.send("WATCHDOG=1").is_ok() {
            sent += 1;
        }
        line.stopping();
        assert_eq!(line.owed, ["STOPPING=1"]);
        (0..20 * OWED).for_each(|_| line.stopping());
        assert_eq!(line.owed.len(), OWED);
        for _ in 0..sent {
            assert_eq!(heard(&manager), "WATCHDOG=1");
        }
        line.alive();
        assert_eq!(heard(&manager), "STOPPING=1", "the state comes first");
    }
}
