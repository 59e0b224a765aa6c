//! What is appended to a path, as `tail -F` shows it, in whole lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use regex::bytes::Regex;

use super::last::last_before;

/// Bytes read at once, and the length of the pieces in which a line longer than that is handed out.
pub const PIECE: usize = 256 * 1024;

/// Empty files that may wait behind the current one, in descriptors: a quiet log that is rotated every day.
const MAX_WAITING: usize = 8;

/// Follows a path: the bytes appended to its file, then to the file that takes its place.
///
/// Lines come whole: the beginning of a line is kept until its LF is there. Only a line longer than [`PIECE`] comes in
/// pieces. When a file is replaced or truncated, a last line without LF is handed out with one, so that it never runs
/// into what follows.
///
/// A file that is renamed or deleted is followed on until the one that takes its place holds its first byte: up to
/// then the writer may not have noticed. A file that came and went between two polls is not seen, and neither is one
/// that was truncated and has grown beyond the old offset since.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    current: Option<Open>,
    /// Files that have taken its place, the oldest first: held open from the moment they are seen, empty or not, so
    /// that none is lost that is renamed before its first byte.
    next: VecDeque<Open>,
    /// Where the first file begins; those that come after it begin at 0.
    first_offset: u64,
    /// Read and not handed out: the beginning of a line, shorter than [`PIECE`].
    partial: Vec<u8>,
    /// The last piece that was handed out did not end its line.
    in_line: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
    /// Bytes read.
    offset: u64,
}

impl Follower {
    /// Follows `path` from `offset` on, in bytes. The file need not be there yet.
    #[must_use]
    pub fn new(path: &Path, offset: u64) -> Self {
        let path = path.to_owned();
        Self { path, current: None, next: VecDeque::new(), first_offset: offset, partial: Vec::new(), in_line: false }
    }

    /// The last `n` whole lines (see [`super::last_records`]) and a follower that goes on right behind them: nothing is
    /// missing or doubled between the two. A last line without LF is left to the follower. A missing file has no lines.
    ///
    /// # Errors
    /// Those of opening and reading `path`, except that it is not there.
    pub fn after_last(path: &Path, n: usize, filter: Option<&Regex>) -> io::Result<(Vec<Vec<u8>>, Self)> {
        let mut follower = Self::new(path, 0);
        let Some(mut open) = open(path)? else { return Ok((Vec::new(), follower)) };
        let end = whole_lines(&open.file, open.file.metadata()?.len())?;
        let lines = last_before(&open.file, end, n, filter)?;
        open.offset = end;
        follower.current = Some(open);
        Ok((lines, follower))
    }

    /// What has arrived: whole lines with their LF, or a piece of a line longer than [`PIECE`]; twice [`PIECE`] at most.
    /// Empty when there is nothing: wait [`super::POLL_INTERVAL`] before asking again, and do not wait before that.
    ///
    /// # Errors
    /// Those of opening and reading; that the file is not there is none. It may be asked again afterwards.
    pub fn poll(&mut self) -> io::Result<Vec<u8>> {
        if self.current.is_none() {
            self.current = open(&self.path)?;
            let Some(current) = &mut self.current else { return Ok(Vec::new()) };
            current.offset = std::mem::take(&mut self.first_offset);
        }
        // Looked at before reading: when a successor has begun, the old file holds all it will ever hold.
        self.look_for_successor()?;
        loop {
            let begun = self.successor_has_begun()?;
            let arrived = self.read()?;
            if !arrived.is_empty() || !begun || !self.at_end()? {
                return Ok(arrived);
            }
            let Some(next) = self.next.pop_front() else { return Ok(arrived) };
            self.current = Some(next);
            let ended = self.end_partial();
            if !ended.is_empty() {
                return Ok(ended);
            }
        }
    }

    /// Holds on to the file at the path if it is a new one.
    fn look_for_successor(&mut self) -> io::Result<()> {
        let Some(newest) = self.next.back().or(self.current.as_ref()) else { return Ok(()) };
        let known = newest.identity;
        if let Some(found) = open(&self.path)?.filter(|found| found.identity != known) {
            if self.next.len() == MAX_WAITING {
                self.next.pop_front();
            }
            self.next.push_back(found);
        }
        Ok(())
    }

    /// Whether a file behind the current one holds anything.
    fn successor_has_begun(&self) -> io::Result<bool> {
        for next in &self.next {
            if next.file.metadata()?.len() > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn at_end(&self) -> io::Result<bool> {
        match &self.current {
            Some(current) => Ok(current.offset >= current.file.metadata()?.len()),
            None => Ok(true),
        }
    }

    /// One block of the current file.
    fn read(&mut self) -> io::Result<Vec<u8>> {
        let Some(current) = &mut self.current else { return Ok(Vec::new()) };
        if current.file.metadata()?.len() < current.offset {
            current.offset = 0;
            let ended = self.end_partial();
            if !ended.is_empty() {
                return Ok(ended);
            }
        }
        let Some(current) = &mut self.current else { return Ok(Vec::new()) };
        let before = self.partial.len();
        self.partial.resize(before + PIECE, 0);
        let result = current.file.read_at(&mut self.partial[before..], current.offset);
        let n = *result.as_ref().unwrap_or(&0);
        self.partial.truncate(before + n);
        result?;
        current.offset += n as u64;

        Ok(match memchr::memrchr(b'\n', &self.partial[before..]) {
            Some(lf) => {
                self.in_line = false;
                let rest = self.partial.split_off(before + lf + 1);
                std::mem::replace(&mut self.partial, rest)
            }
            None if self.partial.len() >= PIECE => {
                self.in_line = true;
                std::mem::take(&mut self.partial)
            }
            None => Vec::new(),
        })
    }

    /// The beginning of a line whose end will never come, ended.
    fn end_partial(&mut self) -> Vec<u8> {
        let mut partial = std::mem::take(&mut self.partial);
        if std::mem::take(&mut self.in_line) || !partial.is_empty() {
            partial.push(b'\n');
        }
        partial
    }
}

/// The file at `path`, to be read from its beginning; `None` when there is none.
fn open(path: &Path) -> io::Result<Option<Open>> {
    let file = match File::open(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let meta = file.metadata()?;
    Ok(Some(Open { file, identity: (meta.dev(), meta.ino()), offset: 0 }))
}

/// How many of the first `end` bytes are whole lines.
fn whole_lines(file: &File, end: u64) -> io::Result<u64> {
    let mut block = vec![0; PIECE];
    let mut start = end;
    while start > 0 {
        let size = usize::try_from(start).unwrap_or(usize::MAX).min(PIECE);
        start -= size as u64;
        file.read_exact_at(&mut block[..size], start)?;
        if let Some(lf) = memchr::memrchr(b'\n', &block[..size]) {
            return Ok(start + lf as u64 + 1);
        }
    }
    Ok(0)
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
