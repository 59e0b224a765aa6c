//! A jump host that does what it may not: nothing gets in but senders of the ports that were asked for, and no flood costs
//! memory or fills a log.

mod common;

use common::{Collector, Env, Hostile, SOON, read, read_text, wait_until};
use serde_json::json;

const PORT: u16 = 55514;

/// `up` on a hostile server with this port, bound as `bind` says. `None`: the test is left out.
#[track_caller]
fn up(test: &str, bind: &str, more: &[&str]) -> Option<(Env, Hostile, Collector)> {
    let (env, mut server) = (Env::new(), Hostile::start(test, "")?);
    server.trusted_by(&env);
    let (out, port) = (env.arg("out"), PORT.to_string());
    let given = ["--remote-port", &port, "--bind", bind, "--out", &out, "--name", "c"];
    let up = env.up(&[&given[..], more].concat());
    server.heard("forward");
    Some((env, server, up))
}

/// The most memory that a process ever had, in KiB.
fn most_memory(pid: u32) -> u64 {
    let status = read_text(format!("/proc/{pid}/status"));
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn log(env: &Env) -> String {
    read_text(env.path("state/c/collector.log"))
}

#[test]
fn every_channel_is_refused_but_senders_of_the_port_that_was_asked_for() {
    for (bind, wire) in [("*", ""), ("127.0.0.1", "127.0.0.1")] {
        let Some((env, mut server, _up)) = up("every_channel_is_refused", bind, &[]) else { return };
        let opens = server.order("opens", &[json!(wire), json!(PORT)]);
        let opened: Vec<&String> =
            opens.as_object().unwrap().iter().filter(|(_, how)| *how == "opened").map(|(name, _)| name).collect();
        assert_eq!(opened, ["the forward"], "{opens}");
        let log = log(&env);
        assert!(log.contains("auth-agent") || log.contains("type agent"), "{log}");
        assert!(!log.contains('\x1b'), "{log:?}");
        assert_eq!(env.processes().len(), 1);
    }
}

#[test]
fn requests_and_data_that_no_sender_made_are_left_out() {
    let Some((env, mut server, _up)) = up("requests_and_data", "*", &[]) else { return };
    assert_eq!(server.order("tricks", &[json!(""), json!(PORT)]), "opened");
    // The connection has survived it all.
    assert_eq!(server.order("line", &[json!(""), json!(PORT), json!("three\n")]), "opened");
    let status = env.run(&["status", "c", "--json"]).ok().last_event()["collectors"][0].clone();
    assert_eq!(status["reconnects"], 0, "{status}");
    env.down("c");
    assert_eq!(String::from_utf8(read(env.path("out"))).unwrap(), "one two\nthree\n");
    env.assert_nothing_left();
}

#[test]
fn a_channel_that_is_taken_back_ends_its_sender() {
    let Some((env, mut server, _up)) = up("a_channel_that_is_taken_back", "*", &["--max-connections", "1"]) else {
        return;
    };
    for _ in 0..3 {
        assert_eq!(server.order("fail_open", &[json!(""), json!(PORT)]), "opened");
        assert_eq!(server.order("line", &[json!(""), json!(PORT), json!("whole\n")]), "opened");
    }
    env.down("c");
    assert_eq!(String::from_utf8(read(env.path("out"))).unwrap(), "half a line\nwhole\n".repeat(3));
}

#[test]
fn long_words_of_a_server_are_cut() {
    let Some((env, mut server, _up)) = up("long_words_of_a_server", "*", &["-v"]) else { return };
    assert_eq!(server.order("far_away", &[json!(""), json!(PORT), json!(30_000)]), "opened");
    let status = env.wait_collector("c", "lost the connection", |c| c["last_error"].is_string());
    let error = status["last_error"].as_str().unwrap();
    assert!(error.len() < 3_000 && error.contains("\\x1b"), "{} bytes", error.len());
    let longest = log(&env).lines().map(str::len).max();
    assert!(longest < Some(5_000), "{longest:?}");
}

#[test]
fn a_flood_of_channels_nobody_asked_for_ends_the_connection_and_fills_neither_memory_nor_log() {
    for (kind, deaf) in [("session", false), ("nonsense@example.org", false), ("auth-agent@openssh.com", true)] {
        let Some((env, mut server, up)) = up("a_flood_of_channels", "*", &[]) else { return };
        let before = most_memory(up.pid);
        let sent = server.order("flood", &[json!(kind), json!(200_000), json!(deaf)]).as_u64().unwrap();
        assert!(sent > 10_000, "{kind}: it was ended after {sent} already");
        let grown = most_memory(up.pid) - before;
        assert!(grown < 100 * 1024, "{kind}: grew by {grown} KiB");
        wait_until("the log tells why", SOON, || log(&env).contains("nobody asked for").then_some(()));
        let lines = log(&env).lines().filter(|l| l.contains("tried to open")).count();
        assert!((1..=2).contains(&lines), "{kind}: {lines} lines\n{}", log(&env));
    }
}

#[test]
fn a_flood_of_senders_stays_within_max_connections_and_memory() {
    for deaf in [false, true] {
        let more = ["--max-connections", "2000", "-o", "ServerAliveInterval=1"];
        let Some((env, mut server, up)) = up("a_flood_of_senders", "*", &more) else { return };
        let before = most_memory(up.pid);
        let origin = [json!("192.0.2.9"), json!(1)];
        let sender = [&[json!("forwarded-tcpip"), json!(30_000), json!(deaf), json!(""), json!(PORT)], &origin[..]];
        server.order("flood", &sender.concat());
        let grown = most_memory(up.pid) - before;
        assert!(grown < 100 * 1024, "deaf {deaf}: grew by {grown} KiB");
        let open =
            env.run(&["status", "c", "--json"]).ok().last_event()["collectors"][0]["streams"][0]["senders"]["open"]
                .as_u64();
        assert!(open.is_some_and(|n| n <= 2000), "{open:?}");
    }
}

#[test]
fn senders_that_ended_and_are_never_closed_are_not_kept_without_end() {
    let Some((env, mut server, up)) = up("senders_that_ended", "*", &["--max-connections", "1000"]) else { return };
    let before = most_memory(up.pid);
    let refused = server.order("half_closed", &[json!(""), json!(PORT), json!(10_000)]).as_u64().unwrap();
    assert!((1_000..3_000).contains(&refused), "{refused} of 10,000 were refused");
    let grown = most_memory(up.pid) - before;
    assert!(grown < 100 * 1024, "grew by {grown} KiB");
    assert!(log(&env).contains("closes no channel"), "{}", log(&env));
    env.down("c");
}

#[test]
fn a_neighbour_of_the_jump_host_is_known_by_its_address_without_its_interface() {
    let deny = ["--deny", "fe80::/64", "--max-per-address", "1"];
    let Some((env, mut server, _up)) = up("a_neighbour_of_the_jump_host", "*", &deny) else { return };
    let mut sends = |from: &str, text: &str, end: bool| {
        server.order("sends", &[json!(""), json!(PORT), json!(from), json!([text]), json!(end)])
    };
    assert_eq!(sends("fe80::1%eth0", "denied\n", true), "refused");
    assert_eq!(sends("nobody", "unknown\n", true), "refused");
    assert_eq!(sends("fe80:1::1%eth0", "first\n", false), "opened");
    assert_eq!(sends("fe80:1::1%eth1", "one too many\n", true), "refused");
    env.wait_stored("c", 6);
    let down = env.run(&["down", "c", "--json", "--now"]).ok().last_event();
    let rejected = &down["streams"][0]["senders"]["rejected"];
    assert_eq!((&rejected["deny"], &rejected["max_per_address"]), (&json!(2), &json!(1)), "{down}");
    assert_eq!(read_text(env.path("out")), "first\n");
    let audit = env.run(&["audit", "c", "--json", "--event", "sender_open"]).ok().events();
    assert_eq!(audit[0]["peer"], "[fe80:1::1]:4711");
}
