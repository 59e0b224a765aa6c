//! The relay's helper on the jump host of a test, and jump hosts that have one interpreter, the other, or none.

use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::{Sshd, find_program, procs};

/// What may run a relay.
pub const INTERPRETERS: [&str; 2] = ["python3", "perl"];
/// What other commands of reclog use there.
const TOOLS: [&str; 12] =
    ["sh", "cat", "readlink", "sleep", "grep", "head", "od", "ip", "ss", "hostname", "bash", "systemctl"];

/// A folder with programs, to be the whole `PATH` of an account.
pub struct Programs(TempDir);

impl Programs {
    /// With these interpreters and no others.
    pub fn with(interpreters: &[&str]) -> Self {
        let dir = tempfile::Builder::new().prefix("rl-path-").tempdir_in("/tmp").expect("a temporary folder");
        for tool in TOOLS.iter().chain(interpreters) {
            // Not those of a version manager, which are scripts and need more than is here.
            let system = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(|place| Path::new(place).join(tool));
            if let Some(file) = system.into_iter().find(|file| file.is_file()).or_else(|| find_program(tool)) {
                symlink(file, dir.path().join(tool)).expect("a link");
            }
        }
        Self(dir)
    }

    /// For sshd_config. As in other tests, bash reads no .bashrc at this depth.
    pub fn line(&self) -> String {
        format!("SetEnv SHLVL=2 PATH={}", self.0.path().display())
    }
}

/// The relays that run for connections to this server.
pub fn helpers(sshd: &Sshd) -> Vec<u32> {
    let is_helper = |pid: &u32| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<&[u8]> = words.split(|b| *b == 0).collect();
        words.starts_with(&[b"python3", b"-I", b"-S", b"-c"]) || words.starts_with(&[b"perl", b"-", b""])
    };
    sshd.sessions().into_iter().filter(is_helper).collect()
}

/// The one relay that runs there.
#[track_caller]
pub fn helper(sshd: &Sshd) -> u32 {
    let all = helpers(sshd);
    assert_eq!(all.len(), 1, "relays: {all:?}\n{}", sshd.log());
    assert!(procs::alive(all[0]));
    all[0]
}

/// The port of the forward behind the relay, of the newest connection. Needs `LogLevel DEBUG1`.
#[track_caller]
pub fn behind(sshd: &Sshd) -> u16 {
    let log = sshd.log();
    let of = |line: &str| line.split_once("Allocated listen port ")?.1.trim().parse().ok();
    log.lines().rev().find_map(of).unwrap_or_else(|| panic!("no forward in the log:\n{log}"))
}
