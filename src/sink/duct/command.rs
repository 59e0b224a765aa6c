//! A command that reads records from its standard input.
//!
//! We hold the reading end of its pipe, too: what a command has not read when it ends is taken back, and given to the next
//! one from the beginning of a line. Only what it had read itself is its own business.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::backoff::Backoff;
use super::{Duct, Gone, Put, TICK, wait};
use crate::error::io_reason;
use crate::escape::escape;
use crate::plan::PRIVATE_VARIABLES;
use crate::sink::Batch;

/// Bytes that are kept of what was written last. No pipe of Linux holds more (`pipe-max-size` is for who asks, and nobody does)
/// than a sixteenth of it; the rest is for the beginning of a long record.
const RECENT: usize = 1024 * 1024;
/// A command that is told to go (SIGTERM) goes within this time, or is killed.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often it is asked whether it has ended.
const BLINK: Duration = Duration::from_millis(10);
/// Bytes of one line of what it says that are kept.
const LONGEST_LINE: usize = 1024;

/// See the module.
#[derive(Debug)]
pub struct Command {
    line: String,
    /// Where the collector was started: relative paths in the command mean that.
    folder: PathBuf,
    /// LF ends a record.
    lines: bool,
    /// Where it says what it has to say.
    says: PipeWriter,
    running: Option<Running>,
    /// What was written last, and of that how much the next one is to get again.
    recent: Vec<u8>,
    again: usize,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Its process group.
    group: Pid,
    /// `None` once it was told that nothing follows.
    input: Option<PipeWriter>,
    /// The end that it reads from.
    output: PipeReader,
}

impl Command {
    /// The command `line` for `sh -c`; `lines`: LF ends a record.
    ///
    /// # Errors
    /// When the system has no pipe or thread left.
    pub fn new(line: &str, lines: bool) -> io::Result<Self> {
        let (hears, says) = io::pipe()?;
        // Ends when the command, all that it started, and we are gone.
        std::thread::Builder::new().name("reclog-exec-log".into()).spawn(move || log(hears))?;
        let folder = std::env::current_dir().unwrap_or_else(|_| "/".into());
        Ok(Self { line: line.to_owned(), folder, lines, says, running: None, recent: Vec::new(), again: 0 })
    }

    fn spawn(&self) -> io::Result<Running> {
        let (output, input) = io::pipe()?;
        ioctl_fionbio(&input, true)?;
        let mut command = std::process::Command::new("/bin/sh");
        for name in PRIVATE_VARIABLES {
            command.env_remove(name);
        }
        command
            .arg("-c")
            .arg(&self.line)
            .current_dir(if self.folder.is_dir() { &self.folder } else { Path::new("/") })
            .stdin(output.try_clone()?)
            .stdout(self.says.try_clone()?)
            .stderr(Stdio::from(self.says.try_clone()?))
            // Ctrl-C is for us: what is queued is still to be written.
            .process_group(0);
        let child = command.spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Running { child, group, input: Some(input), output })
    }

    /// Writes what the next one is to get again. True: that is done.
    fn repeat(&mut self) -> io::Result<bool> {
        let Some(input) = self.running.as_mut().and_then(|running| running.input.as_mut()) else { return Ok(false) };
        while self.again > 0 {
            let from = self.recent.len() - self.again;
            match write(input, &self.recent[from..])? {
                0 => return Ok(false),
                n => self.again -= n,
            }
        }
        Ok(true)
    }

    /// Keeps what was written.
    fn remember(&mut self, bytes: &[u8]) {
        self.recent.extend_from_slice(bytes);
        if self.recent.len() > 2 * RECENT {
            self.recent.drain(..self.recent.len() - RECENT);
        }
    }

    /// The command has ended; what it has not read is for the next one.
    fn take_back(&mut self, output: &mut PipeReader) {
        let mut unread = 0;
        if ioctl_fionbio(&*output, true).is_ok() {
            let mut buffer = [0; 16 * 1024];
            while let Ok(n @ 1..) = output.read(&mut buffer) {
                unread += n;
            }
        }
        // What it was still to get again is behind that.
        let from = self.recent.len().saturating_sub(unread + self.again);
        self.again = self.recent.len() - self.begin(from);
    }

    /// Where the record begins in the middle of which `from` is.
    fn begin(&self, from: usize) -> usize {
        if !self.lines || from == self.recent.len() {
            return from;
        }
        memchr::memrchr(b'\n', &self.recent[..from]).map_or(0, |at| at + 1)
    }

    /// How it ended, if it has; then nothing of it is left.
    fn reap(&mut self) -> Option<Gone> {
        let running = self.running.as_mut()?;
        // It stays a zombie meanwhile, so that the number of its group is its own.
        let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::Pid(running.group), look) {
            Ok(None) | Err(rustix::io::Errno::INTR) => return None,
            Ok(Some(_)) | Err(_) => {}
        }
        let _ = kill_process_group(running.group, Signal::KILL);
        let status = running.child.wait();
        let Running { mut output, .. } = self.running.take()?;
        self.take_back(&mut output);
        Some(match status {
            Ok(status) => Gone { well: status.success(), ..Gone::because(said(status)) },
            Err(e) => Gone::because(io_reason(&e)),
        })
    }

    /// Waits for its end until `until` says that there is no more time.
    fn wait(&mut self, until: &dyn Fn() -> bool) -> Option<Gone> {
        loop {
            if let Some(gone) = self.reap() {
                return Some(gone);
            }
            if until() {
                return None;
            }
            std::thread::sleep(BLINK);
        }
    }
}

