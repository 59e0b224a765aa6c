//! The audit trail: who connected, what was refused and cut, through restarts, crashes and full disks.

mod common;

use common::snapshot::number;
use common::{Env, SOON, Sender, Sshd, flood, free_port, procs, send, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// Every line of the trail. They are numbered without a hole.
#[track_caller]
fn trail_of(env: &Env, name: &str) -> Vec<Value> {
    let lines = env.run(&["audit", name, "--json"]).ok().events();
    for pair in lines.windows(2) {
        assert_eq!(number(&pair[0]["seq"]) + 1, number(&pair[1]["seq"]), "{pair:?}");
    }
    lines
}

/// The lines of one event.
fn of<'a>(trail: &'a [Value], event: &str) -> Vec<&'a Value> {
    trail.iter().filter(|line| line["event"] == event).collect()
}

fn events(trail: &[Value]) -> Vec<&str> {
    trail.iter().map(|line| line["event"].as_str().expect("an event")).collect()
}

/// `down --json`, the ledger and the trail say the same of the stream.
#[track_caller]
fn assert_agrees(trail: &[Value], down: &Value) {
    let stream = &down["streams"][0];
    let closed = of(trail, "sender_close");
    let sum = |key: &str| closed.iter().map(|line| number(&line[key])).sum::<u64>();
    assert_eq!(sum("bytes"), number(&stream["ledger"]["received"]));
    assert_eq!(sum("records"), number(&stream["records"]));
    assert_eq!(closed.len() as u64, number(&stream["senders"]["accepted"]));
    let cut = closed.iter().filter(|line| line["why"] != "end").count() as u64;
    assert_eq!(cut, number(&stream["senders"]["cut"]));
    let rejected: u64 = stream["senders"]["rejected"].as_object().unwrap().values().map(number).sum();
    assert_eq!(of(trail, "reject").len() as u64, rejected);
    let opened = of(trail, "sender_open");
    let numbers: Vec<u64> = opened.iter().map(|line| number(&line["connection"])).collect();
    assert_eq!(numbers, (1..=closed.len() as u64).collect::<Vec<_>>());
    let stop = trail.last().unwrap();
    assert_eq!((&stop["event"], &stop["stored"]), (&"stop".into(), &stream["ledger"]["stored"]));
}

#[test]
fn the_trail_tells_the_life_of_a_collector() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--max-connections", "2"]);
    send(collector.port(), "one\ntwo\nthree");
    let (mut a, mut b) = (Sender::open(collector.port()), Sender::open(collector.port()));
    a.write("a\n");
    b.write("b\n");
    env.wait_stored("c", 17);
    assert!(Sender::open(collector.port()).wait_closed());
    a.finish();
    b.finish();
    let down = env.run(&["down", "--json"]).ok().last_event();

    let trail = trail_of(&env, "c");
    assert_agrees(&trail, &down);
    let opened = ["start", "forward", "sender_open", "sender_close", "sender_open", "sender_open", "reject"];
    assert_eq!(events(&trail), [&opened[..], &["sender_close", "sender_close", "stop"]].concat());
    let start = &trail[0];
    assert_eq!((&start["pid"], &start["target"], &start["seq"]), (&collector.pid.into(), &Value::Null, &1.into()));
    assert_eq!(start["outputs"], serde_json::json!([env.arg("f")]));
    assert_eq!((&trail[1]["stream"], &trail[1]["remote_port"]), (&"main".into(), &collector.port().into()));
    assert_eq!((&trail[3]["bytes"], &trail[3]["records"], &trail[3]["why"]), (&13.into(), &3.into(), &"end".into()));
    assert_eq!(trail[6]["why"], "max_connections");
    for line in &trail[2..9] {
        assert!(line["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:")), "{line}");
        assert_eq!(line["stream"], "main");
    }
    let mode = env.path("state/c/audit.jsonl").metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn senders_through_a_jump_host_are_told_and_so_is_their_cut() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let port = free_port();
    let up = env.up(&["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"]);
    let sent = flood(port, 20, 50);
    let mut open = Sender::open(port);
    open.write("half a li");
    env.wait_received("c", sent + 9);
    sshd.kill_sessions();
    assert!(open.wait_closed());
    env.wait_collector("c", "is connected again", |c| c["reconnects"] == 1 && c["state"] == "up");
    send(port, "again\n");
    let down = env.run(&["down", "--json"]).ok().last_event();
    let trail = trail_of(&env, "c");
    assert_agrees(&trail, &down);
    let cut: Vec<_> = of(&trail, "sender_close").into_iter().filter(|line| line["why"] == "cut").collect();
    assert_eq!(cut.len(), 1);
    assert_eq!((&cut[0]["bytes"], &cut[0]["records"], &cut[0]["connection"]), (&9.into(), &1.into(), &21.into()));
    assert_eq!((&trail[0]["pid"], &trail[0]["event"]), (&up.pid.into(), &"start".into()));
    assert!(trail[0]["target"].as_str().unwrap().ends_with(&format!("@127.0.0.1:{}", sshd.port)), "{}", trail[0]);
}

