//! The same promises on every SSH server that there is to be had: a key logs in, senders at the same time lose nothing, a
//! connection that dies comes back on its port, and `down` gives the port back.

mod common;

use std::process::Command;

use common::dropbear::Dropbear;
use common::tinyssh::TinySsh;
use common::{
    Daemon, Env, SOON, Sender, Sshd, check_flood, flood, free_port, listening, procs, read, send, wait_until,
};
use reclog::demo::{JumpHost, KEY_FILE, KNOWN_HOSTS_FILE};

const SENDERS: usize = 8;
const LINES: usize = 500;

/// All of them, on the host `jump` of `env`; `kill` ends the server's side of the connection.
#[track_caller]
fn promises(env: &Env, bind: &str, kill: impl Fn()) {
    let port = free_port();
    let (out, given) = (env.arg("out"), port.to_string());
    let up = env.up(&["--remote-port", &given, "--bind", bind, "--out", &out, "--name", "c"]);
    assert_eq!(up.port(), port);
    let sent = flood(port, SENDERS, LINES);
    env.wait_stored("c", sent);
    check_flood(&env.path("out"), SENDERS, LINES);

    // A sender in the middle of a line is cut with the connection.
    let mut cut = Sender::open(port);
    cut.write("half");
    env.wait_received("c", sent + 4);
    kill();
    env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == 1);
    wait_until("the port is open again", SOON, || listening(port).then_some(()));
    send(port, "after\n");
    env.wait_received("c", sent + 10);

    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(down["streams"][0]["senders"]["cut"], 1, "{down}");
    assert!(!listening(port), "`down` has not given the port back");
    let text = String::from_utf8(read(env.path("out"))).unwrap();
    assert!(text.ends_with("\nhalf\nafter\n"), "{}", &text[text.len() - 100..]);
    env.assert_nothing_left();
}

#[test]
fn openssh_keeps_every_promise_with_every_type_of_host_key() {
    require!("sshd");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let (env, sshd) = (Env::new(), Sshd::with(&[kind], &[]));
        env.trust(&sshd);
        promises(&env, "*", || sshd.kill_sessions());
    }
}

#[test]
fn dropbear_keeps_every_promise_with_every_type_of_host_key_and_key() {
    require!("dropbear", "dropbearkey");
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let env = Env::new();
        let Some(dropbear) = Dropbear::start("dropbear_keeps_every_promise", kind, &["-a"]) else { return };
        dropbear.trusted_by(&env, kind);
        promises(&env, "*", || dropbear.kill_sessions());
    }
}

#[test]
fn dropbear_that_forbids_forwards_is_a_refusal() {
    require!("dropbear", "dropbearkey");
    for (options, why) in [(&["-k"][..], "the option -k"), (&["-k", "-j"], "options -k and -j")] {
        let env = Env::new();
        let Some(dropbear) = Dropbear::start("dropbear_that_forbids", "ed25519", options) else { return };
        dropbear.trusted_by(&env, "ed25519");
        let run = env.up_run(&["--remote-port", &free_port().to_string(), "--out", &env.arg("out")]);
        run.fails(4).hinted().says("refused to open port").says(why);
        env.assert_nothing_left();
    }
}

/// Dropbear wants a shell that /etc/shells has, even for forwards alone: a user without one cannot log in. A command that
/// the server forces on everybody does as well.
#[test]
fn dropbear_lets_nobody_in_without_a_shell_and_a_forced_command_is_as_good() {
    require!("dropbear", "dropbearkey");
    let (env, test) = (Env::new(), "dropbear_lets_nobody_in");
    let Some(dropbear) = Dropbear::for_shell(test, "ed25519", &["-a"], "/usr/sbin/nologin-at-all") else { return };
    dropbear.trusted_by(&env, "ed25519");
    let run = env.up_run(&["--remote-port", &free_port().to_string(), "--out", &env.arg("out")]);
    run.fails(4).hinted().says("cannot log in");
    assert!(dropbear.log().contains("invalid shell"), "{}", dropbear.log());
    env.assert_nothing_left();

    let env = Env::new();
    let Some(dropbear) = Dropbear::start(test, "ed25519", &["-a", "-j", "-c", "/bin/false"]) else { return };
    dropbear.trusted_by(&env, "ed25519");
    promises(&env, "*", || dropbear.kill_sessions());
}

/// TinySSH has no forwards at all: the login works, and the end is a refusal that says so.
#[test]
fn tinyssh_which_has_no_forwards_is_a_refusal() {
    require!("tinysshd", "tinysshd-makekey", "socat");
    let env = Env::new();
    let Some(tinyssh) = TinySsh::start("tinyssh_which_has_no_forwards") else { return };
    tinyssh.trusted_by(&env);
    let run = env.up_run(&["--remote-port", &free_port().to_string(), "--out", &env.arg("out")]);
    run.fails(4).hinted().says("its SSH server, tinyssh").says("has no forwards");
    env.assert_nothing_left();
}

/// The library's own server, as `reclog demo` has it. It binds loopback addresses only.
#[test]
fn the_embedded_server_keeps_every_promise() {
    require!("socat");
    let env = Env::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let host = runtime.block_on(JumpHost::start(folder.path())).unwrap();
    // It has no process for each connection: what dies is on the way.
    let port = free_port();
    let mut socat = Command::new("socat");
    socat.arg(format!("TCP-LISTEN:{port},bind=127.0.0.1,fork,reuseaddr")).arg(format!("TCP:{}", host.address));
    let socat = Daemon::start(&mut socat);
    wait_until("socat listens", SOON, || listening(port).then_some(()));
    let known = String::from_utf8(read(folder.path().join(KNOWN_HOSTS_FILE))).unwrap();
    let known = env.write("known_hosts", known.replace(&host.address.port().to_string(), &port.to_string()));
    let lines = [
        "Host jump\n  HostName 127.0.0.1\n  User demo\n  IdentitiesOnly yes\n  GlobalKnownHostsFile /dev/null"
            .to_owned(),
        format!("Port {port}"),
        format!("IdentityFile {}", folder.path().join(KEY_FILE).display()),
        format!("UserKnownHostsFile {}", known.display()),
    ];
    env.write("ssh_config", lines.join("\n  ") + "\n");
    promises(&env, "127.0.0.1", || procs::descendants(socat.pid()).iter().for_each(|pid| procs::kill(*pid)));
    // A port that it does not open: its refusals are understood like those of others.
    let run = env.up_run(&["--remote-port", &free_port().to_string(), "--out", &env.arg("other")]);
    run.fails(4).hinted().says("most likely its rules forbid it");
}
