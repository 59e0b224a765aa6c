//! `demo`: the whole path on this machine, from sender to file and back to nothing.
//!
//! The jump host is the embedded one; everything else is the real thing: this program, started as a person would start
//! it, in a folder of its own that is removed at the end, whatever the end is.

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::demo_checks::{self as checks, Down, Up};
use crate::demo::{JumpHost, KEY_FILE, KNOWN_HOSTS_FILE};
use crate::error::{Error, Result, io_reason};
use crate::escape::{escape, escape_str};

/// How long anything on this machine may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The collector's name.
const NAME: &str = "demo";

/// Runs the demo and tells its story on `out`, in lines of 80 columns at most.
///
/// # Errors
/// When a step fails or a check does not hold; `Interrupted` at Ctrl-C or SIGTERM. Nothing is left behind in any case.
pub async fn run(out: &mut (impl Write + Send)) -> Result<()> {
    let exe = std::env::current_exe()
        .map_err(|e| Error::failed(format!("cannot find the path of this program: {}", io_reason(&e))))?;
    run_with(exe, out).await
}

/// [`run`] with `exe` as reclog.
async fn run_with(exe: PathBuf, out: &mut (impl Write + Send)) -> Result<()> {
    let interrupted = CancellationToken::new();
    let _listening = listen_for_signals(interrupted.clone())?.drop_guard();
    let folder = tempfile::Builder::new()
        .prefix("reclog-demo-")
        .tempdir()
        .map_err(|e| Error::failed(format!("cannot make a folder for the demo: {}", io_reason(&e))))?;
    let host = JumpHost::start(folder.path()).await?;
    let demo = Demo { exe, folder: folder.path().to_owned(), jump_host: host.address, interrupted };

    let result = demo.show(out).await;
    if result.is_err() {
        // Not interruptible any more; when there is no collector, that is what `down` says, to nobody.
        let down = demo.command(&["down", NAME, "--now"]).output();
        let _ = timeout(PATIENCE, down).await;
    }
    let _ = timeout(PATIENCE, host.stop()).await;
    let removed = folder.close();
    result?;
    removed.map_err(|e| Error::failed(format!("cannot remove the folder of the demo: {}", io_reason(&e))))
}

/// Cancels `interrupted` at SIGINT and SIGTERM. Dropping the guard of the token it gives ends the listening.
fn listen_for_signals(interrupted: CancellationToken) -> Result<CancellationToken> {
    let listen = |kind| signal(kind).map_err(|e| Error::failed(format!("cannot handle Ctrl-C: {}", io_reason(&e))));
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let over = CancellationToken::new();
    let until = over.clone();
    tokio::spawn(until.run_until_cancelled_owned(async move {
        tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
        interrupted.cancel();
    }));
    Ok(over)
}

/// One showing.
struct Demo {
    exe: PathBuf,
    folder: PathBuf,
    jump_host: SocketAddr,
    interrupted: CancellationToken,
}

impl Demo {
    async fn show(&self, out: &mut (impl Write + Send)) -> Result<()> {
        let mut say = |text: String| {
            let _ = writeln!(out, "{text}");
            let _ = out.flush();
        };
        say(format!("1. A jump host for this demo listens on {}.", self.jump_host));
        say("2. reclog up demo@127.0.0.1 --remote-port 0 --out demo.log".into());
        let up = self.up().await?;
        say(format!("   Port {} of the jump host now leads to demo.log on this machine.", up.port));

        let scripts = checks::scripts();
        let lines: usize = scripts.iter().map(Vec::len).sum();
        say(format!("3. {} senders send {lines} lines at the same time; the last one of them", scripts.len()));
        say("   forgets its last line end. demo.log:".into());
        self.send(up.port).await?;
        let file = self.wait_for(lines).await?;
        for line in file.lines() {
            say(format!("     {}", escape_str(line)));
        }

        say("4. reclog down demo".into());
        let (down, file) = self.down().await?;
        say("5. What that has shown:".into());
        let sent = checks::bytes_of(&scripts);
        let findings = [
            checks::lines(&file, &scripts),
            checks::ledger(&down, sent, file.len() as u64),
            closed(up.port),
            nothing_left(&checks::left_behind(&self.folder)),
        ];
        for finding in &findings {
            say(match finding {
                Ok(text) => format!("   ✔ {text}"),
                Err(text) => format!("   ✘ {text}"),
            });
        }
        match findings.iter().filter(|finding| finding.is_err()).count() {
            0 => Ok(()),
            n => {
                Err(Error::failed(format!("the demo did not go as promised: {n} of {} checks failed", findings.len())))
            }
        }
    }

