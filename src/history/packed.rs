//! Compressed archives, read in blocks from any place, without a copy on the disk.
//!
//! A compressed archive can only be read from its beginning. What was decompressed is kept for a while, for all readers of
//! this process together: the blocks that were asked for and those right before them, so that scrolling back does not begin
//! anew with each page, and a few decoders that stand where somebody stopped, so that reading on does not either.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use super::look;
use crate::archive;
use crate::plan::Compress;

/// Bytes of a block.
pub const BLOCK: usize = 256 * 1024;
/// Blocks that are kept: 40 MiB.
const BLOCKS: usize = 160;
/// Blocks before one that is asked for that are kept with it: who scrolls back through 1 GiB decompresses it from its
/// beginning 64 times, each time in half on the average.
const BEFORE: u64 = 64;
/// Decoders that are kept; one of zstd has up to 8 MiB at the levels in use, one of gzip next to nothing.
const DECODERS: usize = 3;
/// Lengths that are kept.
const LENGTHS: usize = 50_000;

/// Which file it is, and that it is as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Key {
    identity: (u64, u64),
    bytes: u64,
    modified: (i64, i64),
}

/// How long an archive is, uncompressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Length {
    /// Bytes that can be read.
    pub bytes: u64,
    /// Why there are no more, if that is not the end of it.
    pub broken: Option<String>,
}

/// A compressed archive.
#[derive(Debug, Clone)]
pub struct Packed {
    key: Key,
    path: PathBuf,
    form: Compress,
}

/// A block, or where the archive ends.
#[derive(Debug)]
pub enum Block {
    /// Only the last one is shorter than [`BLOCK`].
    Bytes(Arc<Vec<u8>>),
    /// There is no such block.
    End(Length),
}

struct Decoder {
    key: Key,
    /// The block that it makes next.
    next: u64,
    reader: Box<dyn Read + Send>,
    used: u64,
}

/// The block of that number of an archive.
type Name = (Key, u64);

/// A block, and when it was used last.
type Used = (Arc<Vec<u8>>, u64);

/// What is kept.
#[derive(Default)]
struct Kept {
    blocks: HashMap<Name, Used>,
    decoders: Vec<Decoder>,
    lengths: HashMap<Key, Length>,
    /// Counts uses: what was used least recently goes first.
    clock: u64,
}

static KEPT: LazyLock<Mutex<Kept>> = LazyLock::new(Mutex::default);

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Packed {
    /// The archive in `file`, which lies at `path`.
    ///
    /// # Errors
    /// Those of asking what file it is.
    pub fn new(file: &File, path: PathBuf, form: Compress) -> io::Result<Self> {
        let meta = file.metadata()?;
        let key =
            Key { identity: (meta.dev(), meta.ino()), bytes: meta.len(), modified: (meta.mtime(), meta.mtime_nsec()) };
        Ok(Self { key, path, form })
    }

    /// How long it is: by reading all of it, once. With `cancel` set it gives up.
    ///
    /// # Errors
    /// Those of opening it, and [`io::ErrorKind::Interrupted`] when cancelled. What cannot be decoded is none: the length
    /// says so.
    pub fn length(&self, cancel: &AtomicBool) -> io::Result<Length> {
        let known = kept().lengths.get(&self.key).cloned();
        if let Some(length) = known {
            return Ok(length);
        }
        match self.find(u64::MAX, cancel)? {
            Block::End(length) => Ok(length),
            Block::Bytes(_) => Err(io::Error::other("an archive without an end")),
        }
    }

    /// The block with that number.
    ///
    /// # Errors
    /// As [`length`](Self::length).
    pub fn block(&self, index: u64, cancel: &AtomicBool) -> io::Result<Block> {
        let mut kept = kept();
        kept.clock += 1;
        let now = kept.clock;
        if let Some((block, used)) = kept.blocks.get_mut(&(self.key, index)) {
            *used = now;
            return Ok(Block::Bytes(Arc::clone(block)));
        }
        let beyond = |length: &&Length| index.checked_mul(BLOCK as u64).is_none_or(|start| start >= length.bytes);
        if let Some(length) = kept.lengths.get(&self.key).filter(beyond) {
            return Ok(Block::End(length.clone()));
        }
        drop(kept);
        self.find(index, cancel)
    }

    /// Decompresses up to that block.
    fn find(&self, index: u64, cancel: &AtomicBool) -> io::Result<Block> {
        let mut decoder = match kept().decoder(self.key, index) {
            Some(decoder) => decoder,
            None => self.begin()?,
        };
        loop {
            if cancel.load(Ordering::Relaxed) {
                kept().put_back(decoder);
                return Err(io::ErrorKind::Interrupted.into());
            }
            let start = decoder.next * BLOCK as u64;
            let (block, broken) = fill(&mut decoder.reader);
            let ended = block.len() < BLOCK;
            let length = Length {
                bytes: start + block.len() as u64,
                broken: broken.map(|e| look::about(&self.path, &e).to_string()),
            };
            let this = std::mem::replace(&mut decoder.next, start / BLOCK as u64 + 1);
            let block = Arc::new(block);
            let mut kept = kept();
            if this.saturating_add(BEFORE) >= index && !block.is_empty() {
                kept.keep((self.key, this), &block);
            }
            if ended {
                if kept.lengths.len() >= LENGTHS {
                    kept.lengths.clear();
                }
                kept.lengths.insert(self.key, length.clone());
            }
            if this == index && !block.is_empty() {
                if !ended {
                    kept.put_back(decoder);
                }
                return Ok(Block::Bytes(block));
            }
            if ended {
                return Ok(Block::End(length));
            }
        }
    }

    fn begin(&self) -> io::Result<Decoder> {
        let file = archive::open(&self.path)?;
        if Self::new(&file, PathBuf::new(), self.form)?.key != self.key {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(Decoder { key: self.key, next: 0, reader: archive::reader(file, self.form)?, used: 0 })
    }
}

impl Kept {
    /// One that stands at or before that block, the nearest.
    fn decoder(&mut self, key: Key, index: u64) -> Option<Decoder> {
        let fits = self.decoders.iter().enumerate().filter(|(_, decoder)| decoder.key == key && decoder.next <= index);
        let (place, _) = fits.max_by_key(|(_, decoder)| decoder.next)?;
        Some(self.decoders.swap_remove(place))
    }

    fn put_back(&mut self, mut decoder: Decoder) {
        self.clock += 1;
        decoder.used = self.clock;
        if self.decoders.len() >= DECODERS
            && let Some(oldest) = (0..self.decoders.len()).min_by_key(|place| self.decoders[*place].used)
        {
            self.decoders.swap_remove(oldest);
        }
        self.decoders.push(decoder);
    }

    fn keep(&mut self, name: Name, block: &Arc<Vec<u8>>) {
        self.clock += 1;
        if self.blocks.len() >= BLOCKS
            && let Some(oldest) = self.blocks.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| *name)
        {
            self.blocks.remove(&oldest);
        }
        self.blocks.insert(name, (Arc::clone(block), self.clock));
    }
}

