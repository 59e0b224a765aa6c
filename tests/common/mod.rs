//! What every end-to-end test needs: a clean environment, a real sshd, senders, and waiting by asking.
//!
//! - [`agent`]: agents, real and misbehaving
//! - [`env`]: one folder, one set of collectors a test; nothing of the user's own account is read or written
//! - [`account`]: a user of this machine, made for one test
//! - [`control`]: requests at the control socket
//! - [`cutter`]: a network that is cut without a word
//! - [`disk`]: file systems to fill, freeze and take away
//! - [`dropbear`]: a real Dropbear
//! - [`tinyssh`]: a real TinySSH
//! - [`relp`]: a RELP sender, frame by frame, and a real rsyslogd
//! - [`run`]: one command of reclog, its output and exit code, always with a time limit
//! - [`sshd`]: a real OpenSSH server on a free port of the loopback interface
//! - [`browser`]: a real browser, and `reclog web`
//! - [`client`]: the library's connection to it, beside that of ssh
//! - [`hostile`]: a server that misbehaves as the test tells it
//! - [`senders`]: numbered lines from many connections, and the check that reads the file again
//! - [`stopped`]: one thread that stands still
//! - [`snapshot`]: reading `status --json`
//! - [`machine`]: a machine that systemd runs
//! - [`manager`]: a service manager that hears how a collector goes
//! - [`login`]: `up` to a server of a test
//! - [`procs`]: who runs, who listens
//! - [`netns`]: two or three machines and the network between them
//! - [`pty`]: a command at a terminal, and who types there
//! - [`relay`]: the relay's helper on a jump host
//! - [`pam`]: a password that real sshd asks for
//! - [`gate`]: an SSH server that asks, says and does what a test wants

#![allow(dead_code, unused_imports, reason = "each test file uses its own part of this")]

pub mod account;
pub mod agent;
pub mod axe;
pub mod browser;
pub mod client;
pub mod control;
pub mod cutter;
pub mod disk;
pub mod dropbear;
pub mod env;
pub mod gate;
pub mod hostile;
pub mod login;
pub mod machine;
pub mod manager;
pub mod netns;
pub mod pam;
pub mod procs;
pub mod pty;
pub mod relay;
pub mod relp;
pub mod run;
pub mod senders;
pub mod snapshot;
pub mod sshd;
pub mod stopped;
pub mod tinyssh;

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

pub use env::{Collector, Env};
pub use hostile::Hostile;
pub use procs::listening;
pub use pty::Term;
pub use run::{Bg, Daemon, Run};
pub use senders::{Sender, check_flood, flood, send};
pub use sshd::{Sshd, keygen};

/// Long enough for anything that should happen at once, on a machine with other work to do.
pub const SOON: Duration = Duration::from_secs(30);
/// For what waits for back-off and deadlines of its own.
pub const LATER: Duration = Duration::from_secs(90);

/// Asks until there is an answer; no test sleeps for any other reason.
///
/// # Panics
/// When there is none within `limit`, saying what was waited for.
#[track_caller]
pub fn wait_until<T>(what: &str, limit: Duration, mut ask: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} in vain until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A port nobody listens on, below the range from which the kernel picks ports of outgoing connections: those could
/// take it away before it is used.
pub fn free_port() -> u16 {
    const FIRST: u16 = 15_000;
    const COUNT: u16 = 17_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % u32::from(COUNT)).unwrap();
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        // The stride keeps test processes that run side by side apart.
        let spread = (u32::from(start) * 61 + u32::from(step)) % u32::from(COUNT);
        let port = FIRST + u16::try_from(spread).unwrap();
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port from {FIRST} on");
}

/// The next connection, which somebody is about to make.
#[track_caller]
pub fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    let (stream, _) = wait_until("somebody connects", SOON, || listener.accept().ok());
    stream.set_nonblocking(false).unwrap();
    stream
}

/// Where `program` lies: `PATH` and the folders of system programs.
pub fn find_program(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/bin", "/bin"].map(PathBuf::from);
    // Modules of rsyslogd are no programs, and needed like them.
    let modules = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten().map(|lib| lib.path().join("rsyslog"));
    let system = system.into_iter().chain(modules.filter(|_| program.contains(".so")));
    std::env::split_paths(&path).chain(system).map(|dir| dir.join(program)).find(|file| file.is_file())
}

/// The Debian package that brings `program`.
fn package(program: &str) -> &str {
    match program {
        "sshd" => "openssh-server",
        "ssh" | "ssh-keygen" | "ssh-agent" | "ssh-add" => "openssh-client",
        "nc" => "netcat-openbsd",
        "ip" => "iproute2",
        "nft" => "nftables",
        "rsyslogd" => "rsyslog",
        "omrelp.so" | "imrelp.so" => "rsyslog-relp",
        "logger" => "bsdutils",
        "dropbear" | "dropbearkey" => "dropbear-bin",
        "tinysshd" | "tinysshd-makekey" => "tinysshd",
        "useradd" | "userdel" => "passwd",
        "setpriv" | "setsid" => "util-linux",
        "promtool" => "prometheus",
        "chromedriver" => "chromium-driver",
        other => other,
    }
}

/// Whether the test `name` must be left out because `program` is not installed; says so past the capture of the test
/// harness. With `RECLOG_TEST_STRICT=1` nothing may be left out.
pub fn left_out(name: &str, program: &str) -> bool {
    if find_program(program).is_some() {
        return false;
    }
    lacks(name, program, package(program));
    true
}

/// Says that the test `name` is left out because `what` of this Debian package is missing.
pub fn lacks(name: &str, what: &str, package: &str) {
    use std::io::Write as _;
    let note = format!("left out: {name}: needs {what} (Debian: {package})");
    assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{note}");
    let _ = writeln!(std::io::stderr(), "{note}");
}

/// As [`left_out`], for what is no program.
pub fn left_out_for(name: &str, missing: &str) {
    use std::io::Write as _;
    let note = format!("left out: {name}: needs {missing}");
    // Nobody can install that.
    let _ = writeln!(std::io::stderr(), "{note}");
}

/// Leaves the test when a program that it drives is not installed: `require!("sshd", "socat")`.
#[macro_export]
macro_rules! require {
    ($($program:expr),+ $(,)?) => {
        fn here() {}
        let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
        $(if $crate::common::left_out(name, $program) { return; })+
    };
}

/// The whole file.
#[track_caller]
pub fn read(path: impl AsRef<Path>) -> Vec<u8> {
    let path = path.as_ref();
    std::fs::read(path).unwrap_or_else(|e| panic!("cannot read {}: {e}", path.display()))
}

/// The whole file as text.
#[track_caller]
pub fn read_text(path: impl AsRef<Path>) -> String {
    String::from_utf8(read(path)).expect("the file is text")
}

/// Waits until the file holds `text`.
#[track_caller]
pub fn wait_for_text(path: impl AsRef<Path>, text: &str) -> String {
    let path = path.as_ref();
    wait_until(&format!("{} holds {text:?}", path.display()), SOON, || {
        let all = String::from_utf8_lossy(&std::fs::read(path).ok()?).into_owned();
        all.contains(text).then_some(all)
    })
}
