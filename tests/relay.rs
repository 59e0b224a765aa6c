//! `--relay`: senders get through a default sshd, by a helper that it is started over the connection and ends with it.

mod common;

use std::io::{Read as _, Write as _};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::disk::{Disk, QUEUE};
use common::netns::{OUTSIDE, OUTSIDE_6, THERE, THERE_6, World};
use common::relay::{INTERPRETERS, Programs, behind, helper, helpers};
use common::senders::{Over, check_order, pour};
use common::snapshot::number;
use common::{
    Collector, Env, SOON, Sender, Sshd, check_flood, flood, free_port, listening, procs, read, read_text, send,
    wait_for_text, wait_until,
};
use rustix::process::Signal;

/// A default sshd on this machine whose account has these interpreters, and a collector `c` that relays.
struct Stage {
    env: Env,
    sshd: Sshd,
    up: Collector,
    _programs: Programs,
}

impl Stage {
    fn with(interpreters: &[&str]) -> Self {
        let programs = Programs::with(interpreters);
        let sshd = Sshd::with_lines(&["GatewayPorts no", "LogLevel DEBUG1", &programs.line()]);
        let env = Env::new();
        env.trust(&sshd);
        let up = env.up(&relay(&env, free_port()).iter().map(String::as_str).collect::<Vec<_>>());
        Self { env, sshd, up, _programs: programs }
    }

    fn port(&self) -> u16 {
        self.up.port()
    }

    /// Nothing of it is left on the jump host.
    #[track_caller]
    fn gone(&self, helper: u32) {
        wait_until("the relay has ended", SOON, || (!procs::alive(helper)).then_some(()));
        wait_until("nobody listens on its port", SOON, || (!listening(self.port())).then_some(()));
    }

    /// It relays again, by another helper.
    #[track_caller]
    fn again(&self, old: u32, line: &str) {
        self.env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert!(!procs::alive(old), "the old relay is still there");
        assert_ne!(helper(&self.sshd), old);
        send(self.port(), line);
        wait_for_text(self.env.path("out"), line);
    }
}

fn relay(env: &Env, port: u16) -> Vec<String> {
    let (port, out) = (port.to_string(), env.arg("out"));
    ["--relay", "--remote-port", &port, "--out", &out, "--name", "c"].map(str::to_owned).into()
}

/// An sshd and an environment for `up`s that fail.
fn try_relay(lines: &[&str], options: &str, more: &[&str], port: u16) -> (Env, Sshd, common::Run) {
    let (env, sshd) = (Env::new(), Sshd::with_lines(&[&["GatewayPorts no"], lines].concat()));
    sshd.user_key_with("ed25519", options);
    env.trust(&sshd);
    let args = relay(&env, port);
    let run = env.up_run(&[&args.iter().map(String::as_str).collect::<Vec<_>>()[..], more].concat());
    (env, sshd, run)
}

#[test]
fn senders_get_through_a_default_sshd_and_keep_their_addresses() {
    require!("sshd", "ip", "nft", "bash", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let lines = ["GatewayPorts no", &programs.line()];
        let Some(world) = World::lay("senders_get_through_a_default_sshd_and_keep_their_addresses", &lines) else {
            return;
        };
        let env = Env::new();
        world.trust(&env, THERE);
        let port = free_port();
        let args = relay(&env, port);
        let up = world.up(&env, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(up.port(), port);
        assert_eq!(up.event["streams"][0]["reach"], "proven", "{interpreter}: {}", up.event);
        helper(world.sshd());
        assert!(world.send(THERE, port, "four"), "{interpreter}");
        assert!(world.send(THERE_6, port, "six"), "{interpreter}");
        wait_for_text(env.path("out"), "four\n");
        wait_for_text(env.path("out"), "six\n");
        env.down("c");
        assert_eq!(read(env.path("out")).len(), 9);
        let audit = read_text(env.path("state/c/audit.jsonl"));
        for peer in [format!("\"peer\":\"{OUTSIDE}:"), format!("\"peer\":\"[{OUTSIDE_6}]:")] {
            let open = audit.lines().filter(|line| line.contains("sender_open") && line.contains(&peer)).count();
            assert_eq!(open, 1, "{interpreter}: {audit}");
        }
        assert!(!audit.contains("127.0.0.1:"), "{audit}");
        wait_until("no relay is left", SOON, || helpers(world.sshd()).is_empty().then_some(()));
    }
}

#[test]
fn a_thousand_senders_at_once_lose_no_line() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let sent = flood(stage.port(), 1000, 1);
        let settled = stage.env.wait_received("c", sent);
        assert_eq!(settled["streams"][0]["senders"]["accepted"], 1000, "{interpreter}");
        stage.env.down("c");
        check_flood(&stage.env.path("out"), 1000, 1);
    }
}

