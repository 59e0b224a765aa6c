//! The files that a template has made.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::is_beside;
use crate::plan::{Piece, Template, fits};

/// One of them. Links are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Made {
    /// Where it lies.
    pub path: PathBuf,
    /// Bytes in it.
    pub bytes: u64,
    /// When it was last written.
    pub modified: SystemTime,
    /// Device and inode.
    pub identity: (u64, u64),
}

/// All that are there, those written last first.
///
/// # Errors
/// Those of reading the fixed folder. What cannot be read below it is left out: it is not ours.
pub fn made(template: &Template) -> io::Result<Vec<Made>> {
    let mut all = Vec::new();
    walk(template.fixed(), &template.patterns(), &mut all)?;
    all.sort_by(|a, b| b.modified.cmp(&a.modified).then_with(|| a.path.cmp(&b.path)));
    Ok(all)
}

fn walk(folder: &Path, patterns: &[Vec<Piece>], all: &mut Vec<Made>) -> io::Result<()> {
    let Some((pattern, below)) = patterns.split_first() else { return Ok(()) };
    for entry in fs::read_dir(folder)? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| fits(pattern, name)) {
            continue;
        }
        // Of the entry itself, links not followed. It may be gone again.
        let Ok(meta) = entry.metadata() else { continue };
        if !below.is_empty() && meta.is_dir() {
            let _ = walk(&entry.path(), below, all);
        } else if below.is_empty() && meta.is_file() && !is_beside(&name) {
            all.push(Made {
                path: entry.path(),
                bytes: meta.len(),
                modified: meta.modified()?,
                identity: (meta.dev(), meta.ino()),
            });
        }
    }
    Ok(())
}
