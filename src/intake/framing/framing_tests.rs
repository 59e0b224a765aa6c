use super::*;
use crate::sink::Batch;
use proptest::prelude::*;

const LF: Ends = Ends { strip_cr: false, nul: false };
const CRLF: Ends = Ends { strip_cr: true, nul: false };
const NUL: Ends = Ends { strip_cr: false, nul: true };

/// What came out of a framing.
#[derive(Debug, PartialEq, Eq, Default)]
struct Ran {
    /// Readable in a failure.
    text: String,
    made: Made,
    added: u64,
    opened: Option<Opened>,
    answered: u64,
    over: Option<Over>,
}

/// Everything that came in is in the output, taken away or held, after every call; and not much is held.
fn run_with(framing: Framing, ends: Ends, max_line: usize, chunks: &[&[u8]]) -> Ran {
    let (mut framer, mut out, mut ran) = (Framer::new(framing, ends, max_line), Batch::default(), Ran::default());
    let mut fed = 0;
    for chunk in chunks {
        ran.made += framer.feed(chunk, &mut out);
        fed += chunk.len();
        // A header may be held beside nothing, an end beside a full record.
        assert!(framer.held() <= max_line.max(60), "{} held", framer.held());
        let stored = usize::try_from(out.account(0, out.len()).0 + ran.made.taken).unwrap();
        assert_eq!(stored + framer.held(), fed, "bytes have vanished");
        if let Some(said) = framer.said() {
            ran.opened = ran.opened.or(said.opened);
            ran.over = ran.over.or(said.over);
            ran.answered += said.records;
        }
    }
    ran.made += framer.finish(&mut out);
    let (payload, added) = out.account(0, out.len());
    assert_eq!((framer.held(), payload + ran.made.taken), (0, fed as u64), "bytes have vanished at the end");
    if framing != Framing::Raw {
        assert_eq!(
            out.records_after(0, true),
            ran.made.records,
            "records that hold line ends are not told from others"
        );
    }
    let text = out.bytes().escape_ascii().to_string().replace(r"\n", "\n");
    Ran { text, added, ..ran }
}

fn run(framing: Framing, max_line: usize, chunks: &[&[u8]]) -> (String, Made, u64) {
    let ran = run_with(framing, LF, max_line, chunks);
    (ran.text, ran.made, ran.added)
}

fn made(records: u64, split: u64, taken: u64) -> Made {
    Made { records, split, taken }
}

/// `input` in the pieces that `cuts` make of it.
fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).chain([0, input.len()]).collect();
    cuts.sort_unstable();
    cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect()
}

/// Every framing there is, each with all its options.
const ALL: [(Framing, Ends); 7] = [
    (Framing::Raw, LF),
    (Framing::Lines, LF),
    (Framing::Lines, CRLF),
    (Framing::Lines, NUL),
    (Framing::Lines, Ends { strip_cr: true, nul: true }),
    (Framing::Syslog, CRLF),
    (Framing::Relp, LF),
];

#[test]
fn a_stream_that_ends_with_a_newline_gets_exactly_its_bytes() {
    for framing in [Framing::Lines, Framing::Syslog] {
        let ran = run(framing, 1024, &[b"one\ntw", b"o\n\nthree\r\n"]);
        assert_eq!(ran, ("one\ntwo\n\nthree\\r\n".into(), made(4, 0, 0), 0));
    }
}

#[test]
fn a_missing_last_newline_is_added_at_the_end_of_the_stream() {
    assert_eq!(run(Framing::Lines, 1024, &[b"one\ntwo"]), ("one\ntwo\n".into(), made(2, 0, 0), 1));
}

#[test]
fn an_over_long_record_is_split_counted_once_and_never_dropped() {
    // Seven bytes and their end do not fit into five: pieces of four and an end of our own.
    let ran = run(Framing::Lines, 5, &[b"1234567\nabcd\nx"]);
    assert_eq!(ran, ("1234\n567\nabcd\nx\n".into(), made(4, 1, 0), 2));
    let ran = run(Framing::Syslog, 5, &[b"7 <", b"234567"]);
    assert_eq!(ran, ("<234\n567\n".into(), made(2, 1, 2), 2));
}

#[test]
fn raw_bytes_pass_as_they_are() {
    assert_eq!(run(Framing::Raw, 5, &[b"123456789", b"", b"\nx"]), ("123456789\nx".into(), made(2, 0, 0), 0));
}