#[test]
fn a_thousand_may_be_in_at_once_and_the_silent_keep_nobody_waiting() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let mut silent: Vec<Sender> = (0..1000).map(|_| Sender::open(stage.port())).collect();
        let all_in = |c: &serde_json::Value| number(&c["streams"][0]["senders"]["open"]) == 1000;
        stage.env.wait_collector("c", "has them all", all_in);
        send(stage.port(), "in between\n");
        for (n, sender) in silent.iter_mut().enumerate() {
            sender.write(format!("{n}\n"));
        }
        silent.into_iter().for_each(Sender::finish);
        stage.env.down("c");
        let text = read_text(stage.env.path("out"));
        assert!(text.starts_with("in between\n"), "{interpreter}");
        assert_eq!(text.lines().count(), 1001, "{interpreter}");
    }
}

#[test]
fn long_streams_pass_whole() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        flood(stage.port(), 8, 30_000);
        stage.env.down("c");
        check_flood(&stage.env.path("out"), 8, 30_000);
    }
}

#[test]
fn whoever_comes_by_the_forward_itself_is_refused() {
    require!("sshd", "python3", "perl");
    let stage = Stage::with(&["python3"]);
    let forward = behind(&stage.sshd);
    assert_ne!(forward, stage.port());
    let connect = || {
        let stream = TcpStream::connect(("127.0.0.1", forward)).expect("sshd listens");
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    };
    let ends = |mut stream: TcpStream| assert!(matches!(stream.read(&mut [0; 9]), Ok(0) | Err(_)));
    // One of them says nothing: there is a deadline.
    let silent = connect();
    let secret = "0".repeat(48);
    for text in [
        "a line\n".to_owned(),
        "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nforged\n".into(),
        format!("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 {secret}\r\nforged\n"),
        "PROXY TCP4 ".into(),
    ] {
        let mut stream = connect();
        stream.write_all(text.as_bytes()).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        ends(stream);
    }
    ends(silent);
    let rejected = |c: &serde_json::Value| c["streams"][0]["senders"]["rejected"]["relay"] == 5;
    let now = stage.env.wait_collector("c", "has turned five away", rejected);
    assert_eq!(now["streams"][0]["senders"]["accepted"], 0);
    assert_eq!(now["streams"][0]["ledger"]["received"], 0);
    send(stage.port(), "true\n");
    stage.env.down("c");
    assert_eq!(read(stage.env.path("out")), b"true\n");
    let audit = read_text(stage.env.path("state/c/audit.jsonl"));
    assert_eq!(audit.matches("\"why\":\"relay\"").count(), 5, "{audit}");
}

#[test]
fn a_server_that_makes_the_forward_public_does_not_make_it_a_way_in() {
    require!("sshd", "python3");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["GatewayPorts yes", "LogLevel DEBUG1"]));
    env.trust(&sshd);
    let up = env.up(&relay(&env, free_port()).iter().map(String::as_str).collect::<Vec<_>>());
    let mut stream = TcpStream::connect(("127.0.0.2", behind(&sshd))).expect("it is open on all addresses");
    stream.write_all(b"a line\n").unwrap();
    env.wait_collector("c", "has turned it away", |c| c["streams"][0]["senders"]["rejected"]["relay"] == 1);
    send(up.port(), "by the relay\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"by the relay\n");
}

