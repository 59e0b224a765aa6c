use super::super::follow::PIECE;
use super::super::rig::{FORMS, Place};
use super::*;
use crate::archive::catalog::{self, Entry, What};
use crate::plan::Compress;
use jiff::Timestamp;
use proptest::prelude::*;
use std::fs;
use std::path::PathBuf;

impl Place {
    fn words(&self) -> PathBuf {
        self.folder.path().join("words")
    }

    fn tailer(&self, from: u64) -> Tailer {
        Log::new(&self.path, Some(&self.words())).follow(from).unwrap()
    }

    /// The collector says what it knows.
    fn says(&self, second: i64, bytes: u64, what: What) {
        let mut text = fs::read(self.words()).unwrap_or_default();
        catalog::append(&mut text, &Entry { at: Timestamp::from_second(second).unwrap(), bytes, what });
        fs::write(self.words(), text).unwrap();
    }
}

/// Everything there is at the moment.
fn all(tailer: &mut Tailer) -> Vec<Seen> {
    let mut all = Vec::new();
    loop {
        let some = tailer.poll().unwrap();
        if some.is_empty() {
            return all;
        }
        all.extend(some);
    }
}

fn lines(offset: u64, text: &str) -> Seen {
    Seen::Lines { offset, bytes: text.into() }
}

#[test]
fn lines_come_with_their_offsets_through_a_rotation_that_is_told() {
    for form in FORMS {
        let place = Place::new();
        place.append(b"one\n");
        place.archive(1, form);
        place.append(b"two\nthree\npart");
        let mut tailer = place.tailer(8);
        assert_eq!(all(&mut tailer), [lines(8, "three\n")]);
        assert_eq!(tailer.offset(), 14);
        place.append(b"ial\n");
        assert_eq!(all(&mut tailer), [lines(14, "partial\n")]);
        place.append(b"four\n");
        place.archive(2, form);
        place.append(b"five\n");
        assert_eq!(all(&mut tailer), [lines(22, "four\n"), Seen::Rotated { offset: 27 }, lines(27, "five\n")]);
        assert_eq!(tailer.offset(), 32);
    }
}

#[test]
fn it_begins_anywhere_in_the_archives_and_a_link_into_a_line_begins_with_the_next_one() {
    for form in FORMS {
        let place = Place::new();
        place.append(b"1 a\n1 b\n");
        place.archive(1, form);
        place.append(b"2 a\n2 b\n");
        place.archive(2, form);
        place.append(b"3\n");
        let from = |from| {
            let mut text = Vec::new();
            for seen in all(&mut place.tailer(from)) {
                if let Seen::Lines { offset, bytes } = seen {
                    text.push(format!("{offset}:{}", String::from_utf8(bytes).unwrap().replace('\n', " ")));
                }
            }
            text.concat()
        };
        assert_eq!(from(0), "0:1 a 1 b 8:2 a 2 b 16:3 ");
        assert_eq!(from(4), "4:1 b 8:2 a 2 b 16:3 ");
        assert_eq!(from(5), "8:2 a 2 b 16:3 ");
        assert_eq!(from(12), "12:2 b 16:3 ");
        assert_eq!((from(18), from(1000)), (String::new(), String::new()));
    }
}

#[test]
fn what_has_begun_in_the_middle_of_a_line_waits_for_the_next_one() {
    let place = Place::new();
    place.append(b"one\ntwo");
    let mut tailer = place.tailer(5);
    assert_eq!(all(&mut tailer), []);
    place.append(b" and more\nthree\n");
    assert_eq!(all(&mut tailer), [lines(17, "three\n")]);
}

#[test]
fn after_a_truncation_offsets_go_on_where_the_collector_says() {
    let place = Place::new();
    place.append(b"one\ntwo\npart");
    let mut tailer = place.tailer(4);
    assert_eq!(all(&mut tailer), [lines(4, "two\n")]);
    fs::write(&place.path, b"new\n").unwrap();
    // Nothing is handed out before it is known where it is.
    assert_eq!(tailer.poll().unwrap(), [lines(8, "part\n")]);
    assert_eq!((tailer.poll().unwrap(), tailer.poll().unwrap()), (vec![], vec![]));
    place.says(1, 100, What::Gone);
    assert_eq!(all(&mut tailer), [Seen::Truncated { offset: 100 }, lines(100, "new\n")]);
    let mut log = Log::new(&place.path, Some(&place.words()));
    assert_eq!(log.extent().unwrap().end, tailer.offset());
}

