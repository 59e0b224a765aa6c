//! A disk that takes nothing is not a dead connection, and a dead connection is noticed although the disk takes nothing.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::disk::{Disk, QUEUE};
use common::senders::{Over, check_cut, check_order, numbered, pour, send};
use common::snapshot::{assert_settled, number};
use common::{Env, SOON, Sshd, free_port, listening, read_text, wait_until};
use serde_json::Value;

/// A jump host that has no patience: three seconds without a word from us are the end.
const IMPATIENT: [&str; 2] = ["ClientAliveInterval 1", "ClientAliveCountMax 2"];

/// Five times as long as that, or as `RECLOG_STALL_SECONDS` says.
fn long() -> Duration {
    let seconds = std::env::var("RECLOG_STALL_SECONDS").ok();
    Duration::from_secs(seconds.map_or(15, |seconds| seconds.parse().expect("a number of seconds")))
}

/// The queue of the first stream is full, and its senders wait.
#[track_caller]
fn wait_full(env: &Env) -> Value {
    env.wait_collector("c", "has a full queue", |c| {
        c["state"] == "stalled" && number(&c["streams"][0]["ledger"]["pending"]) >= QUEUE
    })
}

/// KiB of memory that a process has, or (`VmHWM`) ever had.
#[track_caller]
fn memory(pid: u32, what: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix(what)?.strip_prefix(':')).expect("a figure");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Nothing is said about the connection, for `time`.
#[track_caller]
fn holds(env: &Env, time: Duration) {
    let begin = Instant::now();
    while begin.elapsed() < time {
        let c = env.snapshot("c");
        assert_eq!((&c["state"], &c["reconnects"], &c["last_error"]), (&"stalled".into(), &0.into(), &Value::Null));
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// `senders` push as fast as they can into a disk that is full, for longer than any of `hosts` waits.
#[track_caller]
fn survives(env: &Env, disk: &Disk, hosts: &[&Sshd], senders: usize, more: &[&str]) {
    let port = free_port();
    let up =
        env.up(&[&["--remote-port", &port.to_string(), "--out", &env.arg("disk/f"), "--name", "c"], more].concat());
    disk.fill(4096);
    let over = AtomicBool::new(false);
    let sent: Vec<usize> = std::thread::scope(|scope| {
        let _over = Over(&over);
        let over = &over;
        let threads: Vec<_> = (0..senders).map(|s| scope.spawn(move || pour(port, s, over))).collect();
        wait_full(env);
        holds(env, long());
        assert!(hosts.iter().all(|sshd| !sshd.log().contains("timed out")), "a host has lost its patience");
        let full = number(&env.stream("c")["ledger"]["pending"]);
        // One packet above the limit, and what came while the keys were renewed.
        assert!(full <= QUEUE + 7 * 1024 * 1024, "{full} bytes");
        let most = memory(up.pid, "VmHWM");
        assert!(most < 160 * 1024, "{most} KiB for a queue of {} KiB", QUEUE / 1024);
        over.store(true, Ordering::Relaxed);
        disk.free();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("disk/f"));
    assert_eq!(number(&stream["senders"]["cut"]), 0);
    let counts = check_order(&read_text(env.path("disk/f")));
    assert_eq!(counts.into_values().collect::<Vec<_>>(), sent);
    env.assert_nothing_left();
}

#[test]
fn a_long_stall_costs_neither_the_connection_nor_a_byte_nor_memory() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&IMPATIENT));
    env.trust(&sshd);
    // What 50 senders have on the way when the stall ends has to fit, too.
    let disk = disk!(env, "640m");
    survives(&env, &disk, &[&sshd], 50, &[]);
}

#[test]
fn the_same_while_the_jump_host_wants_new_keys_and_sends_compressed() {
    require!("sshd");
    let lines = [&IMPATIENT[..], &["RekeyLimit 1M"]].concat();
    let (env, sshd) = (Env::new(), Sshd::with_lines(&lines));
    env.trust(&sshd);
    let disk = disk!(env, "384m");
    survives(&env, &disk, &[&sshd], 4, &["-o", "Compression=yes"]);
}

#[test]
fn the_same_behind_a_hop() {
    require!("sshd");
    let (hop, jump) = (Sshd::with_lines(&IMPATIENT), Sshd::with_lines(&IMPATIENT));
    let env = Env::new();
    let block = |name: &str, sshd: &Sshd, more: &str| {
        let known = env.write(&format!("known_{name}"), sshd.known_hosts());
        let (lines, key) = (sshd.config_lines(), sshd.user_key("ed25519"));
        format!(
            "Host {name}\n{lines}  IdentityFile {}\n  UserKnownHostsFile {}\n{more}",
            key.display(),
            known.display()
        )
    };
    env.write("ssh_config", block("hop", &hop, "") + &block("jump", &jump, "  ProxyJump hop\n"));
    let disk = disk!(env, "384m");
    survives(&env, &disk, &[&hop, &jump], 4, &[]);
}

