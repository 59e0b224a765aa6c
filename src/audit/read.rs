//! Reads a trail: all of its files in order, and on through rotations while it grows.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Deserialize;

use super::store::{self, FILES};

/// Bytes read at once.
const PIECE: usize = 256 * 1024;
/// How often the files are listed anew when they are rotated under our eyes.
const ATTEMPTS: usize = 5;

/// What every line has: enough to choose by, also of events that only a later release knows.
#[derive(Debug, Deserialize)]
pub struct Brief<'a> {
    /// When.
    pub ts: Timestamp,
    /// Which.
    pub seq: u64,
    /// What.
    #[serde(borrow)]
    pub event: Cow<'a, str>,
    /// The stream that it is about; `None` when it is about all of them.
    #[serde(default)]
    pub stream: Option<String>,
}

impl<'a> Brief<'a> {
    /// `None` for a line that a crash or a full disk tore.
    #[must_use]
    pub fn of(line: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(line).ok()
    }
}

/// The lines of a trail, the oldest first, through all rotations.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// Those that are still to be read; the first of them is being read.
    files: VecDeque<Open>,
    /// The beginning of a line.
    partial: Vec<u8>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    identity: (u64, u64),
}

impl Reader {
    /// Reads the trail whose newest file is `path`, from its oldest line on.
    ///
    /// # Errors
    /// Those of opening; a trail of which there is nothing has no lines yet.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), files: all(path)?, partial: Vec::new() })
    }

    /// The next whole lines, with their LF; empty when there are no more at the moment.
    ///
    /// # Errors
    /// Those of reading. It may be asked again.
    pub fn poll(&mut self) -> io::Result<Vec<u8>> {
        let mut piece = vec![0; PIECE];
        loop {
            let n = match self.files.front_mut() {
                Some(open) => open.file.read(&mut piece)?,
                None => 0,
            };
            if n > 0 {
                self.partial.extend_from_slice(&piece[..n]);
                if let Some(lf) = memchr::memrchr(b'\n', &self.partial) {
                    let rest = self.partial.split_off(lf + 1);
                    return Ok(std::mem::replace(&mut self.partial, rest));
                }
            } else if self.files.len() > 1 {
                self.files.pop_front();
                if !self.partial.is_empty() {
                    self.partial.push(b'\n');
                    return Ok(std::mem::take(&mut self.partial));
                }
            } else if !self.look_on()? {
                return Ok(Vec::new());
            }
        }
    }

    /// What follows the last LF: a line that is being written, or was torn.
    #[must_use]
    pub fn rest(self) -> Vec<u8> {
        self.partial
    }

    /// Whether the file being read has successors; it is complete then, and is read once more to its end.
    fn look_on(&mut self) -> io::Result<bool> {
        let known = self.files.front().map(|open| open.identity);
        match identity(&self.path) {
            Some(newest) if Some(newest) != known => {}
            _ => return Ok(false),
        }
        let mut all = all(&self.path)?;
        let behind = |known| all.iter().position(|open| open.identity == known).map(|at| at + 1);
        let from = match known {
            // One that is in none of the places was taken away by somebody: only the newest is new.
            Some(known) => behind(known).unwrap_or(all.len().saturating_sub(1)),
            None => 0,
        };
        self.files.extend(all.split_off(from));
        Ok(self.files.len() > usize::from(known.is_some()))
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()))
}

/// Every file that is there, the oldest first, as they were at one moment.
fn all(path: &Path) -> io::Result<VecDeque<Open>> {
    let mut attempt = 1;
    loop {
        let mut found = VecDeque::new();
        let mut still = true;
        for place in (0..FILES).rev().map(|n| store::place(path, n)) {
            match File::open(&place) {
                Ok(file) => {
                    let meta = file.metadata()?;
                    found.push_back((place, Open { file, identity: (meta.dev(), meta.ino()) }));
                }
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        for (place, open) in &found {
            still &= identity(place) == Some(open.identity);
        }
        if still || attempt == ATTEMPTS {
            return Ok(found.into_iter().map(|(_, open)| open).collect());
        }
        attempt += 1;
    }
}

/// The lines in `bytes`, without LF, empty ones left out.
pub fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == b'\n').filter(|line| !line.is_empty())
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