#[test]
fn without_a_word_of_a_collector_offsets_go_on_as_they_were_counted() {
    let place = Place::new();
    place.append(b"one\n");
    let mut tailer = place.tailer(0);
    assert_eq!(all(&mut tailer), [lines(0, "one\n")]);
    fs::write(&place.path, b"").unwrap();
    let mut seen = Vec::new();
    for _ in 0..2 * WORD {
        seen.extend(tailer.poll().unwrap());
    }
    assert_eq!(seen, [Seen::Truncated { offset: 4 }]);
    place.append(b"two\n");
    assert_eq!(all(&mut tailer), [lines(4, "two\n")]);
}

#[test]
fn a_file_that_is_taken_away_is_told_and_so_is_the_one_that_replaces_it() {
    let place = Place::new();
    place.append(b"one\ntw");
    let mut tailer = place.tailer(0);
    assert_eq!(all(&mut tailer), [lines(0, "one\n")]);
    fs::remove_file(&place.path).unwrap();
    let mut seen = Vec::new();
    for _ in 0..3 * AWAY {
        seen.extend(tailer.poll().unwrap());
    }
    assert_eq!(seen, [Seen::Deleted { offset: 4 }]);
    place.append(b"three\n");
    place.says(1, 6, What::Gone);
    // The end of what will never be ended is not a byte.
    assert_eq!(all(&mut tailer), [lines(4, "tw\n"), Seen::Replaced { offset: 6 }, lines(6, "three\n")]);
    assert_eq!(tailer.offset(), 12);
}

#[test]
fn archives_that_a_slow_reader_missed_for_ever_leave_a_gap_in_the_offsets() {
    let place = Place::new();
    let big = "x".repeat(PIECE);
    place.append(format!("{big}\nlast\n").as_bytes());
    let mut tailer = place.tailer(0);
    let mut seen = tailer.poll().unwrap();
    for second in 1..30 {
        place.archive(second, Compress::Gzip);
        place.append(format!("{second:>3}\n").as_bytes());
        place.says(second, if second == 1 { PIECE as u64 + 6 } else { 4 }, What::Archive);
        seen.extend(tailer.poll().unwrap());
    }
    let mut expected = PIECE as u64 + 6;
    for second in 10..20 {
        let path =
            crate::archive::archive_path_as(&place.path, Timestamp::from_second(second).unwrap(), Compress::Gzip);
        fs::remove_file(path).unwrap();
    }
    seen.extend(all(&mut tailer));
    let mut last = 0;
    for one in seen {
        let Seen::Lines { offset, bytes } = one else { continue };
        assert!(offset >= last, "{offset} {last}");
        last = offset;
        if let Ok(second) = String::from_utf8(bytes).unwrap().trim().parse::<u64>() {
            assert_eq!(offset, PIECE as u64 + 6 + (second - 1) * 4);
            expected = offset + 4;
        }
    }
    assert_eq!((tailer.offset(), expected), (PIECE as u64 + 6 + 29 * 4, tailer.offset()));
}

#[test]
fn of_a_line_without_end_only_the_beginning_is_held() {
    let place = Place::new();
    place.append(b"one\n");
    let mut tailer = place.tailer(0);
    for _ in 0..3 {
        place.append(&vec![b'y'; WHOLE / 2]);
    }
    assert_eq!(all(&mut tailer), [lines(0, "one\n")]);
    assert_eq!(tailer.offset(), 4);
    assert!(tailer.long.as_ref().unwrap().bytes.len() <= WHOLE);
    place.append(b"y\ntwo\n");
    let seen = all(&mut tailer);
    let length = WHOLE as u64 / 2 * 3 + 1;
    let [Seen::Long { offset: 4, bytes, length: told }, rest] = &seen[..] else { panic!("{} seen", seen.len()) };
    assert_eq!((bytes.len(), *told, rest), (WHOLE, length, &lines(4 + length + 1, "two\n")));
    place.append(&[&vec![b'z'; WHOLE][..], b"\n"].concat());
    let seen = all(&mut tailer);
    assert!(matches!(&seen[..], [Seen::Lines { bytes, .. }] if bytes.len() == WHOLE + 1));
}

