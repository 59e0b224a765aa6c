//! A clean environment a test: its own home, configuration, state and runtime folders.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;
use tempfile::TempDir;

use super::{Bg, Run, SOON, Sshd, procs, wait_until};

/// The environment. `Drop` ends every collector in it, and fails the test when one runs that the test does not know of
/// or that does not obey `down`.
pub struct Env {
    root: TempDir,
    known: Mutex<Vec<u32>>,
}

/// A collector that runs in the background.
pub struct Collector {
    pub name: String,
    pub pid: u32,
    /// The event `up`, as printed.
    pub event: Value,
}

impl Collector {
    /// The port of its first stream.
    pub fn port(&self) -> u16 {
        self.port_at(0)
    }

    /// The port of its `index`th stream.
    #[track_caller]
    pub fn port_at(&self, index: usize) -> u16 {
        let port = self.event["streams"][index]["remote_port"].as_u64();
        port.and_then(|p| u16::try_from(p).ok()).filter(|p| *p != 0).unwrap_or_else(|| panic!("{}", self.event))
    }
}

/// The program under test: `RECLOG_BIN`, or the one that cargo built for this test.
pub fn binary() -> PathBuf {
    let given = std::env::var_os("RECLOG_BIN").map(PathBuf::from);
    let path = given.unwrap_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_reclog")));
    path.canonicalize().unwrap_or(path)
}

impl Env {
    pub fn new() -> Self {
        // Not $TMPDIR: a socket path may have 107 bytes, and $TMPDIR may be anywhere.
        let root = tempfile::Builder::new().prefix("rl-").tempdir_in("/tmp").expect("a temporary folder");
        let env = Self { root, known: Mutex::default() };
        for dir in ["home/.ssh", "config/profiles", "state", "work"] {
            std::fs::create_dir_all(env.path(dir)).unwrap();
        }
        // `-F no_config`: neither the account's nor the system's ssh_config is read.
        env.write("work/no_config", "");
        env
    }

