use super::*;
use crate::audit::store::FILE;
use std::io::Write as _;

fn append(path: &Path, text: &str) {
    File::options().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

/// As the store does it.
fn rotate(path: &Path) {
    for n in (0..FILES - 1).rev() {
        let _ = std::fs::rename(store::place(path, n), store::place(path, n + 1));
    }
}

fn arrived(reader: &mut Reader) -> String {
    let mut all = Vec::new();
    loop {
        let some = reader.poll().unwrap();
        if some.is_empty() {
            return String::from_utf8(all).unwrap();
        }
        all.extend(some);
    }
}

#[test]
fn all_files_are_read_in_order_and_followed_through_rotations() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(arrived(&mut reader), "");
    append(&path, "1\n");
    rotate(&path);
    append(&path, "2\n3");
    assert_eq!(arrived(&mut reader), "1\n2\n");
    append(&path, "\n4\n");
    rotate(&path);
    append(&path, "5\n");
    rotate(&path);
    append(&path, "6\n");
    assert_eq!(arrived(&mut reader), "3\n4\n5\n6\n");
    rotate(&path);
    assert_eq!(arrived(&mut reader), "");
    append(&path, "7\n");
    assert_eq!(arrived(&mut reader), "7\n");
    assert_eq!(arrived(&mut Reader::open(&path).unwrap()), "1\n2\n3\n4\n5\n6\n7\n");
}

#[test]
fn a_trail_that_was_taken_away_is_read_from_its_new_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    append(&store::place(&path, 1), "1\n");
    append(&path, "2\n");
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(arrived(&mut reader), "1\n2\n");
    std::fs::remove_file(&path).unwrap();
    assert_eq!(arrived(&mut reader), "");
    append(&path, "3\n");
    assert_eq!(arrived(&mut reader), "3\n");
    for n in 0..2 {
        std::fs::remove_file(store::place(&path, n)).unwrap();
    }
    append(&path, "4\n");
    assert_eq!(arrived(&mut reader), "4\n");
}

#[test]
fn a_line_without_end_is_kept_apart() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(FILE);
    append(&store::place(&path, 1), "1\n2");
    append(&path, "3\n4");
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(arrived(&mut reader), "1\n2\n3\n", "in an old file it gets its end");
    assert_eq!(reader.rest(), b"4");
}

#[test]
fn what_is_no_line_of_a_trail_has_no_brief() {
    let line = br#"{"ts":"2026-11-21T15:33:40.120000Z","seq":7,"event":"of_tomorrow","stream":"main","x":[1]}"#;
    let brief = Brief::of(line).unwrap();
    assert_eq!((brief.seq, &*brief.event, brief.stream.as_deref()), (7, "of_tomorrow", Some("main")));
    for torn in [&line[..40], b"", b"null", b"{}", b"\xff"] {
        assert!(Brief::of(torn).is_none());
    }
}
