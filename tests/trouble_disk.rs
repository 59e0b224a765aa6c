//! A disk that is full: senders wait, nothing is torn or lost, and whoever wants to end need not wait for it.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::disk::{Disk, QUEUE};
use common::senders::{Over, check_cut, numbered, pour};
use common::snapshot::{assert_balanced, assert_settled, number};
use common::{Bg, Env, SOON, Sender, Sshd, check_flood, flood, free_port, read, read_text, send};
use rustix::process::Signal;
use serde_json::Value;

/// The health sentences say which file, and why.
#[track_caller]
fn assert_says_full(collector: &Value) {
    let health = collector["health"].to_string();
    assert!(health.contains("disk/f") && health.contains("No space left"), "path and cause: {health}");
}

#[test]
fn a_stream_on_a_full_disk_takes_nothing_from_the_other_stream() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let disk = disk!(env, "64k");
    let (a, b) = (free_port(), free_port());
    let (a_out, b_out) = (env.arg("disk/f"), env.arg("b.log"));
    let profile = format!(
        "target: jump\ndrain_timeout: 1s\nstreams:\n  a: {{ remote_port: {a}, out: {a_out}, min_free: 0 }}\n  b: {{ remote_port: \
         {b}, out: {b_out} }}\n"
    );
    env.write("config/profiles/site.yaml", profile);
    env.started(env.run(&["up", "site", "-F", &env.arg("ssh_config"), "--json"]));
    let over = AtomicBool::new(false);
    let event = std::thread::scope(|scope| {
        let _over = Over(&over);
        let mut open = Sender::open(b);
        open.write("whole\nhalf");
        env.wait_collector("site", "received b", |c| number(&c["streams"][1]["ledger"]["received"]) == 10);
        scope.spawn(|| pour(a, 0, &over));
        env.wait_collector("site", "has a full queue", |c| {
            c["state"] == "stalled" && number(&c["streams"][0]["ledger"]["pending"]) >= QUEUE
        });
        let down = env.spawn(&["down", "site", "--json"]).wait_for(SOON).fails(1);
        assert!(open.wait_closed());
        down.says("disk/f").last_event()
    });
    let (a, b) = (&event["streams"][0], &event["streams"][1]);
    assert_eq!(read(&b_out), b"whole\nhalf\n", "{b}");
    assert_settled(b, b_out.as_ref());
    assert_eq!((number(&b["ledger"]["stored"]), number(&b["ledger"]["added"])), (10, 1));
    assert_balanced(a);
    assert_eq!(a["ledger"]["pending"], 0);
    assert_eq!(event["lost"], a["ledger"]["discarded"]["rescued"], "all that is lost is a's: {event}");
    assert!(number(&event["lost"]) >= QUEUE, "{event}");
    assert_eq!(b["ledger"]["discarded"], serde_json::json!({}));
    let stored = read(&a_out);
    assert_eq!(stored.len() as u64, number(&a["ledger"]["stored"]) + number(&a["ledger"]["added"]));
    let sent: String = (0..2000).map(|n| numbered(0, n)).collect();
    assert!(sent.as_bytes().starts_with(&stored), "what is in a's file is what was sent first");
    drop(disk);
    env.assert_nothing_left();
}

#[test]
fn a_full_disk_is_a_stall_that_is_told_and_ends_with_the_space() {
    let env = Env::new();
    let disk = disk!(env, "4m");
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "0"]);
    // Room for a page: the first write is cut short in the middle of a line.
    disk.fill(4096);
    let start = Instant::now();
    let port = collector.port();
    let sent = flood(port, 10, 1000);
    let stalled = env.wait_state("c", "stalled");
    let took = start.elapsed();
    assert!(took < Duration::from_millis(1500), "the stall shows after {took:?}");
    assert_says_full(&stalled);
    let status = env.run(&["status", "c"]).ok().stdout;
    assert!(status.contains("stalled") && status.contains("No space left"), "{status}");
    disk.free();
    env.wait_stored("c", sent);
    let well = env.wait_state("c", "up");
    assert_eq!(well["health"], serde_json::json!([]));
    check_flood(&env.path("disk/f"), 10, 1000);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("disk/f"));
    assert_eq!((number(&down["streams"][0]["ledger"]["stored"]), down["lost"].as_u64()), (sent, None));
    check_flood(&env.path("disk/f"), 10, 1000);
}

