use super::*;
use proptest::prelude::*;
use std::fs::{self, OpenOptions};
use std::io::Write as _;

struct Place {
    folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.log");
        Self { folder, path }
    }

    fn append(&self, bytes: &[u8]) {
        append(&self.path, bytes);
    }

    fn rename(&self, to: &str) -> PathBuf {
        let to = self.folder.path().join(to);
        fs::rename(&self.path, &to).unwrap();
        to
    }
}

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

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
