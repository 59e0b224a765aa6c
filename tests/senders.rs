//! Senders: whole lines, every byte, and what an ending collector owes to those that are still open.

mod common;

use std::time::{Duration, Instant};

use common::snapshot::{assert_settled, number};
use common::{Env, SOON, Sender, Sshd, check_flood, flood, listening, read, send, wait_until};

#[test]
fn many_senders_at_once_tear_no_line_and_lose_none() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let out = env.path("f");
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let sent = flood(up.port(), 100, 500);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    check_flood(&out, 100, 500);
    let stream = &down["streams"][0];
    assert_settled(stream, &out);
    assert_eq!(number(&stream["ledger"]["received"]), sent);
    assert_eq!(number(&stream["ledger"]["stored"]), sent);
    assert_eq!(number(&stream["ledger"]["added"]), 0);
    assert_eq!((number(&stream["records"]), number(&stream["senders"]["accepted"])), (50_000, 100));
    assert_eq!((number(&stream["senders"]["open"]), number(&stream["senders"]["cut"])), (0, 0));
}

#[test]
fn the_ledger_is_balanced_at_every_moment_under_load() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let port = collector.port();
    let load = std::thread::spawn(move || flood(port, 20, 2000));
    // `Env::find` checks the balance of each snapshot; the last of them comes after the load.
    let mut seen = 0;
    while !load.is_finished() || seen == 0 {
        env.snapshot("c");
        seen += 1;
    }
    let sent = load.join().unwrap();
    env.wait_stored("c", sent);
    env.down("c");
    check_flood(&env.path("f"), 20, 2000);
}

#[test]
fn all_byte_values_pass_untouched() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let mut bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    bytes.extend(b"crlf\r\n\r\n\n\0\n");
    send(up.port(), &bytes);
    env.down("c");
    assert!(read(env.path("f")) == bytes, "a sender that ends with a newline gets exactly its bytes");
}

#[test]
fn a_missing_last_newline_is_added_and_counted() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), "one\nno end");
    send(collector.port(), "two\n");
    send(collector.port(), "");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(read(env.path("f")), b"one\nno end\ntwo\n", "a sender of nothing adds nothing");
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!((number(&stream["ledger"]["added"]), number(&stream["records"])), (1, 3));
    assert_eq!(number(&stream["senders"]["accepted"]), 3);
}

#[test]
fn an_over_long_record_is_split_counted_and_complete() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--max-line", "1KiB"]);
    let exact = format!("{}\n", "e".repeat(1023));
    let long = "l".repeat(2500);
    send(collector.port(), &exact);
    env.wait_stored("c", 1024);
    assert_eq!(number(&env.stream("c")["split"]), 0, "max_line counts the line end, and this line just fits");
    send(collector.port(), format!("{long}\nshort\n"));
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!(number(&stream["split"]), 1, "one record was too long");
    let text = common::read_text(env.path("f"));
    assert!(text.lines().all(|l| l.len() < 1024), "{:?}", text.lines().map(str::len).collect::<Vec<_>>());
    assert_eq!(text.replace('\n', ""), format!("{}{long}short", "e".repeat(1023)), "nothing is dropped");
    assert!(text.ends_with("\nshort\n"), "the next record begins on its own line");
    assert!(number(&stream["ledger"]["added"]) >= 2, "the ends that split it are ours");
}

#[test]
fn raw_framing_keeps_the_bytes_of_a_sender_exactly() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--framing", "raw"]);
    let bytes: Vec<u8> = (0..1_000_003u32).map(|n| n.wrapping_mul(2_654_435_761).to_be_bytes()[0]).collect();
    send(up.port(), &bytes);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert!(read(env.path("f")) == bytes);
    assert_eq!(number(&down["streams"][0]["ledger"]["added"]), 0);
    assert_settled(&down["streams"][0], &env.path("f"));
}

#[test]
fn an_open_sender_may_finish_while_new_ones_are_refused() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--drain-timeout", "10min"]);
    let port = up.port();
    let mut open = Sender::open(port);
    open.write("before\nhal");
    env.wait_received("c", 10);
    let mut down = env.spawn(&["down", "c", "--json"]);
    wait_until("new senders are refused", SOON, || (!listening(port)).then_some(()));
    let draining = env.wait_state("c", "draining");
    assert_eq!(number(&draining["streams"][0]["senders"]["open"]), 1);
    assert!(down.running(), "`down` waits for the open sender");
    open.write("f\nafter\n");
    open.finish();
    let event = down.wait().ok().last_event();
    assert_eq!(read(env.path("f")), b"before\nhalf\nafter\n");
    assert_settled(&event["streams"][0], &env.path("f"));
    assert_eq!(number(&event["streams"][0]["senders"]["cut"]), 0);
    env.assert_nothing_left();
}

#[test]
fn the_drain_has_a_deadline_and_keeps_what_arrived() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--drain-timeout", "1s"]);
    let mut open = Sender::open(collector.port());
    open.write("whole\nhalf");
    env.wait_received("c", 10);
    let start = Instant::now();
    let event = env.run(&["down", "c", "--json"]).ok().last_event();
    assert!(start.elapsed() >= Duration::from_millis(900), "the sender had its second: {:?}", start.elapsed());
    assert!(open.wait_closed());
    assert_eq!(read(env.path("f")), b"whole\nhalf\n");
    let stream = &event["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!((number(&stream["senders"]["cut"]), number(&stream["ledger"]["added"])), (1, 1));
}

#[test]
fn down_now_waits_for_nobody() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--drain-timeout", "10min"]);
    let mut open = Sender::open(up.port());
    open.write("whole\nhalf");
    env.wait_received("c", 10);
    let event = env.spawn(&["down", "c", "--now", "--json"]).wait_for(SOON).ok().last_event();
    assert!(open.wait_closed());
    assert_eq!(read(env.path("f")), b"whole\nhalf\n");
    assert_settled(&event["streams"][0], &env.path("f"));
    env.assert_nothing_left();
}

#[test]
fn senders_above_max_connections_are_turned_away_and_counted() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--max-connections", "2"]);
    let mut first = Sender::open(up.port());
    let second = Sender::open(up.port());
    env.wait_collector("c", "has two senders", |c| number(&c["streams"][0]["senders"]["open"]) == 2);
    assert!(Sender::open(up.port()).wait_closed(), "the third is closed");
    let c =
        env.wait_collector("c", "counts it", |c| !c["streams"][0]["senders"]["rejected"]["max_connections"].is_null());
    assert_eq!(c["streams"][0]["senders"]["rejected"], serde_json::json!({"max_connections": 1}));
    second.finish();
    env.wait_collector("c", "has a place again", |c| number(&c["streams"][0]["senders"]["open"]) == 1);
    send(up.port(), "fourth\n");
    first.write("first\n");
    first.finish();
    env.down("c");
    assert_eq!(read(env.path("f")), b"fourth\nfirst\n");
}
