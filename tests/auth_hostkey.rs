//! Who we are and who the jump host is: keys, agents, ssh_config and known hosts, as `ssh` has them.

mod common;

use std::process::Command;

use common::sshd::{keygen, whoami};
use common::{Bg, Collector, Daemon, Env, Run, SOON, Sshd, find_program, read, read_text, send, wait_until};

/// `up` to this address with what `-o` and other options say, and no configuration file.
fn up_with(env: &Env, sshd: &Sshd, more: &[&str]) -> Run {
    let (target, port) = (format!("{}@127.0.0.1", whoami()), sshd.port.to_string());
    let mut args = vec!["up", &target, "-p", &port, "-F", "no_config", "--remote-port", "0", "--name", "c", "--json"];
    let out = env.arg("out");
    args.extend(["--out", &out, "-o", "GlobalKnownHostsFile=/dev/null"]);
    args.extend(more);
    env.run(&args)
}

fn known_hosts_option(env: &Env, content: &str) -> String {
    format!("UserKnownHostsFile={}", env.write("known_hosts", content).display())
}

#[track_caller]
fn works(env: &Env, collector: &Collector) {
    send(collector.port(), "hello\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"hello\n");
}

#[test]
fn keys_of_every_type_log_in_from_their_file() {
    require!("sshd");
    let sshd = Sshd::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let env = Env::new();
        let key = sshd.user_key(kind);
        let known = known_hosts_option(&env, &sshd.known_hosts());
        let up = up_with(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", &known]);
        works(&env, &env.started(up));
    }
}

#[test]
fn the_agent_logs_in_without_a_key_file() {
    require!("sshd", "ssh-agent", "ssh-add");
    let (env, sshd) = (Env::new(), Sshd::start());
    let socket = env.arg("agent");
    let mut agent = env.command(find_program("ssh-agent").unwrap());
    let _agent = Daemon::start(agent.args(["-D", "-a", &socket]));
    wait_until("the agent listens", SOON, || std::os::unix::net::UnixStream::connect(&socket).ok());
    for kind in ["ed25519", "rsa"] {
        let key = sshd.user_key(kind);
        let mut add = env.command("ssh-add");
        let added = add.env("SSH_AUTH_SOCK", &socket).arg("-q").arg(&key).output().unwrap();
        assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        let known = known_hosts_option(&env, &sshd.known_hosts());
        let (target, port) = (format!("{}@127.0.0.1", whoami()), sshd.port.to_string());
        let (out, name) = (env.arg(kind), format!("with-{kind}"));
        let mut up = env.reclog(&["up", &target, "-p", &port, "-F", "no_config", "--remote-port", "0", "--json"]);
        up.args(["--name", &name, "--out", &out, "-o", &known]).env("SSH_AUTH_SOCK", &socket);
        let up = env.started(Bg::spawn(up).wait());
        send(up.port(), "hello\n");
        env.down(&name);
        assert_eq!(read(&out), b"hello\n");
        env.command("ssh-add").env("SSH_AUTH_SOCK", &socket).arg("-qD").output().unwrap();
    }
}

#[test]
fn a_host_is_known_plain_hashed_by_alias_and_with_its_port() {
    require!("sshd", "ssh-keygen");
    let sshd = Sshd::start();
    let key = sshd.user_key("ed25519");
    let key = key.to_str().unwrap();
    let public = sshd.host_key_public("ed25519");
    let cases = [
        ("[host]:port", format!("[127.0.0.1]:{} {public}\n", sshd.port)),
        ("one of several names", format!("# a comment\n\nother,[127.0.0.1]:{} {public} me@here\n", sshd.port)),
        ("without the port, which ssh takes too", format!("127.0.0.1 {public}\n")),
        ("a pattern", format!("[127.0.0.*]:{} {public}\n", sshd.port)),
    ];
    for (what, content) in cases {
        let env = Env::new();
        eprintln!("known {what}");
        let known = known_hosts_option(&env, &content);
        works(&env, &env.started(up_with(&env, &sshd, &["-i", key, "-o", &known])));
        assert_eq!(read_text(env.path("known_hosts")), content, "what is known is not written again");
    }

    let env = Env::new();
    let known = known_hosts_option(&env, &sshd.known_hosts());
    let hashed = Command::new("ssh-keygen").arg("-Hf").arg(env.path("known_hosts")).output().unwrap();
    assert!(hashed.status.success() && read_text(env.path("known_hosts")).starts_with("|1|"));
    works(&env, &env.started(up_with(&env, &sshd, &["-i", key, "-o", &known])));

    let env = Env::new();
    let known = known_hosts_option(&env, &format!("tremplin {public}\n"));
    works(&env, &env.started(up_with(&env, &sshd, &["-i", key, "-o", &known, "-o", "HostKeyAlias=tremplin"])));
}

#[test]
fn an_unknown_host_is_refused_with_its_fingerprint_and_nothing_is_written() {
    require!("sshd", "ssh-keygen");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let content =
        "other.example.org ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8kNqYmYLpVYFcBJ2F7EVYnzYzB1v0lSGhpgFUtpJ9b\n";
    let known = known_hosts_option(&env, content);
    let out = env.arg("out");
    let (target, port) = (format!("{}@127.0.0.1", whoami()), sshd.port.to_string());
    let more = [
        "-p",
        &port,
        "-i",
        key.to_str().unwrap(),
        "-F",
        "no_config",
        "-o",
        &known,
        "-o",
        "GlobalKnownHostsFile=/dev/null",
    ];
    let run = env.run(&[&["up", &target, "--remote-port", "0", "--out", &out][..], &more].concat());
    run.fails(5).hinted().says(sshd.fingerprint("ed25519")).says("127.0.0.1");
    assert_eq!(read_text(env.path("known_hosts")), content);
    assert!(!env.path("home/.ssh/known_hosts").exists());
    env.assert_nothing_left();
}

#[test]
fn a_changed_host_key_is_refused_with_file_and_line() {
    require!("sshd", "ssh-keygen");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let old = format!("# first\n\n{}", sshd.known_hosts());
    sshd.stop();
    sshd.replace_host_key("ed25519");
    sshd.start_again();
    let known = known_hosts_option(&env, &old);
    for checking in ["yes", "ask", "accept-new", "no"] {
        let checking = format!("StrictHostKeyChecking={checking}");
        let run = up_with(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", &known, "-o", &checking]);
        assert_eq!(run.last_event()["kind"], "host-key", "{checking}: {run:?}");
        let told = run.last_event().to_string();
        assert!(told.contains(env.path("known_hosts").to_str().unwrap()), "{told}");
        assert!(told.contains("known_hosts:3") || told.contains("line 3"), "{told}");
        assert_eq!(run.status.code(), Some(5));
    }
    assert_eq!(read_text(env.path("known_hosts")), old);
    env.assert_nothing_left();
}

#[test]
fn a_revoked_host_key_is_refused() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let content = format!("{}@revoked * {}\n", sshd.known_hosts(), sshd.host_key_public("ed25519"));
    let known = known_hosts_option(&env, &content);
    let run = up_with(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", &known, "-o", "StrictHostKeyChecking=no"]);
    assert_eq!(run.status.code(), Some(5), "{run:?}");
    assert!(run.last_event().to_string().contains("revoked"), "{run:?}");
    env.assert_nothing_left();
}

#[test]
fn strict_host_key_checking_no_and_accept_new_learn_an_unknown_host() {
    require!("sshd");
    let sshd = Sshd::start();
    let key = sshd.user_key("ed25519");
    let key = key.to_str().unwrap();
    for checking in ["no", "accept-new"] {
        let env = Env::new();
        let known = known_hosts_option(&env, "");
        let learning = format!("StrictHostKeyChecking={checking}");
        let up = env.started(up_with(&env, &sshd, &["-i", key, "-o", &known, "-o", &learning]));
        env.down(&up.name);
        assert!(read_text(env.path("known_hosts")).contains(&sshd.host_key_public("ed25519")), "{checking}");
        let strict = up_with(&env, &sshd, &["-i", key, "-o", &known, "-o", "StrictHostKeyChecking=yes"]);
        works(&env, &env.started(strict));
    }
}

#[test]
fn the_key_that_is_known_is_the_one_asked_for() {
    require!("sshd");
    let sshd = Sshd::with(&["ed25519", "ecdsa", "rsa"], &[]);
    let key = sshd.user_key("ed25519");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let env = Env::new();
        let known = known_hosts_option(&env, &sshd.known_hosts_line(kind));
        eprintln!("known by {kind} alone");
        works(&env, &env.started(up_with(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", &known])));
    }
}

#[test]
fn a_host_block_of_ssh_config_says_it_all() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let known = env.write("my_known_hosts", sshd.known_hosts());
    let key = sshd.user_key("ed25519");
    let config = format!(
        "# mine\nHost other\n  HostName 192.0.2.1\n\nHost tremplin\n  User {}\n  HostName=127.0.0.1\n  Port {}\n  \
         IdentityFile \"{}\"\n  IdentitiesOnly yes\n  userknownhostsfile {}\n\nHost *\n  Port 1\n  \
         GlobalKnownHostsFile /dev/null\n",
        whoami(),
        sshd.port,
        key.display(),
        known.display()
    );
    let config = env.write("my config", config);
    let (config, out) = (config.to_str().unwrap(), env.arg("out"));
    let up = env.run(&["up", "tremplin", "-F", config, "--remote-port", "0", "--out", &out, "--json"]);
    let up = env.started(up);
    assert_eq!(up.name, "tremplin", "a collector is called like its host");
    assert_eq!(env.snapshot("tremplin")["target"], format!("{}@127.0.0.1:{}", whoami(), sshd.port));
    send(up.port(), "x\n");
    env.down("tremplin");
    assert_eq!(read(out), b"x\n");
}

/// `none` is no file name, as `ssh -F none` has it.
#[test]
fn f_none_reads_no_configuration_at_all() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.write("home/.ssh/config", "Host tremplin\n  NoSuchKeyword 1\n");
    let (known, key) = (known_hosts_option(&env, &sshd.known_hosts()), sshd.user_key("ed25519"));
    let (target, port, out) = (format!("{}@127.0.0.1", whoami()), sshd.port.to_string(), env.arg("out"));
    let target = ["up", &target, "-p", &port, "-F", "none", "-i", key.to_str().unwrap(), "-o", &known];
    let up = env.run(&[&target[..], &["--remote-port", "0", "--out", &out, "--name", "c", "--json"]].concat());
    works(&env, &env.started(up));
}

#[test]
fn home_does_not_move_the_files_of_ssh() {
    // ssh finds ~/.ssh by the account, whatever $HOME says; reclog reads the same files as ssh, or none would be trusted.
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.write("home/.ssh/config", format!("Host only-in-home.invalid\n{}", sshd.config_lines()));
    let out = env.arg("out");
    let args = ["up", "only-in-home.invalid", "--remote-port", "0", "--out", &out, "--name", "c"];
    env.run(&args).fails(1).says("only-in-home.invalid");
    env.assert_nothing_left();
}

#[test]
fn the_command_line_wins_over_ssh_config() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let (known, key) = (env.write("known_hosts", sshd.known_hosts()), sshd.user_key("ed25519"));
    let config = format!(
        "Host jump\n HostName 192.0.2.1\n Port 1\n User nobody\n UserKnownHostsFile {}\n GlobalKnownHostsFile /dev/null\n",
        known.display()
    );
    let config = env.write("ssh_config", config);
    let (target, port, out) = (format!("{}@jump", whoami()), sshd.port.to_string(), env.arg("out"));
    let up = env.run(
        &[
            &["up", &target, "-F", config.to_str().unwrap(), "-p", &port, "-o", "HostName=127.0.0.1"][..],
            &["-i", key.to_str().unwrap(), "--remote-port", "0", "--out", &out, "--name", "c", "--json"],
        ]
        .concat(),
    );
    let up = env.started(up);
    assert_eq!(env.snapshot(&up.name)["target"], format!("{}@127.0.0.1:{}", whoami(), sshd.port));
    works_at(&env, &up, &out);
}

fn works_at(env: &Env, up: &Collector, out: &str) {
    send(up.port(), "x\n");
    env.down(&up.name);
    assert_eq!(read(out), b"x\n");
}

/// A collector leaves the folder it was started in, but not before it knows where its files are; a reconnect needs them.
#[test]
fn files_named_from_the_working_folder_are_found_there() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.write("work/known", sshd.known_hosts());
    std::fs::copy(sshd.user_key("ed25519"), env.path("work/key")).unwrap();
    let (target, port) = (format!("{}@127.0.0.1", whoami()), sshd.port.to_string());
    let up = env.started(
        env.run(
            &[
                &["up", &target, "-F", "none", "-p", &port, "-o", "UserKnownHostsFile=known", "-o", "IdentityFile=key"]
                    [..],
                &["--bind", "127.0.0.1", "--remote-port", "0", "--out", "here.log", "--name", "c", "--json"],
            ]
            .concat(),
        ),
    );
    sshd.kill_sessions();
    let back = |c: &serde_json::Value| c["state"] == "up" && c["reconnects"] == 1;
    env.wait_collector("c", "connected again", back);
    works_at(&env, &up, env.path("work/here.log").to_str().unwrap());
}

#[test]
fn a_key_that_nobody_knows_is_not_hammered() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    sshd.user_key("ed25519");
    let stranger = env.path("stranger");
    keygen(&stranger, "ed25519");
    let known = known_hosts_option(&env, &sshd.known_hosts());
    let run = up_with(&env, &sshd, &["-i", stranger.to_str().unwrap(), "-o", &known]);
    assert_eq!(run.status.code(), Some(4), "{run:?}");
    assert_eq!(run.last_event()["kind"], "refused");
    let connections = sshd.log().lines().filter(|l| l.starts_with("Connection from ")).count();
    // One of them is the helper that asked whether sshd listens.
    assert!(connections <= 2, "{connections} connections for one refusal:\n{}", sshd.log());
    env.assert_nothing_left();
}