#[test]
fn a_connection_that_dies_in_a_stall_is_made_anew_before_the_stall_ends() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let disk = disk!(env, "384m");
    let port = free_port();
    env.up(&["--remote-port", &port.to_string(), "--out", &env.arg("disk/f"), "--name", "c"]);
    disk.fill(4096);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&over);
        let over = &over;
        let first: Vec<_> = (0..4).map(|s| scope.spawn(move || pour(port, s, over))).collect();
        wait_full(&env);
        let begin = Instant::now();
        sshd.kill_sessions();
        let anew = env.wait_collector("c", "is connected anew", |c| c["state"] == "stalled" && c["reconnects"] == 1);
        assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
        assert!(anew["last_error"].as_str().is_some_and(|e| e.contains("was lost")), "{anew}");
        assert_eq!(anew["streams"][0]["senders"]["cut"], 4);
        for thread in first {
            let _ = thread.join();
        }
        let late = scope.spawn(move || pour(port, 9, over));
        env.wait_collector("c", "has let the next one in", |c| c["streams"][0]["senders"]["open"] == 1);
        over.store(true, Ordering::Relaxed);
        disk.free();
        let sent = late.join().unwrap();
        let down = env.run(&["down", "c", "--json"]).ok().last_event();
        assert_settled(&down["streams"][0], &env.path("disk/f"));
        let counts = check_cut(&read_text(env.path("disk/f")), 4);
        assert_eq!(counts.get(&9), Some(&sent), "whoever was not cut has lost nothing");
    });
    env.assert_nothing_left();
}

#[test]
fn a_kick_gets_every_port_back_although_one_stream_takes_nothing() {
    const STREAMS: usize = 8;
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let disk = disk!(env, "384m");
    let ports: Vec<u16> = (0..STREAMS).map(|_| free_port()).collect();
    let streams: Vec<String> = (0..STREAMS)
        .map(|n| {
            let out = if n == 0 { env.arg("disk/f") } else { env.arg(&format!("{n}.log")) };
            format!("  s{n}: {{ remote_port: {}, out: {out} }}\n", ports[n])
        })
        .collect();
    env.write("config/profiles/c.yaml", format!("target: jump\nstreams:\n{}", streams.concat()));
    env.started(env.run(&["up", "c", "-F", &env.arg("ssh_config"), "--json"]));
    disk.fill(4096);
    let over = AtomicBool::new(false);
    let port = ports[0];
    std::thread::scope(|scope| {
        let _over = Over(&over);
        let over = &over;
        // Whoever is cut comes back at once: at any moment of the reconnect somebody knocks.
        for s in 0..16 {
            scope.spawn(move || {
                let line = numbered(s, 0);
                while !over.load(Ordering::Relaxed) {
                    let Ok(stream) = std::net::TcpStream::connect(("127.0.0.1", port)) else { continue };
                    stream.set_write_timeout(Some(SOON)).unwrap();
                    let mut stream = stream;
                    while !over.load(Ordering::Relaxed)
                        && std::io::Write::write_all(&mut stream, line.as_bytes()).is_ok()
                    {}
                }
            });
        }
        wait_full(&env);
        for kick in 1..=3 {
            env.spawn(&["kick", "c"]).wait_for(SOON).ok();
            let back = env.wait_collector("c", "has all ports", |c| c["state"] == "stalled" && c["reconnects"] == kick);
            assert_eq!(back["last_error"], Value::Null, "at the first try");
            assert!(ports.iter().all(|port| listening(*port)));
        }
        over.store(true, Ordering::Relaxed);
        disk.free();
    });
    send(ports[1], "well\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("disk/f"));
    assert_eq!(read_text(env.path("1.log")), "well\n");
    for line in read_text(env.path("disk/f")).lines() {
        let whole = line.get(1..5).and_then(|s| s.parse().ok()).map(|s| numbered(s, 0));
        assert!(whole.is_none_or(|whole| whole.starts_with(line)), "torn line: {line:?}");
    }
    env.assert_nothing_left();
}

#[test]
fn down_in_a_stall_is_heard_by_the_jump_host_at_once() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let disk = disk!(env, "384m");
    let port = free_port();
    env.up(&["--remote-port", &port.to_string(), "--out", &env.arg("disk/f"), "--name", "c"]);
    disk.fill(4096);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _over = Over(&over);
        let over = &over;
        scope.spawn(move || pour(port, 0, over));
        wait_full(&env);
        let down = env.spawn(&["down", "c"]);
        wait_until("the port is closed although nothing is read", Duration::from_secs(5), || {
            (!listening(port)).then_some(())
        });
        let draining = env.snapshot("c");
        assert_eq!((&draining["state"], &draining["streams"][0]["senders"]["open"]), (&"draining".into(), &1.into()));
        over.store(true, Ordering::Relaxed);
        disk.free();
        down.wait_for(SOON).ok();
    });
    assert!(check_order(&read_text(env.path("disk/f")))[&0] > 0);
    env.assert_nothing_left();
}
