//! Who may send, and how much: lists of networks, and limits for each address and connection.

mod common;

use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::time::Duration;

use common::snapshot::{assert_settled, number};
use common::{Collector, Env, SOON, Sender, Sshd, read, read_text, send, wait_until};
use serde_json::Value;

/// A connection to the port from this address of the loopback interface.
fn from(address: &str, port: u16) -> TcpStream {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(address.parse::<IpAddr>().unwrap(), 0).into()).unwrap();
    socket.connect(&SocketAddr::new([127, 0, 0, 1].into(), port).into()).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Sends from there; whether all of it was taken is another matter.
fn send_from(address: &str, port: u16, bytes: &[u8]) {
    use std::io::{Read, Write};
    let mut stream = from(address, port);
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let _ = stream.read_to_end(&mut Vec::new());
}

/// `listen`, `up`, and `up` with a relay on the jump host: the limits are the same.
fn everywhere(test: impl Fn(&Env, &dyn Fn(&[&str]) -> Collector)) {
    let env = Env::new();
    let out = env.arg("f");
    test(&env, &|more| env.listen(&[&["--out", &out, "--name", "c"], more].concat()));
    drop(env);
    if common::left_out("limits over SSH", "sshd") {
        return;
    }
    for relay in [&[][..], &["--relay"]] {
        let (env, sshd) = (Env::new(), Sshd::with_lines(&["GatewayPorts no"]));
        env.trust(&sshd);
        let out = env.arg("f");
        test(&env, &|more| env.up(&[&["--remote-port", "0", "--out", &out, "--name", "c"], relay, more].concat()));
    }
}

fn rejected(env: &Env, reason: &str) -> u64 {
    number(&env.stream("c")["senders"]["rejected"][reason])
}

fn wait_rejected(env: &Env, reason: &str, count: u64) -> Value {
    let wanted = |c: &Value| c["streams"][0]["senders"]["rejected"][reason].as_u64().unwrap_or(0) >= count;
    env.wait_collector("c", &format!("has turned {count} away for {reason}"), wanted)
}

/// The events of the trail of this kind.
fn told(env: &Env, event: &str) -> Vec<Value> {
    env.run(&["audit", "c", "--json", "--event", event]).ok().events()
}

/// Ends it; the ledger is even with the file.
fn settle(env: &Env) -> Value {
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    down["streams"][0].clone()
}

#[test]
fn only_listed_networks_come_in_and_deny_wins() {
    everywhere(|env, start| {
        let port = start(&["--allow", "127.0.0.0/29", "--deny", "127.0.0.3"]).port();
        for (address, line) in [("127.0.0.1", "one\n"), ("127.0.0.3", "denied\n"), ("127.0.0.9", "not allowed\n")] {
            send_from(address, port, line.as_bytes());
        }
        send_from("127.0.0.2", port, b"two\n");
        env.wait_stored("c", 8);
        wait_rejected(env, "deny", 1);
        wait_rejected(env, "allow", 1);
        let told: Vec<_> = told(env, "reject").iter().map(|e| (e["why"].clone(), e["peer"].clone())).collect();
        assert_eq!(told.len(), 2, "{told:?}");
        for ((why, peer), (reason, address)) in told.iter().zip([("deny", "127.0.0.3:"), ("allow", "127.0.0.9:")]) {
            assert!(why == reason && peer.as_str().unwrap().starts_with(address), "{told:?}");
        }
        let stream = settle(env);
        assert_eq!(number(&stream["senders"]["accepted"]), 2);
        let text = read_text(env.path("f"));
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, ["one", "two"]);
    });
}

#[test]
fn an_ipv6_address_is_listed_as_one() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return common::left_out_for("an_ipv6_address_is_listed_as_one", "IPv6");
    }
    let env = Env::new();
    let run = env.run(&["listen", "0", "--out", &env.arg("f"), "--name", "c", "--deny", "::1", "--json"]);
    let port = env.started(run).port();
    drop(TcpStream::connect(("::1", port)));
    wait_rejected(&env, "deny", 1);
    send(port, "v4\n");
    settle(&env);
    assert_eq!(read(env.path("f")), b"v4\n");
}

