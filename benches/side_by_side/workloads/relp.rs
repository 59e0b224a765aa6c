//! Messages that are acknowledged one by one: RELP, with a window as librelp's clients have it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bench::Fallible;
use crate::bench::corpus::{BLOCK_LINES, Corpus};
use crate::bench::plain::Plain;
use crate::bench::results::{Outcome, Row};
use crate::bench::senders::connect;
use crate::bench::shape::Shape;
use crate::bench::side::Side;
use crate::bench::stop::interrupted;
use crate::bench::watch;

pub const M: &str = "m. 500,000 messages by RELP, 128 unacknowledged at most, reclog beside rsyslog (imrelp, omfile)";
pub const RECLOG: Row = Row::higher(M, "reclog, acknowledged", "/s");
pub const RSYSLOG: Row = Row::higher(M, "rsyslog, acknowledged", "/s");
const RECLOG_CPU: Row = Row::lower(M, "reclog, CPU per million", "s");
const RSYSLOG_CPU: Row = Row::lower(M, "rsyslog, CPU per million", "s");

/// Messages on their way at most.
const WINDOW: u64 = 128;

/// Workload m.
pub fn beside_rsyslog(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    if side != Side::Reclog {
        return Ok(outcome);
    }
    let lines = stage.options.amount(488, 40) * BLOCK_LINES;
    let to = Plain::reclog(stage.bed, &["--framing", "relp"])?;
    measure(stage, to, lines, [RECLOG, RECLOG_CPU], &mut outcome)?;
    let to = Plain::rsyslog(stage.bed, "imrelp", "%rawmsg%")?;
    measure(stage, to, lines, [RSYSLOG, RSYSLOG_CPU], &mut outcome)?;
    Ok(outcome)
}

fn measure(stage: &Stage, to: Plain, lines: u64, rows: [Row; 2], outcome: &mut Outcome) -> Fallible<()> {
    let before = to.cpu();
    let mut session = Session::open(to.port)?;
    let start = Instant::now();
    session.send(stage.corpus, lines)?;
    let seconds = start.elapsed().as_secs_f64();
    // What is acknowledged by rsyslog may still be on its way to the file.
    watch::until_length(&to.file, stage.corpus.length_of(lines))?;
    outcome.add(rows[0], lines as f64 / seconds);
    outcome.add(rows[1], (to.cpu() - before) * 1e6 / lines as f64);
    let verdict = stage.corpus.check_shaped(&to.file, 1, lines, Shape::AsSent)?;
    if outcome.verdict.is_none_or(|before| before.is_clean()) {
        outcome.verdict = Some(verdict);
    }
    drop(session);
    to.stop()
}

/// One session as a client.
struct Session {
    stream: TcpStream,
    /// The number of the next frame.
    next: u64,
}

impl Session {
    fn open(port: u16) -> Fallible<Self> {
        let mut stream = connect(port)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        let offers = "relp_version=0\nrelp_software=bench\ncommands=syslog";
        stream.write_all(format!("1 open {} {offers}\n", offers.len()).as_bytes())?;
        // `1 rsp LENGTH DATA LF`, and nothing behind it before we send more.
        let mut answer = Vec::new();
        let length = loop {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            answer.push(byte[0]);
            let mut words = answer.split(|b| *b == b' ').skip(2);
            if let (Some(length), Some(_)) = (words.next(), words.next()) {
                break std::str::from_utf8(length)?.parse::<usize>()?;
            }
        };
        let mut data = vec![0; length + 1];
        stream.read_exact(&mut data)?;
        if !data.starts_with(b"200 OK") {
            return Err(format!("RELP was refused: {}", data.escape_ascii()).into());
        }
        Ok(Self { stream, next: 2 })
    }

    /// Sends so many lines, and waits until each is acknowledged.
    fn send(&mut self, corpus: &Corpus, lines: u64) -> Fallible<()> {
        let mut block = corpus.of_sender(0);
        let (mut sent, mut acknowledged) = (0, 0);
        let (mut frames, mut answers) = (Vec::new(), vec![0; 64 * 1024]);
        while acknowledged < lines {
            frames.clear();
            while sent < lines && sent - acknowledged < WINDOW {
                let index = usize::try_from(sent % BLOCK_LINES)?;
                if index == 0 {
                    block.renumber(sent / BLOCK_LINES);
                }
                let line = block.line(index);
                let text = &line[..line.len() - 1];
                write!(frames, "{} syslog {} ", self.next, text.len())?;
                frames.extend_from_slice(text);
                frames.push(b'\n');
                self.next += 1;
                sent += 1;
            }
            self.stream.write_all(&frames)?;
            let read = self.stream.read(&mut answers)?;
            if read == 0 || interrupted() {
                return Err(format!("the session ended after {acknowledged} acknowledgements").into());
            }
            // `N rsp 6 200 OK LF`: no other line end.
            acknowledged += memchr::memchr_iter(b'\n', &answers[..read]).count() as u64;
        }
        Ok(())
    }
}
