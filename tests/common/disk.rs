//! A disk that fills up.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;

use super::Env;

/// What fits into the queue of a stream before its senders must wait.
pub const QUEUE: u64 = 64 * 1024 * 1024;

/// A small file system in the test's folder. `Drop` takes it away.
pub struct Disk(PathBuf);

impl Disk {
    /// `None`, and says so past the capture of the test harness, where it may not be mounted.
    #[track_caller]
    pub fn mount(env: &Env, test: &str, size: &str) -> Option<Self> {
        let path = env.path("disk");
        std::fs::create_dir(&path).unwrap();
        let mut mount = env.command("mount");
        let output = mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&path).output();
        let why = match output {
            Ok(output) if output.status.success() => return Some(Self(path)),
            Ok(output) => String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned(),
            Err(e) => e.to_string(),
        };
        let note = format!("left out: {test}: may not mount a file system ({why}); run it as root");
        assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{note}");
        let _ = writeln!(std::io::stderr(), "{note}");
        None
    }

    /// Fills it up but for this many bytes.
    pub fn fill(&self, but: u64) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        while filler.write_all(&[0; 4096]).is_ok() {}
        filler.set_len(filler.metadata().unwrap().len() - but).unwrap();
    }

    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazy: after a failed test a collector may still hold its file open.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
