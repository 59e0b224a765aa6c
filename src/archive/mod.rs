//! Archives: what an output file is called once it has been put away, and which of them there are.
//!
//! `FILE.2026-11-21T00-41-28.123456Z` beside `FILE`, compressed `.gz` or `.zst`. The stamp is the moment at which the
//! file was put away, so that the order of names is the order of writing. Also which files a template has made. A leaf: the
//! sink makes and removes archives, history reads them.

pub mod catalog;
mod name;
mod tree;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use jiff::Timestamp;
use rustix::fs::OFlags;

use crate::plan::Compress;
pub use name::{archive_path, archive_path_as, aside, ending, is_beside, parse, parse_part, part_path};
pub use tree::{Made, made};

/// One archive on the disk. A crash may leave a plain one and its compressed twin: two entries with one `at`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Archive {
    /// Where it lies.
    pub path: PathBuf,
    /// When it was put away, to the microsecond; as its name says.
    pub at: Timestamp,
    /// How it is stored, as its name says.
    pub form: Compress,
    /// Bytes on the disk.
    pub bytes: u64,
    /// Device and inode.
    pub identity: (u64, u64),
    /// The last write to it, kept when it is compressed.
    pub modified: SystemTime,
}

/// The archives of `file` in the order of writing, a plain one before its twins. Only regular files count: links,
/// folders and all else that has such a name is not ours.
///
/// # Errors
/// Those of reading the folder; that there is none is not one.
pub fn list(file: &Path) -> io::Result<Vec<Archive>> {
    let mut all = Vec::new();
    let Some(name) = file.file_name() else { return Ok(all) };
    let entries = match fs::read_dir(folder(file)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(all),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let Some((at, form)) = parse(name, &entry.file_name()) else { continue };
        let meta = match entry.metadata() {
            // Compressed or removed at this very moment.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        if meta.is_file() {
            all.push(Archive {
                path: archive_path_as(file, at, form),
                at,
                form,
                bytes: meta.len(),
                identity: (meta.dev(), meta.ino()),
                modified: meta.modified()?,
            });
        }
    }
    // A folder that changes while it is read may show a name twice.
    all.sort_by_key(|archive| (archive.at, archive.form as u8));
    all.dedup_by_key(|archive| (archive.at, archive.form));
    Ok(all)
}

/// The stamp of the newest archive of `file`, whatever kind of file has that name: a later one is free to be used.
///
/// # Errors
/// Those of reading the folder; that there is none is not one.
pub fn newest(file: &Path) -> io::Result<Option<Timestamp>> {
    let Some(name) = file.file_name() else { return Ok(None) };
    let entries = match fs::read_dir(folder(file)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        entries => entries?,
    };
    let mut newest = None;
    for entry in entries {
        newest = newest.max(parse(name, &entry?.file_name()).map(|(at, _)| at));
    }
    Ok(newest)
}

/// The folder in which `file` and its archives lie.
#[must_use]
pub fn folder(file: &Path) -> &Path {
    file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Opens an archive for reading, as it lies on the disk. Links are not followed, nothing is waited for.
///
/// # Errors
/// Those of open(2), and that it is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
    }
    Ok(file)
}

/// The bytes that were put away, from the file of an archive in this `form`.
///
/// # Errors
/// When the decoder gets no memory. Reading fails when the file is not whole.
pub fn reader(file: File, form: Compress) -> io::Result<Box<dyn Read + Send>> {
    Ok(match form {
        Compress::None => Box::new(file),
        Compress::Gzip => Box::new(flate2::read::MultiGzDecoder::new(file)),
        Compress::Zstd => Box::new(zstd::Decoder::new(file)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn archives_are_listed_in_the_order_of_writing_and_nothing_else_is() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(OsStr::from_bytes(b"caf\xe9.log"));
        assert_eq!((list(&file).unwrap(), newest(&file).unwrap()), (vec![], None));
        for (second, form, bytes) in [(30, Compress::Gzip, 3), (10, Compress::Zstd, 1), (20, Compress::None, 2)] {
            fs::write(archive_path_as(&file, at(second), form), vec![b'x'; bytes]).unwrap();
        }
        fs::write(archive_path_as(&file, at(20), Compress::Gzip), b"twin").unwrap();
        fs::write(archive_path(&dir.path().join("other"), at(50)), b"").unwrap();
        fs::write(&file, b"").unwrap();
        fs::create_dir(archive_path(&file, at(40))).unwrap();
        symlink(&file, archive_path(&file, at(60))).unwrap();
        let all: Vec<_> = list(&file).unwrap().into_iter().map(|a| (a.at, a.form, a.bytes)).collect();
        assert_eq!(
            all,
            [
                (at(10), Compress::Zstd, 1),
                (at(20), Compress::None, 2),
                (at(20), Compress::Gzip, 4),
                (at(30), Compress::Gzip, 3)
            ]
        );
        assert_eq!(newest(&file).unwrap(), Some(at(60)), "its name is taken all the same");
        assert_eq!(open(&archive_path(&file, at(60))).unwrap_err().raw_os_error(), Some(40), "ELOOP");
        assert!(open(&archive_path(&file, at(40))).is_err());
        let nowhere = dir.path().join("no/such");
        assert_eq!((list(&nowhere).unwrap(), newest(&nowhere).unwrap()), (vec![], None));
    }
}
