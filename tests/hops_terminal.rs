//! Each host of a `ProxyJump` chain asks its own question in the terminal of `up`, and a reconnect asks none of them.

mod common;

use common::login::{locked_key, started_at};
use common::{Env, Sshd, Term, read_text, send};

#[test]
fn every_hop_asks_its_own_question_in_order_and_a_reconnect_asks_none() {
    require!("sshd", "ssh-keygen", "setsid");
    let env = Env::new();
    let [a, b, jump] = [(); 3].map(|()| Sshd::start());
    let first = locked_key(&a, "ed25519", "one two");
    let last = locked_key(&jump, "ed25519", "three four");
    let block = |name: &str, sshd: &Sshd, key: &std::path::Path, known: &str| {
        let known = env.write(&format!("known_{name}"), known);
        format!(
            "Host {name}\n{}  IdentityFile {}\n  IdentitiesOnly yes\n  UserKnownHostsFile {}\n",
            sshd.config_lines(),
            key.display(),
            known.display()
        )
    };
    let config = [
        block("a", &a, &first, &a.known_hosts()),
        block("b", &b, &b.user_key("ed25519"), ""),
        block("jump", &jump, &last, &jump.known_hosts()),
        "  ProxyJump a,b\n".into(),
    ];
    env.write("ssh_config", config.concat());
    let (config, out) = (env.arg("ssh_config"), env.arg("out"));
    let up = ["up", "jump", "-F", &config, "--remote-port", "0", "--bind", "127.0.0.1", "--name", "c", "--out", &out];

    // A no at the second hop is the end, and nobody knocks behind it.
    let mut term = Term::start(&env.reclog(&up));
    term.answers(&format!("Enter passphrase for key '{}': ", first.display()), "one two");
    term.shows(&format!("The authenticity of host '[127.0.0.1]:{}'", b.port));
    term.shows("(yes/no/[fingerprint])? ");
    assert!(term.echoes());
    term.types("no\n");
    let (code, screen) = term.ends();
    assert_eq!(code, 5, "{screen}");
    assert!(screen.contains("hop 2 of 2"), "{screen}");
    assert!(a.log().contains("Accepted") && !b.log().contains("Accepted"));
    assert_eq!(jump.log().matches("Connection from").count(), 1, "the test itself:\n{}", jump.log());
    assert_eq!(read_text(env.path("known_b")), "");

    let mut term = Term::start(&env.reclog(&up));
    term.answers(&format!("Enter passphrase for key '{}': ", first.display()), "wrong");
    term.shows("Bad passphrase, try again.");
    term.answers(&format!("Enter passphrase for key '{}': ", first.display()), "one two");
    term.shows(&format!("The authenticity of host '[127.0.0.1]:{}'", b.port));
    term.shows(&b.fingerprint("ed25519"));
    term.shows("(yes/no/[fingerprint])? ");
    term.types("yes\n");
    term.answers(&format!("Enter passphrase for key '{}': ", last.display()), "three four");
    let (_, screen) = started_at(&env, term);
    assert!(!screen.contains("one two") && !screen.contains("three four"), "{screen}");
    assert_eq!(read_text(env.path("known_b")), b.known_hosts());
    assert_eq!(screen.matches("Enter passphrase").count(), 3, "{screen}");

    for (n, hop) in (1..).zip([&a, &b, &jump]) {
        hop.kill_sessions();
        env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == n);
    }
    let port = env.snapshot("c")["streams"][0]["remote_port"].as_u64().unwrap();
    send(u16::try_from(port).unwrap(), "through all\n");
    env.down("c");
    assert_eq!(read_text(&out), "through all\n");
    env.assert_nothing_left();
}
