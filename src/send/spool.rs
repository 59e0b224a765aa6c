//! What was read from standard input and has no acknowledgement: files of records in a folder.
//!
//! A place in the spool is the number of bytes that were ever written before it. Each file is called after the place where it
//! begins, so that files that are done with can be removed and places stay what they are.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::records::{self, Look};
use super::slots::read_all;

/// Bytes of a file: what is done with goes in pieces of this size.
const SEGMENT: u64 = 8 * 1024 * 1024;
/// How long a record may lie in the memory of the kernel alone: what a machine that loses its power may lose.
const SYNC: Duration = Duration::from_secs(1);
/// Bytes that are read at once; more than one record.
const BLOCK: usize = 2 * (records::LONGEST + records::HEAD);

/// The records.
#[derive(Debug)]
pub struct Spool {
    folder: PathBuf,
    /// Where files begin, the last one being written to.
    segments: BTreeSet<u64>,
    /// The last one.
    file: Option<File>,
    /// Where the next byte goes on disk.
    end: u64,
    /// Encoded, and not on disk: what a full disk would not take. Whole records.
    waiting: Vec<u8>,
    /// The first byte on disk that no fsync covers was written then.
    dirty: Option<Instant>,
    reader: Reader,
    /// Bytes that may lie here.
    most: u64,
    /// What is before it is done with.
    acked: u64,
}

#[derive(Debug, Default)]
struct Reader {
    /// Where the next record begins.
    at: u64,
    /// The file that has it, and where that begins.
    file: Option<(u64, File)>,
    /// Read ahead, from `at - used` on.
    block: Vec<u8>,
    used: usize,
}

