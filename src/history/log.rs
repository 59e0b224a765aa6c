//! One output file and its archives, as one line of bytes that only grows.

use std::io;
use std::ops::Range;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use jiff::Timestamp;

use super::columns::Columns;
use super::moment;
use super::page::{self, Bounds, Bytes as _, Chunk, Page, Part, Stretch};
use super::tailer::Tailer;
use super::view::View;
use crate::archive::catalog::Catalog;

/// How often a file that shrinks while it is read is read anew.
const ATTEMPTS: usize = 5;
/// Bytes of a catalog that are read; whoever writes it keeps it far below.
const CATALOG: u64 = 64 * 1024 * 1024;

/// Never set.
static GO_ON: AtomicBool = AtomicBool::new(false);

/// One output file and its archives, as one line of bytes that only grows. Offsets count uncompressed bytes since the
/// first one that is known of, deleted archives included.
///
/// A line ends with LF, wherever it has been cut to put a file away, or where what followed it is gone.
#[derive(Debug)]
pub struct Log {
    path: PathBuf,
    catalog: Option<PathBuf>,
    /// The catalog as it was read last, and which file that was.
    read: Option<(Version, Catalog)>,
}

/// Device, inode, bytes, and the last write.
type Version = (u64, u64, u64, (i64, i64));

/// What is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// The oldest byte that is still there.
    pub first: u64,
    /// The end of the last whole line.
    pub end: u64,
}

impl Log {
    /// Of the output `path`; `catalog` as [`super::catalog_of`] names it. Nothing is opened yet.
    #[must_use]
    pub fn new(path: &Path, catalog: Option<&Path>) -> Self {
        Self { path: path.to_owned(), catalog: catalog.map(Path::to_owned), read: None }
    }

    /// What is there now. Nothing at all: both are 0.
    ///
    /// # Errors
    /// Those of reading the folder and the file.
    pub fn extent(&mut self) -> io::Result<Extent> {
        self.with_view(&GO_ON, |view| {
            let (first, end) = (view.first(), view.end());
            let end = page::last_end(view, end)?.max(first);
            Ok(Extent { first, end })
        })
    }

    /// Lines that begin at or after `from`.
    ///
    /// # Errors
    /// Those of reading the folder and the file. An archive that cannot be read is passed over, see [`Page::unreadable`].
    /// [`io::ErrorKind::Interrupted`] when cancelled before there is a page.
    pub fn after(&mut self, from: u64, bounds: &Bounds<'_>) -> io::Result<Page> {
        self.with_view(bounds.cancel, |view| {
            let from = from.clamp(view.first(), view.end());
            let stretch = page::after(view, from, bounds)?;
            page_of(view, stretch, from)
        })
    }

    /// The last lines that end at or before `before`, the oldest first.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn before(&mut self, before: u64, bounds: &Bounds<'_>) -> io::Result<Page> {
        self.with_view(bounds.cancel, |view| {
            let before = before.clamp(view.first(), view.end());
            let stretch = page::before(view, before, bounds)?;
            page_of(view, stretch, before)
        })
    }

    /// The offset of the first line at or after `when`: by the times that lines have, where `columns` finds some; else by
    /// those of the archives and of the last write. Later than everything: the end.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn at(&mut self, when: Timestamp, columns: &Columns) -> io::Result<u64> {
        let path = self.path.clone();
        self.with_view(&GO_ON, |view| {
            let written = std::fs::metadata(&path).and_then(|meta| meta.modified()).ok();
            let written = written.and_then(|at| Timestamp::try_from(at).ok()).unwrap_or(Timestamp::MAX);
            moment::find(view, when, columns, written)
        })
    }

    /// The bytes from `from` to `to`, as far as they are there: what is gone is left out, [`Stored::offset`] tells where it
    /// goes on. An archive that cannot be read is one error; asked again, it goes on behind it.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn bytes(&mut self, from: u64, to: u64) -> io::Result<Stored> {
        Ok(Stored { view: self.view(&GO_ON)?, at: from, to, told: 0, rest: None })
    }

    /// The ranges between `from` and `to` of which every byte is there, as far as is known before reading them.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn runs(&mut self, from: u64, to: u64) -> io::Result<Vec<Range<u64>>> {
        let view = self.view(&GO_ON)?;
        let mut runs: Vec<Range<u64>> = Vec::new();
        for piece in view.pieces() {
            let (start, end) = (piece.start.max(from), piece.end().min(to));
            match runs.last_mut() {
                Some(last) if last.end == start && start < end => last.end = end,
                _ if start < end => runs.push(start..end),
                _ => {}
            }
        }
        Ok(runs)
    }

    /// What comes at or after `from`, now and later.
    ///
    /// # Errors
    /// As [`after`](Self::after).
    pub fn follow(&mut self, from: u64) -> io::Result<Tailer> {
        Tailer::new(Self::new(&self.path, self.catalog.as_deref()), &self.path, from)
    }

    /// Lets `look` see the history as it is now; once more when the file is truncated meanwhile.
    pub(super) fn with_view<'a, T>(
        &mut self,
        cancel: &'a AtomicBool,
        mut look: impl FnMut(&mut View<'a>) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut attempt = 1;
        loop {
            let mut view = self.view(cancel)?;
            match look(&mut view) {
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && attempt < ATTEMPTS => attempt += 1,
                result => return result,
            }
        }
    }

    /// The history as it is now.
    pub(super) fn view<'a>(&mut self, cancel: &'a AtomicBool) -> io::Result<View<'a>> {
        self.read_catalog();
        let none = Catalog::default();
        View::open(&self.path, self.read.as_ref().map_or(&none, |(_, catalog)| catalog), cancel)
    }

    /// Reads the catalog if it is another one. Where there is none, offsets begin with the oldest archive; one that cannot
    /// be read is none.
    fn read_catalog(&mut self) {
        let Some(path) = &self.catalog else { return };
        let version = |meta: std::fs::Metadata| (meta.dev(), meta.ino(), meta.len(), (meta.mtime(), meta.mtime_nsec()));
        let Ok(version) = std::fs::metadata(path).map(version) else {
            self.read = None;
            return;
        };
        if self.read.as_ref().is_some_and(|(read, _)| *read == version) || version.2 > CATALOG {
            return;
        }
        self.read = std::fs::read(path).ok().map(|text| (version, Catalog::parse(&text)));
    }
}