#[test]
fn a_disk_that_takes_nothing_makes_senders_wait_and_costs_nothing() {
    require!("sshd", "python3", "perl", "mount");
    for interpreter in INTERPRETERS {
        let (env, programs) = (Env::new(), Programs::with(&[interpreter]));
        let name = "a_disk_that_takes_nothing_makes_senders_wait_and_costs_nothing";
        let Some(disk) = Disk::mount(&env, name, "600m") else { return };
        // It has no patience: three seconds without a word from us are the end.
        let lines = ["GatewayPorts no", "ClientAliveInterval 1", "ClientAliveCountMax 2", &programs.line()];
        let sshd = Sshd::with_lines(&lines);
        env.trust(&sshd);
        let (port, out) = (free_port(), env.arg("disk/f"));
        env.up(&["--relay", "--remote-port", &port.to_string(), "--out", &out, "--name", "c", "--min-free", "0"]);
        let pid = helper(&sshd);
        disk.fill(4096);
        let over = AtomicBool::new(false);
        let sent: Vec<usize> = std::thread::scope(|scope| {
            let _over = Over(&over);
            let over = &over;
            let threads: Vec<_> = (0..20).map(|s| scope.spawn(move || pour(port, s, over))).collect();
            env.wait_collector("c", "has a full queue", |c| {
                c["state"] == "stalled" && number(&c["streams"][0]["ledger"]["pending"]) >= QUEUE - 64 * 1024
            });
            // Longer than a relay may be silent that could be heard.
            let begun = Instant::now();
            wait_until("20 s have passed", SOON, || {
                let c = env.snapshot("c");
                assert_eq!((&c["state"], &c["reconnects"]), (&"stalled".into(), &0.into()), "{c}");
                (begun.elapsed() > Duration::from_secs(20)).then_some(())
            });
            let status = read_text(format!("/proc/{pid}/status"));
            let memory = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("a figure").trim();
            let memory: u64 = memory.trim_end_matches(" kB").parse().unwrap();
            assert!(memory < 64 * 1024, "{interpreter} has {memory} KiB");
            over.store(true, Ordering::Relaxed);
            disk.free();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        env.down("c");
        wait_until("the relay has ended", SOON, || (!procs::alive(pid)).then_some(()));
        let counts = check_order(&read_text(env.path("disk/f")));
        assert_eq!(counts.into_values().collect::<Vec<_>>(), sent, "{interpreter}");
    }
}

#[test]
fn the_secret_stands_in_memory_and_nowhere_else() {
    require!("sshd", "python3", "perl");
    let pattern = regex::bytes::Regex::new("[0-9a-f]{48}").unwrap();
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let pid = helper(&stage.sshd);
        send(stage.port(), "first\n");
        // What might be the secret, and what is: with it a forged line is believed.
        let mut found = std::collections::BTreeSet::new();
        let maps = read_text(format!("/proc/{pid}/maps"));
        let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("only root may look");
        for line in maps.lines().filter(|line| line.contains(" rw")) {
            let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
            let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            if std::os::unix::fs::FileExt::read_exact_at(&memory, &mut bytes, from).is_ok() {
                found.extend(pattern.find_iter(&bytes).map(|m| String::from_utf8(m.as_bytes().to_vec()).unwrap()));
            }
        }
        assert!(!found.is_empty() && found.len() < 500, "{} candidates", found.len());
        for secret in &found {
            let mut forged = TcpStream::connect(("127.0.0.1", behind(&stage.sshd))).unwrap();
            let line = format!("PROXY TCP4 192.0.2.1 192.0.2.2 7 9 {secret}\r\nthe secret is {secret}\n");
            forged.write_all(line.as_bytes()).unwrap();
        }
        let text = wait_for_text(stage.env.path("out"), "the secret is ");
        let secret = text.lines().find_map(|line| line.strip_prefix("the secret is ")).unwrap();
        assert!(found.contains(secret));
        for process in stage.sshd.sessions().into_iter().chain([stage.up.pid]) {
            for file in ["cmdline", "environ"] {
                let bytes = std::fs::read(format!("/proc/{process}/{file}")).unwrap_or_default();
                assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{process}/{file}");
            }
        }
        let mut folders = vec![stage.env.path(""), stage.sshd.file("")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap().flatten() {
                if entry.path().is_dir() {
                    folders.push(entry.path());
                } else if entry.path().is_file() && entry.path() != stage.env.path("out") {
                    let bytes = std::fs::read(entry.path()).unwrap();
                    assert!(!String::from_utf8_lossy(&bytes).contains(secret), "{:?}", entry.path());
                }
            }
        }
        stage.env.down("c");
    }
}

#[test]
fn a_port_that_is_taken_is_told() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        for v6 in [false, true] {
            let holder = if v6 {
                let socket = socket2::Socket::new(socket2::Domain::IPV6, socket2::Type::STREAM, None).unwrap();
                socket.set_only_v6(true).unwrap();
                socket.bind(&SocketAddr::from((Ipv6Addr::UNSPECIFIED, free_port())).into()).unwrap();
                socket.listen(1).unwrap();
                TcpListener::from(socket)
            } else {
                TcpListener::bind(("0.0.0.0", free_port())).unwrap()
            };
            let port = holder.local_addr().unwrap().port();
            let (env, sshd, run) = try_relay(&[&programs.line()], "", &[], port);
            assert_eq!(run.status.code(), Some(4), "{}", run.stderr);
            let over = if v6 { "IPv6" } else { "IPv4" };
            let said = format!("another program listens on port {port} there over {over}");
            assert!(run.stderr.contains(&said), "{}", run.stderr);
            wait_until("no relay is left", SOON, || helpers(&sshd).is_empty().then_some(()));
            env.assert_nothing_left();
        }
    }
}

