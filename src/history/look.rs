//! A path and the archives of its file, seen together in one moment without a rotation.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::PIECE;
use crate::archive::{self, Archive};
use crate::plan::Compress;

/// How often the folder is looked at anew when a rotation was under way.
const TRIES: u32 = 8;
/// Links that are followed to the file (as open(2) does).
const MAX_LINKS: u32 = 40;

/// What there was.
pub struct Look {
    /// The file at the path.
    pub file: Option<Found>,
    /// A file that has lost its name and is no archive yet: what was written before `file`. A crash may leave it.
    pub aside: Option<Found>,
    /// In the order of writing, all of them older than `file` and `aside`.
    pub archives: Vec<Archive>,
    /// Where the file lies, links followed; archives lie beside it.
    pub place: PathBuf,
    /// Whether it was one moment. If not, an archive may be missing or be `file` under its next name.
    pub settled: bool,
}

/// An open file.
#[derive(Debug)]
pub struct Found {
    pub file: File,
    /// Device and inode.
    pub identity: (u64, u64),
}

impl Look {
    /// The newest archive.
    pub fn newest(&self) -> Option<Timestamp> {
        self.archives.last().map(|archive| archive.at)
    }

    /// The stamps later than `after`.
    pub fn stamps(&self, after: Option<Timestamp>) -> Vec<Timestamp> {
        let mut all: Vec<_> = self.archives.iter().map(|archive| archive.at).filter(|at| Some(*at) > after).collect();
        all.dedup();
        all
    }

    /// The archive that `known` has become, which had the path when `since` was the newest archive. Compressed it is
    /// another file: told by the time of its last write, which it keeps, and by its beginning.
    pub fn became(
        &self,
        known: &File,
        identity: (u64, u64),
        since: Option<Timestamp>,
    ) -> io::Result<Option<Timestamp>> {
        if let Some(archive) = self.archives.iter().find(|archive| archive.identity == identity) {
            return Ok(Some(archive.at));
        }
        let modified = known.metadata()?.modified()?;
        let mut packed = self.archives.iter().filter(|archive| {
            archive.form != Compress::None && archive.modified == modified && Some(archive.at) > since
        });
        Ok(packed.find(|archive| begins_as(archive, known).unwrap_or(false)).map(|archive| archive.at))
    }
}

/// Looks at `path`.
///
/// # Errors
/// Those of opening the file and of reading the folder; that there is none is not one.
pub fn look(path: &Path) -> io::Result<Look> {
    let place = place(path);
    let mut left = TRIES;
    loop {
        left -= 1;
        let file = open(path)?;
        let aside = open_aside(&place);
        let stamps = |archives: &[Archive]| archives.iter().map(|archive| archive.at).collect::<Vec<_>>();
        let before = archive::list(&place)?;
        // Twice: while an archive gets its compressed twin, a single reading of the folder may see neither.
        let archives = archive::list(&place)?;
        let (mut one, mut other) = (stamps(&before), stamps(&archives));
        one.dedup();
        other.dedup();
        // The file still has its name: no rotation since it was opened. It is held open, so no other has its inode.
        let settled = aside.is_none() && one == other && identity(path)? == file.as_ref().map(|found| found.identity);
        if settled || left == 0 {
            return Ok(Look { file, aside, archives, place, settled });
        }
    }
}

/// Device and inode of what is at `path`.
pub fn identity(path: &Path) -> io::Result<Option<(u64, u64)>> {
    match fs::metadata(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        meta => meta.map(|meta| Some((meta.dev(), meta.ino()))),
    }
}

/// The bytes of the archive of `at`, plain or compressed, and its path; `None` when it has been removed.
pub fn open_archive(place: &Path, at: Timestamp) -> io::Result<Option<(File, Compress, PathBuf)>> {
    // In this order: the compressed one is there before the plain one goes.
    for form in [Compress::None, Compress::Gzip, Compress::Zstd] {
        let path = archive::archive_path_as(place, at, form);
        match archive::open(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            file => return file.map(|file| Some((file, form, path))),
        }
    }
    Ok(None)
}

/// `error` with the archive that it is about.
pub fn about(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("the archive {}: {error}", path.display()))
}

fn open(path: &Path) -> io::Result<Option<Found>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let meta = file.metadata()?;
    Ok(Some(Found { file, identity: (meta.dev(), meta.ino()) }))
}

/// The old file in the middle of a rotation. Before that the new one has this name, and is empty.
fn open_aside(place: &Path) -> Option<Found> {
    let file = archive::open(&archive::aside(place)).ok()?;
    let meta = file.metadata().ok()?;
    (meta.len() > 0).then_some(Found { file, identity: (meta.dev(), meta.ino()) })
}

/// Where the file at `path` lies, or would lie: links followed.
pub fn place(path: &Path) -> PathBuf {
    let mut place = path.to_owned();
    for _ in 0..MAX_LINKS {
        match fs::read_link(&place) {
            Ok(target) => place = archive::folder(&place).join(target),
            Err(_) => break,
        }
    }
    place
}

fn begins_as(archive: &Archive, known: &File) -> io::Result<bool> {
    let reader = archive::reader(archive::open(&archive.path)?, archive.form)?;
    let mut theirs = Vec::new();
    reader.take(PIECE as u64).read_to_end(&mut theirs)?;
    let mut ours = vec![0; theirs.len()];
    // All of it, when it is short.
    let whole = theirs.len() == PIECE || known.metadata()?.len() == theirs.len() as u64;
    Ok(whole && known.read_exact_at(&mut ours, 0).is_ok() && ours == theirs)
}
