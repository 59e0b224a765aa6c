//! A service manager's end of `NOTIFY_SOCKET`, bound by the test.

use std::cell::RefCell;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::{Env, SOON, wait_until};

/// See the module.
pub struct Manager {
    socket: UnixDatagram,
    /// As in `NOTIFY_SOCKET`.
    pub address: String,
    /// Every line heard, and when.
    heard: RefCell<Vec<(String, Instant)>>,
}

impl Manager {
    /// At a path in the environment's folder.
    pub fn start(env: &Env) -> Self {
        let address = env.arg("notify");
        Self::bound(UnixDatagram::bind(&address).unwrap(), address)
    }

    /// At an abstract name, which is the folder's.
    pub fn start_abstract(env: &Env) -> Self {
        let name = env.arg("notify");
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        Self::bound(UnixDatagram::bind_addr(&address).unwrap(), format!("@{name}"))
    }

    fn bound(socket: UnixDatagram, address: String) -> Self {
        socket.set_nonblocking(true).unwrap();
        Self { socket, address, heard: RefCell::default() }
    }

    /// Tells a command about it.
    pub fn of(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.address);
        command
    }

    /// As [`Self::of`], with a watchdog that waits for so many microseconds.
    pub fn watching(&self, command: Command, usec: u64) -> Command {
        let mut command = self.of(command);
        command.env("WATCHDOG_USEC", usec.to_string());
        command
    }

    /// The lines so far, each with the time when it was heard.
    pub fn heard(&self) -> Vec<(String, Instant)> {
        let mut buffer = [0; 8192];
        let mut heard = self.heard.borrow_mut();
        while let Ok(n) = self.socket.recv(&mut buffer) {
            let word = String::from_utf8(buffer[..n].to_vec()).expect("text");
            heard.extend(word.lines().map(|line| (line.to_owned(), Instant::now())));
        }
        heard.clone()
    }

    /// The lines so far that begin with `what`.
    pub fn all(&self, what: &str) -> Vec<String> {
        self.heard().into_iter().map(|(line, _)| line).filter(|line| line.starts_with(what)).collect()
    }

    /// Waits until so many lines begin with `what`; the last one.
    #[track_caller]
    pub fn wait_for(&self, what: &str, count: usize) -> String {
        let said = format!("the manager hears {what:?} {count} times");
        wait_until(&said, SOON, || self.all(what).into_iter().nth(count - 1))
    }

    /// Waits until a status holds `text`.
    #[track_caller]
    pub fn wait_status(&self, text: &str) -> String {
        let said = format!("the manager hears a status with {text:?}");
        let held = |line: &String| line.contains(text);
        wait_until(&said, SOON, || self.all("STATUS=").into_iter().find(held))
    }

    /// Fills the queue until it takes no more.
    pub fn fill(&self) {
        let socket = UnixDatagram::unbound().unwrap();
        socket.set_nonblocking(true).unwrap();
        while socket.send_to(b"X_FILLER=1", Path::new(&self.address)).is_ok() {}
    }
}
