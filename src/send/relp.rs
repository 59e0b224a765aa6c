//! RELP, the sender's half: one session, frame by frame. It knows no socket; bytes come in and go out as arguments.
//!
//! A frame is `TXNR SP COMMAND SP DATALEN [SP DATA] LF`. Each frame of ours has the number after the one before it and is
//! answered by an `rsp` of the same number; a server answers in order. What it says by itself has the number 0.

use crate::escape::escape;

/// The highest number of a frame; 1 follows.
const LAST: u32 = 999_999_999;
/// Bytes of an answer. The longest is that to `open`, some 100 bytes; more is no RELP.
const LONGEST: usize = 16 * 1024;
/// Letters of a command, and digits of a number.
const WORD: usize = 32;

/// One session.
#[derive(Debug)]
pub struct Session {
    state: State,
    /// The number of our next frame.
    next: u32,
    /// The number of the next answer.
    awaited: u32,
    /// Records without answer.
    in_flight: usize,
    /// Heard, and not a whole frame yet.
    heard: Vec<u8>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Opening,
    Open,
    Closing,
    Over,
}

/// What the server has said.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// So many more records are acknowledged, the oldest ones.
    pub acked: usize,
    /// The session is over: we closed it, or the server wants no more.
    pub over: bool,
}

impl Session {
    /// A new session; its first frame is appended to `out`.
    #[must_use]
    pub fn open(out: &mut Vec<u8>) -> Self {
        Self::numbered(1, out)
    }

    fn numbered(first: u32, out: &mut Vec<u8>) -> Self {
        let mut session = Self { state: State::Opening, next: first, awaited: first, in_flight: 0, heard: Vec::new() };
        let offers = format!("relp_version=0\nrelp_software=reclog,{}\ncommands=syslog", env!("CARGO_PKG_VERSION"));
        session.frame("open", offers.as_bytes(), out);
        session
    }

    /// Whether records may be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Records that were sent and have no answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// Appends the frame of a record to `out`.
    pub fn record(&mut self, record: &[u8], out: &mut Vec<u8>) {
        debug_assert!(self.is_open(), "records follow the answer to `open`");
        self.in_flight += 1;
        self.frame("syslog", record, out);
    }

    /// Appends the last frame to `out`.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.state = State::Closing;
        self.frame("close", &[], out);
    }

    fn frame(&mut self, command: &str, data: &[u8], out: &mut Vec<u8>) {
        let mut number = itoa(self.next);
        out.append(&mut number);
        out.push(b' ');
        out.extend_from_slice(command.as_bytes());
        out.push(b' ');
        out.append(&mut itoa(u32::try_from(data.len()).expect("records are short")));
        if !data.is_empty() {
            out.push(b' ');
            out.extend_from_slice(data);
        }
        out.push(b'\n');
        self.next = after(self.next);
    }

    /// Takes what the server has said.
    ///
    /// # Errors
    /// What is wrong with it, safe for a terminal. The session is of no use then, and what has no answer must be repeated in
    /// another one; what `heard` counts was acknowledged before.
    pub fn hear(&mut self, bytes: &[u8], heard: &mut Heard) -> Result<(), String> {
        self.heard.extend_from_slice(bytes);
        let mut at = 0;
        let result = loop {
            match look(&self.heard[at..]) {
                Ok(None) => break Ok(()),
                Err(why) => break Err(why),
                Ok(Some(frame)) => {
                    let (start, end) = (at + frame.data, at + frame.end);
                    let data = self.heard[start..end].to_vec();
                    at = end + 1;
                    if let Err(why) = self.take(frame.txnr, frame.command, &data, heard) {
                        break Err(why);
                    }
                }
            }
        };
        self.heard.drain(..at);
        result
    }

    fn take(&mut self, txnr: u32, command: Command, data: &[u8], heard: &mut Heard) -> Result<(), String> {
        match command {
            Command::ServerClose => {
                self.state = State::Over;
                heard.over = true;
                return Ok(());
            }
            // Hints, which older servers may give.
            Command::Other if txnr == 0 => return Ok(()),
            Command::Other => return Err("an answer that is none of RELP's".into()),
            Command::Rsp => {}
        }
        let outstanding = self.awaited != self.next;
        if self.state == State::Over || txnr != self.awaited || !outstanding {
            return Err(format!("an answer to frame {txnr}, which is not due"));
        }
        self.awaited = after(self.awaited);
        let closes = self.state == State::Closing && self.in_flight == 0;
        // To `close` nothing need be said.
        if !closes && !is_fine(data) {
            let what = if self.state == State::Opening { "the session" } else { "a record" };
            return Err(format!("it refused {what}: {}", escape(&data[..data.len().min(200)])));
        }
        if self.state == State::Opening {
            self.state = State::Open;
        } else if closes {
            self.state = State::Over;
            heard.over = true;
        } else {
            self.in_flight -= 1;
            heard.acked += 1;
        }
        Ok(())
    }
}

