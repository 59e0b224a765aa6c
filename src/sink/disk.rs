//! The disk as a writer sees it: one function a system call, so that a test can let each of them fail.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{
    AtFlags, CWD, FileType, FlockOperation, OFlags, RenameFlags, flock, fstatvfs, linkat, renameat_with, unlinkat,
};
use rustix::io::Errno;

use super::file::folder;
use super::pulse::away;
use crate::archive;

/// Links that are followed to the file (as open(2) does).
const MAX_LINKS: u32 = 40;

/// What stat(2) tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Device and inode: which file it is, whatever its name.
    pub id: (u64, u64),
    /// Bytes.
    pub size: u64,
    /// Names that lead to it; none when it was removed and is still open.
    pub links: u64,
    /// When it was last written.
    pub modified: Timestamp,
    /// It belongs to the user that we run as.
    pub own: bool,
    /// What it is, when it is no regular file: `a folder`.
    pub unusual: Option<&'static str>,
}

/// System calls on paths and open files. Paths are followed through links unless it says otherwise.
pub trait Disk: Debug + Send + Sync + 'static {
    /// An open file.
    type File: Debug + Send + Sync + 'static;

    /// Makes a file (mode 0600) that must not exist and opens it for appending.
    fn create(&self, path: &Path) -> io::Result<Self::File>;
    /// Opens a file that exists for appending.
    fn open(&self, path: &Path) -> io::Result<Self::File>;
    /// Takes the lock of a file; `WouldBlock` when somebody else has it. File systems without locks are used without.
    fn lock(&self, file: &Self::File) -> io::Result<()>;
    /// One write(2) at the end; may write less than asked.
    fn write(&self, file: &Self::File, bytes: &[u8]) -> io::Result<usize>;
    /// Forces what was written to the disk.
    fn sync(&self, file: &Self::File) -> io::Result<()>;
    /// Forces the names in a folder to the disk.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
    /// What an open file is.
    fn stat_of(&self, file: &Self::File) -> io::Result<Stat>;
    /// What a path leads to.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Where a symbolic link leads, be there something or not; `None` when the path is none, or is not there.
    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>>;
    /// The folder that must be there if `file` is to be made; those between the two may be made, too.
    fn ground<'a>(&'a self, file: &'a Path) -> &'a Path {
        folder(file)
    }
    /// Bytes of the file system that may still be written by this user.
    fn free(&self, file: &Self::File) -> io::Result<u64>;
    /// The last byte of a file that is not empty.
    fn last_byte(&self, path: &Path) -> io::Result<u8>;
    /// Changes two names for one another at once. `Unsupported` where the file system cannot.
    fn swap(&self, one: &Path, other: &Path) -> io::Result<()>;
    /// Gives a file another name, which must not exist.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Takes a name away.
    fn unlink(&self, path: &Path) -> io::Result<()>;
    /// Whether the file that is `id` is one of the archives of `file`.
    fn is_archive(&self, file: &Path, id: (u64, u64)) -> io::Result<bool>;
    /// The stamp of the newest archive of a file.
    fn newest(&self, file: &Path) -> io::Result<Option<Timestamp>>;
}

