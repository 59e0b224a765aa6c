//! The network goes away, comes back, or becomes another one; the jump host restarts: back soon, on the same port.

mod common;

use std::time::{Duration, Instant};

use common::netns::{Cable, HERE, HERE_TOO, THERE};
use common::{Bg, Collector, Env, LATER, SOON, Sshd, free_port, listening, read_text, send, wait_until};

/// How long it may take until senders get in again when the network or the jump host is back.
const SOON_AGAIN: Duration = Duration::from_secs(3);

/// Two machines, a jump host on the one and a collector `c` on the other.
struct Stage {
    // Dropped in this order: who runs in a namespace goes before it.
    env: Env,
    _sshd: Sshd,
    cable: Cable,
    up: Collector,
}

/// With these lines of ssh_config. None where that cannot be had here.
fn stage(name: &str, lines: &str) -> Option<Stage> {
    let Some(cable) = Cable::lay() else {
        common::lacks(name, "network namespaces (as root)", "iproute2");
        return None;
    };
    // Without a person who ends it, an sshd that nobody talks to any more holds the port for hours.
    let alive = ["ClientAliveInterval 1", "ClientAliveCountMax 2"];
    let (env, sshd) = (Env::new(), Sshd::in_namespace(&cable.there, THERE, &alive));
    env.trust(&sshd);
    let config = read_text(env.path("ssh_config"));
    env.write("ssh_config", config + lines);
    let (port, out) = (free_port().to_string(), env.arg("f"));
    let args = env.to_jump(&["up", "jump"], &["--remote-port", &port, "--out", &out, "--name", "c", "--json"]);
    let up = env.started(Bg::spawn(cable.reclog(&env, &args)).wait());
    let stage = Stage { env, _sshd: sshd, cable, up };
    stage.line_arrives(0, "first");
    Some(stage)
}

impl Stage {
    /// A sender on the jump host gets a line through, as soon as the collector is up again. Until then nobody knocks at the
    /// port: a sender that opens a channel every few milliseconds keeps an sshd from noticing that its client is gone.
    #[track_caller]
    fn line_arrives(&self, reconnects: u64, line: &str) {
        self.env.wait_collector("c", "is up", |c| c["state"] == "up" && c["reconnects"] == reconnects);
        assert!(self.cable.send(self.up.port(), line), "the port takes the line {line:?}");
        common::wait_for_text(self.env.path("f"), &format!("{line}\n"));
    }

    fn log(&self) -> String {
        read_text(self.env.path("state/c/collector.log"))
    }
}

/// Waits until the next attempt of the collector `c` is so many seconds away at least.
fn long_pause(env: &Env, seconds: f64) {
    wait_until("the pauses have grown", LATER, || {
        let log = read_text(env.path("state/c/collector.log"));
        let last = log.lines().rev().find_map(|l| l.split_once("trying again in ")).map(|(_, s)| s.to_owned());
        let length: f64 = last?.strip_suffix(" s")?.parse().ok()?;
        (length >= seconds).then_some(())
    });
}

macro_rules! stage {
    ($lines:expr) => {{
        fn inside() {}
        require!("sshd", "ip", "nft", "bash");
        let name = std::any::type_name_of_val(&inside).trim_end_matches("::inside");
        let Some(stage) = stage(name, $lines) else { return };
        stage
    }};
}

#[track_caller]
fn assert_soon(what: &str, since: Instant) {
    let took = since.elapsed();
    println!("{what}: receiving again after {took:?}");
    assert!(took < SOON_AGAIN, "{what}: {took:?}");
}

#[test]
fn a_cut_that_nobody_is_told_of_is_over_soon_after_the_network_is_back() {
    let stage = stage!("  ServerAliveInterval 1\n");
    stage.cable.cut();
    stage.env.wait_state("c", "waiting");
    stage.env.wait_state("c", "connecting");
    // The kernel repeats the SYN after 1, 3 and 7 s: it would be too late.
    let begun = Instant::now();
    wait_until("3.3 s have passed", SOON, || (begun.elapsed() > Duration::from_millis(3300)).then_some(()));
    stage.cable.mend();
    let back = Instant::now();
    stage.line_arrives(1, "again");
    assert_soon("a cut", back);
    let now = stage.env.wait_state("c", "up");
    assert_eq!(now["streams"][0]["remote_port"], stage.up.port());
    stage.env.down("c");
}