#[test]
fn one_address_has_so_many_places_and_others_have_theirs() {
    everywhere(|env, start| {
        let port = start(&["--max-per-address", "2"]).port();
        let mut open: Vec<_> = (0..2).map(|_| Sender::open(port)).collect();
        for sender in &mut open {
            sender.write("in\n");
        }
        env.wait_stored("c", 6);
        assert!(Sender::open(port).wait_closed(), "the third of its address");
        wait_rejected(env, "max_per_address", 1);
        send_from("127.0.0.2", port, b"another\n");
        env.wait_stored("c", 14);
        open.pop().unwrap().finish();
        env.wait_collector("c", "has one sender", |c| c["streams"][0]["senders"]["open"] == 1);
        send(port, "next\n");
        open.pop().unwrap().finish();
        assert_eq!(number(&settle(env)["ledger"]["stored"]), 19);
    });
}

#[test]
fn new_connections_of_one_address_are_bounded_and_a_flood_of_them_is_a_few_lines() {
    everywhere(|env, start| {
        let port = start(&["--max-new", "5"]).port();
        for _ in 0..200 {
            send_from("127.0.0.1", port, b"x\n");
        }
        send_from("127.0.0.2", port, b"another\n");
        let stream = wait_rejected(env, "max_new", 1)["streams"][0].clone();
        let turned_away = number(&stream["senders"]["rejected"]["max_new"]);
        let accepted = number(&stream["senders"]["accepted"]);
        assert_eq!(accepted + turned_away, 201, "every one is counted");
        settle(env);
        assert!(read_text(env.path("f")).contains("another\n"));
        // Those who were not told one by one are in the lines that say how many more there were.
        let events = told(env, "reject");
        let sum: u64 = events.iter().map(|e| e["more"].as_u64().unwrap_or(1)).sum();
        assert_eq!(sum, turned_away);
        assert!(events.iter().any(|e| e["more"].is_u64()) && events.len() < 150, "{} lines", events.len());
    });
}

#[test]
fn a_connection_delivers_so_many_bytes_and_not_one_more() {
    everywhere(|env, start| {
        let port = start(&["--max-bytes", "1KiB"]).port();
        let exact = "e".repeat(1023) + "\n";
        send(port, &exact);
        let mut sender = Sender::open(port);
        sender.write("0123456\n".repeat(127) + "01234" + "56789");
        assert!(sender.wait_closed());
        let told = wait_rejected(env, "max_bytes", 1);
        assert_eq!(number(&told["streams"][0]["senders"]["rejected"]["max_bytes"]), 1, "one that just fits goes on");
        let closed = told_of_last(env);
        assert_eq!((&closed["why"], number(&closed["bytes"])), (&"max_bytes".into(), 1026));
        let stream = settle(env);
        assert_eq!(number(&stream["ledger"]["discarded"]["max_bytes"]), 2);
        assert_eq!((number(&stream["ledger"]["stored"]), number(&stream["ledger"]["added"])), (2048, 1));
        assert_eq!(number(&stream["senders"]["cut"]), 0);
        let text = read_text(env.path("f"));
        assert_eq!(text, exact + &"0123456\n".repeat(127) + "01234567\n", "the record that is cut has an end");
    });
}

fn told_of_last(env: &Env) -> Value {
    wait_until("the end is told", SOON, || told(env, "sender_close").pop())
}