/// The real one.
#[derive(Debug, Clone, Copy, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        let _away = away();
        appending().create_new(true).open(path)
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let _away = away();
        appending().open(path)
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        let _away = away();
        match flock(file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {
                tracing::warn!("this file system has no locks; nothing keeps a second writer away");
                Ok(())
            }
            other => Ok(other?),
        }
    }

    fn write(&self, mut file: &File, bytes: &[u8]) -> io::Result<usize> {
        let _away = away();
        file.write(bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let _away = away();
        file.sync_data()
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let _away = away();
        match File::open(folder).and_then(|f| f.sync_all()) {
            // Some file systems cannot sync folders, some folders may be written but not read.
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => Ok(()),
            other => other,
        }
    }

    fn stat_of(&self, file: &File) -> io::Result<Stat> {
        let _away = away();
        Ok(Stat::of(&file.metadata()?))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let _away = away();
        Ok(Stat::of(&std::fs::metadata(path)?))
    }

    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let _away = away();
        match std::fs::symlink_metadata(path) {
            Ok(meta) if meta.is_symlink() => match std::fs::canonicalize(path) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => target(path).map(Some),
                other => other.map(Some),
            },
            Ok(_) => Ok(None),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn free(&self, file: &File) -> io::Result<u64> {
        let _away = away();
        let system = fstatvfs(file)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }

    fn last_byte(&self, path: &Path) -> io::Result<u8> {
        let _away = away();
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn swap(&self, one: &Path, other: &Path) -> io::Result<()> {
        let _away = away();
        swap_at(CWD, one, CWD, other)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _away = away();
        rename_at(CWD, from, CWD, to)
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let _away = away();
        std::fs::remove_file(path)
    }

    fn is_archive(&self, file: &Path, id: (u64, u64)) -> io::Result<bool> {
        let _away = away();
        Ok(archive::list(file)?.iter().any(|archive| archive.identity == id))
    }

    fn newest(&self, file: &Path) -> io::Result<Option<Timestamp>> {
        let _away = away();
        archive::newest(file)
    }
}

/// [`Disk::swap`] of names in open folders.
pub(super) fn swap_at(at: impl AsFd, one: &Path, there: impl AsFd, other: &Path) -> io::Result<()> {
    match renameat_with(at, one, there, other, RenameFlags::EXCHANGE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
        other => Ok(other?),
    }
}

/// [`Disk::rename`] of names in open folders.
pub(super) fn rename_at(at: impl AsFd, from: &Path, there: impl AsFd, to: &Path) -> io::Result<()> {
    match renameat_with(&at, from, &there, to, RenameFlags::NOREPLACE) {
        // Network file systems do not know the flag. A second name refuses to take the place of another file, too.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            linkat(&at, from, &there, to, AtFlags::empty())?;
            Ok(unlinkat(&at, from, AtFlags::empty()).inspect_err(|_| {
                let _ = unlinkat(&there, to, AtFlags::empty());
            })?)
        }
        other => Ok(other?),
    }
}

/// Where a link leads at whose end there is nothing: the file is made there, as open(2) does.
fn target(link: &Path) -> io::Result<PathBuf> {
    let mut place = link.to_owned();
    for _ in 0..MAX_LINKS {
        match std::fs::read_link(&place) {
            Ok(target) => place = folder(&place).join(target),
            Err(e) if matches!(e.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::NotFound) => {
                let real = std::fs::canonicalize(folder(&place)).ok();
                return Ok(real.zip(place.file_name()).map(|(folder, name)| folder.join(name)).unwrap_or(place));
            }
            Err(e) => return Err(e),
        }
    }
    Err(Errno::LOOP.into())
}

/// NONBLOCK: opening a FIFO must not wait for its reader; it means nothing to a regular file.
fn appending() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.append(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
    options
}

impl Stat {
    /// What the system tells, links not followed.
    pub(super) fn at(stat: &rustix::fs::Stat) -> Self {
        /// The fields have other types on other systems.
        fn wide<T: TryInto<u64>>(field: T) -> u64 {
            field.try_into().unwrap_or_default()
        }
        let unusual = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => None,
            FileType::Directory => Some("a folder"),
            FileType::Symlink => Some("a symbolic link"),
            FileType::Fifo => Some("a named pipe"),
            FileType::CharacterDevice | FileType::BlockDevice => Some("a device"),
            _ => Some("a socket"),
        };
        let seconds = i64::try_from(wide(stat.st_mtime)).unwrap_or_default();
        Self {
            id: (wide(stat.st_dev), wide(stat.st_ino)),
            size: wide(stat.st_size),
            links: wide(stat.st_nlink),
            own: stat.st_uid == rustix::process::geteuid().as_raw(),
            modified: Timestamp::from_second(seconds).unwrap_or_default(),
            unusual,
        }
    }

    fn of(meta: &std::fs::Metadata) -> Self {
        let kind = meta.file_type();
        let unusual = if kind.is_file() {
            None
        } else if kind.is_dir() {
            Some("a folder")
        } else if kind.is_fifo() {
            Some("a named pipe")
        } else if kind.is_char_device() || kind.is_block_device() {
            Some("a device")
        } else {
            Some("a socket")
        };
        Self {
            id: (meta.dev(), meta.ino()),
            size: meta.len(),
            links: meta.nlink(),
            own: meta.uid() == rustix::process::geteuid().as_raw(),
            modified: meta.modified().ok().and_then(|t| Timestamp::try_from(t).ok()).unwrap_or_default(),
            unusual,
        }
    }
}