#[test]
fn two_thousand_short_connections_are_all_there() {
    let env = Env::new();
    let port = env.listen(&["--out", &env.arg("f"), "--name", "c"]).port();
    let ten = move || (0..200).for_each(|_| send(port, "x\n"));
    let threads: Vec<_> = (0..10).map(|_| std::thread::spawn(ten)).collect();
    for thread in threads {
        thread.join().unwrap();
    }
    let down = env.run(&["down", "--json"]).ok().last_event();
    let trail = trail_of(&env, "c");
    assert_agrees(&trail, &down);
    assert_eq!(trail.len(), 4003);
}

#[test]
fn a_sender_that_down_cuts_is_told_so() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--drain-timeout", "100ms"]);
    let mut sender = Sender::open(collector.port());
    sender.write("still here");
    env.wait_received("c", 10);
    let down = env.run(&["down", "--json"]).ok().last_event();
    let trail = trail_of(&env, "c");
    assert_agrees(&trail, &down);
    assert_eq!(of(&trail, "sender_close")[0]["why"], "draining");
}

#[test]
fn a_killed_collector_is_told_by_the_next_one() {
    let env = Env::new();
    let args = ["--out", &env.arg("f"), "--name", "c"];
    let first = env.listen(&args);
    let (mut stays, mut also) = (Sender::open(first.port()), Sender::open(first.port()));
    stays.write("a\n");
    also.write("b\n");
    send(first.port(), "c\n");
    env.wait_stored("c", 6);
    wait_until("the trail has it", SOON, || (trail_of(&env, "c").len() == 6).then_some(()));
    procs::kill(first.pid);
    wait_until("the collector is gone", SOON, || (!procs::alive(first.pid)).then_some(()));
    let torn = "{\"ts\":\"2026-11-21T15:33:40.120000Z\",\"seq\":7,\"event\":\"sen";
    let file = std::fs::File::options().append(true).open(env.path("state/c/audit.jsonl")).unwrap();
    std::io::Write::write_all(&mut &file, torn.as_bytes()).unwrap();

    env.run(&["audit"]).ok().says("1 line of the trail is left out");
    env.listen(&args);
    let trail = trail_of(&env, "c");
    assert_eq!(events(&trail)[6..], ["start", "warn", "gap", "forward"]);
    assert!(trail[7]["message"].as_str().unwrap().contains(&format!("pid {}", first.pid)), "{}", trail[7]);
    let gap = &trail[8];
    assert_eq!(gap["senders_cut"], 2);
    assert!(number(&gap["bytes_at_most"]) > 2 * 1024 * 1024);
    let came = of(&trail, "sender_open")[0]["ts"].as_str();
    assert!(gap["from"].as_str() == came && gap["to"].as_str() > came, "since the first one that was in: {gap}");
    env.down("c");
    env.listen(&args);
    env.down("c");
    let trail = trail_of(&env, "c");
    assert_eq!(events(&trail)[10..], ["stop", "start", "forward", "stop"], "once is enough");
}

