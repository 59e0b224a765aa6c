//! The three sides, and how each of them is started, asked and stopped.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::Fallible;
use super::bed::{Bed, Sshd, free_port};
use super::process::{self, Group};
use super::stop::wait_for;

/// No start or stop on loopback takes this long unless it hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// `ssh -R` and socat with nothing chosen.
    Common,
    /// The same with the fastest cipher and large blocks.
    Tuned,
    Reclog,
}

impl Side {
    pub const ALL: [Self; 3] = [Self::Common, Self::Tuned, Self::Reclog];

    /// As in the table and in `--sides`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Common => "common",
            Self::Tuned => "tuned",
            Self::Reclog => "reclog",
        }
    }

    /// The side of this name.
    pub fn by_name(name: &str) -> Fallible<Self> {
        Self::ALL.into_iter().find(|side| side.name() == name).ok_or_else(|| format!("no side is called {name}").into())
    }
}

/// A side that takes bytes at `port` and writes them to `file`.
#[derive(Debug)]
pub struct Running<'a> {
    pub port: u16,
    pub file: PathBuf,
    /// From the first process until the port was confirmed.
    pub took: Duration,
    pub sshd: &'a Sshd,
    receiver: Receiver<'a>,
}

#[derive(Debug)]
enum Receiver<'a> {
    Peer { ssh: Group, socat: Group },
    Reclog(Collector<'a>),
}

/// How a side is started where it is not as always.
#[derive(Debug, Default)]
pub struct Way<'w> {
    /// `-o` options for the SSH client of either kind.
    pub ssh_options: &'w [&'w str],
    /// The port that leads to sshd, when it is not sshd's own.
    pub through: Option<u16>,
    /// The port to open; 0 for a free one.
    pub remote_port: u16,
    /// The file; else one in the folder of the bench.
    pub file: Option<PathBuf>,
    /// Options of `reclog up`.
    pub reclog: &'w [&'w str],
    /// `autossh` around the peer's ssh: it is started again when it ends.
    pub again: bool,
}

impl<'a> Running<'a> {
    /// Starts a side with an empty file. `ssh_options` are `-o` options for the SSH client of either kind.
    pub fn start(bed: &'a Bed, sshd: &'a Sshd, side: Side, ssh_options: &[&str]) -> Fallible<Self> {
        Self::start_as(bed, sshd, side, &Way { ssh_options, ..Way::default() })
    }

    /// Starts a side as `way` says.
    pub fn start_as(bed: &'a Bed, sshd: &'a Sshd, side: Side, way: &Way) -> Fallible<Self> {
        let file = way.file.clone().unwrap_or_else(|| bed.path("out.log"));
        // An empty file from the start, so that it can be watched before the first sender comes.
        File::create(&file)?;
        let (port, took, receiver) = match side {
            Side::Reclog => {
                let (collector, port, took) = Collector::up(bed, sshd, &file, way)?;
                (port, took, Receiver::Reclog(collector))
            }
            _ => peer(bed, sshd, side, &file, way)?,
        };
        Ok(Self { port, file, took, sshd, receiver })
    }

    /// `status --json` of a collector.
    pub fn status(&self) -> Fallible<Value> {
        let Receiver::Reclog(collector) = &self.receiver else { return Err("only reclog has a status".into()) };
        let (_, says) = run(collector.bed, reclog(collector.bed).args(["status", "--json"]), "reclog status")?;
        Ok(serde_json::from_str(&says)?)
    }

    /// All processes that receive.
    pub fn receivers(&self) -> Vec<u32> {
        match &self.receiver {
            Receiver::Peer { ssh, socat } => [process::tree(ssh.pid()), process::tree(socat.pid())].concat(),
            Receiver::Reclog(collector) => process::tree(collector.pid),
        }
    }

    /// Stops the side in its own way, and waits until nothing of it is left.
    pub fn stop(self) -> Fallible<()> {
        let stopped = match self.receiver {
            Receiver::Peer { ssh, socat } => {
                drop((ssh, socat));
                Ok(())
            }
            Receiver::Reclog(mut collector) => collector.down(),
        };
        fs::remove_file(&self.file)?;
        stopped?;
        self.sshd.wait_until_quiet()
    }
}

fn peer<'a>(bed: &Bed, sshd: &Sshd, side: Side, file: &Path, way: &Way) -> Fallible<(u16, Duration, Receiver<'a>)> {
    let (local, socat) = socat(bed, side, file)?;
    let mut command = Command::new(if way.again { "autossh" } else { "ssh" });
    if way.again {
        // No port of its own to watch ssh with, its keepalive does that; and a first connection that ends soon is no
        // reason to give up.
        command.args(["-M", "0"]).env("AUTOSSH_GATETIME", "0");
    }
    command.args(["-N", "-T", "-F"]).arg(&sshd.ssh_config).arg("-i").arg(bed.key());
    command.args([
        "-p",
        &way.through.unwrap_or(sshd.port).to_string(),
        "-o",
        "BatchMode=yes",
        "-o",
        "ExitOnForwardFailure=yes",
    ]);
    if side == Side::Tuned {
        command.args(["-c", "aes128-gcm@openssh.com"]);
    }
    for option in way.ssh_options {
        command.args(["-o", option]);
    }
    let wanted = way.remote_port;
    command.args(["-R", &format!("127.0.0.1:{wanted}:127.0.0.1:{local}"), &format!("{}@127.0.0.1", bed.user)]);
    command.env_remove("SSH_AUTH_SOCK");
    let log = bed.path("ssh.log");
    let begun = Instant::now();
    let mut ssh = Group::spawn(&mut command, &log)?;
    let port = wait_for("the remote port of ssh -R", LIMIT, || {
        let says = fs::read_to_string(&log)?;
        if ssh.ended()?.is_some() {
            return Err(format!("ssh ended: {}", says.trim()).into());
        }
        if wanted != 0 {
            return Ok(process::listens(wanted).then_some(wanted));
        }
        let port = says.split_once("Allocated port ").and_then(|(_, rest)| rest.split_once(' '));
        Ok(port.and_then(|(port, _)| port.parse().ok()))
    })?;
    Ok((port, begun.elapsed(), Receiver::Peer { ssh, socat }))
}

