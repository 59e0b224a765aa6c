//! The embedded jump host against the real OpenSSH client.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reclog::demo::{JumpHost, KEY_FILE, KNOWN_HOSTS_FILE};

/// Longer than anything here takes; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(20);

/// A jump host, its folder, and the runtime it lives on beside the blocking test.
struct Stage {
    runtime: tokio::runtime::Runtime,
    folder: tempfile::TempDir,
    host: Option<JumpHost>,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let host = runtime.block_on(JumpHost::start(folder.path())).unwrap();
        Self { runtime, folder, host: Some(host) }
    }

    fn stop(&mut self) {
        let host = self.host.take().unwrap();
        let stopped = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, host.stop()).await });
        stopped.expect("stop() ends by itself");
    }

    /// An `ssh` that reads nothing of this machine's configuration.
    fn ssh(&self, key: &Path) -> Command {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=yes"])
            .args(["-o", "ExitOnForwardFailure=yes", "-o", "IdentityAgent=none", "-l", "demo"])
            .arg("-o")
            .arg(format!("UserKnownHostsFile={}", self.folder.path().join(KNOWN_HOSTS_FILE).display()))
            .arg("-i")
            .arg(key)
            .args(["-p", &self.host.as_ref().unwrap().address.port().to_string(), "127.0.0.1"])
            .stdin(Stdio::null());
        ssh
    }

    fn key(&self) -> std::path::PathBuf {
        self.folder.path().join(KEY_FILE)
    }

    fn refused(&self, arguments: &[&str]) -> Output {
        refused(self.ssh(&self.key()).args(arguments))
    }
}

/// What an `ssh` says that has to end by itself, and badly.
fn refused(ssh: &mut Command) -> Output {
    let mut child = ssh.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            panic!("was let in: {ssh:?}");
        }
        std::thread::yield_now();
    }
    let output = child.wait_with_output().unwrap();
    assert!(!output.status.success(), "{ssh:?}: {output:?}");
    output
}

/// An `ssh -N -R` that ends with the test.
struct Forward {
    ssh: Child,
    port: u16,
    /// What `ssh -v` says.
    lines: mpsc::Receiver<String>,
}

impl Forward {
    fn to(stage: &Stage, bind: &str, local: u16) -> Self {
        let mut ssh = stage.ssh(&stage.key());
        ssh.args(["-v", "-N", "-R", &format!("{bind}0:127.0.0.1:{local}")]).stderr(Stdio::piped());
        let mut ssh = ssh.spawn().unwrap();
        let (said, lines) = mpsc::channel();
        let stderr = BufReader::new(ssh.stderr.take().unwrap());
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).try_for_each(|line| said.send(line)));
        let mut forward = Self { ssh, port: 0, lines };
        // "Allocated port 39641 for remote forward to 127.0.0.1:9"
        let line = forward.line_with("Allocated port ");
        forward.port = line.split(' ').nth(2).unwrap().parse().unwrap();
        forward
    }

    fn line_with(&self, words: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("ssh never said {words:?}"));
            if line.contains(words) {
                return line;
            }
        }
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        let _ = self.ssh.kill();
        let _ = self.ssh.wait();
    }
}

/// Whether `program` is here; a missing one skips the test, or fails it under `RECLOG_TEST_STRICT=1`.
fn has(program: &str) -> bool {
    let found = Command::new(program).arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok();
    if !found {
        assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{program} is not installed");
        eprintln!("skipped: {program} is not installed");
    }
    found
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, PATIENCE).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

#[test]
fn bytes_pass_both_ways_and_each_way_ends_for_itself() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let forward = Forward::to(&stage, "", local.local_addr().unwrap().port());
    // More than every buffer on the way together, so that windows have to be refilled.
    let payload: Vec<u8> = (0..8_000_000u32).map(|i| u8::try_from(i % 251).unwrap()).collect();

    let answering = std::thread::spawn(move || {
        let (mut stream, _) = local.accept().unwrap();
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(format!("got {}", all.len()).as_bytes()).unwrap();
        all
    });
    let mut sender = connect((Ipv4Addr::LOCALHOST, forward.port).into());
    sender.write_all(&payload).unwrap();
    sender.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    sender.read_to_string(&mut answer).unwrap();

    assert_eq!(answer, "got 8000000");
    assert!(answering.join().unwrap() == payload);
}

