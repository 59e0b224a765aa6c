//! What is appended to a path, as `tail -F` shows it, in whole lines.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use regex::bytes::Regex;

use super::last::last_of;
use super::look::{self, Look};
use super::opened::{Content, How, Open};

/// Bytes read at once, and the length of the pieces in which a line longer than that is handed out.
pub const PIECE: usize = 256 * 1024;

/// Files that may wait behind the current one, in descriptors. Empty ones make room: a quiet log that is rotated every day.
/// When all of them hold something, the reader is slow, and what comes later is found when it is wanted, as archives.
const MAX_WAITING: usize = 8;
/// How many polls in a row wait for the end of a rotation: two seconds. A crash may have left it in the middle.
const PATIENCE: u32 = 20;

/// Follows a path: the bytes appended to its file, then to the file that takes its place.
///
/// Lines come whole: the beginning of a line is kept until its LF is there. Only a line longer than [`PIECE`] comes in
/// pieces. When a file is replaced or truncated, a last line without LF is handed out with one, so that it never runs
/// into what follows.
///
/// A file that is renamed or deleted is followed on until the one that takes its place holds its first byte: up to
/// then the writer may not have noticed. Files that came and went between two polls are read where they are archives,
/// compressed or not; of those that others rename, they are not seen. Neither is a file that was truncated and has grown
/// beyond the old offset since.
#[derive(Debug)]
pub struct Follower {
    path: PathBuf,
    current: Option<Open>,
    /// What has taken its place, the oldest first. The last one is the newest file that was seen at the path.
    next: VecDeque<Next>,
    /// Where the first file begins; those that come after it begin at 0.
    first_offset: u64,
    /// The newest archive at the first look (the beginning of time: there was none): what is older is not followed.
    begun: Option<Timestamp>,
    /// Looks in a row that fell into the middle of a rotation.
    unsettled: u32,
    /// Read and not handed out: the beginning of a line, shorter than [`PIECE`].
    partial: Vec<u8>,
    /// The last piece that was handed out did not end its line.
    in_line: bool,
    /// Bytes read of all files together.
    taken: u64,
    /// For who wants to know of them: changes from one file to the next. Then a rotation ends no line.
    pub(super) turns: Option<Vec<Turned>>,
    /// Bytes of an archive are missing that could not be read, or of one that is gone.
    missing: bool,
    /// Looks in a row that found no file at the path.
    pub(super) away: u32,
    /// Polls in one [`super::POLL_INTERVAL`].
    pub(super) often: u32,
}

/// Lines, and where they begin.
#[derive(Debug, Default)]
pub(super) struct Arrived {
    /// As [`Follower::poll`] returns it.
    pub bytes: Vec<u8>,
    /// Bytes that came before, of all files together.
    pub at: u64,
    /// The LF at the end is not in the file.
    pub invented: bool,
}

/// The next file is read from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Turned {
    /// Bytes that came before, of all files together.
    pub at: u64,
    /// What has become of the one before.
    pub how: How,
    /// The stamp of the archive that it is.
    pub archive: Option<Timestamp>,
    /// Device and inode of a file that is none.
    pub identity: (u64, u64),
    /// Nothing is missing between the two, and the line at the end of the one before goes on in it.
    pub joined: bool,
}

#[derive(Debug)]
enum Next {
    /// Held open from the moment it is seen, empty or not, so that none is lost that is renamed before its first byte.
    File(Open),
    /// Opened when its turn comes: there may be thousands.
    Archive(Timestamp, How),
}

impl Follower {
    /// Follows `path` from `offset` on, in bytes. The file need not be there yet.
    #[must_use]
    pub fn new(path: &Path, offset: u64) -> Self {
        Self {
            path: path.to_owned(),
            current: None,
            next: VecDeque::new(),
            first_offset: offset,
            begun: None,
            unsettled: 0,
            partial: Vec::new(),
            in_line: false,
            taken: 0,
            turns: None,
            missing: false,
            away: 0,
            often: 1,
        }
    }

    /// Follows what there is in `look` from `offset` on in the archive of `first`, or, where that is none, in the file (or the
    /// one `beside` it that is being put away); and all that comes. It notes turns.
    pub(super) fn within(path: &Path, look: Look, first: Option<Timestamp>, beside: bool, offset: u64) -> Self {
        let since = look.newest();
        let mut follower = Self { first_offset: offset, turns: Some(Vec::new()), ..Self::new(path, 0) };
        follower.begun = Some(since.unwrap_or(Timestamp::MIN));
        if let Some(first) = first {
            let stamps = look.stamps(None).into_iter().filter(|at| *at >= first);
            follower.next.extend(stamps.map(|at| Next::Archive(at, How::Rotated)));
        }
        let aside = look.aside.filter(|_| first.is_some() || beside);
        follower.next.extend(aside.map(|found| Next::File(Open::new(found, since, How::Rotated))));
        follower.next.extend(look.file.map(|found| Next::File(Open::new(found, since, How::Rotated))));
        follower
    }

