//! Small files that are kept in the folder of the configuration, for this account alone.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// The folder, as long as one process alone changes what is in it.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    lock: File,
}

impl Kept {
    /// Waits for others who have `folder`, which is made when there is none.
    ///
    /// # Errors
    /// When it can be neither made nor opened.
    pub fn lock(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let lock = File::open(folder)?;
        // NFS has no lock for a folder; what is written is whole even so.
        let _ = flock(&lock, FlockOperation::LockExclusive);
        Ok(Self { folder: folder.to_owned(), lock })
    }

    /// Puts `text` in the place of the file `name`, for nobody else to read. A crash leaves the old one or the new one.
    ///
    /// # Errors
    /// All is as it was then.
    pub fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".reclog-").tempfile_in(&self.folder)?;
        file.write_all(text.as_bytes())?;
        file.as_file().sync_all()?;
        file.persist(self.folder.join(name)).map_err(|e| e.error)?;
        self.lock.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::MetadataExt as _;

    #[test]
    fn a_file_is_replaced_whole_and_read_by_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("new/folder");
        let kept = Kept::lock(&config).unwrap();
        for text in ["a first one", "another"] {
            kept.write("file", text).unwrap();
            assert_eq!(fs::read_to_string(config.join("file")).unwrap(), text);
        }
        assert_eq!(fs::metadata(config.join("file")).unwrap().mode() & 0o777, 0o600);
        fs::create_dir(config.join("taken")).unwrap();
        assert!(kept.write("taken", "text").is_err());
        assert_eq!(fs::read_dir(&config).unwrap().count(), 2, "nothing is left behind");
    }

    #[test]
    fn others_wait() {
        let folder = tempfile::tempdir().unwrap();
        let kept = Kept::lock(folder.path()).unwrap();
        let other = File::open(folder.path()).unwrap();
        assert!(flock(&other, FlockOperation::NonBlockingLockExclusive).is_err());
        drop(kept);
        flock(&other, FlockOperation::NonBlockingLockExclusive).unwrap();
    }
}
