use super::*;
use crate::ledger::{Latency, LatencySnapshot, Ledger, Senders};
use crate::metrics::{Format, render};
use std::collections::BTreeMap;
use std::time::Duration;

fn latency(micros: &[u64]) -> Option<LatencySnapshot> {
    let mut latency = Latency::default();
    for micros in micros {
        latency.record(Duration::from_micros(*micros));
    }
    latency.snapshot()
}

fn reasons(reason: &str, figure: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(reason.to_owned(), figure)])
}

fn output(path: &str, bytes: u64, free: Option<u64>, lost: Option<u64>) -> OutputSnapshot {
    OutputSnapshot { path: path.into(), bytes, rotations: 2, free, lost }
}

fn stream(name: &str) -> StreamSnapshot {
    StreamSnapshot {
        name: name.into(),
        remote_port: 55514,
        socket: None,
        bind: "*".into(),
        framing: "lines".into(),
        format: "raw".into(),
        prefix: None,
        keywords: vec!["a keyword's name".into()],
        reach: Reach::LoopbackOnly,
        reach_checked: Some("2026-11-21T00:41:28.5Z".parse().unwrap()),
        finding: None,
        outputs: vec![
            output("/logs/\"{peer_ip}\".log", 7, Some(1_000_000), None),
            output("exec:cat", 3, None, Some(1)),
        ],
        senders: Senders { open: 1, accepted: 5, cut: 2, rejected: reasons("max_new", 9) },
        records: 11,
        split: 1,
        last_record: Some("2026-11-21T00:41:29.123456Z".parse().unwrap()),
        datagrams_lost: Some(4),
        write_seconds: latency(&[20, 20, 2_000_000]),
        fsync_seconds: latency(&[5_000]),
        ledger: Ledger {
            received: 100,
            stored: 80,
            synced: 70,
            pending: 5,
            discarded: reasons("framing", 15),
            added: 1,
        },
    }
}

fn seen(streams: Vec<StreamSnapshot>) -> Vec<Seen> {
    let snapshot = CollectorSnapshot {
        name: "tremplin".into(),
        state: State::Waiting,
        pid: 4711,
        reclog: "0.1.0".into(),
        target: None,
        since: "2026-11-21T00:00:00Z".parse().unwrap(),
        reconnects: 3,
        last_error: None,
        last_error_kind: None,
        health: vec!["one".into(), "two".into()],
        metrics: None,
        streams,
    };
    vec![Seen { version: "0.1.0".into(), snapshot }]
}

#[test]
fn every_figure_is_told_once_in_the_older_format() {
    let seen = seen(vec![stream("main")]);
    insta::assert_snapshot!(render(&seen, &[], Format::Text));
}

#[test]
fn openmetrics_names_families_without_their_suffixes_and_says_units_and_the_end() {
    let seen = seen(vec![stream("main")]);
    let text = render(&seen, &[], Format::OpenMetrics);
    for lines in [
        "# HELP reclog_received_bytes Payload that senders delivered.\n# TYPE reclog_received_bytes counter\n\
         # UNIT reclog_received_bytes bytes\nreclog_received_bytes_total{collector=\"tremplin\",stream=\"main\"} 100\n",
        "# TYPE reclog info\nreclog_info{collector=\"tremplin\",version=\"0.1.0\"} 1\n",
        "# TYPE reclog_write_seconds histogram\n# UNIT reclog_write_seconds seconds\n\
         reclog_write_seconds_bucket{collector=\"tremplin\",stream=\"main\",le=\"0.0001\"} 2\n",
        "# TYPE reclog_up gauge\nreclog_up{collector=\"tremplin\"} 1\n",
    ] {
        assert!(text.contains(lines), "{lines} is not in {text}");
    }
    assert!(text.ends_with("\n# EOF\n"));
    let samples =
        |text: &str| -> Vec<String> { text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect() };
    assert_eq!(samples(&text), samples(&render(&seen, &[], Format::Text)), "the figures themselves are the same");
}

#[test]
fn no_two_figures_have_the_same_labels_whatever_outputs_there_are() {
    let mut twice = stream("main");
    twice.outputs.push(output("exec:cat", 4, None, Some(2)));
    let text = render(&seen(vec![twice, stream("other")]), &[], Format::Text);
    let series: Vec<&str> =
        text.lines().filter(|l| !l.starts_with('#')).filter_map(|l| l.rsplit_once(' ')).map(|l| l.0).collect();
    let different: std::collections::BTreeSet<&&str> = series.iter().collect();
    assert_eq!(different.len(), series.len());
    assert!(
        text.contains("reclog_output_bytes{collector=\"tremplin\",stream=\"main\",output=\"exec:cat\"} 7\n"),
        "{text}"
    );
    assert!(
        text.contains("lost_records_total{collector=\"tremplin\",stream=\"main\",output=\"exec:cat\"} 3\n"),
        "{text}"
    );
}

#[test]
fn what_does_not_answer_is_down_and_so_is_nothing() {
    let silent = ["hung".to_owned()];
    let text = render(&[], &silent, Format::Text);
    assert!(text.ends_with("\nreclog_up{collector=\"hung\"} 0\n"), "{text}");
    assert!(render(&[], &[], Format::Text).ends_with("\nreclog_up 0\n"));
    assert!(render(&[], &[], Format::OpenMetrics).ends_with("\nreclog_up 0\n# EOF\n"));
}

#[test]
fn what_is_not_known_is_not_told() {
    let mut bare = stream("main");
    (bare.last_record, bare.write_seconds, bare.reach_checked, bare.datagrams_lost) = (None, None, None, None);
    let text = render(&seen(vec![bare]), &[], Format::Text);
    for name in ["last_record", "write_seconds", "reach_checked", "datagrams"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[test]
fn every_reason_is_there_before_it_happens_and_those_of_the_gate_where_there_is_one() {
    let mut quiet = stream("main");
    (quiet.senders.rejected, quiet.ledger.discarded) = (reasons("odd", 3), BTreeMap::new());
    quiet.keywords = Vec::new();
    let has = |text: &str, name: &str, reason: &str, figure: u64| {
        let labels = format!("collector=\"tremplin\",stream=\"main\",reason=\"{reason}\"");
        text.contains(&format!("\n{name}_total{{{labels}}} {figure}\n"))
    };
    let text = render(&seen(vec![quiet]), &[], Format::Text);
    assert!(has(&text, "reclog_senders_rejected", "max_connections", 0), "{text}");
    assert!(has(&text, "reclog_discarded_bytes", "lost", 0), "{text}");
    assert!(has(&text, "reclog_senders_rejected", "odd", 3), "of another release: {text}");
    assert!(!text.contains("reason=\"keyword\""), "nobody is asked for one: {text}");
    let text = render(&seen(vec![stream("main")]), &[], Format::Text);
    assert!(has(&text, "reclog_senders_rejected", "keyword", 0) && has(&text, "reclog_discarded_bytes", "gate", 0));
}