/// A block, shorter only at the end or before an error.
fn fill(reader: &mut impl Read) -> (Vec<u8>, Option<io::Error>) {
    let mut block = vec![0; BLOCK];
    let mut n = 0;
    while n < BLOCK {
        match reader.read(&mut block[n..]) {
            Ok(0) => break,
            Ok(more) => n += more,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => {
                block.truncate(n);
                return (block, Some(e));
            }
        }
    }
    block.truncate(n);
    (block, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;
    use std::path::Path;

    static GO_ON: AtomicBool = AtomicBool::new(false);

    /// Bytes that compress, and are different everywhere.
    fn bytes(n: usize) -> Vec<u8> {
        (0..n).map(|i| u8::try_from((i / 100 * 31 + i % 7) % 251).unwrap()).collect()
    }

    fn gzip(path: &Path, bytes: &[u8]) -> Packed {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        std::fs::write(path, encoder.finish().unwrap()).unwrap();
        Packed::new(&File::open(path).unwrap(), path.to_owned(), Compress::Gzip).unwrap()
    }

    fn at(packed: &Packed, index: u64) -> Option<Vec<u8>> {
        match packed.block(index, &GO_ON).unwrap() {
            Block::Bytes(block) => Some(block.to_vec()),
            Block::End(_) => None,
        }
    }

    #[test]
    fn any_block_is_read_in_any_order() {
        let dir = tempfile::tempdir().unwrap();
        let all = bytes(BLOCK * (usize::try_from(BEFORE).unwrap() + 6) + 10);
        let packed = gzip(&dir.path().join("a.gz"), &all);
        let blocks: Vec<_> = all.chunks(BLOCK).map(<[u8]>::to_vec).collect();
        let last = blocks.len() as u64 - 1;
        for index in [last, last + 1, 0, 3, 2, last - 1, 1, u64::MAX, 4] {
            let expected = usize::try_from(index).ok().and_then(|index| blocks.get(index).cloned());
            assert!(at(&packed, index) == expected, "{index}");
        }
        assert_eq!(packed.length(&GO_ON).unwrap(), Length { bytes: all.len() as u64, broken: None });
        let even = gzip(&dir.path().join("b.gz"), &all[..2 * BLOCK]);
        assert_eq!(even.length(&GO_ON).unwrap().bytes, 2 * BLOCK as u64);
        assert!(at(&even, 2).is_none() && at(&even, 1).is_some());
    }

    #[test]
    fn of_a_broken_archive_all_before_the_break_is_read_and_the_break_is_told_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("broken.gz");
        // Noise, so that the half of the file is the half of the bytes.
        let all: Vec<u8> =
            (0..4 * BLOCK as u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()[0]).collect();
        gzip(&path, &all);
        let file = File::options().write(true).open(&path).unwrap();
        file.set_len(file.metadata().unwrap().len() / 2).unwrap();
        let packed = Packed::new(&file, path, Compress::Gzip).unwrap();
        assert!(at(&packed, 0).unwrap() == all[..BLOCK]);
        let length = packed.length(&GO_ON).unwrap();
        assert!((BLOCK as u64..all.len() as u64).contains(&length.bytes), "{length:?}");
        assert!(length.broken.unwrap().contains("broken.gz"));
    }

    #[test]
    fn what_is_kept_is_bounded_and_a_cancelled_search_gives_up() {
        let dir = tempfile::tempdir().unwrap();
        let packed = gzip(&dir.path().join("c.gz"), &bytes(BLOCK * 3));
        assert_eq!(packed.block(1, &AtomicBool::new(true)).unwrap_err().kind(), io::ErrorKind::Interrupted);
        for name in 0..DECODERS + 2 {
            let one = gzip(&dir.path().join(format!("{name}.gz")), &bytes(BLOCK * 40));
            (0..39).for_each(|index| assert!(at(&one, index).is_some()));
        }
        let kept = kept();
        assert!(kept.blocks.len() <= BLOCKS && kept.decoders.len() <= DECODERS);
    }
}