#[test]
fn a_long_pause_ends_when_the_network_is_back() {
    let stage = stage!("  ServerAliveInterval 1\n  ConnectTimeout 1\n");
    stage.cable.cut();
    long_pause(&stage.env, 9.0);
    stage.cable.mend();
    let back = Instant::now();
    stage.line_arrives(1, "again");
    assert_soon("a long cut", back);
    stage.env.down("c");
}

#[test]
fn a_long_pause_ends_when_there_is_a_route_again() {
    let stage = stage!("  ServerAliveInterval 1\n  ServerAliveCountMax 1\n");
    stage.cable.ip_here(&["link", "set", "wire", "down"]);
    long_pause(&stage.env, 9.0);
    stage.cable.ip_here(&["link", "set", "wire", "up"]);
    let back = Instant::now();
    stage.line_arrives(1, "again");
    assert_soon("no route", back);
    stage.env.down("c");
}

#[test]
fn an_address_that_is_gone_is_noticed_long_before_keepalive_would() {
    let stage = stage!("");
    stage.cable.ip_here(&["address", "add", &format!("{HERE_TOO}/24"), "dev", "wire"]);
    let gone = Instant::now();
    // The first address of a network takes the others along.
    stage.cable.ip_here(&["address", "delete", &format!("{HERE}/24"), "dev", "wire"]);
    stage.cable.ip_here(&["address", "replace", &format!("{HERE_TOO}/24"), "dev", "wire"]);
    stage.line_arrives(1, "from another address");
    let took = gone.elapsed();
    println!("another address: receiving again after {took:?}");
    assert!(took < Duration::from_secs(15), "{took:?}");
    let now = stage.env.wait_state("c", "up");
    assert_eq!(now["reconnects"], 1);
    let sentence = format!("this machine no longer has the address {HERE}: the network changed");
    assert!(stage.log().contains(&sentence), "{}", stage.log());
    stage.env.down("c");
}

#[test]
fn a_short_cut_that_tcp_survives_loses_nothing_and_is_no_reconnect() {
    let stage = stage!("");
    stage.cable.cut();
    let cut = Instant::now();
    wait_until("two seconds have passed", SOON, || (cut.elapsed() > Duration::from_secs(2)).then_some(()));
    stage.cable.mend();
    stage.line_arrives(0, "after");
    let now = stage.env.snapshot("c");
    assert_eq!((&now["state"], &now["reconnects"], &now["health"]), (&"up".into(), &0.into(), &serde_json::json!([])));
    stage.env.down("c");
}

/// A collector `c` on a jump host of this machine.
fn nearby() -> (Env, Sshd, Collector) {
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let port = free_port().to_string();
    let up = env.up(&["--remote-port", &port, "--out", &env.arg("f"), "--name", "c"]);
    (env, sshd, up)
}

#[test]
fn a_jump_host_that_restarts_has_its_port_again_soon() {
    require!("sshd");
    let (env, sshd, up) = nearby();
    sshd.stop();
    long_pause(&env, 9.0);
    let back = Instant::now();
    sshd.start_again();
    wait_until("the port is back", LATER, || listening(up.port()).then_some(()));
    assert_soon("a restart", back);
    send(up.port(), "x\n");
    env.down("c");
    assert_eq!(read_text(env.path("f")), "x\n");
}

#[test]
fn a_killed_connection_is_back_within_two_seconds() {
    require!("sshd");
    let (env, sshd, up) = nearby();
    for n in 1..=3u64 {
        sshd.kill_sessions();
        let killed = Instant::now();
        env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == n);
        let took = killed.elapsed();
        println!("a killed connection: back after {took:?}");
        assert!(n > 1 || took < Duration::from_secs(2), "{took:?}");
        send(up.port(), "x\n");
    }
    env.down("c");
}
