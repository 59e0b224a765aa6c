//! One collector from `up` to `down`: what is printed, what runs, what is told, and that nothing is left.

mod common;

use common::snapshot::assert_settled;
use common::sshd::whoami;
use common::{Env, Sshd, free_port, listening, read, send, wait_until};
use serde_json::Value;

#[test]
fn up_prints_one_block_and_down_leaves_nothing() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("work/file.log"));

    let up = env.up_run(&["--remote-port", &port.to_string(), "--out", "file.log"]).ok();
    let lines: Vec<&str> = up.stdout.lines().collect();
    let [first, sending, stopping] = lines[..] else { panic!("stdout is not one block of three lines: {up:?}") };
    let head = format!("✔ 127.0.0.1:{port} → {}   (collector \"jump\", pid ", out.display());
    let pid = first.strip_prefix(&head).and_then(|rest| rest.strip_suffix(')')).and_then(|pid| pid.parse().ok());
    let pid: u32 = pid.unwrap_or_else(|| panic!("{first:?} is not {head:?} and a pid"));
    env.expect(pid);
    assert!(sending.starts_with("  send   ") && sending.contains(&port.to_string()), "{sending:?}");
    assert_eq!(stopping, "  stop   reclog down jump");
    assert!(!up.stderr.contains("error:"), "{up:?}");

    assert_eq!(env.processes(), [pid], "one background process, the one that was named");
    assert!(listening(port), "the jump host listens once `up` returns");
    send(port, "one\n");
    send(port, "two\nthree\n");

    env.down("jump");
    assert_eq!(read(&out), b"one\ntwo\nthree\n");
    assert!(!listening(port), "the port is closed once `down` returns");
    env.assert_nothing_left();
    wait_until("the connection is closed", common::SOON, || sshd.sessions().is_empty().then_some(()));
}

#[test]
fn the_line_that_up_prints_sends() {
    require!("sshd", "bash");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up_run(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]).ok();
    env.expect(env.processes()[0]);
    let line = up.stdout.lines().find_map(|l| l.trim_start().strip_prefix("send ")).expect("a line `send`").trim();
    let bash = env.command("bash").args(["-c", line]).output().unwrap();
    assert!(bash.status.success(), "{line:?}: {}", String::from_utf8_lossy(&bash.stderr));
    env.wait_collector("c", "has a record", |c| c["streams"][0]["records"] == 1);
    env.down("c");
    assert!(read(env.path("f")).ends_with(b"\n"), "a whole line arrived");
}

#[test]
fn down_when_nothing_runs_is_done_and_says_so() {
    let env = Env::new();
    let down = env.run(&["down"]).ok();
    let told = format!("{}{}", down.stdout, down.stderr).to_lowercase();
    assert!(told.contains("nothing") || told.contains("no collector"), "{down:?}");
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    env.down(&collector.name);
    env.down(&collector.name);
    env.run(&["down", "--all"]).ok();
    env.assert_nothing_left();
}

#[test]
fn status_and_kick_and_tail_without_a_collector_end_with_three() {
    let env = Env::new();
    for args in [&["status"][..], &["kick"], &["tail"], &["tail", "-f"], &["status", "nobody"], &["how"]] {
        env.run(args).fails(3);
    }
    assert_eq!(env.run(&["status", "--json"]).status.code(), Some(3));
    let _collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    for args in [["status", "nobody"], ["tail", "nobody"], ["kick", "nobody"], ["how", "nobody"]] {
        env.run(&args).fails(3).says("nobody");
    }
}

/// The names of an object, sorted.
fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = value.as_object().expect("an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    keys
}

fn assert_time(value: &Value) {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    text.parse::<jiff::Timestamp>().unwrap_or_else(|e| panic!("{text:?} is not RFC 3339: {e}"));
}

