use super::super::page::{Line, Unreadable};
use super::super::rig::{FORMS, Place};
use super::*;
use crate::archive;
use crate::archive::catalog::{self, Entry, Head, What};
use crate::plan::Compress;
use jiff::Timestamp;
use proptest::prelude::*;
use std::fs;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn bounds(lines: usize) -> Bounds<'static> {
    Bounds { lines, bytes: 1 << 20, filter: None, cancel: &GO_ON }
}

/// The bytes of each line.
fn texts(page: &Page) -> Vec<&str> {
    page.lines.iter().map(|line| std::str::from_utf8(&line.bytes).unwrap()).collect()
}

impl Place {
    fn log(&self) -> Log {
        Log::new(&self.path, Some(&self.catalog()))
    }

    fn catalog(&self) -> PathBuf {
        self.folder.path().join("catalog")
    }

    /// Writes the catalog of a file of which these were put away.
    fn catalogue(&self, entries: &[(i64, u64, What)]) {
        let mut text = Vec::new();
        catalog::append(&mut text, &Head { file: self.path.display().to_string(), stream: "main".into() });
        for (second, bytes, what) in entries {
            catalog::append(&mut text, &Entry { at: at(*second), bytes: *bytes, what: *what });
        }
        fs::write(self.catalog(), text).unwrap();
    }

    fn remove(&self, second: i64) {
        for form in FORMS {
            let _ = fs::remove_file(archive::archive_path_as(&self.path, at(second), form));
        }
    }
}

#[test]
fn nothing_at_all_is_an_empty_history() {
    let place = Place::new();
    assert_eq!(place.log().extent().unwrap(), Extent { first: 0, end: 0 });
    let page = place.log().before(10, &bounds(5)).unwrap();
    assert_eq!((page.from, page.to, page.first, page.last, page.lines), (0, 0, true, true, vec![]));
}

#[test]
fn what_is_not_a_whole_line_yet_is_not_shown() {
    let place = Place::new();
    place.append(b"one\ntwo\nthr");
    assert_eq!(place.log().extent().unwrap(), Extent { first: 0, end: 8 });
    let page = place.log().before(u64::MAX, &bounds(1)).unwrap();
    assert_eq!((texts(&page), page.from, page.to, page.first, page.last), (vec!["two"], 4, 8, false, true));
    let page = place.log().after(4, &bounds(9)).unwrap();
    assert_eq!((texts(&page), page.from, page.to, page.first, page.last), (vec!["two"], 4, 8, false, true));
    place.append(b"ee\n");
    let page = place.log().after(page.to, &bounds(9)).unwrap();
    assert_eq!((texts(&page), page.lines[0].offset), (vec!["three"], 8));
    // Somebody else's link leads into the middle of a line.
    assert_eq!(texts(&place.log().after(5, &bounds(9)).unwrap()), ["three"]);
    assert_eq!(texts(&place.log().before(7, &bounds(9)).unwrap()), ["one"]);
}

#[test]
fn an_offset_leads_to_its_line_whatever_becomes_of_the_archives() {
    for forms in FORMS.into_iter().flat_map(|one| FORMS.map(|other| [one, other])) {
        let place = Place::new();
        place.append(b"1 a\n1 b\n");
        let link = |offset: u64| texts(&place.log().after(offset, &bounds(1)).unwrap()).join("");
        assert_eq!(link(4), "1 b");
        place.archive(1, forms[0]);
        place.append(b"2 a\n2 b\n");
        assert_eq!((link(4), link(12)), ("1 b".into(), "2 b".into()), "without a word of the collector");
        place.catalogue(&[(1, 8, What::Archive)]);
        place.archive(2, forms[1]);
        place.append(b"3 a\n");
        assert_eq!((link(4), link(12), link(16)), ("1 b".into(), "2 b".into(), "3 a".into()));
        place.remove(1);
        assert_eq!((link(12), link(16)), ("2 b".into(), "3 a".into()));
        assert_eq!(place.log().extent().unwrap(), Extent { first: 8, end: 20 });
        let page = place.log().before(16, &bounds(9)).unwrap();
        assert_eq!((texts(&page), page.first), (vec!["2 a", "2 b"], true));
        place.catalogue(&[(1, 8, What::Base), (2, 8, What::Archive)]);
        place.remove(2);
        assert_eq!((link(0), link(16)), ("3 a".into(), "3 a".into()));
        assert_eq!(place.log().extent().unwrap(), Extent { first: 16, end: 20 });
    }
}

