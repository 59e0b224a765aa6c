//! The names of archives, and nothing but these: files of users that look similar are never touched.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

use crate::plan::Compress;

/// Of the stamp in a name: UTC and always six digits, so that the order of names is the order of time. No colons:
/// rsync, scp and other systems take them for something else.
const STAMP: &str = "%Y-%m-%dT%H-%M-%S.%6fZ";
/// The bytes of a stamp.
const STAMP_LENGTH: usize = "2026-11-21T00-41-28.123456Z".len();
/// All endings, each with what it stands for; that of a plain archive is empty.
const ENDINGS: [Compress; 3] = [Compress::None, Compress::Gzip, Compress::Zstd];

/// What follows the stamp in the name of an archive: nothing, `.gz` or `.zst`.
#[must_use]
pub fn ending(compress: Compress) -> &'static str {
    match compress {
        Compress::None => "",
        Compress::Gzip => ".gz",
        Compress::Zstd => ".zst",
    }
}

/// The plain archive of `file` that is put away at `at`: `FILE.2026-11-21T00-41-28.123456Z`. What is finer than a
/// microsecond is cut off.
#[must_use]
pub fn archive_path(file: &Path, at: Timestamp) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".");
    path.push(stamp(at));
    path.into()
}

/// [`archive_path`] with the ending of `compress`.
#[must_use]
pub fn archive_path_as(file: &Path, at: Timestamp, compress: Compress) -> PathBuf {
    let mut path = archive_path(file, at).into_os_string();
    path.push(ending(compress));
    path.into()
}

/// Where an archive is compressed, until it is whole: `.NAME.gz.part` beside `NAME`.
#[must_use]
pub fn part_path(file: &Path, at: Timestamp, compress: Compress) -> PathBuf {
    let whole = archive_path_as(file, at, compress);
    let mut name = OsString::from(".");
    name.push(whole.file_name().unwrap_or_default());
    name.push(".part");
    whole.with_file_name(name)
}

/// The name of a file between its own and that of an archive: `FILE.rotating`. Before the two change names, the new file
/// has it, still empty.
#[must_use]
pub fn aside(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".rotating");
    path.into()
}

/// Reads the name (no folder before it) of an archive of a file called `file`.
#[must_use]
pub fn parse(file: &OsStr, name: &OsStr) -> Option<(Timestamp, Compress)> {
    let rest = name.as_bytes().strip_prefix(file.as_bytes())?.strip_prefix(b".")?;
    let (stamp_bytes, rest) = rest.split_at_checked(STAMP_LENGTH)?;
    let compress = ENDINGS.into_iter().find(|compress| ending(*compress).as_bytes() == rest)?;
    let text = std::str::from_utf8(stamp_bytes).ok()?;
    let civil = strtime::parse(STAMP, text).ok()?.to_datetime().ok()?;
    let at = TimeZone::UTC.to_timestamp(civil).ok()?;
    // A parser is lenient (blanks, signs, leap seconds); a name is ours only if we would have written it.
    (stamp(at) == text).then_some((at, compress))
}

/// Whether `name` is that of an archive of any file, or of a file on its way to become one.
#[must_use]
pub fn is_beside(name: &OsStr) -> bool {
    let bytes = name.as_bytes();
    let is_archive = ENDINGS.into_iter().any(|compress| {
        let plain = bytes.strip_suffix(ending(compress).as_bytes()).unwrap_or_default();
        let file = plain.len().checked_sub(STAMP_LENGTH + ".".len()).map(|end| OsStr::from_bytes(&plain[..end]));
        file.is_some_and(|file| parse(file, name).is_some())
    });
    is_archive || bytes.ends_with(b".rotating")
}

/// Reads the name of a part, see [`part_path`].
#[must_use]
pub fn parse_part(file: &OsStr, name: &OsStr) -> Option<(Timestamp, Compress)> {
    let whole = name.as_bytes().strip_prefix(b".")?.strip_suffix(b".part")?;
    parse(file, OsStr::from_bytes(whole)).filter(|(_, compress)| *compress != Compress::None)
}

