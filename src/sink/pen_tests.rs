use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::json::tests::unbase64;
use super::*;
use crate::plan::Template;

fn meta(keyword: Option<&str>, records: u64) -> Meta {
    let (peer, stream) = ("192.0.2.1:4711".into(), "main".into());
    Meta { peer, keyword: keyword.map(Into::into), stream, connection: 3, records }
}

fn now() -> Timestamp {
    "2026-11-21T00:41:28.12Z".parse().unwrap()
}

fn prefix(template: &str) -> Format {
    Format::Prefix(Template::prefix(template).unwrap())
}

/// What a pen of this format makes of what `fill` hands over.
fn drawn(format: &Format, meta: &Meta, syslog: bool, fill: impl FnOnce(&mut dyn Records)) -> Batch {
    let mut batch = Batch::default();
    fill(&mut Pen::new(&mut batch, Look { format, syslog }, meta, now()));
    batch
}

fn text(batch: &Batch) -> String {
    String::from_utf8(batch.bytes().to_vec()).unwrap()
}

fn objects(batch: &Batch) -> Vec<Value> {
    let lines = batch.bytes().split_inclusive(|b| *b == b'\n');
    lines.map(|line| serde_json::from_slice(line).unwrap_or_else(|e| panic!("{e}: {}", line.escape_ascii()))).collect()
}

#[test]
fn a_prefix_has_time_peer_keyword_stream_and_number_and_the_text_as_it_was() {
    let format = prefix("{time} {peer} {keyword} {stream} {n}: ");
    let batch = drawn(&format, &meta(Some("nginx"), 0), true, |out| {
        out.lines(b"one\n\n");
        out.record([b"thr", b"ee \xff\r"], End::Theirs);
        out.record([b"four", b""], End::Ours);
    });
    let front = "2026-11-21T00:41:28.120000Z 192.0.2.1:4711 nginx main";
    let meant = format!("{front} 1: one\n{front} 2: \n{front} 3: three \u{fffd}\r\n{front} 4: four\n");
    assert_eq!(String::from_utf8_lossy(batch.bytes()), meant);
    let all = batch.account(0, batch.len());
    assert_eq!(all, (4 + 1 + 8 + 1 + 4, batch.len() as u64 - 18));
    let later = drawn(&prefix("{n}{n} {keyword} "), &meta(None, 41), false, |out| out.lines(b"x\n"));
    assert_eq!(text(&later), "4242 - x\n", "numbers go on, and a missing keyword keeps its column");
    let bare = drawn(&prefix(""), &meta(None, 0), false, |out| out.lines(b"x\ny\n"));
    assert_eq!((text(&bare), bare.account(0, 4)), ("x\ny\n".into(), (4, 0)));
}

#[test]
fn what_a_server_says_about_a_peer_cannot_end_a_line() {
    let evil = Meta { peer: "a\nb\x1b:1".into(), ..meta(None, 0) };
    let batch = drawn(&prefix("{peer} "), &evil, false, |out| out.lines(b"x\n"));
    assert_eq!(text(&batch), "a\\x0ab\\x1b:1 x\n");
    let batch = drawn(&Format::Json, &evil, false, |out| out.lines(b"x\n"));
    assert_eq!(objects(&batch)[0]["peer"], "a\nb\x1b:1");
}

#[test]
fn a_prefixed_message_with_line_ends_inside_is_one_record() {
    let batch = drawn(&prefix("{n} "), &meta(None, 0), true, |out| {
        out.record([b"a\nb", b"\nc"], End::Ours);
        out.lines(b"d\n");
    });
    assert_eq!(text(&batch), "1 a\nb\nc\n2 d\n");
    let ends: Vec<usize> = (0..=batch.len()).filter(|at| batch.is_end(*at, true)).collect();
    assert_eq!(ends, [0, 8, 12]);
}