#[test]
fn an_answer_may_end_while_the_sender_goes_on() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let forward = Forward::to(&stage, "", local.local_addr().unwrap().port());
    let mut sender = connect((Ipv4Addr::LOCALHOST, forward.port).into());
    let (mut receiver, _) = local.accept().unwrap();
    receiver.set_read_timeout(Some(PATIENCE)).unwrap();

    receiver.write_all(b"hush").unwrap();
    receiver.shutdown(Shutdown::Write).unwrap();
    let mut answer = String::new();
    sender.read_to_string(&mut answer).unwrap();
    sender.write_all(b"no").unwrap();
    drop(sender);
    let mut rest = String::new();
    receiver.read_to_string(&mut rest).unwrap();

    assert_eq!((answer.as_str(), rest.as_str()), ("hush", "no"));
}

#[test]
fn the_client_learns_who_connected() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    let forward = Forward::to(&stage, "127.0.0.1:", 9);
    let sender = connect((Ipv4Addr::LOCALHOST, forward.port).into());
    let origin = format!("originator 127.0.0.1 port {}", sender.local_addr().unwrap().port());
    let line = forward.line_with("originator ");
    assert!(line.ends_with(&origin), "{line}");
    assert!(line.contains(&format!("listen 127.0.0.1 port {}", forward.port)), "{line}");
}

#[test]
fn only_the_key_that_was_made_gets_in() {
    if !has("ssh") {
        return;
    }
    let (stage, other) = (Stage::new(), Stage::new());
    assert_eq!(std::fs::metadata(stage.key()).unwrap().permissions().mode() & 0o777, 0o600);
    let output = refused(stage.ssh(&other.key()).args(["-N", "-R", "0:127.0.0.1:9"]));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Permission denied (publickey)"), "{output:?}");
}

#[test]
fn everything_but_forwards_on_loopback_is_refused() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    for bind in ["*:", "0.0.0.0:", "[::]:", "192.0.2.1:"] {
        let output = stage.refused(&["-N", "-R", &format!("{bind}0:127.0.0.1:9")]);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("remote port forwarding failed"),
            "{bind}: {output:?}"
        );
    }
    for arguments in [&["true"][..], &["-s", "sftp"], &["-W", "127.0.0.1:9"]] {
        let output = stage.refused(arguments);
        assert!(String::from_utf8_lossy(&output.stderr).contains("rohibited"), "{arguments:?}: {output:?}");
    }
    let socket = stage.folder.path().join("s").display().to_string();
    stage.refused(&["-N", "-R", &format!("{socket}:127.0.0.1:9")]);
}

#[test]
fn a_port_that_is_taken_is_refused() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port();
    stage.refused(&["-N", "-R", &format!("127.0.0.1:{port}:127.0.0.1:9")]);
}

#[test]
fn a_client_that_goes_takes_its_ports_with_it() {
    if !has("ssh") {
        return;
    }
    let stage = Stage::new();
    let forward = Forward::to(&stage, "127.0.0.1:", 9);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, forward.port));
    assert!(TcpStream::connect(address).is_ok());
    drop(forward);
    let start = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(start.elapsed() < PATIENCE, "port {address} is still open");
        std::thread::yield_now();
    }
}

#[test]
fn stop_closes_the_listener_the_forwards_and_the_connections() {
    if !has("ssh") {
        return;
    }
    let mut stage = Stage::new();
    let local = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut forward = Forward::to(&stage, "", local.local_addr().unwrap().port());
    let forwarded = SocketAddr::from((Ipv4Addr::LOCALHOST, forward.port));
    let mut sender = connect(forwarded);
    let (_kept, _) = local.accept().unwrap();
    let address = stage.host.as_ref().unwrap().address;
    // One that never says a word must not hold it up either.
    let _silent = connect(address);

    stage.stop();

    assert!(TcpStream::connect(address).is_err());
    assert!(TcpStream::connect(forwarded).is_err());
    assert!(matches!(sender.read(&mut [0]), Ok(0) | Err(_)));
    assert!(!forward.ssh.wait().unwrap().success());
}
