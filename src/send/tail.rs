//! One followed file: whole lines, and where each of them ends, over renames and truncation.
//!
//! A file is known by device and inode, and by its first bytes: an inode that was used again, or a file that was copied,
//! truncated and has grown beyond the old place since, begins with other ones.

use std::collections::VecDeque;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::lines::LONGEST;
use super::slots::read_all;

/// First bytes that are compared.
const HEAD: usize = 256;
/// Bytes read at once; more than the longest line.
const BLOCK: usize = 2 * LONGEST;
/// Files that may wait behind the current one, in descriptors: renamed faster than they are read.
const MAX_WAITING: usize = 8;
/// Files that took its place while nobody looked, in descriptors; of more the newest are read.
const MAX_MISSED: usize = 64;

/// A place in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// Of the file.
    dev: u64,
    ino: u64,
    /// Bytes before it.
    offset: u64,
    /// So many first bytes of the file have this sum.
    head: u32,
    sum: u32,
}

/// Seconds and nanoseconds.
type Written = (i64, i64);

/// A path, and the files that it names one after the other.
#[derive(Debug)]
pub struct Tail {
    path: PathBuf,
    current: Option<Open>,
    /// What has taken its place, the oldest first.
    next: VecDeque<Open>,
    /// When the newest of them was written to, as long as the path named it. Nothing that took its place is older.
    since: Option<Written>,
    /// The ends of those that are done with, the newest last.
    over: VecDeque<Place>,
    /// Read from the current file, and not handed out.
    buffer: Vec<u8>,
    used: usize,
    /// The last piece that was handed out did not end its line.
    inside: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    dev: u64,
    ino: u64,
    /// Bytes read into the buffer.
    read: u64,
    head: Vec<u8>,
    sum: u32,
}

impl Open {
    fn new(file: File, meta: &Metadata) -> io::Result<Self> {
        let mut open = Self { dev: meta.dev(), ino: meta.ino(), file, read: 0, head: Vec::new(), sum: 0 };
        open.learn()?;
        Ok(open)
    }

    /// Learns more of the first bytes, as far as they are there.
    fn learn(&mut self) -> io::Result<()> {
        if self.head.len() < HEAD {
            let mut head = [0; HEAD];
            let n = read_all(&self.file, &mut head, 0)?;
            if n > self.head.len() {
                self.head = head[..n].to_vec();
                self.sum = crc32fast::hash(&self.head);
            }
        }
        Ok(())
    }

    /// Whether it is no more the file that was read so far.
    fn was_truncated(&self) -> io::Result<bool> {
        let mut head = [0; HEAD];
        let head = &mut head[..self.head.len()];
        let n = read_all(&self.file, head, 0)?;
        Ok(head[..n] != self.head[..] || self.file.metadata()?.len() < self.read)
    }

    /// Whether a place that was stored is in this file.
    fn holds(&self, place: &Place) -> io::Result<bool> {
        let mut head = [0; HEAD];
        let head = &mut head[..HEAD.min(place.head as usize)];
        let n = read_all(&self.file, head, 0)?;
        let same = n == place.head as usize && crc32fast::hash(head) == place.sum;
        Ok(same && self.file.metadata()?.len() >= place.offset)
    }
}

impl Tail {
    /// Follows `path`: from `saved` on; without it from the last whole line that it holds now, and from its beginning when it
    /// comes later. A file that was renamed since `saved` is looked for beside it.
    ///
    /// # Errors
    /// Those of opening and reading, except that it is not there; and that it is no plain file.
    pub fn open(path: &Path, saved: Option<&Place>) -> io::Result<Self> {
        let mut tail = Self {
            path: path.to_owned(),
            current: None,
            next: VecDeque::new(),
            since: None,
            over: VecDeque::new(),
            buffer: Vec::new(),
            used: 0,
            inside: false,
        };
        let found = open(path)?;
        let Some(place) = saved else {
            if let Some(mut open) = found {
                open.read = last_line(&open.file)?;
                tail.current = Some(open);
            }
            return Ok(tail);
        };
        let is = |open: &Open| (open.dev, open.ino) == (place.dev, place.ino);
        match found {
            Some(mut open) if is(&open) => {
                // Truncated since: all of it is new.
                if open.holds(place)? {
                    open.read = place.offset;
                }
                tail.current = Some(open);
            }
            other => {
                if let Some(old) = renamed(path, place)? {
                    let known = [Some(&old), other.as_ref()];
                    tail.next = between(path, written(&old.file.metadata()?), known.into_iter().flatten())?;
                    tail.current = Some(old);
                }
                tail.next.extend(other);
            }
        }
        Ok(tail)
    }

