//! What an output could not take when its time was over, kept in a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
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
    /// disk. `mend`: behind a line end of ours.
    ///
    /// # Errors
    /// A sentence. Then no file is left.
    pub(super) async fn keep(self, stream: &str, mend: bool, rest: Rest) -> Result<PathBuf, String> {
        let now = Timestamp::now().to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H-%M-%S%.6fZ").to_string();
        let path = self.folder.join(format!("rescue-{stream}-{now}.log"));
        let failed = |why: &str| format!("cannot keep them in {}: {why}", path.display());
        let (done, mut hears) = oneshot::channel();
        let theirs = path.clone();
        // Set by who comes first: the thread, which gives the file its name, or we, who say that there is none.
        let decided = Arc::new(AtomicBool::new(false));
        let thread_decides = Arc::clone(&decided);
        // A thread of its own, for the runtime would wait for one of its.
        let thread = std::thread::Builder::new().name("reclog-rescue".into());
        let started = thread.spawn(move || {
            let end = if mend { &b"\n"[..] } else { b"" };
            let [half, whole] = rest.parts();
            let _ = done.send(write(&theirs, &[end, half, whole], || !thread_decides.swap(true, Ordering::Relaxed)));
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

#[cfg(test)]
mod tests {
    use super::*;

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
