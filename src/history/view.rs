//! The bytes of a history as they are at one moment: the file held open, archives opened when their turn comes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::layout::{Piece, layout};
use super::look::{self, Found, Look};
use super::packed::{self, Block, Packed};
use super::page::{Bytes, Chunk, Part, Unreadable};
use crate::archive::Archive;
use crate::archive::catalog::Catalog;
use crate::plan::Compress;

/// Bytes of a plain file that are read at once.
const BLOCK: usize = 64 * 1024;

/// See the module.
pub struct View<'a> {
    place: PathBuf,
    segments: Vec<Segment>,
    /// Of all archives, empty ones among them.
    stamps: Vec<Timestamp>,
    /// Behind the last byte of the file; that may be the middle of a line.
    end: u64,
    /// Where the file at the path begins, and which file it is.
    file: (u64, Option<(u64, u64)>),
    /// The archive that was read last: its place among the segments.
    open: Option<(usize, Opened)>,
    cancel: &'a AtomicBool,
}

struct Segment {
    piece: Piece,
    /// What has no stamp yet.
    file: Option<File>,
    /// Nothing can be read at or behind this place; at first the end of the piece.
    readable: u64,
    /// Why not.
    why: Option<String>,
}

enum Opened {
    Plain(File),
    Packed(Packed),
}

impl<'a> View<'a> {
    /// Looks at `path`. The `catalog` is one that was read before this moment: later it may count the file as an archive.
    pub fn open(path: &Path, catalog: &Catalog, cancel: &'a AtomicBool) -> io::Result<Self> {
        let Look { file, aside, archives, place, .. } = look::look(path)?;
        // In the middle of a rotation one file may be seen under two names.
        let known = |found: &Found| archives.iter().any(|archive| archive.identity == found.identity);
        let file = file.filter(|found| !known(found));
        let aside = aside.filter(|found| !known(found) && file.as_ref().is_none_or(|f| f.identity != found.identity));

        let mut stamps: Vec<_> = archives.iter().map(|archive| archive.at).collect();
        stamps.dedup();
        let length = |at| length_of(&archives, at, cancel);
        let (pieces, mut end) = layout(catalog, &stamps, length)?;
        let segment = |piece: Piece, file| Segment { readable: piece.end(), piece, file, why: None };
        let mut segments: Vec<_> = pieces.into_iter().map(|piece| segment(piece, None)).collect();
        let (mut start, mut identity) = (end, None);
        for (found, is_file) in [(aside, false), (file, true)] {
            start = end;
            let Some(found) = found else { continue };
            identity = is_file.then_some(found.identity);
            let piece = Piece { start: end, length: found.file.metadata()?.len(), at: None };
            end = piece.end();
            segments.push(segment(piece, Some(found.file)));
        }
        segments.retain(|segment| segment.piece.length > 0);
        Ok(Self { place, segments, stamps, end, file: (start, identity), open: None, cancel })
    }

    /// The first byte that is there, as far as is known.
    pub fn first(&self) -> u64 {
        let readable = self.segments.iter().find(|segment| segment.readable > segment.piece.start);
        readable.map_or(self.end, |segment| segment.piece.start)
    }

    /// Behind the last byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Where the file begins that is at the path or, with a stamp, the archive; `None`: it is another one, or gone.
    pub fn start_of(&self, archive: Option<Timestamp>, identity: (u64, u64)) -> Option<u64> {
        if archive.is_none() {
            return self.file.1.filter(|file| *file == identity).map(|_| self.file.0);
        }
        self.pieces().find(|piece| piece.at == archive).map(|piece| piece.start)
    }

    /// Whether the archive of that stamp was there.
    pub fn has(&self, at: Timestamp) -> bool {
        self.stamps.binary_search(&at).is_ok()
    }

    /// Where the file at the path begins, or would.
    pub fn file_start(&self) -> u64 {
        self.file.0
    }

    /// Which file is at the path.
    pub fn identity(&self) -> Option<(u64, u64)> {
        self.file.1
    }

    /// The pieces that are there and hold something, in the order of writing.
    pub fn pieces(&self) -> impl DoubleEndedIterator<Item = Piece> {
        self.segments.iter().map(|segment| segment.piece)
    }

    /// What of the range turned out to be unreadable.
    pub fn unreadable(&self, from: u64, to: u64) -> Vec<Unreadable> {
        let broken = self.segments.iter().filter_map(|segment| Some((segment, segment.why.clone()?)));
        let all = broken.map(|(segment, why)| Unreadable { from: segment.readable, to: segment.piece.end(), why });
        all.filter(|part| part.from <= to && part.to >= from).collect()
    }

    /// The segment of the byte at `at`, if that can be read; else the first one behind it.
    fn find(&self, at: u64) -> Result<usize, Option<u64>> {
        let mut place = self.segments.partition_point(|segment| segment.piece.end() <= at);
        while let Some(Segment { piece, readable, .. }) = self.segments.get(place) {
            if *readable > at && *readable > piece.start {
                return if piece.start <= at { Ok(place) } else { Err(Some(piece.start)) };
            }
            place += 1;
        }
        Err(None)
    }