    /// The path that is followed.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next line begins; `None`: there is no file yet.
    #[must_use]
    pub fn place(&self) -> Option<Place> {
        let Open { dev, ino, read, head, sum, .. } = self.current.as_ref()?;
        // What a truncation has left of a line has no place in the file any more.
        let offset = read.saturating_sub((self.buffer.len() - self.used) as u64);
        Some(Place { dev: *dev, ino: *ino, offset, head: u32::try_from(head.len()).unwrap_or(0), sum: *sum })
    }

    /// The next line without its LF, and the place behind it; `None`: there is none now. A line that is longer than
    /// [`LONGEST`] comes in pieces.
    ///
    /// # Errors
    /// Those of opening and reading; it may be asked again.
    pub fn line(&mut self) -> io::Result<Option<(Vec<u8>, Place)>> {
        loop {
            if let Some(line) = self.take() {
                return Ok(self.place().map(|place| (line, place)));
            }
            // Looked at before reading: when a successor has begun, the old file holds all it will ever hold.
            self.look_for_successor()?;
            let begun = self.next.len() > 1
                || self.next.front().map(|open| open.file.metadata()).transpose()?.is_some_and(|meta| meta.len() > 0);
            if self.fill()? {
                continue;
            }
            if self.current.is_none() {
                match self.next.pop_front() {
                    Some(open) => self.current = Some(open),
                    None => return Ok(None),
                }
            } else if begun {
                // A line whose end will never come is one all the same, so that it does not run into what follows.
                if let Some(line) = self.rest() {
                    return Ok(self.place().map(|place| (line, place)));
                }
                self.leave();
            } else {
                return Ok(None);
            }
        }
    }

    /// Goes on to the next file.
    fn leave(&mut self) {
        // An empty one may get lines yet.
        self.over.extend(self.place().filter(|place| place.offset > 0));
        if self.over.len() > MAX_MISSED {
            self.over.pop_front();
        }
        self.current = self.next.pop_front();
    }

    /// A whole line out of the buffer, or a piece of a long one.
    fn take(&mut self) -> Option<Vec<u8>> {
        loop {
            let rest = &self.buffer[self.used..];
            let (line, used, inside) = match memchr::memchr(b'\n', &rest[..rest.len().min(LONGEST + 1)]) {
                Some(lf) => (&rest[..lf], lf + 1, false),
                None if rest.len() > LONGEST => (&rest[..LONGEST], LONGEST, true),
                None => return None,
            };
            let line = line.to_vec();
            self.used += used;
            let was_inside = std::mem::replace(&mut self.inside, inside);
            // The end of a line that was handed out in pieces is no line of its own.
            if !(was_inside && line.is_empty()) {
                return Some(line);
            }
        }
    }

    /// What is left of a file that is over.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = self.buffer.split_off(self.used);
        self.buffer.clear();
        self.used = 0;
        self.inside = false;
        Some(rest).filter(|rest| !rest.is_empty())
    }

    /// Reads on; false: nothing was added to the buffer.
    fn fill(&mut self) -> io::Result<bool> {
        let Some(open) = &mut self.current else { return Ok(false) };
        let before = self.buffer.len() - self.used;
        self.buffer.drain(..self.used);
        self.used = 0;
        self.buffer.resize(before + BLOCK, 0);
        let result = open.file.read_at(&mut self.buffer[before..], open.read);
        self.buffer.truncate(before + *result.as_ref().unwrap_or(&0));
        let n = result?;
        // Looked at after reading: what was read may be of the new content.
        if open.was_truncated()? {
            self.buffer.truncate(before);
            let meta = open.file.metadata()?;
            *open = Open::new(open.file.try_clone()?, &meta)?;
            let grown = meta.len() > 0;
            if let Some(mut rest) = self.rest() {
                rest.push(b'\n');
                self.buffer = rest;
                // It belongs to no place of the new content: the place behind it is its beginning.
                return Ok(true);
            }
            return Ok(grown);
        }
        open.read += n as u64;
        open.learn()?;
        Ok(n > 0)
    }

    /// Holds on to the file at the path if it is a new one, and to those that had the path meanwhile.
    ///
    /// # Errors
    /// Those of the file system; it may be asked again.
    pub fn look_for_successor(&mut self) -> io::Result<()> {
        if self.next.len() >= MAX_WAITING {
            return Ok(());
        }
        let newest = self.next.back().or(self.current.as_ref());
        let is = |dev, ino| newest.is_some_and(|open| (open.dev, open.ino) == (dev, ino));
        match std::fs::metadata(&self.path) {
            Ok(meta) if is(meta.dev(), meta.ino()) => {
                self.since = Some(written(&meta));
                return Ok(());
            }
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(e) => return Err(e),
        }
        let Some(open) = open(&self.path)?.filter(|open| !is(open.dev, open.ino)) else { return Ok(()) };
        let mut missed = VecDeque::new();
        if let Some(newest) = newest {
            let since = self.since.map_or_else(|| newest.file.metadata().map(|meta| written(&meta)), Ok)?;
            missed = between(&self.path, since, self.current.iter().chain(&self.next).chain([&open]))?;
            for over in &self.over {
                let is =
                    |open: &Open| (open.dev, open.ino) == (over.dev, over.ino) && open.holds(over).unwrap_or(false);
                missed.retain(|open| !is(open));
            }
        }
        self.since = Some(written(&open.file.metadata()?));
        self.next.extend(missed);
        self.next.push_back(open);
        Ok(())
    }
}

