//! `listen udp:…`: one datagram is one record, and what the kernel threw away is counted.

mod common;

use std::net::UdpSocket;

use common::disk::Disk;
use common::snapshot::{assert_balanced, assert_settled, number};
use common::{Collector, Env, LATER, procs, read, read_text, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A collector `c` on a UDP port of 127.0.0.1.
#[track_caller]
fn listen(env: &Env, more: &[&str]) -> Collector {
    let out = env.arg("f");
    let args = [&["listen", "udp:127.0.0.1:0", "--out", &out, "--name", "c", "--json"], more].concat();
    env.started(env.run(&args))
}

fn sender(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(("127.0.0.1", port)).unwrap();
    socket
}

#[track_caller]
fn wait_records(env: &Env, n: u64) -> Value {
    let told = env.wait_collector("c", &format!("has {n} records"), |c| c["streams"][0]["records"] == n);
    told["streams"][0].clone()
}

#[test]
fn each_datagram_is_a_record_and_each_address_a_sender() {
    let env = Env::new();
    let run = env.run(&["listen", "UDP:127.0.0.1:0", "--out", &env.arg("f"), "--name", "c"]).ok();
    env.expect(env.processes()[0]);
    let port = u16::try_from(number(&env.stream("c")["remote_port"])).unwrap();
    assert!(run.stdout.starts_with(&format!("✔ udp:127.0.0.1:{port} → ")), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("> /dev/udp/127.0.0.1/{port}\n")), "{}", run.stdout);
    let (a, b) = (sender(port), sender(port));
    a.send(b"<13>whole\n").unwrap();
    b.send(b"no end").unwrap();
    a.send(b"").unwrap();
    a.send(b"two\nlines\n").unwrap();
    let stream = wait_records(&env, 3);
    assert_eq!((&stream["senders"]["open"], &stream["datagrams_lost"]), (&2.into(), &0.into()));
    assert_balanced(&stream);
    assert!(env.run(&["status"]).ok().stdout.contains(&format!(" udp:{port} ")));
    let tail = env.run(&["tail", "c", "-n", "4"]).ok();
    assert_eq!(tail.stdout.lines().count(), 4, "{}", tail.stdout);
    let down = env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(down["streams"][0]["senders"]["cut"], 0);
    let mut lines: Vec<_> = read_text(env.path("f")).lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["<13>whole", "lines", "no end", "two"]);
    let audit = env.run(&["audit", "c", "--event", "sender_close", "--json"]).ok().events();
    let peer = a.local_addr().unwrap().to_string();
    let close = audit.iter().find(|e| e["peer"] == peer.as_str()).unwrap_or_else(|| panic!("{audit:?}"));
    assert_eq!((&close["bytes"], &close["records"], &close["why"]), (&20.into(), &2.into(), &"end".into()));
    assert_eq!(audit.len(), 2);
    env.assert_nothing_left();
}

#[test]
fn of_a_flood_every_datagram_is_either_stored_or_counted_as_lost() {
    const ALL: u64 = 100_000;
    let env = Env::new();
    let sender = sender(listen(&env, &[]).port());
    for n in 0..ALL {
        sender.send(format!("datagram {n} of the flood").as_bytes()).unwrap();
    }
    let stream = wait_until("all are accounted for", LATER, || {
        let stream = env.stream("c");
        (number(&stream["records"]) + number(&stream["datagrams_lost"]) == ALL).then_some(stream)
    });
    let down = env.run(&["down", "--json"]).ok().last_event();
    let last = &down["streams"][0];
    assert_settled(last, &env.path("f"));
    assert_eq!((&last["records"], &last["datagrams_lost"]), (&stream["records"], &stream["datagrams_lost"]));
    let text = read_text(env.path("f"));
    assert_eq!(text.lines().count() as u64, number(&last["records"]));
    let number = |line: &str| line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
    assert!(text.lines().map(number).is_sorted(), "the order of one sender");
    assert!(text.lines().all(|l| l.ends_with(" of the flood")), "no record is torn");
}

#[test]
fn what_comes_while_the_disk_is_full_waits_in_the_kernel_or_is_counted() {
    const MORE: u64 = 10_000;
    let env = Env::new();
    let Some(disk) = Disk::mount(&env, "what_comes_while_the_disk_is_full", "200M") else { return };
    let out = disk.0.join("f");
    let out = out.to_str().unwrap();
    let run = env.run(&["listen", "udp:127.0.0.1:0", "--out", out, "--name", "c", "--json", "--min-free", "0"]);
    let sender = sender(env.started(run).port());
    disk.fill(0);
    let mut all = 0;
    let mut more = || {
        for _ in 0..MORE {
            sender.send(format!("{all:>999}").as_bytes()).unwrap();
            all += 1;
        }
        all
    };
    let mut records = 0;
    let stream = wait_until("the queue is full", LATER, || {
        let before = std::mem::replace(&mut records, number(&env.stream("c")["records"]));
        more();
        (before == records && records > 0).then(|| env.stream("c"))
    });
    // These overflow what the kernel keeps.
    let all = more();
    let counted = |stream: &Value| number(&stream["records"]) + number(&stream["datagrams_lost"]);
    // What is in the kernel is neither.
    let lost = wait_until("drops are told", LATER, || {
        let now = env.stream("c");
        let lost = number(&now["datagrams_lost"]);
        assert!(counted(&now) < all, "{now}");
        (lost > number(&stream["datagrams_lost"])).then_some(lost)
    });
    env.wait_state("c", "stalled");
    assert!(env.run(&["status"]).ok().stdout.contains(" datagrams lost\n"), "of {lost}");
    disk.free();
    let records = wait_until("all are accounted for", LATER, || {
        let stream = env.stream("c");
        (counted(&stream) == all).then_some(number(&stream["records"]))
    });
    let down = env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], out.as_ref());
    assert_eq!(read(out).len() as u64, records * 1000);
}

