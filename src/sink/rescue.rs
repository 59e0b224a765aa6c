//! What an output could not take when its time was over, kept in a file of its own.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::oneshot;

use super::queue::Rest;
use crate::error::io_reason;

/// A queue that is full is on a slow disk within this time. One that does not answer is not waited for any longer.
const PATIENCE: Duration = Duration::from_secs(10);

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
        let (done, hears) = oneshot::channel();
        let theirs = path.clone();
        // A thread of its own, for the runtime would wait for one of its.
        let thread = std::thread::Builder::new().name("reclog-rescue".into());
        let started = thread.spawn(move || {
            let end = if mend { &b"\n"[..] } else { b"" };
            let [half, whole] = rest.parts();
            let kept = write(&theirs, &[end, half, whole]);
            if kept.is_err() {
                let _ = std::fs::remove_file(&theirs);
            }
            let _ = done.send(kept);
        });
        started.map_err(|e| failed(&io_reason(&e)))?;
        match tokio::time::timeout(PATIENCE, hears).await {
            Ok(Ok(Ok(()))) => Ok(path),
            Ok(Ok(Err(e))) => Err(failed(&io_reason(&e))),
            Ok(Err(_)) => Err(failed("reclog failed")),
            Err(_) => Err(failed("the disk does not answer")),
        }
    }
}

fn write(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    for part in parts {
        file.write_all(part)?;
    }
    file.sync_all()?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
