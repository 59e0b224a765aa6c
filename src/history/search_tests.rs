use super::super::rig::{FORMS, Place};
use super::*;
use crate::archive;
use crate::plan::Compress;
use jiff::Timestamp;
use proptest::prelude::*;

static GO_ON: AtomicBool = AtomicBool::new(false);

fn log(place: &Place) -> Log {
    Log::new(&place.path, None)
}

/// What a search tells but its progress, hits with `true`.
fn told(place: &Place, from: u64, pattern: &Pattern, context: usize) -> (Vec<(bool, Line)>, Summary) {
    let mut all = Vec::new();
    let summary = search(&mut log(place), from, pattern, context, &GO_ON, &mut |found| {
        match found {
            Found::Hit(line) => all.push((true, line)),
            Found::Context(line) => all.push((false, line)),
            Found::Progress { .. } => {}
        }
        ControlFlow::Continue(())
    });
    (all, summary.unwrap())
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text, false, false).unwrap()
}

/// The same, line by line.
fn model(bytes: &[u8], from: u64, pattern: &Pattern, context: usize) -> Vec<(bool, Line)> {
    let mut lines = Vec::new();
    let mut offset = 0;
    for line in bytes.split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"\n")) {
        let text = &line[..line.len() - 1];
        if offset >= from {
            lines.push(Line { offset, bytes: text.to_vec(), length: text.len() as u64 });
        }
        offset += line.len() as u64;
    }
    let hits: Vec<bool> = lines.iter().map(|line| pattern.is_match(&line.bytes)).collect();
    let near = |n: usize| hits[n.saturating_sub(context)..hits.len().min(n + context + 1)].contains(&true);
    let shown = (0..hits.len()).filter(|n| near(*n));
    shown.map(|n| (hits[n], lines[n].clone())).collect()
}

#[test]
fn a_search_goes_through_archives_of_every_form_and_the_file_in_the_order_of_writing() {
    let place = Place::new();
    for (second, form) in (1..).zip(FORMS) {
        place.append(format!("no\nhit {}\nno\n", second - 1).as_bytes());
        place.archive(second, form);
    }
    place.append(b"hit 3\nno\nhit that is not a whole line yet");
    let (lines, summary) = told(&place, 0, &pattern("^hit"), 0);
    let texts: Vec<_> = lines.iter().map(|(_, line)| String::from_utf8_lossy(&line.bytes).into_owned()).collect();
    assert_eq!(texts, ["hit 0", "hit 1", "hit 2", "hit 3"]);
    assert_eq!(lines.iter().map(|(_, line)| line.offset).collect::<Vec<_>>(), [3, 15, 27, 36]);
    assert_eq!(summary, Summary { hits: 4, to: 45, ..Summary::default() });
}

