//! Keeps the catalogs: enters what was put away, and how long it was, so that offsets stay what they are when archives are
//! compressed and removed. See [`catalog`].
//!
//! A thread of its own, because no writer waits for the disk of the state folder. What it cannot enter is counted anew by
//! who reads.

use std::collections::{HashMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use rustix::fs::OFlags;

use crate::archive::catalog::{self, Catalog, Entry, Head, What};
use crate::archive::{self, Archive};
use crate::error::io_reason;
use crate::plan::Compress;

/// Jobs that wait; each is a path and some figures. Beyond it they are dropped.
const JOBS: usize = 10_000;
/// The pause after a disk refused.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of a catalog below which it is left as it is.
const SMALL: u64 = 64 * 1024;
/// Entries that stay however many archives there are; older ones are folded.
const ENTRIES: usize = 20_000;
/// Catalogs in the folder beyond which those of files go that are not there any more.
const CATALOGS: usize = 4096;
/// Bytes of an archive that are read at once; between two blocks it is looked whether to stop.
const BLOCK: usize = 256 * 1024;
/// How long the end waits for the thread. Only a disk that hangs takes longer; it is left alone then.
const END: Duration = Duration::from_secs(2);

/// Its entrance. Cheap to clone; when the last one is dropped, it enters what is left and ends.
#[derive(Debug, Clone, Default)]
pub struct Clerk(Option<Arc<Handle>>);

#[derive(Debug)]
struct Handle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    /// As in `inner`, for the middle of the work.
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: VecDeque<Job>,
    stop: bool,
    /// The thread is at its end.
    done: bool,
}

#[derive(Debug, Clone)]
struct Job {
    stream: String,
    /// Where the file lies.
    place: PathBuf,
    what: Task,
}

#[derive(Debug, Clone, Copy)]
enum Task {
    /// An archive, and its bytes.
    Enter(Timestamp, u64),
    /// So many bytes were taken away by others.
    Gone(u64, Timestamp),
    /// There may be archives that nobody has entered: a crash, or an older release.
    Look,
}

impl Clerk {
    /// One that enters nothing.
    #[must_use]
    pub fn nowhere() -> Self {
        Self::default()
    }

    /// Starts the thread, which keeps the catalogs in `folder`; that is made if need be.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(folder: &Path) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let work = Work { folder: folder.to_owned(), shared: Arc::clone(&shared), large: HashMap::new(), told: false };
        std::thread::Builder::new().name("reclog-clerk".into()).spawn(move || work.run())?;
        Ok(Self(Some(Arc::new(Handle(shared)))))
    }

    /// The file at `place` was put away as `archive`, with so many bytes.
    pub fn put_away(&self, stream: &str, place: &Path, archive: &Path, bytes: u64) {
        let names = place.file_name().zip(archive.file_name());
        if let Some((at, _)) = names.and_then(|(file, name)| archive::parse(file, name)) {
            self.tell(stream, place, Task::Enter(at, bytes));
        }
    }

    /// Others took so many bytes away from the file at `place`.
    pub fn gone(&self, stream: &str, place: &Path, bytes: u64) {
        if bytes > 0 {
            self.tell(stream, place, Task::Gone(bytes, Timestamp::now()));
        }
    }

    /// Looks whether all archives of the file at `place` are entered.
    pub fn look_at(&self, stream: &str, place: &Path) {
        self.tell(stream, place, Task::Look);
    }

    fn tell(&self, stream: &str, place: &Path, what: Task) {
        let Some(handle) = &self.0 else { return };
        let mut inner = handle.0.lock();
        if inner.jobs.len() < JOBS {
            inner.jobs.push_back(Job { stream: stream.to_owned(), place: place.to_owned(), what });
            handle.0.changed.notify_all();
        }
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.stop.store(true, Ordering::Relaxed);
        let mut inner = self.0.lock();
        inner.stop = true;
        self.0.changed.notify_all();
        drop(self.0.changed.wait_timeout_while(inner, END, |inner| !inner.done));
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread.
struct Work {
    folder: PathBuf,
    shared: Arc<Shared>,
    /// Catalogs that are large, and at how many bytes it is looked again whether they can be smaller.
    large: HashMap<PathBuf, u64>,
    /// That the disk refuses was said.
    told: bool,
}

impl Work {
    fn run(mut self) {
        // Whoever waits for the end is not held up when this panics.
        struct Done(Arc<Shared>);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.lock().done = true;
                self.0.changed.notify_all();
            }
        }
        let _done = Done(Arc::clone(&self.shared));
        // On Linux this is the thread alone; elsewhere it would be the process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, 19);
        self.clear();
        loop {
            let job = {
                let inner = self.shared.lock();
                let waited = self.shared.changed.wait_while(inner, |inner| inner.jobs.is_empty() && !inner.stop);
                let mut inner = waited.unwrap_or_else(PoisonError::into_inner);
                match inner.jobs.pop_front() {
                    Some(job) => job,
                    None => return,
                }
            };
            match self.enter(&job) {
                Ok(()) => self.told = false,
                // The next one who looks enters it.
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => {
                    if !std::mem::replace(&mut self.told, true) {
                        let (folder, reason) = (self.folder.display(), io_reason(&e));
                        tracing::warn!(
                            "cannot enter what was put away in {folder}: {reason}; offsets are counted anew"
                        );
                    }
                    let mut inner = self.shared.lock();
                    if inner.stop {
                        return;
                    }
                    inner.jobs.push_front(job);
                    drop(self.shared.changed.wait_timeout_while(inner, RETRY, |inner| !inner.stop));
                }
            }
        }
    }

    fn enter(&mut self, job: &Job) -> io::Result<()> {
        let path = catalog::path(&self.folder, &job.place);
        let mut lines = Vec::new();
        match job.what {
            Task::Enter(at, bytes) => catalog::append(&mut lines, &Entry { at, bytes, what: What::Archive }),
            Task::Gone(bytes, now) => {
                let at = read(&path)?.moment(now);
                catalog::append(&mut lines, &Entry { at, bytes, what: What::Gone });
            }
            Task::Look => {
                for (at, bytes) in missing(&read(&path)?, &job.place, &self.shared.stop)? {
                    catalog::append(&mut lines, &Entry { at, bytes, what: What::Archive });
                }
                if lines.is_empty() {
                    return Ok(());
                }
            }
        }
        let head = Head { file: crate::paths::absolute(&job.place).display().to_string(), stream: job.stream.clone() };
        let bytes = match append(&path, &head, &lines) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                crate::paths::ensure_private_dir(&self.folder).map_err(|e| io::Error::other(e.message))?;
                append(&path, &head, &lines)?
            }
            bytes => bytes?,
        };
        if bytes > *self.large.get(&path).unwrap_or(&SMALL) {
            // What is entered is entered; a catalog that is larger than it need be is tried again when it has grown.
            let _ = shrink(&path, &job.place, &head);
            self.large.insert(path.clone(), std::fs::metadata(&path).map_or(SMALL, |meta| (2 * meta.len()).max(SMALL)));
        }
        Ok(())
    }

    /// Removes catalogs of files that are gone with all their archives, when there are very many.
    fn clear(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let all: Vec<_> =
            entries.map(|e| e.path()).filter(|path| path.extension().is_some_and(|e| e == "jsonl")).collect();
        if all.len() <= CATALOGS {
            return;
        }
        for path in all {
            let file = std::fs::read(&path).ok().and_then(|text| {
                let head = text.split(|b| *b == b'\n').next()?;
                serde_json::from_slice::<Head>(head).ok()
            });
            let file = file.map(|head| PathBuf::from(head.file));
            let gone = |file: &PathBuf| !file.exists() && archive::list(file).is_ok_and(|all| all.is_empty());
            if file.is_none_or(|file| gone(&file)) {
                let _ = std::fs::remove_file(path);
            }
        }
    }
}

