//! Where lines come from.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use super::Said;
use super::lines::Lines;
use super::tail::{Place, Tail};
use crate::error::{Error, Result, io_reason};

/// How often files that had nothing new are looked at.
const POLL: Duration = Duration::from_millis(200);
/// Bytes that are read from standard input at once: a pipe holds as many.
const CHUNK: usize = 64 * 1024;

/// Standard input.
#[derive(Debug)]
pub struct Input {
    lines: Lines,
    buffer: Vec<u8>,
    over: bool,
}

impl Input {
    /// Nothing is read yet.
    #[must_use]
    pub fn new() -> Self {
        Self { lines: Lines::default(), buffer: vec![0; CHUNK], over: false }
    }

    /// Whether nothing more follows.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.over
    }

    /// Reads once and hands lines to `take`, at the end what is left without a line end (`false`).
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(&mut self, mut take: impl FnMut(&[u8], bool)) -> Result<()> {
        match rustix::io::read(rustix::stdio::stdin(), &mut self.buffer[..]) {
            Ok(0) => self.finish(take),
            Ok(n) => self.lines.feed(&self.buffer[..n], |line| take(line, true)),
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(e) => {
                self.finish(take);
                return Err(Error::failed(format!("cannot read standard input: {}", io_reason(&e.into()))));
            }
        }
        Ok(())
    }

    /// Nothing more is read.
    pub fn finish(&mut self, mut take: impl FnMut(&[u8], bool)) {
        self.over = true;
        if let Some(rest) = self.lines.finish() {
            take(&rest, false);
        }
    }
}

/// Files that are followed.
#[derive(Debug, Default)]
pub struct Files {
    tails: Vec<Tail>,
    /// Whose turn it is: a busy file must not keep the others waiting.
    turn: usize,
    /// None of them had anything; asked again then.
    quiet: Option<Instant>,
    /// Their names are looked at again then.
    look: Option<Instant>,
    /// The last trouble of each, which is told once.
    trouble: Vec<Option<String>>,
}

impl Files {
    /// Opens them; `saved` knows where they were left.
    ///
    /// # Errors
    /// When one can neither be read nor come later.
    pub fn open<'a, P: AsRef<Path> + 'a>(
        paths: impl IntoIterator<Item = &'a P>,
        saved: impl Fn(&Path) -> Option<Place>,
    ) -> Result<Self> {
        let mut files = Self::default();
        for path in paths {
            let path = path.as_ref();
            if files.tails.iter().any(|tail| tail.path() == path) {
                continue;
            }
            let tail = Tail::open(path, saved(path).as_ref()).map_err(|e| {
                let what = format!("cannot follow {}: {}", path.display(), io_reason(&e));
                match e.kind() {
                    io::ErrorKind::InvalidInput | io::ErrorKind::IsADirectory => {
                        Error::usage(what).hint("--follow takes files that are appended to")
                    }
                    io::ErrorKind::PermissionDenied => Error::failed(what).hint("the file must be readable for you"),
                    _ => Error::failed(what),
                }
            })?;
            files.tails.push(tail);
            files.trouble.push(None);
        }
        Ok(files)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tails.is_empty()
    }

    /// Where each begins now.
    pub fn places(&self) -> impl Iterator<Item = (&Path, Place)> {
        self.tails.iter().filter_map(|tail| Some((tail.path(), tail.place()?)))
    }

    /// The path of the file with this number.
    #[must_use]
    pub fn path(&self, number: usize) -> &Path {
        self.tails[number].path()
    }

    /// When to ask again; `None`: at once.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.quiet
    }

    /// Holds on to files that are renamed, also while none of them may be read.
    pub fn look(&mut self, now: Instant) {
        if self.look.is_none_or(|due| now >= due) {
            for tail in &mut self.tails {
                // Told when it is read.
                let _ = tail.look_for_successor();
            }
            self.look = (!self.tails.is_empty()).then_some(now + POLL);
        }
    }

    /// When [`Files::look`] has something to do.
    #[must_use]
    pub fn look_due(&self) -> Option<Instant> {
        self.look
    }

    /// The files that are not there yet.
    pub fn missing(&self) -> impl Iterator<Item = &Path> {
        self.tails.iter().filter(|tail| tail.place().is_none() && !tail.path().exists()).map(Tail::path)
    }

    /// The next line, the number of its file and the place behind it.
    pub fn line(&mut self, now: Instant, talk: &mut dyn FnMut(Said)) -> Option<(Vec<u8>, usize, Place)> {
        if self.tails.is_empty() || self.quiet.is_some_and(|until| now < until) {
            return None;
        }
        for _ in 0..self.tails.len() {
            let number = self.turn;
            self.turn = (self.turn + 1) % self.tails.len();
            match self.tails[number].line() {
                Ok(Some((line, place))) => {
                    self.quiet = None;
                    self.trouble[number] = None;
                    return Some((line, number, place));
                }
                Ok(None) => self.trouble[number] = None,
                Err(e) => {
                    let why = io_reason(&e);
                    if self.trouble[number].as_ref() != Some(&why) {
                        let path = self.tails[number].path().display();
                        talk(Said::Warning(format!("cannot read {path}: {why}; trying again")));
                        self.trouble[number] = Some(why);
                    }
                }
            }
        }
        self.quiet = Some(now + POLL);
        None
    }
}
