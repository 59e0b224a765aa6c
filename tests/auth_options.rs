//! What a person writes about the login in the ssh configuration, against a real sshd.

mod common;

use std::process::Command;

use common::agent::Agent;
use common::login::{locked_key, started_at, up_to};
use common::sshd::{keygen, whoami};
use common::{Bg, Env, Sshd, Term, pam};

/// An sshd that takes keys, questions and passwords.
fn open_to_all() -> Sshd {
    Sshd::with_pam(&["PasswordAuthentication yes", "KbdInteractiveAuthentication yes"])
}

#[test]
fn batch_mode_asks_nobody_even_at_a_terminal() {
    require!("sshd", "ssh-keygen", "setsid");
    require_pam!();
    let (env, sshd) = (Env::new(), open_to_all());
    let locked = locked_key(&sshd, "ed25519", "a b c d e");
    let locked = ["-i", locked.to_str().unwrap()];
    let unknown = ["-o", "UserKnownHostsFile=/dev/null"];
    for (more, code) in [(&locked[..], 4), (&[], 4), (&unknown, 5)] {
        let up = up_to(&env, &sshd, &[more, &["-o", "BatchMode=yes"]].concat());
        let (ended, screen) = Term::start(&up).ends();
        assert_eq!(ended, code, "{more:?}: {screen}");
        for question in ["Enter passphrase", "assword: ", "(yes/no"] {
            assert!(!screen.contains(question), "{more:?}: {screen}");
        }
    }
    assert!(!sshd.log().contains("Failed password") && !sshd.log().contains("keyboard-interactive"), "{}", sshd.log());
    env.assert_nothing_left();
}

#[test]
fn methods_are_tried_in_the_order_asked_for_and_no_others() {
    require!("sshd", "setsid");
    require_pam!();
    let sshd = open_to_all();
    let key = sshd.user_key("ed25519");
    let key = key.to_str().unwrap();
    let (question, password) = ("@127.0.0.1) Password: ", "@127.0.0.1's password: ");
    let cases: [(&[&str], &str, &str); 7] = [
        (&[], "", "publickey"),
        (&["PreferredAuthentications=password,publickey"], password, "password"),
        (&["PreferredAuthentications=keyboard-interactive,password"], question, "keyboard-interactive/pam"),
        (&["PreferredAuthentications=gssapi-with-mic,password"], password, "password"),
        (&["PubkeyAuthentication=no"], question, "keyboard-interactive/pam"),
        (&["PubkeyAuthentication=no", "KbdInteractiveAuthentication=no"], password, "password"),
        (&["PreferredAuthentications=password,publickey", "PasswordAuthentication=no"], "", "publickey"),
    ];
    for (options, prompt, method) in cases {
        let env = Env::new();
        let options = options.iter().flat_map(|o| ["-o", *o]);
        let mut term = Term::start(&up_to(&env, &sshd, &["-i", key].into_iter().chain(options).collect::<Vec<_>>()));
        if !prompt.is_empty() {
            term.answers(prompt, pam::PASSWORD);
        }
        let (_, screen) = started_at(&env, term);
        env.down("c");
        assert_eq!(screen.contains("assword: "), !prompt.is_empty(), "{screen}");
        let log = sshd.log();
        let accepted = log.lines().filter_map(|l| l.strip_prefix("Accepted ")).next_back().unwrap_or_default();
        assert_eq!(accepted.split(' ').next(), Some(method), "{log}");
    }
}

#[test]
fn methods_that_are_switched_off_are_not_tried_and_what_is_left_is_said() {
    require!("sshd", "setsid");
    require_pam!();
    let (env, sshd) = (Env::new(), open_to_all());
    let key = sshd.user_key("ed25519");
    let key = ["-i", key.to_str().unwrap()];
    let off = ["PubkeyAuthentication=no", "PasswordAuthentication=no", "KbdInteractiveAuthentication=no"];
    for options in [&off[..], &["PreferredAuthentications=hostbased"]] {
        let options: Vec<_> = key.into_iter().chain(options.iter().flat_map(|o| ["-o", *o])).collect();
        let (code, screen) = Term::start(&up_to(&env, &sshd, &options)).ends();
        assert_eq!(code, 4, "{screen}");
        assert!(screen.contains("the server takes only publickey, password, keyboard-interactive"), "{screen}");
        assert!(!screen.contains("assword: "), "{screen}");
    }
    assert!(!sshd.log().contains("Failed") && !sshd.log().contains("Accepted"), "{}", sshd.log());
    env.assert_nothing_left();
}

