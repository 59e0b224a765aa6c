//! The ground all sides stand on: a folder in memory, fresh keys, and an sshd of our own on a free port.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use super::Fallible;
use super::process::{self, Group};
use super::stop::wait_for;

/// Bytes the largest workload may have on disk at a time, with room.
const ROOM: u64 = 6 << 30;

/// Folder, keys and the ssh_config that every side uses.
#[derive(Debug)]
pub struct Bed {
    folder: TempDir,
    /// Who may log in: ourselves.
    pub user: String,
    sshd: PathBuf,
    pub reclog: PathBuf,
}

impl Bed {
    /// Makes folder and keys.
    pub fn new() -> Fallible<Self> {
        let folder = folder()?;
        let bed =
            Self { folder, user: output("id", ["-un"])?.trim().to_owned(), sshd: sshd_program()?, reclog: reclog() };
        for name in ["host_key", "key"] {
            let path = bed.path(name);
            output(
                "ssh-keygen",
                [OsStr::new("-qt"), "ed25519".as_ref(), "-N".as_ref(), "".as_ref(), "-f".as_ref(), path.as_ref()],
            )?;
        }
        fs::copy(bed.path("key.pub"), bed.path("authorized_keys"))?;
        Ok(bed)
    }

    /// A file in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The private key of our user.
    pub fn key(&self) -> PathBuf {
        self.path("key")
    }

    /// Whether files live in memory; else the disk takes part in every figure.
    pub fn in_memory(&self) -> bool {
        self.folder.path().starts_with("/dev/shm")
    }

    /// Starts an sshd, with more lines of sshd_config where a workload needs them.
    pub fn sshd(&self, more: &str) -> Fallible<Sshd> {
        // Between asking for a free port and using it somebody else may take it.
        for _ in 0..5 {
            if let Some(sshd) = self.sshd_on(free_port()?, more)? {
                return Ok(sshd);
            }
        }
        Err("sshd found no free port in five attempts".into())
    }

    fn sshd_on(&self, port: u16, more: &str) -> Fallible<Option<Sshd>> {
        let at = |name: &str| self.path(name).display().to_string();
        let config = self.path(&format!("sshd_config.{port}"));
        // The first value of a keyword counts: what a workload wants goes first.
        let text = format!(
            "{more}\nPort {port}\nListenAddress 127.0.0.1\nHostKey {}\nAuthorizedKeysFile {}\nPidFile none\nUsePAM no\n\
             StrictModes no\nPermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             GatewayPorts clientspecified\nAllowTcpForwarding yes\nMaxStartups 1000\nMaxSessions 100\nUseDNS no\n\
             PrintMotd no\nLogLevel ERROR\nSetEnv SHLVL=2\n",
            at("host_key"),
            at("authorized_keys")
        );
        fs::write(&config, text)?;
        self.make_separation_folder(&config)?;
        let host_key = fs::read_to_string(self.path("host_key.pub"))?;
        let known_hosts = self.path(&format!("known_hosts.{port}"));
        fs::write(&known_hosts, format!("[127.0.0.1]:{port} {host_key}"))?;
        let ssh_config = self.path(&format!("ssh_config.{port}"));
        fs::write(
            &ssh_config,
            format!(
                "Host *\n  UserKnownHostsFile {}\n  StrictHostKeyChecking yes\n  IdentitiesOnly yes\n",
                known_hosts.display()
            ),
        )?;
        let log = self.path(&format!("sshd.{port}.log"));
        let mut command = Command::new(&self.sshd);
        command.arg("-D").arg("-e").arg("-f").arg(&config);
        let mut group = Group::spawn(&mut command, &log)?;
        let answers = wait_for("sshd's greeting", Duration::from_secs(10), || {
            if group.ended()?.is_some() {
                let says = fs::read_to_string(&log).unwrap_or_default();
                return if says.contains("in use") {
                    Ok(Some(false))
                } else {
                    Err(format!("sshd ended: {}", says.trim()).into())
                };
            }
            Ok(greets(port).then_some(true))
        })?;
        Ok(answers.then(|| Sshd { group, port, ssh_config, log }))
    }

