//! A port that sshd refuses: which of its rules it was, and the line that allows it; and that this line does allow it.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use common::account::Account;
use common::sshd::whoami;
use common::{Env, Run, Sshd, free_port, send};

const OFF: &str = "AllowTcpForwarding no or DisableForwarding yes in sshd_config, or restrict or no-port-forwarding";
const UNLISTED: &str = "PermitListen in sshd_config, or permitlisten before the key in authorized_keys; or \
                        AllowTcpForwarding local";

/// `up` for `port`, where the key has these options.
fn up(sshd: &Sshd, options: &str, port: u16, more: &[&str]) -> (Env, Run) {
    let env = Env::new();
    sshd.user_key_with("ed25519", options);
    env.trust(sshd);
    let (out, port) = (env.arg("out"), port.to_string());
    let run = env.up_run(&[&["--remote-port", &port, "--out", &out, "--name", "c"], more].concat());
    (env, run)
}

/// The error of an `up` with these lines of sshd_config and options of the key must have `why` and a hint `line`.
#[track_caller]
fn refused(lines: &[&str], options: &str, port: u16, more: &[&str], why: &str, line: &str) {
    eprintln!("with {lines:?} {options:?} {more:?}");
    let (env, run) = up(&Sshd::with_lines(lines), options, port, more);
    let run = run.fails(4).says(format!("refused to open port {port}")).says(why).hinted();
    // The terminal's width breaks the lines.
    let text = run.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(line), "no {line:?} in {text}");
    env.assert_nothing_left();
}

#[test]
fn forwarding_that_is_switched_off_is_told_with_the_lines_that_switch_it_on() {
    require!("sshd");
    let port = free_port();
    let key_line = format!("authorized_keys there, before the key: restrict,port-forwarding,permitlisten=\"{port}\"");
    let server_line = format!("Match User {}, and below it AllowTcpForwarding remote", whoami());
    for line in ["AllowTcpForwarding no", "DisableForwarding yes"] {
        refused(&[line], "", port, &[], OFF, &server_line);
    }
    for options in ["restrict", "no-port-forwarding"] {
        refused(&[], options, port, &[], OFF, &key_line);
    }
    // Nothing was let through by a rule for something else.
    refused(&["AllowTcpForwarding no"], "", 0, &[], OFF, "AllowTcpForwarding remote");
}

#[test]
fn a_list_of_other_ports_is_told_with_the_line_that_lists_this_one() {
    require!("sshd");
    let (port, other) = (free_port(), free_port());
    let server_line = format!("AllowTcpForwarding remote and PermitListen {port}");
    let key_line = format!("restrict,port-forwarding,permitlisten=\"{port}\"");
    for line in [format!("PermitListen {other}"), "PermitListen none".into(), "AllowTcpForwarding local".into()] {
        refused(&[&line], "", port, &[], UNLISTED, &server_line);
    }
    let options = format!("restrict,port-forwarding,permitlisten=\"{other}\"");
    refused(&[], &options, port, &[], UNLISTED, &key_line);
    refused(&[], &options, port, &["--bind", "127.0.0.1"], UNLISTED, &key_line);
    // With a list the jump host may not choose.
    refused(
        &[&format!("PermitListen {other}")],
        "",
        0,
        &[],
        UNLISTED,
        "name a port that is allowed, with --remote-port",
    );
}

#[test]
fn a_port_that_is_listed_for_localhost_alone_is_told() {
    require!("sshd");
    let port = free_port();
    let why = "allow that port on localhost only";
    refused(&[&format!("PermitListen localhost:{port}")], "", port, &[], why, "--bind localhost");
    let options = format!("restrict,port-forwarding,permitlisten=\"localhost:{port}\"");
    refused(&[], &options, port, &["--bind", "127.0.0.1"], why, &format!("permitlisten=\"{port}\""));
}

#[test]
fn a_port_that_is_taken_is_told_under_every_rule_that_allows_it() {
    require!("sshd");
    let port = free_port();
    // Both families: sshd is content with one.
    let _taken = TcpListener::bind(("::", port)).or_else(|_| TcpListener::bind(("0.0.0.0", port))).unwrap();
    let why = "most likely somebody listens on that port already";
    let line = format!("`ss -ltnp 'sport = :{port}'`");
    let listed = format!("PermitListen {port}");
    for lines in [&[][..], &["PermitOpen none"], &["AllowTcpForwarding remote"], &[&listed], &["GatewayPorts no"]] {
        refused(lines, "", port, &[], why, &line);
    }
    refused(&[], &format!("restrict,port-forwarding,permitlisten=\"{port}\""), port, &[], why, &line);
}

#[test]
fn an_address_that_the_jump_host_does_not_have_is_told() {
    require!("sshd");
    let bind = ["--bind", "192.0.2.7"];
    refused(&[], "", free_port(), &bind, "most likely that is no address of the jump host", "ip address");
}

#[test]
fn a_port_below_1024_is_told_to_whoever_is_not_root() {
    require!("sshd");
    let Some(account) = Account::with_shell("a_port_below_1024", "/usr/sbin/nologin") else { return };
    let (env, sshd) = (Env::new(), Sshd::start());
    // sshd reads the key as the user who logs in.
    std::fs::set_permissions(sshd.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
    env.trust(&sshd);
    let config = common::read_text(env.path("ssh_config"));
    env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {}\n", account.name)));
    // Of the low ports one that nobody has.
    let port = (600..1000).find(|p| TcpListener::bind(("0.0.0.0", *p)).is_ok()).unwrap();
    let run = env.up_run(&["--remote-port", &port.to_string(), "--out", &env.arg("out")]);
    run.fails(4).says("most likely because ports below 1024 need root").says("choose one from 1024 on");
    env.assert_nothing_left();
}

#[test]
fn the_lines_that_are_named_do_allow_the_port() {
    require!("sshd");
    let port = free_port();
    let listed = format!("PermitListen {port}");
    let user = format!("Match User {}", whoami());
    let key = format!("restrict,port-forwarding,permitlisten=\"{port}\"");
    let below = [&*user, "AllowTcpForwarding remote", "DisableForwarding no", &listed, "Match all"];
    for (lines, options) in [(&below[..], ""), (&[][..], &*key)] {
        let sshd = Sshd::with_lines(lines);
        let (env, run) = up(&sshd, options, port, &["--json"]);
        let up = env.started(run);
        send(up.port(), "allowed\n");
        env.down("c");
        assert_eq!(common::read_text(env.path("out")), "allowed\n");
    }
}