#[test]
fn who_sends_faster_than_it_may_is_closed_and_others_go_on() {
    everywhere(|env, start| {
        let port = start(&["--max-rate", "100KB"]).port();
        let mut quiet = from("127.0.0.2", port);
        std::io::Write::write_all(&mut quiet, b"quiet before\n").unwrap();
        let mut flood = Sender::open(port);
        let line = "f".repeat(999) + "\n";
        for _ in 0..4000 {
            if !flood.try_write(&line) {
                break;
            }
        }
        assert!(flood.wait_closed());
        wait_rejected(env, "max_rate", 1);
        std::io::Write::write_all(&mut quiet, b"quiet after\n").unwrap();
        drop(quiet);
        wait_until("the quiet one is stored", SOON, || {
            read_text(env.path("f")).contains("quiet after\n").then_some(())
        });
        let stream = settle(env);
        let stored = number(&stream["ledger"]["stored"]);
        assert!((60_000..400_000).contains(&stored), "{stored}: two seconds of it and a little");
        assert!(number(&stream["ledger"]["discarded"]["max_rate"]) > 0);
        let why: Vec<_> = told(env, "sender_close").iter().map(|e| e["why"].clone()).collect();
        assert!(why.contains(&"max_rate".into()) && why.contains(&"end".into()), "{why:?}");
    });
}

#[test]
fn who_says_nothing_for_too_long_is_closed_and_who_speaks_is_not() {
    everywhere(|env, start| {
        let port = start(&["--idle-timeout", "2s"]).port();
        let (mut silent, mut speaks) = (Sender::open(port), from("127.0.0.2", port));
        silent.write("half a li");
        let mut lines = 0;
        silent.patience(Duration::from_millis(200));
        while !silent.wait_closed() {
            std::io::Write::write_all(&mut speaks, b"still here\n").unwrap();
            lines += 1;
            assert!(lines < 300, "the silent one is never closed");
        }
        assert!(lines >= 5, "closed too soon: after {lines} fifths of a second");
        let told = wait_rejected(env, "idle_timeout", 1);
        assert_eq!(told["streams"][0]["senders"]["open"], 1);
        assert_eq!(told_of_last(env)["why"], "idle_timeout");
        drop(speaks);
        let stream = settle(env);
        assert_eq!(number(&stream["ledger"]["added"]), 1);
        let text = read_text(env.path("f"));
        assert!(text.contains("half a li\n") && text.lines().count() == lines + 1, "{text:?}");
    });
}

#[test]
fn datagrams_have_the_same_limits_and_each_that_is_dropped_is_counted() {
    let env = Env::new();
    let more = ["--deny", "127.0.0.2", "--max-per-address", "2", "--max-rate", "10KB"];
    let run =
        env.run(&[&["listen", "udp:127.0.0.1:0", "--out", &env.arg("f"), "--name", "c", "--json"], &more[..]].concat());
    let port = env.started(run).port();
    let socket = |address: &str| UdpSocket::bind((address, 0)).unwrap();
    let deliver = |socket: &UdpSocket, text: &str| socket.send_to(text.as_bytes(), ("127.0.0.1", port)).unwrap();
    let (one, two, three) = (socket("127.0.0.1"), socket("127.0.0.1"), socket("127.0.0.1"));
    deliver(&one, "one\n");
    deliver(&two, "two\n");
    env.wait_stored("c", 8);
    deliver(&three, "three\n");
    wait_rejected(&env, "max_per_address", 1);
    let denied = socket("127.0.0.2");
    for _ in 0..100 {
        deliver(&denied, "denied\n");
    }
    wait_rejected(&env, "deny", 100);
    let long = "x".repeat(999) + "\n";
    for _ in 0..150 {
        deliver(&one, &long);
    }
    let lost = |c: &Value| number(&c["streams"][0]["records"]) + number(&c["streams"][0]["datagrams_lost"]) == 253;
    env.wait_collector("c", "has an account of every datagram", lost);
    assert!(rejected(&env, "max_rate") > 0);
    let stream = settle(&env);
    let stored = number(&stream["ledger"]["stored"]);
    assert!((20_000..149_000).contains(&stored), "{stored}");
    assert_eq!(number(&stream["datagrams_lost"]), 101 + number(&stream["senders"]["rejected"]["max_rate"]));
    assert!(told(&env, "reject").len() < 100, "not a line a datagram");
}