#[test]
fn what_is_turned_away_is_counted_as_lost_and_shown() {
    let env = Env::new();
    let collector = listen(&env, &["--max-connections", "1"]);
    let (sends, comes) = (sender(collector.port()), sender(collector.port()));
    sends.send(b"first\n").unwrap();
    wait_records(&env, 1);
    // Whoever sends is not pushed out: one turned away a round, unless the machine is so slow that a second went by.
    let mut sent = 1;
    let stream = wait_until("one is turned away", LATER, || {
        sends.send(b"still here\n").unwrap();
        comes.send(b"me too\n").unwrap();
        sent += 2;
        let stream = env.stream("c");
        (number(&stream["datagrams_lost"]) > 0).then_some(stream)
    });
    assert!(number(&stream["senders"]["rejected"]["max_connections"]) > 0, "{stream}");
    let all = env.wait_collector("c", "has or counts them all", |c| {
        let stream = &c["streams"][0];
        number(&stream["records"]) + number(&stream["datagrams_lost"]) == sent
    });
    let (lost, away) =
        (&all["streams"][0]["datagrams_lost"], &all["streams"][0]["senders"]["rejected"]["max_connections"]);
    assert_eq!(lost, away, "the kernel lost none");
    let text = env.run(&["status"]).ok().stdout;
    assert!(text.contains(&format!("  ! main: turned away: max_connections {away}\n")), "{text}");
    assert!(text.contains(&format!("  ! main: {lost} datagram")), "{text}");
    let down = env.run(&["down"]).ok();
    assert!(
        down.stderr.contains(&format!("; turned away: max_connections {away}; {lost} datagram")),
        "{}",
        down.stderr
    );
}

#[test]
fn down_takes_what_is_in_the_kernel_and_waits_for_nobodys_silence() {
    let env = Env::new();
    let collector = listen(&env, &["--drain-timeout", "1h"]);
    let sender = sender(collector.port());
    sender.send(b"first").unwrap();
    wait_records(&env, 1);
    procs::signal(collector.pid, Signal::STOP);
    for n in 0..500 {
        sender.send(format!("{n}\n").as_bytes()).unwrap();
    }
    let down = env.spawn(&["down", "c", "--json"]);
    procs::signal(collector.pid, Signal::CONT);
    let down = down.wait().ok().last_event();
    let stream = &down["streams"][0];
    assert_eq!((&stream["records"], &stream["datagrams_lost"]), (&501.into(), &0.into()));
    assert_eq!(stream["senders"]["cut"], 0);
}

#[test]
fn a_port_alone_takes_datagrams_of_both_families() {
    let env = Env::new();
    let run = env.run(&["listen", "udp:0", "--out", &env.arg("f"), "--name", "c", "--json"]);
    let port = env.started(run).port();
    sender(port).send(b"four").unwrap();
    let mut wanted = 1;
    if let Ok(six) = UdpSocket::bind("[::1]:0") {
        six.send_to(b"six", ("::1", port)).unwrap();
        wanted = 2;
    }
    wait_records(&env, wanted);
    env.down("c");
}

#[test]
fn a_taken_port_is_told() {
    let env = Env::new();
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let place = format!("udp:{}", other.local_addr().unwrap());
    let run = env.run(&["listen", &place, "--out", &env.arg("f"), "--name", "c"]);
    run.fails(1).says(format!("cannot listen on {place}")).says("ss -lnup").hinted();
    assert!(!env.path("f").exists());
    env.assert_nothing_left();
}

#[test]
fn rotation_and_a_long_datagram_keep_to_their_rules() {
    let env = Env::new();
    let collector = listen(&env, &["--max-line", "1KiB"]);
    let sender = sender(collector.port());
    sender.send(&[b'x'; 3000]).unwrap();
    let stream = wait_records(&env, 3);
    assert_eq!(stream["split"], 1);
    env.wait_collector("c", "has stored it", |c| number(&c["streams"][0]["ledger"]["stored"]) == 3000);
    env.run(&["rotate", "c"]).ok();
    sender.send(b"after").unwrap();
    wait_records(&env, 4);
    env.down("c");
    assert_eq!(read_text(env.path("f")), "after\n");
}
