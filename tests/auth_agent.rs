//! Keys that an agent holds, and agents that misbehave.

mod common;

use std::path::Path;
use std::process::Command;

use common::agent::{Agent, Fake, LIST, SIGN, SecurityKey, frame, list};
use common::login::up_to;
use common::sshd::keygen;
use common::{Bg, Env, Run, Sshd};

fn up_with(env: &Env, sshd: &Sshd, socket: &Path, more: &[&str]) -> Run {
    let mut up = up_to(env, sshd, &[&["--json"], more].concat());
    up.env("SSH_AUTH_SOCK", socket);
    Bg::spawn(up).wait()
}

/// An agent that holds `keys` and never signs.
fn holder(env: &Env, keys: Vec<(Vec<u8>, Vec<u8>)>) -> Fake {
    Fake::start(env, Box::new(move |kind, _| Some(if kind == LIST { list(&keys) } else { frame(5, &[]) })))
}

fn blob_of(key: &Path) -> Vec<u8> {
    let public = russh::keys::load_public_key(key.with_extension("pub")).unwrap();
    public.to_bytes().unwrap()
}

#[test]
fn every_kind_of_key_logs_in_from_an_agent() {
    require!("sshd", "ssh-agent", "ssh-add");
    let sshd = Sshd::start();
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let env = Env::new();
        let agent = Agent::start(&env);
        agent.add(&env, &[&sshd.user_key(kind)]);
        env.started(up_with(&env, &sshd, agent.socket.as_ref(), &[]));
        env.down("c");
    }
}

#[test]
fn a_public_key_file_names_the_key_in_the_agent() {
    require!("sshd", "ssh-agent", "ssh-add");
    let (env, sshd) = (Env::new(), Sshd::start());
    let agent = Agent::start(&env);
    let (right, wrong) = (sshd.user_key("ed25519"), env.path("wrong"));
    keygen(&wrong, "ed25519");
    agent.add(&env, &[&wrong, &right]);
    let public = env.path("only.pub");
    std::fs::copy(right.with_extension("pub"), &public).unwrap();
    // Named as `only.pub`, and as `only` beside which lies `only.pub`.
    for name in ["only.pub", "only"] {
        let file = env.arg(name);
        env.started(up_with(&env, &sshd, agent.socket.as_ref(), &["-i", &file, "-o", "IdentitiesOnly=yes"]));
        env.down("c");
    }
    let failed = sshd.log().lines().filter(|l| l.starts_with("Failed publickey")).count();
    assert_eq!(failed, 0, "no other key is offered:\n{}", sshd.log());
    let file = env.arg("only.pub");
    Bg::spawn(up_to(&env, &sshd, &["-i", &file])).wait().fails(4).says("neither beside it nor in an agent");
}

#[test]
fn a_certificate_in_the_agent_logs_in() {
    require!("sshd", "ssh-agent", "ssh-add", "ssh-keygen");
    let env = Env::new();
    let ca = env.path("ca");
    keygen(&ca, "ed25519");
    let sshd = Sshd::with_lines(&[&format!("TrustedUserCAKeys {}", ca.with_extension("pub").display())]);
    let key = env.path("key");
    for kind in ["ed25519", "rsa"] {
        keygen(&key, kind);
        let mut sign = Command::new("ssh-keygen");
        sign.args(["-q", "-I", "me", "-n", &common::sshd::whoami(), "-s"]).arg(&ca).arg(key.with_extension("pub"));
        assert!(sign.status().unwrap().success());
        let agent = Agent::start(&env);
        agent.add(&env, &[&key]);
        // The files are away: certificate and key are the agent's.
        for file in ["key", "key.pub", "key-cert.pub"] {
            std::fs::remove_file(env.path(file)).unwrap();
        }
        env.started(up_with(&env, &sshd, agent.socket.as_ref(), &[]));
        env.down("c");
        std::fs::remove_file(&agent.socket).unwrap();
    }
}

#[test]
fn a_security_key_logs_in_and_a_touch_is_told() {
    require!("sshd");
    for touched in [true, false] {
        let (env, sshd, key) = (Env::new(), Sshd::start(), SecurityKey::new(3));
        let public = russh::keys::key::parse_public_key(&key.blob()).unwrap().to_openssh().unwrap();
        let options = if touched { "" } else { "no-touch-required " };
        std::fs::write(sshd.file("authorized_keys"), format!("{options}{public}\n")).unwrap();
        let blob = key.blob();
        let agent = Fake::start(
            &env,
            Box::new(move |kind, body| match kind {
                LIST => Some(list(&[(blob.clone(), b"the yellow one".to_vec())])),
                SIGN => Some(key.sign(body, touched)),
                _ => Some(frame(5, &[])),
            }),
        );
        let run = up_with(&env, &sshd, &agent.socket, &[]);
        assert_eq!(run.stderr.contains("will not survive a reconnect"), touched, "{}", run.stderr);
        assert_eq!(run.stderr.contains("the yellow one"), touched, "{}", run.stderr);
        env.started(run);
        env.down("c");
    }
}