#[test]
fn follow_goes_on_through_a_restart() {
    let env = Env::new();
    let args = ["--out", &env.arg("f"), "--name", "c"];
    let first = env.listen(&args);
    send(first.port(), "a\n");
    let mut audit = env.spawn(&["audit", "c", "-f", "-n", "1"]);
    wait_until("the last one is there", SOON, || audit.stdout().contains("sender_close").then_some(()));
    assert!(!audit.stdout().contains("start"), "{}", audit.stdout());
    env.down("c");
    audit.wait_stdout("stop ");
    let second = env.listen(&args);
    audit.wait_stdout(&format!("pid {}", second.pid));
    assert!(audit.running());
    audit.signal(Signal::INT);
    let code = audit.wait().status.code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
    env.down("c");
}

#[test]
fn what_is_asked_for_is_shown_and_nothing_else() {
    let env = Env::new();
    env.run(&["audit"]).fails(3).hinted();
    env.run(&["audit", "c"]).fails(3);
    for name in ["alpha", "beta"] {
        let collector = env.listen(&["--out", &env.arg(name), "--name", name]);
        send(collector.port(), "x\n");
        env.down(name);
    }
    env.run(&["audit"]).fails(2).says("alpha, beta");
    env.run(&["audit", "alpa"]).fails(3).says("did you mean `alpha`?");
    env.run(&["audit", "alpha", "--since", "\x1b[31msoon"]).fails(2).says("\"\\x1b[31msoon\" is no time").hinted();
    assert_eq!(env.run(&["audit", "alpha", "--event", "rejct"]).status.code(), Some(2));

    let shown = |more: &[&str]| -> Vec<String> {
        let run = env.run(&[&["audit", "alpha"], more].concat()).ok();
        run.stdout.lines().map(|line| line.split_whitespace().nth(2).unwrap().to_owned()).collect()
    };
    let all = ["start", "forward", "sender_open", "sender_close", "stop"];
    assert_eq!(shown(&[]), all);
    assert_eq!(shown(&["-n", "2"]), all[3..]);
    assert_eq!(shown(&["--event", "start,stop"]), [all[0], all[4]]);
    assert_eq!(shown(&["--event", "start", "--event", "reject"]), [all[0]]);
    assert_eq!(shown(&["--since", "1h"]), all);
    assert_eq!(shown(&["--since", "2199-01-01"]), [""; 0]);
    let name = |stream: &str| env.run(&["audit", &format!("alpha/{stream}")]).ok().stdout.lines().count();
    assert_eq!((name("main"), name("other")), (5, 2), "what is about the whole collector stays");
    let file = std::fs::read_to_string(env.path("state/alpha/audit.jsonl")).unwrap();
    assert_eq!(env.run(&["audit", "alpha", "--json"]).ok().stdout, file, "the lines as they are");
    for line in env.run(&["audit", "alpha"]).ok().stdout.lines().filter(|line| line.contains("sender")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
}

#[test]
fn what_the_trail_holds_is_safe_for_a_terminal() {
    let env = Env::new();
    std::fs::create_dir(env.path("state/c")).unwrap();
    let head = "{\"ts\":\"2026-11-21T15:33:40.120000Z\",\"seq\":";
    let evil = "\\u001b[31m\\u009b1m\\u202e\\nend";
    let lines = [
        format!("{head}1,\"event\":\"warn\",\"message\":\"{evil}\"}}\n"),
        format!("{head}2,\"event\":\"of_tomorrow{evil}\",\"what{evil}\":[\"{evil}\"]}}\n"),
    ];
    env.write("state/c/audit.jsonl", lines.concat());
    let shown = env.run(&["audit", "c"]).ok().stdout;
    let bad = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!shown.contains(bad) && shown.lines().count() == 2, "{shown:?}");
    assert!(shown.contains("\\x1b[31m\\u{9b}1m\\u{202e}\\x0aend") && shown.contains("of_tomorrow"), "{shown:?}");
}