    /// Some bytes of that segment: those that begin at `at`, or with `back` those that end there. `None`: it has turned out
    /// that there are none, and the segment is shorter now.
    fn read(&mut self, place: usize, at: u64, back: bool) -> io::Result<Option<Chunk>> {
        if self.cancel.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let Segment { piece, readable, .. } = self.segments[place];
        let within = at - piece.start;
        if self.segments[place].file.is_none() && self.open.as_ref().is_none_or(|(open, _)| *open != place) {
            match self.open_archive(piece.at) {
                Ok(Some(opened)) => self.open = Some((place, opened)),
                // The bounds took it away.
                Ok(None) => return Ok(self.shorten(place, 0, None)),
                Err(e) => return Ok(self.shorten(place, 0, Some(e.to_string()))),
            }
        }
        let plain = match (&self.segments[place].file, &self.open) {
            (Some(file), _) | (None, Some((_, Opened::Plain(file)))) => file,
            (None, Some((_, Opened::Packed(packed)))) => {
                let last = if back { within - 1 } else { within };
                let (index, inside) = (last / packed::BLOCK as u64, last % packed::BLOCK as u64);
                let inside = usize::try_from(inside).unwrap_or(usize::MAX);
                let limit =
                    usize::try_from(readable - piece.start - index * packed::BLOCK as u64).unwrap_or(usize::MAX);
                let (length, broken) = match packed.block(index, self.cancel) {
                    Ok(Block::Bytes(block)) if inside < block.len().min(limit) => {
                        let range = if back { 0..inside + 1 } else { inside..block.len().min(limit) };
                        return Ok(Some(Chunk::new(block, range)));
                    }
                    Ok(Block::Bytes(block)) => {
                        let length = packed.length(self.cancel)?;
                        (index * packed::BLOCK as u64 + block.len() as u64, length.broken)
                    }
                    Ok(Block::End(length)) => (length.bytes, length.broken),
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
                    Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(self.shorten(place, 0, None)),
                    Err(e) => (0, Some(e.to_string())),
                };
                let why = broken.unwrap_or_else(|| self.too_short(piece, length));
                return Ok(self.shorten(place, length, Some(why)));
            }
            (None, None) => return Ok(None),
        };
        let (from, to) = if back {
            (within.saturating_sub(BLOCK as u64), within)
        } else {
            (within, (readable - piece.start).min(within + BLOCK as u64))
        };
        let mut block = vec![0; usize::try_from(to - from).unwrap_or(BLOCK)];
        match plain.read_exact_at(&mut block, from) {
            Ok(()) => {
                let range = 0..block.len();
                Ok(Some(Chunk::new(Arc::new(block), range)))
            }
            Err(e) if piece.at.is_none() => Err(e),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => {
                let length = plain.metadata()?.len().min(to.saturating_sub(1));
                let why = self.too_short(piece, length);
                Ok(self.shorten(place, length, Some(why)))
            }
            Err(e) => {
                let why = format!("cannot read an archive of {}: {e}", self.place.display());
                Ok(self.shorten(place, from, Some(why)))
            }
        }
    }

    fn too_short(&self, piece: Piece, length: u64) -> String {
        let name = piece.at.map_or_else(|| self.place.clone(), |at| crate::archive::archive_path(&self.place, at));
        format!("the archive {} has {length} bytes and had {} when it was put away", name.display(), piece.length)
    }

    /// Nothing can be read behind the first `length` bytes of that segment.
    fn shorten(&mut self, place: usize, length: u64, why: Option<String>) -> Option<Chunk> {
        let segment = &mut self.segments[place];
        segment.readable = segment.readable.min(segment.piece.start + length);
        segment.why = why;
        None
    }

    fn open_archive(&self, at: Option<Timestamp>) -> io::Result<Option<Opened>> {
        let Some(at) = at else { return Ok(None) };
        let Some((file, form, path)) = look::open_archive(&self.place, at)? else { return Ok(None) };
        Ok(Some(match form {
            Compress::None => Opened::Plain(file),
            _ => Opened::Packed(Packed::new(&file, path, form)?),
        }))
    }
}

impl Bytes for View<'_> {
    fn next(&mut self, at: u64) -> io::Result<Part> {
        loop {
            match self.find(at) {
                Ok(place) => {
                    if let Some(chunk) = self.read(place, at, false)? {
                        return Ok(Part::Data(chunk));
                    }
                }
                Err(Some(start)) => return Ok(Part::Hole(start)),
                Err(None) if at < self.end => return Ok(Part::Hole(self.end)),
                Err(None) => return Ok(Part::Edge),
            }
        }
    }

    fn previous(&mut self, at: u64) -> io::Result<Part> {
        loop {
            let behind = self.segments.partition_point(|segment| segment.piece.start < at);
            let before = self.segments[..behind].iter().rposition(|segment| segment.readable > segment.piece.start);
            let Some(place) = before else { return Ok(Part::Edge) };
            let readable = self.segments[place].readable;
            if readable < at {
                return Ok(Part::Hole(readable));
            }
            if let Some(chunk) = self.read(place, at, true)? {
                return Ok(Part::Data(chunk));
            }
        }
    }
}

/// The uncompressed bytes of the archive of `at`.
fn length_of(archives: &[Archive], at: Timestamp, cancel: &AtomicBool) -> io::Result<u64> {
    let first = archives.partition_point(|archive| archive.at < at);
    let Some(archive) = archives.get(first) else { return Ok(0) };
    if archive.form == Compress::None {
        return Ok(archive.bytes);
    }
    let length = crate::archive::open(&archive.path)
        .and_then(|file| Packed::new(&file, archive.path.clone(), archive.form))
        .and_then(|packed| packed.length(cancel));
    match length {
        // Of a broken one something is missing, nobody knows how much: with a byte of it no line goes on across the gap.
        Ok(length) => Ok(length.bytes + u64::from(length.broken.is_some())),
        Err(e) if e.kind() == io::ErrorKind::Interrupted => Err(e),
        // Removed at this very moment, or nothing that we may read: it has no place on the line.
        Err(_) => Ok(0),
    }
}
