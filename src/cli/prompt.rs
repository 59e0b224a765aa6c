//! Questions to whoever sits in front of `up`: the only place that reads from a terminal.
//!
//! As ssh does it: the terminal itself (`/dev/tty`) is asked, whatever standard input and output are; without one the
//! program that `SSH_ASKPASS` names, by the rules of ssh(1).

use std::ffi::OsString;
use std::process::Stdio;
use std::sync::{Arc, Once};

use rustix::process::Signal;
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use zeroize::Zeroizing;

use super::printer::Printer;
use super::spinner::Spinner;
use super::up::interrupt;
use crate::console::terminal::{LONGEST, Said, Shown, Terminal, line, read_line, stopped};
use crate::error::{Error, Result};
use crate::plan::PRIVATE_VARIABLES;
use crate::ssh::{Answer, Asking, Person, Question, QuestionKind, keep_out_of_core_files};

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

    /// Asks for something that is not shown.
    ///
    /// # Errors
    /// Interrupted, and the terminal is as it was.
    pub async fn secret(&self, text: String) -> Result<Answer> {
        tokio::select! {
            biased;
            answer = self.ask(Question { text, kind: QuestionKind::Secret }) => Ok(answer),
            () = interrupt() => Err(Error::interrupted()),
        }
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
                    ask(terminal, &question, &self.shown).await
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
        Ok(status) if status.success() => line(&typed[..length]).into(),
        _ => Answer::Declined,
    }
}

/// Puts the question on `terminal` and waits for its answer.
async fn ask(terminal: Terminal, question: &Question, shown: &Shown) -> Answer {
    let hidden = question.kind == QuestionKind::Secret;
    let Some((tty, mut end)) = terminal.put(&question.text, hidden, shown) else { return Answer::Nobody };
    let (typed, hear) = oneshot::channel();
    // A thread of its own: a terminal cannot be awaited everywhere. One that waits in vain ends with the process.
    std::thread::spawn(move || typed.send(read_line(tty)));
    let said = hear.await.unwrap_or(Said::Declined);
    end.answered(said != Said::Declined);
    said.into()
}

impl From<Said> for Answer {
    fn from(said: Said) -> Self {
        match said {
            Said::Text(text) => Self::Text(text),
            Said::Nobody => Self::Nobody,
            Said::Declined => Self::Declined,
        }
    }
}

/// Ctrl-Z at a question, see [`stopped`]. The signal stays ours when the question is over, so this goes on to the end of the
/// process.
async fn watch_stops(shown: Shown) {
    let Ok(mut stops) = signal(SignalKind::from_raw(Signal::TSTP.as_raw())) else { return };
    while stops.recv().await.is_some() {
        stopped(&shown);
    }
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
}
