use super::*;
use std::io::Write as _;

struct Log {
    dir: tempfile::TempDir,
}

impl Log {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Waits until the clock of the file system has moved on since the file was written to.
    fn tick(&self, name: &str) {
        let since = self.path(name).metadata().unwrap().modified().unwrap();
        while std::fs::write(self.path("clock"), "").and_then(|()| self.path("clock").metadata()?.modified()).unwrap()
            <= since
        {
            std::thread::yield_now();
        }
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = File::options().append(true).create(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.path(from), self.path(to)).unwrap();
    }

    fn follow(&self, saved: Option<&Place>) -> Tail {
        Tail::open(&self.path("f"), saved).unwrap()
    }
}

fn lines(tail: &mut Tail) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((line, _)) = tail.line().unwrap() {
        all.push(String::from_utf8(line).unwrap());
    }
    all
}

#[test]
fn it_begins_at_the_end_and_waits_for_the_ends_of_lines() {
    let log = Log::new();
    log.append("f", "old\nhalf");
    let mut tail = log.follow(None);
    assert_eq!(lines(&mut tail), [""; 0]);
    log.append("f", " and half\nne");
    assert_eq!(lines(&mut tail), ["half and half"]);
    log.append("f", "xt\n\n");
    assert_eq!(lines(&mut tail), ["next", ""]);
}

#[test]
fn a_file_that_comes_later_is_read_from_its_beginning() {
    let log = Log::new();
    let mut tail = log.follow(None);
    assert_eq!(lines(&mut tail), [""; 0]);
    log.append("f", "first\n");
    assert_eq!(lines(&mut tail), ["first"]);
}

#[test]
fn the_rest_of_a_renamed_file_comes_before_the_new_one() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f", "1\n");
    assert_eq!(lines(&mut tail), ["1"]);
    log.append("f", "2\n");
    log.rename("f", "f.1");
    // The writer has not noticed yet.
    log.append("f.1", "3\n");
    log.append("f", "");
    assert_eq!(lines(&mut tail), ["2", "3"]);
    log.append("f.1", "4\nlast");
    log.append("f", "5\n");
    assert_eq!(lines(&mut tail), ["4", "last", "5"]);
    for n in 6..20 {
        log.append("f", &format!("{n}\n"));
        log.rename("f", &format!("f.{n}"));
        log.append("f", "");
        assert_eq!(lines(&mut tail), [n.to_string()], "rotation {n}");
    }
}

#[test]
fn files_that_had_the_path_while_nobody_read_are_read_once_each_in_order() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f.old", "never ours\n");
    log.tick("f.old");
    log.append("f", "1\n");
    assert_eq!(lines(&mut tail), ["1"]);
    for n in 2..6 {
        log.append("f", &format!("{n}\n"));
        log.rename("f", &format!("f.{n}"));
        log.tick(&format!("f.{n}"));
        log.append("f", "");
    }
    // Who wrote to the first one has noticed late.
    log.append("f.2", "late\n");
    log.append("f", "6\n");
    assert_eq!(lines(&mut tail), ["2", "late", "3", "4", "5", "6"]);
    log.rename("f", "f.6");
    log.append("f", "7\n");
    assert_eq!(lines(&mut tail), ["7"]);
}

#[test]
fn a_truncated_file_is_read_anew_whatever_its_length_is_then() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f", "one\ntwo\nhalf");
    assert_eq!(lines(&mut tail), ["one", "two"]);
    std::fs::write(log.path("f"), "a\n").unwrap();
    assert_eq!(lines(&mut tail), ["half", "a"]);
    // Longer than before when it is looked at next.
    std::fs::write(log.path("f"), "b, which is longer\nthan before\n").unwrap();
    assert_eq!(lines(&mut tail), ["b, which is longer", "than before"]);
    let place = tail.place().unwrap();
    log.append("f", "next\n");
    assert_eq!(lines(&mut log.follow(Some(&place))), ["next"]);
}

#[test]
fn it_goes_on_where_it_was_left_even_in_a_file_that_was_renamed_since() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f", "1\n2\n3\n");
    let (_, first) = tail.line().unwrap().unwrap();
    assert_eq!(lines(&mut log.follow(Some(&first))), ["2", "3"]);
    log.append("f", "4\n");
    log.rename("f", "f.1");
    assert_eq!(lines(&mut log.follow(Some(&first))), ["2", "3", "4"], "nothing has taken its place");
    log.append("f", "5\n");
    assert_eq!(lines(&mut log.follow(Some(&first))), ["2", "3", "4", "5"]);
    // Renamed again and again while nobody looked.
    log.rename("f", "f.0");
    log.tick("f.0");
    log.append("f", "6\n");
    log.rename("f", "f-2026");
    log.append("f.2.gz", "packed\n");
    log.append("other.1", "other\n");
    log.append("f", "7\n");
    assert_eq!(lines(&mut log.follow(Some(&first))), ["2", "3", "4", "5", "6", "7"]);
    for name in ["f-2026", "f"] {
        std::fs::remove_file(log.path(name)).unwrap();
    }
    log.rename("f.0", "f");
    std::fs::remove_file(log.path("f.1")).unwrap();
    assert_eq!(lines(&mut log.follow(Some(&first))), ["5"], "what is gone is gone");
    // Truncated while nobody looked, and longer than the place.
    let mut tail = log.follow(Some(&first));
    let (_, place) = tail.line().unwrap().unwrap();
    std::fs::write(log.path("f"), "6\n7\n8\n").unwrap();
    assert_eq!(lines(&mut log.follow(Some(&place))), ["6", "7", "8"]);
}

#[test]
fn a_file_that_was_truncated_and_renamed_while_nobody_looked_is_read_from_its_beginning() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f", "one\n");
    let (_, place) = tail.line().unwrap().unwrap();
    std::fs::write(log.path("f"), "two, longer\n").unwrap();
    log.rename("f", "f.1");
    log.append("f", "three\n");
    assert_eq!(lines(&mut log.follow(Some(&place))), ["two, longer", "three"]);
}

#[test]
fn a_place_survives_its_words_and_every_line_has_the_place_behind_it() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    let text: Vec<String> = (0..500).map(|n| format!("{n} {}\n", "x".repeat(n % 90))).collect();
    log.append("f", &text.concat());
    let mut places = Vec::new();
    while let Some((line, place)) = tail.line().unwrap() {
        places.push((line, place));
    }
    for (n, (_, place)) in places.iter().enumerate() {
        let text = serde_json::to_string(place).unwrap();
        let place = serde_json::from_str(&text).unwrap();
        let next = log.follow(Some(&place)).line().unwrap().map(|(line, _)| line);
        assert_eq!(next.as_ref(), places.get(n + 1).map(|(line, _)| line));
    }
}

#[test]
fn a_line_without_end_comes_in_pieces() {
    let log = Log::new();
    log.append("f", "");
    let mut tail = log.follow(None);
    log.append("f", &"x".repeat(3 * LONGEST));
    let sizes: Vec<usize> = lines(&mut tail).iter().map(String::len).collect();
    assert_eq!(sizes, [LONGEST, LONGEST]);
    log.append("f", "\nnext\n");
    assert_eq!(lines(&mut tail).iter().map(String::len).collect::<Vec<_>>(), [LONGEST, 4]);
}

#[test]
fn folders_and_pipes_are_refused() {
    let log = Log::new();
    std::fs::create_dir(log.path("f")).unwrap();
    assert!(Tail::open(&log.path("f"), None).is_err());
    assert_eq!(Tail::open(Path::new("/dev/null"), None).unwrap_err().kind(), io::ErrorKind::InvalidInput);
}
