//! The names of archives.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

const FORMAT: &str = "%Y-%m-%dT%H-%M-%S%.6fZ";

/// The archive of `file` that was put away `at` that time: `file.log.2026-11-21T00-41-28.123456Z`.
#[must_use]
pub fn archive_path(file: &Path, at: Timestamp) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(format!(".{}", at.to_zoned(TimeZone::UTC).strftime(FORMAT)));
    name.into()
}

/// The stamp of the newest archive of `file`.
///
/// # Errors
/// When its folder cannot be read.
pub fn newest(file: &Path) -> io::Result<Option<Timestamp>> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut prefix = file.file_name().unwrap_or_default().as_bytes().to_vec();
    prefix.push(b'.');
    let mut newest = None;
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let stamp = name.as_bytes().strip_prefix(&prefix[..]).and_then(|s| std::str::from_utf8(s).ok()).and_then(stamp);
        newest = newest.max(stamp);
    }
    Ok(newest)
}

fn stamp(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix(".gz").or_else(|| text.strip_suffix(".zst")).unwrap_or(text);
    let civil = jiff::civil::DateTime::strptime("%Y-%m-%dT%H-%M-%S%.fZ", text).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|z| z.timestamp())
}