fn stamp(at: Timestamp) -> String {
    at.strftime(STAMP).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_name_is_that_of_the_contract() {
        let file = Path::new("/home/me/file.log");
        let first = archive_path(file, at("2026-11-21T00:41:28.123456Z"));
        assert_eq!(first, Path::new("/home/me/file.log.2026-11-21T00-41-28.123456Z"));
        assert!(is_beside(first.file_name().unwrap()) && is_beside(OsStr::new("x.rotating")));
        assert!(!is_beside(file.file_name().unwrap()) && !is_beside(OsStr::new("2026-11-21")));
        let even = archive_path_as(file, at("2026-11-21T02:41:28+02:00"), Compress::Gzip);
        assert!(is_beside(even.file_name().unwrap()));
        assert_eq!(even, Path::new("/home/me/file.log.2026-11-21T00-41-28.000000Z.gz"), "always six digits, in UTC");
        let part = part_path(file, at("2026-11-21T00:41:28Z"), Compress::Zstd);
        assert_eq!(part, Path::new("/home/me/.file.log.2026-11-21T00-41-28.000000Z.zst.part"));
        assert_eq!(archive_path(Path::new("f"), at("2026-11-21T00:41:28.9999999Z")).to_str().unwrap().len(), 29);
    }

    #[test]
    fn what_only_looks_like_an_archive_is_none() {
        let read = |name: &str| parse(OsStr::new("f.log"), OsStr::new(name));
        let good = at("2026-11-21T00:41:28.123456Z");
        assert_eq!(read("f.log.2026-11-21T00-41-28.123456Z"), Some((good, Compress::None)));
        assert_eq!(read("f.log.2026-11-21T00-41-28.123456Z.gz"), Some((good, Compress::Gzip)));
        assert_eq!(read("f.log.2026-11-21T00-41-28.123456Z.zst"), Some((good, Compress::Zstd)));
        for name in [
            "f.log",
            "f.log.1",
            "f.log.",
            "f.log.2026-11-21",
            "f.log.2026-11-21T00-41-28Z",
            "f.log.2026-11-21T00-41-28.123Z",
            "f.log.2026-11-21T00-41-28.1234567Z",
            "f.log.2026-11-21T00:41:28.123456Z",
            "f.log.2026-11-21t00-41-28.123456z",
            "f.log.2026-13-21T00-41-28.123456Z",
            "f.log.2026-02-30T00-41-28.123456Z",
            "f.log.2026-11-21T00-41-60.123456Z",
            "f.log.2026-11-21T24-00-00.000000Z",
            "f.log.+026-11-21T00-41-28.123456Z",
            "f.log. 026-11-21T00-41-28.123456Z",
            "f.log.2026-11-21T00-41-28.123456Z.bz2",
            "f.log.2026-11-21T00-41-28.123456Z.gz.gz",
            "f.log.2026-11-21T00-41-28.123456Z.gz~",
            "f.log.2026-11-21T00-41-28.123456Z.",
            "f.log.2026-11-21T00-41-28.123456Z.GZ",
            "F.log.2026-11-21T00-41-28.123456Z",
            "xf.log.2026-11-21T00-41-28.123456Z",
            "f.log2026-11-21T00-41-28.123456Z",
            "f.log.2.2026-11-21T00-41-28.123456Z",
            ".f.log.2026-11-21T00-41-28.123456Z.gz.part",
        ] {
            assert_eq!(read(name), None, "{name}");
        }
        let part = |name: &str| parse_part(OsStr::new("f.log"), OsStr::new(name));
        assert_eq!(part(".f.log.2026-11-21T00-41-28.123456Z.gz.part"), Some((good, Compress::Gzip)));
        assert_eq!(part(".f.log.2026-11-21T00-41-28.123456Z.part"), None);
        assert_eq!(part("f.log.2026-11-21T00-41-28.123456Z.gz.part"), None);
    }

    fn times() -> impl Strategy<Value = Timestamp> {
        (0i64..253_402_207_200_000_000).prop_map(|micros| Timestamp::from_microsecond(micros).unwrap())
    }

    proptest! {
        #[test]
        fn every_name_is_read_as_it_was_made(
            file in prop::collection::vec(1u8..=255, 1..40).prop_map(|mut name| {
                name.iter_mut().filter(|b| **b == b'/').for_each(|b| *b = 0xff);
                name
            }),
            at in times(),
            form in 0usize..3,
        ) {
            let file = OsStr::from_bytes(&file);
            let path = Path::new("/x").join(file);
            let archive = archive_path_as(&path, at, ENDINGS[form]);
            prop_assert_eq!(archive.parent(), Some(Path::new("/x")));
            prop_assert_eq!(parse(file, archive.file_name().unwrap()), Some((at, ENDINGS[form])));
            let part = part_path(&path, at, ENDINGS[form]);
            let expected = (form > 0).then_some((at, ENDINGS[form]));
            prop_assert_eq!(parse_part(file, part.file_name().unwrap()), expected);
            prop_assert_eq!(parse(file, part.file_name().unwrap()), None);
        }

        #[test]
        fn the_order_of_names_is_the_order_of_time(a in times(), b in times()) {
            let name = |at| archive_path(Path::new("f"), at);
            prop_assert_eq!(name(a).cmp(&name(b)), a.cmp(&b));
        }
    }
}
