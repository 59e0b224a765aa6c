//! What stands in for a stream while it is examined: its door, a queue and a writer, with a file of its own.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempPath;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::audit::Trail;
use crate::error::{Error, Result, io_reason};
use crate::intake::Intake;
use crate::ledger::StreamLedger;
use crate::plan::{Rotate, StreamPlan};
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

/// A new file in `folder`, empty and private.
///
/// # Errors
/// Why there is none.
pub fn make(folder: &Path) -> std::io::Result<TempPath> {
    let path = folder.join(format!("{PREFIX}{:016x}", rand::random::<u64>()));
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    TempPath::try_from_path(path)
}

impl Rig {
    /// `stream` as it is, but for its file, which is `file`, and that it is never put away.
    ///
    /// # Errors
    /// When the file cannot be opened a second time, or the system has no thread left.
    pub fn start(stream: &StreamPlan, file: TempPath, beside: bool) -> Result<Self> {
        let plan = StreamPlan { out: file.to_path_buf(), rotate: Rotate::default(), ..stream.clone() };
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
