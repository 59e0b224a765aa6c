//! Sending without acknowledgements: what the kernel took may be lost when a connection is.

use std::time::{Duration, Instant};

use super::dial::Dial;
use super::feed::{Files, Input};
use super::keyword::Keyword;
use super::line::{Line, Wants, sooner, wait};
use super::outgoing::Outgoing;
use super::{Said, Settings, Stop, Wake, unreachable};
use crate::error::{Error, Kind, Result};

/// Bytes of framed records that wait for the connection. Below it more is read.
const QUEUE: usize = 256 * 1024;
/// How long the other side may take to close after the last line. A collector closes when it has read everything.
const GOODBYE: Duration = Duration::from_secs(10);
/// How long what was read may take to get out when the end is wanted.
const GRACE: Duration = Duration::from_secs(2);
/// A connection that lived so long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// What a collector that wants RELP says to anything else.
const REFUSAL: &[u8] = b"0 serverclose";
/// One that ended sooner was refused.
const REFUSED: Duration = Duration::from_secs(2);
/// So old a first connection is before it is ended from here: who was turned away has heard it by then, and may say so.
const SETTLED: Duration = Duration::from_millis(300);
/// Why a connection may be ended at once from there.
const TURNED_AWAY: &str = "it was turned away: keyword, allow/deny or framing; `reclog audit` there says which";

struct Plain<'a> {
    settings: &'a Settings,
    input: Option<Input>,
    files: Files,
    out: Outgoing,
    dial: Dial,
    line: Option<Line>,
    /// What the other side of it has said, the first bytes.
    heard: Vec<u8>,
    /// There was a connection.
    ever: bool,
    /// Connections that were lost.
    cuts: u64,
    /// What was said of the last attempts.
    said: Option<String>,
    /// Something has moved, so that more may be possible at once.
    busy: bool,
    /// No more is read; wait for the other side's end until then.
    ending: Option<Instant>,
}

/// See [`super::run`].
pub fn run(settings: &Settings, wake: &Wake, talk: &mut dyn FnMut(Said)) -> Result<()> {
    let files = Files::open(&settings.follow, |_| None)?;
    super::tell_missing(&files, talk);
    let mut plain = Plain {
        settings,
        input: files.is_empty().then(Input::new),
        files,
        out: Outgoing::default(),
        dial: Dial::new(settings.target.clone(), wake.clone(), Instant::now()),
        line: None,
        heard: Vec::new(),
        ever: false,
        cuts: 0,
        said: None,
        busy: false,
        ending: None,
    };
    let mut stop = None;
    loop {
        let now = Instant::now();
        if stop.is_none() && wake.stopped().is_some() {
            stop = Some((wake.stopped(), now + GRACE));
            plain.stop();
        }
        plain.files.look(now);
        plain.connect(now, talk)?;
        if stop.is_none() {
            plain.gather(now, talk);
        }
        if plain.advance(now, talk)? || stop.is_some_and(|(_, deadline)| now >= deadline || plain.line.is_none()) {
            return plain.finish(stop.and_then(|(who, _)| who), talk);
        }
        plain.wait(wake, stop.map(|(_, deadline)| deadline), stop.is_none(), now)?;
    }
}

