//! UDP on the jump host: the relay's helper takes datagrams, each is one record, and what is lost is counted.

mod common;

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use common::disk::{Disk, QUEUE};
use common::netns::{OUTSIDE, OUTSIDE_6, THERE, THERE_6, World};
use common::relay::{INTERPRETERS, Programs, helper, helpers};
use common::senders::Over;
use common::snapshot::number;
use common::{Collector, Env, LATER, SOON, Sshd, free_port, procs, read, read_text, send, wait_for_text, wait_until};

/// Datagrams for a helper that stands still: more than any receive buffer holds.
const SENT: u64 = 40_000;

/// A profile `c` with one stream that takes datagrams, too.
fn profile(env: &Env, relay: &str, port: u16, more: &str) -> Vec<String> {
    let out = env.arg("out");
    let stream = format!("remote_port: {port}, out: {out}, udp: true, relay: {relay}{more}");
    env.write("config/profiles/c.yaml", format!("target: jump\nstreams:\n  main: {{ {stream} }}\n"));
    ["up", "c", "-F", &env.arg("ssh_config"), "--json"].map(str::to_owned).into()
}

struct Stage {
    env: Env,
    sshd: Sshd,
    up: Collector,
    socket: UdpSocket,
    _programs: Programs,
}

impl Stage {
    fn with(interpreter: &str, lines: &[&str], relay: &str, more: &str) -> Self {
        let programs = Programs::with(&[interpreter]);
        let (env, sshd) = (Env::new(), Sshd::with_lines(&[lines, &[&programs.line()]].concat()));
        env.trust(&sshd);
        let args = profile(&env, relay, free_port(), more);
        let up = env.started(env.run(&args.iter().map(String::as_str).collect::<Vec<_>>()));
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", up.port())).unwrap();
        Self { env, sshd, up, socket, _programs: programs }
    }

    fn received(&self) -> u64 {
        number(&self.env.stream("c")["ledger"]["received"])
    }
}

#[test]
fn a_datagram_is_one_record_and_its_sender_is_known() {
    require!("sshd", "ip", "nft", "bash", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let lines = ["GatewayPorts no", &programs.line()];
        let Some(world) = World::lay("a_datagram_is_one_record_and_its_sender_is_known", &lines) else { return };
        let env = Env::new();
        world.trust(&env, THERE);
        let port = free_port();
        let args = profile(&env, "auto", port, "");
        let up = env.started(common::Bg::spawn(world.reclog(&env, &args)).wait());
        assert_eq!(up.port(), port);
        for (address, text) in [(THERE, "<13>four"), (THERE_6, "<13>six")] {
            world.outside("bash", &["-c", &format!("printf %s '{text}' > /dev/udp/{address}/{port}")]);
            wait_for_text(env.path("out"), &format!("{text}\n"));
        }
        assert!(world.send(THERE, port, "by TCP"));
        wait_for_text(env.path("out"), "by TCP\n");
        env.down("c");
        let audit = read_text(env.path("state/c/audit.jsonl"));
        for peer in [format!("\"peer\":\"{OUTSIDE}:"), format!("\"peer\":\"[{OUTSIDE_6}]:")] {
            assert!(audit.lines().any(|line| line.contains("sender_open") && line.contains(&peer)), "{audit}");
        }
        assert_eq!(env.find("c"), None);
        wait_until("no relay is left", SOON, || helpers(world.sshd()).is_empty().then_some(()));
    }
}

#[test]
fn what_came_before_the_end_is_in_the_file() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(interpreter, &["GatewayPorts no"], "always", "");
        // More than the helper reads at once, while it stands still.
        let pid = helper(&stage.sshd);
        procs::signal(pid, rustix::process::Signal::STOP);
        for n in 0..1000 {
            stage.socket.send(format!("{n}").as_bytes()).unwrap();
        }
        let down = stage.env.spawn(&["down", "c"]);
        stage.env.wait_state("c", "draining");
        procs::signal(pid, rustix::process::Signal::CONT);
        down.wait().ok();
        let text = read_text(stage.env.path("out"));
        let numbers: Vec<usize> = text.lines().map(|line| line.parse().expect("a number")).collect();
        assert_eq!(numbers, (0..1000).collect::<Vec<_>>(), "{interpreter}");
        let audit = read_text(stage.env.path("state/c/audit.jsonl"));
        assert!(audit.contains("\"why\":\"end\"") && !audit.contains("\"cut\""), "{audit}");
    }
}

