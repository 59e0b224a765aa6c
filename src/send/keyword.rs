//! The word that is said first on each connection, and the file that it is read from again.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use zeroize::Zeroizing;

use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::secret::{LONGEST_KEYWORD, word};

/// A keyword that a port asks for.
pub struct Keyword {
    /// The last good one.
    word: Mutex<Zeroizing<String>>,
    /// Read before each connection: a sender may run for longer than a keyword is in force.
    file: Option<PathBuf>,
}

/// Says nothing of the word.
impl std::fmt::Debug for Keyword {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyword").field("file", &self.file).finish_non_exhaustive()
    }
}

impl Keyword {
    /// One that stays as it is; `from` names where it was found.
    ///
    /// # Errors
    /// Usage when no sender could say it.
    pub fn said(bytes: &[u8], from: &str) -> Result<Self> {
        Ok(Self { word: Mutex::new(checked(bytes, from)?), file: None })
    }

    /// The one line of a file.
    ///
    /// # Errors
    /// Usage when the file cannot be read, or holds no keyword.
    pub fn of_file(path: &Path) -> Result<Self> {
        let word = read(path)?;
        // A pipe (`<(command)`) gives it once.
        let lasts = path.metadata().is_ok_and(|meta| meta.is_file());
        Ok(Self { word: Mutex::new(word), file: lasts.then(|| path.to_owned()) })
    }

    /// What is to be said on a new connection: what the file holds now, or the last good word while it holds none.
    #[must_use]
    pub fn now(&self) -> Zeroizing<String> {
        let mut word = self.word.lock().unwrap_or_else(PoisonError::into_inner);
        let is_file = |path: &&PathBuf| path.metadata().is_ok_and(|meta| meta.is_file());
        if let Some(Ok(new)) = self.file.as_ref().filter(is_file).map(|path| read(path)) {
            *word = new;
        }
        word.clone()
    }
}

fn read(path: &Path) -> Result<Zeroizing<String>> {
    let shown = escape_str(&path.display().to_string());
    // All that it may be, its line end and one byte more. Never grown: what it is moved out of would not be wiped.
    let mut bytes = Zeroizing::new(Vec::with_capacity(LONGEST_KEYWORD + 3));
    let read: io::Result<_> =
        File::open(path).and_then(|file| file.take(LONGEST_KEYWORD as u64 + 3).read_to_end(&mut bytes));
    read.map_err(|e| Error::usage(format!("cannot read the keyword file {shown}: {}", io_reason(&e))))?;
    checked(&bytes, &format!("the keyword file {shown}"))
}

fn checked(bytes: &[u8], from: &str) -> Result<Zeroizing<String>> {
    let said = word(bytes).and_then(|said| std::str::from_utf8(said).map_err(|_| "is not UTF-8"));
    let said = said.map_err(|why| {
        Error::usage(format!("{from} {why}")).hint(format!("a keyword is one line of 1 to {LONGEST_KEYWORD} bytes"))
    })?;
    Ok(Zeroizing::new(said.to_owned()))
}
