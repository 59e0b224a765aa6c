//! Sending with acknowledgements: nothing is forgotten before it is stored on the other side.
//!
//! The window is counted from what is *remembered* as acknowledged, not from what was heard: whenever this process is killed, at
//! most one window is sent twice.

mod ending;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::dial::Dial;
use super::feed::{Files, Input};
use super::keyword::Keyword;
use super::line::{Line, Wants, sooner, wait};
use super::relp::{Heard, Session};
use super::spool::Spool;
use super::store::Store;
use super::tail::Place;
use super::{Ack, Said, Settings, Wake, counted, unreachable};
use crate::error::{Error, Result, io_reason};

/// Records that are sent and not acknowledged; librelp's number. What a cut doubles at most.
const WINDOW: usize = 128;
/// Their bytes: with the longest lines the window is narrower.
const WINDOW_BYTES: usize = 8 * 1024 * 1024;
/// How long the answer to `open` may take: it waits for no disk.
const OPENING: Duration = Duration::from_secs(30);
/// After so long the one who waits for it is told.
const SLOW: Duration = Duration::from_secs(3);
/// How long the answer to `close` may take. Everything is acknowledged then.
const CLOSING: Duration = Duration::from_secs(5);
/// How long acknowledgements under way are waited for when the end is wanted.
const GRACE: Duration = Duration::from_secs(2);
/// Pauses before a disk that took nothing is asked again.
const RETRY: Duration = Duration::from_secs(1);
/// Each time in a row that acknowledgements do not come they may take twice as long, up to that: a collector whose disk is
/// full is none that is gone, and every attempt may double a window.
const MOST_PATIENCE: Duration = Duration::from_secs(3600);

/// Where a record comes from, and how far that is done with when it is acknowledged.
#[derive(Debug, Clone, Copy)]
enum Mark {
    Spool(u64),
    File(usize, Place),
}

struct Acked<'a> {
    settings: &'a Settings,
    ack: &'a Ack,
    store: Store,
    spool: Spool,
    input: Option<Input>,
    files: Files,
    /// Not acknowledged, in order; of these the first `sent` went out in this session.
    flight: VecDeque<(Vec<u8>, Mark)>,
    flight_bytes: usize,
    sent: usize,
    /// Acknowledged, and not remembered yet.
    unsaved: usize,
    dial: Dial,
    line: Option<(Line, Session)>,
    /// A session was opened once.
    ever: bool,
    /// Since then no answer has come that was waited for.
    waiting: Instant,
    patience: Duration,
    /// Something has moved, so that more may be possible at once.
    busy: bool,
    /// `close` was said then.
    closing: Option<Instant>,
    /// No more is sent but what is under way.
    stopping: bool,
    /// What was said last of connection and disk, each once.
    said: Option<String>,
    trouble: Option<String>,
    /// It was told that `open` has no answer yet.
    told: bool,
    /// Something was there to be sent.
    any: bool,
    /// The disk is asked again then.
    retry: Option<Instant>,
}

/// See [`super::run`].
pub fn run(settings: &Settings, ack: &Ack, wake: &Wake, talk: &mut dyn FnMut(Said)) -> Result<()> {
    let mut acked = Acked::open(settings, ack, wake, talk)?;
    let mut stop = None;
    loop {
        let now = Instant::now();
        if stop.is_none() && wake.stopped().is_some() {
            stop = Some((wake.stopped(), now + GRACE));
            acked.stop();
        }
        acked.keep(now, talk);
        acked.files.look(now);
        acked.connect(now, talk)?;
        acked.gather(now, talk)?;
        let over = acked.advance(now, talk)?;
        let stopped = stop.is_some_and(|(_, deadline)| now >= deadline || acked.sent == 0);
        if over || (stopped && !acked.spool.is_stuck()) || stop.is_some_and(|(_, deadline)| now >= deadline) {
            return acked.finish(stop.and_then(|(who, _)| who));
        }
        acked.wait(wake, stop.map(|(_, deadline)| deadline), now)?;
    }
}

