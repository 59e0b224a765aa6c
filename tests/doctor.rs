//! `reclog doctor`: every step against a real sshd, what it says when one fails, and that nothing is left behind.

mod common;

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use common::account::Account;
use common::disk::Disk;
use common::sshd::whoami;
use common::{Env, Run, SOON, Sshd, accept, free_port, keygen, listening, read_text, send, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// `reclog doctor jump … --json`, to its end.
fn doctor(env: &Env, more: &[&str]) -> Run {
    let args = env.to_jump(&["doctor", "jump", "--json"], more);
    env.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The step of this name.
#[track_caller]
fn step<'a>(events: &'a [Value], name: &str) -> &'a Value {
    events.iter().find(|e| e["step"] == name).unwrap_or_else(|| panic!("no step {name}: {events:#?}"))
}

#[track_caller]
fn verdict(events: &[Value], name: &str) -> String {
    step(events, name)["verdict"].as_str().expect("a verdict").to_owned()
}

#[track_caller]
fn message(events: &[Value], name: &str) -> String {
    step(events, name)["message"].as_str().expect("a message").to_owned()
}

/// Every step has this verdict.
#[track_caller]
fn assert_verdicts(events: &[Value], expected: &[(&str, &str)]) {
    for (name, wanted) in expected {
        assert_eq!(verdict(events, name), *wanted, "{:#}", step(events, name));
    }
}

/// Everything below `folder`, with its bytes.
fn everything(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>)> {
    let mut all = Vec::new();
    for entry in folder.read_dir().into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            all.extend(everything(&path));
            all.push((path, None));
        } else {
            all.push((path.clone(), std::fs::read(&path).ok()));
        }
    }
    all.sort();
    all
}

#[test]
fn every_step_is_told_in_its_order_and_leaves_nothing_behind() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    env.write("work/out", "what was there\n");
    let before = everything(&env.path("."));
    let run = doctor(&env, &["--remote-port", &port.to_string(), "--out", "out"]).ok();
    let events = run.events();
    let names: Vec<&str> = events.iter().filter_map(|e| e["step"].as_str()).collect();
    let order = [
        "resolve",
        "tcp",
        "banner",
        "algorithms",
        "host-key",
        "authentication",
        "output",
        "forward",
        "bind-address",
        "reach",
        "sender-address",
        "clock",
        "idle-limits",
        "byte-in-file",
        "throughput",
    ];
    assert_eq!(names, order);
    let good = ["resolve", "tcp", "banner", "algorithms", "host-key", "authentication", "output", "forward", "clock"];
    assert_verdicts(&events, &good.map(|name| (name, "ok")));
    assert_verdicts(&events, &[("idle-limits", "ok"), ("byte-in-file", "ok"), ("throughput", "ok")]);
    assert!(message(&events, "banner").starts_with("OpenSSH_"), "{events:#?}");
    assert!(message(&events, "host-key").contains(&sshd.fingerprint("ed25519")), "{events:#?}");
    assert!(message(&events, "authentication").contains("user_ed25519"), "{events:#?}");
    assert!(message(&events, "forward").contains(&port.to_string()), "{events:#?}");
    assert!(message(&events, "throughput").contains("B/s"), "{events:#?}");
    let last = events.last().unwrap();
    assert_eq!((&last["event"], &last["exit_code"]), (&"doctor".into(), &0.into()), "{last}");

    assert_eq!(everything(&env.path(".")), before, "a file was made or changed");
    wait_until("the port is closed", SOON, || (!listening(port)).then_some(()));
    env.assert_nothing_left();
}

/// The port in the message of `forward`.
#[track_caller]
fn port_of(events: &[Value]) -> u16 {
    let text = message(events, "forward");
    text.split(|c: char| !c.is_ascii_digit()).find_map(|word| word.parse().ok()).expect("a port")
}

