//! Key files and certificates: their formats, their passphrases, and what is wrong with some.

mod common;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use common::login::{locked_key, set_passphrase, started_at, up_to};
use common::sshd::{keygen, whoami};
use common::{Bg, Env, Sshd, Term};

#[track_caller]
fn ssh_keygen(args: &[&str]) {
    let output = Command::new("ssh-keygen").arg("-q").args(args).output().unwrap();
    assert!(output.status.success(), "ssh-keygen {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A CA, and an sshd that lets in whom it certifies.
fn certified(env: &Env) -> (PathBuf, Sshd) {
    let ca = env.path("ca");
    keygen(&ca, "ed25519");
    let sshd = Sshd::with_lines(&[&format!("TrustedUserCAKeys {}", ca.with_extension("pub").display())]);
    (ca, sshd)
}

fn certify(ca: &Path, key: &Path, more: &[&str]) {
    let public = format!("{}.pub", key.display());
    let user = whoami();
    ssh_keygen(&[&["-s", ca.to_str().unwrap(), "-I", "me", "-n", &user], more, &[&public]].concat());
}

#[test]
fn a_certificate_beside_a_key_of_any_type_logs_in() {
    require!("sshd", "ssh-keygen");
    let env = Env::new();
    let (ca, sshd) = certified(&env);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = env.path(kind);
        keygen(&key, kind);
        // The key alone is nobody there.
        Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap()])).wait().fails(4).says("refused the key");
        certify(&ca, &key, &[]);
        env.started(Bg::spawn(up_to(&env, &sshd, &["--json", "-i", key.to_str().unwrap()])).wait());
        env.down("c");
    }
}

#[test]
fn the_passphrase_of_a_certified_key_is_asked_for() {
    require!("sshd", "ssh-keygen", "setsid");
    let env = Env::new();
    let (ca, sshd) = certified(&env);
    let key = env.path("key");
    keygen(&key, "ed25519");
    certify(&ca, &key, &[]);
    set_passphrase(&key, "a b c d e");
    let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()]));
    term.answers("Enter passphrase for key", "a b c d e");
    started_at(&env, term);
    sshd.kill_sessions();
    env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
    env.down("c");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said() {
    require!("sshd", "ssh-keygen");
    let env = Env::new();
    let (ca, sshd) = certified(&env);
    let (key, other) = (env.path("key"), env.path("other"));
    let certificate = env.path("key-cert.pub");
    for key in [&key, &other] {
        keygen(key, "ed25519");
    }
    let says = |why: &str| {
        Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap()]))
            .wait()
            .fails(4)
            .hinted()
            .says(why)
            .says("key-cert.pub");
    };
    certify(&ca, &key, &["-V", "20200101:20200102"]);
    says("has expired");
    certify(&ca, &key, &["-h"]);
    says("for hosts, not for users");
    certify(&ca, &other, &[]);
    std::fs::rename(env.path("other-cert.pub"), &certificate).unwrap();
    says("no key here belongs to this certificate");
    for damaged in ["", "ssh-ed25519-cert-v01@openssh.com AAAA", "\u{1b}[2J", "ssh-ed25519 AAAA me"] {
        std::fs::write(&certificate, damaged).unwrap();
        says("not a usable certificate");
    }
    std::fs::write(&certificate, vec![b'x'; 1 << 20]).unwrap();
    says("more than any key");
}

#[test]
fn keys_in_older_formats_log_in() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    for (kind, format) in [("rsa", "PEM"), ("rsa", "PKCS8"), ("ecdsa", "PEM"), ("ecdsa", "PKCS8")] {
        let key = env.path("old");
        std::fs::copy(sshd.user_key(kind), &key).unwrap();
        ssh_keygen(&["-p", "-m", format, "-P", "", "-N", "", "-f", key.to_str().unwrap()]);
        let text = common::read_text(&key);
        assert!(!text.contains("OPENSSH"), "{text}");
        env.started(Bg::spawn(up_to(&env, &sshd, &["--json", "-i", key.to_str().unwrap()])).wait());
        env.down("c");
        // Such a file keeps its public half to itself, so it is asked for before the server is.
        ssh_keygen(&["-p", "-m", format, "-P", "", "-N", "old secret", "-f", key.to_str().unwrap()]);
        if (kind, format) == ("ecdsa", "PEM") {
            let run = Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap()])).wait();
            run.fails(4).says("encrypted in an old way").says("ssh-keygen -p");
            continue;
        }
        let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()]));
        term.answers("Enter passphrase for key", "old secret");
        started_at(&env, term);
        env.down("c");
    }
}

