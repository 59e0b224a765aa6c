//! Those who send: plain TCP connections, as `nc` or a shell would open them.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::Fallible;
use super::corpus::{BLOCK_LINES, Corpus};
use super::stop::interrupted;

/// Who cannot send for so long gives up: its receiver is dead, and the bytes that are missing will say so.
const PATIENCE: Duration = Duration::from_secs(30);

/// A connection to the remote port.
pub fn connect(port: u16) -> Fallible<TcpStream> {
    let stream =
        TcpStream::connect(("127.0.0.1", port)).map_err(|e| format!("cannot connect to the remote port: {e}"))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// How a sender hands its lines to the kernel.
#[derive(Debug, Clone, Copy)]
pub enum Writes {
    /// A block of 1,024 lines at a time, like `cat file`.
    Blocks,
    /// Line by line, like a program that logs.
    Lines,
}

/// Many senders that begin at the same moment.
#[derive(Debug, Clone, Copy)]
pub struct Flood<'a> {
    pub corpus: &'a Corpus,
    pub senders: usize,
    /// Lines of each; with [`Writes::Blocks`] whole blocks of them.
    pub lines: u64,
    pub writes: Writes,
}

/// What came of it.
#[derive(Debug)]
pub struct Sent<T> {
    /// What the watching gave.
    pub seen: T,
    /// The connections, still open: the processes that serve them can be looked at.
    pub open: Vec<TcpStream>,
    /// Why senders gave up.
    pub troubles: Vec<String>,
}

impl Flood<'_> {
    /// Connects all, lets them go at once, and watches with `watch`, which gets the moment of the start.
    pub fn run<T>(self, port: u16, watch: impl FnOnce(Instant) -> Fallible<T>) -> Fallible<Sent<T>> {
        let streams = (0..self.senders).map(|_| connect(port)).collect::<Fallible<Vec<_>>>()?;
        let ready = Barrier::new(self.senders + 1);
        thread::scope(|scope| {
            let ready = &ready;
            let threads: Vec<_> = streams
                .into_iter()
                .enumerate()
                .map(|(sender, mut stream)| {
                    let mut block = self.corpus.of_sender(sender);
                    scope.spawn(move || {
                        ready.wait();
                        let sent = self.send(&mut stream, &mut block);
                        (stream, sent)
                    })
                })
                .collect();
            let start = Instant::now();
            ready.wait();
            let seen = watch(start);
            let mut open = Vec::new();
            let mut troubles = Vec::new();
            for thread in threads {
                let (stream, sent) = thread.join().map_err(|_| "a sender panicked")?;
                open.push(stream);
                troubles.extend(sent.err().map(|e| format!("a sender gave up: {e}")));
            }
            Ok(Sent { seen: seen?, open, troubles })
        })
    }

    fn send(&self, stream: &mut TcpStream, block: &mut Corpus) -> std::io::Result<()> {
        for number in 0..self.lines.div_ceil(BLOCK_LINES) {
            if interrupted() {
                break;
            }
            block.renumber(number);
            match self.writes {
                Writes::Blocks => stream.write_all(block.bytes())?,
                Writes::Lines => {
                    for index in 0..usize::try_from(BLOCK_LINES.min(self.lines - number * BLOCK_LINES)).unwrap_or(0) {
                        stream.write_all(block.line(index))?;
                    }
                }
            }
        }
        Ok(())
    }
}

/// One connection a line, `at_once` of them at a time, until `count` have been made. Connection number n is sender n.
/// Returns why connections failed.
pub fn short_connections(corpus: &Corpus, port: u16, count: usize, at_once: usize) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let one_by_one = || {
        let mut troubles = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count || interrupted() {
                return troubles;
            }
            if let Err(error) = short_connection(&corpus.line_of(number), port) {
                troubles.push(error.to_string());
            }
        }
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(one_by_one)).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}

/// Connects, sends one line, says that no more follows, and waits until the jump host has closed: what is under way at
/// a time is then what was asked for. (Who does not wait fills sshd's accept queue of 128, and above that measures TCP's
/// second between two SYNs, whoever receives.)
pub fn short_connection(line: &[u8], port: u16) -> Fallible<()> {
    let mut stream = connect(port)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(line)?;
    stream.shutdown(Shutdown::Write)?;
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
