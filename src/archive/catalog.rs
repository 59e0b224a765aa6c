//! The catalog of a file: what was put away of it, and how long each piece was before it was compressed.
//!
//! One JSON object a line, in the order of writing: a head that names the file, then the entries. It only makes offsets
//! stable: what it lacks is counted anew from the archives, as far as these are still there. A torn line is passed over.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// What the streams of a collector are, beside their catalogs.
const SOURCES: &str = "streams.json";

/// Where the catalogs of a collector lie, below its state folder.
pub const FOLDER: &str = "history";

/// A stream and what becomes of its records, for whoever looks at it when its collector does not run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The name of the stream.
    pub stream: String,
    /// Its first output on disk: a path, or the template of many.
    pub output: PathBuf,
    /// `raw`, `prefix` or `json`.
    pub format: String,
    /// The template of the prefix.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
}

/// The streams that were written down in `folder`, in the order of the plan.
///
/// # Errors
/// Those of reading the file, and that it is not what it should be.
pub fn sources(folder: &Path) -> io::Result<Vec<Source>> {
    Ok(serde_json::from_slice(&std::fs::read(folder.join(SOURCES))?)?)
}

/// Writes down the streams in `folder`, in the place of those that are there.
///
/// # Errors
/// Those of writing the file.
pub fn write_sources(folder: &Path, all: &[Source]) -> io::Result<()> {
    let mut text = Vec::new();
    append(&mut text, &all);
    write(&folder.join(SOURCES), &text)
}

/// Puts a whole file in the place of the one that is there, mode 0600.
///
/// # Errors
/// Those of every step.
pub fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let part = path.with_extension("part");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options.open(&part)?.write_all(text)?;
    std::fs::rename(part, path)
}

/// The catalog in `folder` of the file that lies at `place`. The name is made from the whole path: thousands of files of a
/// template may be called the same.
#[must_use]
pub fn path(folder: &Path, place: &Path) -> PathBuf {
    let around = super::folder(place);
    let around = around.canonicalize().unwrap_or_else(|_| crate::paths::absolute(around));
    let place = around.join(place.file_name().unwrap_or_default());
    let hash = Sha256::digest(place.as_os_str().as_bytes());
    let number = hash[..16].iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
    folder.join(format!("{number:032x}.jsonl"))
}

/// Names the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Where the file lies, links followed; for people, and to find out whether it is still there.
    pub file: String,
    /// The stream that it is an output of.
    pub stream: String,
}

/// A piece of the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stamp of the archive; of another piece when it was noticed.
    pub at: Timestamp,
    /// Its bytes, uncompressed. Of a base: all bytes up to that moment.
    pub bytes: u64,
    /// What it is.
    #[serde(default, skip_serializing_if = "is_archive")]
    pub what: What,
}

/// What an [`Entry`] is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// An archive.
    #[default]
    Archive,
    /// Bytes that were taken away by others: truncated, removed, renamed.
    Gone,
    /// Everything up to here, folded into one figure.
    Base,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_archive(what: &What) -> bool {
    *what == What::Archive
}

/// A catalog, read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Up to when everything is folded, and how many bytes that is.
    pub base: Option<(Timestamp, u64)>,
    /// What came later, by its moment. Two pieces never have the same.
    pub entries: BTreeMap<Timestamp, (u64, What)>,
}

