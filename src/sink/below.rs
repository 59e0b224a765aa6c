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
use super::pulse::away;

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
        let mut at = open(&self.root, WAY, Mode::empty()).map_err(|e| match e {
            Errno::NOENT => {
                io::Error::new(io::ErrorKind::NotFound, format!("the folder {} is gone", self.root.display()))
            }
            _ => about(&self.root, e),
        })?;
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
    if matches!(error, Errno::MFILE | Errno::NFILE) {
        // Whoever asks has descriptors to give back, and knows it by the number.
        return error.into();
    }
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
        let _away = away();
        match self.open_as(path, OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL, true)? {
            Some(file) => Ok(file),
            None => RealDisk.create(path),
        }
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        let _away = away();
        match self.open_as(path, OFlags::WRONLY | OFlags::APPEND, false)? {
            Some(file) => Ok(file),
            None => RealDisk.open(path),
        }
    }

    fn lock(&self, file: &File) -> io::Result<()> {
        let _away = away();
        RealDisk.lock(file)
    }

    fn write(&self, file: &File, bytes: &[u8]) -> io::Result<usize> {
        let _away = away();
        RealDisk.write(file, bytes)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        let _away = away();
        RealDisk.sync(file)
    }

    /// With all folders above it up to the root: they may be as new as the file.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        let _away = away();
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
        let _away = away();
        Ok(Stat::at(&rustix::fs::fstat(file)?))
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let _away = away();
        match self.way(path, false)? {
            Some((at, name)) => Ok(Stat::at(&rustix::fs::statat(&at, name, AtFlags::SYMLINK_NOFOLLOW)?)),
            None => RealDisk.stat(path),
        }
    }

    /// Links are no links here, but things that are in the way.
    fn link(&self, path: &Path) -> io::Result<Option<PathBuf>> {
        let _away = away();
        if self.names(path).is_some() { Ok(None) } else { RealDisk.link(path) }
    }

    fn ground<'a>(&'a self, file: &'a Path) -> &'a Path {
        if self.names(file).is_some() { &self.root } else { folder(file) }
    }

    fn free(&self, file: &File) -> io::Result<u64> {
        let _away = away();
        RealDisk.free(file)
    }

    fn last_byte(&self, path: &Path) -> io::Result<u8> {
        let _away = away();
        let Some(mut file) = self.open_as(path, OFlags::RDONLY, false)? else { return RealDisk.last_byte(path) };
        file.seek(SeekFrom::End(-1))?;
        let mut byte = [0];
        file.read_exact(&mut byte)?;
        Ok(byte[0])
    }

    fn swap(&self, one: &Path, other: &Path) -> io::Result<()> {
        let _away = away();
        match (self.way(one, false)?, self.way(other, false)?) {
            (Some((at, one)), Some((to, other))) => swap_at(&at, Path::new(one), &to, Path::new(other)),
            _ => swap_at(CWD, one, CWD, other),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let _away = away();
        match (self.way(from, false)?, self.way(to, false)?) {
            (Some((at, from)), Some((there, to))) => rename_at(&at, Path::new(from), &there, Path::new(to)),
            _ => rename_at(CWD, from, CWD, to),
        }
    }

    fn unlink(&self, path: &Path) -> io::Result<()> {
        let _away = away();
        match self.way(path, false)? {
            Some((at, name)) => Ok(unlinkat(&at, name, AtFlags::empty())?),
            None => RealDisk.unlink(path),
        }
    }

    fn is_archive(&self, file: &Path, id: (u64, u64)) -> io::Result<bool> {
        let _away = away();
        // The way was looked at a moment ago; what is found only decides whether the file that is `id` has two names.
        RealDisk.is_archive(file, id)
    }

    fn newest(&self, file: &Path) -> io::Result<Option<Timestamp>> {
        let _away = away();
        // Decides about the next name alone, which must not exist.
        RealDisk.newest(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::os::unix::fs::{PermissionsExt, symlink};

    struct Place {
        dir: tempfile::TempDir,
        disk: Below,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("real/elsewhere")).unwrap();
            // What stands before the first placeholder may be a link.
            symlink("real", dir.path().join("root")).unwrap();
            let disk = Below::new(dir.path().join("root"));
            Self { dir, disk }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join("root").join(name)
        }
    }

    fn words<T>(result: io::Result<T>) -> String {
        result.map(drop).unwrap_err().to_string()
    }

    #[test]
    fn folders_and_files_are_made_for_their_user_alone() {
        let place = Place::new();
        let (file, folder) = (place.path("10.0.0.1/2026/x.log"), place.path("10.0.0.1/2026"));
        assert_eq!(place.disk.stat(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(place.disk.open(&file).unwrap_err().kind(), io::ErrorKind::NotFound);
        place.disk.create(&file).unwrap().write_all(b"one\n").unwrap();
        assert_eq!(place.disk.create(&file).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        place.disk.open(&file).unwrap().write_all(b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"one\ntwo", "appended");
        assert_eq!(place.disk.last_byte(&file).unwrap(), b'o');
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder), mode(&place.path("10.0.0.1"))), (0o600, 0o700, 0o700));
        let (stat, there) = (place.disk.stat(&file).unwrap(), place.disk.open(&file).unwrap());
        assert_eq!(stat, Stat { modified: stat.modified, ..RealDisk.stat(&file).unwrap() });
        assert_eq!(stat.id, place.disk.stat_of(&there).unwrap().id);
        let (aside, archive) = (place.path("10.0.0.1/2026/x.log.rotating"), place.path("10.0.0.1/2026/a"));
        place.disk.create(&aside).unwrap();
        place.disk.swap(&aside, &file).unwrap();
        place.disk.rename(&aside, &archive).unwrap();
        assert_eq!(std::fs::read(&archive).unwrap(), b"one\ntwo");
        assert_eq!(place.disk.rename(&file, &archive).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        place.disk.unlink(&file).unwrap();
        assert!(!file.exists());
        place.disk.sync_folder(&folder).unwrap();
        assert_eq!(
            (place.disk.ground(&file), place.disk.ground(Path::new("/a/b"))),
            (&*place.path(""), Path::new("/a"))
        );
    }

    #[test]
    fn a_planted_link_leads_nowhere() {
        let place = Place::new();
        let victim = place.path("elsewhere/victim");
        std::fs::write(&victim, "mine\n").unwrap();
        symlink("elsewhere", place.path("10.0.0.1")).unwrap();
        symlink("elsewhere/victim", place.path("file")).unwrap();
        symlink("elsewhere/new", place.path("nothing")).unwrap();
        let through = place.path("10.0.0.1/victim");
        let said = "10.0.0.1 is a symbolic link, and none is followed below";
        assert!(words(place.disk.open(&through)).contains(said));
        assert!(words(place.disk.create(&place.path("10.0.0.1/new"))).contains(said));
        assert!(words(place.disk.stat(&through)).contains(said));
        assert!(words(place.disk.last_byte(&through)).contains(said));
        assert!(words(place.disk.unlink(&through)).contains(said));
        assert!(words(place.disk.rename(&through, &place.path("10.0.0.1/x"))).contains(said));
        assert!(words(place.disk.open(&place.path("file"))).contains("is a symbolic link"));
        assert_eq!(place.disk.create(&place.path("nothing")).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(place.disk.stat(&place.path("file")).unwrap().unusual, Some("a symbolic link"));
        assert_eq!(std::fs::read(&victim).unwrap(), b"mine\n");
        assert_eq!(std::fs::read_dir(place.path("elsewhere")).unwrap().count(), 1);
    }

    #[test]
    fn what_belongs_to_another_user_is_left_alone() {
        // Only root can give a file away, and root alone would then write it all the same if nobody looked.
        if !rustix::process::geteuid().is_root() {
            return;
        }
        let place = Place::new();
        std::fs::create_dir(place.path("10.0.0.1")).unwrap();
        std::os::unix::fs::chown(place.path("10.0.0.1"), Some(65534), None).unwrap();
        assert!(words(place.disk.create(&place.path("10.0.0.1/x"))).ends_with("10.0.0.1 belongs to another user"));
        std::fs::write(place.path("file"), "").unwrap();
        std::os::unix::fs::chown(place.path("file"), Some(65534), None).unwrap();
        assert!(words(place.disk.open(&place.path("file"))).ends_with("file belongs to another user"));
    }
}
