//! What the jump host must grant, and no more: one port. No shell, no command, no session of any kind. It is asked for two
//! commands a connection at most, and a refusal does no harm; with `SessionType none` it is not asked.

mod common;

use std::os::unix::fs::PermissionsExt as _;

use common::account::Account;
use common::sshd::whoami;
use common::{Env, Sshd, free_port, read, send};

/// The whole life of a collector, a reconnect included, where the key has these options: with the commands, which may be
/// refused, and without.
#[track_caller]
fn lives(lines: &[&str], options: &str, port: u16, user: Option<&str>) {
    for session_type in ["default", "none"] {
        lives_with(session_type, lines, options, port, user);
    }
}

#[track_caller]
fn lives_with(session_type: &str, lines: &[&str], options: &str, port: u16, user: Option<&str>) {
    eprintln!("with {lines:?} {options:?} as {user:?}, SessionType {session_type}");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&[&["LogLevel DEBUG1"], lines].concat()));
    // sshd reads the key as the user who logs in.
    std::fs::set_permissions(sshd.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    sshd.user_key_with("ed25519", options);
    env.trust(&sshd);
    if let Some(user) = user {
        let config = common::read_text(env.path("ssh_config"));
        env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {user}\n")));
    }
    let up = env.up(&[
        "--remote-port",
        &port.to_string(),
        "--out",
        &env.arg("out"),
        "--name",
        "c",
        "-o",
        &format!("SessionType={session_type}"),
    ]);
    send(up.port(), "before\n");
    env.wait_received("c", 7);
    sshd.kill_sessions();
    env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == 1);
    send(up.port(), "after\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"before\nafter\n");
    let log = sshd.log();
    assert!(log.contains("server_input_global_request: rtype tcpip-forward"), "the log does not say enough:\n{log}");
    for word in ["Changed root", "Allocated pty"] {
        assert!(!log.contains(word), "{word:?}:\n{log}");
    }
    // Two a connection: who serves us, and where the port is open, as nobody outside can be asked here.
    let most = if session_type == "none" { 0 } else { 4 };
    for word in ["server_input_channel_open: ctype session", "Starting session"] {
        assert!(log.matches(word).count() <= most, "{word:?}:\n{log}");
    }
}

#[test]
fn a_key_that_may_do_nothing_but_open_this_port_is_enough() {
    require!("sshd");
    for form in ["", "*:"] {
        let port = free_port();
        lives(&[], &format!("restrict,port-forwarding,permitlisten=\"{form}{port}\""), port, None);
    }
}

#[test]
fn a_user_who_may_run_nothing_is_enough() {
    require!("sshd");
    let port = free_port();
    lives(&["ForceCommand /bin/false"], "", port, None);
    lives(&["MaxSessions 0", "PermitTTY no"], &format!("command=\"/bin/false\",permitlisten=\"{port}\""), port, None);
}

#[test]
fn a_user_without_a_shell_is_enough() {
    require!("sshd");
    for shell in ["/usr/sbin/nologin", "/bin/false"] {
        let Some(account) = Account::with_shell("a_user_without_a_shell", shell) else { return };
        let port = free_port();
        let options = format!("restrict,port-forwarding,permitlisten=\"{port}\"");
        lives(&[], &options, port, Some(&account.name));
        // The least of a server's configuration, too.
        let only = format!("Match User {}", account.name);
        let listed = format!("PermitListen {port}");
        let least = ["AllowTcpForwarding remote", &listed, "ForceCommand /bin/false", "MaxSessions 0"];
        // Inside a block: the server's own LogLevel, which comes after it, would be part of `Match all`.
        let block = [&[&*only, "LogLevel DEBUG1"], &least[..], &["Match all", "LogLevel DEBUG1"]].concat();
        lives(&block, "", port, Some(&account.name));
    }
}
