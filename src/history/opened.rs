//! The files that a follower reads, one after the other.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use jiff::Timestamp;

use super::look::{self, Found};
use crate::archive;
use crate::plan::Compress;

/// How a file came to take the place of another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// It is the first one.
    First,
    /// The one before was put away, and is an archive.
    Rotated,
    /// Somebody else has renamed or removed the one before.
    Replaced,
    /// It is the same one, from which bytes were taken.
    Truncated,
}

/// A file that is followed.
#[derive(Debug)]
pub struct Open {
    pub content: Content,
    /// Device and inode.
    pub identity: (u64, u64),
    /// The newest archive when it had the path: its own will be a later one.
    pub since: Option<Timestamp>,
    /// Bytes read.
    pub offset: u64,
    /// How it came to take the place of the one before.
    pub how: How,
}

/// What is read.
pub enum Content {
    Plain(File),
    Packed { reader: Box<dyn Read + Send>, path: PathBuf, ended: bool },
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Plain(file) => file.fmt(f),
            Self::Packed { path, .. } => path.fmt(f),
        }
    }
}

impl Open {
    pub fn new(found: Found, since: Option<Timestamp>, how: How) -> Self {
        Self { content: Content::Plain(found.file), identity: found.identity, since, offset: 0, how }
    }

    /// An archive, from `offset` on.
    pub fn archive((file, form, path): (File, Compress, PathBuf), offset: u64, how: How) -> io::Result<Self> {
        let content = if form == Compress::None {
            Content::Plain(file)
        } else {
            let mut reader = archive::reader(file, form)?;
            io::copy(&mut reader.by_ref().take(offset), &mut io::sink()).map_err(|e| look::about(&path, &e))?;
            Content::Packed { reader, path, ended: false }
        };
        Ok(Self { content, identity: (0, 0), since: None, offset, how })
    }

    /// Bytes of a plain file that are there.
    pub fn length(&self) -> io::Result<Option<u64>> {
        match &self.content {
            Content::Plain(file) => Ok(Some(file.metadata()?.len())),
            Content::Packed { .. } => Ok(None),
        }
    }

    pub fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let n = match &mut self.content {
            Content::Plain(file) => file.read_at(into, self.offset)?,
            Content::Packed { ended: true, .. } => 0,
            Content::Packed { reader, path, ended } => {
                // After an error, too: asked again, the follower goes on behind it.
                let result = reader.read(into).map_err(|e| look::about(path, &e));
                *ended = result.as_ref().map_or(true, |n| *n == 0);
                result?
            }
        };
        self.offset += n as u64;
        Ok(n)
    }
}
