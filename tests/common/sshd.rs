//! A real OpenSSH server on a free port of the loopback interface, run by whoever runs the tests.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use rustix::process::Signal;
use tempfile::TempDir;

use super::pam::Pam;
use super::{SOON, find_program, free_port, procs, wait_until};

/// The server. `Drop` ends it and all of its sessions.
pub struct Sshd {
    dir: TempDir,
    pub port: u16,
    host_keys: Vec<String>,
    child: Mutex<Option<Child>>,
    pam: Option<Pam>,
    /// The namespace in which it runs, and its address there.
    net: Option<(String, String)>,
}

impl Sshd {
    /// With an ed25519 host key, and forwards that bind the address that was asked for.
    pub fn start() -> Self {
        Self::with(&["ed25519"], &[])
    }

    /// With these lines of sshd_config before the usual ones: sshd takes the first of a keyword.
    pub fn with_lines(lines: &[&str]) -> Self {
        Self::with(&["ed25519"], lines)
    }

    /// With a password that [`Pam`] takes, and these lines of sshd_config.
    #[track_caller]
    pub fn with_pam(lines: &[&str]) -> Self {
        Self::run(&["ed25519"], &[&["UsePAM yes"], lines].concat(), Some(Pam::new()), None)
    }

    /// With host keys of these types, and these lines of sshd_config before the usual ones.
    #[track_caller]
    pub fn with(host_keys: &[&str], lines: &[&str]) -> Self {
        Self::run(host_keys, lines, None, None)
    }

    /// In this network namespace, at this address of it.
    #[track_caller]
    pub fn in_namespace(name: &str, address: &str, lines: &[&str]) -> Self {
        Self::run(&["ed25519"], lines, None, Some((name.to_owned(), address.to_owned())))
    }

    #[track_caller]
    fn run(host_keys: &[&str], lines: &[&str], pam: Option<Pam>, net: Option<(String, String)>) -> Self {
        let dir = tempfile::Builder::new().prefix("rl-sshd-").tempdir_in("/tmp").expect("a temporary folder");
        let host_keys: Vec<String> = host_keys.iter().map(|&k| k.to_owned()).collect();
        let mut sshd = Self { dir, port: 0, host_keys, child: Mutex::default(), pam, net };
        for kind in &sshd.host_keys {
            keygen(&sshd.host_key(kind), kind);
        }
        std::fs::write(sshd.file("authorized_keys"), "").unwrap();
        if rustix::process::geteuid().is_root() {
            // The empty folder into which the unprivileged half locks itself; made at boot where systemd does not.
            std::fs::create_dir_all("/run/sshd").expect("/run/sshd");
        }
        for _ in 0..20 {
            sshd.port = free_port();
            sshd.configure(lines);
            if sshd.try_start() {
                return sshd;
            }
        }
        panic!("sshd does not start:\n{}", sshd.log());
    }

    fn configure(&self, lines: &[&str]) {
        let mut config: Vec<String> = lines.iter().map(|&l| l.to_owned()).collect();
        config.push(format!("Port {}", self.port));
        config.extend(self.host_keys.iter().map(|kind| format!("HostKey {}", self.host_key(kind).display())));
        config.push(format!("AuthorizedKeysFile {}", self.file("authorized_keys").display()));
        config.push(format!("PidFile {}", self.file("pid").display()));
        config.push(format!("ListenAddress {}", self.address()));
        let usual = "StrictModes no\nUsePAM no\nPasswordAuthentication no\n\
             KbdInteractiveAuthentication no\nPermitRootLogin yes\nGatewayPorts clientspecified\nMaxStartups 200\n\
             LogLevel VERBOSE\n";
        // bash takes a command of sshd for a session of its own at this depth, and reads no .bashrc of this machine's account:
        // what stands there may take its time, and leave locks behind when it is killed.
        let depth = if lines.iter().any(|line| line.contains("SHLVL")) { "" } else { "SetEnv SHLVL=2\n" };
        let penalties = if knows_penalties(self.dir.path()) { "PerSourcePenalties no\n" } else { "" };
        std::fs::write(self.file("sshd_config"), format!("{}\n{usual}{depth}{penalties}", config.join("\n"))).unwrap();
    }

    /// False when somebody else took the port first.
    fn try_start(&self) -> bool {
        let log = File::options().create(true).append(true).open(self.file("log")).unwrap();
        let program = self.pam.as_ref().map_or_else(program, Pam::program);
        let mut command = match &self.net {
            None => Command::new(program),
            Some((name, _)) => {
                let mut ip = Command::new("ip");
                ip.args(["netns", "exec", name]).arg(program);
                ip
            }
        };
        let mut child = command
            .args(["-D", "-e", "-f"])
            .arg(self.file("sshd_config"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("sshd starts");
        let up = wait_until("sshd listens", SOON, || {
            if child.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let listens = self.log().contains(&format!("Server listening on {} port {}", self.address(), self.port));
            let reached = self.net.is_some() || TcpStream::connect(("127.0.0.1", self.port)).is_ok();
            (listens && reached).then_some(true)
        });
        *self.child.lock().unwrap() = up.then_some(child);
        up
    }

    fn address(&self) -> &str {
        self.net.as_ref().map_or("127.0.0.1", |(_, address)| address)
    }

    /// A file in the server's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// What the server wrote on stderr so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.file("log")).unwrap_or_default()).into_owned()
    }

    fn host_key(&self, kind: &str) -> PathBuf {
        self.file(&format!("host_{kind}"))
    }

    /// The public host key as known_hosts wants it: `ssh-ed25519 AAAA…`.
    pub fn host_key_public(&self, kind: &str) -> String {
        let text = std::fs::read_to_string(self.host_key(kind).with_extension("pub")).unwrap();
        text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    }

    /// `SHA256:…` of a host key, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self, kind: &str) -> String {
        let mut keygen = Command::new("ssh-keygen");
        let output = keygen.arg("-lf").arg(self.host_key(kind).with_extension("pub")).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().nth(1).expect("a fingerprint").to_owned()
    }

