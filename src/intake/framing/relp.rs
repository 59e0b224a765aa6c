//! RELP, the reliable event logging protocol, as librelp speaks it: numbered frames, each of which is answered.
//!
//! A frame is `TXNR SP COMMAND SP DATALEN [SP DATA] LF`. A session begins with `open`, goes on with `syslog` and ends with
//! `close`, each numbered one higher than the one before. What is out of turn cannot be acknowledged without lying about
//! another one, so it ends the session, as a frame does that cannot be read: the sender comes again and repeats what was not
//! acknowledged. What is acknowledged and when is the matter of [`crate::intake::acks`].

use super::Made;
use super::record::Record;
use super::syslog::whole;
use crate::sink::{End, Records};

/// Digits of a transaction number and of a length.
const DIGITS: usize = 9;
/// Letters of a command.
const LETTERS: usize = 32;
/// The longest header, with the byte after it.
const HEAD: usize = DIGITS + 1 + LETTERS + 1 + DIGITS + 1;
/// Data of `open` and `close`, which librelp makes some 100 bytes long.
const OFFERS: usize = 4096;
/// The highest transaction number; 1 follows. 0 is the server's, for what is no answer.
const LAST: u32 = 999_999_999;

/// The number after `txnr`.
#[must_use]
pub fn after(txnr: u32) -> u32 {
    if txnr >= LAST { 1 } else { txnr + 1 }
}

/// What the sender is to be told.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Said {
    /// A session was opened with a frame of this number.
    pub opened: Option<Opened>,
    /// Records that are complete, in frames with the next numbers.
    pub records: u64,
    /// The session is over.
    pub over: Option<Over>,
}

/// The answer to `open`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opened {
    /// The number of the frame.
    pub txnr: u32,
    /// Whether the sender's offers have what is needed.
    pub accepted: bool,
}

/// How a session ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    /// As the sender wished, by a frame of this number.
    Closed(u32),
    /// A frame was bad or out of turn.
    Bad,
}

/// One sender's session.
#[derive(Debug)]
pub struct Relp {
    state: State,
    /// The header so far.
    head: Vec<u8>,
    /// The message, or the offers.
    record: Record,
    offers: Vec<u8>,
    /// The message ends with an LF of its own, which is not in `record` yet.
    line_end: bool,
    /// The number of the next frame; `None` before `open`.
    next: Option<u32>,
    said: Said,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Head,
    /// So many bytes of data are to come.
    Data(Command, usize),
    /// The LF at the end of the frame is to come.
    Trailer(Command),
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Open(u32),
    Syslog,
    Close(u32),
}

/// What is known of a frame by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look<'a> {
    More,
    Bad,
    Frame {
        txnr: u32,
        command: &'a [u8],
        data: usize,
        /// Bytes of the header, the space before the data included.
        bytes: usize,
    },
}

impl Relp {
    /// `max_line` as in [`super::Framer::new`].
    pub fn new(max_line: usize) -> Self {
        Self {
            state: State::Head,
            head: Vec::new(),
            record: Record::new(max_line),
            offers: Vec::new(),
            line_end: false,
            next: None,
            said: Said::default(),
        }
    }

    /// See [`super::Framer::held`].
    pub fn held(&self) -> usize {
        self.head.len() + self.record.held() + usize::from(self.line_end)
    }

    /// See [`super::Framer::said`].
    pub fn said(&mut self) -> Said {
        std::mem::take(&mut self.said)
    }

    /// See [`super::Framer::feed`].
    pub fn feed(&mut self, mut input: &[u8], out: &mut dyn Records, made: &mut Made) {
        while !input.is_empty() {
            input = match self.state {
                State::Head => self.begin(input, made),
                State::Data(command, left) => self.data(command, left, input, out, made),
                State::Trailer(command) if input[0] == b'\n' => {
                    made.taken += 1;
                    self.complete(command, &[], out, made);
                    &input[1..]
                }
                State::Trailer(_) => {
                    self.bad(made);
                    input
                }
                State::Over => {
                    made.taken += input.len() as u64;
                    &[]
                }
            };
        }
    }

