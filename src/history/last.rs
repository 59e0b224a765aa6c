//! The last records of a file, read backwards, so that the size of the file does not matter; those of the archives before
//! it when it has too few.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use regex::bytes::Regex;

use super::look::{self, Look};
use crate::archive;
use crate::plan::Compress;

/// Bytes read at once, from the end towards the beginning.
const BLOCK: usize = 64 * 1024;
/// The longest line that is held in memory, in bytes. Of a longer one (a raw stream without any line end may be one
/// single line of many gigabytes) only the last part of this length is seen, by the filter, too.
pub const LONGEST: usize = 16 * 1024 * 1024;
/// How often a file that shrinks while it is read is read anew.
const ATTEMPTS: usize = 5;

/// The last `n` lines of `path` without their LF, the oldest first; with `filter` the last `n` of those that match it.
/// What follows the last LF counts as a line when it is not empty. When the file has too few, its archives are read, the
/// newest first, compressed ones from their beginning. Memory: the lines returned, plus twice [`LONGEST`] at most.
///
/// # Errors
/// Those of opening and reading `path` and its archives. It may be missing when there are archives: for a moment, in the
/// middle of a rotation.
pub fn last_records(path: &Path, n: usize, filter: Option<&Regex>) -> io::Result<Vec<Vec<u8>>> {
    let mut attempt = 1;
    loop {
        let look = look::look(path)?;
        if look.file.is_none() && look.aside.is_none() && look.archives.is_empty() {
            return Err(io::ErrorKind::NotFound.into());
        }
        let end = look.file.as_ref().map_or(Ok(0), |found| found.file.metadata().map(|meta| meta.len()))?;
        match last_of(&look, end, n, filter) {
            // Truncated under our eyes.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && attempt < ATTEMPTS => attempt += 1,
            result => return result,
        }
    }
}

/// [`last_records`] of the first `end` bytes of the file and of all that was written before it.
pub(super) fn last_of(look: &Look, end: u64, n: usize, filter: Option<&Regex>) -> io::Result<Vec<Vec<u8>>> {
    let mut found = match &look.file {
        Some(file) => last_before(&file.file, end, n, filter)?,
        None => Vec::new(),
    };
    let before = |found: &mut Vec<Vec<u8>>, more: Vec<Vec<u8>>| drop(found.splice(0..0, more));
    if let Some(aside) = look.aside.as_ref().filter(|_| found.len() < n) {
        let more = last_before(&aside.file, aside.file.metadata()?.len(), n - found.len(), filter)?;
        before(&mut found, more);
    }
    for at in look.stamps(None).into_iter().rev() {
        if found.len() >= n {
            break;
        }
        let left = n - found.len();
        let Some((file, form, path)) = look::open_archive(&look.place, at)? else { continue };
        let more = match form {
            Compress::None => last_before(&file, file.metadata()?.len(), left, filter),
            _ => archive::reader(file, form).and_then(|reader| last_read(BufReader::new(reader), left, filter)),
        };
        before(&mut found, more.map_err(|e| look::about(&path, &e))?);
    }
    Ok(found)
}

/// The last `n` lines of what can only be read forwards.
fn last_read(mut from: impl BufRead, n: usize, filter: Option<&Regex>) -> io::Result<Vec<Vec<u8>>> {
    let mut found = VecDeque::new();
    let mut line = Vec::new();
    loop {
        let block = from.fill_buf()?;
        let end = block.is_empty();
        let lf = memchr::memchr(b'\n', block);
        let taken = lf.unwrap_or(block.len());
        line.extend_from_slice(&block[..taken]);
        from.consume(taken + usize::from(lf.is_some()));
        if line.len() > 2 * LONGEST {
            line.drain(..line.len() - LONGEST);
        }
        if lf.is_some() || (end && !line.is_empty()) {
            let mut whole = std::mem::take(&mut line);
            whole.drain(..whole.len().saturating_sub(LONGEST));
            if filter.is_none_or(|filter| filter.is_match(&whole)) {
                found.push_back(whole);
            }
            if found.len() > n {
                line = found.pop_front().unwrap_or_default();
                line.clear();
            }
        }
        if end {
            return Ok(found.into());
        }
    }
}

