//! The tools of the other tests, tried with OpenSSH's own client: who tests the tests would otherwise be reclog.

mod common;

use common::senders::{check_order, numbered};
use common::{Daemon, Env, SOON, Sender, Sshd, check_flood, flood, free_port, listening, read, wait_until};

/// `ssh -N -R PORT:127.0.0.1:LOCAL` through the configuration of [`Env::trust`].
fn ssh_forward(env: &Env, port: u16, local: u16) -> Daemon {
    let forward = format!("127.0.0.1:{port}:127.0.0.1:{local}");
    let mut ssh = env.command("ssh");
    ssh.args(["-N", "-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes", "-R", &forward, "-F"]);
    Daemon::start(ssh.arg(env.path("ssh_config")).arg("jump"))
}

#[test]
fn the_server_accepts_forwards_and_comes_back_on_its_port() {
    require!("sshd", "ssh");
    let (env, sshd) = (Env::new(), Sshd::with(&["ed25519", "ecdsa", "rsa"], &[]));
    env.trust(&sshd);
    let port = free_port();
    assert!(!listening(port));
    let ssh = ssh_forward(&env, port, 9);
    wait_until("the forward is open", SOON, || listening(port).then_some(()));
    assert!(!sshd.sessions().is_empty());
    sshd.kill_sessions();
    ssh.wait();
    wait_until("the forward is closed", SOON, || (!listening(port)).then_some(()));
    sshd.stop();
    assert!(!listening(sshd.port));
    sshd.start_again();
    let _ssh = ssh_forward(&env, port, 9);
    wait_until("the forward is open again", SOON, || listening(port).then_some(()));
}

#[test]
fn a_correct_receiver_passes_the_check() {
    require!("socat");
    let env = Env::new();
    let (port, out) = (free_port(), env.path("f"));
    // One sender at a time: socat appends what it gets in the pieces it gets.
    let address = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr");
    let file = format!("CREATE:{}", out.display());
    let socat = Daemon::start(env.command("socat").arg("-u").arg(address).arg(file));
    wait_until("socat listens", SOON, || listening(port).then_some(()));
    let sent = flood(port, 1, 1000);
    socat.wait();
    assert_eq!(read(&out).len() as u64, sent);
    check_flood(&out, 1, 1000);
}

#[test]
#[should_panic(expected = "torn line")]
fn a_torn_line_is_found() {
    let (a, b) = (numbered(0, 0), numbered(1, 0));
    check_order(&format!("{}{b}{}", &a[..8], &a[8..]));
}

#[test]
#[should_panic(expected = "sender 0: line 2 where 1 was due")]
fn a_lost_line_is_found() {
    check_order(&format!("{}{}", numbered(0, 0), numbered(0, 2)));
}

#[test]
#[should_panic(expected = "sender 0: line 0 where 1 was due")]
fn a_doubled_line_is_found() {
    check_order(&format!("{}{}", numbered(0, 0), numbered(0, 0)));
}

#[test]
#[should_panic(expected = "did not close")]
fn a_receiver_that_never_closes_is_found() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut sender = Sender::open(listener.local_addr().unwrap().port());
    sender.patience(std::time::Duration::from_millis(100));
    sender.write("x\n");
    sender.finish();
}

#[test]
#[should_panic(expected = "were left over")]
fn a_collector_that_the_test_does_not_know_of_is_found() {
    let env = Env::new();
    env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("f")]).ok();
}