#[test]
fn a_broken_archive_is_told_and_the_search_goes_on_behind_it() {
    let place = Place::new();
    place.append(b"hit 0\n");
    place.archive(1, Compress::Gzip);
    // Numbers that do not compress: what is left of them is a part.
    let numbers: Vec<_> = (0..50_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    place.append(format!("{}\n", numbers.join("\n")).as_bytes());
    place.append(b"hit 1\n");
    place.archive(2, Compress::Gzip);
    let packed = archive::archive_path_as(&place.path, Timestamp::from_second(2).unwrap(), Compress::Gzip);
    let whole = std::fs::read(&packed).unwrap();
    std::fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
    place.append(b"hit 2\n");
    let (lines, summary) = told(&place, 0, &pattern("hit"), 0);
    let hits: Vec<_> = lines.iter().map(|(_, line)| &line.bytes[..]).collect();
    assert_eq!((&hits[..], summary.hits, summary.stopped), (&[&b"hit 0"[..], b"hit 2"][..], 2, false));
    let [part] = &summary.unreadable[..] else { panic!("{summary:?}") };
    assert!(part.from >= 6 && part.why.contains(packed.to_str().unwrap()), "{part:?}");
}

#[test]
fn of_a_line_that_is_too_long_only_the_beginning_is_asked_and_that_is_told() {
    let place = Place::new();
    let longest = 4 * LONGEST / (CONTEXT + 1);
    let mut bytes = b"first\n".to_vec();
    bytes.resize(bytes.len() + longest + 100_000, b'x');
    bytes.extend_from_slice(b"hit\n");
    let second = bytes.len() as u64;
    bytes.extend_from_slice(b"hit\n");
    bytes.resize(bytes.len() + longest, b'x');
    bytes.extend_from_slice(b"\nlast hit\n");
    let last = bytes.len() as u64 - 9;
    place.append(&bytes);
    let (lines, summary) = told(&place, 0, &pattern("hit"), CONTEXT);
    let seen: Vec<_> =
        lines.iter().map(|(hit, line)| (*hit, line.offset, line.bytes.len() as u64, line.length)).collect();
    let long = longest as u64;
    let expected = [
        (false, 0, 5, 5),
        (false, 6, long, long + 100_003),
        (true, second, 3, 3),
        (false, second + 4, long, long),
        (true, last, 8, 8),
    ];
    assert_eq!(seen, expected);
    assert_eq!((summary.cut, summary.hits), (1, 2));
}

#[test]
fn a_break_and_a_cancel_end_it_and_it_says_so() {
    let place = Place::new();
    place.append(&b"hit\n".repeat(500_000));
    let mut seen = 0;
    let summary = search(&mut log(&place), 0, &pattern("hit"), 0, &GO_ON, &mut |_| {
        seen += 1;
        if seen == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert_eq!((seen, summary.unwrap().stopped), (3, true));
    let cancel = AtomicBool::new(false);
    let mut hits = 0;
    let summary = search(&mut log(&place), 0, &pattern("hit"), 0, &cancel, &mut |found| {
        hits += u64::from(matches!(found, Found::Hit(_)));
        cancel.store(true, Ordering::Relaxed);
        ControlFlow::Continue(())
    });
    assert!(hits <= 1 && summary.unwrap().stopped, "{hits}");
}

#[test]
fn progress_is_told_while_it_searches_and_is_never_beyond_the_end() {
    let place = Place::new();
    place.append(&b"hit\n".repeat(50_000));
    let (mut last, mut some) = (0, false);
    let summary = search(&mut log(&place), 40_000, &pattern("hit"), 0, &GO_ON, &mut |found| {
        match found {
            Found::Progress { bytes, of, hits } => {
                assert!(last <= bytes && bytes <= of && hits <= 40_000);
                assert_eq!(of, 160_000);
                (last, some) = (bytes, true);
            }
            // Whoever takes the lines is slow, once: long enough for a word.
            _ if !some && last == 0 => {
                let slow = Instant::now();
                while slow.elapsed() < TICK {
                    std::thread::yield_now();
                }
                last = 1;
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    assert!(some);
    assert_eq!(summary.unwrap().hits, 40_000);
}

#[test]
fn a_flag_that_makes_cr_an_end_of_line_is_seen() {
    assert!(names_cr_ends("(?mR)a$") && names_cr_ends("a(?i-R:b)"));
    assert!(!names_cr_ends("Ra(?:R)") && !names_cr_ends("(?i)R"));
}

/// Patterns in which line ends, anchors and empty matches play a part.
const PATTERNS: [&str; 22] = [
    "a",
    "ab|ba",
    "^a",
    "a$",
    "^$",
    "",
    "a*",
    r"\Aa",
    r"a\z",
    "(?s)a.b",
    r"\s",
    "[^a]",
    r"\n",
    r"a|\n",
    r"\r$",
    "(?-m)^b",
    "(?mR)a$",
    r"\bb",
    r"\B",
    r"(?-u)\xff",
    "(?x) a # b",
    "A|é",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn a_search_tells_what_a_look_at_each_line_tells(
        pieces in prop::collection::vec((
            prop::collection::vec(prop_oneof![
                4 => Just(b'\n'), 4 => Just(b'a'), 3 => Just(b'b'), 1 => Just(b'\r'), 1 => Just(b' '), 1 => Just(0xff), 1 => Just(b'A'), 1 => Just(0),
            ], 0..60),
            0_usize..3,
        ), 0..4),
        which in 0..PATTERNS.len(),
        ignore_case in any::<bool>(),
        invert in any::<bool>(),
        context in 0_usize..4,
        from in 0_u64..40,
    ) {
        let place = Place::new();
        let mut all = Vec::new();
        let last = i64::try_from(pieces.len()).unwrap();
        for (second, (bytes, form)) in (1_i64..).zip(&pieces) {
            place.append(bytes);
            all.extend_from_slice(bytes);
            if second < last && !bytes.is_empty() {
                place.archive(second, FORMS[*form]);
            }
        }
        let pattern = Pattern::new(PATTERNS[which], ignore_case, invert).unwrap();
        let (lines, summary) = told(&place, from, &pattern, context);
        let expected = model(&all, from, &pattern, context);
        prop_assert_eq!(&lines, &expected);
        prop_assert_eq!(summary.hits, expected.iter().filter(|(hit, _)| *hit).count() as u64);
    }
}