#[test]
fn a_kick_during_a_stall_connects_anew_and_the_rest_is_written_when_there_is_space() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let disk = disk!(env, "256m");
    let port = free_port();
    env.up(&["--remote-port", &port.to_string(), "--out", &env.arg("disk/f"), "--name", "c", "--min-free", "0"]);
    disk.fill(4096);
    let over = AtomicBool::new(false);
    let sent: Vec<usize> = std::thread::scope(|scope| {
        let _over = Over(&over);
        let over = &over;
        let senders: Vec<_> = (0..4).map(|s| scope.spawn(move || pour(port, s, over))).collect();
        let stalled = env.wait_collector("c", "has a full queue", |c| {
            c["state"] == "stalled" && number(&c["streams"][0]["ledger"]["pending"]) >= QUEUE
        });
        assert_says_full(&stalled);
        env.spawn(&["kick", "c"]).wait_for(SOON).ok();
        env.wait_collector("c", "is connected anew, disk or not", |c| c["state"] == "stalled" && c["reconnects"] == 1);
        disk.free();
        let start = Instant::now();
        env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert!(start.elapsed() < Duration::from_secs(15), "up again only after {:?}", start.elapsed());
        over.store(true, Ordering::Relaxed);
        senders.into_iter().map(|s| s.join().unwrap()).collect()
    });
    let last = numbered(9, 0);
    send(port, &last);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("disk/f"));
    assert_eq!(down["lost"].as_u64(), None, "{down}");
    let text = read_text(env.path("disk/f"));
    let counts = check_cut(&text, 4);
    assert_eq!(counts.get(&9), Some(&1), "whoever comes after it is served: {counts:?}");
    assert!((0..4).all(|s| counts.get(&s).is_some_and(|n| *n > 0)), "{counts:?} of {sent:?}");
    env.assert_nothing_left();
}

/// A foreground collector `c` that was told to end and cannot: its disk is full.
fn hangs_at_the_end(env: &Env, disk: &Disk) -> Bg {
    let (address, out) = (format!("127.0.0.1:{}", free_port()), env.arg("disk/f"));
    let patience = ["--drain-timeout", "10min", "--min-free", "0"];
    let mut bg =
        env.spawn(&[&["listen", &address, "--foreground", "--out", &out, "--name", "c"], &patience[..]].concat());
    bg.wait_stdout("reclog down c");
    disk.fill(0);
    let port = address.rsplit_once(':').unwrap().1.parse().unwrap();
    send(port, "kept waiting\n");
    env.wait_state("c", "stalled");
    bg.signal(Signal::TERM);
    env.wait_collector("c", "is draining", |c| {
        c["state"] == "draining" && number(&c["streams"][0]["senders"]["open"]) == 0
    });
    // Past the farewell, into the last flush.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(bg.running(), "what is queued waits for space until the deadline: {}", bg.stderr());
    bg
}

#[test]
fn a_second_signal_ends_a_last_flush_that_hangs() {
    let env = Env::new();
    let disk = disk!(env, "64k");
    let bg = hangs_at_the_end(&env, &disk);
    bg.signal(Signal::TERM);
    let run = bg.wait_for(Duration::from_secs(2));
    assert_eq!(run.status.code(), Some(130), "{run:?}");
    assert_eq!((env.processes(), env.runtime_files()), (vec![], vec![]));
}

#[test]
fn down_now_ends_a_last_flush_that_hangs_and_tells_what_is_lost() {
    let env = Env::new();
    let disk = disk!(env, "64k");
    let bg = hangs_at_the_end(&env, &disk);
    let down = env.spawn(&["down", "c", "--now", "--json"]).wait_for(Duration::from_secs(5));
    let event = down.fails(1).says("13 bytes").says("disk/f").last_event();
    assert_eq!(event["lost"], 13);
    assert_balanced(&event["streams"][0]);
    assert_eq!(event["streams"][0]["ledger"]["pending"], 0);
    let run = bg.wait_for(SOON);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    env.assert_nothing_left();
}