#[test]
fn an_rsa_key_that_is_too_short_for_the_user_is_not_offered() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("rsa");
    let up = |bits: &str| Bg::spawn(up_to(&env, &sshd, &["--json", "-i", key.to_str().unwrap(), "-o", bits])).wait();
    up("RequiredRSASize=16000").fails(4).says("RequiredRSASize wants 16000 bits");
    assert!(!sshd.log().contains("Failed publickey"), "{}", sshd.log());
    env.started(up("RequiredRSASize=0"));
    env.down("c");
}

#[test]
fn a_key_that_others_can_read_is_not_used() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    for mode in [0o644, 0o640, 0o604, 0o620] {
        std::fs::set_permissions(&key, PermissionsExt::from_mode(mode)).unwrap();
        let run = Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap()])).wait();
        run.fails(4).says("others can read it").says(format!("chmod 600 {}", key.display()));
    }
    assert!(!sshd.log().contains("Accepted key"), "it is not even offered:\n{}", sshd.log());
}

#[test]
fn damaged_keys_are_named_and_the_next_one_gets_in() {
    require!("sshd", "ssh-keygen");
    let (env, sshd) = (Env::new(), Sshd::start());
    let good = sshd.user_key("ed25519");
    let text = common::read_text(&good);
    let half = &text[..text.len() / 2];
    let cases = [
        ("empty", String::new(), "it holds no key"),
        ("half", half.to_owned(), "not a usable private key"),
        ("body", text.replace("b3BlbnNzaC1rZXktdjE", "b3BlbnNzaC1rZXktdjI"), "not a usable private key"),
        ("escape", "\u{1b}]0;x\u{7}PRIVATE KEY-----".to_owned(), "not a usable private key"),
        ("large", "x".repeat(1 << 20), "it has 1048576 bytes, more than any key"),
    ];
    for (name, content, why) in cases {
        let bad = env.write(name, content);
        std::fs::set_permissions(&bad, PermissionsExt::from_mode(0o600)).unwrap();
        let run = Bg::spawn(up_to(&env, &sshd, &["-i", bad.to_str().unwrap()])).wait();
        run.fails(4).says(format!("{}: {why}", bad.display()));
        let both = ["--json", "-i", bad.to_str().unwrap(), "-i", good.to_str().unwrap()];
        env.started(Bg::spawn(up_to(&env, &sshd, &both)).wait());
        env.down("c");
    }
    // What would wait for a writer for ever.
    let pipe = env.arg("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    Bg::spawn(up_to(&env, &sshd, &["-i", &pipe])).wait().fails(4).says("not a regular file");
    Bg::spawn(up_to(&env, &sshd, &["-i", env.path("").to_str().unwrap()])).wait().fails(4).says("not a regular file");
    env.assert_nothing_left();
}

#[test]
fn without_anybody_to_ask_a_locked_key_says_what_to_do() {
    require!("sshd", "ssh-keygen");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", "some words");
    let run = Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap()])).wait().fails(4).hinted();
    run.says(format!("the passphrase of {}", key.display())).says("nobody is there to be asked").says("ssh-add");
    env.assert_nothing_left();
}

#[test]
fn the_key_that_is_refused_is_named_in_the_line_that_would_allow_it() {
    require!("sshd", "ssh-keygen");
    let (env, sshd) = (Env::new(), Sshd::start());
    let (key, other) = (env.arg("stranger"), env.arg("other"));
    for key in [&key, &other] {
        keygen(key.as_ref(), "ed25519");
    }
    let run = Bg::spawn(up_to(&env, &sshd, &["-i", &key])).wait().fails(4);
    run.says(format!("hint: allow it there: ssh-copy-id -i {key}.pub -p {} ", sshd.port));
    let run = Bg::spawn(up_to(&env, &sshd, &["-i", &key, "-i", &other])).wait().fails(4);
    run.says(format!("hint: allow it there: ssh-copy-id -i KEY.pub -p {} ", sshd.port));
}