#[test]
fn a_relay_that_is_not_to_be_had_is_told() {
    require!("sshd");
    let programs = Programs::with(&[]);
    for (lines, options, more, said) in [
        (&[programs.line()][..], "", &[][..], "neither python3 (3.6 or newer) nor perl is there"),
        (&["ForceCommand /bin/false".to_owned()], "", &[], "may run no command there (it ended with exit code 1)"),
        (&[], "command=\"/bin/false\"", &[], "may run no command there"),
        (&["MaxSessions 0".to_owned()], "", &[], "may open no session"),
        (&[], "", &["-o", "SessionType=none"], "SessionType none"),
        (&[], "permitlisten=\"1\"", &[], "refused to open a port of its own choice on 127.0.0.1"),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (env, _sshd, run) = try_relay(&lines, options, more, free_port());
        assert_eq!(run.status.code(), Some(4), "{lines:?} {options}: {}", run.stderr);
        assert!(run.stderr.contains(said) && run.stderr.contains("hint: "), "{lines:?} {options}: {}", run.stderr);
        env.assert_nothing_left();
    }
}

#[test]
fn the_rule_that_the_hint_names_is_enough() {
    require!("sshd", "python3");
    let options = "restrict,port-forwarding,permitlisten=\"127.0.0.1:*\"";
    let (env, _sshd, run) = try_relay(&[], options, &["--json"], free_port());
    let up = env.started(run);
    send(up.port(), "through\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"through\n");
}

#[test]
fn nothing_is_left_whoever_is_killed() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let pid = helper(&stage.sshd);
        let _sender = Sender::open(stage.port());
        procs::kill(stage.up.pid);
        stage.gone(pid);

        let stage = Stage::with(&[interpreter]);
        let pid = helper(&stage.sshd);
        let sessions: Vec<u32> = stage.sshd.sessions().into_iter().filter(|session| *session != pid).collect();
        for session in sessions {
            procs::kill(session);
        }
        stage.again(pid, "after sshd\n");
        stage.env.down("c");
        wait_until("nobody listens", SOON, || (!listening(stage.port())).then_some(()));
    }
}