/// Starts socat on a free port, again when somebody was faster.
fn socat(bed: &Bed, side: Side, file: &Path) -> Fallible<(u16, Group)> {
    let log = bed.path("socat.log");
    for _ in 0..5 {
        let port = free_port()?;
        let mut command = Command::new("socat");
        command.arg("-u");
        if side == Side::Tuned {
            command.args(["-b", "65536"]);
        }
        // socat's own backlog of 5 would drop connections in a burst; nobody would call that a fair race.
        command.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr,backlog=1024"));
        command.arg(format!("OPEN:{},creat,append", file.display()));
        let mut socat = Group::spawn(&mut command, &log)?;
        let listens = wait_for("socat's port", LIMIT, || {
            Ok(if socat.ended()?.is_some() { Some(false) } else { process::listens(port).then_some(true) })
        })?;
        if listens {
            return Ok((port, socat));
        }
    }
    Err(format!("socat does not listen: {}", fs::read_to_string(log)?.trim()).into())
}

/// A collector in the background, as a user starts it.
#[derive(Debug)]
struct Collector<'a> {
    bed: &'a Bed,
    pid: u32,
    down: bool,
}

impl<'a> Collector<'a> {
    fn up(bed: &'a Bed, sshd: &Sshd, file: &Path, way: &Way) -> Fallible<(Self, u16, Duration)> {
        let mut command = reclog(bed);
        let ssh_port = way.through.unwrap_or(sshd.port).to_string();
        command.arg("up").arg(format!("{}@127.0.0.1", bed.user)).args(["-p", &ssh_port]).args(way.reclog);
        command.arg("-i").arg(bed.key()).arg("-F").arg(&sshd.ssh_config).arg("--out").arg(file);
        command.args([
            "--remote-port",
            &way.remote_port.to_string(),
            "--bind",
            "127.0.0.1",
            "--name",
            "bench",
            "--json",
        ]);
        for option in way.ssh_options {
            command.args(["-o", option]);
        }
        let begun = Instant::now();
        let (status, says) = run(bed, &mut command, "reclog up")?;
        let took = begun.elapsed();
        let last: Value = says.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        let pid = last["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        let port = last["streams"][0]["remote_port"].as_u64().and_then(|port| u16::try_from(port).ok());
        match (pid, port) {
            (Some(pid), Some(port)) if status.success() && last["event"] == "up" => {
                Ok((Self { bed, pid, down: false }, port, took))
            }
            _ => Err(format!("reclog up did not come up ({status}): {}", says.trim()).into()),
        }
    }

    fn down(&mut self) -> Fallible<()> {
        let (status, says) = run(self.bed, reclog(self.bed).args(["down", "bench", "--json"]), "reclog down")?;
        if !status.success() {
            return Err(format!("reclog down failed ({status}): {}", says.trim()).into());
        }
        wait_for("the end of the collector after down", LIMIT, || {
            Ok(process::tree(self.pid).is_empty().then_some(()))
        })?;
        self.down = true;
        Ok(())
    }
}

impl Drop for Collector<'_> {
    fn drop(&mut self) {
        if !self.down {
            process::tree(self.pid).into_iter().for_each(process::kill);
        }
    }
}

/// reclog with folders of its own.
pub fn reclog(bed: &Bed) -> Command {
    let mut command = Command::new(&bed.reclog);
    for (key, folder) in [("RECLOG_CONFIG_DIR", "config"), ("RECLOG_STATE_DIR", "state"), ("RECLOG_RUNTIME_DIR", "run")]
    {
        command.env(key, bed.path(folder));
    }
    command.env_remove("SSH_AUTH_SOCK").env_remove("RECLOG_KEYWORD");
    command
}

/// Runs a verb to its end. Its words go to files: what a background process inherits of a pipe would hold us up.
pub fn run(bed: &Bed, command: &mut Command, what: &str) -> Fallible<(ExitStatus, String)> {
    let (stdout, stderr) = (bed.path("reclog.stdout"), bed.path("reclog.stderr"));
    command.stdin(Stdio::null()).stdout(File::create(&stdout)?).stderr(File::create(&stderr)?);
    let mut child = command.spawn().map_err(|e| format!("cannot start {}: {e}", bed.reclog.display()))?;
    let ended = wait_for(what, LIMIT, || Ok(child.try_wait()?));
    if ended.is_err() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let says = fs::read_to_string(&stdout)?;
    let complains = fs::read_to_string(&stderr)?;
    match ended {
        Ok(status) if status.success() => Ok((status, says)),
        Ok(status) => Ok((status, format!("{says}{complains}"))),
        Err(error) => Err(error),
    }
}