#[test]
fn an_archive_that_cannot_be_read_is_told_once_and_the_rest_follows() {
    let place = Place::new();
    for second in 1..4 {
        place.append(format!("{second}\n").as_bytes());
        place.archive(second, Compress::Gzip);
        place.says(second, 2, What::Archive);
    }
    let broken = crate::archive::archive_path_as(&place.path, Timestamp::from_second(2).unwrap(), Compress::Gzip);
    fs::write(&broken, b"no gzip").unwrap();
    place.append(b"4\n");
    let mut tailer = place.tailer(0);
    let (mut seen, mut errors) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        match tailer.poll() {
            Ok(some) => seen.extend(some),
            Err(e) => errors.push(e.to_string()),
        }
    }
    seen.retain(|seen| matches!(seen, Seen::Lines { .. }));
    assert_eq!(seen, [lines(0, "1\n"), lines(4, "3\n"), lines(6, "4\n")]);
    assert_eq!(errors.len(), 1);
    assert!(errors[0].contains(broken.to_str().unwrap()), "{errors:?}");
}

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<u8>),
    /// The file becomes an archive; soon the collector says how long it was.
    Rotate(usize),
    /// The archive of that turn is compressed.
    Poll(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => prop::collection::vec(prop_oneof![3 => Just(b'x'), 1 => Just(b'\n')], 0..40).prop_map(Step::Write),
        1 => (PIECE - 2..PIECE + 2).prop_map(|n| Step::Write(vec![b'y'; n])),
        3 => (0usize..3).prop_map(Step::Rotate),
        3 => (0u8..4).prop_map(Step::Poll),
    ];
    prop::collection::vec(step, 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn what_is_followed_from_anywhere_through_rotations_is_what_was_written_at_its_offsets(
        before in steps(), behind in steps(), begin in any::<prop::sample::Index>(),
    ) {
        let place = Place::new();
        place.append(b"");
        let (mut written, mut second, mut file) = (Vec::new(), 0, 0);
        let mut play = |steps: Vec<Step>, written: &mut Vec<u8>, tailer: &mut Option<Tailer>, seen: &mut Vec<Seen>| {
            for step in steps {
                match step {
                    Step::Write(bytes) => {
                        place.append(&bytes);
                        file += bytes.len();
                        written.extend(bytes);
                    }
                    Step::Rotate(form) => {
                        second += 1;
                        place.archive(second, FORMS[form]);
                        if second % 3 > 0 {
                            place.says(second, file as u64, What::Archive);
                        }
                        file = 0;
                    }
                    Step::Poll(times) => for tailer in tailer.iter_mut() {
                        (0..times).for_each(|_| seen.extend(tailer.poll().unwrap()));
                    },
                }
            }
        };
        let mut seen = Vec::new();
        play(before, &mut written, &mut None, &mut seen);
        let from = begin.index(written.len() + 1);
        let mut tailer = Some(place.tailer(from as u64));
        play(behind, &mut written, &mut tailer, &mut seen);
        place.append(b"\nend\n");
        written.extend(b"\nend\n");
        let mut tailer = tailer.unwrap();
        seen.extend(all(&mut tailer));
        // It begins with the first line behind.
        let mut at = from;
        if at > 0 && written[at - 1] != b'\n' {
            at = written.len().min(memchr::memchr(b'\n', &written[at..]).map_or(at, |lf| at + lf + 1));
        }
        for one in seen {
            let Seen::Lines { offset, bytes } = one else { continue };
            prop_assert_eq!(offset, at as u64);
            prop_assert!(bytes.ends_with(b"\n") && written[at..].starts_with(&bytes), "at {}", at);
            at += bytes.len();
        }
        prop_assert_eq!(at, written.len());
        prop_assert_eq!(tailer.offset(), written.len() as u64);
    }
}