#[test]
fn a_relay_that_is_killed_or_stands_still_is_made_anew() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        for signal in [Signal::KILL, Signal::STOP] {
            let stage = Stage::with(&[interpreter]);
            let pid = helper(&stage.sshd);
            procs::signal(pid, signal);
            stage.again(pid, "after the relay\n");
            let error = stage.env.snapshot("c")["last_error"].to_string();
            let why = if signal == Signal::KILL { "signal KILL" } else { "did not answer for" };
            assert!(error.contains("the relay on the jump host was lost") && error.contains(why), "{error}");
            let pid = helper(&stage.sshd);
            stage.env.down("c");
            stage.gone(pid);
        }
    }
}

#[test]
fn whoever_is_in_when_the_relay_is_killed_was_cut() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        send(stage.port(), "whole\n");
        let mut senders: Vec<Sender> = (0..3).map(|_| Sender::open(stage.port())).collect();
        for sender in &mut senders {
            sender.write("begun");
        }
        stage.env.wait_received("c", 21);
        stage.env.wait_collector("c", "has heard of the first one's end", |c| c["streams"][0]["senders"]["open"] == 3);
        procs::kill(helper(&stage.sshd));
        stage.env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert_eq!(stage.env.stream("c")["senders"]["cut"], 3, "{interpreter}");
        stage.env.down("c");
        let audit = read_text(stage.env.path("state/c/audit.jsonl"));
        let counts = ["\"why\":\"end\"", "\"why\":\"cut\""].map(|why| audit.matches(why).count());
        assert_eq!(counts, [1, 3], "{interpreter}: {audit}");
    }
}

#[test]
fn whoever_is_not_let_in_is_reset_and_nothing_is_kept_of_it() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let lines = [programs.line(), "LogLevel DEBUG2".into()];
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        let (env, sshd, run) = try_relay(&lines, "", &["--max-connections", "1", "--json"], 0);
        let up = env.started(run);
        let first = Sender::open(up.port());
        env.wait_collector("c", "has one", |c| c["streams"][0]["senders"]["open"] == 1);
        let before = sshd.log().len();
        let connect = |port| {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(SOON)).unwrap();
            stream
        };
        let mut second = connect(up.port());
        second.write_all(b"not stored\n").unwrap();
        let _ = second.shutdown(std::net::Shutdown::Write);
        let heard = second.read(&mut [0; 9]);
        assert_eq!(heard.map_err(|e| e.kind()), Err(std::io::ErrorKind::ConnectionReset), "{interpreter}");
        // Nor of who comes by the forward and goes when it is told to.
        let mut stranger = connect(behind(&sshd));
        stranger.write_all(b"a line\n").unwrap();
        assert_eq!(stranger.read(&mut [0; 9]).map_err(|e| e.kind()), Ok(0), "{interpreter}");
        drop(stranger);
        // The library forgets a channel that the server closes first.
        let closed = wait_until("both channels are closed", SOON, || {
            let log = sshd.log();
            let words = log[before..].lines().filter_map(|line| line.split_once("channel "));
            let closed: Vec<String> = words
                .map(|(_, word)| word.trim().to_owned())
                .filter(|word| word.ends_with(": rcvd close") || word.ends_with(": send close"))
                .collect();
            (closed.len() >= 4).then_some(closed)
        });
        let sent = closed.iter().map(|word| word.ends_with("send close")).collect::<Vec<_>>();
        assert_eq!(sent, [true, false, true, false], "{interpreter}: {closed:?}");
        first.finish();
        env.down("c");
    }
}

/// Ports of connections to `port` that are not made yet.
fn knocking(port: u16) -> Vec<u16> {
    let table = read_text("/proc/net/tcp");
    let port_of = |word: &str| u16::from_str_radix(word.rsplit_once(':').unwrap().1, 16).unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[3] == "02" && port_of(row[2]) == port).map(|row| port_of(row[1])).collect()
}