    async fn up(&self) -> Result<Up> {
        let config = self.folder.join("ssh_config");
        std::fs::write(&config, ssh_config(&self.folder))
            .map_err(|e| Error::failed(format!("cannot write {}: {}", config.display(), io_reason(&e))))?;
        let (port, key, out) = (self.jump_host.port().to_string(), self.folder.join(KEY_FILE), self.log());
        let mut command = self.command(&["up", "demo@127.0.0.1", "-p", &port, "--remote-port", "0"]);
        command.arg("-i").arg(key).arg("-F").arg(config).arg("--out").arg(out);
        command.args(["--bind", "127.0.0.1", "--name", NAME, "--json"]);
        checks::up_event(&self.run(command, "reclog up").await?)
    }

    /// All senders at once, each on a thread and a connection of its own.
    async fn send(&self, port: u16) -> Result<()> {
        let start = std::sync::Arc::new(std::sync::Barrier::new(checks::scripts().len()));
        let senders: Vec<_> = checks::scripts()
            .into_iter()
            .map(|script| {
                let start = std::sync::Arc::clone(&start);
                tokio::task::spawn_blocking(move || {
                    start.wait();
                    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
                    // Half lines, with time between them: so the lines of all senders meet on the way.
                    stream.set_nodelay(true)?;
                    script.iter().try_for_each(|line| {
                        let (head, tail) = line.as_bytes().split_at(line.len() / 2);
                        stream.write_all(head)?;
                        std::thread::sleep(Duration::from_millis(20));
                        stream.write_all(tail)
                    })
                })
            })
            .collect();
        for sender in senders {
            let sent = sender.await.unwrap_or_else(|e| Err(std::io::Error::other(e)));
            sent.map_err(|e| Error::failed(format!("cannot send to 127.0.0.1:{port}: {}", io_reason(&e))))?;
        }
        Ok(())
    }

    /// The file, once it has `lines` line ends.
    async fn wait_for(&self, lines: usize) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let bytes = self.read()?;
            let found = memchr::memchr_iter(b'\n', &bytes).count();
            if found >= lines {
                return Ok(String::from_utf8_lossy(&bytes).into_owned());
            }
            if Instant::now() >= deadline {
                return Err(Error::failed(format!(
                    "only {found} of {lines} lines arrived in {}",
                    self.log().display()
                )));
            }
            self.interrupted
                .run_until_cancelled(sleep(Duration::from_millis(20)))
                .await
                .ok_or_else(Error::interrupted)?;
        }
    }

    async fn down(&self) -> Result<(Down, Vec<u8>)> {
        let said = self.run(self.command(&["down", NAME, "--json"]), "reclog down").await?;
        Ok((checks::down_event(&said)?, self.read()?))
    }

    fn log(&self) -> PathBuf {
        self.folder.join("demo.log")
    }

    fn read(&self) -> Result<Vec<u8>> {
        let path = self.log();
        std::fs::read(&path).map_err(|e| Error::failed(format!("cannot read {}: {}", path.display(), io_reason(&e))))
    }

    /// reclog, living in the demo's folder and nowhere else.
    fn command(&self, arguments: &[&str]) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.exe);
        command.args(arguments).stdin(std::process::Stdio::null()).kill_on_drop(true);
        for (key, folder) in checks::FOLDERS {
            command.env(key, self.folder.join(folder));
        }
        command
    }

    /// What `command` prints on stdout, whatever its exit code: with `--json` failures are printed, too.
    async fn run(&self, mut command: tokio::process::Command, what: &str) -> Result<Vec<u8>> {
        let failed = |e: &std::io::Error| Error::failed(format!("cannot run {what}: {}", io_reason(e)));
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let child = command.spawn().map_err(|e| failed(&e))?;
        let pid = child.id();
        let output = child.wait_with_output();
        tokio::pin!(output);
        tokio::select! {
            output = &mut output => {
                let output = output.map_err(|e| failed(&e))?;
                if output.stdout.is_empty() {
                    let said = escape(output.stderr.trim_ascii()).replace("\\x0a", "; ");
                    return Err(Error::failed(format!("{what} ended with {} and said: {said}", output.status)));
                }
                Ok(output.stdout)
            }
            () = self.interrupted.cancelled() => {
                // The signal may have been for this process alone. Let the child put its own things in order.
                let pid = pid.and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
                }
                let _ = timeout(PATIENCE, output).await;
                Err(Error::interrupted())
            }
        }
    }
}

