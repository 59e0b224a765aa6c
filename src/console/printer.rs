//! The only place that prints: data to stdout, talk to stderr.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

use super::wrap::{width, wrapped};
use crate::error::{Error, Kind, Result, io_reason};
use crate::escape::escape_str;

/// How much is said.
#[derive(Debug, Clone, Copy)]
pub struct Printer {
    quiet: bool,
    /// `-v` so many times.
    pub verbose: u8,
    /// Standard output is for something else.
    aside: bool,
}

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const CYAN: Style = AnsiColor::Cyan.on_default();

impl Printer {
    /// `--quiet` and `-v`.
    #[must_use]
    pub fn new(quiet: bool, verbose: u8) -> Self {
        Self { quiet, verbose, aside: false }
    }

    /// The same for a command whose standard output belongs to records: what else goes there goes to stderr.
    #[must_use]
    pub fn aside(self) -> Self {
        Self { aside: true, ..self }
    }

    /// Writes `text` to stdout as it is.
    ///
    /// # Errors
    /// When stdout is closed or full; that nobody reads any more (`| head`) is none.
    pub fn data(self, text: &str) -> Result<()> {
        if self.aside {
            return settle(anstream::stderr().write_all(text.as_bytes()));
        }
        let mut out = anstream::stdout();
        settle(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
    }

    /// Writes bytes to stdout as they are.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn bytes(self, bytes: &[u8]) -> Result<()> {
        if self.aside {
            return settle(io::stderr().write_all(bytes));
        }
        let mut out = io::stdout().lock();
        settle(out.write_all(bytes).and_then(|()| out.flush()))
    }

    /// A line of JSON on stdout.
    ///
    /// # Errors
    /// As [`Printer::data`].
    pub fn json(self, value: &impl serde::Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(value).expect("plain data");
        line.push(b'\n');
        self.bytes(&line)
    }

    /// Something worth knowing, on stderr.
    pub fn note(self, text: &str) {
        if !self.quiet {
            say(&format!("{text}\n"));
        }
    }

    /// Something that will matter, on stderr.
    pub fn warning(self, text: &str) {
        let text = format!("warning: {}", escape_str(text));
        let lines = wrapped(&text, width(&io::stderr()).saturating_sub(2)).join("\n  ");
        say(&format!("{YELLOW}warning:{YELLOW:#}{}\n", lines.trim_start_matches("warning:")));
    }

    /// An error and its hints, on stderr.
    pub fn error(self, error: &Error) {
        let mut text = format!("{RED}error:{RED:#} {}\n", lines(&error.message));
        for hint in &error.hints {
            text.push_str(&format!("{CYAN}hint:{CYAN:#} {}\n", lines(hint)));
        }
        say(&text);
    }

    /// Whether `--quiet` is given.
    #[must_use]
    pub fn is_quiet(self) -> bool {
        self.quiet
    }
}

/// Whether `error` only means that nobody reads what is printed any more (`reclog tail | head`).
#[must_use]
pub fn is_satisfied(error: &Error) -> bool {
    error.kind == Kind::Interrupted && error.message.is_empty()
}

/// The error of a verb that has said on stdout what is wrong.
#[must_use]
pub fn told(kind: Kind) -> Error {
    Error::new(kind, "")
}

/// Whether nothing is left to be said of `error`.
#[must_use]
pub fn is_told(error: &Error) -> bool {
    error.message.is_empty()
}

/// Text of several lines, each made safe.
fn lines(text: &str) -> String {
    text.lines().map(escape_str).collect::<Vec<_>>().join("\n  ")
}

/// Stderr may be closed; then nobody is there to hear.
fn say(text: &str) {
    let _ = anstream::stderr().write_all(text.as_bytes());
}

fn settle(result: io::Result<()>) -> Result<()> {
    match result {
        // Whoever reads has seen enough: no failure, but the end. See `is_satisfied`.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Error::new(Kind::Interrupted, "")),
        other => other.map_err(|e| Error::failed(format!("cannot write to stdout: {}", io_reason(&e)))),
    }
}