    /// A path in the environment's folder.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root.path().join(name)
    }

    /// As [`Env::path`], as an argument.
    pub fn arg(&self, name: &str) -> String {
        self.path(name).to_str().expect("a temporary folder with a plain name").to_owned()
    }

    /// Writes a file and returns its path.
    #[track_caller]
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path
    }

    /// Any program with nothing of the user's environment but a `PATH`.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        let path = std::env::var("PATH").unwrap_or_default();
        command
            .env_clear()
            .env("PATH", format!("{path}:/usr/bin:/bin:/usr/sbin:/sbin"))
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", self.path("home"))
            .env("RECLOG_CONFIG_DIR", self.path("config"))
            .env("RECLOG_STATE_DIR", self.path("state"))
            .env("RECLOG_RUNTIME_DIR", self.path("run"))
            .current_dir(self.path("work"))
            .stdin(Stdio::null());
        command
    }

    /// reclog in this environment.
    pub fn reclog(&self, args: &[&str]) -> Command {
        let mut command = self.command(binary());
        command.args(args);
        command
    }

    /// Starts reclog and does not wait.
    #[track_caller]
    pub fn spawn(&self, args: &[&str]) -> Bg {
        let bg = Bg::spawn(self.reclog(args));
        self.known.lock().unwrap().push(bg.pid());
        bg
    }

    /// Runs reclog to its end.
    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Run {
        Bg::spawn(self.reclog(args)).wait()
    }

    /// Makes `sshd` the host `jump` of this environment's ssh_config: with a key it accepts and a known host key.
    pub fn trust(&self, sshd: &Sshd) {
        let known = self.write("known_hosts", sshd.known_hosts());
        let key = sshd.user_key("ed25519");
        let mut lines = vec!["Host jump".to_owned(), format!("IdentityFile {}", key.display())];
        lines.extend(["IdentitiesOnly yes".to_owned(), format!("UserKnownHostsFile {}", known.display())]);
        self.write("ssh_config", format!("{}\n{}", lines.join("\n  "), sshd.config_lines()));
    }

    /// Makes a server that this account has on this machine the host `jump`, with this key and this host key (`TYPE AAAA…`).
    pub fn trust_account(&self, user: &str, port: u16, key: &Path, host_key: &str) {
        let known = self.write("known_hosts", format!("[127.0.0.1]:{port} {}\n", host_key.trim_end()));
        let lines = [
            "Host jump".to_owned(),
            "HostName 127.0.0.1".to_owned(),
            format!("Port {port}"),
            format!("User {user}"),
            format!("IdentityFile {}", key.display()),
            "IdentitiesOnly yes".to_owned(),
            format!("UserKnownHostsFile {}", known.display()),
            "GlobalKnownHostsFile /dev/null".to_owned(),
        ];
        self.write("ssh_config", lines.join("\n  ") + "\n");
    }

    /// The arguments that lead to `jump` of [`Env::trust`], and what else is wanted.
    pub fn to_jump(&self, verb: &[&str], more: &[&str]) -> Vec<String> {
        let config = self.arg("ssh_config");
        let all = [verb, &["-F", &config], more].concat();
        all.into_iter().map(str::to_owned).collect()
    }

    /// `reclog up jump …`, to its end.
    #[track_caller]
    pub fn up_run(&self, more: &[&str]) -> Run {
        let args = self.to_jump(&["up", "jump"], more);
        self.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// `reclog up jump … --json` in the background, which must succeed.
    #[track_caller]
    pub fn up(&self, more: &[&str]) -> Collector {
        self.started(self.up_run(&[more, &["--json"]].concat()))
    }

    /// `reclog listen 127.0.0.1:0 … --json` in the background, which must succeed.
    #[track_caller]
    pub fn listen(&self, more: &[&str]) -> Collector {
        self.started(self.run(&[&["listen", "127.0.0.1:0", "--json"], more].concat()))
    }

    /// What a successful `up --json` started.
    #[track_caller]
    pub fn started(&self, run: Run) -> Collector {
        let event = run.ok().last_event();
        assert_eq!(event["event"], "up", "the last event: {event}");
        let name = event["name"].as_str().expect("a name").to_owned();
        let pid = event["pid"].as_u64().and_then(|p| u32::try_from(p).ok()).expect("a pid");
        assert!(procs::alive(pid), "`up` told of process {pid}, which does not run");
        self.known.lock().unwrap().push(pid);
        Collector { name, pid, event }
    }

    /// The test knows of this collector; [`Env`] ends it with the others.
    pub fn expect(&self, pid: u32) {
        self.known.lock().unwrap().push(pid);
    }

    /// `reclog down NAME`, which must succeed.
    #[track_caller]
    pub fn down(&self, name: &str) -> Run {
        self.run(&["down", name]).ok()
    }

    /// Every process of reclog in this environment.
    pub fn processes(&self) -> Vec<u32> {
        procs::belonging_to(self.root.path(), &binary())
    }

    /// What lies in the runtime folder: sockets and locks.
    pub fn runtime_files(&self) -> Vec<String> {
        let entries = [self.path("run"), self.path("state/run")].into_iter().filter_map(|d| d.read_dir().ok());
        let mut names: Vec<String> =
            entries.flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// No process, socket or lock is left. A process may need a moment after its last word to go.
    #[track_caller]
    pub fn assert_nothing_left(&self) {
        wait_until("no process of reclog is left", SOON, || self.processes().is_empty().then_some(()));
        assert_eq!(self.runtime_files(), Vec::<String>::new(), "sockets or locks are left");
    }
}

impl Drop for Env {
    fn drop(&mut self) {
        let known = self.known.lock().map(|k| k.clone()).unwrap_or_default();
        let unknown: Vec<u32> = self.processes().into_iter().filter(|pid| !known.contains(pid)).collect();
        if !self.processes().is_empty() {
            let down = self.reclog(&["down", "--all", "--now"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
            let mut tries = 0;
            while tries < 500 && !self.processes().is_empty() {
                std::thread::sleep(std::time::Duration::from_millis(20));
                tries += 1;
            }
            if let Ok(mut down) = down {
                let _ = down.kill();
                let _ = down.wait();
            }
        }
        let stubborn = self.processes();
        for pid in &stubborn {
            procs::kill(*pid);
        }
        let mut troubles = Vec::new();
        if !unknown.is_empty() {
            troubles.push(format!("processes {unknown:?} were left over"));
        }
        if !stubborn.is_empty() {
            troubles.push(format!("processes {stubborn:?} did not obey `down --all --now`"));
        }
        if std::thread::panicking() {
            eprint!("{}", self.collector_logs());
            eprintln!("{}", troubles.join("; "));
        } else {
            assert!(troubles.is_empty(), "{}\n{}", troubles.join("; "), self.collector_logs());
        }
    }
}

impl Env {
    /// The logs of all collectors, for a test that failed.
    fn collector_logs(&self) -> String {
        let dirs = self.path("state").read_dir().into_iter().flatten().flatten();
        let logs = dirs.map(|d| d.path().join("collector.log"));
        logs.filter_map(|log| Some(format!("--- {}\n{}", log.display(), std::fs::read_to_string(&log).ok()?))).collect()
    }
}