#[test]
fn a_host_that_cannot_be_found_or_reached_stops_what_needs_it_and_nothing_else() {
    let env = Env::new();
    let doctor = |target: &str, more: &[&str]| {
        let run = env.run(&[&["doctor", target, "-F", "no_config", "--json", "--out", "f"], more].concat());
        assert_eq!(run.last_event()["exit_code"], 1, "{}", run.stdout);
        run.fails(1).hinted().events()
    };
    let nowhere = doctor("x@no-such-host.invalid", &[]);
    assert_verdicts(&nowhere, &[("resolve", "failed"), ("tcp", "skipped"), ("forward", "skipped"), ("output", "ok")]);

    let port = free_port().to_string();
    let closed = doctor("x@127.0.0.1", &["-p", &port]);
    assert_verdicts(&closed, &[("resolve", "ok"), ("tcp", "failed"), ("banner", "skipped"), ("output", "ok")]);
    assert!(step(&closed, "tcp")["details"][0].as_str().unwrap().contains("refused"), "{closed:#?}");

    // Something else than SSH, which says hello and stays.
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let talker = std::thread::spawn(move || {
        let mut stream = accept(&other);
        let _ = stream.write_all(b"220 mail.example.org ESMTP\r\n");
        stream
    });
    let other = doctor("x@127.0.0.1", &["-p", &port, "-o", "ConnectTimeout=1"]);
    assert_verdicts(&other, &[("tcp", "ok"), ("banner", "failed"), ("algorithms", "skipped"), ("host-key", "skipped")]);
    drop(talker.join());
    assert!(!env.path("work/f").exists());
}

#[test]
fn another_host_key_is_exit_code_5() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let other = Sshd::start();
    let wrong = format!("[127.0.0.1]:{} {}\n", sshd.port, other.host_key_public("ed25519"));
    let known = env.write("known_hosts", &wrong);
    let events = doctor(&env, &[]).fails(5).hinted().events();
    assert_verdicts(&events, &[("banner", "ok"), ("algorithms", "cannot-tell"), ("host-key", "failed")]);
    assert_verdicts(&events, &[("authentication", "skipped"), ("forward", "skipped"), ("throughput", "skipped")]);
    assert_eq!(events.last().unwrap()["exit_code"], 5);
    assert_eq!(read_text(&known), wrong);
}

#[test]
fn a_host_key_that_nobody_was_asked_about_is_not_written_down() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let known = env.write("known_hosts", "");
    let events = doctor(&env, &["-o", "StrictHostKeyChecking=accept-new"]).ok().events();
    assert_verdicts(&events, &[("host-key", "warning"), ("authentication", "ok"), ("forward", "ok")]);
    assert!(message(&events, "host-key").contains(&sshd.fingerprint("ed25519")), "{events:#?}");
    assert_eq!(read_text(&known), "", "known_hosts");
    // `up` does write it down.
    let up = env.up(&["-o", "StrictHostKeyChecking=accept-new", "--remote-port", "0", "--out", "f"]);
    assert!(read_text(&known).contains("ssh-ed25519"));
    env.down(&up.name);
    // And so does a person who says yes.
    std::fs::write(&known, "").unwrap();
    let yes = env.write("yes", "#!/bin/sh\necho yes\n");
    std::fs::set_permissions(&yes, std::fs::Permissions::from_mode(0o755)).unwrap();
    let args = env.to_jump(&["doctor", "jump", "--json"], &["-o", "StrictHostKeyChecking=ask"]);
    let mut command = env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>());
    command.env("SSH_ASKPASS", &yes).env("SSH_ASKPASS_REQUIRE", "force");
    let events = common::Bg::spawn(command).wait().ok().events();
    assert_verdicts(&events, &[("host-key", "ok")]);
    assert!(read_text(&known).contains("ssh-ed25519"));
}

#[test]
fn a_key_that_the_server_does_not_know_is_exit_code_4() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let other = env.path("other");
    keygen(&other, "ed25519");
    let config = read_text(env.path("ssh_config"));
    let right = sshd.user_key("ed25519").display().to_string();
    env.write("ssh_config", config.replace(&right, other.to_str().unwrap()));
    let events = doctor(&env, &["-i", other.to_str().unwrap()]).fails(4).hinted().events();
    assert_verdicts(&events, &[("host-key", "ok"), ("authentication", "failed"), ("forward", "skipped")]);
    assert_eq!(events.last().unwrap()["exit_code"], 4);
}

#[test]
fn a_port_that_is_not_granted_is_exit_code_4_and_the_rest_is_told() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["AllowTcpForwarding no"]));
    env.trust(&sshd);
    let events = doctor(&env, &["--remote-port", "55514", "--out", "f"]).fails(4).hinted().events();
    assert_verdicts(&events, &[("authentication", "ok"), ("forward", "failed"), ("reach", "skipped")]);
    assert_verdicts(&events, &[("byte-in-file", "skipped"), ("clock", "ok"), ("idle-limits", "ok")]);
    assert!(message(&events, "forward").contains("55514"), "{events:#?}");
}