impl<'a> Acked<'a> {
    fn open(settings: &'a Settings, ack: &'a Ack, wake: &Wake, talk: &mut dyn FnMut(Said)) -> Result<Self> {
        let mut store = Store::open(&ack.spool, &settings.target.to_string())?;
        let cannot = |e: std::io::Error| {
            Error::failed(format!("cannot use the spool {}: {}", ack.spool.display(), io_reason(&e)))
        };
        let (mut spool, torn) = Spool::open(&ack.spool, store.spool(), ack.most).map_err(cannot)?;
        if torn > 0 {
            let text =
                format!("the last run left {torn} bytes of a half-written record in the spool; they are cut off");
            talk(Said::Note(text));
        }
        let files = Files::open(&settings.follow, |path| store.file(path))?;
        super::tell_missing(&files, talk);
        // From now on a start after a crash goes on here.
        for (path, place) in files.places() {
            store.file_is(path, place);
        }
        store.save().map_err(cannot)?;
        let left = spool.left().map_err(cannot)?;
        spool.rewind();
        if left > 0 {
            let go = if left == 1 { "goes" } else { "go" };
            talk(Said::Note(format!("{} of the last run {go} first", counted(left))));
        }
        let now = Instant::now();
        Ok(Self {
            settings,
            ack,
            store,
            spool,
            input: files.is_empty().then(Input::new),
            files,
            flight: VecDeque::new(),
            flight_bytes: 0,
            sent: 0,
            unsaved: 0,
            dial: Dial::new(settings.target.clone(), wake.clone(), now),
            line: None,
            ever: false,
            waiting: now,
            patience: ack.patience,
            busy: false,
            closing: None,
            stopping: false,
            said: None,
            trouble: None,
            told: false,
            any: left > 0,
            retry: None,
        })
    }

    /// Brings to the disk what belongs there.
    fn keep(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) {
        // What is acknowledged is remembered whatever the disk says to new records: it may be what fills it.
        let remembered = self.remember(now);
        if self.retry.is_some_and(|retry| now < retry) {
            return;
        }
        let (written, synced) = (self.spool.write(now), self.spool.sync_if_due(now));
        match written.and(synced).and(remembered) {
            Ok(()) => {
                self.retry = None;
                if self.trouble.take().is_some() {
                    talk(Said::Note("the spool takes records again".into()));
                }
            }
            Err(e) => {
                self.retry = Some(now + RETRY);
                let why = io_reason(&e);
                if self.trouble.as_ref() != Some(&why) {
                    let folder = self.store.folder().display();
                    talk(Said::Warning(format!("cannot write to the spool {folder}: {why}; the input waits")));
                    self.trouble = Some(why);
                }
            }
        }
    }

    fn remember(&mut self, now: Instant) -> std::io::Result<()> {
        if self.unsaved > 0 {
            self.store.save()?;
            self.unsaved = 0;
            if self.spool.done(self.store.spool()) && self.retry.is_some() {
                self.retry = Some(now);
            }
        }
        Ok(())
    }

