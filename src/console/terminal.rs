//! The terminal that this process belongs to, and a question on it: it is as it was when the question is over, whatever came of
//! it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Pid, Signal, getpgid, getpid, getppid, getsid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use zeroize::Zeroizing;

use crate::secret::keep_out_of_core_files;

/// An answer is cut at so many bytes; a terminal gives no longer lines.
pub const LONGEST: usize = 4096;

/// What came of a question.
#[derive(Clone, PartialEq, Eq)]
pub enum Said {
    /// What was typed, without its line end.
    Text(Zeroizing<String>),
    /// Nobody is there to be asked: no terminal.
    Nobody,
    /// Somebody was there and gave no answer (end of input).
    Declined,
}

/// Asks for what nobody shall see while it is typed, and waits for the answer. Signals that end the process find the terminal as
/// it was; one that stops it gives the shell its terminal back, and the question stands there again afterwards.
#[must_use]
pub fn ask_secret(text: &str) -> Said {
    let shown = Shown::default();
    let Some(terminal) = Terminal::open() else { return Said::Nobody };
    keep_out_of_core_files();
    let Ok(mut signals) = Signals::new([SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP]) else { return Said::Nobody };
    let (watched, handle) = (Arc::clone(&shown), signals.handle());
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal == SIGTSTP {
                stopped(&watched);
                continue;
            }
            if let Some(open) = take(&watched) {
                open.restore(true);
            }
            let _ = emulate_default_handler(signal);
        }
    });
    let Some((tty, mut end)) = terminal.put(text, true, &shown) else { return Said::Nobody };
    let said = read_line(tty);
    end.answered(said != Said::Declined);
    drop(end);
    handle.close();
    said
}

/// The terminal that this process belongs to.
pub struct Terminal(File);

impl Terminal {
    /// `/dev/tty`, where there is one.
    #[must_use]
    pub fn open() -> Option<Self> {
        File::options().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    /// Puts a question; the answer to a `hidden` one is not seen while it is typed. It is to be read from the file, with
    /// [`read_line`]. `None` where nothing can be put.
    #[must_use]
    pub fn put<'a>(self, text: &str, hidden: bool, shown: &'a Shown) -> Option<(File, End<'a>)> {
        let (tty, before) = (self.0.try_clone().ok()?, tcgetattr(&self.0).ok()?);
        let open = Open { tty: self.0, text: text.to_owned(), before, hidden };
        open.show().ok()?;
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        Some((tty, End { shown, hidden, line_end_is_missing: true }))
    }
}

/// Waits for a line.
#[must_use]
pub fn read_line(mut tty: File) -> Said {
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    loop {
        match tty.read(&mut byte[..]) {
            Ok(0) if typed.is_empty() => return Said::Declined,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if typed.len() < LONGEST => typed.push(byte[0]),
            Ok(_) => {}
        }
    }
    line(&typed)
}

/// The first line of what was typed.
#[must_use]
pub fn line(typed: &[u8]) -> Said {
    let end = typed.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(typed.len());
    match std::str::from_utf8(&typed[..end]) {
        Ok(text) => Said::Text(Zeroizing::new(text.to_owned())),
        // No secret of ours can be that: it would not reach a server unchanged.
        Err(_) => Said::Declined,
    }
}

/// The question that stands on the terminal.
pub type Shown = Arc<Mutex<Option<Open>>>;

/// One question, and how the terminal was before.
pub struct Open {
    tty: File,
    text: String,
    before: Termios,
    hidden: bool,
}

/// The terminal is as it was when this is dropped, whatever came of the question.
pub struct End<'a> {
    shown: &'a Shown,
    hidden: bool,
    line_end_is_missing: bool,
}

impl End<'_> {
    /// Whether somebody has typed a line: then its end stands on the terminal, if it was to be seen.
    pub fn answered(&mut self, answered: bool) {
        self.line_end_is_missing = self.hidden || !answered;
    }
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(open) = take(self.shown) {
            open.restore(self.line_end_is_missing);
        }
    }
}

fn take(shown: &Shown) -> Option<Open> {
    shown.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Open {
    fn show(&self) -> io::Result<()> {
        if self.hidden {
            let mut modes = self.before.clone();
            modes.local_modes.remove(LocalModes::ECHO);
            // A line typed ahead of the question answers another one: it goes.
            tcsetattr(&self.tty, OptionalActions::Flush, &modes)?;
        }
        (&self.tty).write_all(self.text.as_bytes())
    }

    fn restore(&self, line_end: bool) {
        if self.hidden {
            let _ = tcsetattr(&self.tty, OptionalActions::Now, &self.before);
        }
        if line_end {
            let _ = (&self.tty).write_all(b"\n");
        }
    }
}

/// What Ctrl-Z does to a question: the shell gets its terminal back as it was, and the question stands there again afterwards.
pub fn stopped(shown: &Shown) {
    let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(open) = &*shown {
        open.restore(true);
    }
    if somebody_can_continue_us() {
        let _ = kill_process(getpid(), Signal::STOP);
    }
    if let Some(open) = &*shown {
        let _ = open.show();
    }
}

/// The system stops no process group that has no shell above it; neither do we.
fn somebody_can_continue_us() -> bool {
    let Some(parent) = getppid() else { return false };
    let same_session = |a: Option<Pid>| getsid(a).ok() == getsid(None).ok();
    same_session(Some(parent)) && getpgid(Some(parent)).ok() != getpgid(None).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_the_first_line() {
        let text = |said| if let Said::Text(text) = said { text.to_string() } else { panic!("no text") };
        assert_eq!(text(line(b"secret\r\nmore")), "secret");
        assert_eq!(text(line(b"")), "");
        assert!(line(b"\xff") == Said::Declined);
    }
}
