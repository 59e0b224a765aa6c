use std::path::Path;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn source() -> Arc<Source> {
    Arc::new(Source::of(Path::new("/nowhere")))
}

/// What somebody is told, as JSON, with the place behind each.
fn told(batch: &Batch, want: Want<'_>) -> Vec<(Value, u64)> {
    let one = |(index, behind)| {
        let mut out = b"before ".to_vec();
        batch.put(index, want, &mut out);
        (serde_json::from_slice(&out[7..]).unwrap(), behind)
    };
    batch.wanted(want).map(one).collect()
}

proptest! {
    #[test]
    fn a_line_that_is_made_once_for_all_says_what_one_says_that_is_made_for_somebody(
        lines in prop::collection::vec(prop_oneof![
            4 => "[a-c\\\\\"\u{7f}é]{0,20}".prop_map(String::into_bytes),
            1 => prop::collection::vec(any::<u8>().prop_map(|b| if b == b'\n' { 0xff } else { b }), 0..20),
            1 => (16_380..16_390_usize).prop_map(|n| "é".repeat(n / 2).into_bytes()),
            1 => (16_380..16_390_usize).prop_map(|n| vec![b'a'; n]),
        ], 1..8),
        wanted in prop_oneof![Just(None), Just(Some(("a+", false))), Just(Some(("b", true)))],
        after in 0..60_u64,
        cut: bool,
    ) {
        let source = source();
        let text: Vec<u8> = lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect();
        let pattern = wanted.map(|(text, invert)| Pattern::new(text, false, invert).unwrap());
        let want = Want { after, pattern: pattern.as_ref(), sifted: false, cut };
        let batches = Batch::of(&source, (7, 7 + text.len() as u64), &text, "now");
        let has: Vec<_> = batches.iter().flat_map(|batch| told(batch, want)).collect();
        let (mut expected, mut at) = (Vec::new(), 7);
        for line in &lines {
            let end = at + line.len() as u64 + 1;
            if at >= after && pattern.as_ref().is_none_or(|pattern| pattern.is_match(line)) {
                let shape = Shape { pattern: pattern.as_ref(), cut, arrived: Some("now") };
                expected.push((Value::Object(line::line(&source, at, line, line.len() as u64, shape)), end));
            }
            at = end;
        }
        prop_assert_eq!(has, expected);
    }
}

#[test]
fn many_short_lines_are_several_events() {
    let text = "\n".repeat(20_000);
    let batches = Batch::of(&source(), (0, 20_000), text.as_bytes(), "now");
    assert!(batches.len() > 1);
    assert!(batches.iter().all(|batch| batch.json.len() < EVENT + 1000));
    assert_eq!(batches.iter().map(Batch::count).sum::<usize>(), 20_000);
    assert_eq!(batches.last().unwrap().end(), 20_000);
    assert!(batches.windows(2).all(|two| two[0].end() == two[1].lines[0].offset));
}

#[test]
fn an_end_of_line_that_is_not_in_the_file_counts_nothing() {
    let want = Want { after: 0, pattern: None, sifted: false, cut: true };
    let batches = Batch::of(&source(), (10, 13), b"one\n", "now");
    assert_eq!(told(&batches[0], want)[0].1, 13);
    let long = Batch::long(&source(), (10, 1_000), b"one", 989, "now");
    let (line, behind) = &told(&long, want)[0];
    assert_eq!((line["cut"].as_u64(), *behind), (Some(989), 1_000));
}

#[test]
fn what_was_looked_through_already_is_told_though_its_beginning_says_nothing() {
    let pattern = Pattern::new("end", false, false).unwrap();
    let lines = [Line { offset: 0, bytes: b"begin".to_vec(), length: 100 }];
    let batch = Batch::page(&source(), &lines, 101).unwrap();
    let want = Want { after: 0, pattern: Some(&pattern), sifted: true, cut: true };
    assert_eq!(told(&batch, want).len(), 1);
    assert_eq!(told(&batch, Want { sifted: false, ..want }).len(), 0);
}