#[test]
fn relief_frees_the_memory_and_goes_on_with_the_rest() {
    let (mut framer, mut out) = (Framer::new(Framing::Lines, LF, 100), Batch::default());
    framer.feed(b"long ", &mut out);
    assert_eq!(framer.relieve(&mut out), made(1, 1, 0));
    assert_eq!(framer.held(), 0);
    assert_eq!(framer.feed(b"line\nnext", &mut out), made(1, 0, 0));
    framer.finish(&mut out);
    assert_eq!(out.bytes(), b"long \nline\nnext\n");
}

#[test]
fn a_cr_is_stripped_where_a_line_ends_and_nowhere_else() {
    let ran = run_with(Framing::Lines, CRLF, 5, &[b"ab\r\ncd\n\r\n\r\r\ne\rf\r", b"\nabcd\r", b"\nabcd\r", b"x\r"]);
    assert_eq!(ran.text, "ab\ncd\n\n\\r\ne\\rf\nabcd\nabcd\n\\rx\\r\n");
    assert_eq!((ran.made, ran.added), (made(8, 1, 5), 2));
}

#[test]
fn nul_ends_a_line_becomes_lf_and_leaves_other_lfs_alone() {
    let ran = run_with(Framing::Lines, NUL, 1024, &[b"one\0tw\no", b"\0\0rest"]);
    assert_eq!((ran.text.as_str(), ran.made, ran.added), ("one\ntw\no\n\nrest\n", made(4, 0, 3), 4));
}

#[test]
fn syslog_is_counted_or_a_line_as_each_record_says() {
    let text = b"5 <1>ab<2>line\n12 <3>with\nlf\n.7 <4>end\n006 <5>six12 no\n1234567 <1>\n0 <1>\n 1 <\n9<\n";
    let ran = run_with(Framing::Syslog, LF, 1024, &[text]);
    let records = "<1>ab\n<2>line\n<3>with\nlf\n.\n<4>end\n<5>six\n12 no\n1234567 <1>\n0 <1>\n 1 <\n9<\n";
    assert_eq!((ran.text.as_str(), ran.made), (records, made(10, 0, 11)));
    assert_eq!(ran.added, 3, "one that was counted with its LF needs none of ours");
}

#[test]
fn counted_messages_that_go_on_together_stay_the_records_they_are() {
    let line = format!("<1>{}\n", "x".repeat(90));
    let counted = |message: &str| format!("{} {message}", message.len());
    let mut sent = counted(&line).repeat(200);
    let more = [&counted("<2>with\nlf\n"), &counted(&format!("<3>{}\n", "y".repeat(20_000))), &counted("<4>no end")];
    sent.push_str(&more.map(String::as_str).concat());
    sent.push_str(&counted(&line).repeat(200));
    let ran = run_with(Framing::Syslog, LF, 64 * 1024, &[sent.as_bytes()]);
    let before = line.repeat(200);
    let expected = format!("{before}<2>with\nlf\n<3>{}\n<4>no end\n{before}", "y".repeat(20_000));
    assert!(ran.text == expected, "{}", ran.text);
    assert_eq!((ran.made.records, ran.made.taken, ran.added), (403, 400 * 3 + 3 + 6 + 2, 1));
}

#[test]
fn what_a_syslog_sender_leaves_half_is_its_last_record() {
    for (sent, kept, taken) in
        [("100 <1>half", "<1>half\n", 4), ("100 <", "<\n", 4), ("100 ", "100 \n", 0), ("1", "1\n", 0), ("", "", 0)]
    {
        let ran = run(Framing::Syslog, 1024, &[sent.as_bytes()]);
        assert_eq!((ran.0.as_str(), ran.1.taken), (kept, taken), "{sent:?}");
    }
}

const OPEN: &str =
    "1 open 86 relp_version=0\nrelp_software=librelp,1.10.0,http://librelp.adiscon.com\ncommands=syslog\n";

#[test]
fn a_relp_session_opens_delivers_and_closes() {
    let frames = format!("{OPEN}2 syslog 8 <1>first3 syslog 0\n");
    let text = frames.replace("first3", "first\n3") + "4 syslog 6 <1>\na\n\n5 close 0 \n";
    let ran = run_with(Framing::Relp, LF, 1024, &[text.as_bytes(), b"after"]);
    assert_eq!(ran.text, "<1>first\n\n<1>\na\n");
    assert_eq!(ran.opened, Some(Opened { txnr: 1, accepted: true }));
    assert_eq!((ran.answered, ran.over), (3, Some(Over::Closed(5))));
    assert_eq!((ran.made.records, ran.added), (3, 2));
}