/// An ssh_config that knows the demo's jump host and nothing of this machine.
fn ssh_config(folder: &Path) -> String {
    let known = folder.join(KNOWN_HOSTS_FILE).display().to_string().replace('%', "%%");
    format!(
        "UserKnownHostsFile \"{known}\"\nGlobalKnownHostsFile /dev/null\nStrictHostKeyChecking yes\n\
         IdentitiesOnly yes\nIdentityAgent none\n"
    )
}

/// Whether nothing listens on `port` any more.
fn closed(port: u16) -> checks::Finding {
    match TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), PATIENCE) {
        Err(_) => Ok(format!("port {port} of the jump host is closed again.")),
        Ok(_) => Err(format!("port {port} of the jump host is still open.")),
    }
}

fn nothing_left(files: &[String]) -> checks::Finding {
    if files.is_empty() {
        Ok("no socket and no lock is left.".into())
    } else {
        Err(format!("left: {}.", files.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    /// A reclog that does what `script` says, and notes its arguments in `$NOTES`.
    fn fake(script: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let exe = folder.path().join("reclog");
        let notes = folder.path().join("notes");
        let head = format!("#!/bin/sh\necho \"$RECLOG_STATE_DIR $*\" >> {}\n", notes.display());
        // Written by another process: this one forks in other tests meanwhile, and a child that holds the file open
        // for writing makes it "text file busy".
        let write = "printf '%s\\n' \"$1\" > \"$2\" && chmod 700 \"$2\"";
        let status = std::process::Command::new("sh").args(["-c", write, "sh"]).arg(head + script).arg(&exe).status();
        assert!(status.unwrap().success());
        (folder, exe)
    }

    #[tokio::test]
    async fn a_failed_up_is_the_demos_error_and_leaves_nothing() {
        let (folder, exe) = fake(
            r#"[ "$1" = up ] && echo '{"event":"failed","kind":"refused","message":"no way in","hint":"try again"}' && exit 4"#,
        );
        let mut said = Vec::new();
        let error = run_with(exe, &mut said).await.unwrap_err();
        assert_eq!((error.kind, error.message.as_str(), error.hints.len()), (Kind::Refused, "no way in", 1));
        let notes = std::fs::read_to_string(folder.path().join("notes")).unwrap();
        assert!(notes.contains(" up demo@127.0.0.1 -p ") && notes.contains(" down demo --now"), "{notes}");
        let state = Path::new(notes.split(' ').next().unwrap());
        assert!(state.is_absolute() && !state.parent().unwrap().exists(), "{}", state.display());
    }

    #[tokio::test]
    async fn a_program_that_says_nothing_is_quoted() {
        let (_folder, exe) = fake("echo \"a\u{1b}[31mb\" >&2; exit 7");
        let error = run_with(exe, &mut Vec::new()).await.unwrap_err();
        assert!(error.message.contains("exit status: 7 and said: a\\x1b[31mb"), "{error}");
    }

    #[tokio::test]
    async fn an_interrupt_ends_up_in_order_then_the_demo() {
        let (folder, exe) = fake(
            "[ \"$1\" = up ] || exit 0\ntrap 'echo tidy >> \"$0.tidy\"; exit 130' INT\nwhile :; do sleep 0.05; done",
        );
        let interrupted = CancellationToken::new();
        let demo = Demo {
            exe: exe.clone(),
            folder: folder.path().to_owned(),
            jump_host: (Ipv4Addr::LOCALHOST, 1).into(),
            interrupted: interrupted.clone(),
        };
        let notes = folder.path().join("notes");
        let interrupt = async {
            while !std::fs::read_to_string(&notes).is_ok_and(|text| text.contains(" up ")) {
                tokio::task::yield_now().await;
            }
            sleep(Duration::from_millis(100)).await;
            interrupted.cancel();
        };
        let (result, ()) = tokio::join!(demo.up(), interrupt);
        assert_eq!(result.unwrap_err().kind, Kind::Interrupted);
        assert!(folder.path().join("reclog.tidy").exists());
    }
}
