//! A RELP sender that does as the test tells it, frame by frame.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::{Env, SOON, read_text, wait_until};

/// What librelp offers.
pub const OFFERS: &str = "relp_version=0\nrelp_software=librelp,1.10.0,http://librelp.adiscon.com\ncommands=syslog";

/// One connection.
pub struct Relp {
    stream: TcpStream,
    /// The number of the next frame.
    pub next: u32,
    heard: Vec<u8>,
}

/// An answer of the server: number, command, data.
pub type Frame = (u32, String, String);

impl Relp {
    /// Connects and says nothing yet.
    #[track_caller]
    pub fn connect(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|e| panic!("cannot send to {port}: {e}"));
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        Self { stream, next: 1, heard: Vec::new() }
    }

    /// Connects and opens a session.
    #[track_caller]
    pub fn open(port: u16) -> Self {
        let mut relp = Self::connect(port);
        relp.send("open", OFFERS);
        let (txnr, command, data) = relp.hear().expect("an answer");
        assert_eq!((txnr, command.as_str()), (1, "rsp"));
        assert!(data.starts_with("200 OK\nrelp_version=0\n") && data.contains("\ncommands=syslog"), "{data:?}");
        relp
    }

    /// Sends a frame with the next number; returns its length.
    #[track_caller]
    pub fn send(&mut self, command: &str, data: &str) -> usize {
        let frame = frame(self.next, command, data);
        self.next += 1;
        self.write(&frame);
        frame.len()
    }

    /// Sends bytes.
    #[track_caller]
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).expect("the sender may write");
    }

    /// Like [`Relp::write`] for a connection that may be closed at any time; says whether it still stands.
    pub fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// The next answer; `None` at the end of the stream.
    #[track_caller]
    pub fn hear(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.take() {
                return Some(frame);
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => return None,
                Ok(n) => self.heard.extend_from_slice(&buffer[..n]),
                Err(e) => panic!("no answer: {e}"),
            }
        }
    }

    /// The next frames are acknowledgements of these numbers.
    #[track_caller]
    pub fn hear_acks(&mut self, numbers: impl IntoIterator<Item = u32>) {
        for txnr in numbers {
            assert_eq!(self.hear(), Some((txnr, "rsp".into(), "200 OK".into())));
        }
    }

    /// What has come and was not asked for, without waiting.
    pub fn overheard(&mut self) -> Vec<u8> {
        self.stream.set_nonblocking(true).unwrap();
        let mut buffer = [0; 4096];
        while let Ok(n @ 1..) = self.stream.read(&mut buffer) {
            self.heard.extend_from_slice(&buffer[..n]);
        }
        self.stream.set_nonblocking(false).unwrap();
        self.heard.clone()
    }

    /// Ends our side of the stream.
    pub fn shut(&mut self) {
        self.stream.shutdown(std::net::Shutdown::Write).unwrap();
    }

    /// Takes one frame out of what was heard.
    fn take(&mut self) -> Option<Frame> {
        let text = String::from_utf8(self.heard.clone()).expect("text");
        let (txnr, rest) = text.split_once(' ')?;
        let (command, rest) = rest.split_once(' ')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let length: usize = rest[..digits].parse().expect("a length");
        let data = if length == 0 { &rest[digits..] } else { rest[digits..].strip_prefix(' ')? };
        let end = data.get(length..=length)?;
        assert_eq!(end, "\n", "a frame without its end: {text:?}");
        let frame = (txnr.parse().expect("a number"), command.to_owned(), data[..length].to_owned());
        let used = text.len() - data.len() + length + 1;
        self.heard.drain(..used);
        Some(frame)
    }
}

/// A frame as it goes over the wire.
pub fn frame(txnr: u32, command: &str, data: &str) -> String {
    if data.is_empty() { format!("{txnr} {command} 0\n") } else { format!("{txnr} {command} {} {data}\n", data.len()) }
}

/// A real rsyslogd with this action for everything that it gets on its socket.
pub struct Rsyslog {
    _daemon: super::Daemon,
    socket: std::os::unix::net::UnixDatagram,
}

impl Rsyslog {
    #[track_caller]
    pub fn start(env: &Env, modules: &str, action: &str) -> Self {
        let folder = env.path("rsyslog");
        std::fs::create_dir_all(&folder).unwrap();
        let path = env.path("devlog");
        let config = format!(
            "global(workDirectory=\"{}\")\nmain_queue(queue.size=\"1000000\")\nmodule(load=\"imuxsock\" SysSock.Use=\"off\")\n{modules}\n\
             input(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"on\" RateLimit.Interval=\"0\")\n\
             if $programname == \"numbered\" then {action}\n",
            folder.display(),
            path.display()
        );
        let config = env.write("rsyslog.conf", config);
        let rsyslogd = super::find_program("rsyslogd").expect("rsyslogd");
        let check = env.command(&rsyslogd).args(["-N1", "-f"]).arg(&config).output().unwrap();
        assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
        let mut daemon = env.command(&rsyslogd);
        let daemon =
            super::Daemon::start(daemon.args(["-n", "-f"]).arg(&config).arg("-i").arg(env.path("rsyslog.pid")));
        let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
        wait_until("rsyslogd listens", SOON, || socket.connect(&path).ok());
        Self { _daemon: daemon, socket }
    }

    /// Logs the messages with these numbers.
    #[track_caller]
    pub fn log(&self, numbers: std::ops::Range<usize>) {
        for n in numbers {
            let message = format!("<13>numbered: n{}", text(n));
            self.socket.send(message.as_bytes()).expect("rsyslogd takes it");
        }
    }
}

/// What stands behind the `n` of a message; lengths differ, so that a torn one cannot pass for a whole one.
fn text(n: usize) -> String {
    format!("{n:06} {}$", "x".repeat(n * 13 % 120))
}

/// How often each number that [`Rsyslog::log`] was told stands in a file, and the lines that are none of them.
pub fn numbers(file: &std::path::Path) -> (std::collections::BTreeMap<usize, usize>, Vec<String>) {
    let (mut seen, mut others) = (std::collections::BTreeMap::new(), Vec::new());
    for line in read_text(file).lines() {
        let message = line.strip_prefix("<13>").and_then(|line| line.split_once(" numbered: n")).map(|(_, text)| text);
        let number = message.and_then(|text| text.get(..6)).and_then(|digits| digits.parse().ok());
        match number {
            Some(n) if message == Some(&text(n)) => *seen.entry(n).or_default() += 1,
            _ => others.push(line.to_owned()),
        }
    }
    (seen, others)
}

/// Waits until the file has all numbers below `count`.
#[track_caller]
pub fn wait_for_numbers(file: &std::path::Path, count: usize) -> std::collections::BTreeMap<usize, usize> {
    let start = std::time::Instant::now();
    loop {
        // To read it line by line takes a while: only when it may be enough.
        let late = start.elapsed() > super::LATER;
        if late || read_text(file).lines().count() >= count {
            let (seen, others) = numbers(file);
            if seen.len() == count {
                return seen;
            }
            let missing: Vec<usize> = (0..count).filter(|n| !seen.contains_key(n)).collect();
            let (few, others) = (&missing[..missing.len().min(20)], &others[..others.len().min(5)]);
            assert!(!late, "{} of {count} messages are missing: {few:?}…; other lines: {others:?}", missing.len());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}