#[test]
fn the_snapshot_has_exactly_the_names_of_the_contract() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let out = env.path("work/file.log");
    let up = env.up(&["--remote-port", "0", "--out", "file.log", "--name", "c"]);
    send(up.port(), "hello\n");
    env.wait_stored("c", 6);

    let run = env.run(&["status", "--json"]).ok();
    let all: Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    assert_eq!(keys(&all), ["collectors"]);
    assert_eq!(all["collectors"].as_array().unwrap().len(), 1);
    let c = &all["collectors"][0];
    let names = ["health", "last_error", "name", "pid", "reclog", "reconnects", "since", "state", "streams", "target"];
    assert_eq!(keys(c), names);
    assert_eq!(c["name"], "c");
    assert_eq!(c["state"], "up");
    assert_eq!(c["pid"], up.pid);
    assert_eq!(c["target"], format!("{}@127.0.0.1:{}", whoami(), sshd.port));
    assert_eq!(c["reconnects"], 0);
    assert_eq!(c["last_error"], Value::Null);
    assert!(c["health"].is_array());
    assert_time(&c["since"]);

    let s = &c["streams"][0];
    let names =
        ["bind", "format", "framing", "last_record", "ledger", "name", "outputs", "reach", "reach_checked", "records"];
    // What stands there once something was found out, and once the file was forced to the disk.
    let later = ["finding", "fsync_seconds"];
    let all: Vec<_> = keys(s).into_iter().filter(|key| !later.contains(key)).collect();
    assert_eq!(all, [&names[..], &["remote_port", "senders", "split", "write_seconds"]].concat());
    assert_time(&s["last_record"]);
    let writes = &s["write_seconds"];
    assert_eq!((keys(writes), &writes["count"]), (vec!["buckets", "count", "sum"], &1.into()), "{writes}");
    assert_eq!(s["finding"].is_null(), s["reach_checked"].is_null(), "what was found stands beside when: {s}");
    assert_eq!((&s["name"], &s["bind"], &s["framing"]), (&"main".into(), &"*".into(), &"lines".into()));
    assert_eq!(s["remote_port"], up.port());
    assert!(["proven", "loopback-only", "unproven"].iter().any(|r| s["reach"] == *r), "{s}");
    if !s["reach_checked"].is_null() {
        assert_time(&s["reach_checked"]);
    }
    assert_eq!((&s["records"], &s["split"]), (&1.into(), &0.into()));

    assert_eq!(keys(&s["outputs"][0]), ["bytes", "free", "path", "rotations"]);
    assert_eq!(s["outputs"][0]["path"], out.to_str().unwrap());
    assert_eq!((&s["outputs"][0]["bytes"], &s["outputs"][0]["rotations"]), (&6.into(), &0.into()));
    assert_eq!(keys(&s["senders"]), ["accepted", "cut", "open", "rejected"]);
    assert_eq!((&s["senders"]["accepted"], &s["senders"]["cut"]), (&1.into(), &0.into()));
    assert_eq!(s["senders"]["rejected"], serde_json::json!({}));
    assert_eq!(keys(&s["ledger"]), ["added", "discarded", "pending", "received", "stored", "synced"]);
    assert_eq!((&s["ledger"]["received"], &s["ledger"]["stored"]), (&6.into(), &6.into()));
    assert_eq!((&s["ledger"]["pending"], &s["ledger"]["added"]), (&0.into(), &0.into()));
    assert_eq!(s["ledger"]["discarded"], serde_json::json!({}));
    env.down("c");
}

#[test]
fn status_in_text_names_what_runs_and_what_arrived() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", "file.log", "--name", "tremplin"]);
    for args in [&["status"][..], &["status", "tremplin"]] {
        let status = env.run(args).ok();
        for part in ["tremplin", "up", &up.port().to_string(), "file.log", &up.pid.to_string()] {
            assert!(status.stdout.contains(part), "no {part:?} in {}", status.stdout);
        }
    }
    env.down("tremplin");
}

#[test]
fn with_json_every_step_is_an_object_and_the_last_says_what_came_of_it() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let up = env.up_run(&["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--json"]);
    let events = up.events();
    assert!(events.iter().all(|e| e["event"].is_string()), "{events:?}");
    let up = env.started(up);
    assert_eq!((up.name.as_str(), up.port()), ("jump", port));
    assert_eq!(up.event["streams"][0]["name"], "main");

    send(port, "a\nb\n");
    let down = env.run(&["down", "--json"]).ok();
    let events = down.events();
    let [event] = &events[..] else { panic!("one object a collector: {events:?}") };
    assert_eq!((&event["event"], &event["name"]), (&"down".into(), &"jump".into()));
    assert_eq!(event["streams"][0]["records"], 2);
    assert_settled(&event["streams"][0], &out);
    assert_eq!(read(&out), b"a\nb\n");
}

#[test]
fn with_json_a_failure_is_the_last_event() {
    let env = Env::new();
    let run = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("none/f"), "--json"]);
    assert_eq!(run.status.code(), Some(1));
    let event = run.last_event();
    assert_eq!((&event["event"], &event["kind"]), (&"failed".into(), &"failed".into()), "{event}");
    assert!(event["message"].as_str().is_some_and(|m| m.contains("none")), "{event}");
    assert!(event.get("hint").is_some(), "{event}");
    env.assert_nothing_left();
}

#[test]
fn with_port_zero_the_jump_host_chooses_and_the_choice_is_told() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let one = env.up(&["--remote-port", "0", "--out", &env.arg("1"), "--name", "one"]);
    assert!(listening(one.port()));
    let two = env.up_run(&["--remote-port", "0", "--out", &env.arg("2"), "--name", "two"]).ok();
    let told = env.snapshot("two");
    env.expect(u32::try_from(told["pid"].as_u64().unwrap()).unwrap());
    let port = told["streams"][0]["remote_port"].as_u64().unwrap();
    assert!(port != 0 && port != u64::from(one.port()));
    let two = two.prints(format!("✔ 127.0.0.1:{port} → "));
    assert!(two.stdout.contains(&format!("/{port}")), "the line to send has the port, too: {}", two.stdout);
    send(u16::try_from(port).unwrap(), "x\n");
    env.run(&["down", "--all"]).ok();
    assert_eq!(read(env.path("2")), b"x\n");
}

#[test]
fn the_file_is_private_appended_to_and_made_where_up_was_called() {
    use std::os::unix::fs::PermissionsExt as _;
    let env = Env::new();
    let mode = |name: &str| std::fs::metadata(env.path(name)).unwrap().permissions().mode() & 0o777;
    env.listen(&["--out", "rel.log", "--name", "c"]);
    assert_eq!(mode("work/rel.log"), 0o600);
    assert_eq!(mode("run"), 0o700);
    assert_eq!(mode("run/c.sock"), 0o600);
    assert!(env.path("run/c.lock").exists());
    env.down("c");
    env.write("old.log", "before\n");
    let again = env.listen(&["--out", &env.arg("old.log"), "--name", "c"]);
    send(again.port(), "after\n");
    env.down("c");
    assert_eq!(read(env.path("old.log")), b"before\nafter\n");
}
