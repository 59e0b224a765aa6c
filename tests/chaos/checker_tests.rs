//! A checker that has never said no proves nothing: each kind of damage is done, and has to be found.

use serde_json::json;

use super::*;

const RUN: u32 = 0xfeed;
const A: Id = Id { sender: 1, connection: 0 };
const B: Id = Id { sender: 2, connection: 0 };
const SECOND: Micros = 1_000_000;

fn l(id: Id, n: u32) -> Vec<u8> {
    line::text(RUN, id, n)
}

/// Two senders, five lines each, a line a second from 10 s on, one after the other; both said goodbye at 15 s.
struct Case {
    lines: Vec<Vec<u8>>,
    connections: HashMap<Id, Connection>,
    faults: Vec<Happened>,
    audited: Audited,
    taken: bool,
}

impl Case {
    fn good() -> Self {
        let lines = (0..5).flat_map(|n| [l(A, n), l(B, n)]).collect();
        let one = Connection {
            opened: 9 * SECOND,
            lines: (10..15).map(|s| s * SECOND).collect(),
            finished: Some(15 * SECOND),
            end: Some((15 * SECOND + 1, End::Clean)),
        };
        let connections = [(A, one.clone()), (B, one)].into();
        Self { lines, connections, faults: Vec::new(), audited: Audited::default(), taken: false }
    }

    /// `A` is cut at 15 s by a killed session; its last two lines are missing. All of it is in the audit.
    fn cut() -> Self {
        let mut case = Self::good();
        case.lines.retain(|line| *line != l(A, 3) && *line != l(A, 4));
        case.cut_off(A);
        case.faults.push(killed(Fault::KillSession));
        let bytes_at_most = (l(A, 3).len() + l(A, 4).len()) as u64;
        let gap = Gap { from: 13 * SECOND, to: 16 * SECOND, senders_cut: 1, bytes_at_most };
        case.audited = Audited { gaps: vec![gap], ..Audited::default() };
        case
    }

    fn cut_off(&mut self, id: Id) {
        let connection = self.connections.get_mut(&id).unwrap();
        connection.finished = None;
        connection.end = Some((15 * SECOND, End::Cut("reset".into())));
    }

    fn gap(&mut self) -> &mut Gap {
        &mut self.audited.gaps[0]
    }

    fn verdict(&self) -> Verdict {
        let mut tally = Tally::new(RUN);
        tally.file("f", self.taken, &self.lines.concat()[..]).unwrap();
        check(&Evidence {
            run: RUN,
            tally: &tally,
            connections: &self.connections,
            faults: &self.faults,
            audited: &self.audited,
        })
    }

