//! The gate: who says the keyword is let in, and nobody else is.

mod common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::relp::Relp;
use common::snapshot::{assert_settled, number};
use common::{Collector, Env, LATER, SOON, Sender, Sshd, find_program, read_text, send, wait_until};
use serde_json::Value;

const WORD: &str = "open sesame";

/// `up` through sshd, and `listen`: the gate is the same.
fn everywhere(test: impl Fn(&Env, &dyn Fn(&[&str]) -> Collector)) {
    let env = Env::new();
    let (out, word) = (env.arg("f"), keyword_file(&env, "word", WORD));
    test(&env, &|more| env.listen(&[&["--out", &out, "--name", "c", "--keyword-file", &word], more].concat()));
    drop(env);
    if common::left_out("the gate over SSH", "sshd") {
        return;
    }
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (out, word) = (env.arg("f"), keyword_file(&env, "word", WORD));
    let of = ["--remote-port", "0", "--out", &out, "--name", "c", "--keyword-file", &word];
    test(&env, &|more| env.up(&[&of, more].concat()));
}

fn keyword_file(env: &Env, name: &str, word: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = env.write(name, format!("{word}\n"));
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn wait_rejected(env: &Env, reason: &str, count: u64) -> Value {
    let wanted = |c: &Value| c["streams"][0]["senders"]["rejected"][reason].as_u64().unwrap_or(0) >= count;
    env.wait_collector("c", &format!("has turned {count} away for {reason}"), wanted)["streams"][0].clone()
}

fn told(env: &Env, event: &str) -> Vec<Value> {
    env.run(&["audit", "c", "--json", "--event", event]).ok().events()
}

/// Ends it; the ledger is even with the file.
fn settle(env: &Env) -> Value {
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    down["streams"][0].clone()
}

/// Says this, and what is heard until the other side ends the connection.
fn say(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    let _ = stream.write_all(bytes);
    let mut heard = Vec::new();
    match stream.read_to_end(&mut heard) {
        Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => panic!("the connection stays open"),
        _ => heard,
    }
}

#[test]
fn the_keyword_lets_in_its_line_is_not_stored_and_others_get_no_answer() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        send(port, format!("{WORD}\nwith lf\n"));
        env.wait_stored("c", 8);
        send(port, format!("{WORD}\r\nwith crlf\r\n"));
        env.wait_stored("c", 19);
        for wrong in ["open sesam\nwrong\n", "\n", "Open sesame\nx\n"] {
            assert_eq!(say(port, wrong.as_bytes()), b"", "no answer to {wrong:?}");
        }
        let stream = wait_rejected(env, "keyword", 3);
        assert_eq!((number(&stream["senders"]["accepted"]), number(&stream["senders"]["open"])), (2, 0));
        let opened = told(env, "sender_open");
        assert!(opened.iter().all(|e| e["keyword"] == "default"), "{opened:?}");
        let connections: Vec<_> = opened.iter().map(|e| number(&e["connection"])).collect();
        assert_eq!(connections, [1, 2], "who failed has no number");
        assert!(told(env, "reject").iter().all(|e| e["why"] == "keyword"));
        let stream = settle(env);
        assert_eq!(read_text(env.path("f")), "with lf\nwith crlf\r\n");
        assert_eq!(number(&stream["ledger"]["discarded"]["gate"]), 12 + 13);
        assert_eq!(number(&stream["ledger"]["discarded"]["keyword"]), 17 + 1 + 14);
        let trail = std::fs::read_to_string(env.path("state/c/audit.jsonl")).unwrap();
        assert!(!trail.contains("sesam"), "nothing of what was said is told");
    });
}

#[test]
fn a_keyword_in_pieces_is_one_and_its_end_may_come_with_the_first_line() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        let mut sender = Sender::open(port);
        let mut sent = 0;
        for piece in ["open", " sesa", "me\r", "\nfirst\nsec"] {
            sender.write(piece);
            sent += piece.len() as u64;
            env.wait_received("c", sent);
            assert_eq!(number(&env.stream("c")["senders"]["accepted"]), u64::from(piece.ends_with("sec")));
        }
        sender.write("ond\n");
        sender.finish();
        settle(env);
        assert_eq!(read_text(env.path("f")), "first\nsecond\n");
    });
}

#[test]
fn who_ends_before_the_gate_is_counted_and_does_no_harm_to_others() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        for _ in 0..20 {
            drop(TcpStream::connect(("127.0.0.1", port)).unwrap());
        }
        wait_rejected(env, "keyword", 20);
        let mut half = TcpStream::connect(("127.0.0.1", port)).unwrap();
        half.write_all(b"open ses").unwrap();
        half.shutdown(Shutdown::Write).unwrap();
        let stream = wait_rejected(env, "keyword", 21);
        assert_eq!(number(&stream["ledger"]["pending"]), 0);
        send(port, format!("{WORD}\nin\n"));
        settle(env);
        assert_eq!(read_text(env.path("f")), "in\n", "who only looks whether somebody listens is no enemy");
    });
}

#[test]
fn who_is_slow_has_ten_seconds_and_no_more() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        let (begun, mut slow) = (Instant::now(), Sender::open(port));
        slow.patience(Duration::from_secs(1));
        let mut said = 0;
        while !slow.wait_closed() && slow.try_write(&WORD[said % 4..=said % 4]) {
            said += 1;
            assert!(said < 60, "it may go on for ever");
        }
        assert!(begun.elapsed() >= Duration::from_secs(10), "closed after {:?}", begun.elapsed());
        let stream = wait_rejected(env, "gate_timeout", 1);
        assert_eq!(number(&stream["senders"]["accepted"]), 0);
        let stream = settle(env);
        assert!(number(&stream["ledger"]["discarded"]["gate_timeout"]) >= 5);
    });
}

