//! What becomes of archives: compressed, and removed when they are too many, too old or too large together.
//!
//! A thread of its own, of the lowest priority, does it; it takes whatever state it finds in the folder as its work,
//! so that nothing is remembered and a crash changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::pack::{self, Packed};
use super::retention::{Kept, excess};
use crate::archive::{self, Archive};
use crate::audit::{Event, Trail};
use crate::error::io_reason;
use crate::plan::{Compress, Rotate, Template};

/// The longest sleep while archives have an age: whatever the clock does meanwhile, they go at most so much too late.
const LOOK: Duration = Duration::from_secs(60);
/// The pause before an archive that is too old and still there is looked at again.
const AGAIN: Duration = Duration::from_secs(1);
/// How long the end waits for the thread. Only a disk that hangs takes longer; it is left alone then.
const END: Duration = Duration::from_secs(2);

/// Keeps the archives of the files of one output. Dropped, it ends promptly: a compression under way is given up and begun anew by the
/// next one.
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    flags: Mutex<Flags>,
    changed: Condvar,
    /// As in the flags, for the middle of the work.
    stop: AtomicBool,
}

#[derive(Debug, Default)]
struct Flags {
    /// Files of whose archives some may have to be compressed. As many as are open, and those that were put away since the
    /// last round.
    work: BTreeSet<PathBuf>,
    stop: bool,
    /// The thread is at its end.
    done: bool,
}