#[test]
fn whoever_finds_the_queue_of_sshd_full_knocks_again_soon() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let (pid, forward) = (helper(&stage.sshd), behind(&stage.sshd));
        let sessions: Vec<u32> = stage.sshd.sessions().into_iter().filter(|session| *session != pid).collect();
        let all = |signal| sessions.iter().for_each(|session| procs::signal(*session, signal));
        all(Signal::STOP);
        let mut senders: Vec<Sender> = (0..300).map(|_| Sender::open(stage.port())).collect();
        for (n, sender) in senders.iter_mut().enumerate() {
            sender.write(format!("{n:03}\n"));
        }
        let full = || Some(knocking(forward)).filter(|ports| !ports.is_empty());
        let before = wait_until("its queue is full", SOON, full);
        wait_until("others knock", SOON, || {
            let now = full()?;
            now.iter().all(|port| !before.contains(port)).then_some(())
        });
        all(Signal::CONT);
        stage.env.wait_received("c", 1200);
        senders.into_iter().for_each(Sender::finish);
        let now = stage.env.wait_collector("c", "is empty", |c| c["streams"][0]["senders"]["open"] == 0);
        let senders = &now["streams"][0]["senders"];
        assert_eq!((&senders["accepted"], &senders["cut"]), (&300.into(), &0.into()), "{interpreter}: {now}");
        assert_eq!(number(&senders["rejected"]["relay"]), 0, "{interpreter}: {now}");
        stage.env.down("c");
    }
}

#[test]
fn a_relay_that_may_open_no_more_files_loses_nobody() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        for more in [6, 7] {
            let stage = Stage::with(&[interpreter]);
            let pid = helper(&stage.sshd);
            let files = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count() as u64;
            let limit = rustix::process::Rlimit { current: Some(files + more), maximum: Some(files + more) };
            let target = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap());
            rustix::process::prlimit(target, rustix::process::Resource::Nofile, limit).unwrap();
            let mut senders: Vec<Sender> = (0..20).map(|_| Sender::open(stage.port())).collect();
            for (n, sender) in senders.iter_mut().enumerate() {
                sender.write(format!("{n}\n"));
            }
            let some = |c: &serde_json::Value| number(&c["streams"][0]["ledger"]["received"]) >= 4;
            stage.env.wait_collector("c", "has heard some", some);
            senders.into_iter().for_each(Sender::finish);
            stage.env.down("c");
            assert_eq!(read_text(stage.env.path("out")).lines().count(), 20, "{interpreter}, {more} more files");
        }
    }
}

#[test]
fn a_port_that_the_relay_chose_is_asked_for_again() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let (env, sshd, run) = try_relay(&[&programs.line()], "", &["--json"], 0);
        let up = env.started(run);
        assert!(listening(up.port()));
        send(up.port(), "one\n");
        // So is it by whoever wants a new connection.
        env.run(&["kick", "c"]).ok();
        env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert_eq!(env.stream("c")["remote_port"], up.port());
        assert_eq!(helpers(&sshd).len(), 1);
        send(up.port(), "two\n");
        env.down("c");
        assert_eq!(read(env.path("out")), b"one\ntwo\n");
    }
}

#[test]
fn a_cut_network_leaves_one_relay_and_not_two() {
    require!("sshd", "ip", "nft", "bash", "python3");
    let programs = Programs::with(&["python3"]);
    let lines = ["GatewayPorts no", &programs.line()];
    let Some(world) = World::lay("a_cut_network_leaves_one_relay_and_not_two", &lines) else { return };
    let env = Env::new();
    world.trust(&env, THERE);
    let config = read_text(env.path("ssh_config"));
    env.write("ssh_config", config + "  ServerAliveInterval 1\n");
    let args = relay(&env, free_port());
    let up = world.up(&env, &args.iter().map(String::as_str).collect::<Vec<_>>());
    let old = helper(world.sshd());
    world.nft(
        "add table inet cut; add chain inet cut in { type filter hook input priority 0; policy drop; }; \
         add rule inet cut in iif lo accept",
    );
    env.wait_state("c", "waiting");
    assert!(procs::alive(old), "its sshd has not noticed anything");
    world.nft("delete table inet cut");
    env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
    assert!(!procs::alive(old));
    helper(world.sshd());
    assert!(world.send(THERE, up.port(), "again"));
    wait_for_text(env.path("out"), "again\n");
    env.down("c");
}

