//! One collector a name: the lock file, which also tells who has which output.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, io_reason};
use crate::paths::Paths;

/// How often a held lock is tried again, and how long after: [`alive`] holds it for microseconds.
const LOOKS: u32 = 5;
const BLINK: Duration = Duration::from_millis(4);

/// What stands in a lock file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The collector's name.
    pub name: String,
    /// Its process.
    pub pid: u32,
    /// The files it writes.
    pub outputs: Vec<PathBuf>,
}

/// A held lock; the file is removed when it is dropped. The kernel frees it however the process ends.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the name of `holder`.
    ///
    /// # Errors
    /// When a collector of that name runs, here or in the other runtime folder: its name and pid.
    pub fn acquire(paths: &Paths, holder: &Holder) -> Result<Self> {
        for folder in paths.runtimes() {
            let path = folder.join(format!("{}.lock", holder.name));
            if folder != paths.runtime
                && let Some(other) = alive(&path)
            {
                return Err(taken(&other));
            }
        }
        let path = paths.lock(&holder.name);
        let failed =
            |e: io::Error| Error::failed(format!("cannot create the lock {}: {}", path.display(), io_reason(&e)));
        let mut looks = 0;
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)
                .map_err(failed)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                // Someone who only looks holds it for an instant.
                Err(Errno::WOULDBLOCK) if looks < LOOKS => {
                    looks += 1;
                    std::thread::sleep(BLINK);
                    continue;
                }
                Err(Errno::WOULDBLOCK) => {
                    let unread = Holder { name: holder.name.clone(), pid: 0, outputs: vec![] };
                    return Err(taken(&read(&mut file).unwrap_or(unread)));
                }
                Err(e) => return Err(failed(e.into())),
            }
            // Whoever held it removes it at the end: what we locked may be a file without a name.
            let (ours, named) = (file.metadata().map_err(failed)?, std::fs::metadata(&path));
            if named.is_ok_and(|n| (n.dev(), n.ino()) == (ours.dev(), ours.ino())) {
                file.set_len(0).map_err(failed)?;
                file.write_all(&serde_json::to_vec(holder).expect("plain data")).map_err(failed)?;
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn taken(holder: &Holder) -> Error {
    let Holder { name, pid, .. } = holder;
    Error::failed(format!("a collector \"{name}\" is already running (pid {pid})"))
        .hint(format!("stop it with `reclog down {name}`, or give this one another name with --name"))
}

fn read(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// Who holds the lock file `path`; `None` when nobody does.
#[must_use]
pub fn alive(path: &Path) -> Option<Holder> {
    let mut file = open(path).ok()?;
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::WOULDBLOCK) => read(&mut file),
        _ => None,
    }
}

/// The running collector called `name`, whichever runtime folder it uses.
#[must_use]
pub fn holder(paths: &Paths, name: &str) -> Option<Holder> {
    paths.runtimes().iter().find_map(|folder| alive(&folder.join(format!("{name}.lock"))))
}

/// The running collector that writes the file at `output`, whatever name or link leads there.
#[must_use]
pub fn writer_of(paths: &Paths, output: &Path) -> Option<Holder> {
    let wanted = std::fs::metadata(output).ok()?;
    let same =
        |path: &PathBuf| std::fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (wanted.dev(), wanted.ino()));
    holders(paths).find(|holder| holder.outputs.iter().any(same))
}

/// Another running collector that has an output which is written like this one.
#[must_use]
pub fn other_with(paths: &Paths, output: &Path) -> Option<Holder> {
    holders(paths).find(|holder| holder.pid != std::process::id() && holder.outputs.iter().any(|path| path == output))
}

/// Opens what somebody else may have put there, the account of a service for root: no link is followed, no pipe waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

fn holders(paths: &Paths) -> impl Iterator<Item = Holder> {
    paths
        .runtimes()
        .into_iter()
        .flat_map(|folder| std::fs::read_dir(folder).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|e| e == "lock"))
        .filter_map(|path| alive(&path))
}

/// Removes what a killed collector called `name` left; true if there was anything.
#[must_use]
pub fn sweep(paths: &Paths, name: &str) -> bool {
    let mut found = false;
    for folder in paths.runtimes() {
        let (lock, socket) = (folder.join(format!("{name}.lock")), folder.join(format!("{name}.sock")));
        let early = folder.join(format!("{name}.new"));
        let Ok(file) = open(&lock) else {
            found |= std::fs::remove_file(socket).is_ok();
            continue;
        };
        // Held while it is cleared away, so that a collector that starts now waits for its turn.
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok() {
            found |= std::fs::remove_file(socket).is_ok();
            // The socket of one that was killed before it got its name.
            found |= std::fs::remove_file(early).is_ok();
            found |= std::fs::remove_file(lock).is_ok();
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(dir: &Path) -> Paths {
        Paths { config: dir.join("c"), state: dir.join("s"), runtime: dir.into() }
    }

    fn holder(name: &str) -> Holder {
        Holder { name: name.into(), pid: 4711, outputs: vec!["/o".into()] }
    }

    #[test]
    fn a_name_is_held_once_and_told_with_its_pid() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        let lock = Lock::acquire(&paths, &holder("a")).unwrap();
        let error = Lock::acquire(&paths, &holder("a")).unwrap_err();
        assert_eq!(error.message, "a collector \"a\" is already running (pid 4711)");
        assert!(Lock::acquire(&paths, &holder("b")).is_ok());
        assert!(!sweep(&paths, "a"), "a living collector's lock is left alone");
        drop(lock);
        assert!(Lock::acquire(&paths, &holder("a")).is_ok());
        assert!(!paths.lock("a").exists());
    }

    #[test]
    fn a_lock_that_a_killed_collector_left_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let paths = paths(dir.path());
        std::fs::write(paths.lock("a"), "{}").unwrap();
        assert_eq!(alive(&paths.lock("a")), None);
        assert!(sweep(&paths, "a"));
        assert!(Lock::acquire(&paths, &holder("a")).is_ok());
    }
}