/// `200`, and whatever stands behind it.
fn is_fine(data: &[u8]) -> bool {
    data.strip_prefix(b"200").is_some_and(|rest| rest.first().is_none_or(|b| !b.is_ascii_digit()))
}

fn after(txnr: u32) -> u32 {
    if txnr >= LAST { 1 } else { txnr + 1 }
}

fn itoa(n: u32) -> Vec<u8> {
    n.to_string().into_bytes()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Rsp,
    ServerClose,
    Other,
}

/// Where the parts of a frame stand.
#[derive(Debug, Clone, Copy)]
struct Frame {
    txnr: u32,
    command: Command,
    data: usize,
    /// Of the LF.
    end: usize,
}

/// The first frame of `bytes`; `None`: it is not whole.
fn look(bytes: &[u8]) -> Result<Option<Frame>, String> {
    let no_relp = || "it does not speak RELP".to_owned();
    let word = |from: usize| -> Result<Option<(usize, u8)>, String> {
        let rest = &bytes[from..];
        match rest.iter().take(WORD + 1).position(|b| *b == b' ' || *b == b'\n') {
            Some(0) => Err(no_relp()),
            Some(n) => Ok(Some((from + n, rest[n]))),
            None if rest.len() > WORD => Err(no_relp()),
            None => Ok(None),
        }
    };
    let number = |text: &[u8]| -> Result<u32, String> {
        let digits = std::str::from_utf8(text).ok().filter(|t| t.bytes().all(|b| b.is_ascii_digit()));
        digits.and_then(|t| t.parse().ok()).filter(|n| *n <= LAST).ok_or_else(no_relp)
    };
    let Some((txnr_end, b' ')) = word(0)? else {
        return if bytes.iter().take(WORD).any(|b| *b == b'\n') { Err(no_relp()) } else { Ok(None) };
    };
    let txnr = number(&bytes[..txnr_end])?;
    let Some((command_end, stop)) = word(txnr_end + 1)? else { return Ok(None) };
    if stop != b' ' {
        return Err(no_relp());
    }
    let command = match &bytes[txnr_end + 1..command_end] {
        b"rsp" => Command::Rsp,
        b"serverclose" => Command::ServerClose,
        text if text.iter().all(u8::is_ascii_alphabetic) => Command::Other,
        _ => return Err(no_relp()),
    };
    let Some((length_end, stop)) = word(command_end + 1)? else { return Ok(None) };
    let length = number(&bytes[command_end + 1..length_end])? as usize;
    if length > LONGEST {
        return Err("its answer is too long for RELP".into());
    }
    let data = match stop {
        b'\n' if length == 0 => length_end,
        b'\n' => return Err(no_relp()),
        _ => length_end + 1,
    };
    match bytes.get(data + length) {
        None => Ok(None),
        Some(b'\n') => Ok(Some(Frame { txnr, command, data, end: data + length })),
        Some(_) => Err(no_relp()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn opened(first: u32) -> (Session, Vec<u8>) {
        let mut out = Vec::new();
        let mut session = Session::numbered(first, &mut out);
        session.hear(format!("{first} rsp 6 200 OK\n").as_bytes(), &mut Heard::default()).unwrap();
        assert!(session.is_open());
        (session, out)
    }

    #[test]
    fn a_session_is_opened_filled_and_closed() {
        let (mut session, mut out) = opened(1);
        assert!(out.starts_with(b"1 open ") && out.ends_with(b"\ncommands=syslog\n"));
        out.clear();
        session.record(b"one", &mut out);
        session.record(b"", &mut out);
        session.close(&mut out);
        assert_eq!(out, b"2 syslog 3 one\n3 syslog 0\n4 close 0\n");
        let mut heard = Heard::default();
        for byte in b"2 rsp 6 200 OK\n3 rsp 3 200\n" {
            session.hear(&[*byte], &mut heard).unwrap();
        }
        assert_eq!((heard, session.in_flight()), (Heard { acked: 2, over: false }, 0));
        session.hear(b"4 rsp 0\n0 serverclose 0\n", &mut heard).unwrap();
        assert!(heard.over);
    }

    #[test]
    fn after_the_highest_number_comes_one() {
        let (mut session, mut out) = opened(LAST - 1);
        out.clear();
        session.record(b"a", &mut out);
        session.record(b"b", &mut out);
        assert_eq!(out, b"999999999 syslog 1 a\n1 syslog 1 b\n");
        let mut heard = Heard::default();
        session.hear(b"999999999 rsp 6 200 OK\n1 rsp 6 200 OK\n", &mut heard).unwrap();
        assert_eq!(heard.acked, 2);
    }

    #[test]
    fn nothing_but_the_next_answer_acknowledges() {
        for answer in [
            "3 rsp 6 200 OK\n",
            "1 rsp 6 200 OK\n",
            "2 rsp 9 500 Error\n",
            "2 rsp 4 2000\n",
            "2 rsp 0\n",
            "2 ok 0\n",
            "HTTP/1.1 400 Bad Request\r\n",
            "\n",
            " \n",
            "2\n",
            "2 rsp 6\n",
            "2 rsp 6 200 OK!",
            "2 rsp 99999999 2",
            "99999999999 rsp 6 200 OK\n",
        ] {
            let (mut session, _) = opened(1);
            session.record(b"x", &mut Vec::new());
            let mut heard = Heard::default();
            assert!(session.hear(answer.as_bytes(), &mut heard).is_err(), "{answer:?}");
            assert_eq!(heard.acked, 0, "{answer:?}");
        }
        let (mut session, _) = opened(1);
        assert!(session.hear(b"2 rsp 6 200 OK\n", &mut Heard::default()).is_err(), "nothing was sent");
    }

    #[test]
    fn what_a_server_says_is_shown_escaped() {
        let mut session = Session::open(&mut Vec::new());
        let why = session.hear(b"1 rsp 10 500 \x1b[31mr\n", &mut Heard::default()).unwrap_err();
        assert_eq!(why, "it refused the session: 500 \\x1b[31mr");
    }

    #[test]
    fn serverclose_ends_the_session_and_keeps_what_was_acknowledged() {
        let (mut session, _) = opened(1);
        session.record(b"x", &mut Vec::new());
        session.record(b"y", &mut Vec::new());
        let mut heard = Heard::default();
        session.hear(b"2 rsp 6 200 OK\n0 serverclose 0\n", &mut heard).unwrap();
        assert_eq!((heard.acked, heard.over, session.in_flight()), (1, true, 1));
        assert!(session.hear(b"3 rsp 6 200 OK\n", &mut heard).is_err(), "after its last word");
    }

    proptest! {
        #[test]
        fn any_chunks_of_the_same_answers_are_the_same(cuts in prop::collection::vec(1usize..12, 1..40), n in 1u32..20) {
            let (mut session, _) = opened(1);
            for _ in 0..n {
                session.record(b"x", &mut Vec::new());
            }
            let answers: Vec<String> = (2..n + 2).map(|t| format!("{t} rsp 6 200 OK\n")).collect();
            let all = answers.concat();
            let (mut rest, mut heard, mut cuts) = (all.as_bytes(), Heard::default(), cuts.iter().cycle());
            while !rest.is_empty() {
                let (piece, left) = rest.split_at((*cuts.next().unwrap()).min(rest.len()));
                session.hear(piece, &mut heard).unwrap();
                rest = left;
            }
            prop_assert_eq!(heard.acked, n as usize);
        }

        #[test]
        fn no_bytes_panic_or_are_kept_without_bound(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..20)) {
            let mut session = Session::open(&mut Vec::new());
            for piece in pieces {
                if session.hear(&piece, &mut Heard::default()).is_err() {
                    break;
                }
                prop_assert!(session.heard.len() <= LONGEST + 3 * WORD + 200);
            }
        }
    }
}