/// A profile with a stream that is relayed if need be.
fn auto(lines: &[&str], more: &str) -> (Env, Sshd, common::Run) {
    let (env, sshd) = (Env::new(), Sshd::with_lines(lines));
    env.trust(&sshd);
    let (port, out) = (free_port(), env.arg("out"));
    let stream = format!("remote_port: {port}, out: {out}, relay: auto{more}");
    env.write("config/profiles/c.yaml", format!("target: jump\nstreams:\n  main: {{ {stream} }}\n"));
    let config = env.arg("ssh_config");
    let run = env.run(&["up", "c", "-F", &config, "--json"]);
    (env, sshd, run)
}

#[test]
fn a_relay_if_need_be_runs_where_sshd_binds_loopback_alone() {
    require!("sshd", "python3");
    for (gateway_ports, relays) in [("no", 1), ("yes", 0), ("clientspecified", 0)] {
        let (env, sshd, run) = auto(&[&format!("GatewayPorts {gateway_ports}")], "");
        let up = env.started(run);
        assert_eq!(helpers(&sshd).len(), relays, "GatewayPorts {gateway_ports}");
        send(up.port(), "one\n");
        sshd.kill_sessions();
        env.wait_collector("c", "is up again", |c| c["state"] == "up" && c["reconnects"] == 1);
        assert_eq!(helpers(&sshd).len(), relays, "GatewayPorts {gateway_ports}");
        send(up.port(), "two\n");
        env.down("c");
        assert_eq!(read(env.path("out")), b"one\ntwo\n");
    }
}

#[test]
fn a_relay_if_need_be_that_is_not_to_be_had_is_a_warning() {
    require!("sshd");
    let programs = Programs::with(&[]);
    let (env, sshd, run) = auto(&["GatewayPorts no", &programs.line()], "");
    let told = run.stderr.clone();
    let up = env.started(run);
    assert!(told.contains("going on without a relay"), "{told}");
    assert_eq!(helpers(&sshd).len(), 0);
    send(up.port(), "on loopback\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"on loopback\n");
}

#[test]
fn senders_that_are_in_may_finish_while_it_goes_down() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let stage = Stage::with(&[interpreter]);
        let mut sender = Sender::open(stage.port());
        sender.write("begun, ");
        stage.env.wait_received("c", 7);
        let down = stage.env.spawn(&["down", "c"]);
        wait_until("nobody listens", SOON, || (!listening(stage.port())).then_some(()));
        sender.write("and finished\n");
        sender.finish();
        down.wait().ok();
        assert_eq!(read(stage.env.path("out")), b"begun, and finished\n");
        let audit = read_text(stage.env.path("state/c/audit.jsonl"));
        assert!(audit.contains("\"why\":\"end\"") && !audit.contains("\"cut\""), "{audit}");
    }
}

#[test]
fn a_sender_that_is_let_go_hears_so() {
    require!("sshd", "python3", "perl");
    for interpreter in INTERPRETERS {
        let programs = Programs::with(&[interpreter]);
        let (env, _sshd, run) = try_relay(&[&programs.line()], "", &["--max-connections", "1", "--json"], 0);
        let up = env.started(run);
        let first = Sender::open(up.port());
        env.wait_collector("c", "has one", |c| c["streams"][0]["senders"]["open"] == 1);
        let mut second = Sender::open(up.port());
        second.patience(Duration::from_secs(20));
        assert!(second.wait_closed(), "{interpreter}");
        first.finish();
        env.down("c");
    }
}
