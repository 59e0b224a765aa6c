//! A disk that neither takes bytes nor refuses them: the write just hangs, as on a dead network mount.

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use common::senders::numbered;
use common::snapshot::assert_balanced;
use common::{Env, read, send};

/// A real file system in a file, which can be frozen. `Drop` thaws it and takes it away.
struct Freezer(PathBuf);

impl Freezer {
    /// The reason where there can be none: not root, no loop devices.
    fn mount(env: &Env) -> Result<Self, String> {
        let (image, folder) = (env.path("image"), env.path("disk"));
        std::fs::File::create(&image).and_then(|f| f.set_len(64 * 1024 * 1024)).unwrap();
        std::fs::create_dir(&folder).unwrap();
        run(Command::new("/sbin/mkfs.ext4").arg("-q").arg(&image))?;
        run(Command::new("mount").args(["-o", "loop"]).arg(&image).arg(&folder))?;
        Ok(Self(folder))
    }

    fn freeze(&self) {
        run(Command::new("/sbin/fsfreeze").arg("-f").arg(&self.0)).unwrap();
    }

    fn thaw(&self) {
        run(Command::new("/sbin/fsfreeze").arg("-u").arg(&self.0)).unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = Command::new("/sbin/fsfreeze").arg("-u").arg(&self.0).output();
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim())),
        Err(e) => Err(format!("{command:?}: {e}")),
    }
}

#[test]
fn a_write_that_hangs_is_a_stall_that_is_told_and_loses_nothing() {
    let env = Env::new();
    let disk = match Freezer::mount(&env) {
        Ok(disk) => disk,
        Err(why) => {
            let note = format!("left out: a_write_that_hangs…: {why}; run it as root where there are loop devices");
            assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{note}");
            let _ = writeln!(std::io::stderr(), "{note}");
            return;
        }
    };
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c"]);
    let lines: String = (0..2000).map(|n| numbered(1, n)).collect();
    disk.freeze();
    send(collector.port(), &lines);

    let stalled = env.wait_state("c", "stalled");
    let health = stalled["health"].to_string();
    assert!(health.contains("disk/f") && health.contains("has not taken a byte"), "{health}");
    assert_balanced(&stalled["streams"][0]);

    disk.thaw();
    env.wait_stored("c", lines.len() as u64);
    let up = env.wait_state("c", "up");
    assert_eq!(up["health"], serde_json::json!([]));
    env.down("c");
    assert!(read(env.path("disk/f")) == lines.as_bytes());
}