impl Plain<'_> {
    fn stop(&mut self) {
        let Self { input, out, settings, .. } = self;
        if let Some(input) = input {
            input.finish(|line, ended| out.push(line, settings.framing, ended));
        }
    }

    /// Makes a connection where there is none.
    fn connect(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<()> {
        if self.line.is_some() {
            return Ok(());
        }
        match self.dial.ask(now) {
            None => {}
            Some(Ok(stream)) => {
                let word = self.settings.keyword.as_ref().map(Keyword::now);
                self.line = Some(Line::new(stream, word.as_ref().map(|word| word.as_str()), now));
                if self.cuts > 0 || self.said.take().is_some() {
                    talk(Said::Note(format!("connected to {}", self.settings.target)));
                }
                self.heard.clear();
                (self.ever, self.busy) = (true, true);
            }
            Some(Err(why)) if !self.ever && !self.settings.keep_trying => {
                return Err(unreachable(self.settings, &why));
            }
            Some(Err(why)) if self.said.as_ref() == Some(&why) => {}
            Some(Err(why)) => {
                talk(Said::Warning(format!("cannot connect to {}: {why}; trying again", self.settings.target)));
                self.said = Some(why);
            }
        }
        Ok(())
    }

    /// Takes lines of files.
    fn gather(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) {
        // What waits in a file is not lost; what was read from it and waits for a connection may be.
        while self.line.is_some() && self.out.len() < QUEUE {
            let Some((line, ..)) = self.files.line(now, talk) else { return };
            self.out.push(&line, self.settings.framing, true);
        }
    }

    fn is_over(&self) -> bool {
        self.input.as_ref().is_some_and(Input::is_over)
    }

    /// Moves bytes; true: all is done.
    fn advance(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<bool> {
        let target = &self.settings.target;
        let Some(line) = &mut self.line else { return Ok(false) };
        let mut gone = None;
        // Heard first: whoever has closed takes nothing more, and says so only once.
        let mut buffer = [0; 4096];
        loop {
            match line.hear(&mut buffer) {
                Ok(None) => break,
                Ok(Some(0)) if self.ending.is_some() => return Ok(true),
                Ok(Some(0)) => {
                    gone = Some("the other side has closed it".to_owned());
                    break;
                }
                // A collector of lines answers nothing; whatever it is, nobody waits for it.
                Ok(Some(n)) => {
                    if self.heard.len() < REFUSAL.len() {
                        self.heard.extend_from_slice(&buffer[..n]);
                    }
                    if self.heard.starts_with(REFUSAL) {
                        return Err(Error::failed(format!("cannot send to {target}: that port speaks RELP"))
                            .hint("--ack speaks it, too"));
                    }
                }
                Err(why) => {
                    gone = Some(why);
                    break;
                }
            }
        }
        if gone.is_none() {
            gone = line.flush().err();
        }
        while gone.is_none() && line.is_flushed() && !self.out.is_empty() {
            match line.send(self.out.rest()) {
                Ok(0) => break,
                Ok(n) => {
                    self.out.wrote(n);
                    self.busy = true;
                }
                Err(why) => gone = Some(why),
            }
        }
        if let Some(why) = gone {
            self.cut(&why, now, talk)?;
            return Ok(false);
        }
        let all_out = self.ending.is_none() && self.out.is_empty() && line.is_flushed();
        if all_out && self.input.as_ref().is_some_and(Input::is_over) && now >= self.settled().unwrap_or(now) {
            self.line.as_mut().expect("it stands").end();
            self.ending = Some(now + GOODBYE);
        }
        if self.ending.is_some_and(|deadline| now >= deadline) {
            talk(Said::Note(format!("all is sent; {} has not closed the connection", self.settings.target)));
            return Ok(true);
        }
        Ok(false)
    }

    /// When it is known that the first connection was not turned away; `None`: it is the business of nobody.
    fn settled(&self) -> Option<Instant> {
        let first = self.cuts == 0 && !self.settings.keep_trying;
        self.line.as_ref().filter(|_| first).map(|line| line.since + SETTLED)
    }

    /// The connection is gone.
    fn cut(&mut self, why: &str, now: Instant, talk: &mut dyn FnMut(Said)) -> Result<()> {
        let target = &self.settings.target;
        if self.ending.is_some() {
            return Err(Error::failed(format!("the connection to {target} was lost at the end: {why}"))
                .hint("the last lines may be missing there; with --ack they would be sent again"));
        }
        let Some(line) = self.line.take() else { return Ok(()) };
        let age = now.duration_since(line.since);
        if self.cuts == 0 && age < REFUSED && !self.settings.keep_trying {
            return Err(Error::failed(format!("cannot send to {target}: {why}")).hint(TURNED_AWAY));
        }
        if age >= GOOD {
            self.dial.well();
        }
        self.dial.rest(now);
        self.out.rewind();
        self.cuts += 1;
        let doubt = if age < REFUSED { TURNED_AWAY } else { "what was under way may be lost" };
        talk(Said::Warning(format!("the connection to {target} is lost ({why}); trying again; {doubt}")));
        Ok(())
    }

    fn wait(&mut self, wake: &Wake, deadline: Option<Instant>, reads: bool, now: Instant) -> Result<()> {
        if std::mem::take(&mut self.busy) {
            return Ok(());
        }
        let input =
            reads && self.ever_or_waiting() && !self.is_over() && self.input.is_some() && self.out.len() < QUEUE;
        let mut until = sooner(sooner(deadline, self.ending), self.files.look_due());
        if self.ending.is_none() && self.is_over() && self.out.is_empty() {
            until = sooner(until, self.settled().filter(|at| *at > now));
        }
        if self.line.is_none() {
            until = sooner(until, self.dial.due());
        } else if reads && self.out.len() < QUEUE {
            until = sooner(until, self.files.due());
        }
        let writes = |line: &Line| !line.is_flushed() || !self.out.is_empty();
        let line = self.line.as_ref().map(|line| (line, writes(line)));
        if wait(wake, &Wants { input, line, until }, now)? {
            let Self { input, out, settings, .. } = self;
            let input = input.as_mut().expect("it was waited for");
            input.read(|line, ended| out.push(line, settings.framing, ended))?;
        }
        Ok(())
    }

    /// Nothing is taken from standard input that may have nowhere to go.
    fn ever_or_waiting(&self) -> bool {
        self.ever || self.settings.keep_trying
    }

    fn finish(self, stop: Option<Stop>, talk: &mut dyn FnMut(Said)) -> Result<()> {
        let Self { settings, cuts, out, .. } = self;
        if cuts > 0 {
            let (were, each) = if cuts == 1 { ("connection was", "it") } else { ("connections were", "each of them") };
            talk(Said::Warning(format!(
                "{cuts} {were} lost on the way; what was under way at the end of {each} may be missing (--ack sends it again)"
            )));
        }
        match stop {
            None => Ok(()),
            Some(Stop::Manager) if !settings.follow.is_empty() => Ok(()),
            Some(_) if out.is_empty() => Err(Error::interrupted()),
            Some(_) => Err(Error::new(
                Kind::Interrupted,
                format!("interrupted: {} bytes that were read are not sent", out.len()),
            )),
        }
    }
}
