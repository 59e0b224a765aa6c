//! Both address families of a port are ours, or `up` says which is not. sshd grants a port when it got one of them.

mod common;

use std::io::Read as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};

use common::snapshot::{assert_settled, number};
use common::{Bg, Collector, Env, Hostile, SOON, Sshd, free_port, listening, read, read_text, send, wait_until};
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};
use serde_json::{Value, json};

const V4: &str = "IPv4";
const V6: &str = "IPv6";
/// On a server that binds none.
const PORT: &str = "55514";

/// Another program of the jump host, which has the port over one family and answers nothing.
fn taken(family: &str, port: u16) -> TcpListener {
    let (domain, any) = match family {
        V4 => (AddressFamily::INET, IpAddr::from(Ipv4Addr::UNSPECIFIED)),
        _ => (AddressFamily::INET6, IpAddr::from(Ipv6Addr::UNSPECIFIED)),
    };
    let socket = rustix::net::socket_with(domain, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    if family == V6 {
        sockopt::set_ipv6_v6only(&socket, true).unwrap();
    }
    rustix::net::bind(&socket, &SocketAddr::new(any, port)).unwrap_or_else(|e| panic!("{family} {port}: {e}"));
    rustix::net::listen(&socket, 16).unwrap();
    TcpListener::from(socket)
}

/// What has come to it so far.
fn heard(listener: &TcpListener) -> Vec<String> {
    listener.set_nonblocking(true).unwrap();
    let mut all = Vec::new();
    while let Ok((mut stream, _)) = listener.accept() {
        stream.set_nonblocking(false).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut text = Vec::new();
        let _ = stream.read_to_end(&mut text);
        all.push(String::from_utf8(text).unwrap());
    }
    all
}

fn start(env: &Env, sshd: &Sshd, port: u16) -> Collector {
    env.trust(sshd);
    env.up(&["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"])
}

fn assert_nobody_counted(stream: &Value) {
    let senders = &stream["senders"];
    assert_eq!(
        (number(&senders["accepted"]), number(&senders["open"]), number(&senders["cut"])),
        (0, 0, 0),
        "{stream}"
    );
    assert_eq!(senders["rejected"], serde_json::json!({}), "{stream}");
    assert_eq!((number(&stream["ledger"]["received"]), number(&stream["records"])), (0, 0), "{stream}");
}

/// The log of the collector.
fn log(env: &Env) -> String {
    read_text(env.path("state/c/collector.log"))
}

#[test]
fn a_family_that_another_program_has_is_a_refusal_at_the_first_up() {
    require!("sshd");
    for family in [V4, V6] {
        for gateway in ["GatewayPorts clientspecified", "GatewayPorts no"] {
            let (env, sshd, port) = (Env::new(), Sshd::with_lines(&[gateway]), free_port());
            let other = taken(family, port);
            env.trust(&sshd);
            let run = env.up_run(&["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c"]);
            let run = run.fails(4).says(format!("opened port {port}, but over {family} another program")).hinted();
            assert!(run.stderr.contains("ss -ltnp"), "{}", run.stderr);
            env.assert_nothing_left();
            let heard = heard(&other);
            assert!(heard.len() == 1 && heard[0].starts_with("reclog-echo ") && heard[0].len() == 45, "{heard:?}");
            drop(other);
            wait_until("the port is free", SOON, || (!listening(port)).then_some(()));
            assert!(!env.path("f").exists() || read(env.path("f")).is_empty());
            // And then it is to be had.
            let up = start(&env, &sshd, port);
            send(up.port(), "x\n");
            env.down("c");
            assert_eq!(read(env.path("f")), b"x\n");
        }
    }
}

#[test]
fn our_own_question_is_no_sender() {
    require!("sshd");
    for (bind, port) in [("*", free_port()), ("localhost", free_port()), ("*", 0)] {
        let (env, sshd) = (Env::new(), Sshd::with_lines(&["LogLevel DEBUG2"]));
        env.trust(&sshd);
        let port = port.to_string();
        let more = ["--remote-port", &port, "--bind", bind, "--out", &env.arg("f"), "--name", "c", "-v"];
        let up = env.up(&more);
        assert_nobody_counted(&env.stream("c"));
        // Both ends of what was asked are over, without an end of the connection.
        wait_until("the server has closed its channels", SOON, || {
            (sshd.log().matches("free: direct-tcpip").count() == 2).then_some(())
        });
        send(up.port(), "one\n");
        let v6 = TcpStream::connect(("::1", up.port())).unwrap();
        drop(v6);
        let accepted = |c: &Value| number(&c["streams"][0]["senders"]["accepted"]);
        env.wait_collector("c", "has seen both", |c| accepted(c) == 2);
        let down = env.run(&["down", "c", "--json"]).ok().last_event();
        assert_settled(&down["streams"][0], &env.path("f"));
        assert_eq!(number(&down["streams"][0]["senders"]["accepted"]), 2, "{down}");
        assert_eq!(read(env.path("f")), b"one\n");
        env.assert_nothing_left();
    }
}

#[test]
fn every_stream_is_asked_and_the_one_that_is_not_ours_is_named() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let ports: Vec<u16> = (0..6).map(|_| free_port()).collect();
    let mut profile = String::from("target: jump\nstreams:\n");
    for port in &ports {
        profile += &format!("  s{port}:\n    remote_port: {port}\n    out: {}\n", env.arg(&format!("f{port}")));
    }
    env.write("config/profiles/many.yaml", profile);
    let up = |env: &Env| {
        let args = env.to_jump(&["up", "many", "--json"], &[]);
        env.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let other = taken(V6, ports[4]);
    up(&env).fails(4).says(format!("opened port {}, but over IPv6", ports[4]));
    env.assert_nothing_left();
    drop(other);
    let started = env.started(up(&env));
    for index in 0..ports.len() {
        assert_nobody_counted(&env.snapshot(&started.name)["streams"][index]);
    }
    env.down("many");
}

#[test]
fn what_may_not_be_asked_is_no_failure() {
    require!("sshd");
    for lines in [&["PermitOpen none"][..], &["AllowTcpForwarding remote"], &["AddressFamily inet"]] {
        let (env, sshd) = (Env::new(), Sshd::with_lines(lines));
        let up = start(&env, &sshd, free_port());
        send(up.port(), "before\n");
        env.wait_received("c", 7);
        sshd.kill_sessions();
        env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == 1);
        send(up.port(), "after\n");
        env.down("c");
        assert_eq!(read(env.path("f")), b"before\nafter\n", "{lines:?}");
        env.assert_nothing_left();
    }
}