    /// Makes a connection where there is none.
    fn connect(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<()> {
        if self.line.is_some() || self.stopping {
            return Ok(());
        }
        match self.dial.ask(now) {
            None => Ok(()),
            Some(Ok(stream)) => {
                let word = self.settings.keyword.as_ref().map(Keyword::now);
                let mut line = Line::new(stream, word.as_ref().map(|word| word.as_str()), now);
                let session = Session::open(line.out());
                self.line = Some((line, session));
                (self.sent, self.waiting) = (0, now);
                Ok(())
            }
            Some(Err(why)) => self.failed("cannot connect to", &why, talk),
        }
    }

    /// An attempt was in vain.
    fn failed(&mut self, what: &str, why: &str, talk: &mut dyn FnMut(Said)) -> Result<()> {
        if !self.ever && !self.settings.keep_trying {
            let error = unreachable(self.settings, why);
            return Err(if what.starts_with("cannot") {
                error
            } else {
                error.hint("--ack needs a port with `--framing relp`, and its keyword where it has one")
            });
        }
        let ask =
            if what.starts_with("no session") { "; is the keyword right, and the port `--framing relp`?" } else { "" };
        let text = format!("{what} {}: {why}{ask}; trying again", self.settings.target);
        if self.said.as_ref() != Some(&text) {
            talk(Said::Warning(text.clone()));
            self.said = Some(text);
        }
        Ok(())
    }

    /// Takes records into the window, and sends those that are not under way.
    fn gather(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<()> {
        let Some((line, session)) = self.line.as_mut().filter(|(_, session)| session.is_open()) else { return Ok(()) };
        if self.stopping || self.closing.is_some() {
            return Ok(());
        }
        while self.flight.len() + self.unsaved < WINDOW && self.flight_bytes < WINDOW_BYTES {
            let next = match self.spool.read() {
                Ok(Some((record, place))) => Some((record, Mark::Spool(place))),
                Ok(None) => self.files.line(now, talk).map(|(line, file, place)| (line, Mark::File(file, place))),
                Err(e) => {
                    let folder = self.store.folder().display();
                    return Err(Error::failed(format!("cannot read the spool {folder}: {}", io_reason(&e)))
                        .hint("what is left of it can be moved away; --spool DIR begins with another one"));
                }
            };
            let Some(next) = next else { break };
            self.flight_bytes += next.0.len();
            self.flight.push_back(next);
        }
        for (record, _) in self.flight.range(self.sent..) {
            if session.in_flight() == 0 {
                self.waiting = now;
            }
            session.record(record, line.out());
        }
        self.sent = self.flight.len();
        let at_end = self.input.as_ref().is_some_and(Input::is_over) && self.spool.is_read();
        if at_end && self.flight.is_empty() && self.unsaved == 0 {
            session.close(line.out());
            self.closing = Some(now);
        }
        Ok(())
    }

    /// Moves bytes; true: all is done.
    fn advance(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<bool> {
        let Some((line, session)) = &mut self.line else { return Ok(false) };
        let was_open = session.is_open();
        let (mut heard, mut gone) = (Heard::default(), line.flush().err());
        let mut buffer = [0; 16 * 1024];
        // Even when nothing can be written any more: answers may have come before.
        loop {
            match line.hear(&mut buffer) {
                Ok(None) => break,
                Ok(Some(0)) => {
                    gone.get_or_insert_with(|| "the other side has closed it".into());
                    break;
                }
                Ok(Some(n)) => {
                    if let Err(why) = session.hear(&buffer[..n], &mut heard) {
                        gone = Some(why);
                        break;
                    }
                    if heard.over {
                        gone = Some("the other side wants no more for now".into());
                        break;
                    }
                }
                Err(why) => {
                    gone = Some(why);
                    break;
                }
            }
        }
        let (opened, in_flight) = (!was_open && session.is_open(), session.in_flight());
        self.busy = opened || heard.acked > 0;
        if opened {
            self.waiting = now;
            if self.said.take().is_some() {
                talk(Said::Note(format!("connected to {}", self.settings.target)));
            }
            self.ever = true;
        }
        if heard.acked > 0 {
            self.acknowledged(heard.acked, now);
        }
        if self.closing.is_some_and(|since| gone.is_some() || now.duration_since(since) >= CLOSING) {
            return Ok(true);
        }
        let opens = gone.is_none() && !self.is_open() && self.closing.is_none();
        if opens && !self.told && now.duration_since(self.waiting) >= SLOW {
            self.told = true;
            let text = "connected, waiting for the answer to RELP's `open`; does the port have `--framing relp`?";
            talk(Said::Note(text.into()));
        }
        let limit = if self.is_open() { self.patience } else { OPENING };
        let waits = !self.is_open() || in_flight > 0;
        if gone.is_none() && waits && now.duration_since(self.waiting) >= limit {
            gone = Some("no answer in time".into());
            // An `open` without an answer says nothing of a disk that is slow.
            if self.is_open() {
                self.patience = (self.patience * 2).min(MOST_PATIENCE);
            }
        }
        if let Some(why) = gone {
            self.line = None;
            self.sent = 0;
            self.dial.rest(now);
            let what = if was_open || opened { "the connection is lost to" } else { "no session with" };
            self.failed(what, &why, talk)?;
        }
        Ok(false)
    }

    fn is_open(&self) -> bool {
        self.line.as_ref().is_some_and(|(_, session)| session.is_open())
    }

    /// The `n` oldest records are stored on the other side.
    fn acknowledged(&mut self, n: usize, now: Instant) {
        for (record, mark) in self.flight.drain(..n) {
            self.flight_bytes -= record.len();
            match mark {
                Mark::Spool(place) => self.store.spool_is(place),
                Mark::File(number, place) => self.store.file_is(self.files.path(number), place),
            }
        }
        self.sent -= n;
        self.unsaved += n;
        self.waiting = now;
        self.patience = self.ack.patience;
        self.dial.well();
    }

    fn wait(&mut self, wake: &Wake, deadline: Option<Instant>, now: Instant) -> Result<()> {
        if std::mem::take(&mut self.busy) {
            return Ok(());
        }
        let reads = !self.stopping && (self.ever || self.settings.keep_trying) && self.spool.has_room();
        let input = reads && self.input.as_ref().is_some_and(|input| !input.is_over());
        let mut until = sooner(sooner(deadline, self.files.look_due()), self.retry.or(self.spool.sync_due()));
        let limit = self.line.as_ref().map(|(_, session)| match self.closing {
            Some(since) => Some(since + CLOSING),
            None if !session.is_open() => Some(self.waiting + if self.told { OPENING } else { SLOW }),
            None if session.in_flight() > 0 => Some(self.waiting + self.patience),
            None => None,
        });
        match limit {
            Some(limit) => until = sooner(until, limit),
            None if !self.stopping => until = sooner(until, self.dial.due()),
            None => {}
        }
        let has_room = self.flight.len() + self.unsaved < WINDOW && self.flight_bytes < WINDOW_BYTES;
        if self.is_open() && has_room && !self.stopping {
            until = sooner(until, self.files.due());
        }
        let line = self.line.as_ref().map(|(line, _)| (line, !line.is_flushed()));
        if wait(wake, &Wants { input, line, until }, now)? {
            let Self { input, spool, any, .. } = self;
            let read = |line: &[u8], _| {
                *any = true;
                spool.push(line);
            };
            input.as_mut().expect("it was waited for").read(read)?;
        }
        Ok(())
    }
}
