//! The connection is lost and comes back: same port, same file, counters that go on.

mod common;

use common::snapshot::{assert_settled, number};
use common::{Collector, Env, SOON, Sender, Sshd, free_port, listening, read, send, wait_until};
use serde_json::Value;

/// A collector `c` on a fixed port, writing to `f`.
fn collector(env: &Env, sshd: &Sshd) -> Collector {
    env.trust(sshd);
    let port = free_port().to_string();
    env.up(&["--remote-port", &port, "--out", &env.arg("f"), "--name", "c"])
}

/// Up again after `n` reconnects.
#[track_caller]
fn wait_back(env: &Env, n: u64) -> Value {
    env.wait_collector("c", &format!("is back after {n} reconnects"), |c| c["state"] == "up" && c["reconnects"] == n)
}

#[test]
fn a_killed_session_comes_back_on_the_same_port_with_the_same_counters() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    send(up.port(), "before\n");
    env.wait_stored("c", 7);
    sshd.kill_sessions();
    let back = wait_back(&env, 1);
    assert!(back["last_error"].is_string(), "the trouble is kept after it is over: {back}");
    assert_eq!((&back["pid"], &back["health"]), (&up.pid.into(), &serde_json::json!([])));
    assert_eq!(back["streams"][0]["remote_port"], up.port());
    assert!(listening(up.port()));
    send(up.port(), "after\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!(number(&stream["ledger"]["received"]), 13, "figures count from the start, not from the reconnect");
    assert_eq!((number(&stream["records"]), number(&stream["senders"]["accepted"])), (2, 2));
    assert_eq!(read(env.path("f")), b"before\nafter\n");
    env.assert_nothing_left();
}

#[test]
fn a_port_that_the_jump_host_chose_is_kept() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    sshd.kill_sessions();
    let back = wait_back(&env, 1);
    assert_eq!(back["streams"][0]["remote_port"], up.port(), "senders know this port");
    send(up.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn a_sender_that_is_cut_leaves_whole_lines_and_is_counted() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    let mut cut = Sender::open(up.port());
    cut.write("whole\npart");
    env.wait_received("c", 10);
    sshd.kill_sessions();
    assert!(cut.wait_closed());
    let back = wait_back(&env, 1);
    assert_eq!(number(&back["streams"][0]["senders"]["cut"]), 1);
    assert_eq!(number(&back["streams"][0]["senders"]["open"]), 0);
    send(up.port(), "next\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(read(env.path("f")), b"whole\npart\nnext\n", "what arrived is kept, and nobody's line continues it");
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!((number(&stream["ledger"]["added"]), number(&stream["records"])), (1, 3));
    assert_eq!(number(&stream["senders"]["cut"]), 1);
}

#[test]
fn a_jump_host_that_is_away_for_a_while_is_waited_for() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    send(up.port(), "before\n");
    sshd.stop();
    let away = env.wait_collector("c", "waits", |c| c["state"] == "waiting" && c["last_error"].is_string());
    assert_eq!(away["streams"][0]["remote_port"], up.port());
    let trouble = env.wait_collector("c", "says so", |c| c["health"].as_array().is_some_and(|h| !h.is_empty()));
    assert_eq!(trouble["pid"], up.pid);
    let status = env.run(&["status", "c"]);
    assert!(status.stdout.contains("waiting") || status.stdout.contains("connecting"), "{}", status.stdout);
    sshd.start_again();
    wait_back(&env, 1);
    send(up.port(), "after\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"before\nafter\n");
    env.assert_nothing_left();
}

#[test]
fn down_while_the_jump_host_is_away_is_clean_and_soon() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    send(up.port(), "before\n");
    sshd.stop();
    env.wait_state("c", "waiting");
    let down = env.spawn(&["down", "c", "--json"]).wait_for(SOON).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(read(env.path("f")), b"before\n");
    env.assert_nothing_left();
}

#[test]
fn kick_while_up_is_one_reconnect() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    let before = sshd.sessions();
    env.run(&["kick", "c"]).ok();
    wait_back(&env, 1);
    wait_until("the old connection is gone", SOON, || {
        (!sshd.sessions().iter().any(|pid| before.contains(pid))).then_some(())
    });
    send(up.port(), "x\n");
    let after = env.wait_stored("c", 2);
    assert_eq!(after["reconnects"], 1, "one, not several");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn a_kick_in_the_middle_of_an_attempt_says_so_and_makes_no_second_one() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    collector(&env, &sshd);
    // The listener is alive and says nothing: the attempt waits for the server to introduce itself.
    let frozen = sshd.freeze();
    env.run(&["kick", "c"]).ok();
    env.wait_collector("c", "has begun", |c| c["state"] == "connecting");
    wait_until("the attempt is noticed", SOON, || {
        env.run(&["kick", "c"]).ok().stderr.contains("c is connecting already").then_some(())
    });
    drop(frozen);
    wait_back(&env, 1);
    env.down("c");
}

#[test]
fn kick_ends_the_wait() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    collector(&env, &sshd);
    sshd.stop();
    env.wait_state("c", "waiting");
    sshd.start_again();
    env.run(&["kick", "c"]).ok();
    wait_back(&env, 1);
    env.down("c");
}

#[test]
fn another_host_key_at_the_reconnect_is_not_tried_again() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, &sshd);
    sshd.stop();
    sshd.replace_host_key("ed25519");
    sshd.start_again();
    let failed = env.wait_state("c", "failed");
    assert_eq!(failed["pid"], up.pid, "it stays, for a person to see");
    assert!(failed["health"].to_string().contains("key"), "{failed}");
    let attempts = || sshd.log().lines().filter(|l| l.starts_with("Connection from ")).count();
    let seen = attempts();
    env.write("known_hosts", sshd.known_hosts());
    env.run(&["kick", "c"]).ok();
    env.wait_collector("c", "is up once the key is known", |c| c["state"] == "up");
    assert_eq!(attempts(), seen + 1, "nobody hammered in between");
    send(up.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}
