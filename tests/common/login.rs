//! `up` to a server of a test, with nothing of the machine's own configuration.

use std::path::Path;
use std::process::Command;

use super::gate::Gate;
use super::sshd::whoami;
use super::{Collector, Env, Sshd, Term};

/// The arguments of `up` for a collector `c` on a server at `port` with these lines of known_hosts.
pub fn up_args(env: &Env, port: u16, known: &str, more: &[&str]) -> Vec<String> {
    let known = env.write("known_hosts", known);
    let mut args: Vec<String> = ["up".into(), format!("{}@127.0.0.1", whoami()), "-p".into(), port.to_string()].into();
    let out = env.arg("out");
    let options = format!("UserKnownHostsFile={}", known.display());
    for more in
        [&["-F", "no_config", "--remote-port", "0", "--bind", "127.0.0.1", "--name", "c", "--out", &out][..], more]
    {
        args.extend(more.iter().map(|&a| a.to_owned()));
    }
    args.extend(["-o", &options, "-o", "GlobalKnownHostsFile=/dev/null"].map(str::to_owned));
    args
}

/// `up` to this server.
pub fn up_to(env: &Env, sshd: &Sshd, more: &[&str]) -> Command {
    let args = up_args(env, sshd.port, &sshd.known_hosts(), more);
    env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// As [`up_to`], to a [`Gate`].
pub fn up_gate(env: &Env, gate: &Gate, more: &[&str]) -> Command {
    let args = up_args(env, gate.address.port(), &gate.known_hosts(), more);
    env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The collector `c`, which a command at a terminal started.
#[track_caller]
pub fn started_at(env: &Env, term: Term) -> (Collector, String) {
    let (code, screen) = term.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(screen.contains("stop   reclog down c"), "{screen}");
    let pid = env.processes().first().copied().expect("the collector runs");
    env.expect(pid);
    (Collector { name: "c".into(), pid, event: serde_json::Value::Null }, screen)
}

/// A key pair with a passphrase that may log in to `sshd`.
pub fn locked_key(sshd: &Sshd, kind: &str, passphrase: &str) -> std::path::PathBuf {
    let key = sshd.user_key(kind);
    let copy = key.with_extension("locked");
    if !copy.exists() {
        std::fs::copy(&key, &copy).unwrap();
        set_passphrase(&copy, passphrase);
    }
    copy
}

/// Puts a key file without one behind a passphrase, with few rounds so that tests need not wait.
#[track_caller]
pub fn set_passphrase(key: &Path, passphrase: &str) {
    let mut keygen = Command::new("ssh-keygen");
    let output = keygen.args(["-q", "-p", "-a", "1", "-P", "", "-N", passphrase, "-f"]).arg(key).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