impl Spool {
    /// Opens what lies in `folder`. `acked`: the place before which everything is done with.
    ///
    /// The second value is the number of bytes that a crash has left at the end and that are no records; they are cut off.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(folder: &Path, acked: u64, most: u64) -> io::Result<(Self, u64)> {
        let mut segments = BTreeSet::new();
        for entry in std::fs::read_dir(folder)? {
            if let Some(start) = start_of(&entry?.file_name().to_string_lossy()) {
                segments.insert(start);
            }
        }
        // A machine that lost its power may also remember a file that is gone and not the answer.
        let acked = segments.first().map_or(acked, |first| acked.max(*first));
        let (mut end, mut torn) = (0, 0);
        if let Some(last) = segments.last().copied() {
            let file = OpenOptions::new().read(true).write(true).open(folder.join(name_of(last)))?;
            let length = file.metadata()?.len();
            end = last + whole(&file)?;
            torn = last + length - end;
            if torn > 0 && !is_torn(&file, end - last)? {
                return Err(damage(&folder.join(name_of(last)), end - last));
            }
            if torn > 0 {
                file.set_len(end - last)?;
            }
        }
        // A machine that lost its power may remember an answer and not the record.
        let end = end.max(acked);
        let reader = Reader { at: acked, ..Reader::default() };
        let (folder, waiting) = (folder.to_owned(), Vec::new());
        let mut spool = Self { folder, segments, file: None, end, waiting, dirty: None, reader, most, acked };
        spool.done(acked);
        Ok((spool, torn))
    }

    /// Adds a record; [`Spool::write`] brings it to the file.
    pub fn push(&mut self, record: &[u8]) {
        records::encode(record, &mut self.waiting);
    }

    /// Writes what was pushed.
    ///
    /// # Errors
    /// Those of the file system: what is not written is tried again next time, from the record where it stopped.
    pub fn write(&mut self, now: Instant) -> io::Result<()> {
        let result = self.write_waiting(now);
        // What is done with may be all that fills the disk.
        match result {
            Err(_) if self.done(self.acked) => self.write_waiting(now),
            result => result,
        }
    }

    fn write_waiting(&mut self, now: Instant) -> io::Result<()> {
        let mut written = 0;
        let result = loop {
            if written == self.waiting.len() {
                break Ok(());
            }
            let result = match self.segment() {
                Ok(()) => self.file.as_ref().expect("it is open").write(&self.waiting[written..]),
                Err(e) => Err(e),
            };
            match result {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(n) => {
                    written += n;
                    self.end += n as u64;
                    self.dirty.get_or_insert(now);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => break Err(e),
            }
        };
        if result.is_err() {
            written -= self.cut_half(written);
        }
        self.waiting.drain(..written);
        // Records never span two files: a new one begins where nothing waits.
        if result.is_ok() && self.segments.last().is_some_and(|start| self.end - start >= SEGMENT) {
            self.sync()?;
            self.file = None;
        }
        result
    }

    /// After so many bytes no more could be written: takes back the record that is half written. How many bytes that were.
    fn cut_half(&mut self, written: usize) -> usize {
        let mut whole = 0;
        while let Look::Record(_, n) = records::look(&self.waiting[whole..written]) {
            whole += n;
        }
        let half = written - whole;
        self.end -= half as u64;
        if half > 0
            && let (Some(file), Some(start)) = (&self.file, self.segments.last())
            && file.set_len(self.end - start).is_err()
        {
            // The next record begins a file of its own.
            self.file = None;
        }
        half
    }

    /// Opens the file to write to.
    fn segment(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut options = OpenOptions::new();
            options.append(true).mode(0o600);
            let last = self.segments.last().copied().filter(|start| self.end - start < SEGMENT);
            let file = match last {
                // It may end before `end` after a loss of power; then another one begins.
                Some(start) if self.folder.join(name_of(start)).metadata()?.len() == self.end - start => {
                    options.open(self.folder.join(name_of(start)))?
                }
                _ => {
                    let file = options.create_new(true).open(self.folder.join(name_of(self.end)))?;
                    self.segments.insert(self.end);
                    file
                }
            };
            self.file = Some(file);
        }
        Ok(())
    }

    /// Brings to the disk what has waited long enough.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync_if_due(&mut self, now: Instant) -> io::Result<()> {
        match self.dirty {
            Some(since) if now.duration_since(since) >= SYNC => self.sync(),
            _ => Ok(()),
        }
    }

    /// When [`Spool::sync_if_due`] has something to do.
    #[must_use]
    pub fn sync_due(&self) -> Option<Instant> {
        self.dirty.map(|since| since + SYNC)
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&mut self) -> io::Result<()> {
        if self.dirty.is_some() {
            if let Some(file) = &self.file {
                file.sync_data()?;
            }
            File::open(&self.folder)?.sync_all()?;
            self.dirty = None;
        }
        Ok(())
    }

    /// The next record, and the place behind it.
    ///
    /// # Errors
    /// Those of the file system, and damage: bytes that are no record.
    pub fn read(&mut self) -> io::Result<Option<(Vec<u8>, u64)>> {
        loop {
            let Reader { at, block, used, .. } = &mut self.reader;
            if *at >= self.end {
                return Ok(None);
            }
            match records::look(&block[*used..]) {
                Look::Record(record, n) => {
                    let record = record.to_vec();
                    *used += n;
                    *at += n as u64;
                    return Ok(Some((record, *at)));
                }
                Look::Damaged => return Err(self.damaged()),
                Look::More => {
                    if !self.fill()? {
                        return Err(self.damaged());
                    }
                }
            }
        }
    }

    /// Reads on from the record that is next; false: there is no more than was read before.
    fn fill(&mut self) -> io::Result<bool> {
        let Reader { at, file, block, used } = &mut self.reader;
        let known = block.len() - *used;
        let start = self.segments.range(..=*at).next_back().copied();
        let start = start.ok_or_else(|| io::Error::other("a file of the spool is missing"))?;
        let other = file.as_ref().is_none_or(|(open, _)| *open != start);
        if other {
            *file = Some((start, File::open(self.folder.join(name_of(start)))?));
        }
        let (_, file) = file.as_ref().expect("opened above");
        block.resize(BLOCK, 0);
        let result = read_all(file, block, *at - start);
        *used = 0;
        block.truncate(*result.as_ref().unwrap_or(&0));
        let n = result?;
        Ok(n > known || other && n > 0)
    }

    fn damaged(&self) -> io::Error {
        let start = self.segments.range(..=self.reader.at).next_back().copied().unwrap_or_default();
        damage(&self.folder.join(name_of(start)), self.reader.at - start)
    }

    /// Everything before `place` is acknowledged; files that hold nothing else go. Whether bytes were given back to the disk.
    pub fn done(&mut self, place: u64) -> bool {
        self.acked = place;
        let mut freed = false;
        while let Some(first) = self.segments.first().copied() {
            let after = self.segments.range(first + 1..).next().copied();
            // The last one goes when it is full, too, or when it is being left, or when the disk takes no more.
            let over = match after {
                Some(after) => after <= place,
                None => self.end <= place && (self.file.is_none() || self.is_stuck()),
            };
            if !over || std::fs::remove_file(self.folder.join(name_of(first))).is_err() {
                return freed;
            }
            self.segments.remove(&first);
            freed |= after.unwrap_or(self.end) > first;
            // Another one may come to have its name.
            self.reader.file.take_if(|(open, _)| *open == first);
            if after.is_none() {
                (self.file, self.dirty) = (None, None);
            }
        }
        freed
    }

    /// Whether more may be pushed: the disk takes it, and the bound is not reached.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.waiting.is_empty() && !self.is_full()
    }

    /// Whether as much lies here as may.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.end.saturating_sub(self.acked) >= self.most
    }

    /// Whether the file would not take what was pushed.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Records that were pushed and are not on disk.
    #[must_use]
    pub fn unwritten(&self) -> u64 {
        let (mut rest, mut n) = (&self.waiting[..], 0);
        while let Look::Record(_, length) = records::look(rest) {
            (rest, n) = (&rest[length..], n + 1);
        }
        n
    }

    /// Whether every record was read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        self.waiting.is_empty() && self.reader.at >= self.end
    }

    /// Records that have no acknowledgement, on disk or not.
    ///
    /// # Errors
    /// As [`Spool::read`].
    pub fn left(&mut self) -> io::Result<u64> {
        self.rewind();
        let mut n = 0;
        while self.read()?.is_some() {
            n += 1;
        }
        Ok(n)
    }

    /// Reads on from what has no acknowledgement.
    pub fn rewind(&mut self) {
        self.reader = Reader { at: self.acked, ..Reader::default() };
    }

    /// Nothing more is written; an empty spool leaves no file.
    ///
    /// # Errors
    /// Those of the file system: the last records may not be on the disk.
    pub fn finish(&mut self) -> io::Result<()> {
        self.sync()?;
        self.file = None;
        self.done(self.acked);
        Ok(())
    }
}

