use super::super::rig::{FORMS, Place, append};
use super::*;
use crate::archive;
use crate::plan::Compress;
use proptest::prelude::*;
use std::fs::{self, OpenOptions};
use std::io::Write as _;

/// Everything there is at the moment.
fn all(follower: &mut Follower) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let some = follower.poll().unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

#[test]
fn lines_come_whole() {
    let place = Place::new();
    place.append(b"old\n");
    let mut follower = Follower::new(&place.path, 4);
    assert_eq!(all(&mut follower), b"");
    place.append(b"one\ntw");
    assert_eq!(all(&mut follower), b"one\n");
    place.append(b"o\n");
    assert_eq!(all(&mut follower), b"two\n");
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    let place = Place::new();
    let mut follower = Follower::new(&place.path, 0);
    assert_eq!(all(&mut follower), b"");
    place.append(b"first\n");
    assert_eq!(all(&mut follower), b"first\n");
}

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_next_one() {
    let place = Place::new();
    place.append(b"1\n");
    let mut follower = Follower::new(&place.path, 0);
    assert_eq!(all(&mut follower), b"1\n");
    place.append(b"2\n");
    let old = place.rename("file.log.1");
    assert_eq!(all(&mut follower), b"2\n");
    // The writer has not noticed yet; neither has the one who made an empty file.
    append(&old, b"3\n");
    place.append(b"");
    assert_eq!(all(&mut follower), b"3\n");
    append(&old, b"4\n5");
    place.append(b"6\n");
    assert_eq!(all(&mut follower), b"4\n5\n6\n");
}

#[test]
fn a_deleted_file_is_replaced_by_the_one_that_comes() {
    let place = Place::new();
    place.append(b"1\n");
    let mut follower = Follower::new(&place.path, 0);
    assert_eq!(all(&mut follower), b"1\n");
    fs::remove_file(&place.path).unwrap();
    assert_eq!(all(&mut follower), b"");
    place.append(b"2\n");
    assert_eq!(all(&mut follower), b"2\n");
}

#[test]
fn a_truncated_file_is_read_from_its_beginning() {
    let place = Place::new();
    place.append(b"1\n2\n3");
    let mut follower = Follower::new(&place.path, 0);
    assert_eq!(all(&mut follower), b"1\n2\n");
    fs::write(&place.path, b"4\n").unwrap();
    assert_eq!(all(&mut follower), b"3\n4\n");
    let mut beyond = Follower::new(&place.path, 1000);
    assert_eq!(all(&mut beyond), b"4\n");
}

#[test]
fn a_line_without_end_comes_in_bounded_pieces() {
    let place = Place::new();
    let mut line = vec![b'x'; 3 * PIECE + 5];
    place.append(&line);
    let mut follower = Follower::new(&place.path, 0);
    let mut got = Vec::new();
    loop {
        let some = follower.poll().unwrap();
        if some.is_empty() {
            break;
        }
        assert!((PIECE..=2 * PIECE).contains(&some.len()), "{}", some.len());
        got.extend(some);
    }
    assert_eq!(got.len(), 3 * PIECE);
    place.append(b"\n");
    got.extend(all(&mut follower));
    line.push(b'\n');
    assert!(got == line);
}

#[test]
fn following_goes_on_right_behind_the_last_lines() {
    let place = Place::new();
    place.append(b"1\n2\n3\npart");
    let (lines, mut follower) = Follower::after_last(&place.path, 2, None).unwrap();
    assert_eq!(lines, [b"2", b"3"]);
    place.append(b"ial\n4\n");
    assert_eq!(all(&mut follower), b"partial\n4\n");

    let (lines, mut follower) = Follower::after_last(&place.folder.path().join("later"), 2, None).unwrap();
    assert!(lines.is_empty() && all(&mut follower).is_empty());
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u8>),
    /// Rename the file away; with `true` the writer goes on with the old one for a while.
    Rename(bool),
    Delete,
    Poll(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => prop::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n')], 0..40).prop_map(Step::Write),
        1 => (PIECE - 2..PIECE + 2).prop_map(|n| Step::Write(vec![b'y'; n])),
        1 => any::<bool>().prop_map(Step::Rename),
        1 => Just(Step::Delete),
        4 => (0u8..4).prop_map(Step::Poll),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    /// The model: every byte written, in order; a file that is replaced ends with a line end.
    #[test]
    fn what_a_writer_writes_is_followed_through_every_rotation(steps in steps()) {
        let place = Place::new();
        let mut follower = Follower::new(&place.path, 0);
        let (mut expected, mut got) = (Vec::new(), Vec::new());
        let mut writer = OpenOptions::new().append(true).create(true).open(&place.path).unwrap();
        let mut of_this_file = 0;
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    writer.write_all(&bytes).unwrap();
                    of_this_file += bytes.len();
                    expected.extend(bytes);
                }
                Step::Rename(_) | Step::Delete => {
                    // The follower sees each file: one that comes and goes between two polls is documented as lost.
                    got.extend(all(&mut follower));
                    if matches!(step, Step::Delete) { fs::remove_file(&place.path).unwrap() } else { place.rename("old"); }
                    if matches!(step, Step::Rename(true)) {
                        writer.write_all(b"late").unwrap();
                        of_this_file += 4;
                        expected.extend(b"late");
                    }
                    if of_this_file > 0 && expected.last() != Some(&b'\n') {
                        expected.push(b'\n');
                    }
                    writer = OpenOptions::new().append(true).create(true).open(&place.path).unwrap();
                    of_this_file = 0;
                }
                Step::Poll(times) => for _ in 0..times {
                    got.extend(follower.poll().unwrap());
                },
            }
        }
        writer.write_all(b"end\n").unwrap();
        expected.extend(b"end\n");
        got.extend(all(&mut follower));
        // Not prop_assert_eq: the bytes would be printed.
        prop_assert!(got == expected, "{} of {} bytes", got.len(), expected.len());
    }
}

