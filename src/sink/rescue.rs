//! What an output could not take when its time was over, kept in a file of its own.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::queue::Rest;
use crate::error::io_reason;

/// A queue that is full is on a slow disk within this time. One that does not answer is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a name may take.
const LAST_STEP: Duration = Duration::from_secs(1);

/// Where rescue files go.
#[derive(Debug, Clone)]
pub struct Rescue {
    /// The collector's folder below the state.
    pub folder: PathBuf,
}

impl Rescue {
    /// Writes `rest` to `rescue-<stream>-<time>.log` (mode 0600) as it would have followed the file, and forces it to the
    /// disk. Where there are many files, all below `root`, that is a folder (mode 0700) of such files, each with the name and
    /// the place that it has there. What would have followed one of the files `mend` begins with a line end of ours.
    ///
    /// # Errors
    /// A sentence. Then no file is left.
    pub(super) async fn keep(
        self,
        stream: &str,
        root: Option<&Path>,
        mend: &[PathBuf],
        rest: Rest,
    ) -> Result<PathBuf, String> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H-%M-%S%.6fZ").to_string();
        let path = self.folder.join(format!("rescue-{stream}-{now}{}", if root.is_some() { "" } else { ".log" }));
        let failed = |why: &str| format!("cannot keep them in {}: {why}", path.display());
        let (done, mut hears) = oneshot::channel();
        let (theirs, root, mend) = (path.clone(), root.map(Path::to_owned), mend.to_owned());
        // Set by who comes first: the thread, which gives the file its name, or we, who say that there is none.
        let decided = Arc::new(AtomicBool::new(false));
        let thread_decides = Arc::clone(&decided);
        // A thread of its own, for the runtime would wait for one of its.
        let thread = std::thread::Builder::new().name("reclog-rescue".into());
        let started = thread.spawn(move || {
            let wanted = || !thread_decides.swap(true, Ordering::Relaxed);
            let _ = done.send(if let Some(root) = root {
                write_all(&theirs, &root, &mend, &rest, wanted)
            } else {
                let end = if mend.is_empty() { &b""[..] } else { b"\n" };
                let [half, whole] = rest.parts();
                write(&theirs, &[end, half, whole], wanted)
            });
        });
        started.map_err(|e| failed(&io_reason(&e)))?;
        let mut answer = tokio::time::timeout(PATIENCE, &mut hears).await;
        if answer.is_err() && decided.swap(true, Ordering::Relaxed) {
            answer = tokio::time::timeout(LAST_STEP, &mut hears).await;
        }
        match answer {
            Ok(Ok(Ok(()))) => Ok(path),
            Ok(Ok(Err(e))) => Err(failed(&io_reason(&e))),
            Ok(Err(_)) => Err(failed("reclog failed")),
            Err(_) => Err(failed("the disk does not answer")),
        }
    }
}

/// Writes a part file, which gets its name when it is whole and `wanted`.
fn write(path: &Path, parts: &[&[u8]], wanted: impl FnOnce() -> bool) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let folder = path.parent().unwrap_or(Path::new("/"));
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(part)?;
        for part in parts {
            file.write_all(part)?;
        }
        file.sync_all()?;
        if !wanted() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::fs::rename(part, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_file(part)))?;
    File::open(folder).and_then(|folder| folder.sync_all()).inspect_err(|_| drop(std::fs::remove_file(path)))
}

/// As [`write`], a folder.
fn write_all(path: &Path, root: &Path, mend: &[PathBuf], rest: &Rest, wanted: impl FnOnce() -> bool) -> io::Result<()> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = Path::new(&part);
    let make = |folder: &Path| DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let write = || {
        make(part)?;
        for (file, bytes) in rest.by_file() {
            let place = part.join(file.strip_prefix(root).unwrap_or(file));
            let folder = place.parent().unwrap_or(part);
            make(folder)?;
            let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&place)?;
            if mend.iter().any(|mend| mend == file) {
                written.write_all(b"\n")?;
            }
            for bytes in bytes {
                written.write_all(bytes)?;
            }
            written.sync_all()?;
            for folder in folder.ancestors().take_while(|above| above.starts_with(part)) {
                File::open(folder)?.sync_all()?;
            }
        }
        if !wanted() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        std::fs::rename(part, path)
    };
    write().inspect_err(|_| drop(std::fs::remove_dir_all(part)))?;
    let folder = path.parent().unwrap_or(Path::new("/"));
    File::open(folder).and_then(|folder| folder.sync_all()).inspect_err(|_| drop(std::fs::remove_dir_all(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::Batch;
    use std::sync::Arc;

    #[test]
    fn what_belongs_to_many_files_is_kept_in_as_many() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rescue-main");
        let aim = |name: &str| Some(Arc::from(Path::new(name)));
        let (a, b) = (aim("/logs/10.0.0.1/a"), aim("/logs/10.0.0.2/b"));
        let batch = |lines: [&str; 3]| {
            let mut batch = Batch::default();
            for (to, line) in [&a, &b, &a].into_iter().zip(lines) {
                batch.aim(to);
                batch.payload(line.as_bytes());
            }
            batch
        };
        let flight = Some((Arc::new(batch(["one\n", "two\n", "three\n"])), 2));
        let rest = Rest { flight, queued: batch(["four\n", "five\n", "six\n"]) };
        let mend = [PathBuf::from("/logs/10.0.0.2/b")];
        write_all(&path, Path::new("/logs"), &mend, &rest, || true).unwrap();
        let read = |name: &str| std::fs::read_to_string(path.join(name)).unwrap();
        assert_eq!((read("10.0.0.1/a"), read("10.0.0.2/b")), ("e\nthree\nfour\nsix\n".into(), "\ntwo\nfive\n".into()));
        std::fs::remove_dir_all(&path).unwrap();
        assert!(write_all(&path, Path::new("/logs"), &[], &rest, || false).is_err());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing is left of one that nobody waits for");
    }

    #[test]
    fn the_name_is_there_only_with_all_the_bytes_and_only_while_somebody_waits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("rescue-main.log");
        let looks = || {
            assert!(!path.exists(), "half a file has the name");
            true
        };
        write(&path, &[b"one\n", b"two\n"], looks).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo\n");
        std::fs::remove_file(&path).unwrap();
        assert!(write(&path, &[b"late\n"], || false).is_err());
        assert_eq!(dir.path().read_dir().unwrap().count(), 0, "nothing is left of one that nobody waits for");
    }
}
