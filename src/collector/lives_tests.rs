use std::sync::{Arc, Mutex};

use super::*;
use crate::plan::SshPlan;

/// What may be lost of datagrams, whoever sends them.
const DATAGRAMS: u64 = 1000;

/// The lives of a collector with one stream, its ledger, and what was told.
fn lives(jump_host: bool) -> (Lives, StreamLedger, Arc<Mutex<Vec<Event>>>) {
    let plan = SshPlan {
        user: Some("u".into()),
        host: "h".into(),
        config_file: Some("none".into()),
        keepalive: Some(Duration::from_secs(15)),
        ..SshPlan::default()
    };
    let settings = jump_host.then(|| Settings::resolve(&plan).unwrap());
    let (ledger, told) = (StreamLedger::new(), Arc::<Mutex<Vec<Event>>>::default());
    let hear = Arc::clone(&told);
    let tell: Tell = Box::new(move |event| hear.lock().unwrap().push(event.clone()));
    (Lives::new(tell, vec![ledger.clone()], settings.as_ref(), Arc::default(), Way::Forward, DATAGRAMS), ledger, told)
}

fn begin(lives: &mut Lives) {
    lives.attempt();
    let stream: StreamPlan = serde_json::from_value(serde_json::json!({
        "name": "main", "bind": "*", "port": 7, "out": "/out", "framing": "lines", "max_line": 1024,
        "max_connections": 9, "sync": "never", "min_free": 0,
    }))
    .unwrap();
    lives.began([(&stream, 7)].into_iter());
}

/// The tags of what was told, and the gap at its end.
fn names(told: &Arc<Mutex<Vec<Event>>>) -> (Vec<&'static str>, Option<(u64, u64)>) {
    let told = told.lock().unwrap();
    let name = |event: &Event| match event {
        Event::Connect { target } => (target == "u@h:22").then_some("connect").unwrap(),
        Event::Forward { remote_port: 7, .. } => "forward",
        Event::Cut { .. } => "cut",
        Event::Reconnect { .. } => "reconnect",
        Event::Gap { from, to, .. } => (from <= to).then_some("gap").unwrap(),
        other => panic!("{other:?}"),
    };
    let gap = match told.last() {
        Some(Event::Gap { senders_cut, bytes_at_most, .. }) => Some((*senders_cut, *bytes_at_most)),
        _ => None,
    };
    (told.iter().map(name).collect(), gap)
}

#[test]
fn a_cut_and_a_reconnect_are_told_with_what_may_be_missing() {
    let (mut lives, ledger, told) = lives(true);
    begin(&mut lives);
    for _ in 0..3 {
        ledger.sender_opened(9).expect("room");
    }
    // One is gone already when the loss is heard of, and one had said that it is done.
    ledger.sender_closed(false);
    ledger.sender_closed(true);
    lives.ended("pulled out");
    lives.ended("heard of twice");
    ledger.sender_closed(true);
    lives.attempt();
    lives.attempt();
    begin(&mut lives);
    let at_most = flight::bytes_at_most(2, RECEIVE_BUFFER, Way::Forward) + DATAGRAMS;
    let all = ["connect", "forward", "cut", "reconnect", "forward", "gap"];
    assert_eq!(names(&told), (all.to_vec(), Some((2, at_most))));
    let told = told.lock().unwrap();
    let Event::Cut { why, senders_cut: 2, from: begun } = &told[2] else { panic!("{:?}", told[2]) };
    assert_eq!(why, "pulled out");
    assert_eq!(told[3], Event::Reconnect { target: "u@h:22".into(), attempts: 3 });
    let Event::Gap { from, to, .. } = &told[5] else { panic!() };
    assert_eq!(from, begun, "told at once, and again when it is over");
    assert!(to.duration_since(*from).as_secs() < 60, "no life was longer than that");
}

#[test]
fn an_address_that_is_cut_holds_no_buffers_of_its_own() {
    let (mut lives, ledger, told) = lives(true);
    begin(&mut lives);
    ledger.sender_opened(9).expect("room");
    for _ in 0..3 {
        ledger.address_opened(9).expect("room");
    }
    ledger.address_closed(true);
    ledger.address_closed(false);
    lives.ended("pulled out");
    ledger.address_closed(true);
    ledger.sender_closed(true);
    begin(&mut lives);
    assert!(matches!(told.lock().unwrap()[2], Event::Cut { senders_cut: 3, .. }));
    let at_most = flight::bytes_at_most(1, RECEIVE_BUFFER, Way::Forward) + DATAGRAMS;
    assert_eq!(names(&told).1, Some((3, at_most)));
    // What earlier lives lost is not told again.
    lives.ended("pulled out again");
    begin(&mut lives);
    assert_eq!(names(&told).1, Some((0, DATAGRAMS)));
}