#[test]
fn an_output_that_cannot_be_written_is_exit_code_1_and_the_port_is_examined_all_the_same() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let out = |out: &str| {
        let events = doctor(&env, &["--out", out]).fails(1).hinted().events();
        assert_verdicts(&events, &[("output", "failed"), ("forward", "ok"), ("byte-in-file", "skipped")]);
        assert_verdicts(&events, &[("throughput", "skipped"), ("clock", "ok")]);
        message(&events, "output")
    };
    assert!(out("no/such/folder/f").contains("cannot make a file in"));
    std::fs::create_dir(env.path("work/folder")).unwrap();
    assert!(out("folder").contains("no regular file"));
    let Some(disk) = Disk::mount(&env, "an_output_that_cannot_be_written", "96m") else { return };
    disk.fill(1024 * 1024);
    let text = out(&env.arg("disk/f"));
    assert!(text.contains("senders would have to wait"), "{text}");
    let names: Vec<_> = disk.0.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["filler"]);
}

#[test]
fn an_account_without_a_shell_is_no_failure_and_what_cannot_be_told_is_said() {
    require!("sshd");
    let Some(account) = Account::with_shell("an_account_without_a_shell", "/usr/sbin/nologin") else { return };
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["PermitOpen none"]));
    std::fs::set_permissions(sshd.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    env.trust(&sshd);
    let config = read_text(env.path("ssh_config"));
    env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {}\n", account.name)));
    let run = doctor(&env, &["--bind", "localhost"]).ok();
    let events = run.events();
    assert_verdicts(&events, &[("forward", "ok"), ("bind-address", "cannot-tell"), ("clock", "cannot-tell")]);
    assert_verdicts(&events, &[("idle-limits", "cannot-tell"), ("byte-in-file", "cannot-tell")]);
    assert_verdicts(&events, &[("throughput", "skipped"), ("output", "skipped")]);
}

#[test]
fn limits_that_would_end_a_quiet_collector_are_found_with_what_to_write() {
    require!("sshd");
    let block = format!("Match User {}", whoami());
    let lines = ["UnusedConnectionTimeout 5m", &block, "ChannelTimeout forwarded-tcpip=10m", "Match all"];
    let (env, sshd) = (Env::new(), Sshd::with_lines(&[]));
    // At the end, where a Match block has its place; a running sshd reads it at SIGHUP, `sshd -T` at once.
    let config = read_text(sshd.file("sshd_config"));
    std::fs::write(sshd.file("sshd_config"), format!("{}\n{config}{}\n", lines[0], lines[1..].join("\n"))).unwrap();
    env.trust(&sshd);
    let run = doctor(&env, &[]).ok();
    let events = run.events();
    assert_verdicts(&events, &[("idle-limits", "warning")]);
    let text = message(&events, "idle-limits");
    assert!(text.contains("cut after 5 min") && text.contains("quiet for 10 min"), "{text}");
    let hint = step(&events, "idle-limits")["hint"].as_str().unwrap();
    assert!(hint.contains(&block) && hint.contains("UnusedConnectionTimeout none"), "{hint}");
    assert!(hint.contains("ChannelTimeout none"), "{hint}");
    assert_eq!(events.last().unwrap()["verdict"], "warning");
}

#[test]
fn weak_algorithms_are_a_warning() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["KexAlgorithms diffie-hellman-group14-sha1"]));
    env.trust(&sshd);
    let events = doctor(&env, &["-o", "KexAlgorithms=+diffie-hellman-group14-sha1"]).ok().events();
    assert_verdicts(&events, &[("algorithms", "warning"), ("forward", "ok")]);
    assert!(message(&events, "algorithms").contains("diffie-hellman-group14-sha1"), "{events:#?}");
}

#[test]
fn a_collector_that_has_the_port_is_told_and_left_in_peace() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    let (config, out) = (env.arg("ssh_config"), env.arg("out"));
    let profile = format!("target: jump\nstreams: {{ main: {{ remote_port: {port}, out: {out} }} }}\n");
    env.write("config/profiles/p.yaml", profile);
    let up = env.started(env.run(&["up", "p", "-F", &config, "--json"]));
    send(port, "a line\n");
    env.wait_received("p", 7);
    let events = env.run(&["doctor", "p", "-F", &config, "--json"]).ok().events();
    assert_verdicts(&events, &[("forward", "ok"), ("byte-in-file", "ok"), ("sender-address", "skipped")]);
    assert_ne!(port_of(&events), port);
    let details = step(&events, "forward")["details"].to_string();
    assert!(details.contains(&format!("port {port} belongs to the collector")), "{details}");
    assert!(message(&events, "reach").contains(&format!("port {port}: the collector")), "{events:#?}");
    let stream = env.stream("p");
    assert_eq!(stream["senders"]["accepted"], 1, "{stream}");
    assert_eq!(stream["senders"]["rejected"], serde_json::json!({}), "{stream}");
    env.down(&up.name);
    assert_eq!(read_text(&out), "a line\n");
}

