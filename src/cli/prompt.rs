//! Questions to whoever sits in front of `up`: the only place that reads from a terminal.
//!
//! As ssh does it: the terminal itself (`/dev/tty`) is asked, whatever standard input and output are; without one the
//! program that `SSH_ASKPASS` names, by the rules of ssh(1).

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex, Once, PoisonError};

use rustix::process::{Pid, Signal, getpgid, getpid, getppid, getsid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::printer::Printer;
use super::spinner::Spinner;
use crate::plan::PRIVATE_VARIABLES;
use crate::ssh::{Answer, Asking, Person, Question, QuestionKind, keep_out_of_core_files};

/// An answer is cut at so many bytes; a terminal gives no longer lines.
const LONGEST: usize = 4096;

/// Whoever sits in front of this process.
pub struct Prompt {
    printer: Printer,
    spinner: Spinner,
    shown: Shown,
    stops: Once,
}

impl Prompt {
    /// `spinner` rests while a question is open.
    #[must_use]
    pub fn new(printer: Printer, spinner: Spinner) -> Self {
        Self { printer, spinner, shown: Shown::default(), stops: Once::new() }
    }
}

impl Person for Prompt {
    fn ask(&self, question: Question) -> Asking<'_> {
        Box::pin(async move {
            self.spinner.pause();
            // Also when the question is dropped.
            let _resume = Resume(&self.spinner);
            let var = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty());
            let display = std::env::var_os("DISPLAY").is_some() || std::env::var_os("WAYLAND_DISPLAY").is_some();
            let require = std::env::var_os("SSH_ASKPASS_REQUIRE");
            let way = way(require.as_ref().and_then(|r| r.to_str()), display, var("SSH_ASKPASS"), Terminal::open);
            if !matches!(way, Way::None) {
                keep_out_of_core_files();
            }
            match way {
                Way::Terminal(terminal) => {
                    self.stops.call_once(|| drop(tokio::spawn(watch_stops(Arc::clone(&self.shown)))));
                    terminal.ask(&question, &self.shown).await
                }
                Way::Askpass(program) => askpass(&program, &question.text).await,
                Way::None => Answer::Nobody,
            }
        })
    }

    fn tell(&self, text: &str) {
        self.spinner.pause();
        text.lines().for_each(|line| self.printer.note(line));
        self.spinner.resume();
    }
}

struct Resume<'a>(&'a Spinner);

impl Drop for Resume<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}

/// Where a question goes.
#[derive(Debug, PartialEq)]
enum Way<T> {
    Terminal(T),
    Askpass(OsString),
    None,
}

/// ssh(1), ENVIRONMENT: `require` is `SSH_ASKPASS_REQUIRE`; without a display a program for one is used only by `force`.
fn way<T>(
    require: Option<&str>,
    display: bool,
    askpass: Option<OsString>,
    terminal: impl FnOnce() -> Option<T>,
) -> Way<T> {
    let allowed = askpass.filter(|_| match require {
        Some("force") => true,
        Some("never") => false,
        _ => display,
    });
    match (allowed, require) {
        (Some(program), Some("force" | "prefer")) => Way::Askpass(program),
        // Forced, and there is none: ssh asks no terminal then, either.
        (None, Some("force")) => Way::None,
        (program, _) => match terminal() {
            Some(terminal) => Way::Terminal(terminal),
            None => program.map_or(Way::None, Way::Askpass),
        },
    }
}

/// What the program at `askpass` says to the question, its first line; ended when nobody wants to know any more.
async fn askpass(askpass: &OsString, text: &str) -> Answer {
    let mut command = Command::new(askpass);
    for name in PRIVATE_VARIABLES {
        command.env_remove(name);
    }
    command.arg(text).stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true);
    let Ok(mut child) = command.spawn() else {
        tracing::warn!("cannot start SSH_ASKPASS {}", askpass.display());
        return Answer::Nobody;
    };
    let mut output = child.stdout.take().expect("piped");
    let mut typed = Zeroizing::new(vec![0; LONGEST]);
    let mut length = 0;
    while length < LONGEST {
        match output.read(&mut typed[length..]).await {
            Ok(0) | Err(_) => break,
            Ok(n) => length += n,
        }
    }
    drop(output);
    match child.wait().await {
        Ok(status) if status.success() => line(&typed[..length]),
        _ => Answer::Declined,
    }
}