#[test]
fn a_family_that_was_taken_meanwhile_is_waited_for() {
    require!("sshd");
    for family in [V4, V6] {
        let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
        let up = start(&env, &sshd, port);
        sshd.stop();
        wait_until("the port is free", SOON, || (!listening(port)).then_some(()));
        let other = taken(family, port);
        sshd.start_again();
        let text = format!("over {family} another program");
        let waits = env.wait_collector("c", "tells who has it", |c| {
            assert!(c["state"] != "up", "{c}");
            c["last_error"].as_str().is_some_and(|e| e.contains(&text))
        });
        assert!(waits["health"].to_string().contains(&text), "{waits}");
        drop(other);
        env.run(&["kick", "c"]).ok();
        let back = env.wait_state("c", "up");
        assert_eq!((&back["pid"], &back["reconnects"]), (&up.pid.into(), &1.into()));
        assert_nobody_counted(&env.stream("c"));
        send(port, "x\n");
        env.down("c");
        assert_eq!(read(env.path("f")), b"x\n");
    }
}

/// `up` to a server that sends on what it is told, with the line that was sent to the port, and the rest of what it heard.
/// Over IPv6 nobody listens there.
fn asked(test: &str, more: &[&str]) -> Option<(Env, Hostile, Bg)> {
    let (env, mut server) = (Env::new(), Hostile::start(test, "doors")?);
    server.trusted_by(&env);
    let given = ["--remote-port", PORT, "--out", &env.arg("f"), "--name", "c", "--json"];
    let args = env.to_jump(&["up", "jump"], &[&given[..], more].concat());
    let up = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let line = server.heard("asked");
    assert!(line.as_str().is_some_and(|l| l.len() == 45 && l.ends_with('\n')), "{line}");
    Some((env, server, up))
}

/// A sender that claims to come from `origin` and writes these pieces, and its end.
fn sends(server: &mut Hostile, origin: &str, pieces: &[&str], end: bool) {
    let order = [json!(""), json!(PORT.parse::<u16>().unwrap()), json!(origin), json!(pieces), json!(end)];
    assert_eq!(server.order("sends", &order), "opened");
}

/// The line of reclog's own comes back.
fn echo(server: &mut Hostile) {
    assert_eq!(server.order("echo", &[json!(""), json!(PORT.parse::<u16>().unwrap())]), "opened");
}

