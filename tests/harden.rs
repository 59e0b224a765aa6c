//! `reclog harden`: what it prints is taken by a real sshd and enough for a collector; `--check` finds what is open.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use common::account::Account;
use common::sshd::whoami;
use common::{Env, Run, SOON, Sshd, find_program, free_port, listening, read, read_text, send, wait_until};
use rustix::process::Signal;
use serde_json::Value;

fn harden(env: &Env, more: &[&str]) -> Run {
    let args = env.to_jump(&["harden", "jump"], more);
    env.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The lines for authorized_keys and sshd_config, for these options.
#[track_caller]
fn lines(env: &Env, more: &[&str]) -> (String, String) {
    let event = harden(env, &[&["--json"], more].concat()).ok().last_event();
    let text = |key: &str| event[key].as_str().unwrap_or_else(|| panic!("no {key}: {event}")).to_owned();
    (text("authorized_keys"), text("sshd_config"))
}

/// A jump host whose account has this line of authorized_keys and this block of sshd_config.
fn hardened(env: &Env, key_from: &Sshd, authorized_keys: Option<&str>, block: Option<&str>) -> Sshd {
    let mut all: Vec<&str> = block.into_iter().flat_map(str::lines).collect();
    if !all.is_empty() {
        all.push("Match all");
    }
    let sshd = Sshd::with_lines(&all);
    let key = key_from.user_key("ed25519");
    std::fs::copy(&key, sshd.file("user_ed25519")).unwrap();
    std::fs::copy(key.with_extension("pub"), sshd.file("user_ed25519.pub")).unwrap();
    let plain = read_text(key.with_extension("pub"));
    std::fs::write(sshd.file("authorized_keys"), format!("{}\n", authorized_keys.unwrap_or(plain.trim()))).unwrap();
    std::fs::set_permissions(sshd.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    env.trust(&sshd);
    sshd
}

/// A whole life of a collector.
#[track_caller]
fn works(env: &Env, port: u16, more: &[&str]) {
    let port = port.to_string();
    let up = env.up(&[&["--remote-port", &port, "--out", &env.arg("out"), "--name", "c"], more].concat());
    send(up.port(), "a line\n");
    env.wait_received("c", 7);
    env.down("c");
    assert_eq!(read(env.path("out")), b"a line\n");
    std::fs::remove_file(env.path("out")).unwrap();
}

/// What `--check` found, by name.
#[track_caller]
fn verdict(events: &[Value], name: &str) -> String {
    let step = events.iter().find(|e| e["step"] == name).unwrap_or_else(|| panic!("no {name}: {events:#?}"));
    step["verdict"].as_str().unwrap().to_owned()
}

/// The names of what has this verdict.
fn with_verdict(events: &[Value], wanted: &str) -> Vec<String> {
    let all = events.iter().filter(|e| e["verdict"] == wanted);
    all.map(|e| e["step"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_key_hardened_as_printed_does_its_work_and_nothing_else() {
    require!("sshd");
    let (env, open, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&open);
    let options = ["--remote-port", &port.to_string()];
    let (key, block) = lines(&env, &options);

    // Wide open: nearly everything is found, and how to close it.
    let run = harden(&env, &[&options[..], &["--check", "--json"]].concat()).fails(1).hinted();
    let events = run.events();
    let found = with_verdict(&events, "open");
    for name in ["command", "shell", "terminal", "loopback-port", "public-port", "connect-inside", "connect-outside"] {
        assert!(found.iter().any(|f| f == name), "{name} is not in {found:?}");
    }
    assert!(
        ["socket-listen", "socket-connect", "agent"].iter().all(|name| found.iter().any(|f| f == name)),
        "{found:?}"
    );
    assert_eq!(verdict(&events, "own-port"), "needed");
    for event in events.iter().filter(|e| e["verdict"] == "open") {
        assert!(event["hint"].as_str().unwrap().starts_with("sshd_config: "), "{event}");
    }
    assert_eq!(events.last().unwrap()["exit_code"], 1);

    // The block alone, and both.
    for keys in [None, Some(key.as_str())] {
        let sshd = hardened(&env, &open, keys, Some(&block));
        works(&env, port, &[]);
        let events = harden(&env, &[&options[..], &["--check", "--json"]].concat()).ok().events();
        assert_eq!(verdict(&events, "own-port"), "needed");
        assert_eq!(
            with_verdict(&events, "closed").len() + with_verdict(&events, "cannot-tell").len(),
            12,
            "{events:#?}"
        );
        let end = events.last().unwrap()["message"].as_str().unwrap();
        assert!(end.starts_with("none of what was tried is open") && end.contains("cannot be enumerated"), "{end}");
        // A socket that is not there is refused like one that is forbidden.
        assert!(with_verdict(&events, "cannot-tell").iter().all(|name| name == "socket-connect"), "{events:#?}");
        wait_until("the session is over", SOON, || sshd.sessions().is_empty().then_some(()));
        assert!(!listening(port));
    }

    // The key's line alone: all that authorized_keys can close is closed.
    let _sshd = hardened(&env, &open, Some(&key), None);
    works(&env, port, &[]);
    let run = harden(&env, &[&options[..], &["--check"]].concat()).fails(1);
    let open: Vec<&str> = run.stdout.lines().filter(|line| line.starts_with('✘')).collect();
    assert!(matches!(open[..], [line] if line.contains("make a Unix socket")), "{}", run.stdout);
    assert!(run.stdout.contains("hint: sshd_config: AllowStreamLocalForwarding no"), "{}", run.stdout);
    assert!(run.stderr.contains("user_ed25519 can do more than it needs: make a Unix socket"), "{}", run.stderr);
    assert!(run.stdout.lines().all(|line| line.chars().count() <= 80), "{}", run.stdout);
}

#[test]
fn each_single_thing_that_is_left_open_is_named() {
    require!("sshd");
    let (env, open, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&open);
    let options = ["--remote-port", &port.to_string()];
    let (_, block) = lines(&env, &options);
    let listed = format!("PermitListen {port}");
    for (closed, opened, names) in [
        ("ForceCommand /bin/false\n    MaxSessions 0", "", &["command", "shell"][..]),
        ("PermitTTY no\n    ForceCommand /bin/false\n    MaxSessions 0", "ForceCommand /bin/false", &["terminal"]),
        (listed.as_str(), "PermitListen any", &["loopback-port", "public-port"]),
        (listed.as_str(), &format!("{listed} 127.0.0.1:*"), &["loopback-port"]),
        (
            "AllowTcpForwarding remote",
            "AllowTcpForwarding yes\n    PermitOpen any",
            &["connect-inside", "connect-outside"],
        ),
        ("AllowStreamLocalForwarding no", "AllowStreamLocalForwarding yes", &["socket-listen"]),
        (
            "AllowAgentForwarding no\n    X11Forwarding no\n    PermitTunnel no\n    PermitTTY no\n    \
             ForceCommand /bin/false\n    MaxSessions 0",
            "PermitTTY no\n    ForceCommand /bin/false",
            &["agent"],
        ),
    ] {
        assert!(block.contains(closed), "{closed:?} is not in {block}");
        let _sshd = hardened(&env, &open, None, Some(&block.replace(closed, opened)));
        let events = harden(&env, &[&options[..], &["--check", "--json"]].concat()).fails(1).events();
        assert_eq!(with_verdict(&events, "open"), names, "without {closed:?}");
    }
}

#[test]
fn a_forced_program_and_ports_that_are_listed_are_found() {
    require!("sshd");
    let (env, open, port) = (Env::new(), Sshd::with_lines(&["Subsystem sftp internal-sftp"]), free_port());
    env.trust(&open);
    let public = read_text(open.user_key("ed25519").with_extension("pub"));
    let key = |options: &str| {
        let key = format!("restrict,port-forwarding,permitlisten=\"{port}\",{options} {}", public.trim());
        std::fs::write(open.file("authorized_keys"), key + "\n").unwrap();
    };
    let check = || harden(&env, &["--remote-port", &port.to_string(), "--check", "--json"]);
    let closed = "permitopen=\"127.0.0.1:1\",command=\"/bin/false\"";
    key(closed);
    // It may be that nobody listens on any socket that is looked for.
    let events = check().fails(1).events();
    assert_eq!(with_verdict(&events, "open"), ["socket-listen"]);
    let forced = |command: &str| format!("permitopen=\"127.0.0.1:1\",command=\"{command}\"");
    for (options, found) in [
        (forced("internal-sftp"), &["command", "shell", "sftp"][..]),
        (forced("echo hello"), &["command", "shell", "sftp"]),
        (forced("sleep 60"), &["command", "shell", "sftp"]),
        (format!("{closed},permitlisten=\"{}\"", port + 1), &["loopback-port", "public-port"]),
        (format!("{closed},permitlisten=\"127.0.0.1:{}\"", port + 1), &["loopback-port"]),
        (format!("{closed},permitopen=\"localhost:{}\"", open.port), &["connect-inside"]),
    ] {
        key(&options);
        let events = check().fails(1).events();
        let all: Vec<String> = found.iter().copied().chain(["socket-listen"]).map(str::to_owned).collect();
        assert_eq!(with_verdict(&events, "open"), all, "{options}");
        let note = |name: &str| events.iter().find(|e| e["step"] == name).unwrap()["note"].clone();
        if found[0] == "command" {
            assert!(note("command").as_str().unwrap().contains("a forced command runs"), "{events:#?}");
        } else {
            assert!(note(found[0]).is_string(), "{events:#?}");
        }
    }
}

#[test]
fn the_block_is_one_that_sshd_takes_for_that_user() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let profile = "target: jump\nstreams:\n  a: { remote_port: 7001, out: /tmp/a }\n  \
                   b: { remote_port: 7002, bind: localhost, out: /tmp/b }\n  c: { remote_port: 0, bind: \"::1\", out: /tmp/c }\n";
    env.write("config/profiles/p.yaml", profile);
    let event = env.run(&["harden", "p", "-F", &env.arg("ssh_config"), "--json"]).ok().last_event();
    let block = event["sshd_config"].as_str().unwrap();
    let config = format!("{}\n{block}\n", read_text(sshd.file("sshd_config")));
    let file = env.write("sshd_config", config);
    let checked = |user: &str, extra: &[&str]| {
        let mut sshd = Command::new(find_program("sshd").unwrap());
        let mut sshd = sshd.args(extra).arg("-f").arg(&file);
        if extra == ["-T"] {
            sshd = sshd.args(["-C", &format!("user={user},host=h,addr=192.0.2.1")]);
        }
        let output = sshd.output().unwrap();
        assert!(output.status.success(), "{}\n{block}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    checked(&whoami(), &["-t"]);
    let (ours, other) = (checked(&whoami(), &["-T"]), checked("somebody-else", &["-T"]));
    for line in [
        "permitlisten *:7001 localhost:7002 [::1]:*",
        "permitopen none",
        "allowtcpforwarding remote",
        "gatewayports clientspecified",
        "allowstreamlocalforwarding no",
        "permittty no",
        "forcecommand /bin/false",
        "maxsessions 0",
        "clientaliveinterval 15",
    ] {
        let line = line.to_owned() + "\n";
        assert!(ours.contains(&line), "{line:?} is not in\n{ours}");
        assert!(!other.contains(&line) || line.starts_with("gatewayports"), "{line:?} holds for others, too");
    }
}

#[test]
fn every_way_to_listen_that_is_printed_lets_that_in_and_no_other() {
    require!("sshd", "ssh");
    let (env, open) = (Env::new(), Sshd::start());
    env.trust(&open);
    for (bind, port) in [("localhost", free_port()), ("127.0.0.1", 0), ("*", 0), ("::1", free_port())] {
        let text = port.to_string();
        let options = ["--remote-port", &text, "--bind", bind];
        let (key, block) = lines(&env, &options);
        for (key, block) in [(Some(key.as_str()), None), (None, Some(block.as_str()))] {
            let _sshd = hardened(&env, &open, key, block);
            let up = env.up(&[&options[..], &["--out", &env.arg("out"), "--name", "c"]].concat());
            assert!(up.port() != 0);
            env.down("c");
            let other = (free_port() + 1).to_string();
            let elsewhere = env.up_run(&["--remote-port", &other, "--bind", "127.0.0.2", "--out", &env.arg("out")]);
            if bind == "*" {
                elsewhere.ok();
                env.run(&["down", "--all"]).ok();
            } else {
                elsewhere.fails(4);
            }
            env.trust(&open);
        }
    }
}

#[test]
fn a_relay_needs_a_command_and_a_port_on_loopback_that_the_server_chooses() {
    require!("sshd", "ssh");
    let (env, open) = (Env::new(), Sshd::start());
    env.trust(&open);
    env.write(
        "config/profiles/p.yaml",
        "target: jump\nstreams: { main: { remote_port: 7001, relay: always, out: /tmp/a } }\n",
    );
    let config = env.arg("ssh_config");
    let event = env.run(&["harden", "p", "-F", &config, "--json"]).ok().last_event();
    let (key, block) = (event["authorized_keys"].as_str().unwrap(), event["sshd_config"].as_str().unwrap());
    assert!(!key.contains("command=") && !block.contains("ForceCommand"), "{event}");
    let sshd = hardened(&env, &open, Some(key), Some(block));
    // What the relay asks for, by ssh.
    let forward = |address: &str| {
        let mut ssh = Command::new("ssh");
        ssh.args(["-F", "none", "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o"]);
        ssh.args(["ExitOnForwardFailure=yes", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes", "-i"]);
        ssh.arg(sshd.file("user_ed25519")).args([
            "-p",
            &sshd.port.to_string(),
            "-R",
            &format!("{address}:0:127.0.0.1:9"),
        ]);
        ssh.arg(format!("{}@127.0.0.1", whoami())).arg("echo runs").output().unwrap()
    };
    let run = forward("127.0.0.1");
    assert!(run.status.success() && run.stdout == b"runs\n", "{}", String::from_utf8_lossy(&run.stderr));
    assert!(!forward("*").status.success());
    let events = env.run(&["harden", "p", "-F", &config, "--check", "--json"]).ok().events();
    assert_eq!(with_verdict(&events, "needed"), ["command", "shell", "loopback-port"], "{events:#?}");
    assert_eq!(with_verdict(&events, "open"), Vec::<String>::new());
}

#[test]
fn the_text_is_to_be_pasted() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let run = harden(&env, &["--remote-port", "55514"]).ok();
    let public = read_text(sshd.user_key("ed25519").with_extension("pub"));
    let key = "restrict,port-forwarding,permitlisten=\"55514\",permitopen=\"127.0.0.1:1\",command=\"/bin/false\" ";
    assert!(run.stdout.contains(&format!("{key}{public}")), "{}", run.stdout);
    assert!(run.stdout.contains("reclog harden jump -F ") && run.stderr.is_empty(), "{}", run.stdout);
    assert!(run.stdout.contains(" --remote-port 55514 --check\n"), "{}", run.stdout);
    // Who is locked out comes before what is pasted.
    let first = run.stdout.lines().next().unwrap();
    let shout = if whoami() == "root" { "STOP: this is for root" } else { "nobody can log in as" };
    assert!(first.starts_with("# ! ") && first.contains(shout), "{first}");
    for line in run.stdout.lines().filter(|line| line.starts_with('#') && !line.contains("reclog harden jump")) {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let is_paste = |line: &&str| !line.starts_with('#') && !line.is_empty();
    let pasted: Vec<&str> = run.stdout.lines().filter(is_paste).collect();
    assert!(pasted[0].starts_with("restrict,") && pasted[1].starts_with("Match User "), "{}", run.stdout);
    assert!(pasted[2..].iter().all(|line| line.starts_with("    ")), "{}", run.stdout);
    // Nobody knows a key: no file, no agent.
    let none = env.run(&["harden", "x@jump.invalid", "-F", "no_config", "--remote-port", "7"]).ok();
    assert!(none.stdout.contains(" <your public key>\n"), "{}", none.stdout);
}

#[test]
fn a_key_is_for_any_port_only_where_that_was_said() {
    let env = Env::new();
    for more in [&[][..], &["--check"]] {
        let run = env.run(&[&["harden", "x@jump.invalid", "-F", "no_config"], more].concat()).fails(2);
        assert!(run.stdout.is_empty() && run.stderr.contains("-F no_config"), "{}{}", run.stdout, run.stderr);
        assert!(run.stderr.contains("--remote-port PORT"), "{}", run.stderr);
    }
    let run = env.run(&["harden", "x@jump.invalid", "-F", "no_config", "--remote-port", "0"]).ok();
    let (before, _) = run.stdout.split_once("permitlisten=\"*\"").unwrap();
    assert!(before.contains("ANY port"), "{}", run.stdout);
}

#[test]
fn an_account_without_a_shell_has_nothing_open_but_what_the_server_grants() {
    require!("sshd");
    let Some(account) = Account::with_shell("an_account_without_a_shell", "/usr/sbin/nologin") else { return };
    let (env, open, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&open);
    let _sshd = hardened(&env, &open, None, None);
    let config = read_text(env.path("ssh_config"));
    env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {}\n", account.name)));
    let events = harden(&env, &["--remote-port", &port.to_string(), "--check", "--json"]).fails(1).events();
    assert_eq!((verdict(&events, "command"), verdict(&events, "shell")), ("closed".into(), "closed".into()));
    assert_eq!(verdict(&events, "connect-inside"), "open");
    assert_eq!(verdict(&events, "socket-listen"), "open");
}

#[test]
fn what_stands_in_the_way_of_a_check_has_its_own_exit_code() {
    require!("sshd");
    let (env, open) = (Env::new(), Sshd::start());
    env.trust(&open);
    // The key may not even do what it is for.
    let _sshd = hardened(
        &env,
        &open,
        Some(&format!(
            "restrict,port-forwarding,permitlisten=\"7\" {}",
            read_text(open.user_key("ed25519").with_extension("pub")).trim()
        )),
        None,
    );
    harden(&env, &["--remote-port", "55514", "--check"]).fails(4).hinted();
    let known = read_text(env.path("known_hosts"))
        .replace("ssh-ed25519 ", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti #");
    env.write("known_hosts", known);
    harden(&env, &["--remote-port", "55514", "--check"]).fails(5).hinted();
    let port = free_port().to_string();
    let nobody = ["harden", "x@127.0.0.1", "-p", &port, "-F", "no_config", "--remote-port", "7", "--check", "--json"];
    env.run(&nobody).fails(1);
}

#[test]
fn ctrl_c_during_a_check_leaves_nothing_open() {
    require!("sshd");
    let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
    env.trust(&sshd);
    let args = env.to_jump(&["harden", "jump"], &["--check", "--remote-port", &port.to_string()]);
    let mut run = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    run.wait_stdout("run a command");
    run.signal(Signal::INT);
    let run = run.wait();
    assert_eq!(run.status.code(), Some(130), "{}\n{}", run.stdout, run.stderr);
    wait_until("the session is over", SOON, || sshd.sessions().is_empty().then_some(()));
    assert!(!listening(port));
    env.assert_nothing_left();
}
