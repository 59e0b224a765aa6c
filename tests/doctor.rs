//! `reclog doctor`: every step against a real sshd, what it says when one fails, and that nothing is left behind.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::account::Account;
use common::sshd::whoami;
use common::{Bg, Env, Run, SOON, Sshd, free_port, listening, read_text, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// `reclog doctor jump … --json`, to its end.
fn doctor(env: &Env, more: &[&str]) -> Run {
    let args = env.to_jump(&["doctor", "jump", "--json"], more);
    env.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The step of this name.
#[track_caller]
fn step<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().find(|e| e["step"] == name).unwrap_or_else(|| panic!("no step {name}: {events:#?}"))
}

#[track_caller]
fn verdict(events: &[Value], name: &str) -> String {
    step(events, name)["verdict"].as_str().expect("a verdict").to_owned()
}

#[track_caller]
fn message(events: &[Value], name: &str) -> String {
    step(events, name)["message"].as_str().expect("a message").to_owned()
}

/// Every step has this verdict.
#[track_caller]
fn assert_verdicts(events: &[Value], expected: &[(&str, &str)]) {
    for (name, wanted) in expected {
        assert_eq!(verdict(events, name), *wanted, "{:#}", step(events, name));
    }
}

/// Everything below `folder`, with its bytes.
fn everything(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(everything(&path));
            all.push((path, None));
        } else {
            all.push((path.clone(), std::fs::read(&path).ok()));
        }
    }
    all.sort();
    all
}

#[test]
fn every_step_is_told_in_its_order_and_leaves_nothing_behind() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    env.write("work/out", "what was there\n");
    let before = everything(&env.path("."));
    let run = doctor(&env, &["--remote-port", &port.to_string(), "--out", "out"]).ok();
    eprintln!("{}", run.stdout);
    let events = run.events();
    let names: Vec<&str> = events.iter().filter_map(|e| e["step"].as_str()).collect();
    let order = [
        "resolve", "tcp", "banner", "algorithms", "host-key", "authentication", "output", "forward", "bind-address",
        "reach", "sender-address", "clock", "idle-limits", "byte-in-file", "throughput",
    ];
    assert_eq!(names, order);
    let good = ["resolve", "tcp", "banner", "algorithms", "host-key", "authentication", "output", "forward", "clock"];
    assert_verdicts(&events, &good.map(|name| (name, "ok")));
    assert_verdicts(&events, &[("idle-limits", "ok"), ("byte-in-file", "ok"), ("throughput", "ok")]);
    assert!(message(&events, "banner").starts_with("OpenSSH_"), "{events:#?}");
    assert!(message(&events, "host-key").contains(&sshd.fingerprint("ed25519")), "{events:#?}");
    assert!(message(&events, "authentication").contains("user_ed25519"), "{events:#?}");
    assert!(message(&events, "forward").contains(&port.to_string()), "{events:#?}");
    assert!(message(&events, "throughput").contains("B/s"), "{events:#?}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"doctor".into(), &0.into()), "{last}");

    assert_eq!(everything(&env.path(".")), before, "a file was made or changed");
    wait_until("the port is closed", SOON, || (!listening(port)).then_some(()));
    env.assert_nothing_left();
}