    /// Reads the header.
    fn begin<'a>(&mut self, input: &'a [u8], made: &mut Made) -> &'a [u8] {
        let known = self.head.len();
        let mut seen = [0; HEAD];
        let n = input.len().min(HEAD - known);
        seen[..known].copy_from_slice(&self.head);
        seen[known..known + n].copy_from_slice(&input[..n]);
        match look(&seen[..known + n]) {
            Look::More => {
                self.head.extend_from_slice(&input[..n]);
                &input[n..]
            }
            Look::Bad => {
                self.bad(made);
                input
            }
            Look::Frame { txnr, command, data, bytes } => {
                let command = self.turn(txnr, command, data);
                let Some(command) = command else {
                    self.bad(made);
                    return input;
                };
                self.head.clear();
                made.taken += bytes as u64;
                self.state = if data == 0 { State::Trailer(command) } else { State::Data(command, data) };
                &input[bytes - known..]
            }
        }
    }

    /// The command, if it is its turn.
    fn turn(&mut self, txnr: u32, command: &[u8], data: usize) -> Option<Command> {
        let command = match (command, self.next) {
            (b"open", None) if txnr > 0 => Command::Open(txnr),
            (b"syslog", Some(next)) if next == txnr => Command::Syslog,
            (b"close", Some(next)) if next == txnr => Command::Close(txnr),
            _ => return None,
        };
        if command != Command::Syslog && data > OFFERS {
            return None;
        }
        self.next = Some(after(txnr));
        Some(command)
    }

    /// Takes what there is of data of which `left` bytes are to come.
    fn data<'a>(
        &mut self,
        command: Command,
        left: usize,
        input: &'a [u8],
        out: &mut dyn Records,
        made: &mut Made,
    ) -> &'a [u8] {
        if command == Command::Syslog && input.get(left) == Some(&b'\n') {
            // All that is left of the frame, mostly all of it: nothing is kept.
            made.taken += 1;
            self.complete(command, &input[..left], out, made);
            return &input[left + 1..];
        }
        let (mut data, rest) = input.split_at(left.min(input.len()));
        self.state = if data.len() < left { State::Data(command, left - data.len()) } else { State::Trailer(command) };
        if command == Command::Syslog {
            if data.len() == left
                && let Some(text) = data.strip_suffix(b"\n")
            {
                data = text;
                self.line_end = true;
            }
            self.record.keep(data, out, made);
        } else {
            made.taken += data.len() as u64;
            self.offers.extend_from_slice(data);
        }
        rest
    }

    /// A frame is whole; `text` is the rest of its data.
    fn complete(&mut self, command: Command, text: &[u8], out: &mut dyn Records, made: &mut Made) {
        self.state = State::Head;
        match command {
            Command::Open(txnr) => {
                let accepted = takes_syslog(&std::mem::take(&mut self.offers));
                self.said.opened = Some(Opened { txnr, accepted });
                if !accepted {
                    self.bad(made);
                }
            }
            Command::Syslog => {
                if std::mem::take(&mut self.line_end) {
                    self.record.end(&[], End::Theirs, out, made);
                } else {
                    whole(&mut self.record, text, out, made);
                }
                self.said.records += 1;
            }
            Command::Close(txnr) => {
                self.state = State::Over;
                self.said.over = Some(Over::Closed(txnr));
            }
        }
    }

    fn bad(&mut self, made: &mut Made) {
        self.finish(made);
        self.said.over = Some(Over::Bad);
    }

    /// See [`super::Framer::relieve`].
    pub fn relieve(&mut self, out: &mut dyn Records, made: &mut Made) {
        self.record.relieve(out, made);
    }

    /// See [`super::Framer::finish`].
    pub fn finish(&mut self, made: &mut Made) {
        made.taken += self.held() as u64;
        self.record.drop_rest();
        (self.head, self.offers) = (Vec::new(), Vec::new());
        (self.line_end, self.state) = (false, State::Over);
    }
}

/// `head`: the first bytes of a frame, at most `HEAD`.
fn look(head: &[u8]) -> Look<'_> {
    let all = |bytes: &[u8], most: usize, is: fn(&u8) -> bool| bytes.iter().take(most).take_while(|b| is(b)).count();
    // At most `most` bytes of a kind, then a space: how many. `Err`: not yet, or never.
    let word = |from: usize, most: usize, is: fn(&u8) -> bool| {
        let n = all(&head[from..], most, is);
        match head.get(from + n) {
            None => Err(Look::More),
            Some(b' ') if n > 0 => Ok(n),
            Some(_) => Err(Look::Bad),
        }
    };
    let digits = match word(0, DIGITS, u8::is_ascii_digit) {
        Ok(n) => n,
        Err(look) => return look,
    };
    let letters = match word(digits + 1, LETTERS, u8::is_ascii_alphabetic) {
        Ok(n) => n,
        Err(look) => return look,
    };
    let at = digits + 1 + letters + 1;
    let length = all(&head[at..], DIGITS, u8::is_ascii_digit);
    let number = |bytes: &[u8]| bytes.iter().fold(0, |n: u32, b| n * 10 + u32::from(b - b'0'));
    let data = number(&head[at..at + length]) as usize;
    let bytes = match head.get(at + length) {
        None => return Look::More,
        Some(_) if length == 0 => return Look::Bad,
        Some(b' ') => at + length + 1,
        // No data, and no space before it.
        Some(b'\n') if data == 0 => at + length,
        Some(_) => return Look::Bad,
    };
    let command = &head[digits + 1..digits + 1 + letters];
    Look::Frame { txnr: number(&head[..digits]), command, data, bytes }
}

/// Whether the offers of an `open` have the command `syslog`, or say nothing about commands.
fn takes_syslog(offers: &[u8]) -> bool {
    let mut lines = offers.split(|b| *b == b'\n');
    let commands = lines.find_map(|line| line.strip_prefix(b"commands="));
    commands.is_none_or(|commands| commands.split(|b| *b == b',').any(|c| c.trim_ascii() == b"syslog"))
}
