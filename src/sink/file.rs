//! The output file: how it is opened, and by whom it may be written.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;

use crate::error::{Error, io_reason};

/// A regular file, open for appending and locked against other collectors.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    file: File,
    size: u64,
    created: bool,
}

/// Why an output could not be opened.
#[derive(Debug)]
pub enum OpenFailure {
    /// Another collector, or another stream of this one, writes this very file.
    Locked,
    /// Anything else, ready to be shown.
    Other(Error),
}

impl OutputFile {
    /// Opens `path` with `O_APPEND` and `O_CLOEXEC`, creates it with mode 0600, and takes its lock.
    ///
    /// The lock (flock(2)) is on the file itself, so that it is found whatever name or link leads there. File systems
    /// without locks are used without.
    ///
    /// # Errors
    /// Folders, pipes, sockets and devices are refused; so is a file that another collector has.
    pub fn open(path: &Path) -> Result<Self, OpenFailure> {
        let failed = |e: &io::Error| OpenFailure::Other(explain(path, e));
        let mut options = OpenOptions::new();
        // NONBLOCK: opening a FIFO must not wait for its reader; it means nothing to a regular file.
        options.append(true).mode(0o600).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let (file, created) = match options.clone().create_new(true).open(path) {
            Ok(file) => (file, true),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => match options.create(true).open(path) {
                Ok(file) => (file, false),
                Err(e) => return Err(unusual(path).map_or_else(|| failed(&e), OpenFailure::Other)),
            },
            Err(e) => return Err(failed(&e)),
        };
        let meta = file.metadata().map_err(|e| failed(&e))?;
        if !meta.is_file() {
            return Err(OpenFailure::Other(unusual(path).unwrap_or_else(|| explain(path, &Errno::INVAL.into()))));
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) => return Err(OpenFailure::Locked),
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {
                tracing::warn!(path = %path.display(), "this file system has no locks; nothing keeps a second writer away");
            }
            Err(e) => return Err(failed(&e.into())),
            Ok(()) => {}
        }
        let opened = Self { path: path.to_owned(), size: meta.len(), file, created };
        if created {
            opened.sync_folder().map_err(|e| failed(&e))?;
        }
        Ok(opened)
    }

    /// Where it lies.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
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

    /// Whether the last byte is something else than a line end: a crash left half a record. A file that may be written
    /// but not read counts as whole.
    #[must_use]
    pub fn ends_in_mid_line(&self) -> bool {
        let last = || -> io::Result<u8> {
            let mut file = File::open(&self.path)?;
            file.seek(SeekFrom::End(-1))?;
            let mut byte = [0];
            file.read_exact(&mut byte)?;
            Ok(byte[0])
        };
        self.size > 0 && last().is_ok_and(|b| b != b'\n')
    }

    /// One write(2); may write less than asked.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.size += n as u64;
        Ok(n)
    }

    /// A second handle on the same open file, for the thread that syncs.
    pub fn duplicate(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// fsync of the folder: makes the file's name survive a power cut.
    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        match File::open(folder).and_then(|f| f.sync_all()) {
            // Some file systems cannot sync folders, some folders may be written but not read.
            Err(e) if matches!(e.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::InvalidInput) => Ok(()),
            other => other,
        }
    }
}

/// What `path` is, when it is nothing that lines can be appended to.
fn unusual(path: &Path) -> Option<Error> {
    let kind = std::fs::metadata(path).ok()?.file_type();
    let what = if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else if kind.is_socket() {
        "a socket"
    } else {
        return None;
    };
    Some(
        Error::failed(format!("cannot append to {}: it is {what}", path.display()))
            .hint("--out takes the path of a regular file; it is created if it is not there"),
    )
}

fn explain(path: &Path, error: &io::Error) -> Error {
    if let Some(unusual) = unusual(path) {
        return unusual;
    }
    let message = format!("cannot open the output {}: {}", path.display(), io_reason(error));
    let folder = path.parent().unwrap_or(path).display();
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