#[test]
fn a_line_without_end_is_not_waited_for() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        assert_eq!(say(port, &vec![b'k'; 300_000]), b"");
        wait_rejected(env, "keyword", 1);
        let stream = settle(env);
        let discarded = number(&stream["ledger"]["discarded"]["keyword"]);
        assert!((1025..=300_000).contains(&discarded), "{discarded}");
    });
}

#[test]
fn tls_and_http_by_mistake_are_named() {
    require!("openssl", "curl");
    everywhere(|env, start| {
        let port = start(&[]).port();
        let tool = |program: &str| {
            let mut command = Command::new(find_program(program).unwrap());
            command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let mut openssl = tool("openssl");
        let tls = openssl.args(["s_client", "-connect", &format!("127.0.0.1:{port}")]).status().unwrap();
        let mut curl = tool("curl");
        let http =
            curl.args(["-sS", "-m", "20", "--noproxy", "*", &format!("http://127.0.0.1:{port}/log")]).status().unwrap();
        assert!(!tls.success() && !http.success());
        wait_rejected(env, "tls", 1);
        wait_rejected(env, "http", 1);
        let why: Vec<_> = told(env, "reject").iter().map(|e| e["why"].clone()).collect();
        assert_eq!(why, ["tls", "http"]);
        settle(env);
    });
}

#[test]
fn who_keeps_failing_is_not_asked_for_a_while_and_others_are() {
    everywhere(|env, start| {
        let port = start(&[]).port();
        for n in 1..=6 {
            say(port, b"guess\n");
            wait_rejected(env, "keyword", n);
        }
        let mut right = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let _ = right.write_all(format!("{WORD}\ntoo soon\n").as_bytes());
        wait_rejected(env, "penalty", 1);
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        let at = |ip: [u8; 4], port| socket2::SockAddr::from(std::net::SocketAddr::from((ip, port)));
        socket.bind(&at([127, 0, 0, 2], 0)).unwrap();
        socket.connect(&at([127, 0, 0, 1], port)).unwrap();
        let mut other = TcpStream::from(socket);
        other.write_all(format!("{WORD}\nother\n").as_bytes()).unwrap();
        drop(other);
        env.wait_stored("c", 6);
        // The first penalty is two seconds; the same address is welcome after that.
        wait_until("the penalty is over", SOON, || {
            let mut again = TcpStream::connect(("127.0.0.1", port)).ok()?;
            let _ = again.write_all(format!("{WORD}\nagain\n").as_bytes());
            let _ = again.shutdown(Shutdown::Write);
            let _ = again.read_to_end(&mut Vec::new());
            read_text(env.path("f")).contains("again\n").then_some(())
        });
        settle(env);
        assert!(!read_text(env.path("f")).contains("too soon"));
    });
}

#[test]
fn a_keyword_comes_before_the_first_frame() {
    everywhere(|env, start| {
        let port = start(&["--framing", "relp"]).port();
        let mut relp = Relp::connect(port);
        relp.write(format!("{WORD}\n"));
        relp.send("open", common::relp::OFFERS);
        let (_, _, data) = relp.hear().expect("an answer");
        assert!(data.starts_with("200 OK"), "{data:?}");
        relp.send("syslog", "<13>acknowledged");
        let (txnr, command, data) = relp.hear().expect("an acknowledgement");
        assert_eq!((txnr, command.as_str(), data.as_str()), (2, "rsp", "200 OK"));
        drop(relp);
        let mut wrong = Relp::connect(port);
        wrong.send("open", common::relp::OFFERS);
        assert!(wrong.hear().is_none(), "no keyword, no answer");
        wait_rejected(env, "keyword", 1);
        settle(env);
        assert_eq!(read_text(env.path("f")), "<13>acknowledged\n");
    });
}

#[test]
fn who_waits_at_the_gate_does_not_hold_up_the_end() {
    for framing in ["lines", "relp"] {
        everywhere(|env, start| {
            let port = start(&["--drain-timeout", "10min", "--framing", framing]).port();
            let mut waits = TcpStream::connect(("127.0.0.1", port)).unwrap();
            waits.set_read_timeout(Some(LATER)).unwrap();
            waits.write_all(b"open").unwrap();
            env.wait_received("c", 4);
            let begun = Instant::now();
            let stream = settle(env);
            // The patience with a sender that is owed an answer is twice that.
            assert!(begun.elapsed() < Duration::from_secs(10), "{framing}: {:?}", begun.elapsed());
            let mut heard = Vec::new();
            let _ = waits.read_to_end(&mut heard);
            assert!(heard.is_empty(), "{framing}: {heard:?}");
            assert_eq!(number(&stream["senders"]["rejected"]["draining"]), 1);
            assert_eq!(number(&stream["ledger"]["discarded"]["draining"]), 4);
        });
    }
}

#[test]
fn whoever_is_turned_away_where_senders_are_answered_is_told_so_at_once() {
    everywhere(|env, start| {
        let port = start(&["--framing", "relp"]).port();
        let mut wrong = TcpStream::connect(("127.0.0.1", port)).unwrap();
        wrong.set_read_timeout(Some(SOON)).unwrap();
        wrong.write_all(b"guess\n").unwrap();
        let mut heard = Vec::new();
        wrong.read_to_end(&mut heard).unwrap();
        assert!(heard.is_empty(), "{heard:?}");
        // It stays, whatever it is told.
        let begun = Instant::now();
        settle(env);
        assert!(begun.elapsed() < Duration::from_secs(10), "it holds up the end: {:?}", begun.elapsed());
    });
}