/// Folds what lies before the oldest archive.
fn shrink(path: &Path, place: &Path, head: &Head) -> io::Result<()> {
    let mut catalog = read(path)?;
    catalog.fold(archive::list(place)?.first().map(|oldest| oldest.at));
    let bound = catalog.entries.len().checked_sub(ENTRIES).and_then(|old| catalog.entries.keys().nth(old).copied());
    if bound.is_some() {
        catalog.fold(bound);
    }
    catalog::write(path, &catalog.text(head))
}

fn read(path: &Path) -> io::Result<Catalog> {
    match std::fs::read(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Catalog::default()),
        text => Ok(Catalog::parse(&text?)),
    }
}

/// Appends whole lines, on a line of their own. Returns the bytes that there are then.
fn append(path: &Path, head: &Head, lines: &[u8]) -> io::Result<u64> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
    let mut file = options.open(path)?;
    let bytes = file.metadata()?.len();
    let mut text = Vec::new();
    if bytes == 0 {
        catalog::append(&mut text, head);
    } else {
        let mut last = [0];
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
        // A crash, or a full disk, has left half a line.
        text.extend((last != *b"\n").then_some(b'\n'));
    }
    text.extend_from_slice(lines);
    file.write_all(&text)?;
    Ok(bytes + text.len() as u64)
}

/// The archives that `catalog` does not know, with their bytes. One that cannot be read whole is left out.
fn missing(catalog: &Catalog, place: &Path, stop: &AtomicBool) -> io::Result<Vec<(Timestamp, u64)>> {
    let mut all = archive::list(place)?;
    all.dedup_by_key(|archive| archive.at);
    let base = catalog.base.map(|(at, _)| at);
    let mut missing = Vec::new();
    for archive in all.iter().filter(|a| Some(a.at) > base && !catalog.entries.contains_key(&a.at)) {
        match length(archive, stop) {
            Ok(bytes) => missing.push((archive.at, bytes)),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(_) => {}
        }
    }
    Ok(missing)
}

fn length(archive: &Archive, stop: &AtomicBool) -> io::Result<u64> {
    if archive.form == Compress::None {
        return Ok(archive.bytes);
    }
    let file: File = archive::open(&archive.path)?;
    let mut reader = archive::reader(file, archive.form)?;
    let (mut block, mut bytes) = (vec![0; BLOCK], 0);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match reader.read(&mut block) {
            Ok(0) => return Ok(bytes),
            Ok(n) => bytes += n as u64,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
}

#[cfg(test)]
#[path = "clerk_tests.rs"]
mod tests;
