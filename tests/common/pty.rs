//! A command at a terminal: what it shows, what a person types, and whether the terminal is as it was afterwards.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::fs::{Mode, OFlags};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use super::{SOON, procs, wait_until};

/// The command and its terminal. `Drop` kills it.
pub struct Term {
    child: Child,
    master: File,
    screen: Arc<Mutex<Vec<u8>>>,
    /// So much of the screen has been waited for.
    seen: usize,
    /// Kept open: a terminal that nobody holds open forgets its modes.
    _terminal: OwnedFd,
}

impl Term {
    /// Starts `command` in a session of its own with a new controlling terminal as standard input, output and error.
    #[track_caller]
    pub fn start(command: &Command) -> Self {
        Self::with(command, |_| {})
    }

    /// As [`Term::start`]; `adapt` may lead its output elsewhere.
    #[track_caller]
    pub fn with(command: &Command, adapt: impl FnOnce(&mut Command)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a terminal");
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let terminal = rustix::fs::open(name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
            .expect("its other end");
        tcsetwinsize(&terminal, Winsize { ws_row: 50, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
        let end = || Stdio::from(terminal.try_clone().unwrap());
        // What makes a terminal the controlling one is done between fork and exec; setsid(1) does it.
        let mut all = Command::new("setsid");
        all.arg("--ctty").arg(command.get_program()).args(command.get_args()).env_clear();
        all.envs(command.get_envs().filter_map(|(k, v)| Some((k, v?)))).env("TERM", "xterm");
        all.current_dir(command.get_current_dir().expect("a folder"));
        all.stdin(end()).stdout(end()).stderr(end());
        adapt(&mut all);
        let child = all.spawn().expect("setsid starts");
        let master = File::from(master);
        let screen = Arc::new(Mutex::new(Vec::new()));
        let (mut reads, shown) = (master.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(n @ 1..) = reads.read(&mut buffer) {
                shown.lock().unwrap().extend_from_slice(&buffer[..n]);
            }
        });
        Self { child, master, screen, seen: 0, _terminal: terminal }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// All that was shown so far.
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.screen.lock().unwrap()).into_owned()
    }

    /// Waits until `text` is shown after what was waited for before.
    #[track_caller]
    pub fn shows(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        let found = wait_until_or(
            &format!("the terminal shows {text:?}"),
            || {
                let screen = self.screen.lock().unwrap();
                let rest = &screen[self.seen..];
                rest.windows(text.len()).position(|w| w == text.as_bytes()).map(|at| self.seen + at + text.len())
            },
            || self.screen(),
        );
        self.seen = found;
    }

    /// Types it.
    pub fn types(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for `question` at which nothing is echoed, and types an answer and Enter.
    #[track_caller]
    pub fn answers(&mut self, question: &str, answer: &str) {
        self.shows(question);
        wait_until("nothing is echoed", SOON, || (!self.echoes()).then_some(()));
        self.types(&format!("{answer}\n"));
    }

    /// Whether the terminal shows what is typed.
    pub fn echoes(&self) -> bool {
        tcgetattr(&self.master).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    /// Waits for its end: the exit code, and all that was shown.
    #[track_caller]
    pub fn ends(mut self) -> (i32, String) {
        let screen = Arc::clone(&self.screen);
        let status = wait_until_or(
            "the command at the terminal ends",
            || self.child.try_wait().unwrap(),
            || String::from_utf8_lossy(&screen.lock().unwrap()).into_owned(),
        );
        assert!(self.echoes(), "the terminal is left without echo");
        // What it wrote last may still be on its way.
        let mut before = usize::MAX;
        wait_until("the screen is still", Duration::from_secs(5), || {
            let now = self.screen.lock().unwrap().len();
            std::thread::sleep(Duration::from_millis(30));
            (std::mem::replace(&mut before, now) == now).then_some(())
        });
        (status.code().unwrap_or(-1), self.screen())
    }
}

#[track_caller]
fn wait_until_or<T>(what: &str, mut ask: impl FnMut() -> Option<T>, screen: impl Fn() -> String) -> T {
    let start = std::time::Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < SOON, "waited in vain until {what}; the screen:\n{}", screen());
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Drop for Term {
    fn drop(&mut self) {
        procs::kill(self.child.id());
        let _ = self.child.wait();
    }
}
