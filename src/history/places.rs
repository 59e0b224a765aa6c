//! Which streams there are, of collectors that run and of those that do not, and where the catalogs of their archives lie.

use std::path::{Path, PathBuf};

use crate::paths::Paths;

/// A stream that a collector has had, as it was when that one was started last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The collector.
    pub collector: String,
    /// The stream.
    pub stream: String,
    /// Its first output on disk, as the snapshot has it: a path, or a template.
    pub output: PathBuf,
    /// `raw`, `prefix` or `json`.
    pub format: String,
    /// The template of the prefix.
    pub prefix: Option<String>,
    /// Where the catalogs lie.
    pub folder: PathBuf,
}

impl Known {
    /// The catalog of `path`: the output, or one of the files of the template.
    #[must_use]
    pub fn catalog(&self, path: &Path) -> PathBuf {
        catalog_of(&self.folder, path)
    }
}

/// All streams that are known, those of collectors that run among them; by the names of collectors, then in the order of
/// their plans. What cannot be read is left out.
#[must_use]
pub fn catalogs(paths: &Paths) -> Vec<Known> {
    let _ = paths.states();
    todo!()
}

/// The catalog in `folder` of the file at `path`.
#[must_use]
pub fn catalog_of(folder: &Path, path: &Path) -> PathBuf {
    folder.join(path.file_name().unwrap_or_default())
}
