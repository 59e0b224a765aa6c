//! SIGKILL at any instant: what was stored stays, and nothing stale is in the way of the next `up`.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::senders::{check_order, numbered};
use common::{Env, SOON, Sender, Sshd, accept, free_port, listening, procs, read, read_text, send, wait_until};

#[test]
fn a_killed_collector_leaves_whole_records_and_no_obstacle() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let args = ["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"];
    let up = env.up(&args);
    let over = Arc::new(AtomicBool::new(false));
    let senders: Vec<_> = (0..10)
        .map(|s| {
            let over = Arc::clone(&over);
            std::thread::spawn(move || {
                let mut sender = Sender::open(port);
                let mut n = 0;
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