    /// The kinds of trouble, each once.
    fn found(&self) -> Vec<Kind> {
        let mut kinds: Vec<Kind> = self.verdict().troubles.iter().map(|t| t.kind).collect();
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

fn killed(fault: Fault) -> Happened {
    let (begin, end, back) = (15 * SECOND, 15 * SECOND, Some(16 * SECOND));
    Happened { number: 1, fault, begin, end, back, overlapped: false, note: String::new() }
}

#[test]
fn a_good_run_is_good() {
    let verdict = Case::good().verdict();
    assert_eq!(verdict.troubles, []);
    assert_eq!((verdict.handed, verdict.missing, verdict.connections, verdict.cut), (10, 0, 2, 0));
    let verdict = Case::cut().verdict();
    assert_eq!(verdict.troubles, []);
    assert_eq!((verdict.missing, verdict.cut), (2, 1));
    assert_eq!(verdict.of_gaps, [verdict.missing_bytes]);
}

#[test]
fn torn_lines_are_found() {
    let mut case = Case::good();
    let half = case.lines[3].len() / 2;
    case.lines[3].truncate(half);
    assert!(case.found().contains(&Kind::Torn), "half a line with the next one in it");
    let mut case = Case::good();
    let end = case.lines[3].len() - 5;
    case.lines[3][end] ^= 1;
    assert_eq!(case.found(), [Kind::Torn, Kind::Hole], "one changed byte");
    let mut case = Case::good();
    case.lines[8].truncate(half);
    case.lines[8].push(b'\n');
    assert!(!case.found().is_empty(), "half a line of a connection that ended cleanly");
    let mut case = Case::good();
    case.lines.push(b"0000\n".to_vec());
    assert_eq!(case.found(), [Kind::Torn], "a stub that nobody owns");
    let mut case = Case::good();
    case.lines.push(l(Id { sender: 9, connection: 9 }, 0));
    assert_eq!(case.found(), [Kind::Torn], "a line of nobody");
    let mut case = Case::good();
    case.lines.push(l(A, 5));
    assert_eq!(case.found(), [Kind::Torn], "a line that was never sent");
}

#[test]
fn doubled_missing_and_swapped_lines_are_found() {
    let mut case = Case::good();
    case.lines.push(case.lines[2].clone());
    assert_eq!(case.found(), [Kind::Twice]);
    let mut case = Case::good();
    case.lines.remove(4);
    assert_eq!(case.found(), [Kind::Hole]);
    let mut case = Case::good();
    case.lines.swap(2, 4);
    assert_eq!(case.found(), [Kind::Twice, Kind::Hole]);
}

#[test]
fn a_file_without_a_last_line_end_is_found_unless_it_was_taken_away() {
    let mut case = Case::cut();
    let half = l(A, 3)[..40].to_vec();
    case.lines.push(half);
    assert_eq!(case.found(), [Kind::Unended]);
    case.taken = true;
    assert_eq!(case.found(), []);
}

#[test]
fn half_a_line_is_the_last_of_a_cut_connection_and_counts_as_stored() {
    let mut case = Case::cut();
    let half = [&l(A, 3)[..40], b"\n"].concat();
    case.lines.push(half);
    let verdict = case.verdict();
    assert_eq!(verdict.troubles, []);
    assert_eq!(verdict.missing_bytes, (l(A, 3).len() + l(A, 4).len() - 40) as u64);
    case.lines.push(l(A, 3));
    assert!(case.found().contains(&Kind::Torn), "it goes on after half a line");
}

#[test]
fn two_half_lines_of_one_killed_collector_are_found() {
    let mut case = Case::cut();
    case.faults = vec![killed(Fault::KillCollector)];
    case.cut_off(B);
    case.lines.retain(|line| *line != l(B, 4));
    case.gap().bytes_at_most = 1 << 20;
    case.lines.push([&l(A, 3)[..40], b"\n"].concat());
    assert_eq!(case.found(), []);
    case.lines.push([&l(B, 4)[..40], b"\n"].concat());
    assert_eq!(case.found(), [Kind::Torn]);
}

#[test]
fn what_is_missing_without_a_cause_is_found() {
    let mut case = Case::cut();
    case.faults.clear();
    assert_eq!(case.found(), [Kind::Unexplained]);
    case.faults = vec![killed(Fault::Rename)];
    assert_eq!(case.found(), [Kind::Unexplained], "a fault that must not cost a connection is no excuse");
    let mut case = Case::cut();
    case.faults[0].begin = 20 * SECOND;
    assert_eq!(case.found(), [Kind::Unexplained], "a fault after the end is no excuse");
    let mut case = Case::cut();
    (case.faults[0].begin, case.faults[0].back) = (SECOND, Some(2 * SECOND));
    assert_eq!(case.found(), [Kind::Unexplained], "a fault long ago is no excuse");
    let mut case = Case::good();
    case.lines.pop();
    assert_eq!(case.found(), [Kind::Unexplained, Kind::Unaudited], "a connection that ended cleanly is complete");
    let mut case = Case::good();
    case.cut_off(A);
    assert_eq!(case.found(), [Kind::Unexplained], "a connection is not cut without a cause");
}

#[test]
fn what_is_missing_outside_of_audited_gaps_is_found() {
    let mut case = Case::cut();
    case.audited = Audited::default();
    assert_eq!(case.found(), [Kind::Unaudited], "no gap");
    let mut case = Case::cut();
    *case.gap() = Gap { from: 20 * SECOND, to: 21 * SECOND, ..*case.gap() };
    assert_eq!(case.found(), [Kind::Unaudited], "a gap too late");
    let mut case = Case::cut();
    case.gap().from = 15 * SECOND;
    assert_eq!(case.found(), [Kind::Unaudited], "sent before the gap");
    let mut case = Case::cut();
    case.gap().to = 12 * SECOND;
    case.gap().from = 12 * SECOND;
    assert_eq!(case.found(), [Kind::Unaudited], "sent after the gap");
    let mut case = Case::cut();
    case.gap().bytes_at_most -= 1;
    assert_eq!(case.found(), [Kind::Bound], "one byte more than the gap says");
}

#[test]
fn an_audit_trail_with_a_hole_or_an_impossible_gap_is_found() {
    let line = |seq: u64, event: &str| json!({"ts": "2026-11-21T00:00:00Z", "seq": seq, "event": event});
    let good = [line(4, "start"), line(5, "stall"), line(6, "resume")];
    let audited = audit(&good);
    assert_eq!(audited.troubles.len(), 0);
    for bad in [line(8, "stop"), line(6, "stop"), json!({"seq": 7, "event": "stop"}), line(7, "gap")] {
        let audited = audit(&[&good[..], &[bad]].concat());
        assert_eq!(audited.troubles.len(), 1);
    }
    let mut gap = line(7, "gap");
    gap["from"] = json!("2026-11-20T00:00:00Z");
    gap["to"] = json!("2026-11-20T00:00:01Z");
    (gap["senders_cut"], gap["bytes_at_most"]) = (json!(3), json!(77));
    let audited = audit(&[&good[..], &[gap.clone()]].concat());
    assert_eq!((audited.troubles.len(), audited.gaps.len()), (0, 1));
    assert_eq!((audited.gaps[0].to - audited.gaps[0].from, audited.gaps[0].bytes_at_most), (SECOND, 77));
    gap["to"] = json!("2026-11-19T00:00:00Z");
    assert_eq!(audit(&[gap]).troubles.len(), 1);
}

#[test]
fn samples_that_cannot_be_are_found() {
    let with = |received: u64, stored: u64, synced: u64, pending: u64| Sample {
        at: 0,
        resident: Some(20 << 20),
        collector: json!({"pid": 7, "streams": [{"ledger":
            {"received": received, "stored": stored, "synced": synced, "pending": pending, "discarded": {"x": 1}}}]}),
    };
    let good = with(10, 6, 5, 3);
    assert_eq!(sample(&good, None), []);
    assert_eq!(sample(&good, Some(&good)), []);
    for bad in [with(10, 7, 5, 3), with(10, 6, 7, 3), with(MOST_PENDING + 8, 6, 5, MOST_PENDING + 1), with(9, 5, 5, 3)]
    {
        assert!(!sample(&bad, Some(&good)).is_empty(), "{bad:?}");
    }
    let mut fat = good.clone();
    fat.resident = Some(MOST_RESIDENT + 1);
    assert_eq!(sample(&fat, None).len(), 1);
    let mut other = with(0, 0, 0, 0);
    other.collector["streams"][0]["ledger"]["discarded"] = json!({});
    other.collector["pid"] = json!(8);
    assert_eq!(sample(&other, Some(&good)), [], "another process begins anew");
}

#[test]
fn a_full_disk_that_no_status_tells_of_is_found() {
    let mut fault = killed(Fault::DiskFull);
    fault.end = 18 * SECOND;
    let states = |state: &str| (150..180).map(|t| (t * SECOND / 10, state.to_owned())).collect::<Vec<_>>();
    assert!(stalls_show(&fault, &states("up")).is_some());
    assert!(stalls_show(&fault, &states("stalled")).is_none());
    assert!(stalls_show(&fault, &states("waiting")).is_none());
    assert!(stalls_show(&fault, &states("writing")).is_none());
}
