//! SIGKILL at any instant: what was stored stays, and nothing stale is in the way of the next `up`.

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::senders::{check_order, numbered};
use common::snapshot::number;
use common::{Env, SOON, Sender, Sshd, accept, free_port, listening, procs, read, read_text, send, wait_until};
use serde_json::Value;

#[test]
fn a_killed_collector_leaves_whole_records_and_no_obstacle() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let args = ["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"];
    let up = env.up(&args);
    let over = Arc::new(AtomicBool::new(false));
    // All are heard before any of them pours: a turn of one is long.
    let mut senders: Vec<_> = (0..10).map(|_| Sender::open(port)).collect();
    for (s, sender) in senders.iter_mut().enumerate() {
        assert!(sender.try_write(numbered(s, 0)));
    }
    env.wait_collector("c", "has heard all", |c| number(&c["streams"][0]["records"]) == 10);
    let senders: Vec<_> = senders
        .into_iter()
        .enumerate()
        .map(|(s, mut sender)| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut n = 1;
                while !over.load(Ordering::Relaxed) && sender.try_write(numbered(s, n)) {
                    n += 1;
                }
            })
        })
        .collect();
    let before = env.wait_stored("c", 300_000);
    procs::kill(up.pid);
    over.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    wait_until("the collector is gone", SOON, || (!procs::alive(up.pid)).then_some(()));

    let mut text = read_text(&out);
    let stored = before["streams"][0]["ledger"]["stored"].as_u64().unwrap();
    assert!(text.len() as u64 >= stored, "what was told as stored is in the file");
    let whole = text.rfind('\n').map_or(0, |end| end + 1);
    let partial = text.split_off(whole);
    let counts = check_order(&text);
    assert_eq!(counts.len(), 10);
    let may_follow = counts.iter().any(|(s, n)| numbered(*s, *n).starts_with(&partial));
    assert!(partial.is_empty() || may_follow, "the last line is no beginning of a record: {partial:?}");

    wait_until("the jump host has noticed", SOON, || (!listening(port)).then_some(()));
    let again = env.up(&args);
    assert_ne!(again.pid, up.pid);
    send(port, "fresh\n");
    env.down("c");
    let end = if partial.is_empty() { "" } else { "\n" };
    assert!(read_text(&out) == format!("{text}{partial}{end}fresh\n"), "what was there is kept, then a fresh line");
    env.assert_nothing_left();
}

#[test]
fn a_file_with_half_a_last_line_is_continued_on_a_fresh_one() {
    let env = Env::new();
    env.write("f", "whole\nhal");
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), "next\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(read(env.path("f")), b"whole\nhal\nnext\n");
    let ledger = &down["streams"][0]["ledger"];
    assert_eq!((&ledger["added"], &ledger["stored"]), (&1.into(), &5.into()), "the newline is ours: {ledger}");
    assert_eq!(down["streams"][0]["outputs"][0]["bytes"], 15);
    let trail = env.run(&["audit", "c", "--json"]).ok().events();
    let told = trail.iter().find(|line| line["event"] == "warn").unwrap_or_else(|| panic!("not told: {trail:?}"));
    let message = told["message"].as_str().unwrap();
    assert!(message.contains(&env.arg("f")) && message.contains("ended with a newline"), "{message}");
}

#[test]
fn a_stale_socket_and_lock_neither_block_nor_count_as_running() {
    let env = Env::new();
    let first = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(first.port(), "one\n");
    env.wait_stored("c", 4);
    procs::kill(first.pid);
    wait_until("the collector is gone", SOON, || (!procs::alive(first.pid)).then_some(()));
    assert!(!env.runtime_files().is_empty(), "the kill left its socket and lock, or this test tests nothing");

    env.run(&["status"]).fails(3);
    env.run(&["down", "c"]).ok();
    let second = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(second.port(), "two\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"one\ntwo\n");
    env.assert_nothing_left();
}

#[test]
fn the_file_of_a_killed_collector_is_free_for_one_of_another_name() {
    let env = Env::new();
    let first = env.listen(&["--out", &env.arg("f"), "--name", "first"]);
    procs::kill(first.pid);
    wait_until("the collector is gone", SOON, || (!procs::alive(first.pid)).then_some(()));
    let second = env.listen(&["--out", &env.arg("f"), "--name", "second"]);
    send(second.port(), "x\n");
    env.run(&["down", "--all"]).ok();
    assert_eq!(read(env.path("f")), b"x\n");
    assert_eq!(env.processes(), Vec::<u32>::new());
}

#[test]
fn up_that_is_killed_half_way_leaves_no_collector() {
    let env = Env::new();
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, out) = (mute.local_addr().unwrap().port().to_string(), env.arg("f"));
    let up = env.spawn(&["up", "127.0.0.1", "-p", &port, "-F", "no_config", "--remote-port", "5", "--out", &out]);
    let _connection = accept(&mute);
    for pid in env.processes() {
        env.expect(pid);
    }
    procs::kill(up.pid());
    wait_until("nobody works for an `up` that is gone", SOON, || env.processes().is_empty().then_some(()));
    assert_eq!(env.runtime_files(), Vec::<String>::new());
}

