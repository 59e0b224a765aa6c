//! Senders, and the check of what became of their lines.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::SOON;

/// One open connection to a stream's port.
pub struct Sender(TcpStream);

impl Sender {
    #[track_caller]
    pub fn open(port: u16) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).unwrap_or_else(|e| panic!("cannot send to {port}: {e}"));
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    /// How long it waits for the other side.
    pub fn patience(&mut self, limit: Duration) {
        self.0.set_read_timeout(Some(limit)).unwrap();
    }

    #[track_caller]
    pub fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the sender may write");
    }

    /// Like [`Sender::write`] for a connection that may be cut at any time; says whether it still stands.
    pub fn try_write(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the end of stream and waits for the other side's: whoever is told so has taken everything.
    #[track_caller]
    pub fn finish(mut self) {
        self.0.shutdown(Shutdown::Write).expect("the sender may end");
        let mut rest = Vec::new();
        if let Err(e) = self.0.read_to_end(&mut rest) {
            panic!("the collector did not close after the end of the stream: {e}");
        }
        assert!(rest.is_empty(), "a collector of lines answers nothing: {rest:?}");
    }

    /// Waits until the other side ends the connection, in whatever way; false when it stays open.
    pub fn wait_closed(&mut self) -> bool {
        let mut buffer = [0; 64];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(e) => return !matches!(e.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut),
            }
        }
    }
}

/// One sender: everything, the end of stream, and the other side's.
#[track_caller]
pub fn send(port: u16, bytes: impl AsRef<[u8]>) {
    let mut sender = Sender::open(port);
    sender.write(bytes);
    sender.finish();
}

/// Line `n` of sender `s`; lengths differ, so that a torn line cannot pass for a whole one.
pub fn numbered(s: usize, n: usize) -> String {
    format!("s{s:04} n{n:06} {}$\n", "x".repeat((s * 7 + n * 13) % 120))
}

/// `senders` connections at once with `lines` numbered lines each. Returns the bytes that were sent.
pub fn flood(port: u16, senders: usize, lines: usize) -> u64 {
    let one = move |s: usize| {
        let mut sender = Sender::open(port);
        let mut sent = 0;
        // Odd pieces: line ends and packet ends must not agree.
        let all: String = (0..lines).map(|n| numbered(s, n)).collect();
        for piece in all.as_bytes().chunks(777 + s) {
            sender.write(piece);
            sent += piece.len() as u64;
        }
        sender.finish();
        sent
    };
    let threads: Vec<_> = (0..senders).map(|s| std::thread::spawn(move || one(s))).collect();
    threads.into_iter().map(|t| t.join().expect("a sender")).sum()
}

/// Sender and number of a whole line; panics at a torn one.
#[track_caller]
fn parse(line: &str) -> (usize, usize) {
    let mut words = line.split(' ');
    let number = |word: Option<&str>, mark| word.and_then(|w| w.strip_prefix(mark)).and_then(|w| w.parse().ok());
    let (Some(s), Some(n)) = (number(words.next(), 's'), number(words.next(), 'n')) else {
        panic!("torn line: {line:?}")
    };
    assert_eq!(format!("{line}\n"), numbered(s, n), "torn line");
    (s, n)
}

/// The lines of `text` in each sender's order. Panics when a line is torn or out of turn: each must be the one after
/// the sender's last. Returns how many each sender has.
#[track_caller]
pub fn check_order(text: &str) -> BTreeMap<usize, usize> {
    let mut next: BTreeMap<usize, usize> = BTreeMap::new();
    for line in text.lines() {
        let (s, n) = parse(line);
        let expected = next.entry(s).or_default();
        assert_eq!(n, *expected, "sender {s}: line {n} where {expected} was due");
        *expected += 1;
    }
    next
}

/// The file of a finished [`flood`]: every line once, whole, each sender's in order, nothing else.
#[track_caller]
pub fn check_flood(path: &Path, senders: usize, lines: usize) {
    let text = super::read_text(path);
    assert!(text.ends_with('\n'), "the last line has no end");
    let counts = check_order(&text);
    assert_eq!(counts.len(), senders, "senders in the file");
    assert!(counts.values().all(|n| *n == lines), "lines of each sender: {counts:?}");
}

/// Sends numbered lines until told to stop or cut; returns how many went out whole.
pub fn pour(port: u16, s: usize, over: &AtomicBool) -> usize {
    let mut sender = Sender::open(port);
    let mut n = 0;
    while !over.load(Ordering::Relaxed) {
        let many: String = (n..n + 1000).map(|n| numbered(s, n)).collect();
        if !sender.try_write(many) {
            break;
        }
        n += 1000;
    }
    n
}

/// Ends the threads that pour, also when the test fails.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Every line whole and in its sender's order. The last one of a sender that was cut may end early; no more of them than
/// `cut`. Returns the whole lines of each sender.
#[track_caller]
pub fn check_cut(text: &str, cut: usize) -> BTreeMap<usize, usize> {
    assert!(text.ends_with('\n'), "the last line has no end");
    let (mut next, mut ended): (BTreeMap<usize, usize>, Vec<Option<usize>>) = Default::default();
    for line in text.lines() {
        // Of a line that was cut early not even the sender may be known.
        let s: Option<usize> = line.get(1..5).and_then(|s| s.parse().ok());
        let expected = numbered(s.unwrap_or_default(), s.map_or(0, |s| *next.entry(s).or_default()));
        assert!(s.is_none() || !ended.contains(&s), "this sender was cut before: {line:?}");
        if line == expected.trim_end() {
            *next.entry(s.unwrap()).or_default() += 1;
        } else {
            assert!(!line.is_empty() && expected.starts_with(line), "torn line: {line:?}");
            ended.push(s);
        }
    }
    assert!(ended.len() <= cut, "{cut} senders were cut, and these lines are not whole: {ended:?}");
    next
}