#[test]
fn every_datagram_arrives_or_is_counted_as_lost() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(interpreter, &["GatewayPorts no"], "always", "");
        // While the helper stands still, its system drops what does not fit; it is not still for long.
        let pid = helper(&stage.sshd);
        procs::signal(pid, rustix::process::Signal::STOP);
        let datagram = [b'x'; 1000];
        for _ in 0..SENT {
            stage.socket.send(&datagram).unwrap();
        }
        procs::signal(pid, rustix::process::Signal::CONT);
        let all = |c: &serde_json::Value| {
            let stream = &c["streams"][0];
            number(&stream["records"]) + number(&stream["datagrams_lost"]) == SENT
        };
        let now = stage.env.wait_collector("c", "has or counts them all", all);
        let lost = number(&now["streams"][0]["datagrams_lost"]);
        assert!(0 < lost && lost < SENT, "{interpreter}: {lost} lost");
        stage.env.down("c");
        assert_eq!(read(stage.env.path("out")).len() as u64, (SENT - lost) * 1001);
    }
}

#[test]
fn addresses_that_sent_once_are_not_cut_when_the_relay_is_lost() {
    const ONCE: usize = 100;
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(interpreter, &["GatewayPorts no"], "always", "");
        let senders: Vec<_> = (0..ONCE).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for socket in &senders {
            socket.send_to(b"once\n", ("127.0.0.1", stage.up.port())).unwrap();
        }
        stage.env.wait_collector("c", "has them all", |c| c["streams"][0]["senders"]["open"] == ONCE);
        // Until they have been silent for longer than a second, while another one sends.
        let since = Instant::now();
        wait_until("they are silent", SOON, || {
            stage.socket.send(b"still here\n").unwrap();
            (since.elapsed() > Duration::from_millis(1500)).then_some(())
        });
        procs::kill(helper(&stage.sshd));
        stage.env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert!(number(&stage.env.stream("c")["senders"]["cut"]) <= 1, "{interpreter}");
        stage.env.down("c");
        let audit = stage.env.run(&["audit", "c", "--json"]).ok().events();
        let closed = audit.iter().filter(|e| e["event"] == "sender_close" && e["why"] == "idle").count();
        assert!(closed >= ONCE, "{interpreter}: {closed} were gone");
        let gap = audit.iter().find(|e| e["event"] == "gap").unwrap_or_else(|| panic!("{audit:?}"));
        assert!(number(&gap["senders_cut"]) <= 1, "{interpreter}: {gap}");
        let at_most = number(&gap["bytes_at_most"]);
        assert!((4 << 20) < at_most && at_most < (64 << 20), "buffers of datagrams, once: {gap}");
    }
}

#[test]
fn a_disk_that_takes_nothing_costs_datagrams_and_not_the_connection() {
    require!("sshd", "python3", "perl", "mount");
    for interpreter in INTERPRETERS {
        let (env, programs) = (Env::new(), Programs::with(&[interpreter]));
        let name = "a_disk_that_takes_nothing_costs_datagrams_and_not_the_connection";
        let Some(disk) = Disk::mount(&env, name, "300m") else { return };
        // It has no patience: three seconds without a word from us are the end.
        let lines = ["GatewayPorts no", "ClientAliveInterval 1", "ClientAliveCountMax 2", &programs.line()];
        let sshd = Sshd::with_lines(&lines);
        env.trust(&sshd);
        let (port, out) = (free_port(), env.arg("disk/f"));
        let stream = format!("remote_port: {port}, out: {out}, udp: true, relay: always, min_free: 0");
        env.write("config/profiles/c.yaml", format!("target: jump\nstreams:\n  main: {{ {stream} }}\n"));
        env.started(env.run(&["up", "c", "-F", &env.arg("ssh_config"), "--json"]));
        disk.fill(4096);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(("127.0.0.1", port)).unwrap();
        let datagram = [b'x'; 8000];
        let mut sent = 0u64;
        let mut pour = || {
            for _ in 0..1000 {
                socket.send(&datagram).unwrap();
                sent += 1;
            }
        };
        // The disk may have taken the first bytes of what is in it, and the account of records takes room, too.
        wait_until("the queue is full", LATER, || {
            pour();
            (number(&env.stream("c")["ledger"]["pending"]) >= QUEUE - 1024 * 1024).then_some(())
        });
        let begun = Instant::now();
        wait_until("six seconds have passed", SOON, || {
            pour();
            let c = env.snapshot("c");
            assert_eq!((&c["state"], &c["reconnects"]), (&"stalled".into(), &0.into()), "{c}");
            (begun.elapsed() > Duration::from_secs(6)).then_some(())
        });
        let full = number(&env.stream("c")["ledger"]["pending"]);
        assert!(full <= QUEUE + 7 * 1024 * 1024, "{full} bytes");
        disk.free();
        let all = |c: &serde_json::Value| {
            let stream = &c["streams"][0];
            number(&stream["records"]) + number(&stream["datagrams_lost"]) == sent
        };
        let now = env.wait_collector("c", "has or counts them all", all);
        assert_eq!(now["reconnects"], 0);
        assert!(number(&now["streams"][0]["datagrams_lost"]) > 0, "{interpreter}: {now}");
        env.down("c");
    }
}