#[test]
fn a_reader_that_leaves_ends_audit_without_a_word() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    (0..300).for_each(|_| send(collector.port(), "x\n"));
    env.down("c");
    let line = format!("'{}' audit c | head -n 1", common::env::binary().display());
    let head = env.command("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&head.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&head.stderr), "", "a broken pipe is no error");
}

#[test]
fn a_full_disk_and_a_rotation_are_told() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let out = env.arg("disk/f");
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0"]);
    disk.fill(64 * 1024);
    let sent = flood(collector.port(), 10, 1000);
    env.wait_state("c", "stalled");
    let stalled_for = std::time::Instant::now();
    disk.free();
    env.wait_stored("c", sent);
    env.wait_state("c", "up");
    let over = wait_until("the trail has the end of the stall", SOON, || {
        of(&trail_of(&env, "c"), "resume").first().map(|line| (*line).clone())
    });
    assert!(u128::from(number(&over["after_ms"])) <= stalled_for.elapsed().as_millis() + 1000, "{over}");
    let rotated = env.run(&["rotate", "c", "--json"]).ok().last_event();
    send(collector.port(), "new\n");
    env.wait_stored("c", sent + 4);
    env.down("c");

    let trail = trail_of(&env, "c");
    let place = |event: &str| events(&trail).iter().position(|told| *told == event).expect(event);
    assert!(place("stall") < place("resume") && place("resume") < place("rotate"), "{trail:?}");
    let count = |event: &str| of(&trail, event).len();
    assert_eq!((count("stall"), count("resume"), count("rotate"), count("gap")), (1, 1, 1, 0));
    for event in ["stall", "resume", "rotate"] {
        let line = of(&trail, event)[0];
        assert_eq!((&line["stream"], &line["output"]), (&"main".into(), &out.as_str().into()), "{line}");
    }
    assert!(of(&trail, "stall")[0]["why"].as_str().is_some_and(|why| why.contains("No space left")), "{trail:?}");
    let line = of(&trail, "rotate")[0];
    assert_eq!((&line["why"], &line["bytes"]), (&"command".into(), &sent.into()), "{line}");
    let archive = line["archive"].as_str().expect("an archive");
    assert_eq!(archive, env.archives("disk/f")[0].to_str().unwrap());
    assert!(rotated.to_string().contains(archive), "{rotated}");
    assert_eq!(std::fs::metadata(archive).unwrap().len(), sent);
}

/// A small disk for the state. `Drop` takes it away.
struct Disk(std::path::PathBuf);

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_state_disk_costs_lines_that_are_told_and_no_bytes() {
    let env = Env::new();
    let disk = Disk(env.path("state"));
    let mounted = env.command("mount").args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(&disk.0).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        let (name, what) =
            ("a_full_state_disk_costs_lines_that_are_told_and_no_bytes", "to mount a file system: run it as root");
        assert!(std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{name}: needs {what}");
        return common::left_out_for(name, what);
    }
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let filler = disk.0.join("filler");
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[0; 4096]).is_ok() {}
    drop(file);
    // More than what is left of the last page of the trail.
    (0..100).for_each(|_| send(collector.port(), "x\n"));
    let told = env.wait_collector("c", "tells of it", |c| c["health"].to_string().contains("No space left"));
    assert!(told["health"].to_string().contains("audit.jsonl"), "{}", told["health"]);
    assert_eq!((&told["state"], &told["streams"][0]["ledger"]["stored"]), (&"up".into(), &200.into()));
    std::fs::remove_file(&filler).unwrap();
    env.wait_collector("c", "is well again", |c| c["health"] == serde_json::json!([]));
    send(collector.port(), "x\n");
    let down = env.run(&["down", "--json"]).ok().last_event();
    assert_agrees(&trail_of(&env, "c"), &down);
}