#[test]
fn bytes_that_were_truncated_away_still_count() {
    let place = Place::new();
    place.append(b"old\n");
    place.archive(1, Compress::Gzip);
    place.append(b"after\n");
    place.catalogue(&[(1, 4, What::Archive), (2, 1000, What::Gone)]);
    let page = place.log().before(u64::MAX, &bounds(9)).unwrap();
    assert_eq!(page.lines.iter().map(|line| line.offset).collect::<Vec<_>>(), [0, 1004]);
    assert_eq!((page.first, page.last), (true, true));
    assert_eq!(texts(&place.log().after(4, &bounds(9)).unwrap()), ["after"]);
}

#[test]
fn a_line_ends_where_what_followed_it_is_gone_and_goes_on_in_the_next_file_otherwise() {
    let place = Place::new();
    place.append(b"one\ntw");
    place.archive(1, Compress::Zstd);
    place.append(b"o\nthr");
    place.archive(2, Compress::None);
    place.append(b"x\n");
    place.archive(3, Compress::Gzip);
    place.append(b"four\n");
    assert_eq!(texts(&place.log().after(0, &bounds(9)).unwrap()), ["one", "two", "thrx", "four"]);
    place.catalogue(&[(3, 2, What::Archive)]);
    place.remove(3);
    let page = place.log().after(0, &bounds(9)).unwrap();
    assert_eq!(texts(&page), ["one", "two", "thr", "four"]);
    assert_eq!(page.lines[3].offset, 13);
    assert_eq!(place.log().before(u64::MAX, &bounds(9)).unwrap().lines, page.lines);
}

#[test]
fn an_archive_that_cannot_be_read_is_named_and_the_rest_is_shown() {
    let place = Place::new();
    place.append(b"1\n");
    place.archive(1, Compress::Gzip);
    place.append(b"2\n".repeat(1000).as_slice());
    place.archive(2, Compress::Gzip);
    place.append(b"3\n");
    place.catalogue(&[(1, 2, What::Archive), (2, 2000, What::Archive)]);
    let broken = archive::archive_path_as(&place.path, at(2), Compress::Gzip);
    fs::write(&broken, b"this is no gzip").unwrap();
    for page in [place.log().after(0, &bounds(9)).unwrap(), place.log().before(u64::MAX, &bounds(9)).unwrap()] {
        assert_eq!(texts(&page), ["1", "3"]);
        assert_eq!(page.lines[1].offset, 2002);
        let [Unreadable { from: 2, to: 2002, why }] = &page.unreadable[..] else { panic!("{page:?}") };
        assert!(why.contains(broken.to_str().unwrap()), "{why}");
    }
    // Without its entry nobody knows how long it was.
    fs::remove_file(place.catalog()).unwrap();
    assert_eq!(texts(&place.log().after(0, &bounds(9)).unwrap()), ["1", "3"]);
    let fifo = archive::archive_path(&place.path, at(2));
    fs::remove_file(broken).unwrap();
    fs::write(&fifo, b"2\n2\n").unwrap();
    place.catalogue(&[(1, 2, What::Archive), (2, 2000, What::Archive)]);
    let page = place.log().after(0, &bounds(9)).unwrap();
    assert_eq!(texts(&page), ["1", "2", "2", "3"], "of one that is too short, what it has");
    assert!(page.unreadable[0].why.contains("4 bytes"), "{:?}", page.unreadable);
}

#[test]
fn a_page_at_the_end_of_a_large_file_reads_only_the_end() {
    let place = Place::new();
    place.append(b"");
    let file = fs::File::options().write(true).open(&place.path).unwrap();
    file.set_len(1 << 40).unwrap();
    place.append(b"\none\ntwo\n");
    let page = place.log().before(u64::MAX, &bounds(2)).unwrap();
    assert_eq!((texts(&page), page.lines[0].offset), (vec!["one", "two"], (1 << 40) + 1));
    assert_eq!(texts(&place.log().after(page.from, &bounds(9)).unwrap()), ["one", "two"]);
}

