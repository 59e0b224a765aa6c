//! Keys are renewed while two hundred senders flood: the connection stands, and every line comes once.

mod common;

use std::collections::HashMap;
use std::io::{BufRead, BufReader};

use common::snapshot::{assert_settled, number};
use common::{Env, LATER, Sender, Sshd, send, wait_until};

const SENDERS: usize = 200;
/// Of about 1 KiB: 300 MB in all.
const LINES: usize = 1_500;

/// Line `n` of sender `s`; lengths differ, so that a torn line cannot pass for a whole one.
fn line(s: usize, n: usize) -> String {
    format!("s{s:04} n{n:06} {}$\n", "x".repeat(900 + (s * 7 + n * 13) % 200))
}

/// Two hundred senders through `sshd`, by a connection that renews its keys every 16 MiB, or as soon as fewer are in. How often it had
/// new keys.
fn flooded(sshd: &Sshd) -> usize {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (env, out) = (Env::new(), folder.path().join("f"));
    env.trust(sshd);
    let out_arg = out.to_str().unwrap();
    let options = ["--remote-port", "0", "--out", out_arg, "--name", "c", "-o", "RekeyLimit=16M", "--sync", "never"];
    let port = env.up(&options).port();
    // None of them waits for the others to be connected: they are all in before the first has sent a tenth.
    let senders: Vec<_> = (0..SENDERS).map(|_| Sender::open(port)).collect();
    let pushing = |(s, mut sender): (usize, Sender)| {
        std::thread::spawn(move || {
            for from in (0..LINES).step_by(50) {
                sender.write((from..from + 50).map(|n| line(s, n)).collect::<String>());
            }
            sender.finish();
        })
    };
    let threads: Vec<_> = senders.into_iter().enumerate().map(pushing).collect();
    let sent = threads.into_iter().filter_map(|thread| thread.join().ok()).count();
    // Fewer are in now: whatever waited for that comes true.
    send(port, line(SENDERS, 0));
    let renewed = || sshd.log().matches("SSH2_MSG_NEWKEYS received").count();
    wait_until("keys are renewed", LATER, || (renewed() > 1).then_some(()));
    let (snapshot, down) = (env.snapshot("c"), env.run(&["down", "c", "--json"]).ok().last_event());
    assert_eq!((&snapshot["last_error"], number(&snapshot["reconnects"])), (&serde_json::Value::Null, 0));
    assert_eq!(sent, SENDERS, "senders that sent everything and were told so");
    let stream = &down["streams"][0];
    assert_settled(stream, &out);
    assert_eq!(number(&stream["senders"]["cut"]), 0);
    let mut next: HashMap<usize, usize> = HashMap::new();
    for got in BufReader::new(std::fs::File::open(&out).unwrap()).lines().map(Result::unwrap) {
        let s = got.get(1..5).and_then(|s| s.parse().ok()).unwrap_or_else(|| panic!("torn line: {got:?}"));
        let n = next.entry(s).or_default();
        assert!(line(s, *n).trim_end() == got, "sender {s}: {got:?} where line {n} was due");
        *n += 1;
    }
    assert_eq!(next.remove(&SENDERS), Some(1));
    assert_eq!(next.len(), SENDERS);
    assert!(next.values().all(|n| *n == LINES), "lines of each sender: {next:?}");
    renewed()
}

#[test]
fn keys_that_both_sides_want_anew_cost_a_flood_of_200_senders_nothing() {
    require!("sshd");
    let renewed = flooded(&Sshd::with_lines(&["LogLevel DEBUG1", "RekeyLimit 16M"]));
    assert!(renewed > 2, "new keys {renewed} times");
}

#[test]
fn keys_that_we_alone_want_anew_cost_a_flood_of_200_senders_nothing() {
    require!("sshd");
    flooded(&Sshd::with_lines(&["LogLevel DEBUG1"]));
}
