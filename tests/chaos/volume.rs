//! A disk that can be full.

use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::common::{SOON, find_program, wait_until};

/// Bytes that still fit in when the disk is "full": so that a write may end in the middle of a line.
const REST: u64 = 12 * 1024;
/// More than any run writes; memory is taken as it is used.
const ROOM: &str = "8g";

/// The folder of the output.
pub struct Disk {
    pub folder: PathBuf,
    /// A file system of its own, in memory; else a limit of the size of files is laid on the collector.
    mounted: bool,
}

impl Disk {
    pub fn new(folder: PathBuf) -> Self {
        std::fs::create_dir(&folder).unwrap();
        let mut disk = Self { folder, mounted: false };
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={ROOM}"), "tmpfs"]).arg(&disk.folder);
        disk.mounted = find_program("mount").is_some() && mount.output().is_ok_and(|o| o.status.success());
        disk
    }

    pub fn what(&self) -> &'static str {
        if self.mounted { "a tmpfs that shrinks" } else { "RLIMIT_FSIZE (no mounts here)" }
    }

    fn resize(&self, size: &str) -> bool {
        let mut mount = Command::new("mount");
        mount.args(["-o", &format!("remount,size={size}")]).arg(&self.folder);
        mount.output().is_ok_and(|o| o.status.success())
    }

    /// From now on next to nothing fits in. `file`: what `collector` writes to.
    pub fn fill(&self, file: &Path, collector: u32) {
        if self.mounted {
            // While we look more is written, and a file system cannot be smaller than what is in it.
            wait_until("the disk is full", SOON, || {
                let stat = rustix::fs::statvfs(&self.folder).unwrap();
                let used = (stat.f_blocks - stat.f_bfree) * stat.f_frsize;
                self.resize(&(used + REST).to_string()).then_some(())
            });
        } else {
            let size = std::fs::metadata(file).map_or(0, |m| m.len());
            limit(collector, Some(size + REST));
        }
    }

    pub fn free(&self, collector: u32) {
        if self.mounted {
            assert!(self.resize(ROOM), "the disk does not grow again");
        } else {
            limit(collector, None);
        }
    }
}

fn limit(pid: u32, size: Option<u64>) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return };
    let _ = prlimit(Some(pid), Resource::Fsize, Rlimit { current: size, maximum: None });
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.mounted {
            // Lazy: after a failed run a collector may still hold its file open.
            let _ = Command::new("umount").arg("-l").arg(&self.folder).output();
        }
    }
}