#[test]
fn of_a_long_line_its_beginning_and_its_length_are_told() {
    let place = Place::new();
    let long = [b"begin".to_vec(), vec![b'x'; 3 << 20]].concat();
    place.append(&[b"one\n", &long[..], b"\ntwo\n"].concat());
    for page in
        [place.log().after(4, &bounds(1)).unwrap(), place.log().before(4 + long.len() as u64 + 1, &bounds(1)).unwrap()]
    {
        let [Line { offset: 4, bytes, length }] = &page.lines[..] else { panic!("{} lines", page.lines.len()) };
        assert_eq!((bytes.len(), *length), (1 << 20, long.len() as u64));
        assert!(bytes.starts_with(b"begin"));
    }
}

#[test]
fn ten_thousand_archives_are_bearable() {
    let place = Place::new();
    for second in 0..10_000 {
        fs::write(archive::archive_path(&place.path, at(second)), format!("{second:>7}\n")).unwrap();
    }
    place.append(b"the end\n");
    let page = place.log().after(8 * 5000, &bounds(3)).unwrap();
    assert_eq!(texts(&page), ["   5000", "   5001", "   5002"]);
    assert_eq!(place.log().extent().unwrap(), Extent { first: 0, end: 80_008 });
}

/// Bytes, where they are cut, how each piece is kept, and which of them are gone.
fn history() -> impl Strategy<Value = (Vec<u8>, Vec<(usize, usize)>, usize)> {
    let line = prop_oneof![
        8 => prop::collection::vec(prop_oneof![Just(b'a'), Just(b'b'), Just(0xff)], 0..12),
        1 => (60_000usize..70_000).prop_map(|n| vec![b'b'; n]),
    ];
    let bytes = (prop::collection::vec(line, 0..25), any::<bool>()).prop_map(|(lines, ended)| {
        let mut bytes = lines.join(&b'\n');
        if ended {
            bytes.push(b'\n');
        }
        bytes
    });
    (bytes, prop::collection::vec((any::<prop::sample::Index>(), 0usize..3), 0..6), 0usize..3).prop_map(
        |(bytes, cuts, gone)| {
            let mut cuts: Vec<_> = cuts.into_iter().map(|(at, form)| (at.index(bytes.len() + 1), form)).collect();
            cuts.sort_unstable();
            let gone = gone.min(cuts.len());
            (bytes, cuts, gone)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    #[test]
    fn a_history_cut_anywhere_into_archives_of_any_form_is_paged_like_one_file(
        (bytes, cuts, gone) in history(), lines in 1usize..7, filtered in any::<bool>(), catalogued in any::<bool>(),
    ) {
        let place = Place::new();
        let (mut begin, mut entries) = (0, Vec::new());
        for (second, (cut, form)) in cuts.iter().enumerate() {
            let second = i64::try_from(second).unwrap() + 1;
            place.append(&bytes[begin..*cut]);
            place.archive(second, FORMS[*form]);
            entries.push((second, (cut - begin) as u64, What::Archive));
            begin = *cut;
        }
        place.append(&bytes[begin..]);
        // The oldest ones are gone: only a catalog can know of them.
        let first = if catalogued { cuts[..gone].last().map_or(0, |(cut, _)| *cut) } else { 0 };
        if catalogued {
            place.catalogue(&entries);
            (1..=i64::try_from(gone).unwrap()).for_each(|second| place.remove(second));
        }
        let pattern = crate::history::Pattern::new("a", false, false).unwrap();
        let wanted = Bounds { filter: filtered.then_some(&pattern), ..bounds(lines) };
        let mut expected = Vec::new();
        let mut offset = first as u64;
        for piece in bytes[first..].split_inclusive(|b| *b == b'\n') {
            if let Some(line) = piece.strip_suffix(b"\n") && (!filtered || line.contains(&b'a')) {
                expected.push(Line { offset, length: line.len() as u64, bytes: line.to_vec() });
            }
            offset += piece.len() as u64;
        }
        let mut log = place.log();
        let extent = log.extent().unwrap();
        let whole = memchr::memrchr(b'\n', &bytes[first..]).map_or(first, |lf| first + lf + 1) as u64;
        prop_assert_eq!(extent, Extent { first: first as u64, end: whole });
        let (mut at, mut got) = (0, Vec::new());
        loop {
            let page = log.after(at, &wanted).unwrap();
            prop_assert!(page.unreadable.is_empty());
            (at, got) = (page.to, [got, page.lines].concat());
            if page.last {
                break;
            }
        }
        prop_assert!(got == expected, "{} of {} lines forwards", got.len(), expected.len());
        (at, got) = (u64::MAX, Vec::new());
        loop {
            let page = log.before(at, &wanted).unwrap();
            (at, got) = (page.from, [page.lines, got].concat());
            if page.first {
                break;
            }
        }
        prop_assert!(got == expected, "{} of {} lines backwards", got.len(), expected.len());
    }
}

/// Lines of three archives and a file, ten seconds apart, some without a time.
fn timed(place: &Place, forms: [Compress; 3]) {
    for n in 0..4_i64 {
        for m in 0..1000 {
            place.append(
                format!("{{\"time\":\"{}\",\"record\":\"{n} {m}\"}}\nno time\n", at(n * 10_000 + m * 10)).as_bytes(),
            );
        }
        if n < 3 {
            place.archive((n + 1) * 10_000, forms[usize::try_from(n).unwrap()]);
        }
    }
}

#[test]
fn raw_bytes_are_read_from_anywhere_to_anywhere_and_skip_what_is_gone() {
    use std::io::Read as _;
    let place = Place::new();
    for (second, form) in [(1, Compress::Gzip), (2, Compress::None), (3, Compress::Zstd)] {
        place.append(format!("{second} {}\n", "x".repeat(100_000)).as_bytes());
        place.archive(second, form);
    }
    place.append(b"4\n");
    place.catalogue(&[(1, 100_003, What::Archive), (2, 100_003, What::Archive), (3, 100_003, What::Archive)]);
    let read = |from, to| {
        let (mut all, mut stored) = (String::new(), place.log().bytes(from, to).unwrap());
        let mut small = [0; 777];
        loop {
            let before = stored.offset();
            match stored.read(&mut small).unwrap() {
                0 => return all,
                n => {
                    assert!(before < stored.offset());
                    all.push_str(std::str::from_utf8(&small[..n]).unwrap());
                }
            }
        }
    };
    let line = |n: u32| format!("{n} {}\n", "x".repeat(100_000));
    assert_eq!(read(0, u64::MAX), [line(1), line(2), line(3), "4\n".into()].concat());
    assert_eq!(read(100_000, 100_006), "xx\n2 x");
    place.remove(2);
    assert_eq!(read(100_002, 200_008), "\n3 ");
    assert_eq!(place.log().runs(0, u64::MAX).unwrap(), [0..100_003, 200_006..300_011]);
    let broken = archive::archive_path_as(&place.path, at(3), Compress::Zstd);
    fs::write(&broken, "no zstd").unwrap();
    let mut stored = place.log().bytes(100_000, u64::MAX).unwrap();
    let mut all = Vec::new();
    let error = stored.read_to_end(&mut all).unwrap_err().to_string();
    assert!(error.contains(broken.to_str().unwrap()), "{error}");
    stored.read_to_end(&mut all).unwrap();
    assert_eq!(String::from_utf8(all).unwrap(), "xx\n4\n");
}

#[test]
fn a_moment_is_found_by_the_times_of_lines_through_archives_of_any_form() {
    let columns = Columns::new("json", None);
    for forms in [FORMS, [Compress::None; 3], [Compress::Gzip, Compress::Gzip, Compress::None]] {
        let place = Place::new();
        timed(&place, forms);
        let found = |second: i64| {
            let page = place.log().after(place.log().at(at(second), &columns).unwrap(), &bounds(1)).unwrap();
            page.lines.first().map(|line| String::from_utf8(line.bytes.clone()).unwrap())
        };
        for second in [-5, 0, 1, 10, 4_999, 5_000, 9_990, 9_991, 10_000, 20_005, 29_990, 30_000, 39_990] {
            let first = (second.max(0) + 9) / 10;
            let expected =
                format!("{{\"time\":\"{}\",\"record\":\"{} {}\"}}", at(first * 10), first / 1000, first % 1000);
            assert_eq!(found(second), Some(expected), "{second}");
        }
        assert_eq!(found(40_000), None);
    }
}

#[test]
fn where_lines_have_no_time_archives_say_about_when_it_was() {
    let place = Place::new();
    for n in 1..4 {
        place.append("0123456\n".repeat(100).as_bytes());
        place.archive(n * 1000, Compress::Gzip);
    }
    place.append(b"the end\n");
    let columns = Columns::new("raw", None);
    let found = |second| place.log().at(at(second), &columns).unwrap();
    assert_eq!((found(0), found(1000), found(1500), found(2000)), (0, 0, 1200, 1600));
    assert_eq!(found(2_999), 2400);
    assert_eq!(found(i64::from(u32::MAX) * 2), 2408);
}