#[test]
fn a_key_that_may_open_its_own_port_alone_is_examined_as_far_as_it_goes() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    sshd.user_key_with("ed25519", &format!("restrict,port-forwarding,permitlisten=\"{port}\""));
    env.trust(&sshd);
    // Without its port nothing is granted, and it is said what to do.
    let run = doctor(&env, &[]).fails(4);
    assert!(run.stderr.contains("name it: --remote-port"), "{}", run.stderr);
    let text = port.to_string();
    assert_verdicts(&doctor(&env, &["--remote-port", &text]).ok().events(), &[("byte-in-file", "ok")]);
    // While a collector has the port, nobody can tell.
    env.up(&["--remote-port", &text, "--out", &env.arg("f"), "--name", "c"]);
    let events = doctor(&env, &["--remote-port", &text]).ok().events();
    assert_verdicts(&events, &[("forward", "cannot-tell"), ("reach", "skipped"), ("byte-in-file", "skipped")]);
    assert!(step(&events, "forward")["hint"].as_str().unwrap().contains("reclog down c"), "{events:#?}");
    env.down("c");
}

#[test]
fn a_relay_opens_the_ports_of_streams_that_have_one() {
    require!("sshd", "python3");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["GatewayPorts no"]));
    env.trust(&sshd);
    let ports = [free_port(), free_port()];
    let profile = format!(
        "target: jump\nstreams:\n  a: {{ remote_port: {}, relay: always, out: {} }}\n  b: {{ udp: true, remote_port: {}, \
         relay: auto, out: {} }}\n",
        ports[0],
        env.arg("a"),
        ports[1],
        env.arg("b")
    );
    env.write("config/profiles/p.yaml", profile);
    let run = env.run(&["doctor", "p", "-F", &env.arg("ssh_config"), "--json"]).ok();
    let events = run.events();
    let all: Vec<&Value> = events.iter().filter(|e| e["step"] == "forward").collect();
    assert!(all.len() == 2 && all[0]["stream"] == "a" && all[1]["stream"] == "b", "{all:#?}");
    for (port, (forward, bound)) in
        ports.iter().zip(all.iter().zip(events.iter().filter(|e| e["step"] == "bind-address")))
    {
        assert_eq!(forward["message"], format!("port {port} is open, by a relay on the jump host"));
        assert!(bound["message"].as_str().unwrap().contains("0.0.0.0"), "{bound:#?}");
        assert!(!listening(*port), "nothing is left behind");
    }
    assert_verdicts(&events, &[("forward", "ok"), ("bind-address", "ok")]);
    assert_verdicts(&events, &[("byte-in-file", "ok"), ("throughput", "ok")]);
}

#[test]
fn a_relay_that_cannot_start_is_refused_as_up_refuses_it() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["ForceCommand /bin/false"]));
    env.trust(&sshd);
    let profile = format!(
        "target: jump\nstreams:\n  a: {{ remote_port: {}, relay: always, out: {} }}\n",
        free_port(),
        env.arg("a")
    );
    env.write("config/profiles/p.yaml", profile);
    let events = env.run(&["doctor", "p", "-F", &env.arg("ssh_config"), "--json"]).fails(4).events();
    assert_verdicts(&events, &[("forward", "failed"), ("reach", "skipped"), ("byte-in-file", "skipped")]);
    assert!(step(&events, "forward")["hint"].as_str().unwrap().contains("python3"), "{events:#?}");
}