#[test]
fn down_while_disconnected_ends_with_the_gap() {
    let (mut lives, ledger, told) = lives(true);
    begin(&mut lives);
    ledger.sender_opened(9).expect("room");
    ledger.sender_closed(true);
    lives.ended("pulled out");
    lives.draining();
    lives.over();
    assert_eq!(names(&told).0, ["connect", "forward", "cut", "gap"]);
    assert_eq!(names(&told).1.unwrap().0, 1);
}

#[test]
fn a_drain_has_a_gap_only_if_somebody_was_cut() {
    for cut in [false, true] {
        let (mut lives, ledger, told) = lives(true);
        begin(&mut lives);
        ledger.sender_opened(9).expect("room");
        lives.draining();
        ledger.sender_closed(cut);
        lives.over();
        assert_eq!(names(&told).1.map(|(senders, _)| senders), cut.then_some(1));
    }
}

#[test]
fn a_collector_that_never_was_up_has_nothing_to_tell() {
    let (mut lives, _, told) = lives(true);
    lives.attempt();
    lives.ended("not even begun");
    lives.over();
    assert_eq!(names(&told).0, Vec::<&str>::new());
}

#[test]
fn a_port_of_this_machine_has_no_jump_host_to_connect_to() {
    let (mut lives, _, told) = lives(false);
    begin(&mut lives);
    lives.draining();
    lives.over();
    assert_eq!(names(&told).0, ["forward"]);
}

#[test]
fn a_gap_reaches_back_over_a_stall_that_is_on_or_has_just_ended() {
    let ago = |seconds| Timestamp::now() - Duration::from_secs(seconds);
    let from = |begun: Timestamp, stalled: Option<Timestamp>, over: bool| {
        let (mut lives, ledger, _) = lives(true);
        begin(&mut lives);
        lives.since = Some(begun);
        if let Some(since) = stalled {
            let _ = ledger.set_stall(Some(crate::ledger::Stall { since, sentence: "full".into() }));
        }
        if over {
            let _ = ledger.set_stall(None);
        }
        lives.ended("pulled out");
        lives.gap.expect("a gap")
    };
    let (hour, ten_minutes) = (ago(3600), ago(600));
    assert!(from(hour, None, false) > ago(61), "no stall: as long as a dead connection is not noticed");
    assert_eq!(from(hour, Some(ten_minutes), false), ten_minutes);
    assert_eq!(from(hour, Some(ten_minutes), true), ten_minutes);
    assert_eq!(from(ten_minutes, Some(hour), false), ten_minutes, "not before that life");
}

#[test]
fn a_gap_that_is_left_to_a_successor_is_told_by_it_alone() {
    let (mut lives, ledger, told) = lives(true);
    begin(&mut lives);
    ledger.sender_opened(9).expect("room");
    lives.draining();
    ledger.sender_closed(true);
    let shut = Timestamp::now();
    let left = lives.handed_over();
    assert_eq!(left.senders_cut, 1);
    assert!(left.from <= shut && left.bytes_at_most > DATAGRAMS, "{left:?}");
    assert_eq!(names(&told), (vec!["connect", "forward", "cut"], None), "a successor that is killed tells nothing");

    let (mut lives, _, told) = self::lives(true);
    lives.inherit(Some(left));
    begin(&mut lives);
    assert_eq!(names(&told), (vec!["connect", "forward", "gap"], Some((1, left.bytes_at_most))));
    lives.draining();
    lives.over();
    assert_eq!(names(&told).0.len(), 3, "it is told once");
}

#[test]
fn a_gap_that_is_left_to_one_that_never_comes_up_is_told_at_its_end() {
    let (mut lives, _, told) = lives(true);
    lives.inherit(Some(Handover { from: Timestamp::now(), senders_cut: 7, bytes_at_most: 70 }));
    lives.attempt();
    lives.over();
    assert_eq!(names(&told), (vec!["gap"], Some((7, 70))));
}