    /// Started as root, sshd wants a folder that the system's own service makes at boot (`/run/sshd`). Where there is
    /// none we make it and leave it there: another sshd may have begun to use it.
    fn make_separation_folder(&self, config: &Path) -> Fallible<()> {
        let test = Command::new(&self.sshd).arg("-t").arg("-f").arg(config).output()?;
        let says = String::from_utf8_lossy(&test.stderr);
        if let Some((_, folder)) = says.split_once("Missing privilege separation directory: ") {
            fs::create_dir_all(folder.trim())?;
        }
        Ok(())
    }
}

impl Drop for Bed {
    /// The net under all other drops: a collector whose `up` was interrupted has told nobody its process id.
    fn drop(&mut self) {
        process::mentioning(self.folder.path()).into_iter().for_each(process::kill);
    }
}

/// A running sshd; dropping it ends it and its sessions.
#[derive(Debug)]
pub struct Sshd {
    group: Group,
    pub port: u16,
    /// For `ssh -F` and `reclog -F`.
    pub ssh_config: PathBuf,
    log: PathBuf,
}

impl Sshd {
    /// The processes of the sessions: all but the one that listens.
    pub fn sessions(&self) -> Vec<u32> {
        let mut all = process::tree(self.group.pid());
        all.retain(|&pid| pid != self.group.pid());
        all
    }

    /// Waits until the last session has ended, so that the next side finds a quiet sshd.
    pub fn wait_until_quiet(&self) -> Fallible<()> {
        wait_for("the end of sshd's sessions", Duration::from_secs(30), || Ok(self.sessions().is_empty().then_some(())))
    }

    /// Its host key is known at this port, too, from which a line leads here.
    pub fn known_at(&self, port: u16) -> Fallible<()> {
        let path = self.ssh_config.with_file_name(format!("known_hosts.{}", self.port));
        let known = fs::read_to_string(&path)?;
        let (_, key) = known.lines().next().and_then(|line| line.split_once(' ')).ok_or("no host key")?;
        Ok(fs::write(&path, format!("{known}[127.0.0.1]:{port} {key}\n"))?)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read(&self.log).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        // Sessions are process groups of their own.
        self.sessions().into_iter().for_each(process::kill);
    }
}

/// A port of 127.0.0.1 that nobody uses at this moment.
pub fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// What a program prints; an error when it fails.
pub fn output<S: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = S>) -> Fallible<String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|e| format!("cannot start {program}: {e} (needed: openssh-server openssh-client socat)"))?;
    let says = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if !output.status.success() {
        return Err(format!("{program} failed: {}", says(&output.stderr)).into());
    }
    // `ssh -V` speaks on stderr.
    Ok(if output.stdout.is_empty() { says(&output.stderr) } else { says(&output.stdout) })
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut greeting = [0; 4];
    let timed = stream.set_read_timeout(Some(Duration::from_secs(2)));
    timed.is_ok() && stream.read_exact(&mut greeting).is_ok() && greeting == *b"SSH-"
}

fn sshd_program() -> Fallible<PathBuf> {
    ["/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"]
        .map(PathBuf::from)
        .into_iter()
        .find(|path| path.exists())
        .ok_or_else(|| "no sshd found (needed: openssh-server)".into())
}

fn reclog() -> PathBuf {
    std::env::var_os("RECLOG_BIN").map_or_else(|| env!("CARGO_BIN_EXE_reclog").into(), PathBuf::from)
}

/// In memory where there is room: the receivers are to be measured, not the disk.
fn folder() -> Fallible<TempDir> {
    let memory = Path::new("/dev/shm");
    let room = rustix::fs::statvfs(memory).map_or(0, |fs| fs.f_bavail * fs.f_frsize);
    let mut builder = tempfile::Builder::new();
    builder.prefix("reclog-bench-");
    let folder = if room.min(available_memory()) >= ROOM { builder.tempdir_in(memory) } else { builder.tempdir() };
    Ok(folder?)
}

fn available_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
