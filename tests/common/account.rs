//! A user of this machine for one test: without a shell, and not root.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::find_program;

/// The account. `Drop` takes it away again.
pub struct Account {
    pub name: String,
    home: TempDir,
}

impl Account {
    /// A new account with this shell and a home of its own. `None`: the test is left out, for only root can make one.
    #[track_caller]
    pub fn with_shell(test: &str, shell: &str) -> Option<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (Some(useradd), true) = (find_program("useradd"), rustix::process::geteuid().is_root()) else {
            super::lacks(test, "useradd and root", "passwd");
            return None;
        };
        // Not /tmp: TinySSH trusts no folder below one that others can write to.
        let home = tempfile::Builder::new().prefix("rl-home-").tempdir_in("/run").expect("a temporary folder");
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = format!("rl{}x{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let mut add = Command::new(useradd);
        // `*`: no password fits, and the account is not locked, in which case sshd would let no key in.
        add.args(["--system", "--no-create-home", "--password", "*", "--shell", shell, "--home-dir"]);
        // Whoever comes second finds the file of accounts locked, and tries again.
        let mut last = String::new();
        for _ in 0..100 {
            let added =
                Command::new(add.get_program()).args(add.get_args()).arg(home.path()).arg(&name).output().unwrap();
            if added.status.success() {
                return Some(Self { name, home });
            }
            last = String::from_utf8_lossy(&added.stderr).into_owned();
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        panic!("useradd: {last}");
    }

    /// Its home.
    pub fn home(&self) -> &Path {
        self.home.path()
    }

    /// Lets the public key in `key` log in where a server reads `~/.ssh/authorized_keys`.
    pub fn authorize(&self, key: &Path) -> PathBuf {
        let folder = self.home.path().join(".ssh");
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("authorized_keys");
        std::fs::copy(key.with_extension("pub"), &file).unwrap();
        let user = nix::unistd::User::from_name(&self.name).unwrap().expect("the account");
        for path in [self.home.path(), &folder, &file] {
            std::os::unix::fs::chown(path, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let userdel = find_program("userdel").unwrap_or_default();
        for _ in 0..100 {
            // 6: it is gone already.
            let status = Command::new(&userdel).args(["--force", &self.name]).output().map(|o| o.status);
            if status.is_ok_and(|s| s.success() || s.code() == Some(6)) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    }
}