    /// known_hosts with all host keys: `[127.0.0.1]:port type key`.
    pub fn known_hosts(&self) -> String {
        self.host_keys.iter().map(|kind| self.known_hosts_line(kind)).collect()
    }

    /// The line of one host key.
    pub fn known_hosts_line(&self, kind: &str) -> String {
        format!("[{}]:{} {}\n", self.address(), self.port, self.host_key_public(kind))
    }

    /// Makes the server another one: a new host key of this type, at the next start.
    pub fn replace_host_key(&self, kind: &str) {
        let path = self.host_key(kind);
        for old in [&path, &path.with_extension("pub")] {
            std::fs::remove_file(old).unwrap();
        }
        keygen(&path, kind);
    }

    /// A private key that may log in; made at the first call.
    pub fn user_key(&self, kind: &str) -> PathBuf {
        self.user_key_with(kind, "")
    }

    /// As [`Sshd::user_key`], with options of authorized_keys in front.
    pub fn user_key_with(&self, kind: &str, options: &str) -> PathBuf {
        let path = self.file(&format!("user_{kind}"));
        if !path.exists() {
            keygen(&path, kind);
            let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
            let authorized = std::fs::read_to_string(self.file("authorized_keys")).unwrap();
            std::fs::write(self.file("authorized_keys"), format!("{authorized}{options} {}", public.trim_start()))
                .unwrap();
        }
        path
    }

    /// The lines of a Host block that lead here: nothing of the machine's own files is read.
    pub fn config_lines(&self) -> String {
        let (address, port) = (self.address(), self.port);
        format!("  HostName {address}\n  Port {port}\n  User {}\n  GlobalKnownHostsFile /dev/null\n", whoami())
    }

    /// The server process of each connection.
    pub fn sessions(&self) -> Vec<u32> {
        let child = self.child.lock().unwrap();
        child.as_ref().map(|c| procs::descendants(c.id())).unwrap_or_default()
    }

    /// SIGKILL for the server side of every connection; the server itself stays.
    pub fn kill_sessions(&self) {
        let sessions = self.sessions();
        assert!(!sessions.is_empty(), "sshd has no session to kill");
        for pid in &sessions {
            procs::kill(*pid);
        }
        wait_until("the sessions are gone", SOON, || (!sessions.iter().any(|p| procs::alive(*p))).then_some(()));
    }

    /// Stops the server that accepts connections: they come about and nobody serves them, until what this returns is
    /// dropped.
    pub fn freeze(&self) -> Frozen {
        let pid = self.child.lock().unwrap().as_ref().expect("sshd runs").id();
        procs::signal(pid, Signal::STOP);
        Frozen(pid)
    }

    /// Ends the server and all of its sessions.
    pub fn stop(&self) {
        let sessions = self.sessions();
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pid in &sessions {
            procs::kill(*pid);
        }
        wait_until("sshd is gone", SOON, || (!sessions.iter().any(|p| procs::alive(*p))).then_some(()));
    }

    /// Starts it again on the same port.
    #[track_caller]
    pub fn start_again(&self) {
        std::fs::remove_file(self.file("log")).unwrap();
        assert!(self.try_start(), "sshd does not start again on port {}:\n{}", self.port, self.log());
    }
}

/// A server that stands still. `Drop` lets it go on.
pub struct Frozen(u32);

impl Drop for Frozen {
    fn drop(&mut self) {
        procs::signal(self.0, Signal::CONT);
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- sshd\n{}", self.log());
        }
        self.stop();
    }
}

fn program() -> PathBuf {
    // sshd re-executes itself and wants an absolute path.
    find_program("sshd").expect("sshd is installed")
}

/// Newer servers punish reconnecting clients; older ones refuse to start with the keyword that turns it off.
fn knows_penalties(dir: &Path) -> bool {
    static KNOWS: OnceLock<bool> = OnceLock::new();
    *KNOWS.get_or_init(|| {
        let key = dir.join("probe_key");
        keygen(&key, "ed25519");
        let mut sshd = Command::new(program());
        sshd.args(["-t", "-f", "/dev/null", "-o", "PerSourcePenalties=no", "-h"]).arg(&key);
        sshd.output().is_ok_and(|o| o.status.success())
    })
}

/// The login name of whoever runs the tests.
pub fn whoami() -> String {
    let id = Command::new("id").arg("-un").output().expect("id");
    String::from_utf8(id.stdout).unwrap().trim().to_owned()
}

/// A new key pair without a passphrase.
pub fn keygen(path: &Path, kind: &str) {
    let bits: &[&str] = if kind == "rsa" { &["-b", "2048"] } else { &[] };
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-N", "", "-C", "reclog test", "-t", kind]).args(bits).arg("-f").arg(path);
    let output = keygen.output().expect("ssh-keygen");
    assert!(output.status.success(), "ssh-keygen: {}", String::from_utf8_lossy(&output.stderr));
}