#[test]
fn json_has_all_keys_in_order() {
    let batch = drawn(&Format::Json, &meta(Some("app"), 6), false, |out| {
        out.lines(b"say \"hi\"\\\t\x01\n\xff\xfe\n");
        out.record([b"gr\xc3", b"\xbcn"], End::Ours);
        out.chunk(b"a\nb");
    });
    let front = r#"{"time":"2026-11-21T00:41:28.120000Z","peer":"192.0.2.1:4711","keyword":"app","stream":"main","connection":3"#;
    let meant = [
        r#""sequence":7,"record":"say \"hi\"\\\t\u0001"}"#,
        r#""sequence":8,"record_base64":"//4="}"#,
        r#""sequence":9,"record":"grün"}"#,
        r#""sequence":10,"record":"a\nb"}"#,
    ];
    assert_eq!(text(&batch).lines().collect::<Vec<_>>(), meant.map(|rest| format!("{front},{rest}")));
    let none = drawn(&Format::Json, &meta(None, 0), false, |out| out.lines(b"<13>x\n"));
    assert_eq!((&objects(&none)[0]["keyword"], objects(&none)[0].get("syslog")), (&Value::Null, None));
}

#[test]
fn json_says_what_syslog_says_and_keeps_the_record() {
    let batch = drawn(&Format::Json, &meta(None, 0), true, |out| {
        out.record([b"<34>1 2003-10-11T22:14:15.003Z m su 12 ID47 [a b=\"c\"] \xef\xbb\xbfhi\nthere", b""], End::Ours);
        out.lines(b"<13>Oct 11 22:14:15 m su[7]: caf\xe9\nno priority\n");
    });
    let objects = objects(&batch);
    assert_eq!(
        objects[0]["syslog"],
        json!({"facility": 4, "severity": 2, "time": "2003-10-11T22:14:15.003Z", "host": "m", "app": "su", "pid": "12",
               "msgid": "ID47", "data": {"a": {"b": "c"}}, "message": "hi\nthere"})
    );
    assert!(objects[0]["record"].as_str().unwrap().contains("] \u{feff}hi\nthere"));
    let latin = &objects[1];
    assert!(latin.get("record").is_none());
    assert_eq!(unbase64(latin["record_base64"].as_str().unwrap()), b"<13>Oct 11 22:14:15 m su[7]: caf\xe9");
    assert_eq!((&latin["syslog"]["app"], &latin["syslog"]["message"]), (&json!("su"), &json!("caf\u{fffd}")));
    assert_eq!(objects[2].get("syslog"), None);
}

/// One call of a framing.
#[derive(Debug, Clone)]
enum Call {
    Lines(Vec<Vec<u8>>),
    Record(Vec<u8>, Vec<u8>, End),
    Chunk(Vec<u8>),
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "(<[0-9]{1,3}>(1 )?)?(\\PC|[\\x00-\\x7f]){0,20}".prop_map(String::into_bytes),
        ]
    };
    let line = bytes().prop_map(|line| line.into_iter().filter(|b| *b != b'\n').collect::<Vec<u8>>());
    let end = prop_oneof![Just(End::Ours), Just(End::Theirs)];
    let call = prop_oneof![
        prop::collection::vec(line, 1..4).prop_map(Call::Lines),
        (bytes(), bytes(), end).prop_map(|(a, b, end)| Call::Record(a, b, end)),
        bytes().prop_filter("framing hands over no empty chunk", |b| !b.is_empty()).prop_map(Call::Chunk),
    ];
    prop::collection::vec(call, 0..8)
}

fn hand_over(calls: &[Call], out: &mut dyn Records) {
    for call in calls {
        match call {
            Call::Lines(lines) => out.lines(&lines.iter().flat_map(|l| [l, &b"\n"[..]].concat()).collect::<Vec<u8>>()),
            Call::Record(a, b, end) => out.record([a, b], *end),
            Call::Chunk(bytes) => out.chunk(bytes),
        }
    }
}

/// The text of each record, and the bytes of it that the sender sent.
fn meant(calls: &[Call]) -> Vec<(Vec<u8>, usize)> {
    let mut all = Vec::new();
    for call in calls {
        match call {
            Call::Lines(lines) => all.extend(lines.iter().map(|line| (line.clone(), line.len() + 1))),
            Call::Record(a, b, end) => {
                all.push(([&a[..], b].concat(), a.len() + b.len() + usize::from(*end == End::Theirs)));
            }
            Call::Chunk(bytes) => all.push((bytes.clone(), bytes.len())),
        }
    }
    all
}