/// Bytes of a history, read in one go.
pub struct Stored {
    view: View<'static>,
    at: u64,
    to: u64,
    /// Parts that could not be read, and were told.
    told: usize,
    /// A block of which `read` has handed out the beginning.
    rest: Option<(Chunk, usize)>,
}

impl Stored {
    /// Of the next byte, as far as is known before it is read: what is gone may lie before it.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.at - self.rest.as_ref().map_or(0, |(chunk, begun)| (chunk.bytes().len() - begun) as u64)
    }

    /// The next bytes as they lie in memory, with the offset of the first one; none at the end. So many as come at once.
    ///
    /// # Errors
    /// As [`Read::read`](io::Read::read).
    pub fn block(&mut self) -> io::Result<Option<(u64, Chunk)>> {
        while self.at < self.to {
            let part = self.view.next(self.at)?;
            let broken = self.view.unreadable(0, self.at);
            if let Some(first) = broken.get(self.told) {
                self.told += 1;
                return Err(io::Error::other(first.why.clone()));
            }
            match part {
                Part::Edge => break,
                Part::Hole(to) => self.at = to,
                Part::Data(mut chunk) => {
                    chunk.shorten(self.to - self.at);
                    let at = self.at;
                    self.at += chunk.bytes().len() as u64;
                    return Ok(Some((at, chunk)));
                }
            }
        }
        Ok(None)
    }
}

impl io::Read for Stored {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        let (chunk, begun) = match self.rest.take() {
            Some(rest) => rest,
            None => match self.block()? {
                Some((_, chunk)) => (chunk, 0),
                None => return Ok(0),
            },
        };
        let left = &chunk.bytes()[begun..];
        let n = left.len().min(into.len());
        into[..n].copy_from_slice(&left[..n]);
        self.rest = (n < left.len()).then_some((chunk, begun + n));
        Ok(n)
    }
}

fn page_of(view: &mut View<'_>, stretch: Stretch, asked: u64) -> io::Result<Page> {
    let Stretch { lines, from, to, .. } = stretch;
    let last = match has_line(view, to) {
        Err(e) if e.kind() == io::ErrorKind::Interrupted => false,
        line => !line?,
    };
    let first = from <= view.first();
    let unreadable = view.unreadable(from.min(asked), to.max(asked));
    Ok(Page { lines, from, to, first, last, unreadable })
}

/// Whether a whole line ends behind `at`.
fn has_line(view: &mut View<'_>, mut at: u64) -> io::Result<bool> {
    let mut some = false;
    loop {
        match view.next(at)? {
            Part::Edge => return Ok(false),
            Part::Hole(_) if some => return Ok(true),
            Part::Hole(to) => at = to,
            Part::Data(chunk) if memchr::memchr(b'\n', chunk.bytes()).is_some() => return Ok(true),
            Part::Data(chunk) => (some, at) = (true, at + chunk.bytes().len() as u64),
        }
    }
}

#[cfg(test)]
#[path = "log_tests.rs"]
mod tests;
