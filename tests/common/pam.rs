//! Passwords without accounts: a PAM service of the test's own, which takes one password from whoever logs in.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::find_program;

/// What it takes.
pub const PASSWORD: &str = "right horse";

/// The service. sshd asks for the one that is called like its program, so it runs under another name.
pub struct Pam {
    dir: TempDir,
    name: String,
}

/// Why a test that needs one is left out.
pub fn missing() -> Option<&'static str> {
    (!rustix::process::geteuid().is_root()).then_some("root")
}

impl Pam {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        sweep();
        let name = format!("rl-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = tempfile::Builder::new().prefix("rl-pam-").tempdir_in("/tmp").unwrap();
        let check = dir.path().join("check");
        std::fs::write(&check, format!("#!/bin/sh\n[ \"$(tr -d '\\000')\" = '{PASSWORD}' ]\n")).unwrap();
        std::fs::set_permissions(&check, PermissionsExt::from_mode(0o755)).unwrap();
        let pam = Self { dir, name };
        std::os::unix::fs::symlink(find_program("sshd").unwrap(), pam.program()).unwrap();
        let stack = format!(
            "auth required pam_exec.so quiet expose_authtok {}\nauth required pam_permit.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
            check.display()
        );
        std::fs::write(pam.service(), stack).unwrap();
        pam
    }

    /// sshd under the name of the service.
    pub fn program(&self) -> PathBuf {
        self.dir.path().join(&self.name)
    }

    fn service(&self) -> PathBuf {
        PathBuf::from("/etc/pam.d").join(&self.name)
    }
}

/// Services of tests that were killed.
fn sweep() {
    for entry in std::fs::read_dir("/etc/pam.d").into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix("rl-").and_then(|n| n.split_once('-')).and_then(|(pid, _)| pid.parse().ok());
        if pid.is_some_and(|pid| !super::procs::alive(pid)) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

impl Drop for Pam {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.service());
    }
}

/// Leaves the test when nobody may make a PAM service here.
#[macro_export]
macro_rules! require_pam {
    () => {
        if let Some(missing) = $crate::common::pam::missing() {
            fn here() {}
            let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
            $crate::common::left_out_for(name, missing);
            return;
        }
    };
}
