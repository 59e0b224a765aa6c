//! A small state that is replaced in place, so that one of two whole versions is there at every instant.
//!
//! Two slots are written in turn; each has a number one higher than the other's, and a sum. A process that is killed has left
//! at most one of them half written, and so has a machine that lost its power. Writing a slot takes a microsecond where making
//! and renaming a file takes thirty, and it is done with every answer.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Bytes of a slot. The place of a followed file takes some 150: enough for several hundred.
const SLOT: usize = 128 * 1024;
const MAGIC: &[u8; 8] = b"reclog-1";
/// Magic, number, length, sum.
const HEAD: usize = 8 + 8 + 4 + 4;

/// The file.
#[derive(Debug)]
pub struct Slots {
    file: File,
    /// Of the newest version; 0 when there is none.
    number: u64,
}

impl Slots {
    /// Opens or makes the file; the newest version, if there is one.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn open(path: &Path) -> io::Result<(Self, Option<Vec<u8>>)> {
        let mut options = OpenOptions::new();
        // Both slots have their blocks from the beginning: a disk that is full later need give no more.
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let is_short = file.metadata()?.len() < 2 * SLOT as u64;
        let mut newest: Option<(u64, Vec<u8>)> = None;
        let mut filled = Ok(());
        for slot in 0..2 {
            let mut bytes = vec![0; SLOT];
            let n = read_all(&file, &mut bytes, slot * SLOT as u64)?;
            if let Some((number, payload)) = parse(&bytes[..n])
                && newest.as_ref().is_none_or(|(best, _)| number > *best)
            {
                newest = Some((number, payload.to_vec()));
            }
            if n < SLOT || slot == 0 && is_short {
                filled = filled.and_then(|()| fill(&file, &bytes[..n], slot * SLOT as u64));
            }
        }
        // Where there is a version nothing is lost yet by a disk that is full.
        if newest.is_none() {
            filled?;
        }
        let number = newest.as_ref().map_or(0, |(number, _)| *number);
        Ok((Self { file, number }, newest.map(|(_, payload)| payload)))
    }

    /// Replaces the state. It survives the end of this process at once, that of the machine after [`Slots::sync`].
    ///
    /// # Errors
    /// Those of the file system, and a state that is too long. The version before is untouched then.
    pub fn save(&mut self, payload: &[u8]) -> io::Result<()> {
        let number = self.number + 1;
        let length = u32::try_from(payload.len()).ok().filter(|n| *n as usize <= SLOT - HEAD);
        let length = length.ok_or_else(|| io::Error::other("too many files are followed"))?;
        let mut bytes = Vec::with_capacity(HEAD + payload.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&number.to_le_bytes());
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&sum(number, payload).to_le_bytes());
        bytes.extend_from_slice(payload);
        self.file.write_all_at(&bytes, (number % 2) * SLOT as u64)?;
        self.number = number;
        Ok(())
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// Writes the rest of a slot, behind what it holds.
fn fill(file: &File, there: &[u8], at: u64) -> io::Result<()> {
    let used = parse(there).map_or(0, |(_, payload)| HEAD + payload.len());
    file.write_all_at(&vec![0; SLOT - used], at + used as u64)
}

fn sum(number: u64, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&number.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

fn parse(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let rest = bytes.strip_prefix(MAGIC)?;
    let (number, rest) = rest.split_first_chunk::<8>()?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (there, rest) = rest.split_first_chunk::<4>()?;
    let number = u64::from_le_bytes(*number);
    let payload = rest.get(..u32::from_le_bytes(*length) as usize)?;
    (sum(number, payload) == u32::from_le_bytes(*there)).then_some((number, payload))
}

/// As much as there is, from `at` on.
pub fn read_all(file: &File, into: &mut [u8], at: u64) -> io::Result<usize> {
    let mut n = 0;
    while n < into.len() {
        match file.read_at(&mut into[n..], at + n as u64) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_whole_version_is_found_whatever_a_crash_has_left() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let (mut slots, none) = Slots::open(&path).unwrap();
        assert_eq!(none, None);
        for text in ["first", "second", "third"] {
            slots.save(text.as_bytes()).unwrap();
        }
        let whole = std::fs::read(&path).unwrap();
        assert_eq!(Slots::open(&path).unwrap().1.as_deref(), Some(&b"third"[..]));
        // "third" stands in the second slot; any byte of it that is missing or wrong brings "second" back.
        for at in 0..HEAD + 5 {
            let mut torn = whole.clone();
            torn[SLOT + at] ^= 0x40;
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(Slots::open(&path).unwrap().1.as_deref(), Some(&b"second"[..]), "byte {at}");
            std::fs::write(&path, &whole[..SLOT + at]).unwrap();
            assert_eq!(Slots::open(&path).unwrap().1.as_deref(), Some(&b"second"[..]), "cut at {at}");
        }
        let (mut slots, _) = Slots::open(&path).unwrap();
        slots.save(b"third again").unwrap();
        assert_eq!(Slots::open(&path).unwrap().1.as_deref(), Some(&b"third again"[..]));
        assert!(slots.save(&vec![0; SLOT]).is_err());
    }
}