    /// The last `n` whole lines (see [`super::last_records`]) and a follower that goes on right behind them: nothing is
    /// missing or doubled between the two. A last line without LF is left to the follower. A missing file has no lines.
    ///
    /// # Errors
    /// Those of opening and reading `path` and its archives, except that it is not there.
    pub fn after_last(path: &Path, n: usize, filter: Option<&Regex>) -> io::Result<(Vec<Vec<u8>>, Self)> {
        let mut follower = Self::new(path, 0);
        let look = look::look(path)?;
        let end = match &look.file {
            Some(found) => whole_lines(&found.file, found.file.metadata()?.len())?,
            None => 0,
        };
        let lines = last_of(&look, end, n, filter)?;
        let since = look.newest();
        follower.begun = Some(since.unwrap_or(Timestamp::MIN));
        follower.current = look.file.map(|found| Open { offset: end, ..Open::new(found, since, How::First) });
        Ok((lines, follower))
    }

    /// What has arrived: whole lines with their LF, or a piece of a line longer than [`PIECE`]; twice [`PIECE`] at most.
    /// Empty when there is nothing: wait [`super::POLL_INTERVAL`] before asking again, and do not wait before that.
    ///
    /// # Errors
    /// Those of opening and reading; that the file is not there is none. It may be asked again afterwards.
    pub fn poll(&mut self) -> io::Result<Vec<u8>> {
        Ok(self.arrive()?.bytes)
    }

    /// As [`poll`](Self::poll), with the place.
    pub(super) fn arrive(&mut self) -> io::Result<Arrived> {
        // Looked at before reading: when a successor has begun, the old file holds all it will ever hold.
        self.look_for_successor()?;
        if self.current.is_none() && !self.turn()? {
            return Ok(Arrived::default());
        }
        loop {
            let begun = self.successor_has_begun()?;
            let arrived = self.read()?;
            if !arrived.bytes.is_empty() || !begun {
                return Ok(arrived);
            }
            if !self.at_end()? {
                // Of an archive the end is not known before it is read.
                if self.current.as_ref().is_some_and(|open| matches!(open.content, Content::Packed { .. })) {
                    continue;
                }
                return Ok(arrived);
            }
            if !self.turn()? {
                return Ok(arrived);
            }
            if self.turns.as_ref().is_some_and(|turns| turns.last().is_some_and(|turned| turned.joined)) {
                continue;
            }
            let ended = self.end_partial();
            if !ended.bytes.is_empty() {
                return Ok(ended);
            }
        }
    }

    /// Where it has come to in its file, in bytes, if it holds nothing back and nothing waits behind that file.
    #[must_use]
    pub fn rests_at(&self) -> Option<u64> {
        let rests = self.next.is_empty() && self.partial.is_empty() && !self.in_line;
        self.current.as_ref().filter(|_| rests).map(|open| open.offset)
    }

    /// Goes on with the next file; false: there is none.
    fn turn(&mut self) -> io::Result<bool> {
        let first = self.current.is_none();
        while let Some(next) = self.next.pop_front() {
            // Where the first one begins, if it is there.
            let offset = if first && !self.missing { std::mem::take(&mut self.first_offset) } else { 0 };
            let (open, archive) = match next {
                Next::File(open) => (Open { offset: open.offset.max(offset), ..open }, None),
                Next::Archive(at, how) => {
                    let Some(found) = look::open_archive(&look::place(&self.path), at)? else {
                        // The bounds took it away.
                        self.missing = true;
                        continue;
                    };
                    (Open::archive(found, offset, how).inspect_err(|_| self.missing = true)?, Some(at))
                }
            };
            let missing = std::mem::take(&mut self.missing);
            if let Some(turns) = &mut self.turns
                && (!first || missing)
            {
                let Open { how, identity, .. } = open;
                let joined = how == How::Rotated && !missing;
                turns.push(Turned { at: self.taken, how, archive, identity, joined });
            }
            self.current = Some(open);
            return Ok(true);
        }
        Ok(false)
    }

    /// The newest file that was seen at the path.
    fn newest(&self) -> Option<&Open> {
        match self.next.back() {
            Some(Next::File(open)) => Some(open),
            _ => self.current.as_ref(),
        }
    }