/// When a collector is killed.
#[derive(Debug)]
enum Instant {
    /// As soon as this file is there: on the way up.
    There(&'static str),
    /// As soon as the output has grown by so many bytes: under load.
    Grown(u64),
}

/// A schedule that is the same in every run: a small generator (Marsaglia's xorshift) with a seed of its own.
fn schedule(rounds: usize) -> Vec<Instant> {
    let mut state = 0x5eed_2026_1121_u64;
    let mut next = |below: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % below
    };
    let files = ["run/c.lock", "state/c/collector.log", "state/c/audit.jsonl", "run/c.new", "run/c.sock"];
    let mut instant = |round| match round % 2 {
        0 => Instant::Grown(1 + next(400_000)),
        _ => Instant::There(files[usize::try_from(next(files.len() as u64)).unwrap()]),
    };
    (0..rounds).map(&mut instant).collect()
}

#[test]
fn twenty_kills_in_a_row_tear_nothing_and_are_all_told() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let args = ["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"];
    let (mut read_so_far, mut partial, mut killed) = (0, String::new(), BTreeSet::new());
    for (round, instant) in schedule(20).into_iter().enumerate() {
        let first = round * 10;
        let (pid, sent) = match &instant {
            Instant::Grown(bytes) => {
                let up = env.up(&args);
                let over = Arc::new(AtomicBool::new(false));
                let senders: Vec<_> = (first..first + 10)
                    .map(|s| {
                        let (over, mut sender) = (Arc::clone(&over), Sender::open(port));
                        std::thread::spawn(move || {
                            let (mut n, mut sent) = (0, 0);
                            while !over.load(Ordering::Relaxed) && sender.try_write(numbered(s, n)) {
                                sent += numbered(s, n).len() as u64;
                                n += 1;
                            }
                            sent
                        })
                    })
                    .collect();
                let enough = read_so_far as u64 + bytes;
                wait_until("the file has grown", SOON, || (out.metadata().unwrap().len() >= enough).then_some(()));
                procs::kill(up.pid);
                over.store(true, Ordering::Relaxed);
                (up.pid, senders.into_iter().map(|s| s.join().unwrap()).sum::<u64>())
            }
            Instant::There(file) => {
                let mut up =
                    env.spawn(&env.to_jump(&["up", "jump"], &args).iter().map(String::as_str).collect::<Vec<_>>());
                let others = || env.processes().into_iter().find(|pid| *pid != up.pid());
                let pid = wait_until("there is a collector", SOON, others);
                env.expect(pid);
                // What is there for microseconds only is missed now and then: up is an instant like others.
                wait_until(file, SOON, || (env.path(file).exists() || !up.running()).then_some(()));
                procs::kill(pid);
                drop(up);
                (pid, 0)
            }
        };
        wait_until("the collector is gone", SOON, || (!procs::alive(pid)).then_some(()));
        wait_until("the jump host has noticed", SOON, || (!listening(port)).then_some(()));
        killed.insert(u64::from(pid));

        // What this one wrote: whole records, and at most the beginning of another.
        let text = read_text(&out);
        let mut new = &text[read_so_far..];
        if !partial.is_empty() && !new.is_empty() {
            new = new.strip_prefix('\n').unwrap_or_else(|| panic!("{round}: no fresh line after {partial:?}: {new:?}"));
            partial.clear();
        }
        let whole = new.rfind('\n').map_or(0, |end| end + 1);
        let counts = check_order(&new[..whole]);
        assert!(counts.keys().all(|s| (first..first + 10).contains(s)), "{round}: {counts:?}");
        if whole < new.len() {
            partial = new[whole..].to_owned();
            let next = |s| numbered(s, counts.get(&s).copied().unwrap_or(0));
            assert!((first..first + 10).any(|s| next(s).starts_with(&partial)), "{round}: {partial:?}");
        }
        read_so_far = text.len();
        assert!(sent >= new.len() as u64, "{round}: {sent}");
    }
    let last = env.up(&args);
    send(port, "fresh\n");
    env.down("c");
    let end = if partial.is_empty() { "fresh\n" } else { "\nfresh\n" };
    assert_eq!(&read_text(&out)[read_so_far..], end);
    env.assert_nothing_left();

    let trail = env.run(&["audit", "c", "--json"]).ok().events();
    let mut open: BTreeSet<String> = BTreeSet::new();
    let (mut pid, mut told) = (Value::Null, BTreeSet::new());
    for (n, line) in trail.iter().enumerate() {
        assert_eq!(number(&line["seq"]), n as u64 + 1, "{line}");
        match line["event"].as_str().unwrap() {
            "start" => {
                if !pid.is_null() {
                    let (warn, gap) = (&trail[n + 1], &trail[n + 2]);
                    assert!(warn["message"].as_str().unwrap().contains(&format!("pid {pid},")), "{warn}");
                    assert_eq!(
                        (&gap["event"], number(&gap["senders_cut"])),
                        (&"gap".into(), open.len() as u64),
                        "{gap}"
                    );
                    assert!(gap["from"].as_str() <= gap["to"].as_str(), "{gap}");
                    told.insert(number(&pid));
                }
                pid = line["pid"].clone();
                open.clear();
            }
            "sender_open" => assert!(open.insert(line["connection"].to_string()), "{line}"),
            "sender_close" => assert!(open.remove(&line["connection"].to_string()), "{line}"),
            _ => {}
        }
    }
    assert_eq!((number(&pid), &trail.last().unwrap()["event"]), (last.pid.into(), &"stop".into()));
    // Who was killed before its first line left nothing to tell of.
    assert!(told.is_subset(&killed) && told.len() >= 10, "{told:?} of {killed:?}");
}
