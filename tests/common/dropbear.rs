//! A real Dropbear on a free port of the loopback interface.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::account::Account;
use super::{Env, SOON, find_program, free_port, procs, sshd::keygen, wait_until};

/// The server, and the one account that may log in. `Drop` ends both and all sessions.
pub struct Dropbear {
    dir: TempDir,
    pub port: u16,
    child: Child,
    account: Account,
    host_key: String,
}

impl Dropbear {
    /// With a host key of this type (`ed25519`, `ecdsa`, `rsa`) and more options. `None`: the test is left out. Dropbear
    /// reads `authorized_keys` in the home of the account and nowhere else, so it needs an account of its own, and root.
    #[track_caller]
    pub fn start(test: &str, host_key: &str, options: &[&str]) -> Option<Self> {
        Self::for_shell(test, host_key, options, "/bin/sh")
    }

    /// As [`Dropbear::start`], with this shell for the account.
    #[track_caller]
    pub fn for_shell(test: &str, host_key: &str, options: &[&str], shell: &str) -> Option<Self> {
        let account = Account::with_shell(test, shell)?;
        let dir = tempfile::Builder::new().prefix("rl-dropbear-").tempdir_in("/tmp").unwrap();
        let key_file = dir.path().join("host");
        let made =
            Command::new(find_program("dropbearkey").unwrap()).args(["-t", host_key, "-f"]).arg(&key_file).output();
        let made = String::from_utf8(made.unwrap().stdout).unwrap();
        let public = made.lines().find(|l| l.starts_with("ssh-") || l.starts_with("ecdsa-")).expect("a public key");
        let public = public.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        let log = dir.path().join("log");
        for _ in 0..20 {
            let port = free_port();
            let mut server = Command::new(find_program("dropbear").unwrap());
            server.args(["-F", "-E", "-p", &format!("127.0.0.1:{port}"), "-r"]).arg(&key_file);
            server.arg("-P").arg(dir.path().join("pid")).args(options).stdin(Stdio::null()).stdout(Stdio::null());
            let mut child = server.stderr(File::create(&log).unwrap()).spawn().unwrap();
            let up = wait_until("dropbear listens", SOON, || {
                if child.try_wait().unwrap().is_some() || read(&log).contains("Failed listening") {
                    return Some(false);
                }
                TcpStream::connect(("127.0.0.1", port)).is_ok().then_some(true)
            });
            if up {
                return Some(Self { dir, port, child, account, host_key: public });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("dropbear does not start:\n{}", read(&log));
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        read(&self.dir.path().join("log"))
    }

    /// Makes it the host `jump` of the environment, with a user key of this type.
    pub fn trusted_by(&self, env: &Env, key_type: &str) {
        let key: PathBuf = env.path(format!("home/.ssh/id_{key_type}"));
        keygen(&key, key_type);
        self.account.authorize(&key);
        env.trust_account(&self.account.name, self.port, &key, &self.host_key);
    }

    /// SIGKILL for the server side of every connection; the server itself stays.
    pub fn kill_sessions(&self) {
        let sessions = procs::descendants(self.child.id());
        assert!(!sessions.is_empty(), "dropbear has no session to kill");
        for pid in &sessions {
            procs::kill(*pid);
        }
        wait_until("the sessions are gone", SOON, || (!sessions.iter().any(|p| procs::alive(*p))).then_some(()));
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- dropbear\n{}", self.log());
        }
        let sessions = procs::descendants(self.child.id());
        let _ = self.child.kill();
        let _ = self.child.wait();
        for pid in &sessions {
            procs::kill(*pid);
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