#[test]
fn hosts_on_the_way_are_told_and_a_hop_that_fails_is_named() {
    require!("sshd");
    let (env, hop, sshd) = (Env::new(), Sshd::start(), Sshd::start());
    env.trust(&sshd);
    let config = read_text(env.path("ssh_config"));
    let known = env.write("known_hosts", sshd.known_hosts() + &hop.known_hosts());
    let key = hop.user_key("ed25519");
    let lines = format!("IdentityFile {}\n  UserKnownHostsFile {}\n", key.display(), known.display());
    let block = format!("Host hop\n  {lines}{}Host jump\n  ProxyJump hop\n", hop.config_lines());
    env.write("ssh_config", block.clone() + &config);
    let events = doctor(&env, &[]).ok().events();
    assert!(message(&events, "tcp").contains(&hop.port.to_string()), "{events:#?}");
    assert!(step(&events, "banner")["details"].to_string().contains("reached through"), "{events:#?}");
    assert_verdicts(
        &events,
        &[("authentication", "ok"), ("forward", "ok"), ("byte-in-file", "ok"), ("throughput", "ok")],
    );
    // The key of the hop is another one.
    env.write(
        "known_hosts",
        sshd.known_hosts() + &sshd.known_hosts().replace(&sshd.port.to_string(), &hop.port.to_string()),
    );
    let events = doctor(&env, &[]).fails(5).events();
    assert_verdicts(&events, &[("host-key", "failed"), ("authentication", "skipped")]);
    assert!(message(&events, "host-key").contains("hop 1 of 1"), "{events:#?}");
}

#[test]
fn behind_a_program_nothing_is_said_about_names_and_addresses() {
    require!("sshd", "socat");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let proxy = format!("ProxyCommand=socat - TCP:127.0.0.1:{}", sshd.port);
    let events = doctor(&env, &["-o", &proxy]).ok().events();
    assert_verdicts(&events, &[("resolve", "skipped"), ("tcp", "skipped"), ("banner", "ok"), ("byte-in-file", "ok")]);
}

#[test]
fn a_port_that_another_program_has_is_a_failure() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    let _other = TcpListener::bind(("0.0.0.0", port)).unwrap();
    let _too = TcpListener::bind(("::1", port));
    let events = doctor(&env, &["--remote-port", &port.to_string()]).fails(4).events();
    assert_verdicts(&events, &[("forward", "failed"), ("clock", "ok")]);
}

#[test]
fn ctrl_c_in_the_middle_closes_everything() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    let before = everything(&env.path("."));
    for signal in [Signal::INT, Signal::TERM] {
        let args = env.to_jump(&["doctor", "jump"], &["--remote-port", &port.to_string(), "--out", "out"]);
        let mut run = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
        // The step after it pushes bytes for two seconds.
        run.wait_stdout("byte-in-file");
        wait_until("bytes are in the file", SOON, || {
            let files = env.path("work").read_dir().unwrap().flatten();
            files.filter_map(|f| f.metadata().ok()).any(|m| m.len() > 1_000_000).then_some(())
        });
        assert!(listening(port));
        run.signal(signal);
        let run = run.wait();
        assert_eq!(run.status.code(), Some(130), "{}\n{}", run.stdout, run.stderr);
        assert!(!run.stdout.contains("throughput"), "{}", run.stdout);
        wait_until("the port is closed", SOON, || (!listening(port)).then_some(()));
        wait_until("the session is over", SOON, || sshd.sessions().is_empty().then_some(()));
        assert_eq!(everything(&env.path(".")), before, "a file was left");
    }
    env.assert_nothing_left();
}

#[test]
fn a_person_reads_a_line_a_step_in_80_columns() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["UnusedConnectionTimeout 5m"]));
    env.trust(&sshd);
    let args = env.to_jump(&["doctor", "jump"], &[]);
    let run = env.run(&args.iter().map(String::as_str).collect::<Vec<_>>()).ok();
    let long: Vec<&str> = run.stdout.lines().filter(|line| line.chars().count() > 80).collect();
    assert_eq!(long, Vec::<&str>::new(), "{}", run.stdout);
    for start in ["✔ resolve ", "✔ banner ", "! idle-limits ", "- output ", "    hint: in sshd_config there"] {
        assert!(run.stdout.lines().any(|line| line.starts_with(start)), "{start:?} in {}", run.stdout);
    }
    assert!(run.stdout.contains("\n      Match User ") && run.stdout.contains("nothing failed"), "{}", run.stdout);
    assert_eq!(run.stderr, "");
    assert!(!run.stdout.contains('\x1b'), "no colours in a pipe");
}

#[test]
fn a_profile_that_listens_here_has_no_jump_host_to_examine() {
    let env = Env::new();
    env.write("config/profiles/p.yaml", "streams: { main: { listen: 7001, out: /tmp/x } }\n");
    env.run(&["doctor", "p"]).fails(2).hinted().says("no jump host");
    env.run(&["doctor", "p", "--json"]).fails(2).prints("\"event\":\"doctor\"");
}