fn written(meta: &Metadata) -> Written {
    (meta.mtime(), meta.mtime_nsec())
}

/// `None`: it is not there.
fn open(path: &Path) -> io::Result<Option<Open>> {
    // A pipe would wait for whoever writes to it.
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag");
    match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => {
            let meta = file.metadata()?;
            if !meta.is_file() {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no plain file"));
            }
            Open::new(file, &meta).map(Some)
        }
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// The file of a place, which has another name in the same folder now. Truncated meanwhile it is read from its beginning.
fn renamed(path: &Path, place: &Place) -> io::Result<Option<Open>> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(e),
    };
    for entry in entries {
        let other = entry?.path();
        let same = std::fs::symlink_metadata(&other).is_ok_and(|m| (m.dev(), m.ino()) == (place.dev, place.ino));
        if same && let Some(mut open) = open(&other)? {
            if open.holds(place)? {
                open.read = place.offset;
                return Ok(Some(open));
            }
            // Any file may have the inode by now, but hardly any of that name.
            return Ok(is_called_like(&other, path).then_some(open));
        }
    }
    Ok(None)
}

/// Whether the name is that of `path` with `.` or `-` and more behind, and the file is not compressed.
fn is_called_like(other: &Path, path: &Path) -> bool {
    let (Some(other), Some(name)) = (other.file_name(), path.file_name()) else { return false };
    let other = other.as_encoded_bytes();
    let packed = [".gz", ".zst", ".xz", ".bz2"].iter().any(|end| other.ends_with(end.as_bytes()));
    let rest = other.strip_prefix(name.as_encoded_bytes());
    !packed && rest.is_some_and(|rest| rest.starts_with(b".") || rest.starts_with(b"-"))
}

/// What had the path since then and is not `known`, the oldest first: the files beside it that are called like it with `.` or `-`
/// and more behind, were written to later or in the same tick of the clock, and are not compressed. With a copy among them lines
/// come twice; none is lost.
fn between<'a>(path: &Path, since: Written, known: impl Iterator<Item = &'a Open>) -> io::Result<VecDeque<Open>> {
    let Some(folder) = path.parent() else { return Ok(VecDeque::new()) };
    let known: Vec<_> = known.map(|open| (open.dev, open.ino)).collect();
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if !is_called_like(&entry.path(), path) {
            continue;
        }
        // Gone or put away since the folder was read.
        let Ok(meta) = entry.metadata() else { continue };
        if meta.is_file() && written(&meta) >= since && !known.contains(&(meta.dev(), meta.ino())) {
            found.push((written(&meta), (meta.ctime(), meta.ctime_nsec()), entry.path()));
        }
    }
    found.sort();
    let late = found.len().saturating_sub(MAX_MISSED);
    found.drain(..late);
    found.into_iter().filter_map(|(.., path)| open(&path).transpose()).collect()
}

/// Behind the last LF; where a line is longer than any may be, at the end.
fn last_line(file: &File) -> io::Result<u64> {
    let end = file.metadata()?.len();
    let start = end.saturating_sub(LONGEST as u64);
    let mut block = vec![0; LONGEST];
    let n = read_all(file, &mut block, start)?;
    Ok(match memchr::memrchr(b'\n', &block[..n]) {
        Some(lf) => start + lf as u64 + 1,
        None if start == 0 => 0,
        None => end,
    })
}

#[cfg(test)]
#[path = "tail_tests.rs"]
mod tests;
