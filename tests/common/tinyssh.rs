//! A real TinySSH behind socat, which listens for it.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::account::Account;
use super::run::Daemon;
use super::{Env, SOON, find_program, free_port, listening, sshd::keygen, wait_until};

/// The server, and the one account that may log in.
pub struct TinySsh {
    keys: TempDir,
    _socat: Daemon,
    account: Account,
    pub port: u16,
}

impl TinySsh {
    /// Starts it. `None`: the test is left out. TinySSH reads `authorized_keys` in the home of the account.
    #[track_caller]
    pub fn start(test: &str) -> Option<Self> {
        let account = Account::with_shell(test, "/bin/sh")?;
        let keys = tempfile::Builder::new().prefix("rl-tinyssh-").tempdir_in("/tmp").unwrap();
        let folder = keys.path().join("keys");
        let made = Command::new(find_program("tinysshd-makekey").unwrap()).arg("-q").arg(&folder).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let port = free_port();
        let mut socat = Command::new("socat");
        let tinysshd = find_program("tinysshd").unwrap();
        socat.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr")).arg(format!(
            "EXEC:{} -v {}",
            tinysshd.display(),
            folder.display()
        ));
        let socat = Daemon::start(&mut socat);
        wait_until("socat listens", SOON, || listening(port).then_some(()));
        Some(Self { keys, _socat: socat, account, port })
    }

    /// Makes it the host `jump` of the environment.
    pub fn trusted_by(&self, env: &Env) {
        let key: PathBuf = env.path("home/.ssh/id");
        keygen(&key, "ed25519");
        self.account.authorize(&key);
        let mut print = Command::new(find_program("tinysshd-printkey").unwrap());
        let printed = print.arg(self.keys.path().join("keys")).output().unwrap();
        let public = String::from_utf8(printed.stdout).unwrap();
        env.trust_account(&self.account.name, self.port, &key, &public);
    }
}
