//! One command: started, watched, ended within a time limit.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use super::{LATER, procs, wait_until};

/// What one of the two output pipes has said so far.
#[derive(Clone, Default)]
struct Pipe(Arc<Mutex<(Vec<u8>, bool)>>);

impl Pipe {
    fn read_from(source: impl Read + Send + 'static) -> Self {
        let pipe = Self::default();
        let state = pipe.clone();
        std::thread::spawn(move || {
            let mut source = source;
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = source.read(&mut buffer) {
                state.0.lock().unwrap().0.extend_from_slice(&buffer[..n]);
            }
            state.0.lock().unwrap().1 = true;
        });
        pipe
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().0.clone()
    }

    fn ended(&self) -> bool {
        self.0.lock().unwrap().1
    }
}

/// A command that runs. `Drop` kills it.
pub struct Bg {
    child: Child,
    said: String,
    out: Pipe,
    err: Pipe,
}

impl Bg {
    /// Starts it with pipes for stdout and stderr; stdin is as the command has it.
    #[track_caller]
    pub fn spawn(mut command: Command) -> Self {
        let args = command.get_args().map(|a| a.to_string_lossy().into_owned());
        let said = std::iter::once("reclog".to_owned()).chain(args).collect::<Vec<_>>().join(" ");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}"));
        let out = Pipe::read_from(child.stdout.take().unwrap());
        let err = Pipe::read_from(child.stderr.take().unwrap());
        Self { child, said, out, err }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What stands on stdout so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.out.bytes()).into_owned()
    }

    /// What stands on stderr so far.
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.err.bytes()).into_owned()
    }

    /// Whether it still runs.
    pub fn running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    pub fn signal(&self, signal: Signal) {
        procs::signal(self.pid(), signal);
    }

    /// Waits until stdout holds `text`; panics when the command ends without it.
    #[track_caller]
    pub fn wait_stdout(&mut self, text: &str) -> String {
        wait_until(&format!("`{}` says {text:?}", self.said), LATER, || {
            let out = self.stdout();
            if out.contains(text) {
                return Some(out);
            }
            assert!(self.running(), "`{}` ended without {text:?}\n{out}\n{}", self.said, self.stderr());
            None
        })
    }

    /// Waits for the end of the process and of both pipes.
    #[track_caller]
    pub fn wait(self) -> Run {
        self.wait_for(LATER)
    }

    /// As [`Bg::wait`], within `limit`.
    #[track_caller]
    pub fn wait_for(mut self, limit: Duration) -> Run {
        let status = wait_until(&format!("`{}` ends", self.said), limit, || self.child.try_wait().unwrap());
        // Whoever calls us in `$(…)` waits for the pipes, too: a collector must not keep them.
        let what = format!("the pipes of `{}` close (a background process must not hold them)", self.said);
        wait_until(&what, Duration::from_secs(10), || (self.out.ended() && self.err.ended()).then_some(()));
        Run {
            said: self.said.clone(),
            status,
            stdout_bytes: self.out.bytes(),
            stdout: self.stdout(),
            stderr: self.stderr(),
        }
    }
}

impl Drop for Bg {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Another program that a test needs beside it. `Drop` kills it, also when the test fails.
pub struct Daemon(Child);

impl Daemon {
    #[track_caller]
    pub fn start(command: &mut Command) -> Self {
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Self::spawn(command)
    }

    /// What it says goes to this file.
    #[track_caller]
    pub fn start_told(command: &mut Command, told: &Path) -> Self {
        let told = File::create(told).unwrap();
        command.stdout(told.try_clone().unwrap()).stderr(told);
        Self::spawn(command)
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        Self(command.spawn().unwrap_or_else(|e| panic!("cannot start {command:?}: {e}")))
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it ends by itself.
    pub fn wait(mut self) {
        wait_until("a helper ends", LATER, || self.0.try_wait().unwrap());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A command that ended.
#[derive(Debug)]
pub struct Run {
    said: String,
    pub status: ExitStatus,
    pub stdout_bytes: Vec<u8>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    fn report(&self) -> String {
        format!("`{}`: {}\n--- stdout\n{}--- stderr\n{}", self.said, self.status, self.stdout, self.stderr)
    }

    /// Exit code 0.
    #[track_caller]
    pub fn ok(self) -> Self {
        assert!(self.status.success(), "should succeed: {}", self.report());
        self
    }

    /// This exit code, and an error as a person wants it: `error: …` first, no panic, no Rust in it.
    #[track_caller]
    pub fn fails(self, code: i32) -> Self {
        assert_eq!(self.status.code(), Some(code), "{}", self.report());
        let first = self.stderr.lines().find(|l| l.starts_with("error: "));
        assert!(first.is_some_and(|l| l.len() > "error: ".len() + 10), "no `error: …` line: {}", self.report());
        for rust in ["panicked", "RUST_BACKTRACE", "(os error ", "Err(", "Some("] {
            assert!(!self.stderr.contains(rust), "{rust:?} tells a person nothing: {}", self.report());
        }
        self
    }

    /// stderr says what to do about it.
    #[track_caller]
    pub fn hinted(self) -> Self {
        assert!(self.stderr.lines().any(|l| l.trim_start().starts_with("hint: ")), "no `hint: `: {}", self.report());
        self
    }

    /// stderr holds `text`.
    #[track_caller]
    pub fn says(self, text: impl AsRef<str>) -> Self {
        assert!(self.stderr.contains(text.as_ref()), "stderr lacks {:?}: {}", text.as_ref(), self.report());
        self
    }

    /// stderr matches the pattern.
    #[track_caller]
    pub fn matches(self, pattern: &str) -> Self {
        let found = regex::Regex::new(pattern).unwrap().is_match(&self.stderr);
        assert!(found, "stderr does not match {pattern:?}: {}", self.report());
        self
    }

    /// stdout holds `text`.
    #[track_caller]
    pub fn prints(self, text: impl AsRef<str>) -> Self {
        assert!(self.stdout.contains(text.as_ref()), "stdout lacks {:?}: {}", text.as_ref(), self.report());
        self
    }

    /// stdout, every line of which must be a JSON object.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).ok().filter(Value::is_object);
        let lines = self.stdout.lines();
        lines.map(|l| parse(l).unwrap_or_else(|| panic!("no JSON object: {l:?} in {}", self.report()))).collect()
    }

    /// The last JSON object on stdout.
    #[track_caller]
    pub fn last_event(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("nothing on stdout: {}", self.report()))
    }
}