#[test]
fn so_many_passwords_are_asked_for_as_the_configuration_says() {
    require!("sshd", "setsid");
    require_pam!();
    for (method, prompt) in [("password", "'s password: "), ("keyboard-interactive", ") Password: ")] {
        let (env, sshd) = (Env::new(), open_to_all());
        let methods = format!("PreferredAuthentications={method}");
        let up = up_to(&env, &sshd, &["-o", "NumberOfPasswordPrompts=2", "-o", &methods]);
        let mut term = Term::start(&up);
        for _ in 0..2 {
            term.answers(prompt, "wrong");
        }
        let (code, screen) = term.ends();
        assert_eq!((code, screen.matches(prompt).count()), (4, 2), "{screen}");
        assert_eq!(screen.matches("Permission denied, please try again.").count(), 1, "{screen}");
        env.assert_nothing_left();
    }
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", "a b c d e");
    let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", "NumberOfPasswordPrompts=1"]));
    term.answers("Enter passphrase for key", "wrong");
    let (code, screen) = term.ends();
    assert_eq!((code, screen.matches("Enter passphrase").count()), (4, 1), "{screen}");
}

#[test]
fn a_certificate_that_is_named_logs_in_from_wherever_it_lies() {
    require!("sshd", "ssh-keygen");
    let env = Env::new();
    let (ca, key) = (env.path("ca"), env.path("key"));
    keygen(&ca, "ed25519");
    keygen(&key, "rsa");
    let sshd = Sshd::with_lines(&[&format!("TrustedUserCAKeys {}", ca.with_extension("pub").display())]);
    let mut sign = Command::new("ssh-keygen");
    sign.args(["-q", "-I", "me", "-n", &whoami(), "-s"]).arg(&ca).arg(key.with_extension("pub"));
    assert!(sign.status().unwrap().success());
    std::fs::rename(env.path("key-cert.pub"), env.path("work/elsewhere")).unwrap();
    let key = key.to_str().unwrap();
    Bg::spawn(up_to(&env, &sshd, &["-i", key])).wait().fails(4);
    let option = "CertificateFile=elsewhere";
    env.started(Bg::spawn(up_to(&env, &sshd, &["-i", key, "--json", "-o", option])).wait());
    env.down("c");
    // As a file of the configuration names it.
    env.write("work/no_config", format!("Host *\n  CertificateFile {}\n", env.arg("work/elsewhere")));
    env.started(Bg::spawn(up_to(&env, &sshd, &["-i", key, "--json"])).wait());
    env.down("c");
    env.write("work/no_config", "CertificateFile nowhere\n");
    Bg::spawn(up_to(&env, &sshd, &["-i", key])).wait().fails(4).says("nowhere: there is no such file");
}

#[test]
fn keys_sign_with_the_algorithms_that_are_accepted_and_others_are_not_offered() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["LogLevel DEBUG1"]));
    let [rsa, ed] = ["rsa", "ed25519"].map(|kind| sshd.user_key(kind).to_str().unwrap().to_owned());
    let offered = |algorithm: &str| sshd.log().contains(&format!("pkalg {algorithm} "));
    let up = |key: &str, algorithms: &str| {
        let algorithms = format!("PubkeyAcceptedAlgorithms={algorithms}");
        Bg::spawn(up_to(&env, &sshd, &["--json", "-i", key, "-o", &algorithms])).wait()
    };
    env.started(up(&rsa, "rsa-sha2-256"));
    env.down("c");
    assert!(offered("rsa-sha2-256") && !offered("rsa-sha2-512"), "{}", sshd.log());
    env.started(up(&rsa, "rsa-sha2-512,rsa-sha2-256"));
    env.down("c");
    assert!(offered("rsa-sha2-512"), "{}", sshd.log());
    for (key, algorithms) in [(&ed, "-ssh-ed25519"), (&ed, "rsa-sha2-*"), (&rsa, "ssh-ed25519")] {
        let run = up(key, algorithms);
        let event = run.last_event().to_string();
        assert_eq!(run.status.code(), Some(4), "{algorithms}: {run:?}");
        assert!(event.contains("not offered, PubkeyAcceptedAlgorithms leaves out"), "{algorithms}: {event}");
    }
    assert!(!offered("ssh-ed25519"), "{}", sshd.log());
    env.assert_nothing_left();
}

#[test]
fn the_agent_is_the_one_that_a_path_or_a_variable_names() {
    require!("sshd", "ssh-agent", "ssh-add");
    let (env, sshd) = (Env::new(), Sshd::start());
    let agent = Agent::start(&env);
    agent.add(&env, &[&sshd.user_key("ed25519")]);
    let folder = env.arg("");
    let up = |line: &str, sock: &str| {
        env.write("work/no_config", format!("Host *\n  IdentityAgent {line}\n"));
        let mut up = up_to(&env, &sshd, &["--json"]);
        up.env("SSH_AUTH_SOCK", sock).env("MY_AGENT", &agent.socket).env("MY_FOLDER", &folder);
        Bg::spawn(up).wait()
    };
    for line in [&agent.socket, "$MY_AGENT", "${MY_AGENT}", "\"${MY_FOLDER}/agent\""] {
        env.started(up(line, "/nonexistent"));
        env.down("c");
    }
    env.started(up("SSH_AUTH_SOCK", &agent.socket));
    env.down("c");
    for line in ["none", "$NOT_SET", "/nonexistent"] {
        let run = up(line, &agent.socket);
        assert_eq!(run.status.code(), Some(4), "{line}: {run:?}");
    }
    assert_eq!(up("${NOT_SET}", &agent.socket).status.code(), Some(2));
}