#[test]
fn an_agent_that_talks_nonsense_is_named_and_the_file_gets_in() {
    require!("sshd");
    let sshd = Sshd::start();
    let key = sshd.user_key("ed25519");
    let truncated = {
        let mut all = list(&[(blob_of(&key), b"x".to_vec())]);
        all.truncate(30);
        all
    };
    let cases: [(&str, Vec<u8>); 7] = [
        ("announced", vec![255, 255, 255, 255, 12]),
        ("announced", vec![0, 0, 0, 0]),
        ("makes no sense", frame(12, &[255, 255, 255, 255])),
        ("makes no sense", frame(12, &[0, 0, 0, 1, 255, 255, 255, 0, 1])),
        ("type 99", frame(99, b"\x1b[2J")),
        ("refused to list", frame(5, b"")),
        ("does not answer", truncated),
    ];
    for (why, answer) in cases {
        let env = Env::new();
        let agent =
            Fake::start(&env, Box::new(move |kind, _| Some(if kind == LIST { answer.clone() } else { frame(5, &[]) })));
        // Without the file its trouble is told; with it nobody needs to know.
        let mut up = up_to(&env, &sshd, &[]);
        up.env("SSH_AUTH_SOCK", &agent.socket);
        Bg::spawn(up).wait().fails(4).says(why).says("the agent at");
        env.started(up_with(&env, &sshd, &agent.socket, &["-i", key.to_str().unwrap()]));
        env.down("c");
    }
}

#[test]
fn an_agent_that_hangs_holds_up_nobody_for_long() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let agent = Fake::start(&env, Box::new(|_, _| None));
    env.started(up_with(&env, &sshd, &agent.socket, &["-i", key.to_str().unwrap()]));
    env.down("c");
}

#[test]
fn an_agent_that_does_not_sign_leaves_it_to_the_file() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let agent = holder(&env, vec![(blob_of(&key), b"\x1b[2Jcomment\xff".to_vec())]);
    let mut up = up_to(&env, &sshd, &[]);
    up.env("SSH_AUTH_SOCK", &agent.socket);
    Bg::spawn(up).wait().fails(4).says("\\x1b[2Jcomment\\xff (agent): the agent did not sign: it refused");
    env.started(up_with(&env, &sshd, &agent.socket, &["-i", key.to_str().unwrap()]));
    assert!(agent.asked.lock().unwrap().contains(&SIGN), "the agent is asked first");
    env.down("c");
}

#[test]
fn too_many_keys_of_an_agent_are_told_from_a_wrong_key() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = sshd.user_key("ed25519");
    let many = (0..2000u32).map(|n| {
        let mut seed = [1; 32];
        seed[..4].copy_from_slice(&n.to_be_bytes());
        let pair = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&seed);
        (russh::keys::PublicKey::from(pair.public).to_bytes().unwrap(), format!("key {n}").into_bytes())
    });
    let agent = holder(&env, many.collect());
    let mut up = up_to(&env, &sshd, &[]);
    up.env("SSH_AUTH_SOCK", &agent.socket);
    let run = Bg::spawn(up).wait().fails(4).says("after so many").says("IdentitiesOnly").says("key 0 (agent)");
    assert!(!run.stderr.contains("key 20 "), "{}", run.stderr);
    env.started(up_with(&env, &sshd, &agent.socket, &["-i", key.to_str().unwrap(), "-o", "IdentitiesOnly=yes"]));
    env.down("c");
    env.assert_nothing_left();
}

#[test]
fn the_agent_of_the_configuration_is_asked_and_none_is_none() {
    require!("sshd", "ssh-agent", "ssh-add");
    let (env, sshd) = (Env::new(), Sshd::start());
    let agent = Agent::start(&env);
    agent.add(&env, &[&sshd.user_key("ed25519")]);
    let option = format!("IdentityAgent={}", agent.socket);
    let run = up_with(&env, &sshd, Path::new("/nonexistent"), &["-o", &option]);
    env.started(run);
    env.down("c");
    let run = up_with(&env, &sshd, agent.socket.as_ref(), &["-o", "IdentityAgent=none"]);
    assert_eq!(run.status.code(), Some(4), "{run:?}");
}

#[test]
fn an_agent_that_is_gone_at_a_reconnect_is_named_by_status() {
    require!("sshd", "ssh-agent", "ssh-add");
    let (env, sshd) = (Env::new(), Sshd::start());
    let agent = Agent::start(&env);
    agent.add(&env, &[&sshd.user_key("ed25519")]);
    env.started(up_with(&env, &sshd, agent.socket.as_ref(), &[]));
    drop(agent);
    env.run(&["kick", "c"]).ok();
    let failed = env.wait_state("c", "failed");
    let health = failed["health"].to_string();
    assert!(health.contains("again") && health.contains("the agent at"), "{failed}");
    env.down("c");
}
