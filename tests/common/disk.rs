//! Small file systems that a test fills, takes away and makes read-only.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::Env;

/// What fits into the queue of a stream before its senders must wait.
pub const QUEUE: u64 = 64 * 1024 * 1024;

/// A small file system in the test's folder. `Drop` takes it away.
pub struct Disk(pub PathBuf);

impl Disk {
    /// At `disk` in the test's folder. `None`, and says so past the capture of the test harness, where it may not be
    /// mounted.
    #[track_caller]
    pub fn mount(env: &Env, test: &str, size: &str) -> Option<Self> {
        let path = env.path("disk");
        std::fs::create_dir(&path).unwrap();
        let disk = Self(path);
        let Err(why) = disk.mount_again(size) else { return Some(disk) };
        std::mem::forget(disk);
        left_out(test, &format!("may not mount a file system ({why}); run it as root"));
        None
    }

    /// An empty one in the same place.
    pub fn mount_again(&self, size: &str) -> Result<(), String> {
        run(Command::new("mount").args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&self.0))
    }

    /// Takes it away under whoever has files open there.
    #[track_caller]
    pub fn unmount(&self) {
        run(Command::new("umount").arg("-l").arg(&self.0)).unwrap();
    }

    /// Fills it up but for this many bytes.
    #[track_caller]
    pub fn fill(&self, but: u64) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        // No other error means that it is full.
        loop {
            match filler.write_all(&[0; 4096]) {
                Ok(()) => {}
                Err(e) if e.kind() == std::io::ErrorKind::StorageFull => break,
                Err(e) => eprintln!("filling {} goes on after: {e}", self.0.display()),
            }
        }
        filler.set_len(filler.metadata().unwrap().len() - but).unwrap();
    }

    #[track_caller]
    pub fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }

    /// Bytes that are free.
    pub fn left(&self) -> u64 {
        let system = rustix::fs::statvfs(&self.0).unwrap();
        system.f_bavail * system.f_frsize
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazy: after a failed test a collector may still hold its file open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// A real file system in a file: it can be frozen and made read-only. `Drop` thaws it and takes it away.
pub struct Image(pub PathBuf);

impl Image {
    /// At `disk` in the test's folder. `None`, and says so, where there can be none: not root, no loop devices.
    #[track_caller]
    pub fn mount(env: &Env, test: &str) -> Option<Self> {
        let (image, folder) = (env.path("image"), env.path("disk"));
        File::create(&image).and_then(|f| f.set_len(64 * 1024 * 1024)).unwrap();
        std::fs::create_dir(&folder).unwrap();
        let made = run(Command::new("/sbin/mkfs.ext4").arg("-q").arg(&image))
            .and_then(|()| run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder)));
        let Err(why) = made else { return Some(Self(folder)) };
        left_out(test, &format!("{why}; run it as root where there are loop devices"));
        None
    }

    /// Mounts it anew with this option, under whoever has files open there.
    #[track_caller]
    pub fn remount(&self, how: &str) {
        run(Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&self.0)).unwrap();
    }

    #[track_caller]
    pub fn freeze(&self) {
        run(Command::new("/sbin/fsfreeze").arg("-f").arg(&self.0)).unwrap();
    }

    #[track_caller]
    pub fn thaw(&self) {
        run(Command::new("/sbin/fsfreeze").arg("-u").arg(&self.0)).unwrap();
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        let _ = Command::new("/sbin/fsfreeze").arg("-u").arg(&self.0).output();
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// Says, past the capture of the test harness, that a test cannot be run here.
#[track_caller]
pub fn left_out(test: &str, why: &str) {
    let note = format!("left out: {test}: {why}");
    assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{note}");
    let _ = writeln!(std::io::stderr(), "{note}");
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

/// A small disk in the test's folder, or the end of the test where there can be none.
#[macro_export]
macro_rules! disk {
    ($env:expr, $size:expr) => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
        let Some(disk) = $crate::common::disk::Disk::mount(&$env, name, $size) else { return };
        disk
    }};
}

/// A real file system in the test's folder, or the end of the test where there can be none.
#[macro_export]
macro_rules! image {
    ($env:expr) => {{
        fn here() {}
        let name = std::any::type_name_of_val(&here).trim_end_matches("::here");
        let Some(disk) = $crate::common::disk::Image::mount(&$env, name) else { return };
        disk
    }};
}
