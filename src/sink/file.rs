//! The output file: how it is opened, and by whom it may be written.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::disk::{Disk, RealDisk, Stat};
use super::mount::Mount;
use crate::error::{Error, io_reason};

/// A regular file, open for appending and locked against other collectors.
#[derive(Debug)]
pub struct OutputFile<D: Disk = RealDisk> {
    pub(super) disk: Arc<D>,
    /// As it was asked for.
    pub(super) path: PathBuf,
    /// Where it lies: where a link at `path` leads to.
    pub(super) place: PathBuf,
    pub(super) file: Arc<D::File>,
    /// Which file it is.
    pub(super) id: (u64, u64),
    pub(super) size: u64,
    /// Names that led to it when it was opened.
    links: u64,
    created: bool,
    modified: Timestamp,
    /// The folder that it lies in, and the file system of that.
    pub(super) mount: Mount,
    /// Its name is known to survive a power cut. Whoever made it may have been killed before that.
    pub(super) named: bool,
    /// The file that this process wrote before. It may stand aside, if it could not become an archive.
    pub(super) before: Option<(u64, u64)>,
    /// What stands in the way of rotations, a sentence.
    pub(super) trouble: Option<String>,
}

/// Why an output could not be opened.
#[derive(Debug)]
pub enum OpenFailure {
    /// Another collector, or another stream of this one, writes this very file.
    Locked,
    /// Anything else, ready to be shown.
    Other(Error),
}

/// The same, before it has words.
#[derive(Debug)]
pub(super) enum Refusal {
    Locked,
    Unusual(&'static str),
    Io(io::Error),
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Refusal {
    /// For a sentence that has named the path.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::Locked => "another collector has the file that is there now, or another output of this one".into(),
            Self::Unusual(what) => format!("it is {what} now"),
            Self::Io(e) => io_reason(e),
        }
    }
}

impl OutputFile {
    /// Opens `path` with `O_APPEND` and `O_CLOEXEC`, creates it with mode 0600, and takes its lock.
    ///
    /// The lock (flock(2)) is on the file itself, so that it is found whatever name or link leads there. File systems
    /// without locks are used without. What a rotation left unfinished when its collector was killed is finished.
    ///
    /// # Errors
    /// Folders, pipes, sockets and devices are refused; so is a file that another collector has.
    pub fn open(path: &Path) -> Result<Self, OpenFailure> {
        Self::open_on(&Arc::new(RealDisk), path)
    }
}

impl<D: Disk> OutputFile<D> {
    /// As [`OutputFile::open`], on any disk.
    pub(super) fn open_on(disk: &Arc<D>, path: &Path) -> Result<Self, OpenFailure> {
        let opened = Self::open_or_refuse(disk, path).and_then(|mut opened| {
            if opened.created {
                opened.disk.sync_folder(folder(&opened.place))?;
                opened.named = true;
            }
            Ok(opened)
        });
        opened.map_err(|refusal| match refusal {
            Refusal::Locked => OpenFailure::Locked,
            Refusal::Unusual(what) => OpenFailure::Other(unusual(path, what)),
            Refusal::Io(e) => {
                let place = disk.link(path).ok().flatten();
                OpenFailure::Other(explain(path, place.as_deref().unwrap_or(path), &e))
            }
        })
    }

    /// The same, without words. The name of a file that was made is not yet safe: the first flush makes it so.
    pub(super) fn open_or_refuse(disk: &Arc<D>, path: &Path) -> Result<Self, Refusal> {
        let mut opened = Self::attempt(Arc::clone(disk), path, true)?;
        if opened.links > 1 && disk.is_archive(&opened.place, opened.id)? {
            // Killed after the file had got the name of its archive, and before it had lost its own.
            disk.unlink(&opened.place)?;
            drop(opened);
            opened = Self::attempt(Arc::clone(disk), path, true)?;
        }
        // The new file of a rotation that was killed before the old one had the name of an archive is empty.
        if let Err(why) = opened.clear_away(opened.modified, opened.size == 0 && !opened.created) {
            opened.trouble = Some(why);
        }
        Ok(opened)
    }

