//! The disk below one folder, where names are made of what senders are: no link is followed there, and nothing is touched
//! that somebody else has put there.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

use super::disk::{Disk, RealDisk, Stat, rename_at, swap_at};
use super::file::folder;

/// Folders on the way, opened to be gone through.
const WAY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC).union(OFlags::RDONLY);
/// Files. NONBLOCK: opening a FIFO must not wait for its reader.
const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// The real disk, but for paths below `root`: on the way from there each folder and the file itself are what they are called,
/// never a link, and belong to the user that we run as, or to root. Folders that are missing are made, with mode 0700, when
/// a file is.
#[derive(Debug, Clone)]
pub struct Below {
    root: PathBuf,
}

impl Below {
    /// Everything up to `root` is the user's own affair: links are followed there.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    /// Whether `path` is below the root, and the names that lead there.
    fn names<'a>(&self, path: &'a Path) -> Option<Vec<&'a std::ffi::OsStr>> {
        let names = path.strip_prefix(&self.root).ok()?.components().map(|name| match name {
            Component::Normal(name) => Some(name),
            // No route leads there.
            _ => None,
        });
        names.collect::<Option<Vec<_>>>().filter(|names| !names.is_empty())
    }

    /// The folder in which `path` lies, and its last name; `None` when it does not lie below. `make`: what is missing.
    fn way<'a>(&self, path: &'a Path, make: bool) -> io::Result<Option<(OwnedFd, &'a std::ffi::OsStr)>> {
        let Some(names) = self.names(path) else { return Ok(None) };
        let Some((last, folders)) = names.split_last() else { return Ok(None) };
        let mut at = open(&self.root, WAY, Mode::empty())?;
        let mut so_far = self.root.clone();
        for name in folders {
            so_far.push(name);
            let next = match openat(&at, *name, WAY | OFlags::NOFOLLOW, Mode::empty()) {
                Err(Errno::NOENT) if make => {
                    match mkdirat(&at, *name, Mode::RWXU) {
                        // Somebody else was faster: looked at like any other.
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(e) => return Err(about(&so_far, e)),
                    }
                    openat(&at, *name, WAY | OFlags::NOFOLLOW, Mode::empty())
                }
                next => next,
            };
            at = next.map_err(|e| match e {
                // Whoever asks takes it for a file that is not there.
                Errno::NOENT => e.into(),
                _ if is_link(&at, name) => link(&so_far, &self.root),
                _ => about(&so_far, e),
            })?;
            let meta = File::from(at.try_clone()?).metadata()?;
            if !is_ours(&meta) {
                return Err(foreign(&so_far));
            }
        }
        Ok(Some((at, last)))
    }

    fn open_as(&self, path: &Path, flags: OFlags, make: bool) -> io::Result<Option<File>> {
        let Some((at, name)) = self.way(path, make)? else { return Ok(None) };
        let file = openat(&at, name, FILE | flags, Mode::RUSR | Mode::WUSR).map_err(|e| match e {
            Errno::LOOP => link(path, &self.root),
            _ => e.into(),
        })?;
        let file = File::from(file);
        if !is_ours(&file.metadata()?) {
            return Err(foreign(path));
        }
        Ok(Some(file))
    }
}

/// Whether nobody but us, and whoever may do everything anyway, can have put it there.
fn is_ours(meta: &std::fs::Metadata) -> bool {
    meta.uid() == 0 || meta.uid() == rustix::process::geteuid().as_raw()
}

fn is_link(at: &OwnedFd, name: &std::ffi::OsStr) -> bool {
    rustix::fs::readlinkat(at, name, Vec::new()).is_ok()
}

fn about(path: &Path, error: Errno) -> io::Error {
    let error = io::Error::from(error);
    io::Error::new(error.kind(), format!("{}: {}", path.display(), crate::error::io_reason(&error)))
}

fn link(path: &Path, root: &Path) -> io::Error {
    let (path, root) = (path.display(), root.display());
    io::Error::other(format!("{path} is a symbolic link, and none is followed below {root}"))
}

fn foreign(path: &Path) -> io::Error {
    io::Error::other(format!("{} belongs to another user", path.display()))
}

impl Disk for Below {
    type File = File;

    fn create(&self, path: &Path) -> io::Result<File> {
        match self.open_as(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL, true)? {
            Some(file) => Ok(file),
            None => RealDisk.create(path),
        }
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        match self.open_as(path, OFlags::WRONLY | OFlags::APPEND, false)? {
            Some(file) => Ok(file),
            None => RealDisk.open(path),
        }
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        RealDisk.lock(file)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        RealDisk.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        RealDisk.sync(file)
    }

    /// With all folders above it up to the root: they may be as new as the file.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let mut path = folder;
        loop {
            match self.way(path, false)? {
                Some((at, name)) => match openat(&at, name, WAY | OFlags::NOFOLLOW, Mode::empty()) {
                    // Some file systems cannot sync folders.
                    Ok(opened) => match rustix::fs::fsync(&opened) {
                        Err(Errno::INVAL) => {}
                        other => other?,
                    },
                    Err(e) => return Err(e.into()),
                },
                None => return RealDisk.sync_folder(path),
            }
            path = super::file::folder(path);
        }
    }

    fn stat_of(&self, file: &File) -> io::Result<Stat> {
        Ok(Stat::at(&rustix::fs::fstat(file)?))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        match self.way(path, false)? {
            Some((at, name)) => Ok(Stat::at(&rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?)),
            None => RealDisk.stat(path),
        }
    }

    /// Links are no links here, but things that are in the way.
    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        if self.names(path).is_some() { Ok(None) } else { RealDisk.link(path) }
    }

    fn ground<'a>(&'a self, file: &'a Path) -> &'a Path {
        if self.names(file).is_some() { &self.root } else { folder(file) }
    }

    fn free(&self, file: &File) -> io::Result<u64> {
        RealDisk.free(file)
    }

    fn last_byte(&self, path: &Path) -> io::Result<u8> {
        let Some(mut file) = self.open_as(path, OFlags::RDONLY, false)? else { return RealDisk.last_byte(path) };
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn swap(&self, one: &Path, other: &Path) -> io::Result<()> {
        match (self.way(one, false)?, self.way(other, false)?) {
            (Some((at, one)), Some((to, other))) => swap_at(&at, Path::new(one), &to, Path::new(other)),
            _ => swap_at(CWD, one, CWD, other),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        match (self.way(from, false)?, self.way(to, false)?) {
            (Some((at, from)), Some((there, to))) => rename_at(&at, Path::new(from), &there, Path::new(to)),
            _ => rename_at(CWD, from, CWD, to),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        match self.way(path, false)? {
            Some((at, name)) => Ok(unlinkat(&at, name, AtFlags::empty())?),
            None => RealDisk.unlink(path),
        }
    }

    fn is_archive(&self, file: &Path, id: (u64, u64)) -> io::Result<bool> {
        // The way was looked at a moment ago; what is found only decides whether the file that is `id` has two names.
        RealDisk.is_archive(file, id)
    }

    fn newest(&self, file: &Path) -> io::Result<Option<Timestamp>> {
        // Decides about the next name alone, which must not exist.
        RealDisk.newest(file)
    }
}