#[test]
fn datagrams_come_beside_a_port_that_sshd_opens() {
    require!("sshd", "python3");
    let stage = Stage::with("python3", &["GatewayPorts yes"], "auto", "");
    helper(&stage.sshd);
    stage.socket.send(b"by UDP").unwrap();
    wait_for_text(stage.env.path("out"), "by UDP\n");
    send(stage.up.port(), "by TCP\n");
    let now = stage.env.wait_received("c", 13);
    assert_eq!(now["streams"][0]["senders"]["accepted"], 2);
    stage.env.down("c");
    assert_eq!(read(stage.env.path("out")), b"by UDP\nby TCP\n");
}

#[test]
fn a_udp_port_that_is_taken_is_told() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let (env, sshd) = (Env::new(), Sshd::with_lines(&["GatewayPorts no", &programs.line()]));
        env.trust(&sshd);
        let holder = UdpSocket::bind(("0.0.0.0", free_port())).unwrap();
        let port = holder.local_addr().unwrap().port();
        let args = profile(&env, "always", port, "");
        let run = env.run(&args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(run.status.code(), Some(4), "{}", run.stderr);
        assert!(
            run.stderr.contains(&format!("another program listens on UDP port {port} there over IPv4"))
                && run.stderr.contains(&format!("`ss -ulnp 'sport = :{port}'`")),
            "{}",
            run.stderr
        );
        env.assert_nothing_left();
    }
}

#[test]
fn datagrams_that_never_cease_keep_nobody_from_going_down() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(interpreter, &["GatewayPorts no", "LogLevel DEBUG1"], "always", "");
        let port = stage.up.port();
        let over = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            let _over = Over(&over);
            for _ in 0..3 {
                scope.spawn(|| {
                    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
                    while !over.load(std::sync::atomic::Ordering::Relaxed) {
                        let _ = socket.send_to(b"again", ("127.0.0.1", port));
                    }
                });
            }
            let received = |c: &serde_json::Value| number(&c["streams"][0]["ledger"]["received"]) > 100_000;
            stage.env.wait_collector("c", "is flooded", received);
            // What is known of the connection is thrown away when the helper has answered that it is done.
            let known = stage.env.path("state/c/connection.json");
            wait_until("the connection is known", SOON, || known.exists().then_some(()));
            stage.env.down("c");
            assert!(!known.exists(), "{interpreter}: the helper did not answer");
        });
    }
}

#[test]
fn the_port_is_taken_back_after_a_loss() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(interpreter, &["GatewayPorts no"], "always", "");
        stage.socket.send(b"one").unwrap();
        wait_for_text(stage.env.path("out"), "one\n");
        procs::kill(helper(&stage.sshd));
        stage.env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        // Sent into the void meanwhile it may have been refused: that is told at the next call.
        let _ = stage.socket.send(b"two");
        let _ = stage.socket.send(b"two");
        wait_for_text(stage.env.path("out"), "two\n");
        assert!(stage.received() >= 6);
        stage.env.down("c");
    }
}
