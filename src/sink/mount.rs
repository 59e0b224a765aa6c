//! The folder of an output, and whether the file system that held it is still there.

use std::io;
use std::path::{Path, PathBuf};

use super::disk::Disk;

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    folder: PathBuf,
    id: (u64, u64),
    /// Where its file system is mounted; `None` for the root's, which cannot go.
    point: Option<PathBuf>,
}

/// What became of the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Now {
    /// It is the one that it was.
    Same,
    /// Another one has its name.
    Other,
}

impl Mount {
    /// The folder as it is now. A mount of a file system on itself (`mount --bind`) is not told from a folder.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn of<D: Disk>(disk: &D, folder: &Path) -> io::Result<Self> {
        let id = disk.stat(folder)?.id;
        let mut top = folder;
        let mut point = None;
        while let Some(above) = top.parent().filter(|p| !p.as_os_str().is_empty()) {
            if disk.stat(above)?.id.0 != id.0 {
                point = Some(top.to_owned());
                break;
            }
            top = above;
        }
        Ok(Self { folder: folder.to_owned(), id, point })
    }

    /// What is there now.
    ///
    /// # Errors
    /// Why nothing may be written there: it is gone, or what was mounted there is. A sentence's end.
    pub fn look<D: Disk>(&self, disk: &D) -> Result<Now, String> {
        let folder = self.folder.display();
        let there = match disk.stat(&self.folder) {
            Ok(there) => there,
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Err(format!("its folder {folder} is gone"));
            }
            Err(e) => return Err(format!("its folder {folder}: {}", crate::error::io_reason(&e))),
        };
        if there.id == self.id {
            return Ok(Now::Same);
        }
        let device = |path: &Path| disk.stat(path).map(|s| s.id.0).ok();
        match &self.point {
            Some(point) if there.id.0 != self.id.0 && device(point) == point.parent().and_then(device) => {
                Err(format!("nothing is mounted at {} any more", point.display()))
            }
            _ => Ok(Now::Other),
        }
    }
}