#[test]
fn senders_on_the_jump_host_lose_nothing_while_the_port_is_looked_at() {
    let Some((env, mut server, up)) = asked("senders_on_the_jump_host", &[]) else { return };
    let byte_by_byte: Vec<String> = "slow and whole\n".chars().map(String::from).collect();
    sends(&mut server, "127.0.0.1", &byte_by_byte.iter().map(String::as_str).collect::<Vec<_>>(), true);
    let guess = format!("reclog-echo {}\n", "0".repeat(32));
    sends(&mut server, "::1", &["recl", "og-echo", " and more\n"], true);
    sends(&mut server, "::ffff:127.0.0.1", &[&guess], true);
    sends(&mut server, "127.0.0.1", &["reclog-echo 12\n"], true);
    sends(&mut server, "127.0.0.1", &["reclog-e"], false);
    sends(&mut server, "127.0.0.1", &[], false);
    sends(&mut server, "127.0.0.1", &[], true);
    echo(&mut server);
    env.started(up.wait());
    // Whoever cannot be our own line waits at the door until then.
    sends(&mut server, "192.0.2.1", &["from afar\n"], true);
    let stream = env.wait_collector("c", "counts all", |c| number(&c["streams"][0]["senders"]["accepted"]) == 8);
    assert_eq!(number(&stream["streams"][0]["senders"]["open"]), 2, "{stream}");
    // Who was held back to the end goes on.
    assert_eq!(server.order("go_on", &[json!("cho\n")]), "sent");
    let sent = 15 + 21 + 45 + 15 + 12 + 10;
    env.wait_received("c", sent);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    let text = read_text(env.path("f"));
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let mut expected =
        ["slow and whole", "reclog-echo and more", guess.trim_end(), "reclog-echo 12", "reclog-echo", "from afar"];
    expected.sort_unstable();
    assert_eq!(lines, expected);
}

#[test]
fn a_family_nobody_listens_on_is_told_once() {
    let Some((env, mut server, up)) = asked("a_family_nobody_listens_on", &[]) else { return };
    echo(&mut server);
    let run = up.wait();
    assert!(run.stderr.contains("over IPv4 alone: senders that come by IPv6 find nobody"), "{}", run.stderr);
    env.started(run);
    assert_nobody_counted(&env.stream("c"));
    assert_eq!(log(&env).matches("find nobody").count(), 1, "{}", log(&env));
    env.down("c");
}

#[test]
fn a_line_that_comes_back_twice_or_was_guessed_is_a_senders() {
    // Without the look from outside, which asks at the same door: its line would be the one that comes back, and late.
    let Some((env, mut server, up)) = asked("a_line_that_comes_back_twice", &["--no-probe"]) else { return };
    for _ in 0..100 {
        sends(&mut server, "127.0.0.1", &[&format!("reclog-echo {}\n", "a".repeat(32))], true);
    }
    echo(&mut server);
    env.started(up.wait());
    echo(&mut server);
    let stream = env.wait_collector("c", "counts all", |c| number(&c["streams"][0]["senders"]["accepted"]) == 101);
    assert_eq!(number(&stream["streams"][0]["records"]), 101);
    env.down("c");
}

#[test]
fn a_flood_of_silent_neighbours_is_bounded_by_max_connections() {
    let Some((env, mut server, up)) = asked("a_flood_of_silent_neighbours", &["--max-connections", "100"]) else {
        return;
    };
    for _ in 0..600 {
        sends(&mut server, "127.0.0.1", &[], false);
    }
    echo(&mut server);
    env.started(up.wait());
    let all = env.wait_collector("c", "counts all", |c| {
        let senders = &c["streams"][0]["senders"];
        number(&senders["accepted"]) + number(&senders["rejected"]["max_connections"]) == 600
    });
    assert_eq!(number(&all["streams"][0]["senders"]["open"]), 100, "{all}");
    env.run(&["down", "c", "--now"]);
}

#[test]
fn reconnects_leave_nothing_behind() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = start(&env, &sshd, free_port());
    let files = || std::fs::read_dir(format!("/proc/{}/fd", up.pid)).unwrap().count();
    let before = files();
    for n in 1..=200 {
        env.run(&["kick", "c"]).ok();
        env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == n);
    }
    assert_nobody_counted(&env.stream("c"));
    wait_until("the old connections are gone", SOON, || (files() <= before).then_some(()));
    env.down("c");
    env.assert_nothing_left();
}