#[test]
fn a_frame_that_is_bad_or_out_of_turn_ends_the_session_and_keeps_what_came_before() {
    let good = format!("{OPEN}2 syslog 3 <1>\n");
    for bad in [
        "2 syslog 3 <1>\n",
        "4 syslog 3 <1>\n",
        "1 open 0\n",
        "3 open 0\n",
        "3 rsp 0\n",
        "3 starttls 0\n",
        "0 serverclose 0\n",
        "3 syslog 3 <1>x",
        "3 syslog 3\n",
        "3 syslog x\n",
        "3 syslog 1234567890 ",
        "3 syslog-x 1 ",
        "3  syslog 1 x\n",
        "1234567890 syslog 1 x\n",
        "\n",
        "x",
        "<1>no RELP\n",
        "3 close 5000 ",
        &format!("3 {} ", "a".repeat(33)),
    ] {
        let whole = format!("{good}{bad}3 syslog 3 <2>\n");
        let ran = run_with(Framing::Relp, LF, 1024, &[whole.as_bytes()]);
        assert_eq!((ran.text.as_str(), ran.answered, ran.over), ("<1>\n", 1, Some(Over::Bad)), "{bad:?}");
    }
    for first in ["1 syslog 3 <1>\n", "1 close 0\n", "0 open 0\n", "GET / HTTP/1.1\r\n"] {
        let ran = run_with(Framing::Relp, LF, 1024, &[first.as_bytes()]);
        assert_eq!((ran.text.as_str(), ran.opened, ran.over), ("", None, Some(Over::Bad)), "{first:?}");
    }
    let ran = run_with(Framing::Relp, LF, 1024, &[b"7 open 28 relp_version=0\ncommands=eventlog\n"]);
    assert_eq!((ran.opened, ran.over), (None, Some(Over::Bad)), "the length was wrong");
    let ran = run_with(Framing::Relp, LF, 1024, &[b"7 open 32 relp_version=0\ncommands=eventlog\n8 syslog 1 x\n"]);
    let refused = Some(Opened { txnr: 7, accepted: false });
    assert_eq!((ran.opened, ran.answered, ran.over), (refused, 0, Some(Over::Bad)));
}

#[test]
fn half_a_frame_is_taken_away_for_it_comes_again() {
    for half in ["2 syslog 9 <1>half", "2 sysl", "2 syslog 3 <1>", "2 syslog 4 <1>\n"] {
        let ran = run_with(Framing::Relp, LF, 1024, &[OPEN.as_bytes(), half.as_bytes()]);
        assert_eq!((ran.text.as_str(), ran.answered, ran.over), ("", 0, None), "{half:?}");
        assert_eq!(ran.made, made(0, 0, (OPEN.len() + half.len()) as u64));
    }
}

#[test]
fn transaction_numbers_begin_again_after_the_highest() {
    let text = "999999998 open 0\n999999999 syslog 1 a\n1 syslog 1 b\n2 close 0\n";
    let ran = run_with(Framing::Relp, LF, 1024, &[text.as_bytes()]);
    assert_eq!((ran.text.as_str(), ran.over), ("a\nb\n", Some(Over::Closed(2))));
}

/// The rules of lines in their plainest words: cut at line ends, then every line into pieces.
fn model(input: &[u8], ends: Ends, max_line: usize) -> (String, Made) {
    let (mut bytes, mut sum) = (Vec::new(), Made::default());
    let byte = if ends.nul { 0 } else { b'\n' };
    for line in input.split_inclusive(|b| *b == byte) {
        let whole = line.strip_suffix(&[byte]);
        let mut text = whole.unwrap_or(line);
        sum.taken += u64::from(whole.is_some() && ends.nul);
        if let (true, Some(_), Some(stripped)) = (ends.strip_cr, whole, text.strip_suffix(b"\r")) {
            text = stripped;
            sum.taken += 1;
        }
        let pieces: Vec<&[u8]> = if text.is_empty() { vec![text] } else { text.chunks(max_line - 1).collect() };
        sum.split += u64::from(pieces.len() > 1);
        for piece in pieces {
            bytes.extend_from_slice(piece);
            bytes.push(b'\n');
            sum.records += 1;
        }
    }
    (bytes.escape_ascii().to_string().replace(r"\n", "\n"), sum)
}