impl Duct for Command {
    fn open(&mut self) -> Result<(), String> {
        self.running = Some(self.spawn().map_err(|e| format!("cannot start it with /bin/sh: {}", io_reason(&e)))?);
        Ok(())
    }

    fn put(&mut self, batch: &Batch, at: usize) -> Result<Put, Gone> {
        let wrote = self.repeat().and_then(|done| {
            let input = self.running.as_mut().and_then(|running| running.input.as_mut()).filter(|_| done);
            input.map_or(Ok(0), |input| write(input, &batch.bytes()[at..]))
        });
        match wrote {
            Ok(n) => {
                self.remember(&batch.bytes()[at..at + n]);
                // A full pipe whose reader has ended never takes more.
                let gone = if n == 0 { self.reap() } else { None };
                gone.map_or(Ok(Put::To(at + n)), Err)
            }
            Err(e) => Err(self.reap().unwrap_or_else(|| Gone::because(io_reason(&e)))),
        }
    }

    fn gone(&mut self) -> Option<Gone> {
        let gone = self.reap();
        if gone.is_none() && self.again > 0 {
            // Nobody else may have anything to write.
            let _ = self.repeat();
        }
        gone
    }

    fn finish(&mut self, side: bool, hurry: &dyn Fn() -> bool) -> Result<(), String> {
        let shown = escape(self.line.as_bytes());
        let (mut backoff, mut failed, mut begun) = (Backoff::default(), false, Instant::now());
        while self.running.is_some() || self.again > 0 {
            if self.running.is_none() {
                let pause = backoff.pause(begun.elapsed(), !failed, rand::random());
                let ended = Instant::now();
                let over = || hurry() || side && failed;
                while !over() && ended.elapsed() < pause {
                    std::thread::sleep(BLINK);
                }
                if over() {
                    return Err(format!("the command `{shown}` had not read everything when it ended"));
                }
                self.open()?;
                begun = Instant::now();
            }
            let mut gone = None;
            while self.again > 0 && !hurry() {
                gone = self.reap();
                if gone.is_some() || self.repeat().is_err() {
                    break;
                }
            }
            let Some(running) = &mut self.running else {
                failed |= gone.is_some_and(|gone| !gone.well);
                continue;
            };
            running.input = None;
            let group = running.group;
            if let Some(gone) = self.wait(hurry) {
                failed |= !gone.well;
                continue;
            }
            let _ = kill_process_group(group, Signal::TERM);
            let told = Instant::now();
            if self.wait(&|| told.elapsed() >= LAST_WORDS).is_none() {
                let _ = kill_process_group(group, Signal::KILL);
                let killed = Instant::now();
                // One that hangs in the kernel is not waited for.
                let _ = self.wait(&|| killed.elapsed() >= LAST_WORDS);
            }
            return Err(format!("the command `{shown}` did not end by itself and was stopped"));
        }
        Ok(())
    }

    fn unread(&self) -> u64 {
        let rest = &self.recent[self.recent.len() - self.again..];
        if self.lines { memchr::memchr_iter(b'\n', rest).count() as u64 } else { u64::from(!rest.is_empty()) }
    }
}

/// Writes as much as the pipe takes; 0 after a while in which it took nothing.
fn write(input: &mut PipeWriter, bytes: &[u8]) -> io::Result<usize> {
    match input.write(bytes) {
        Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            wait::writable(&*input, TICK);
            Ok(0)
        }
        wrote => wrote,
    }
}

fn said(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the command ended with exit code {code}"),
        (None, Some(signal)) => format!("the command was killed by signal {signal}"),
        (None, None) => "the command was lost".into(),
    }
}

/// Writes down what commands say, line by line.
fn log(mut hears: PipeReader) {
    let (mut line, mut chunk) = (Vec::new(), [0; 1024]);
    while let Ok(n @ 1..) = hears.read(&mut chunk) {
        for byte in &chunk[..n] {
            match byte {
                b'\n' => tell(&mut line),
                _ if line.len() < LONGEST_LINE => line.push(*byte),
                _ => {}
            }
        }
    }
    tell(&mut line);
}

fn tell(line: &mut Vec<u8>) {
    let text = escape(line.trim_ascii());
    line.clear();
    if !text.is_empty() {
        tracing::info!("the command says: {text}");
    }
}
