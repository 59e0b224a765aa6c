//! One archive is compressed, so that a crash at any instant leaves it whole at least once.
//!
//! `NAME` is read, `.NAME.gz.part` written and forced to the disk, renamed to `NAME.gz` (which must not exist), the
//! folder forced to the disk, and only then `NAME` removed. What a crash leaves is a part, which the next try removes, or
//! both archives, of which the plain one goes once the other has been proven to hold the same bytes.

use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, OFlags, RenameFlags, renameat_with};
use rustix::io::Errno;

use crate::archive::{self, Archive};
use crate::plan::Compress;

/// Bytes read at once; between two blocks it is looked whether to stop.
const BLOCK: usize = 64 * 1024;
/// After so many bytes read what was written is forced to the disk, so that the last flush is short and the writer's own
/// never waits behind a large one.
const SYNC_EVERY: usize = 32 * 1024 * 1024;

/// How an attempt ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Packed {
    /// The compressed archive stands alone.
    Done,
    /// It was asked to stop; the plain archive is as it was.
    Stopped,
    /// There is another file under the name, with other bytes: nothing was touched.
    Foreign,
}

/// Compresses `plain`, an archive of `file`, to `form`.
///
/// # Errors
/// Those of every step. The plain archive is as it was, the part removed.
pub fn pack(file: &Path, plain: &Archive, form: Compress, stop: &AtomicBool) -> io::Result<Packed> {
    let source = archive::open(&plain.path)?;
    let meta = source.metadata()?;
    let part = Part::create(archive::part_path(file, plain.at, form))?;
    let mut from = Source { file: source, handle: part.file.try_clone()?, stop, read: 0 };
    let to = part.file.try_clone()?;
    let whole = match form {
        Compress::Gzip => {
            let mut encoder = flate2::write::GzEncoder::new(to, flate2::Compression::default());
            from.feed(&mut encoder)? && encoder.finish().map(|_| true)?
        }
        Compress::Zstd => {
            let mut encoder = zstd::Encoder::new(to, zstd::DEFAULT_COMPRESSION_LEVEL)?;
            encoder.include_checksum(true)?;
            from.feed(&mut encoder)? && encoder.finish().map(|_| true)?
        }
        Compress::None => return Ok(Packed::Done),
    };
    if !whole {
        return Ok(Packed::Stopped);
    }
    if from.file.metadata()?.len() != from.read {
        return Err(io::Error::other("it grew meanwhile"));
    }
    // It belongs to whom the archive belongs to. Only root may give files away; whoever may not made the archive himself.
    let _ = fchown(&part.file, Some(meta.uid()), Some(meta.gid()));
    part.file.set_permissions(fs::Permissions::from_mode(meta.mode() & 0o777))?;
    part.file.set_times(FileTimes::new().set_accessed(meta.accessed()?).set_modified(meta.modified()?))?;
    part.file.sync_all()?;
    if stop.load(Ordering::Relaxed) {
        return Ok(Packed::Stopped);
    }
    part.publish(&archive::archive_path_as(file, plain.at, form))?;
    sync_folder(archive::folder(file))?;
    remove_same(&plain.path, (meta.dev(), meta.ino()))?;
    Ok(Packed::Done)
}

/// Finishes what a crash interrupted between the new name and the end of the old one: removes `plain` if `packed` holds
/// the same bytes.
///
/// # Errors
/// Those of reading `plain` and of removing it. Nothing is lost.
pub fn settle(plain: &Archive, packed: &Archive, stop: &AtomicBool) -> io::Result<Packed> {
    let mut one = archive::open(&plain.path)?;
    let other = archive::open(&packed.path)?;
    let handle = other.try_clone()?;
    let mut other = archive::reader(other, packed.form)?;
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        if stop.load(Ordering::Relaxed) {
            return Ok(Packed::Stopped);
        }
        let n = fill(&mut one, &mut left)?;
        // What cannot be decoded is somebody's half-written file.
        match fill(&mut other, &mut right) {
            Ok(m) if left[..n] == right[..m] => {}
            _ => return Ok(Packed::Foreign),
        }
        if n == 0 {
            break;
        }
    }
    handle.sync_all()?;
    sync_folder(archive::folder(&plain.path))?;
    remove_same(&plain.path, plain.identity)?;
    Ok(Packed::Done)
}

/// Reads until `block` is full or there is no more.
fn fill(from: &mut impl Read, block: &mut [u8]) -> io::Result<usize> {
    let mut n = 0;
    while n < block.len() {
        match from.read(&mut block[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

/// Removes the file at `path` if it still is the one that was read.
fn remove_same(path: &Path, identity: (u64, u64)) -> io::Result<()> {
    let meta = fs::symlink_metadata(path)?;
    if (meta.dev(), meta.ino()) == identity { fs::remove_file(path) } else { Ok(()) }
}

/// fsync of a folder: makes names in it survive a power cut.
fn sync_folder(folder: &Path) -> io::Result<()> {
    match File::open(folder).and_then(|f| f.sync_all()) {
        // Some file systems cannot sync folders, some folders may be written but not read.
        Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => Ok(()),
        other => other,
    }
}

/// The archive that is read, and the part that grows meanwhile.
struct Source<'a> {
    file: File,
    handle: File,
    stop: &'a AtomicBool,
    read: u64,
}

impl Source<'_> {
    /// Hands all of it to `encoder`; false: asked to stop.
    fn feed(&mut self, encoder: &mut impl Write) -> io::Result<bool> {
        let mut block = vec![0; BLOCK];
        let mut unsynced = 0;
        loop {
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            let n = fill(&mut self.file, &mut block)?;
            if n == 0 {
                return Ok(true);
            }
            encoder.write_all(&block[..n])?;
            self.read += n as u64;
            unsynced += n;
            if unsynced >= SYNC_EVERY {
                self.handle.sync_data()?;
                unsynced = 0;
            }
        }
    }
}

/// A file under its preliminary name, which goes with it.
struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Makes it anew, private. Whatever has the name (a part of a crash, a link that somebody planted) is removed first and
    /// never followed.
    fn create(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(0o600).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = options.open(&path)?;
        Ok(Self { path, file })
    }

    /// Gives it its final name, which must be free.
    fn publish(self, whole: &Path) -> io::Result<()> {
        match renameat_with(CWD, &self.path, CWD, whole, RenameFlags::NOREPLACE) {
            // Some network file systems know no such flag; a link is never made over something either.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::hard_link(&self.path, whole),
            other => Ok(other?),
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
