//! What stands in for a stream while it is examined: its door, a queue and a writer, with a file of its own.

use std::fs::{Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tempfile::TempPath;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::audit::Trail;
use crate::error::{Error, Result, io_reason};
use crate::intake::Intake;
use crate::ledger::StreamLedger;
use crate::plan::{Format, Limits, Output, Rotate, StreamPlan};
use crate::sink::{OpenFailure, Options, OutputFile, Sink};

/// How the file is called; whoever finds one knows whose it was.
const PREFIX: &str = ".reclog-doctor-";

/// A stream that writes to a file of its own. The file goes with it.
pub struct Rig {
    /// The door of the stream.
    pub intake: Intake,
    sink: Sink,
    waker: JoinHandle<()>,
    file: TempPath,
    /// Whether the file lies where the stream's own does.
    pub beside: bool,
}

/// A file that is younger may belong to a doctor that has not locked it yet.
const YOUNG: Duration = Duration::from_secs(60);

/// Removes what an earlier doctor left in `folder` because it was killed: files of this account that nobody has locked, as the
/// writer of a doctor that runs has.
fn sweep(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = |meta: &Metadata| {
            let age = meta.modified().ok().and_then(|at| at.elapsed().ok());
            meta.is_file() && meta.uid() == geteuid().as_raw() && age.is_some_and(|age| age > YOUNG)
        };
        let named = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if !named || !entry.metadata().is_ok_and(|meta| is_ours(&meta)) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = OpenOptions::new().append(true).open(&path) else { continue };
        if file.try_lock().is_ok() {
            tracing::info!(path = %path.display(), "removed what a doctor that was killed had left");
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// A new file in `folder`, empty and private. What was left of such files there is removed first.
///
/// # Errors
/// Why there is none.
pub fn make(folder: &Path) -> std::io::Result<TempPath> {
    sweep(folder);
    let path = folder.join(format!("{PREFIX}{:016x}", rand::random::<u64>()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    TempPath::try_from_path(path)
}

impl Rig {
    /// `stream` as it is, but for its file, which is `file`, and that it is never put away; anybody may send, and records stand
    /// there as they come.
    ///
    /// # Errors
    /// When the file cannot be opened a second time, or the system has no thread left.
    pub fn start(stream: &StreamPlan, file: TempPath, beside: bool) -> Result<Self> {
        let plan = StreamPlan {
            out: Output::file_at(file.to_path_buf()),
            also: Vec::new(),
            format: Format::Raw,
            // It is the way that is examined, and no stranger who comes along it.
            keywords: Vec::new(),
            limits: Limits::default(),
            rotate: Rotate::default(),
            ..stream.clone()
        };
        let opened = OutputFile::open(&file).map_err(|failure| match failure {
            OpenFailure::Other(error) => error,
            OpenFailure::Locked => Error::failed(format!("another program holds a lock on {}", file.display())),
        })?;
        let ledger = StreamLedger::new();
        let options = Options::of(&plan, Trail::nowhere());
        let sink = Sink::start(opened, ledger.clone(), options)
            .map_err(|e| Error::failed(format!("cannot start the writer of {}: {}", file.display(), io_reason(&e))))?;
        let waker = tokio::spawn(sink.handle().run_waker());
        let intake = Intake::new(plan, ledger, sink.handle(), Trail::nowhere());
        Ok(Self { intake, sink, waker, file, beside })
    }

    /// Where it writes.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.file.to_path_buf()
    }

    /// Ends the writer, whatever it has still to write, and removes the file.
    pub async fn leave(self) {
        let give_up = CancellationToken::new();
        give_up.cancel();
        self.sink.finish(give_up).await;
        self.waker.abort();
        drop(self.file);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::SystemTime;

    #[test]
    fn what_a_killed_doctor_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let old = |name: &str| {
            let file = std::fs::File::create(dir.path().join(name)).unwrap();
            file.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
            file
        };
        let (left, locked, other) = (format!("{PREFIX}1"), format!("{PREFIX}2"), "my-reclog-doctor-1");
        let young = format!("{PREFIX}3");
        drop([old(&left), old(other)]);
        let running = old(&locked);
        running.try_lock().unwrap();
        std::fs::write(dir.path().join(&young), "").unwrap();
        let made = make(dir.path()).unwrap();
        let there = |name: &str| dir.path().join(name).exists();
        assert!(!there(&left));
        assert!(there(&locked) && there(&young) && there(other) && made.exists());
    }
}
