//! The question about an unknown host at a terminal, and the files that the configuration names for host keys.

mod common;

use std::process::Command;

use common::login::{started_at, up_args, up_to};
use common::{Bg, Env, Sshd, Term, read_text, send};

/// `up` with the user's key and these lines of known_hosts.
fn up(env: &Env, sshd: &Sshd, known: &str, more: &[&str]) -> Command {
    let key = sshd.user_key("ed25519");
    let args = up_args(env, sshd.port, known, &[&["-i", key.to_str().unwrap()], more].concat());
    env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Waits for the question about `name`; what is typed is shown.
#[track_caller]
fn asked(term: &mut Term, sshd: &Sshd, name: &str) {
    term.shows(&format!("The authenticity of host '{name}' can't be established."));
    term.shows(&format!("ED25519 key fingerprint is {}.", sshd.fingerprint("ed25519")));
    term.shows("Are you sure you want to continue connecting (yes/no/[fingerprint])? ");
    assert!(term.echoes());
}

fn name(sshd: &Sshd) -> String {
    format!("[127.0.0.1]:{}", sshd.port)
}

#[test]
fn a_yes_or_the_fingerprint_writes_the_key_down_and_up_goes_on() {
    require!("sshd", "ssh-keygen", "setsid");
    let sshd = Sshd::start();
    for answer in ["yes", &sshd.fingerprint("ed25519")] {
        let env = Env::new();
        let mut term = Term::start(&up(&env, &sshd, "# mine\n", &[]));
        asked(&mut term, &sshd, &name(&sshd));
        term.types(&format!("perhaps\n{answer}\n"));
        term.shows("Please type 'yes', 'no' or the fingerprint: ");
        let (_, screen) = started_at(&env, term);
        assert!(screen.contains(&format!("Permanently added '{}' (ED25519)", name(&sshd))), "{screen}");
        assert_eq!(read_text(env.path("known_hosts")), format!("# mine\n{}", sshd.known_hosts()));
        // Nobody is asked again.
        sshd.kill_sessions();
        env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
        env.down("c");
        let (_, screen) = started_at(&env, Term::start(&up_to(&env, &sshd, &["-i", &key(&sshd)])));
        assert!(!screen.contains("authenticity"), "{screen}");
        env.down("c");
        env.assert_nothing_left();
    }
}

fn key(sshd: &Sshd) -> String {
    sshd.user_key("ed25519").to_str().unwrap().to_owned()
}

#[test]
fn a_no_or_another_fingerprint_ends_up_and_writes_nothing() {
    require!("sshd", "ssh-keygen", "setsid");
    let sshd = Sshd::start();
    for answers in ["no\n", "\n", "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\nno\n"] {
        let env = Env::new();
        let mut term = Term::start(&up(&env, &sshd, "", &[]));
        asked(&mut term, &sshd, &name(&sshd));
        term.types(answers);
        let (code, screen) = term.ends();
        assert_eq!(code, 5, "{screen}");
        assert!(screen.contains("host key verification refused"), "{screen}");
        assert_eq!(read_text(env.path("known_hosts")), "");
        assert!(!env.path("out").exists());
        env.assert_nothing_left();
    }
    assert!(!sshd.log().contains("Accepted"), "nobody logs in to a host that is not trusted:\n{}", sshd.log());
}

#[test]
fn a_hidden_name_and_an_alias_are_written_as_the_configuration_wants_them() {
    require!("sshd", "ssh-keygen", "setsid");
    let sshd = Sshd::start();
    let public = sshd.host_key_public("ed25519");
    let env = Env::new();
    let mut term = Term::start(&up(&env, &sshd, "", &["-o", "HashKnownHosts=yes"]));
    asked(&mut term, &sshd, &name(&sshd));
    term.types("yes\n");
    started_at(&env, term);
    env.down("c");
    let hidden = read_text(env.path("known_hosts"));
    assert!(hidden.starts_with("|1|") && hidden.ends_with(&format!(" {public}\n")), "{hidden}");
    assert!(!hidden.contains("127.0.0.1") && hidden.lines().count() == 1, "{hidden}");
    env.started(Bg::spawn(up(&env, &sshd, &hidden, &["--json"])).wait());
    env.down("c");

    env.write("work/no_config", "Host 127.0.0.1\n  HostKeyAlias Tremplin\n");
    let mut term = Term::start(&up(&env, &sshd, &sshd.known_hosts(), &[]));
    // That the address is known is told, and does not count.
    asked(&mut term, &sshd, "tremplin");
    term.types("yes\n");
    let (_, screen) = started_at(&env, term);
    assert!(screen.contains(&format!("known_hosts:1: {}", name(&sshd))), "{screen}");
    env.down("c");
    assert_eq!(read_text(env.path("known_hosts")), format!("{}tremplin {public}\n", sshd.known_hosts()));
}

#[test]
fn the_files_that_the_configuration_names_are_read_and_the_first_is_written() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    let [first, second, global, revoked] = ["first", "second", "global", "revoked"].map(|n| env.arg(n));
    let config = format!(
        "Host 127.0.0.1\n  UserKnownHostsFile {first} \"{second}\"\n  GlobalKnownHostsFile /nonexistent {global}\n  \
         RevokedHostKeys {revoked}\n"
    );
    env.write("work/no_config", config);
    let files = |second: &str, global: &str, revoked: &str| {
        for (name, content) in [("first", ""), ("second", second), ("global", global), ("revoked", revoked)] {
            env.write(name, content);
        }
    };
    // Without the options of the command line, which come before the configuration.
    let up = |more: &[&str]| {
        let user = common::sshd::whoami();
        let (target, port, out) = (format!("{user}@127.0.0.1"), sshd.port.to_string(), env.arg("out"));
        let key = key(&sshd);
        let to = ["up", &target, "-p", &port, "-F", "no_config", "-i", &key, "--remote-port", "0", "--bind"];
        env.reclog(&[&to[..], &["127.0.0.1", "--name", "c", "--out", &out], more].concat())
    };
    let known = sshd.known_hosts();
    let public = sshd.host_key_public("ed25519");
    for (second, global) in [(&known[..], ""), ("", &known)] {
        files(second, global, "# nobody\n");
        let up = env.started(Bg::spawn(up(&["--json"])).wait());
        send(up.port(), "x\n");
        env.down("c");
    }
    files("", "", "");
    Bg::spawn(up(&[])).wait().fails(5).says("is not known");
    let mut term = Term::start(&up(&[]));
    asked(&mut term, &sshd, &name(&sshd));
    term.types("yes\n");
    started_at(&env, term);
    env.down("c");
    assert_eq!(["first", "second", "global"].map(|f| read_text(env.path(f))), [&known, "", ""]);

    files(&known, &known, &format!("{public}\n"));
    Bg::spawn(up(&[])).wait().fails(5).says("is revoked").says(format!("{revoked} line 1"));
    // What must not be used any more is no question.
    files("", "", &format!("{public}\n"));
    let (code, screen) = Term::start(&up(&["-o", "StrictHostKeyChecking=no"])).ends();
    assert_eq!(code, 5, "{screen}");
    std::fs::remove_file(&revoked).unwrap();
    env.write("second", &known);
    Bg::spawn(up(&[])).wait().fails(5).says("cannot read the revoked host keys");
    env.assert_nothing_left();
}