    /// Holds on to the file at the path if it is a new one, and to the archives between it and the last one.
    fn look_for_successor(&mut self) -> io::Result<()> {
        let known = self.newest().map(|open| open.identity);
        if known.is_some() {
            let found = look::identity(&self.path)?;
            self.away = if found.is_none() { self.away.saturating_add(1) } else { 0 };
            if found.is_none_or(|found| Some(found) == known) {
                self.unsettled = 0;
                return Ok(());
            }
        }
        if !self.make_room()? {
            return Ok(());
        }
        let look = look::look(&self.path)?;
        if !look.settled && self.unsettled < PATIENCE.saturating_mul(self.often) {
            self.unsettled += 1;
            return Ok(());
        }
        self.unsettled = 0;
        let (after, how) = match self.newest() {
            Some(Open { content: Content::Plain(file), identity, since, .. }) => {
                let became = look.became(file, *identity, *since)?;
                let aside = look.aside.as_ref().is_some_and(|found| found.identity == *identity);
                (became.or(*since), if became.is_some() || aside { How::Rotated } else { How::Replaced })
            }
            _ => (Some(*self.begun.get_or_insert(look.newest().unwrap_or(Timestamp::MIN))), How::First),
        };
        let since = look.newest();
        let missed = look.stamps(after);
        let Look { file, aside, .. } = look;
        let Some(file) = file.filter(|found| Some(found.identity) != known) else { return Ok(()) };
        // Only the first of them has taken the place of the one that is known.
        let (mut how, later) = (Some(how), |how: &mut Option<How>| how.take().unwrap_or(How::Rotated));
        let mut file = Open::new(file, since, How::Rotated);
        if known.is_none() && missed.is_empty() {
            file.offset = std::mem::take(&mut self.first_offset);
        } else if known.is_none() {
            self.first_offset = 0;
        }
        self.next.extend(missed.into_iter().map(|at| Next::Archive(at, later(&mut how))));
        let aside = aside.filter(|found| Some(found.identity) != known);
        self.next.extend(aside.map(|found| Next::File(Open::new(found, since, later(&mut how)))));
        file.how = later(&mut how);
        self.next.push_back(Next::File(file));
        Ok(())
    }

    /// Whether one more file may wait; for it an empty one may have gone. A file that holds something never goes.
    fn make_room(&mut self) -> io::Result<bool> {
        let (mut waiting, mut empty) = (0, None);
        for (place, next) in self.next.iter().enumerate() {
            let Next::File(open) = next else { continue };
            waiting += 1;
            if empty.is_none() && open.length()? == Some(0) {
                empty = Some(place);
            }
        }
        if waiting < MAX_WAITING {
            return Ok(true);
        }
        // Not the newest one: what comes next is found by it.
        let empty = empty.filter(|place| place + 1 < self.next.len());
        Ok(empty.and_then(|place| self.next.remove(place)).is_some())
    }

    /// Whether a file behind the current one holds anything.
    fn successor_has_begun(&self) -> io::Result<bool> {
        for next in &self.next {
            match next {
                // Nothing is put away before it is followed by another one.
                Next::Archive(..) => return Ok(true),
                Next::File(open) if open.length()?.is_some_and(|length| length > 0) => return Ok(true),
                Next::File(_) => {}
            }
        }
        Ok(false)
    }

    fn at_end(&self) -> io::Result<bool> {
        match &self.current {
            Some(Open { content: Content::Packed { ended, .. }, .. }) => Ok(*ended),
            Some(current) => Ok(current.length()?.is_none_or(|length| current.offset >= length)),
            None => Ok(true),
        }
    }

    /// One block of the current file.
    fn read(&mut self) -> io::Result<Arrived> {
        let Some(current) = &mut self.current else { return Ok(Arrived::default()) };
        if current.length()?.is_some_and(|length| length < current.offset) {
            current.offset = 0;
            let identity = current.identity;
            if let Some(turns) = &mut self.turns {
                let how = How::Truncated;
                turns.push(Turned { at: self.taken, how, archive: None, identity, joined: false });
            }
            let ended = self.end_partial();
            if !ended.bytes.is_empty() {
                return Ok(ended);
            }
        }
        let Some(current) = &mut self.current else { return Ok(Arrived::default()) };
        let before = self.partial.len();
        self.partial.resize(before + PIECE, 0);
        let result = current.read(&mut self.partial[before..]);
        let n = *result.as_ref().unwrap_or(&0);
        self.partial.truncate(before + n);
        self.taken += n as u64;
        // Of a file, it is asked for again.
        self.missing |= result.is_err() && current.length()?.is_none();
        result?;

        let bytes = match memchr::memrchr(b'\n', &self.partial[before..]) {
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
        };
        let at = self.taken - (self.partial.len() + bytes.len()) as u64;
        Ok(Arrived { bytes, at, invented: false })
    }

    /// The beginning of a line whose end will never come, ended.
    fn end_partial(&mut self) -> Arrived {
        let mut bytes = std::mem::take(&mut self.partial);
        let at = self.taken - bytes.len() as u64;
        let invented = std::mem::take(&mut self.in_line) || !bytes.is_empty();
        if invented {
            bytes.push(b'\n');
        }
        Arrived { bytes, at, invented }
    }
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
