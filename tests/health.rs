//! `reclog health`: for programs that decide by its exit code, within the second, whatever hangs.

mod common;

use std::time::{Duration, Instant};

use common::{Env, Run, procs, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// The machine may have other work; more would be a hang.
const AT_ONCE: Duration = Duration::from_secs(5);

#[track_caller]
fn health(env: &Env, args: &[&str], code: i32) -> Run {
    let began = Instant::now();
    let run = env.run(&[&["health"], args].concat());
    assert!(began.elapsed() < AT_ONCE, "{:?}: {run:?}", began.elapsed());
    assert_eq!(run.status.code(), Some(code), "{run:?}");
    run
}

#[test]
fn a_healthy_collector_is_zero_and_nothing_is_three() {
    let env = Env::new();
    let nothing = health(&env, &[], 3);
    assert!(nothing.stdout.is_empty() && nothing.stderr.contains("nothing is running"), "{nothing:?}");
    env.listen(&["--out", &env.arg("c.log"), "--name", "c"]);
    let well = health(&env, &[], 0);
    assert!(well.stdout.is_empty() && well.stderr.contains("healthy: c"), "{well:?}");
    assert_eq!(health(&env, &["-q", "c"], 0).stderr, "");
    health(&env, &["d"], 3).fails(3).says("no collector \"d\" is running");
    let json: Value = serde_json::from_str(&health(&env, &["--json"], 0).stdout).unwrap();
    assert_eq!(json, serde_json::json!({"healthy": true, "collectors": [{"name": "c", "state": "up", "health": []}]}));
}

#[test]
fn a_trouble_is_a_sentence_on_a_line_of_its_own_and_one() {
    let env = Env::new();
    std::fs::create_dir(env.path("logs")).unwrap();
    let stalled = env.listen(&["--out", &env.arg("logs/c.log"), "--name", "c"]);
    std::fs::rename(env.path("logs"), env.path("moved")).unwrap();
    common::send(stalled.port(), "a line\n");
    env.wait_state("c", "stalled");
    let alone = health(&env, &[], 1);
    let lines: Vec<&str> = alone.stdout.lines().collect();
    assert!(lines.len() == 1 && lines[0].contains("logs/c.log") && !lines[0].starts_with("c: "), "{alone:?}");
    assert!(alone.stderr.is_empty(), "all is said: {alone:?}");
    env.listen(&["--out", &env.arg("d.log"), "--name", "d"]);
    let named = health(&env, &[], 1);
    assert!(named.stdout.lines().count() == 1 && named.stdout.starts_with("c: "), "{named:?}");
    health(&env, &["d"], 0);
    let json: Value = serde_json::from_str(&health(&env, &["--json"], 1).stdout).unwrap();
    assert_eq!((&json["healthy"], &json["collectors"][0]["state"]), (&false.into(), &"stalled".into()));
    assert_eq!(json["collectors"][1]["health"], serde_json::json!([]));
    std::fs::rename(env.path("moved"), env.path("logs")).unwrap();
    env.wait_state("c", "up");
}

#[test]
fn whatever_hangs_is_a_trouble_and_holds_up_nothing() {
    let env = Env::new();
    let hung: Vec<_> =
        (0..3).map(|n| env.listen(&["--out", &env.arg(&format!("{n}.log")), "--name", &format!("h{n}")])).collect();
    env.listen(&["--out", &env.arg("w.log"), "--name", "well"]);
    for collector in &hung {
        procs::signal(collector.pid, Signal::STOP);
    }
    let said = health(&env, &[], 1);
    for (line, n) in said.stdout.lines().zip(0..) {
        assert_eq!(line, format!("h{n}: the collector \"h{n}\" does not answer"), "{said:?}");
    }
    assert_eq!(said.stdout.lines().count(), 3, "{said:?}");
    // The machine has other work: the quickest of some tries tells how long it is ready to wait.
    let timed = |_| {
        let began = Instant::now();
        health(&env, &[], 1);
        began.elapsed()
    };
    let quickest = (0..5).map(timed).min().unwrap();
    assert!(quickest < Duration::from_secs(1), "{quickest:?}");
    let json: Value = serde_json::from_str(&health(&env, &["h1", "--json"], 1).stdout).unwrap();
    assert_eq!(json["collectors"][0]["state"], Value::Null, "{json}");
    let figures = env.run(&["metrics"]).ok().says("does not answer");
    assert!(figures.stdout.contains("reclog_up{collector=\"h0\"} 0\n"), "{figures:?}");
    assert!(figures.stdout.contains("reclog_up{collector=\"well\"} 1\n"), "{figures:?}");
    for collector in &hung {
        procs::signal(collector.pid, Signal::CONT);
    }
    health(&env, &[], 0);
}

#[test]
fn a_collector_that_was_killed_and_left_its_socket_is_a_trouble() {
    let env = Env::new();
    let killed = env.listen(&["--out", &env.arg("c.log"), "--name", "c"]);
    procs::signal(killed.pid, Signal::KILL);
    wait_until("it is gone", common::SOON, || (!procs::alive(killed.pid)).then_some(()));
    for args in [&[][..], &["c"]] {
        let said = health(&env, args, 1);
        assert!(said.stdout.starts_with("\"c\" was killed and left its socket"), "{said:?}");
    }
    env.down("c");
    health(&env, &[], 3);
}