    /// `follow`: a link is as good as a file.
    pub(super) fn attempt(disk: Arc<D>, path: &Path, follow: bool) -> Result<Self, Refusal> {
        let place = match disk.link(path)? {
            Some(place) if follow => place,
            Some(_) => return Err(Refusal::Unusual("a symbolic link")),
            None => path.to_owned(),
        };
        let (file, created) = match disk.create(&place) {
            Ok(file) => (file, true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match disk.open(&place) {
                Ok(file) => (file, false),
                Err(e) => {
                    let unusual = disk.stat(&place).ok().and_then(|s| s.unusual);
                    return Err(unusual.map_or(Refusal::Io(e), Refusal::Unusual));
                }
            },
            Err(e) => return Err(e.into()),
        };
        Self::locked(disk, path.to_owned(), place, file, created)
    }

    /// Takes the lock of an open file.
    pub(super) fn locked(
        disk: Arc<D>,
        path: PathBuf,
        place: PathBuf,
        file: D::File,
        created: bool,
    ) -> Result<Self, Refusal> {
        let Stat { id, size, links, unusual, modified, .. } = disk.stat_of(&file)?;
        if let Some(what) = unusual {
            return Err(Refusal::Unusual(what));
        }
        match disk.lock(&file) {
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Err(Refusal::Locked),
            other => other?,
        }
        let mount = Mount::of(&*disk, disk.ground(&place))?;
        let (file, named, before, trouble) = (Arc::new(file), false, None, None);
        Ok(Self { disk, path, place, file, id, size, links, created, modified, mount, named, before, trouble })
    }

    /// Where it lies, as it was asked for.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies: where a link leads to.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// Bytes in it.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether opening it made it.
    #[must_use]
    pub fn was_created(&self) -> bool {
        self.created
    }

    /// When it was last written before it was opened.
    pub(super) fn modified(&self) -> Timestamp {
        self.modified
    }

    /// Whether a link led to it.
    pub(super) fn is_linked(&self) -> bool {
        self.place != self.path
    }

    /// Whether the last byte is something else than a line end: a crash left half a record. A file that may be written
    /// but not read counts as whole.
    #[must_use]
    pub fn ends_in_mid_line(&self) -> bool {
        self.size > 0 && self.disk.last_byte(&self.place).is_ok_and(|b| b != b'\n')
    }

    /// One write(2); may write less than asked.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.disk.write(&self.file, bytes)?;
        self.size += n as u64;
        Ok(n)
    }
}