/// The first line of what was typed.
fn line(typed: &[u8]) -> Answer {
    let end = typed.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(typed.len());
    match std::str::from_utf8(&typed[..end]) {
        Ok(text) => Answer::Text(Zeroizing::new(text.to_owned())),
        // No secret of ours can be that: it would not reach a server unchanged.
        Err(_) => Answer::Declined,
    }
}

/// The terminal that this process belongs to.
struct Terminal(File);

impl Terminal {
    fn open() -> Option<Self> {
        File::options().read(true).write(true).open("/dev/tty").ok().map(Self)
    }

    async fn ask(self, question: &Question, shown: &Shown) -> Answer {
        let (Ok(tty), Ok(before)) = (self.0.try_clone(), tcgetattr(&self.0)) else { return Answer::Nobody };
        let hidden = question.kind == QuestionKind::Secret;
        let open = Open { tty: self.0, text: question.text.clone(), before, hidden };
        if open.show().is_err() {
            return Answer::Nobody;
        }
        *shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(open);
        let mut end = End { shown, line_end_is_missing: true };
        let (typed, hear) = oneshot::channel();
        // A thread of its own: a terminal cannot be awaited everywhere. One that waits in vain ends with the process.
        std::thread::spawn(move || typed.send(read_line(tty)));
        let answer = hear.await.unwrap_or(Answer::Declined);
        end.line_end_is_missing = hidden || answer == Answer::Declined;
        answer
    }
}

fn read_line(mut tty: File) -> Answer {
    let mut typed = Zeroizing::new(Vec::with_capacity(LONGEST));
    let mut byte = Zeroizing::new([0]);
    loop {
        match tty.read(&mut byte[..]) {
            Ok(0) if typed.is_empty() => return Answer::Declined,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Ok(0) | Err(_) => break,
            Ok(_) if byte[0] == b'\n' => break,
            Ok(_) if typed.len() < LONGEST => typed.push(byte[0]),
            Ok(_) => {}
        }
    }
    line(&typed)
}

/// The question that stands on the terminal.
type Shown = Arc<Mutex<Option<Open>>>;

struct Open {
    tty: File,
    text: String,
    before: Termios,
    hidden: bool,
}

/// The terminal is as it was when this is dropped, whatever came of the question.
struct End<'a> {
    shown: &'a Shown,
    line_end_is_missing: bool,
}

impl Drop for End<'_> {
    fn drop(&mut self) {
        if let Some(open) = self.shown.lock().unwrap_or_else(PoisonError::into_inner).take() {
            open.restore(self.line_end_is_missing);
        }
    }
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

/// Ctrl-Z at a question gives the shell its terminal back as it was, and the question stands there again afterwards. The
/// signal stays ours when the question is over, so this goes on to the end of the process.
async fn watch_stops(shown: Shown) {
    let Ok(mut stops) = signal(SignalKind::from_raw(Signal::TSTP.as_raw())) else { return };
    while stops.recv().await.is_some() {
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
    fn askpass_is_used_when_ssh_would_use_it() {
        let asked = |require: Option<&str>, display, askpass: bool, terminal: bool| {
            way(require, display, askpass.then(|| "/askpass".into()), || terminal.then_some(()))
        };
        let program = || Way::Askpass("/askpass".into());
        // A terminal comes first, a display is needed, and only then the program.
        assert_eq!(asked(None, true, true, true), Way::Terminal(()));
        assert_eq!(asked(None, true, true, false), program());
        assert_eq!(asked(None, false, true, false), Way::None);
        assert_eq!(asked(None, true, false, false), Way::None);
        assert_eq!(asked(Some("never"), true, true, false), Way::None);
        assert_eq!(asked(Some("never"), true, true, true), Way::Terminal(()));
        assert_eq!(asked(Some("prefer"), true, true, true), program());
        assert_eq!(asked(Some("prefer"), false, true, true), Way::Terminal(()));
        assert_eq!(asked(Some("force"), false, true, true), program());
        assert_eq!(asked(Some("force"), false, false, true), Way::None);
        assert_eq!(asked(Some("nonsense"), true, true, true), Way::Terminal(()));
    }

    #[test]
    fn an_answer_is_the_first_line() {
        let text = |answer| if let Answer::Text(text) = answer { text.to_string() } else { panic!("no text") };
        assert_eq!(text(line(b"secret\r\nmore")), "secret");
        assert_eq!(text(line(b"")), "");
        assert!(line(b"\xff") == Answer::Declined);
    }
}