#[test]
fn rotations_between_two_looks_lose_and_repeat_nothing_compressed_or_not() {
    for (known, missed) in FORMS.into_iter().flat_map(|a| FORMS.map(|b| (a, b))) {
        let place = Place::new();
        place.append(b"before\n");
        place.archive(1, Compress::Gzip);
        place.append(b"1\n");
        let mut follower = Follower::new(&place.path, 0);
        assert_eq!(all(&mut follower), b"1\n");
        place.append(b"2\n");
        place.archive(10, known);
        for line in ["3\n", "4\n", "5\n"] {
            place.append(line.as_bytes());
            place.archive(20 + i64::from(line.as_bytes()[0]), missed);
        }
        place.append(b"6\n");
        assert_eq!(String::from_utf8(all(&mut follower)).unwrap(), "2\n3\n4\n5\n6\n", "{known:?} {missed:?}");
        place.archive(1000, known);
        place.append(b"7\n");
        assert_eq!(all(&mut follower), b"7\n");
    }
}

/// Rotations while the reader is busy with an old file: more files wait than may be held open.
#[test]
fn a_slow_reader_misses_nothing_however_many_files_come_meanwhile() {
    for (form, at_once) in FORMS.into_iter().flat_map(|form| [1, 3].map(|n| (form, n))) {
        let place = Place::new();
        let mut follower = Follower::new(&place.path, 0);
        let mut expected = Vec::new();
        let mut write = |text: String| {
            place.append(text.as_bytes());
            expected.extend(text.into_bytes());
        };
        for n in 0..4 * MAX_WAITING {
            write(format!("{n} {}\n", "x".repeat(PIECE)));
        }
        let mut got = follower.poll().unwrap();
        let mut second = 0;
        for n in 0..3 * MAX_WAITING {
            for m in 0..at_once {
                second += 1;
                place.archive(second, form);
                // Some of them stay empty.
                if n % 7 != 3 {
                    write(format!("{n} {m}\n"));
                }
            }
            got.extend(follower.poll().unwrap());
            let files = follower.next.iter().filter(|next| matches!(next, Next::File(_))).count();
            assert!(files <= MAX_WAITING, "{files}");
        }
        write("the end\n".into());
        got.extend(all(&mut follower));
        // Not assert_eq: megabytes would be printed.
        assert!(got == expected, "{form:?} {at_once}: {} of {} bytes", got.len(), expected.len());
        place.archive(second + 1, form);
        place.append(b"more\n");
        assert_eq!(all(&mut follower), b"more\n");
    }
}

#[test]
fn the_last_lines_reach_back_into_archives() {
    let place = Place::new();
    for (second, form) in [(1, Compress::Gzip), (2, Compress::None), (3, Compress::Zstd)] {
        place.append(format!("{second} a\n{second} b\n").as_bytes());
        place.archive(second, form);
    }
    place.append(b"4 a\npart");
    let last = |n, filter: Option<&Regex>| {
        let lines = super::super::last_records(&place.path, n, filter).unwrap();
        String::from_utf8(lines.join(&b' ')).unwrap()
    };
    assert_eq!(last(0, None), "");
    assert_eq!(last(1, None), "part");
    assert_eq!(last(3, None), "3 b 4 a part");
    assert_eq!(last(5, None), "2 b 3 a 3 b 4 a part");
    assert_eq!(last(usize::MAX, None), "1 a 1 b 2 a 2 b 3 a 3 b 4 a part");
    assert_eq!(last(2, Some(&Regex::new("b$").unwrap())), "2 b 3 b");
    let (lines, mut follower) = Follower::after_last(&place.path, 2, None).unwrap();
    assert_eq!(lines, [b"3 b", b"4 a"]);
    place.append(b"ial\n");
    place.archive(5, Compress::Gzip);
    place.append(b"5\n");
    assert_eq!(all(&mut follower), b"partial\n5\n");
    // In the middle of a rotation the file is not there, or the old one has no name yet.
    fs::rename(&place.path, archive::aside(&place.path)).unwrap();
    assert_eq!(last(2, None), "partial 5");
}