fn name_of(start: u64) -> String {
    format!("{start:020}.records")
}

fn start_of(name: &str) -> Option<u64> {
    name.strip_suffix(".records").filter(|digits| digits.len() == 20)?.parse().ok()
}

fn damage(file: &Path, at: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} holds no record at byte {at}", file.display()))
}

/// Whether what follows is no more than a crash leaves behind: one record that is not whole, and zeros where a machine has lost
/// its power. With a whole one behind it is damage.
fn is_torn(file: &File, at: u64) -> io::Result<bool> {
    let length = Some(file.metadata()?.len() - at).filter(|length| *length <= 2 * SEGMENT);
    let Some(length) = length.and_then(|length| usize::try_from(length).ok()) else { return Ok(false) };
    let mut rest = vec![0; length];
    let n = read_all(file, &mut rest, at)?;
    let end = rest[..n].iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let is_whole = |at| matches!(records::look(&rest[at..n]), Look::Record(..));
    Ok(n == length && end <= records::HEAD + records::LONGEST && !(0..end).any(is_whole))
}

/// How many bytes of a file are whole records.
fn whole(file: &File) -> io::Result<u64> {
    let (mut at, mut block) = (0, vec![0; BLOCK]);
    loop {
        let n = read_all(file, &mut block, at)?;
        let mut used = 0;
        while let Look::Record(_, length) = records::look(&block[used..n]) {
            used += length;
        }
        if used == 0 {
            return Ok(at);
        }
        at += used as u64;
    }
}

#[cfg(test)]
#[path = "spool_tests.rs"]
mod tests;
