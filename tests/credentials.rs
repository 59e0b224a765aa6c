//! Secrets of a service: `credential:NAME` is a file of `$CREDENTIALS_DIRECTORY`.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use common::{Bg, Env, SOON, Sender, Sshd, free_port, read_text, send, wait_until};
use rustix::process::Signal;

/// Puts a credential where a service manager puts it: a file that its owner may read, and nobody may write.
fn credential(env: &Env, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let folder = env.path("credentials");
    let _ = std::fs::create_dir(&folder);
    let file = folder.join(name);
    let _ = std::fs::remove_file(&file);
    std::fs::write(&file, content).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o400)).unwrap();
    file
}

fn in_service(env: &Env, mut command: Command) -> Command {
    command.env("CREDENTIALS_DIRECTORY", env.path("credentials"));
    command
}

#[test]
fn a_keyword_is_read_there_and_read_again_at_a_reload() {
    let env = Env::new();
    // With an access list the group's bits show who else, and that is the user that the service runs as.
    let file = credential(&env, "word", "old\n");
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o440)).unwrap();
    let (port, out) = (free_port(), env.arg("f"));
    let address = format!("127.0.0.1:{port}");
    let args = ["listen", &address, "-f", "--name", "c", "--out", &out, "--keyword-file", "credential:word"];
    let mut up = Bg::spawn(in_service(&env, env.reclog(&args)));
    env.expect(up.pid());
    up.wait_stdout("reclog down c");
    let mut stranger = Sender::open(port);
    stranger.write("red\nx\n");
    assert!(stranger.wait_closed());
    send(port, "old\nfirst\n");
    env.wait_stored("c", 6);

    credential(&env, "word", "new\n");
    up.signal(Signal::HUP);
    wait_until("the new word holds", SOON, || {
        send(port, "new\nsecond\n");
        read_text(&out).contains("second").then_some(())
    });

    std::fs::remove_file(env.path("credentials/word")).unwrap();
    up.signal(Signal::HUP);
    let ill = env.wait_collector("c", "is ill", |c| c["health"] != serde_json::json!([]));
    let health = ill["health"].to_string();
    assert!(health.contains("there is no credential word in "), "{health}");
    send(port, "new\nthird\n");
    wait_until("the word before still holds", SOON, || read_text(&out).contains("third").then_some(()));
    up.signal(Signal::TERM);
    let run = up.wait().ok();
    assert!(!run.stderr.contains("others may use"), "{}", run.stderr);
}

#[test]
fn a_profile_takes_its_key_and_its_keywords_from_there() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    // The key is nowhere else that the collector looks.
    let key = sshd.user_key("ed25519");
    let config = read_text(env.path("ssh_config"));
    let config: Vec<_> = config.lines().filter(|line| !line.contains("Identit")).collect();
    let config = env.write("ssh_config", config.join("\n"));
    credential(&env, "key", std::fs::read(&key).unwrap());
    credential(&env, "word", "sesame\n");
    credential(&env, "app", "open\n");
    let profile = format!(
        "target: jump\nssh:\n  config: {}\n  identity: credential:key\nstreams:\n  main:\n    remote_port: 0\n    bind: 127.0.0.1\n    out: {}\n    keyword_file: credential:word\n    keywords: {{ app: credential:app }}\n",
        config.display(),
        env.arg("f")
    );
    env.write("config/profiles/c.yaml", profile);
    // Whoever looks at the profile elsewhere has no credentials.
    env.run(&["profile", "check", "c"]).ok();

    let up = env.started(Bg::spawn(in_service(&env, env.reclog(&["up", "c", "--json"]))).wait());
    send(up.port(), "sesame\none\n");
    env.wait_stored("c", 4);
    send(up.port(), "open\ntwo\n");
    env.wait_stored("c", 8);
    // Each connection reads the key anew.
    env.run(&["kick", "c"]).ok();
    env.wait_collector("c", "is up again", |c| c["reconnects"] == 1 && c["state"] == "up");
    env.down("c");
    assert_eq!(read_text(env.path("f")), "one\ntwo\n");

    // As an option, and kept by its name.
    let args = env.to_jump(&["up", "jump"], &["-i", "credential:key", "--remote-port", "0", "--save", "kept"]);
    let args = [args, vec!["--out".into(), env.arg("g"), "--json".into()]].concat();
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let up = env.started(Bg::spawn(in_service(&env, env.reclog(&args))).wait());
    env.down(&up.name);
    let kept = read_text(env.path("config/profiles/kept.yaml"));
    assert!(kept.contains("identity: credential:key"), "{kept}");
}

#[test]
fn a_credential_that_is_not_there_is_named_and_nobody_starts_that_again() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    std::fs::create_dir(env.path("credentials")).unwrap();
    let jump = |more: &[&str]| {
        let args = env.to_jump(&["up", "jump", "-f"], &[&["--remote-port", "0", "--out", "f"], more].concat());
        env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let fails = |command: Command| Bg::spawn(command).wait().fails(2).hinted();
    for (option, value) in [("-i", "credential:key"), ("--keyword-file", "credential:key")] {
        fails(jump(&[option, value])).says("$CREDENTIALS_DIRECTORY is not set").says("LoadCredential=key:PATH");
        fails(in_service(&env, jump(&[option, value]))).says("there is no credential key in ").says("LoadCredential=");
        let run = Bg::spawn(in_service(&env, jump(&[option, "credential:../key"]))).wait().fails(2);
        assert!(run.stderr.contains("a name has no slash"), "{}", run.stderr);
    }
    for line in ["  keyword_file: credential:a/b", "  keywords: { a: 'credential:' }"] {
        env.write("config/profiles/c.yaml", format!("streams:\n main:\n  listen: 5514\n  out: f\n{line}\n"));
        let run = env.run(&["profile", "check", "c"]).fails(2);
        assert!(run.stderr.contains("names no credential") && run.stderr.contains("line 5, column "), "{}", run.stderr);
    }
    env.assert_nothing_left();
}