/// The folder of `path`.
pub(super) fn folder(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// `path` is nothing that lines can be appended to.
fn unusual(path: &Path, what: &str) -> Error {
    Error::failed(format!("cannot append to {}: it is {what}", path.display()))
        .hint("--out takes the path of a regular file; it is created if it is not there")
}

fn explain(path: &Path, place: &Path, error: &io::Error) -> Error {
    let message = format!("cannot open the output {}: {}", path.display(), io_reason(error));
    let folder = folder(place).display();
    match error.kind() {
        io::ErrorKind::NotFound => Error::failed(message).hint(format!("make the folder first: mkdir -p {folder}")),
        io::ErrorKind::PermissionDenied => {
            Error::failed(message).hint(format!("you need write permission for the file, or for {folder} to create it"))
        }
        _ => Error::failed(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn refusal(path: &Path) -> String {
        match OutputFile::open(path) {
            Err(OpenFailure::Other(e)) => e.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_new_file_is_private_and_an_old_one_is_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut first = OutputFile::open(&path).unwrap();
        assert!(first.was_created());
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        first.write(b"one\n").unwrap();
        drop(first);
        let mut second = OutputFile::open(&path).unwrap();
        assert!(!second.was_created() && !second.ends_in_mid_line());
        second.write(b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"one\ntwo");
        assert_eq!(second.size(), 7);
        assert!(second.ends_in_mid_line());
    }

    #[test]
    fn a_second_writer_is_kept_away_whatever_the_name() {
        let dir = tempfile::tempdir().unwrap();
        let (path, link) = (dir.path().join("out"), dir.path().join("link"));
        let _first = OutputFile::open(&path).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(OutputFile::open(&link), Err(OpenFailure::Locked)));
    }

    #[test]
    fn a_link_to_nothing_makes_the_file_where_it_leads() {
        let dir = tempfile::tempdir().unwrap();
        let (link, hop) = (dir.path().join("link"), dir.path().join("hop"));
        std::os::unix::fs::symlink("hop", &link).unwrap();
        std::os::unix::fs::symlink("there/out", &hop).unwrap();
        match OutputFile::open(&link) {
            Err(OpenFailure::Other(e)) => {
                assert!(format!("{e:?}").contains("/there\""), "the folder that is missing is named: {e:?}");
            }
            other => panic!("{other:?}"),
        }
        std::fs::create_dir(dir.path().join("there")).unwrap();
        let mut file = OutputFile::open(&link).unwrap();
        file.write(b"one\n").unwrap();
        assert_eq!(file.place(), dir.path().canonicalize().unwrap().join("there/out"));
        // Renamed by others: the next one is made there, too.
        std::fs::rename(dir.path().join("there/out"), dir.path().join("there/old")).unwrap();
        let Ok(super::super::turn::Found::Other(mut next, "renamed")) = file.find(false) else { panic!("not noticed") };
        next.write(b"two\n").unwrap();
        assert_eq!(std::fs::read(&link).unwrap(), b"two\n");
        // A circle is an error, not a loop.
        std::fs::remove_file(&hop).unwrap();
        std::os::unix::fs::symlink("link", &hop).unwrap();
        assert!(OutputFile::open(&link).is_err());
    }

    #[test]
    fn a_file_that_has_the_name_of_its_archive_already_loses_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let (path, archive) = (dir.path().join("f"), dir.path().join("f.2026-11-21T00-41-28.123456Z"));
        std::fs::write(&path, "old\n").unwrap();
        std::fs::hard_link(&path, &archive).unwrap();
        let file = OutputFile::open(&path).unwrap();
        assert_eq!((file.size(), std::fs::read(&archive).unwrap()), (0, b"old\n".to_vec()));
        drop(file);
        // Any other second name is nobody's business.
        std::fs::write(&path, "new\n").unwrap();
        std::fs::hard_link(&path, dir.path().join("f.kept")).unwrap();
        assert_eq!(OutputFile::open(&path).unwrap().size(), 4);
    }

    #[test]
    fn what_a_user_calls_rotating_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (path, aside) = (dir.path().join("f"), dir.path().join("f.rotating"));
        let now = Timestamp::now();
        let left_alone = |what: &str| {
            std::fs::write(&path, "mine\n").unwrap();
            let mut file = OutputFile::open(&path).unwrap();
            assert!(file.trouble.as_ref().is_some_and(|t| t.contains("f.rotating")), "{what}: {:?}", file.trouble);
            assert!(file.put_away(now).is_err(), "{what}");
            assert_eq!(std::fs::read(&path).unwrap(), b"mine\n", "{what}");
            assert!(aside.symlink_metadata().is_ok(), "{what} is gone");
            assert_eq!(crate::archive::list(&path).unwrap().len(), 0, "{what}");
        };
        std::fs::write(&aside, "a user's\n").unwrap();
        left_alone("a file with bytes");
        let other = OutputFile::open(&aside);
        std::fs::write(&aside, "").unwrap();
        left_alone("the file of another collector");
        drop(other);
        std::fs::remove_file(&aside).unwrap();
        std::fs::create_dir(&aside).unwrap();
        left_alone("a folder");
        std::fs::remove_dir(&aside).unwrap();
        std::os::unix::fs::symlink("nowhere", &aside).unwrap();
        left_alone("a link");
        std::fs::remove_file(&aside).unwrap();
        assert!(OutputFile::open(&path).unwrap().put_away(now).is_ok());
    }

    #[test]
    fn what_is_no_regular_file_is_named_and_refused() {
        let dir = tempfile::tempdir().unwrap();
        assert!(refusal(dir.path()).ends_with("it is a folder"));
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        assert!(refusal(&fifo).ends_with("it is a named pipe"));
        assert!(refusal(Path::new("/dev/null")).ends_with("it is a device"));
        assert!(refusal(&dir.path().join("no/such")).contains("No such file"));
    }
}