impl Catalog {
    /// Reads lines; what is no entry is passed over.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let mut catalog = Self::default();
        for line in text.split(|b| *b == b'\n') {
            if let Ok(entry) = serde_json::from_slice::<Entry>(line) {
                catalog.enter(&entry);
            }
        }
        catalog
    }

    /// Adds what comes next. An archive that is known stays as it was entered first.
    pub fn enter(&mut self, entry: &Entry) {
        match entry.what {
            What::Base => {
                self.base = Some((entry.at, entry.bytes));
                self.entries.retain(|at, _| *at > entry.at);
            }
            _ if self.base.is_some_and(|(at, _)| entry.at <= at) => {}
            what => {
                self.entries.entry(entry.at).or_insert((entry.bytes, what));
            }
        }
    }

    /// The moment of a piece that is noticed at `now`: behind all that is known, whatever the clock says.
    #[must_use]
    pub fn moment(&self, now: Timestamp) -> Timestamp {
        let last = self.entries.last_key_value().map(|(at, _)| *at).max(self.base.map(|(at, _)| at));
        match last.and_then(|last| last.checked_add(SignedDuration::from_micros(1)).ok()) {
            Some(later) if later > now => later,
            _ => now,
        }
    }

    /// Folds everything before `oldest` (`None`: everything) into the base: none of its archives is there any more.
    pub fn fold(&mut self, oldest: Option<Timestamp>) {
        let old: Vec<_> =
            self.entries.keys().copied().take_while(|at| oldest.is_none_or(|oldest| *at < oldest)).collect();
        for at in old {
            let (bytes, _) = self.entries.remove(&at).unwrap_or_default();
            let before = self.base.map_or(0, |(_, bytes)| bytes);
            self.base = Some((at, before.saturating_add(bytes)));
        }
    }

    /// The whole of it as lines.
    #[must_use]
    pub fn text(&self, head: &Head) -> Vec<u8> {
        let mut text = Vec::new();
        append(&mut text, head);
        if let Some((at, bytes)) = self.base {
            append(&mut text, &Entry { at, bytes, what: What::Base });
        }
        for (at, (bytes, what)) in &self.entries {
            append(&mut text, &Entry { at: *at, bytes: *bytes, what: *what });
        }
        text
    }
}

/// Appends `value` as a line.
pub fn append(text: &mut Vec<u8>, value: &impl Serialize) {
    let begin = text.len();
    if serde_json::to_writer(&mut *text, value).is_err() {
        text.truncate(begin);
        return;
    }
    text.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn entry(second: i64, bytes: u64, what: What) -> Entry {
        Entry { at: at(second), bytes, what }
    }

    fn head() -> Head {
        Head { file: "/a/file.log".into(), stream: "main".into() }
    }

    #[test]
    fn a_catalog_is_read_as_it_was_written_and_torn_lines_cost_their_entry_alone() {
        let mut catalog = Catalog::default();
        for one in [entry(1, 10, What::Archive), entry(2, 20, What::Gone), entry(3, 30, What::Archive)] {
            catalog.enter(&one);
        }
        let text = catalog.text(&head());
        assert_eq!(
            String::from_utf8(text.clone()).unwrap(),
            "{\"file\":\"/a/file.log\",\"stream\":\"main\"}\n\
             {\"at\":\"1970-01-01T00:00:01Z\",\"bytes\":10}\n\
             {\"at\":\"1970-01-01T00:00:02Z\",\"bytes\":20,\"what\":\"gone\"}\n\
             {\"at\":\"1970-01-01T00:00:03Z\",\"bytes\":30}\n"
        );
        assert_eq!(Catalog::parse(&text), catalog);
        let torn = [&text[..text.len() - 9], b"\n{\"at\":\"1970-01-01T00:00:04Z\",\"bytes\":40}\n{\"a"].concat();
        let known: Vec<_> = Catalog::parse(&torn).entries.into_values().map(|(bytes, _)| bytes).collect();
        assert_eq!(known, [10, 20, 40]);
    }

    #[test]
    fn what_is_folded_is_still_counted_and_never_entered_again() {
        let mut catalog = Catalog::default();
        (1..=4).for_each(|n| catalog.enter(&entry(n, 10, What::Archive)));
        catalog.fold(Some(at(3)));
        assert_eq!((catalog.base, catalog.entries.len()), (Some((at(2), 20)), 2));
        catalog.enter(&entry(1, 10, What::Archive));
        assert_eq!(catalog.entries.len(), 2);
        assert_eq!(Catalog::parse(&catalog.text(&head())), catalog);
        catalog.fold(None);
        assert_eq!((catalog.base, catalog.entries.len()), (Some((at(4), 40)), 0));
    }

    #[test]
    fn a_clock_that_is_set_back_changes_no_order() {
        let mut catalog = Catalog::default();
        assert_eq!(catalog.moment(at(5)), at(5));
        catalog.enter(&entry(9, 1, What::Archive));
        assert_eq!(catalog.moment(at(5)), at(9) + SignedDuration::from_micros(1));
        catalog.fold(None);
        assert_eq!(catalog.moment(at(9)), at(9) + SignedDuration::from_micros(1));
        assert_eq!(catalog.moment(at(10)), at(10));
    }
}