impl Keeper {
    /// Starts the thread. What a crash left of the files of `template` is looked at first. `trail` hears, as a warning about
    /// `stream`, what cannot be done.
    ///
    /// # Errors
    /// When the system has no thread left.
    pub fn start(rotate: &Rotate, template: Option<Template>, stream: &str, trail: Trail) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let rounds = Rounds {
            files: BTreeMap::new(),
            template,
            rotate: rotate.clone(),
            stream: stream.to_owned(),
            trail,
            shared: Arc::clone(&shared),
            told: BTreeSet::new(),
        };
        let thread = std::thread::Builder::new().name("reclog-keeper".into()).spawn(move || rounds.run())?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Looks at the archives of `file`, there may be a new one, or what a crash left. Never waits.
    pub fn look_at(&self, file: &Path) {
        self.shared.lock().work.insert(crate::paths::absolute(file));
        self.shared.changed.notify_all();
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let mut flags = self.shared.lock();
        flags.stop = true;
        self.shared.changed.notify_all();
        let waited = self.shared.changed.wait_timeout_while(flags, END, |flags| !flags.done);
        let done = waited.unwrap_or_else(PoisonError::into_inner).0.done;
        if let Some(thread) = self.thread.take().filter(|_| done) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Flags> {
        self.flags.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// The thread.
struct Rounds {
    /// Files that have archives, each with those beside which somebody else has put a compressed file with other bytes.
    files: BTreeMap<PathBuf, BTreeSet<Timestamp>>,
    template: Option<Template>,
    rotate: Rotate,
    stream: String,
    trail: Trail,
    shared: Arc<Shared>,
    /// What was said already, without names, so that a full disk is one warning and not one a rotation.
    told: BTreeSet<String>,
}

impl Rounds {
    fn run(mut self) {
        // Whoever holds the flags when this panics is not held up: see `done`.
        struct Done(Arc<Shared>);
        impl Drop for Done {
            fn drop(&mut self) {
                self.0.lock().done = true;
                self.0.changed.notify_all();
            }
        }
        let _done = Done(Arc::clone(&self.shared));
        // On Linux this is the thread alone, and the disk's scheduler follows it; elsewhere it would be the process.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::setpriority_process(None, 19);
        if let Some(template) = self.template.take() {
            let made = archive::made(&template).unwrap_or_default();
            self.rounds(&made.into_iter().map(|made| crate::paths::absolute(&made.path)).collect());
        }
        loop {
            let work = {
                // Asked before the flags are held: a disk that hangs must not hold up who tells of an archive.
                let due = self.due();
                let flags = self.shared.lock();
                let waited = self.shared.changed.wait_timeout_while(flags, due, |f| f.work.is_empty() && !f.stop);
                let mut flags = waited.unwrap_or_else(PoisonError::into_inner).0;
                if flags.stop {
                    return;
                }
                std::mem::take(&mut flags.work)
            };
            self.rounds(&work);
        }
    }

    /// One round for each file: those of `work`, and those that are to be looked at again.
    fn rounds(&mut self, work: &BTreeSet<PathBuf>) {
        let mut clean = true;
        for file in work {
            self.files.entry(file.clone()).or_insert_with(|| {
                remove_parts(file);
                BTreeSet::new()
            });
        }
        for (file, mut foreign) in std::mem::take(&mut self.files) {
            let left = self.round(&file, &mut foreign, work.contains(&file), &mut clean);
            if left && (self.rotate.age.is_some() || !foreign.is_empty()) {
                self.files.insert(file, foreign);
            }
        }
        if clean && !work.is_empty() {
            self.told.clear();
        }
    }

    /// How long to sleep: until the oldest archive of any file is too old.
    fn due(&self) -> Duration {
        let Some(age) = self.rotate.age else { return Duration::MAX };
        let due = |file: &PathBuf| {
            let Some(oldest) = archive::list(file).ok().and_then(|all| all.into_iter().next()) else { return LOOK };
            let old = Timestamp::now().duration_since(oldest.at).try_into().unwrap_or_default();
            match age.checked_sub(old) {
                // A little later than exact, because what is exactly so old stays.
                Some(left) => (left + Duration::from_millis(1)).min(LOOK),
                // It cannot be removed, or its time came this very moment.
                None => AGAIN,
            }
        };
        self.files.keys().map(due).min().unwrap_or(Duration::MAX)
    }

    /// Removes what must go of the archives of `file` and, with `work`, compresses what is to be compressed, one after the other.
    /// False: there is nothing to come back for. Not `clean`: something could not be done.
    fn round(&mut self, file: &Path, foreign: &mut BTreeSet<Timestamp>, work: bool, clean: &mut bool) -> bool {
        let mut failed = BTreeSet::new();
        let mut left = true;
        while let Some(all) = self.prune(file, clean) {
            left = !all.is_empty();
            let waits = |group: &&[Archive]| {
                let at = group[0].at;
                let todo = self.rotate.compress != Compress::None || group.len() > 1;
                group[0].form == Compress::None && todo && !failed.contains(&at) && !foreign.contains(&at)
            };
            let Some(group) = all.chunk_by(|a, b| a.at == b.at).find(waits).filter(|_| work) else { break };
            let (plain, stop) = (&group[0], &self.shared.stop);
            let result = match group.get(1) {
                Some(packed) => pack::settle(plain, packed, stop),
                None => pack::pack(file, plain, self.rotate.compress, stop),
            };
            match result {
                Ok(Packed::Done) => {}
                Ok(Packed::Stopped) => return true,
                Ok(Packed::Foreign) => {
                    *clean = false;
                    foreign.insert(plain.at);
                    let path = plain.path.display();
                    self.tell("", &format!("{path} has a compressed file beside it that holds other bytes; both stay"));
                }
                // Compressed or removed by somebody else.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    failed.insert(plain.at);
                }
                Err(e) => {
                    *clean = false;
                    failed.insert(plain.at);
                    let (path, reason) = (plain.path.display(), io_reason(&e));
                    let sentence =
                        format!("cannot compress {path}: {reason}; it stays as it is until the next rotation");
                    self.tell(&format!("compress {reason}"), &sentence);
                    if matches!(
                        e.kind(),
                        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::ReadOnlyFilesystem
                    ) {
                        break;
                    }
                }
            }
        }
        left
    }

    /// Removes what is too much, and says what is left. `None`: nothing can be done, or it was asked to stop.
    fn prune(&mut self, file: &Path, clean: &mut bool) -> Option<Vec<Archive>> {
        if self.shared.stopped() {
            return None;
        }
        let mut all = match archive::list(file) {
            Ok(all) => all,
            Err(e) => {
                *clean = false;
                let (path, reason) = (file.display(), io_reason(&e));
                self.tell(
                    &reason,
                    &format!("cannot look for the archives of {path}: {reason}; none is compressed or removed"),
                );
                return None;
            }
        };
        let groups = all.chunk_by(|a, b| a.at == b.at);
        let mut kept: Vec<_> = groups
            .map(|group| Kept { at: group[0].at, bytes: group.iter().map(|archive| archive.bytes).sum() })
            .collect();
        // The newest archive does not count before it had its chance to become smaller: with `total` below `size` none
        // would ever stay.
        if let (Some(newest), Some(file)) = (kept.last_mut(), all.last())
            && self.rotate.compress != Compress::None
            && file.form == Compress::None
        {
            newest.bytes = 0;
        }
        let gone = excess(&kept, Timestamp::now(), &self.rotate);
        let stays = kept.get(gone).map(|first| first.at);
        let first = all.partition_point(|archive| stays.is_none_or(|stays| archive.at < stays));
        for archive in all.drain(..first) {
            match std::fs::remove_file(&archive.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => {
                    *clean = false;
                    let (path, reason) = (archive.path.display(), io_reason(&e));
                    self.tell(&format!("remove {reason}"), &format!("cannot remove the archive {path}: {reason}"));
                }
                _ => tracing::info!(path = %archive.path.display(), "the archive is removed, as the bounds say"),
            }
        }
        Some(all)
    }

    /// Says `sentence`, once for each `what` until all went well again.
    fn tell(&mut self, what: &str, sentence: &str) {
        if what.is_empty() || self.told.insert(what.to_owned()) {
            tracing::warn!(stream = self.stream, "{sentence}");
            self.trail.tell(&Event::Warn { message: format!("{}: {sentence}", self.stream) });
        }
    }
}

/// Removes the parts of compressions that were interrupted.
fn remove_parts(file: &Path) {
    let Some(name) = file.file_name() else { return };
    let entries = std::fs::read_dir(archive::folder(file)).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| archive::parse_part(name, &entry.file_name()).is_some()) {
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
#[path = "keeper_tests.rs"]
mod tests;
