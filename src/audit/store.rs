//! The files of the trail: appended to, put away when they are full, never more than a bound together.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

/// The newest file, in the collector's state folder. The ones before are called `audit.jsonl.1` and so on.
pub const FILE: &str = "audit.jsonl";
/// Files in all, the newest among them.
pub const FILES: usize = 5;
/// Bytes of one file: about 100,000 lines, which an editor still opens. Five of them are 80 MiB: a busy day of short
/// connections (two lines each), or years of a quiet collector, for what a state disk can always spare.
pub const FILE_BOUND: u64 = 16 * 1024 * 1024;

/// The `n`th file before the newest, `path`; 0 is the newest itself.
pub fn place(path: &Path, n: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    if n > 0 {
        name.push(format!(".{n}"));
    }
    name.into()
}

/// See the module.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    bound: u64,
    file: Option<File>,
    size: u64,
}

impl Store {
    /// Opens the newest file, 0600, or makes it. A last line that a crash tore gets the end that it lacks: nothing is taken
    /// away, and what follows stands on a line of its own.
    ///
    /// # Errors
    /// Those of opening; a link, or anything that is no regular file, is refused.
    pub fn open(path: &Path, bound: u64) -> io::Result<Self> {
        let mut store = Self { path: path.to_owned(), bound, file: None, size: 0 };
        store.reopen()?;
        Ok(store)
    }

    fn reopen(&mut self) -> io::Result<()> {
        self.file = None;
        let mut options = OpenOptions::new();
        // NONBLOCK: a pipe in its place must not hold up the start. std sets O_CLOEXEC.
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        options.read(true).append(true).create(true).mode(0o600).custom_flags(flags.bits().cast_signed());
        let mut file = options.open(&self.path)?;
        let meta = file.metadata()?;
        if !meta.is_file() {
            return Err(io::Error::other("it is no regular file"));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            file.set_permissions(Permissions::from_mode(0o600))?;
        }
        self.size = meta.len();
        if self.size > 0 {
            let mut last = [0];
            file.read_exact_at(&mut last, self.size - 1)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                self.size += 1;
            }
        }
        self.file = Some(file);
        Ok(())
    }

    /// Makes ready for `len` bytes that begin a line: puts a full file away first.
    ///
    /// # Errors
    /// When files cannot be renamed or made; to be asked again.
    pub fn prepare(&mut self, len: usize) -> io::Result<()> {
        if self.file.is_some() && self.size > 0 && self.size + len as u64 > self.bound {
            self.rotate()?;
        }
        if self.file.is_none() { self.reopen() } else { Ok(()) }
    }

    /// A crash between any two steps leaves all lines, in order, with one name missing: the next time only the files below
    /// that name move.
    fn rotate(&mut self) -> io::Result<()> {
        self.sync_data()?;
        let free = (1..FILES).find(|n| !place(&self.path, *n).exists()).unwrap_or(FILES - 1);
        for n in (0..free).rev() {
            std::fs::rename(place(&self.path, n), place(&self.path, n + 1))?;
        }
        self.file = None;
        self.reopen()?;
        if let Some(folder) = self.path.parent() {
            // The names; the lines themselves are safe already.
            let _ = File::open(folder).and_then(|folder| folder.sync_all());
        }
        Ok(())
    }

    /// One write(2); may write less than asked.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let file = self.file.as_mut().ok_or(ErrorKind::NotFound)?;
        let n = file.write(bytes)?;
        self.size += n as u64;
        Ok(n)
    }

    /// Forces what was written to the disk. If somebody has taken the file away, the next line begins a new one.
    ///
    /// # Errors
    /// Those of fsync(2).
    pub fn sync(&mut self) -> io::Result<()> {
        self.sync_data()?;
        if let Some(file) = &self.file {
            let (ours, named) = (file.metadata()?, std::fs::symlink_metadata(&self.path));
            if !named.is_ok_and(|named| (named.dev(), named.ino()) == (ours.dev(), ours.ino())) {
                self.file = None;
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(store: &mut Store, bytes: &[u8]) {
        store.prepare(bytes.len()).unwrap();
        assert_eq!(store.write(bytes).unwrap(), bytes.len());
    }

    fn text(path: &Path, n: usize) -> String {
        std::fs::read_to_string(place(path, n)).unwrap_or_default()
    }

    #[test]
    fn the_sum_is_bounded_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut store = Store::open(&path, 10).unwrap();
        for n in 0..9 {
            put(&mut store, format!("{n}......\n").as_bytes());
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), FILES);
        let all: String = (0..FILES).rev().map(|n| text(&path, n).chars().next().unwrap()).collect();
        assert_eq!(all, "45678");
        for n in 0..FILES {
            assert_eq!(place(&path, n).metadata().unwrap().permissions().mode() & 0o777, 0o600);
        }
    }

    #[test]
    fn a_rotation_that_a_crash_cut_short_loses_nothing() {
        // A crash after each of the renames: the names that are left, and what the next rotation makes of them.
        for crash in 0..FILES {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(FILE);
            for n in 0..FILES {
                std::fs::write(place(&path, n), format!("{}......\n", FILES - n)).unwrap();
            }
            for n in (FILES - 1 - crash..FILES - 1).rev() {
                std::fs::rename(place(&path, n), place(&path, n + 1)).unwrap();
            }
            let before: String = (0..FILES).rev().map(|n| text(&path, n)).collect();
            let mut store = Store::open(&path, 10).unwrap();
            put(&mut store, b"next...\n");
            let after: String = (0..FILES).rev().map(|n| text(&path, n)).collect();
            let kept = if crash == 0 { &before[8..] } else { &before[..] };
            assert_eq!(after, format!("{kept}next...\n"), "after {crash} renames");
        }
    }

    #[test]
    fn a_torn_last_line_is_ended_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        std::fs::write(&path, "{}\n{\"ts\":\"20").unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        let mut store = Store::open(&path, 1000).unwrap();
        put(&mut store, b"{}\n");
        assert_eq!(text(&path, 0), "{}\n{\"ts\":\"20\n{}\n");
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn links_and_pipes_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (path, target) = (dir.path().join(FILE), dir.path().join("target"));
        std::fs::write(&target, "").unwrap();
        std::os::unix::fs::symlink(&target, &path).unwrap();
        assert!(Store::open(&path, 10).is_err());
        std::fs::remove_file(&path).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(Store::open(&path, 10).is_err());
    }

    #[test]
    fn a_file_that_somebody_took_away_is_begun_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        let mut store = Store::open(&path, 1000).unwrap();
        put(&mut store, b"1\n");
        std::fs::rename(&path, dir.path().join("away")).unwrap();
        store.sync().unwrap();
        put(&mut store, b"2\n");
        assert_eq!(text(&path, 0), "2\n");
    }
}
