//! What a line looks like in the file when somebody wrote something around it.

use std::borrow::Cow;

use serde::Deserialize;

use super::corpus::Corpus;

/// How lines stand in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// As they were sent.
    AsSent,
    /// After the priority of syslog, which was sent, too.
    Priority,
    /// After a time and an address, with so many bytes in all.
    Front(usize),
    /// In an object of reclog.
    Json,
}

/// The priority of a line.
pub const PRIORITY: &[u8] = b"<13>";
/// Time and `ip:port` as reclog writes them, with their spaces; the port of a connection on loopback has five digits.
pub const RECLOG_FRONT: usize = "2026-11-21T00:41:28.123456Z 127.0.0.1:45678 ".len();
/// Time and address as rsyslog writes them with the template of the bench.
pub const RSYSLOG_FRONT: usize = "2026-11-21T00:41:28.123456+00:00 127.0.0.1 ".len();
/// An object without number and record.
const OBJECT: usize = "{'time':'2026-11-21T00:41:28.123456Z','peer':'127.0.0.1:45678','keyword':null,'stream':'main','connection':1,'sequence':,'record':''}\n".len();

/// What is looked at in an object.
#[derive(Debug, Deserialize)]
struct Object<'a> {
    time: &'a str,
    peer: &'a str,
    stream: &'a str,
    sequence: u64,
    #[serde(borrow)]
    record: Cow<'a, str>,
}

impl Shape {
    /// The line that was sent, its end included, and its number if that is told. `None`: this is no such line.
    pub fn undress(self, line: &[u8]) -> Option<(Cow<'_, [u8]>, Option<u64>)> {
        match self {
            Self::AsSent => Some((line.into(), None)),
            Self::Priority => Some((line.strip_prefix(PRIORITY)?.into(), None)),
            Self::Front(bytes) => {
                let (front, line) = line.split_at_checked(bytes)?;
                let mut words = std::str::from_utf8(front).ok()?.split(' ');
                let (time, peer, end) = (words.next()?, words.next()?, words.next()?);
                let sound = is_time(time) && is_peer(peer) && end.is_empty() && words.next().is_none();
                sound.then_some((line.into(), None))
            }
            Self::Json => {
                let Object { time, peer, stream, sequence, record } = serde_json::from_slice(line).ok()?;
                let sound = is_time(time) && is_peer(peer) && stream == "main";
                let line = [record.as_bytes(), b"\n"].concat();
                sound.then_some((line.into(), Some(sequence)))
            }
        }
    }

    /// Bytes of the first `lines` lines of one sender in the file.
    pub fn length_of(self, corpus: &Corpus, lines: u64) -> u64 {
        let around = match self {
            Self::AsSent => 0,
            Self::Priority => PRIORITY.len(),
            Self::Front(bytes) => bytes,
            // The line end stands once.
            Self::Json => OBJECT - 1,
        };
        let more = if self == Self::Json { digits(lines) + corpus.quotes(lines) } else { 0 };
        corpus.length_of(lines) + lines * around as u64 + more
    }
}

fn is_time(text: &str) -> bool {
    text.parse::<jiff::Timestamp>().is_ok()
}

fn is_peer(text: &str) -> bool {
    text == "127.0.0.1" || text.parse::<std::net::SocketAddr>().is_ok()
}

/// Digits of all numbers from 1 to `last`.
fn digits(last: u64) -> u64 {
    let (mut sum, mut from) = (0, 1);
    while from <= last {
        sum += last - from + 1;
        from *= 10;
    }
    sum
}
