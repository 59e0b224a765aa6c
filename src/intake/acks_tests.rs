use super::*;
use crate::intake::framing::Opened;
use proptest::prelude::*;

fn opened(txnr: u32) -> Said {
    Said { opened: Some(Opened { txnr, accepted: true }), ..Said::default() }
}

fn records(records: u64) -> Said {
    Said { records, ..Said::default() }
}

fn over(over: Over) -> Said {
    Said { over: Some(over), ..Said::default() }
}

fn said(acks: &mut Acks, until: u64) -> String {
    let mut out = Vec::new();
    acks.say(Safe { until, lost: 0 }, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn nothing_is_acknowledged_before_it_is_safe_and_everything_in_order() {
    let mut acks = Acks::default();
    acks.hear(opened(1), 0);
    let greeting = said(&mut acks, 0);
    assert!(greeting.starts_with("1 rsp ") && greeting.contains(" 200 OK\nrelp_version=0\n"), "{greeting}");
    let (head, data) = greeting.strip_suffix('\n').unwrap().split_once(" 200").unwrap();
    assert_eq!(head, format!("1 rsp {}", data.len() + 3));
    acks.hear(records(2), 20);
    acks.hear(records(1), 30);
    acks.hear(over(Over::Closed(5)), 30);
    assert_eq!(said(&mut acks, 19), "");
    assert_eq!(said(&mut acks, 29), "2 rsp 6 200 OK\n3 rsp 6 200 OK\n");
    assert!(acks.owes() && !acks.is_done());
    assert_eq!(said(&mut acks, 30), "4 rsp 6 200 OK\n5 rsp 0\n0 serverclose 0\n");
    assert!(acks.is_done() && !acks.owes());
    assert_eq!(said(&mut acks, 30), "", "the last word is said once");
}

#[test]
fn a_bad_frame_is_told_after_the_good_ones_before_it() {
    let mut acks = Acks::default();
    acks.hear(opened(999_999_998), 0);
    acks.hear(records(2), 10);
    acks.hear(over(Over::Bad), 10);
    assert!(!said(&mut acks, 9).contains("serverclose"));
    assert_eq!(said(&mut acks, 10), "999999999 rsp 6 200 OK\n1 rsp 6 200 OK\n0 serverclose 0\n");
}

#[test]
fn what_never_will_be_safe_ends_the_session_unacknowledged() {
    let mut acks = Acks::default();
    acks.hear(opened(1), 0);
    said(&mut acks, 0);
    acks.hear(records(1), 10);
    acks.hear(records(1), 20);
    let mut out = Vec::new();
    // The file of the first went, and the flush of the next one succeeded.
    acks.say(Safe { until: 20, lost: 15 }, &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), "0 serverclose 0\n");
    assert!(acks.is_done());
}

#[test]
fn whoever_never_listens_costs_no_memory() {
    let mut acks = Acks::default();
    acks.hear(opened(1), 0);
    for n in 1..=100_000 {
        acks.hear(records(1000), n * 10_000);
    }
    assert!(acks.places.len() <= PLACES);
    let mut out = Vec::new();
    acks.say(Safe { until: u64::MAX, lost: 0 }, &mut out);
    assert!(out.len() < MOUTHFUL + 100, "{}", out.len());
}

proptest! {
    /// Reads of so many records and bytes, and how far the output is after each.
    #[test]
    fn a_record_is_acknowledged_once_and_never_too_early(
        steps in prop::collection::vec((0u64..5, 0u64..100, 0u64..300), 1..200)
    ) {
        let (mut acks, mut position, mut until, mut told) = (Acks::default(), 0, 0, 0);
        acks.hear(opened(1), 0);
        said(&mut acks, 0);
        let mut ends = Vec::new();
        for (n, bytes, stored) in steps {
            // A record has at least its line end.
            position += n + bytes;
            ends.extend((0..n).map(|_| position));
            acks.hear(records(n), position);
            until = (until + stored).min(position);
            for line in said(&mut acks, until).lines() {
                prop_assert_eq!(line, format!("{} rsp 6 200 OK", told + 2));
                prop_assert!(ends[told] <= until);
                told += 1;
            }
            prop_assert_eq!(told, ends.iter().filter(|end| **end <= until).count());
        }
    }
}

#[test]
fn who_is_to_go_is_told_when_nothing_is_owed_and_not_twice() {
    let mut acks = Acks::default();
    acks.hear(opened(1), 0);
    let mut out = Vec::new();
    assert!(!acks.leave(&mut out));
    assert!(out.is_empty() && !acks.has_left(), "the greeting is owed");
    said(&mut acks, 0);
    acks.hear(records(1), 10);
    assert!(!acks.leave(&mut out));
    assert!(out.is_empty(), "an acknowledgement is owed");
    assert_eq!(said(&mut acks, 10), "2 rsp 6 200 OK\n");
    assert!(acks.leave(&mut out) && !acks.leave(&mut out));
    assert_eq!(out, b"0 serverclose 0\n");
    assert!(acks.is_done() && acks.has_left() && !acks.owes());
}