/// Bytes in which the framings find something, and others.
fn stranger() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => "[a-c]{0,9}".prop_map(String::into_bytes),
        4 => prop::sample::select(vec!["\n", "\r", "\0", "\r\n", " ", "<", "0", "1", "7 <", "12 <", "000003 <"])
            .prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
        1 => Just(OPEN.as_bytes().to_vec()),
        2 => (1u32..6, 0usize..12, 0usize..12).prop_map(|(txnr, told, is)| {
            format!("{txnr} syslog {told} {}\n", "x".repeat(is)).into_bytes()
        }),
        1 => (1u32..6).prop_map(|txnr| format!("{txnr} close 0\n").into_bytes()),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

/// A RELP session without a fault, and its messages.
fn session() -> impl Strategy<Value = (Vec<u8>, Vec<Vec<u8>>)> {
    let message = prop::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b'1'), any::<u8>()], 0..40);
    prop::collection::vec(message, 0..20).prop_map(|messages| {
        let mut bytes = OPEN.as_bytes().to_vec();
        for (message, txnr) in messages.iter().zip(2..) {
            bytes.extend(format!("{txnr} syslog {}", message.len()).bytes());
            if !message.is_empty() {
                bytes.push(b' ');
                bytes.extend(message);
            }
            bytes.push(b'\n');
        }
        (bytes, messages)
    })
}

proptest! {
    #[test]
    fn any_chunking_gives_the_records_of_the_plain_rule(
        input in prop::collection::vec(prop_oneof![4 => Just(b'a'), 1 => Just(b'\n'), 1 => Just(b'\r'), 1 => Just(0)], 0..400),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        max_line in 2usize..40,
        ends in (any::<bool>(), any::<bool>()),
    ) {
        let ends = Ends { strip_cr: ends.0, nul: ends.1 };
        let ran = run_with(Framing::Lines, ends, max_line, &pieces(&input, &cuts));
        let (text, expected) = model(&input, ends, max_line);
        prop_assert_eq!(&ran.text, &text);
        prop_assert_eq!(ran.made, expected);
    }

    #[test]
    fn any_bytes_in_any_chunks_give_the_same_records_in_bounded_memory(
        input in stranger(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
        max_line in 2usize..200,
    ) {
        for (framing, ends) in ALL {
            let whole = run_with(framing, ends, max_line, &[&input]);
            let mut parts = run_with(framing, ends, max_line, &pieces(&input, &cuts));
            if framing == Framing::Raw {
                // A chunk is a record there.
                parts.made.records = whole.made.records;
            }
            prop_assert_eq!(whole, parts, "{:?} {:?}", framing, ends);
        }
    }

    #[test]
    fn every_message_of_a_relp_session_is_a_record(
        (input, messages) in session(),
        cuts in prop::collection::vec(any::<usize>(), 0..20),
    ) {
        let ran = run_with(Framing::Relp, LF, 1024, &pieces(&input, &cuts));
        let mut expected = Vec::new();
        for message in &messages {
            expected.extend(message);
            if message.last() != Some(&b'\n') {
                expected.push(b'\n');
            }
        }
        prop_assert_eq!(ran.text, expected.escape_ascii().to_string().replace(r"\n", "\n"));
        prop_assert_eq!((ran.answered, ran.made.records, ran.over), (messages.len() as u64, messages.len() as u64, None));
    }
}

#[test]
fn random_inputs_of_every_framing_give_the_same_records_in_any_pieces() {
    use crate::intake::fuzz::{compare, seeds};
    let relp = format!("{OPEN}2 syslog 8 <1>first\n3 syslog 5 <2>xy\n4 close 0\n");
    let seeds = seeds(&[
        "one\ntwo\r\n\nthree\0four\n",
        "a line that is longer than any that is let through in one piece\nnext\n",
        "5 <1>ab9 <2>line\n.12 <3>with\nlf\n.<4>line\n",
        "<34>1 2026-11-21T22:14:15.003Z host app - ID47 - text\n<13>Nov 21 10:00:00 host app[1]: text\n",
        &relp,
        OPEN,
        "2 syslog 3 <1>\n",
    ]);
    for (framing, ends) in ALL {
        let name = format!("{framing:?} {ends:?}");
        // Checks the account of every byte after every piece, and how much is held.
        compare(&name, &seeds, |pieces| {
            let mut ran = run_with(framing, ends, 48, pieces);
            if framing == Framing::Raw {
                ran.made.records = 0;
            }
            ran
        });
    }
}
