//! Questions of a collector in the background to whoever started it, and the answers: the wire and the child's side.
//!
//! Questions go up the pipe of events, answers come down the pipe that brought the plan. Only there does a secret travel:
//! its buffers are overwritten with zeros, and it is written as hexadecimal digits, so that no parser needs a copy of its
//! own to take escapes out.

use std::collections::HashMap;
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::oneshot;
use zeroize::{Zeroize, Zeroizing};

use super::events::Event;
use crate::ssh::{Answer, Asking, Person, Question};

/// A plan is at most so long, in bytes.
pub const LONGEST_PLAN: usize = 16 << 20;
/// What a collector says in one line is at most so long, in bytes: the words of a question are bounded where they are
/// made.
pub const LONGEST_WORD: usize = 1 << 20;
/// The number under which the keyword comes, as if it were the answer to a question: right behind a plan that waits for it.
pub const KEYWORD: u64 = 0;
/// An answer is at most so long, in bytes.
pub const LONGEST_ANSWER: usize = 64 << 10;

/// A line from the collector to whoever started it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// For the person in front.
    Talk(Talk),
    /// For whoever started it; also what `up --json` prints.
    Event(Event),
}

/// What only a person can hear or answer. Never printed as JSON.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "talk", rename_all = "kebab-case")]
pub enum Talk {
    /// Wants an answer with the same number.
    Ask {
        /// From 1.
        id: u64,
        /// What is asked.
        question: Question,
    },
    /// Wants none.
    Tell {
        /// Lines that are escaped already.
        text: String,
    },
}

#[derive(Deserialize)]
struct Wire<'a> {
    answer: u64,
    #[serde(borrow, default)]
    hex: Option<&'a str>,
    #[serde(default)]
    nobody: bool,
}

/// The answer to the question `id` as a line, its end included.
#[must_use]
pub fn encode(id: u64, answer: &Answer) -> Zeroizing<Vec<u8>> {
    let text = match answer {
        Answer::Nobody => return Zeroizing::new(format!("{{\"answer\":{id},\"nobody\":true}}\n").into()),
        Answer::Declined => return Zeroizing::new(format!("{{\"answer\":{id}}}\n").into()),
        Answer::Text(text) => text,
    };
    let head = format!("{{\"answer\":{id},\"hex\":\"");
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut line = Zeroizing::new(Vec::with_capacity(head.len() + 2 * text.len() + 3));
    line.extend_from_slice(head.as_bytes());
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    for byte in text.bytes() {
        line.extend([digit(byte >> 4), digit(byte & 15)]);
    }
    line.extend_from_slice(b"\"}\n");
    line
}

/// The opposite of [`encode`]; `None` for anything else.
pub(super) fn decode(line: &[u8]) -> Option<(u64, Answer)> {
    let wire: Wire = serde_json::from_slice(line).ok()?;
    let Some(hex) = wire.hex else {
        return Some((wire.answer, if wire.nobody { Answer::Nobody } else { Answer::Declined }));
    };
    let nibble = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    if hex.len() % 2 != 0 {
        return None;
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(hex.len() / 2));
    for pair in hex.as_bytes().chunks_exact(2) {
        bytes.push(nibble(pair[0])? << 4 | nibble(pair[1])?);
    }
    let text = std::str::from_utf8(&bytes).ok()?;
    Some((wire.answer, Answer::Text(Zeroizing::new(text.to_owned()))))
}

/// Lines of a pipe, each bounded, none of which stays in memory.
pub struct Lines<R> {
    source: R,
    buffer: Zeroizing<Vec<u8>>,
    /// So many bytes of the buffer hold no line end.
    seen: usize,
    /// The rest of a line that is too long.
    skipping: bool,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Of `source`, from here on.
    pub fn new(source: R) -> Self {
        Self { source, buffer: Zeroizing::new(Vec::with_capacity(4096)), seen: 0, skipping: false }
    }

    /// The next line that has at most `longest` bytes, without its end; `None` at the end. Longer ones are left out.
    /// Can be dropped and called again.
    pub async fn next(&mut self, longest: usize) -> io::Result<Option<Zeroizing<Vec<u8>>>> {
        loop {
            if let Some(end) = memchr::memchr(b'\n', &self.buffer[self.seen..]).map(|at| self.seen + at) {
                let line = Zeroizing::new(self.buffer[..end].to_vec());
                self.consume(end + 1);
                if !std::mem::take(&mut self.skipping) && line.len() <= longest {
                    return Ok(Some(line));
                }
                continue;
            }
            self.seen = self.buffer.len();
            if self.seen > longest {
                self.consume(self.seen);
                self.skipping = true;
            }
            let mut chunk = Zeroizing::new([0; 1024]);
            match self.source.read(&mut chunk[..]).await? {
                0 => return Ok(None),
                n => self.append(&chunk[..n]),
            }
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        let wanted = self.buffer.len() + bytes.len();
        if wanted > self.buffer.capacity() {
            let mut larger = Zeroizing::new(Vec::with_capacity(wanted * 2));
            larger.extend_from_slice(&self.buffer);
            self.buffer = larger;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn consume(&mut self, count: usize) {
        let rest = self.buffer.len() - count;
        self.buffer.copy_within(count.., 0);
        self.buffer[rest..].zeroize();
        self.buffer.truncate(rest);
        self.seen = 0;
    }
}

/// Whoever started the collector, seen from the collector.
pub struct Starter {
    say: Box<dyn Fn(&Word) + Send + Sync>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    last: u64,
    waiting: HashMap<u64, oneshot::Sender<Answer>>,
    gone: bool,
}

impl Starter {
    /// `say` writes a line to the starter.
    pub fn new(say: impl Fn(&Word) + Send + Sync + 'static) -> Self {
        Self { say: Box::new(say), open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears answers until the pipe ends: nobody waits any more then. What is no answer, or answers no open question, is
    /// left out.
    pub async fn listen<R: AsyncRead + Unpin>(&self, mut lines: Lines<R>) {
        while let Ok(Some(line)) = lines.next(2 * LONGEST_ANSWER).await {
            if let Some((id, answer)) = decode(&line)
                && let Some(waiting) = self.open().waiting.remove(&id)
            {
                let _ = waiting.send(answer);
            }
        }
        let mut open = self.open();
        open.gone = true;
        open.waiting.clear();
    }
}

impl Person for Starter {
    fn ask(&self, question: Question) -> Asking<'_> {
        Box::pin(async move {
            let (answer, hear) = oneshot::channel();
            let id = {
                let mut open = self.open();
                if open.gone {
                    return Answer::Nobody;
                }
                open.last += 1;
                let id = open.last;
                open.waiting.insert(id, answer);
                id
            };
            (self.say)(&Word::Talk(Talk::Ask { id, question }));
            hear.await.unwrap_or(Answer::Nobody)
        })
    }

    fn tell(&self, text: &str) {
        (self.say)(&Word::Talk(Talk::Tell { text: text.to_owned() }));
    }
}

#[cfg(test)]
#[path = "questions_tests.rs"]
mod tests;
