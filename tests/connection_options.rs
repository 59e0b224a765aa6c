//! What the ssh configuration says about the connection, as a real sshd sees it.

mod common;

use common::login::up_to;
use common::{Bg, Env, SOON, Sshd, procs, wait_until};
use rustix::process::Signal;

/// `up` to `sshd` with its key and these lines of the configuration.
fn up(env: &Env, sshd: &Sshd, config: &str, more: &[&str]) -> std::process::Command {
    env.write("work/no_config", format!("Host *\n{config}\n"));
    let key = sshd.user_key("ed25519");
    up_to(env, sshd, &[&["--json", "-i", key.to_str().unwrap()], more].concat())
}

#[test]
fn sshd_negotiates_what_the_configuration_allows() {
    require!("sshd");
    let cases = [
        ("Ciphers aes256-ctr\nMACs hmac-sha2-512", "cipher: aes256-ctr MAC: hmac-sha2-512 compression: none"),
        ("Ciphers ^aes192-ctr\nMACs -*etm*,hmac-sha2-256", "cipher: aes192-ctr MAC: hmac-sha2-512 compression: none"),
        ("Ciphers chacha20-poly1305@openssh.com", "cipher: chacha20-poly1305@openssh.com MAC: <implicit>"),
        ("Compression yes\nCiphers aes128-ctr\nMACs hmac-sha2-256", "MAC: hmac-sha2-256 compression: zlib@openssh.com"),
        ("KexAlgorithms ecdh-sha2-nistp384", "kex: algorithm: ecdh-sha2-nistp384"),
        ("KexAlgorithms diffie-hellman-group14-sha256", "kex: algorithm: diffie-hellman-group14-sha256"),
    ];
    let sshd = Sshd::with_lines(&["LogLevel DEBUG1"]);
    for (config, negotiated) in cases {
        let env = Env::new();
        let before = sshd.log().len();
        env.started(Bg::spawn(up(&env, &sshd, config, &[])).wait());
        env.down("c");
        let log = &sshd.log()[before..];
        assert!(log.contains(negotiated), "{config}: {log}");
    }
}

#[test]
fn algorithms_that_the_server_does_not_have_are_told_with_what_it_has() {
    require!("sshd");
    let env = Env::new();
    let sshd = Sshd::with_lines(&["Ciphers aes128-ctr,aes256-ctr", "MACs hmac-sha2-256"]);
    for config in ["Ciphers aes192-ctr", "MACs hmac-sha2-512", "KexAlgorithms diffie-hellman-group1-sha1"] {
        let run = Bg::spawn(up(&env, &sshd, config, &[])).wait();
        assert_eq!(run.status.code(), Some(1), "{run:?}");
        assert!(run.last_event().to_string().contains("algorithm in common: it offers"), "{config}: {run:?}");
    }
    env.assert_nothing_left();
}

#[test]
fn a_server_that_freezes_is_noticed_within_the_interval_asked_for() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let config = "  ServerAliveInterval 1\n  ServerAliveCountMax 1";
    let up = env.started(Bg::spawn(up(&env, &sshd, config, &[])).wait());
    let frozen = sshd.sessions();
    let begun = std::time::Instant::now();
    for pid in &frozen {
        procs::signal(*pid, Signal::STOP);
    }
    let lost = env.wait_collector("c", "is lost", |c| c["state"] != "up");
    // Three times fifteen seconds without these lines.
    assert!(begun.elapsed().as_secs() < 12, "{:?}", begun.elapsed());
    assert!(lost["last_error"].as_str().is_some_and(|e| e.contains("no answer for 1 s")), "{lost}");
    // The port is still theirs.
    for pid in &frozen {
        procs::kill(*pid);
    }
    let back = env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == 1);
    assert_eq!(back["pid"], up.pid);
    common::send(up.port(), "x\n");
    env.down("c");
    assert_eq!(common::read_text(env.path("out")), "x\n");
}

#[test]
fn a_connection_is_attempted_as_often_as_asked_for() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let attempts = |n: u32| up(&env, &sshd, &format!("  ConnectionAttempts {n}"), &["-vv", "-f"]);
    sshd.stop();
    let again = |said: &str| said.matches("trying again").count();
    let begun = std::time::Instant::now();
    let run = Bg::spawn(attempts(3)).wait();
    assert_eq!((run.status.code(), again(&run.stderr)), (Some(1), 2), "{run:?}");
    // As with ssh a second lies between two of them.
    assert!(begun.elapsed().as_secs() >= 2);
    let mut up = Bg::spawn(attempts(60));
    env.expect(up.pid());
    wait_until("it tries again", SOON, || (again(&up.stderr()) > 0).then_some(()));
    sshd.start_again();
    up.wait_stdout("\"event\":\"up\"");
    env.down("c");
    up.wait().ok();
    env.assert_nothing_left();
}

#[test]
fn the_address_family_of_the_configuration_counts() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.started(Bg::spawn(up(&env, &sshd, "  AddressFamily inet", &[])).wait());
    env.down("c");
    let run = Bg::spawn(up(&env, &sshd, "  AddressFamily inet6", &[])).wait();
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    assert!(run.last_event().to_string().contains("no IPv6 address, and AddressFamily asks for one"), "{run:?}");
    // The command line comes first.
    env.started(Bg::spawn(up(&env, &sshd, "  AddressFamily inet6", &["-o", "AddressFamily=any"])).wait());
    env.down("c");
}