/// [`last_records`] of the first `end` bytes of `file`.
pub(super) fn last_before(file: &File, end: u64, n: usize, filter: Option<&Regex>) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    let mut block = vec![0; BLOCK];
    let mut line = Line::default();
    let mut start = end;
    while start > 0 && found.len() < n {
        let size = usize::try_from(start).unwrap_or(usize::MAX).min(BLOCK);
        start -= size as u64;
        let block = &mut block[..size];
        file.read_exact_at(block, start)?;

        let mut rest = &block[..];
        if start + size as u64 == end {
            // The LF at the very end ends the last line; it does not begin another one.
            rest = rest.strip_suffix(b"\n").unwrap_or(rest);
        }
        while let Some(lf) = memchr::memrchr(b'\n', rest) {
            line.prepend(&rest[lf + 1..]);
            rest = &rest[..lf];
            line.take_into(&mut found, filter);
            if found.len() == n {
                break;
            }
        }
        if found.len() < n {
            line.prepend(rest);
            if start == 0 {
                line.take_into(&mut found, filter);
            }
        }
    }
    found.reverse();
    Ok(found)
}

/// A line whose end is known and whose beginning is still to come.
#[derive(Default)]
struct Line {
    /// Its parts, the last one first, so that nothing is moved while it grows.
    parts: Vec<Vec<u8>>,
    length: usize,
}

impl Line {
    fn prepend(&mut self, part: &[u8]) {
        let part = &part[part.len() - part.len().min(LONGEST - self.length)..];
        if !part.is_empty() {
            self.length += part.len();
            self.parts.push(part.to_vec());
        }
    }

    fn take_into(&mut self, found: &mut Vec<Vec<u8>>, filter: Option<&Regex>) {
        let mut whole = Vec::with_capacity(self.length);
        self.parts.iter().rev().for_each(|part| whole.extend_from_slice(part));
        (self.parts, self.length) = (Vec::new(), 0);
        if filter.is_none_or(|filter| filter.is_match(&whole)) {
            found.push(whole);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::io::Write as _;

    fn file_of(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    /// All lines, the simple way.
    fn model(bytes: &[u8], n: usize, filter: Option<&Regex>) -> Vec<Vec<u8>> {
        let mut lines: Vec<_> = bytes.split(|b| *b == b'\n').map(<[u8]>::to_vec).collect();
        if lines.last().is_some_and(Vec::is_empty) {
            lines.pop();
        }
        lines.retain(|line| filter.is_none_or(|f| f.is_match(line)));
        lines.split_off(lines.len().saturating_sub(n))
    }

    #[test]
    fn the_last_line_counts_with_and_without_its_end() {
        for (bytes, n, expected) in [
            (&b""[..], 3, &[][..]),
            (b"\n", 3, &[&b""[..]]),
            (b"a", 3, &[b"a"]),
            (b"a\nb\n", 1, &[b"b"]),
            (b"a\nb", 1, &[b"b"]),
            (b"a\n\nb\n\n", 3, &[b"", b"b", b""]),
            (b"a\nb\n", 0, &[]),
        ] {
            assert_eq!(last_records(file_of(bytes).path(), n, None).unwrap(), expected, "{bytes:?} {n}");
        }
    }

    #[test]
    fn of_a_line_without_end_only_the_last_part_is_held() {
        let mut bytes = vec![b'x'; LONGEST + BLOCK + 7];
        bytes.extend(b"end\nlast\n");
        let lines = last_records(file_of(&bytes).path(), 5, None).unwrap();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0].len(), &lines[0][LONGEST - 4..], &lines[1][..]), (LONGEST, &b"xend"[..], &b"last"[..]));
    }

    #[test]
    fn only_the_end_of_a_large_file_is_read() {
        let file = file_of(b"");
        file.as_file().set_len(1 << 40).unwrap();
        file.as_file().write_all_at(b"\nlast\n", (1 << 40) - 6).unwrap();
        assert_eq!(last_records(file.path(), 1, None).unwrap(), [b"last"]);
    }

    #[test]
    fn a_missing_file_is_an_error() {
        assert_eq!(last_records(Path::new("/nowhere/at/all"), 1, None).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    proptest! {
        #[test]
        fn any_file_ends_with_the_lines_it_ends_with(
            lines in prop::collection::vec(prop_oneof![
                prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 0..20),
                (BLOCK - 3..BLOCK + 3, any::<bool>()).prop_map(|(n, a)| vec![if a { b'a' } else { b'b' }; n]),
            ], 0..12),
            ended in any::<bool>(),
            n in 0usize..14,
            filtered in any::<bool>(),
        ) {
            let mut bytes = lines.join(&b'\n');
            if ended {
                bytes.push(b'\n');
            }
            let filter = filtered.then(|| Regex::new("^a").unwrap());
            let got = last_records(file_of(&bytes).path(), n, filter.as_ref()).unwrap();
            prop_assert!(got == model(&bytes, n, filter.as_ref()));
        }
    }
}
