//! One output file and its archives, as one line of bytes that only grows.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::columns::Columns;
use super::pattern::Pattern;
use super::tailer::Tailer;

/// One output file and its archives, as one line of bytes that only grows. Offsets count uncompressed bytes since the
/// first one that is known of, deleted archives included.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    catalog: Option<PathBuf>,
}

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The oldest byte that is still there.
    pub first: u64,
    /// The end of the last whole line.
    pub end: u64,
}

/// How much is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// Lines at most.
    pub lines: usize,
    /// Bytes of the lines returned at most; one line is always returned, of a longer one the beginning.
    pub bytes: usize,
    /// Only lines that match it.
    pub filter: Option<&'a Pattern>,
    /// Looked at between two blocks: set, the page ends where it is.
    pub cancel: &'a AtomicBool,
}

/// Lines, and the range in which they were looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order of writing.
    pub lines: Vec<Line>,
    /// Where the range begins: the page before ends here.
    pub from: u64,
    /// Where it ends: the next page begins here.
    pub to: u64,
    /// Nothing is before `from`.
    pub first: bool,
    /// Nothing is after `to`.
    pub last: bool,
    /// Parts of the range that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Of its first byte.
    pub offset: u64,
    /// Without LF; of a line longer than the bound only the beginning.
    pub bytes: Vec<u8>,
    /// Bytes of the whole line, without LF.
    pub length: u64,
}

/// A part of the history that is there and cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Its first byte.
    pub from: u64,
    /// Behind its last one.
    pub to: u64,
    /// A sentence that names the archive.
    pub why: String,
}

impl Log {
    /// Of the output `path`; `catalog` as [`super::catalog_of`] names it. Nothing is opened yet.
    #[must_use]
    pub fn new(path: &Path, catalog: Option<&Path>) -> Self {
        Self { path: path.to_owned(), catalog: catalog.map(Path::to_owned) }
    }

    /// What is there now. Nothing at all: both are 0.
    ///
    /// # Errors
    /// Those of reading the folder and the file.
    pub fn extent(&mut self) -> io::Result<Extent> {
        todo!("{:?} {:?}", self.path, self.catalog)
    }

    /// Lines that begin at or after `from`.
    ///
    /// # Errors
    /// Those of reading the folder and the file. An archive that cannot be read is passed over, see [`Page::unreadable`].
    pub fn after(&mut self, from: u64, bounds: &Bounds<'_>) -> io::Result<Page> {
        todo!("{from} {bounds:?}")
    }

    /// The last lines that end at or before `before`, the oldest first.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn before(&mut self, before: u64, bounds: &Bounds<'_>) -> io::Result<Page> {
        todo!("{before} {bounds:?}")
    }

    /// The offset of the first line at or after `when`: by the times that lines have, where `columns` finds some; else by
    /// those of the archives and of the last write.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn at(&mut self, when: Timestamp, columns: &Columns) -> io::Result<u64> {
        todo!("{when} {columns:?}")
    }

    /// The bytes from `from` to `to`, as far as they are there.
    ///
    /// # Errors
    /// As [`after`](Self::after); reading fails where an archive cannot be read.
    pub fn bytes(&mut self, from: u64, to: u64) -> io::Result<impl Read + Send + use<>> {
        let _ = (from, to);
        Ok(io::empty())
    }

    /// What comes at or after `from`, now and later.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn follow(&mut self, from: u64) -> io::Result<Tailer> {
        todo!("{from}")
    }
}