proptest! {
    #[test]
    fn json_gives_every_byte_back_and_its_account_holds_wherever_a_write_ends(
        calls in calls(), syslog: bool, records in 0u64..u64::MAX / 2, cuts in prop::collection::vec(0usize..4000, 0..6),
    ) {
        let batch = drawn(&Format::Json, &meta(Some("k"), records), syslog, |out| hand_over(&calls, out));
        let meant = meant(&calls);
        let objects = objects(&batch);
        prop_assert_eq!(objects.len(), meant.len());
        let mut begin = 0;
        for (n, (object, (text, payload))) in objects.iter().zip(&meant).enumerate() {
            let back = match (object["record"].as_str(), object["record_base64"].as_str()) {
                (Some(text), None) => text.as_bytes().to_vec(),
                (None, Some(encoded)) => unbase64(encoded),
                both => panic!("{both:?}"),
            };
            prop_assert_eq!(&back, text);
            prop_assert_eq!(object["record"].is_string(), std::str::from_utf8(text).is_ok());
            prop_assert_eq!(object["sequence"].as_u64(), Some(records + n as u64 + 1));
            // Record by record: what is whole in the file is accounted for, and nothing of the next one.
            let end = batch.end_after(begin + 1, true);
            prop_assert_eq!(batch.account(begin, end), (*payload as u64, (end - begin - payload) as u64));
            begin = end;
        }
        prop_assert_eq!(begin, batch.len());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(batch.len())).chain([0, batch.len()]).collect();
        cuts.sort_unstable();
        let sum = cuts.windows(2).map(|w| batch.account(w[0], w[1])).fold((0, 0), |s, a| (s.0 + a.0, s.1 + a.1));
        let payload: usize = meant.iter().map(|(_, payload)| payload).sum();
        prop_assert_eq!(sum, (payload as u64, (batch.len() - payload) as u64));
    }

    #[test]
    fn a_prefix_adds_its_own_bytes_and_no_others(
        calls in calls(), template in "([a-z é]|\\{n\\}|\\{time\\}|\\{peer\\}|\\{keyword\\}|\\{stream\\}){0,6}",
    ) {
        let (format, meta) = (prefix(&template), meta(None, 8));
        let calls: Vec<Call> = calls.into_iter().filter(|call| !matches!(call, Call::Chunk(_))).collect();
        let batch = drawn(&format, &meta, false, |out| hand_over(&calls, out));
        let mut expected = Vec::new();
        for (n, (text, payload)) in meant(&calls).into_iter().enumerate() {
            let front = template.replace("{n}", &(n + 9).to_string()).replace("{time}", "2026-11-21T00:41:28.120000Z")
                .replace("{peer}", "192.0.2.1:4711").replace("{keyword}", "-").replace("{stream}", "main");
            let from = expected.len();
            expected.extend_from_slice(front.as_bytes());
            prop_assert_eq!(batch.account(from, expected.len()), (0, front.len() as u64), "the front is ours");
            expected.extend_from_slice(&text);
            expected.push(b'\n');
            let all = (expected.len() - from) as u64;
            prop_assert_eq!(batch.account(from, expected.len()), (payload as u64, all - payload as u64));
            prop_assert_eq!(batch.end_after(from + 1, true), expected.len());
        }
        prop_assert_eq!(batch.bytes(), expected);
    }

    #[test]
    fn a_raw_pen_is_the_batch_itself(calls in calls()) {
        let mut batch = Batch::default();
        hand_over(&calls, &mut batch);
        let drawn = drawn(&Format::Raw, &meta(None, 0), true, |out| hand_over(&calls, out));
        prop_assert_eq!(drawn.bytes(), batch.bytes());
        prop_assert_eq!(drawn.account(0, drawn.len()), batch.account(0, batch.len()));
    }
}
