//! Host keys against a real sshd: what is known, what is asked, what is written down, and the same decision as ssh's.

mod common;

use std::process::{Command, Stdio};
use std::sync::Arc;

use common::client::{Script, Stage, public};
use common::sshd::whoami;
use common::{SOON, Sshd, read, read_text, wait_until};
use reclog::ssh::{Answer, Memory, QuestionKind, Settings};

fn memory() -> Arc<Memory> {
    Arc::default()
}

/// As the keyword StrictHostKeyChecking says.
fn strict(stage: &Stage, value: &str) -> Settings {
    use reclog::plan::SshPlan;
    let resolved = Settings::resolve(&SshPlan {
        host: "x".into(),
        config_file: Some("none".into()),
        options: vec![("StrictHostKeyChecking".into(), value.into())],
        ..SshPlan::default()
    });
    let mut settings = stage.settings();
    settings.strict = resolved.unwrap().strict;
    settings
}

#[test]
fn known_hosts_decides_as_it_does_for_ssh() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["ed25519", "ecdsa", "rsa"], &[]));
    let [ed, ecdsa, rsa] = ["ed25519", "ecdsa", "rsa"].map(|kind| stage.sshd.host_key_public(kind));
    let other = public(&stage.keypair("other", "ed25519"));
    let other_rsa = public(&stage.keypair("other_rsa", "rsa"));
    let name = stage.name();
    let hashed = {
        let file = stage.known(format!("{name} {ed}\n"));
        Command::new("ssh-keygen").arg("-Hf").arg(&file).output().unwrap();
        read_text(&file)
    };
    assert!(hashed.starts_with("|1|"));
    let cases = [
        ("the name with its port", format!("{name} {ed}\n"), true),
        ("nothing", String::new(), false),
        ("a hashed name", hashed, true),
        ("the name without its port", format!("127.0.0.1 {ed}\n"), true),
        ("the ECDSA key alone", format!("{name} {ecdsa}\n"), true),
        ("the RSA key alone", format!("{name} {rsa}\n"), true),
        ("the second of two keys of a type", format!("{name} {other}\n{name} {ed}\n"), true),
        ("another key", format!("{name} {other}\n"), false),
        ("another key, and the right one without the port", format!("{name} {other}\n127.0.0.1 {ed}\n"), false),
        ("the wrong one of one type, the right one of another", format!("{name} {other}\n{name} {ecdsa}\n"), false),
        ("the wrong RSA key, the right one of another type", format!("{name} {other_rsa}\n{name} {ecdsa}\n"), true),
        ("a pattern", format!("[127.0.0.*]:* {ed}\n"), true),
        ("a pattern and a negation that does not match", format!("[127.*,!10.*,[127.0.?.1]:* {ed}\n"), true),
        ("a pattern and a negation", format!("[127.0.0.*]:*,!{name} {ed}\n"), false),
        ("a negation alone", format!("!other {ed}\n"), false),
        ("a line with a carriage return", format!("{name} {ed}\r\n"), true),
        (
            "a line without its end, after garbage",
            format!("\u{fffd}\x1b[\n{name}\n@x {name} {ed}\n{name} {ed} c"),
            true,
        ),
        ("a revoked key", format!("{name} {ed}\n@revoked {name} {ed}\n"), false),
        ("a revoked key of another host", format!("{name} {ed}\n@revoked other {ed}\n"), true),
        ("another key that is revoked", format!("{name} {ed}\n@revoked * {other}\n"), true),
        ("an authority's key is no host key", format!("@cert-authority {name} {ed}\n"), false),
    ];
    for (what, content, expected) in cases {
        stage.known(&content);
        assert_eq!(stage.ssh_connects(&[]), expected, "ssh itself: {what}");
        let ours = stage.alone(&strict(&stage, "yes"));
        assert_eq!(ours.is_ok(), expected, "{what}: {ours:?}");
        assert!(ours.is_ok_and(|()| true) || stage.refusal(&strict(&stage, "ask")).hint_text().is_some(), "{what}");
        assert_eq!(read(stage.path("known_hosts")), content.as_bytes(), "{what}: nothing is written");
    }
}

/// ssh calls such a host unknown: it asks for the algorithms of keys that stand with the port alone.
#[test]
fn a_key_that_is_known_without_the_port_is_asked_for_too() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["ed25519", "ecdsa", "rsa"], &[]));
    for kind in ["ecdsa", "rsa"] {
        stage.known(format!("127.0.0.1 {}\n", stage.sshd.host_key_public(kind)));
        stage.alone(&stage.settings()).unwrap();
    }
}

#[test]
fn an_alias_is_looked_for_and_written_without_a_port() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let ed = stage.sshd.host_key_public("ed25519");
    let mut settings = strict(&stage, "accept-new");
    settings.host_key_alias = Some("Tremplin".into());
    stage.known("");
    stage.alone(&settings).unwrap();
    assert_eq!(read_text(stage.path("known_hosts")), format!("tremplin {ed}\n"));
    assert!(stage.ssh_connects(&["HostKeyAlias=Tremplin"]), "ssh finds it");
    settings.strict = strict(&stage, "yes").strict;
    stage.alone(&settings).unwrap();
}

#[test]
fn the_users_own_order_of_host_keys_is_kept() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["ed25519", "rsa"], &[]));
    stage.known(stage.sshd.known_hosts_line("rsa"));
    let mut settings = stage.settings();
    stage.alone(&settings).unwrap();
    settings.algorithms.host_keys = Some(vec!["ssh-ed25519".into(), "rsa-sha2-256".into()]);
    // After `+` and `-` known keys come first all the same.
    stage.alone(&settings).unwrap();
    settings.algorithms.host_keys_in_order = true;
    assert!(stage.refusal(&settings).message.contains("changed"));
    assert!(!stage.ssh_connects(&["HostKeyAlgorithms=ssh-ed25519,rsa-sha2-256"]));
    settings.algorithms.host_keys = Some(vec!["rsa-sha2-256".into()]);
    stage.alone(&settings).unwrap();
}

#[test]
fn an_rsa_key_is_as_long_as_the_user_wants_it() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["rsa"], &[]));
    stage.known(stage.sshd.known_hosts_line("rsa"));
    let mut settings = stage.settings();
    stage.alone(&settings).unwrap();
    settings.least_rsa = 16_000;
    assert!(stage.refusal(&settings).message.contains("less than 16000 bits"));
    assert!(!stage.ssh_connects(&["RequiredRSASize=16000"]));
}

#[test]
fn an_unknown_key_is_shown_and_a_yes_writes_it_down() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let line = stage.sshd.known_hosts_line("ed25519");
    let fingerprint = stage.sshd.fingerprint("ed25519");
    let before = "# mine\nother ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8kNqYmYLpVYFcBJ2F7EVYnzYzB1v0lSGhpgFUtpJ9b";
    for answers in [&["yes"][..], &["YES "], &[&fingerprint], &["y", "SHA256:wrong", "yes"]] {
        stage.known(before);
        let person = Script::typing(answers);
        stage.connect(&stage.settings(), Arc::clone(&person), &memory()).unwrap();
        assert_eq!(read_text(stage.path("known_hosts")), format!("{before}\n{line}"), "{answers:?}");
        let asked = person.asked();
        assert_eq!(asked.len(), answers.len());
        for part in [
            &stage.name(),
            &format!("ED25519 key fingerprint is {fingerprint}."),
            "Are you sure you want to continue connecting (yes/no/[fingerprint])? ",
        ] {
            assert!(asked[0].text.contains(part), "{part}: {}", asked[0].text);
        }
        assert!(asked[0].text.contains("not known by any other names.\n"), "{}", asked[0].text);
        assert_eq!(asked[0].kind, QuestionKind::HostKey);
        assert!(asked[1..].iter().all(|q| q.text == "Please type 'yes', 'no' or the fingerprint: "));
        assert!(
            person.told().contains(&format!("Permanently added '{}' (ED25519)", stage.name())),
            "{}",
            person.told()
        );
        assert!(stage.ssh_connects(&[]), "ssh trusts it now, too");
        let nobody = Script::nobody();
        stage.connect(&stage.settings(), Arc::clone(&nobody), &memory()).unwrap();
        assert!(nobody.asked().is_empty() && nobody.told().is_empty(), "a known host is no question");
    }
}

#[test]
fn a_no_or_no_answer_refuses_and_writes_nothing() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    stage.known("");
    let endless = vec!["perhaps"; 1000];
    let people =
        [Script::typing(&["no"]), Script::typing(&[" No"]), Script::typing(&[""]), Script::giving(Answer::Declined)];
    for person in people.into_iter().chain([Script::typing(&endless)]) {
        let memory = memory();
        let error = stage.connect(&stage.settings(), Arc::clone(&person), &memory).unwrap_err();
        assert_eq!(error.kind.exit_code(), 5);
        assert!(error.message.contains("host key verification refused"), "{error}");
        assert!(person.asked().len() < 50, "a question has an end");
        assert_eq!(read_text(stage.path("known_hosts")), "");
        assert!(
            stage.connect(&stage.settings(), Script::nobody(), &memory).is_err(),
            "a no is not remembered as a yes"
        );
    }
}

#[test]
fn nobody_batch_mode_and_yes_refuse_an_unknown_key_without_a_question() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    stage.known("");
    let mut batch = stage.settings();
    batch.batch_mode = true;
    let nobody = stage.refusal(&stage.settings());
    for settings in [batch, strict(&stage, "yes")] {
        let person = Script::typing(&["yes"]);
        let error = stage.connect(&settings, Arc::clone(&person), &memory()).unwrap_err();
        assert!(person.asked().is_empty());
        assert_eq!((error.kind.exit_code(), &error), (5, &nobody), "the same words");
    }
    assert!(nobody.message.contains(&stage.sshd.fingerprint("ed25519")), "{nobody}");
    assert!(nobody.hint_text().unwrap().contains("accept-new"));
    assert_eq!(read_text(stage.path("known_hosts")), "");
}

#[test]
fn other_names_of_the_same_key_are_told() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let ed = stage.sshd.host_key_public("ed25519");
    let file = stage.known(format!("# x\nold\u{9b}31m,10.0.0.1 {ed}\n"));
    let person = Script::typing(&["no"]);
    stage.connect(&stage.settings(), Arc::clone(&person), &memory()).unwrap_err();
    let text = &person.asked()[0].text;
    assert!(
        text.contains(&format!("known by other names:\n    {}:2: old\\u{{9b}}31m,10.0.0.1", file.display())),
        "{text}"
    );
}

#[test]
fn hash_known_hosts_hides_the_name() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let mut settings = strict(&stage, "accept-new");
    settings.hash_known_hosts = true;
    stage.alone(&settings).unwrap();
    let text = read_text(stage.path("known_hosts"));
    assert!(text.starts_with("|1|") && !text.contains("127.0.0.1") && text.lines().count() == 1, "{text}");
    stage.alone(&strict(&stage, "yes")).unwrap();
    assert!(stage.ssh_connects(&[]), "ssh reads it");
}

#[test]
fn accept_new_and_no_learn_a_new_host_and_never_take_a_changed_key() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["ed25519", "rsa"], &[]));
    let other = public(&stage.keypair("other", "ed25519"));
    let ecdsa = public(&stage.keypair("ecdsa", "ecdsa"));
    for value in ["accept-new", "no"] {
        let settings = strict(&stage, value);
        stage.known("");
        let person = Script::nobody();
        stage.connect(&settings, Arc::clone(&person), &memory()).unwrap();
        assert_eq!(read_text(stage.path("known_hosts")), stage.sshd.known_hosts_line("ed25519"));
        assert!(person.asked().is_empty() && person.told().contains("Permanently added"), "{}", person.told());
        // Any key of the host, of whatever type, in whatever file.
        for key in [&other, &ecdsa] {
            let mut settings = settings.clone();
            settings.global_known_hosts = vec![stage.path("global")];
            std::fs::write(stage.path("global"), format!("#\n{} {key}\n", stage.name())).unwrap();
            stage.known("");
            let error = stage.refusal(&settings);
            assert!(error.message.contains("changed") && error.message.contains("global line 2"), "{value}: {error}");
            assert_eq!(read_text(stage.path("known_hosts")), "", "{value}");
        }
    }
}

#[test]
fn a_key_that_cannot_be_written_down_is_kept_for_reconnects_and_no_other_is_taken() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let mut none = stage.settings();
    none.user_known_hosts.clear();
    let mut nowhere = stage.settings();
    nowhere.user_known_hosts = vec!["/dev/null".into()];
    let mut not_a_folder = stage.settings();
    not_a_folder.user_known_hosts = vec!["/proc/nowhere/known_hosts".into()];
    for settings in [none, nowhere, not_a_folder] {
        let (memory, person) = (memory(), Script::typing(&["yes"]));
        stage.connect(&settings, Arc::clone(&person), &memory).unwrap();
        assert_eq!(person.asked().len(), 1);
        let reconnect = Script::nobody();
        stage.connect(&settings, Arc::clone(&reconnect), &memory).unwrap();
        assert!(reconnect.asked().is_empty());

        stage.sshd.stop();
        stage.sshd.replace_host_key("ed25519");
        stage.sshd.start_again();
        let person = Script::typing(&["yes"]);
        let error = stage.connect(&settings, Arc::clone(&person), &memory).unwrap_err();
        assert!(person.asked().is_empty() && error.kind.exit_code() == 5, "{error}");
        assert!(error.message.contains("changed"), "{error}");
    }
}

/// Somebody who says yes after another process has written this to that file.
struct Slow(std::path::PathBuf, String);

impl reclog::ssh::Person for Slow {
    fn ask(&self, _: reclog::ssh::Question) -> reclog::ssh::Asking<'_> {
        std::fs::write(&self.0, &self.1).unwrap();
        Box::pin(std::future::ready(Answer::Text("yes".to_owned().into())))
    }

    fn tell(&self, _: &str) {}
}

#[test]
fn what_somebody_else_wrote_down_meanwhile_counts() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    let line = stage.sshd.known_hosts_line("ed25519");
    let other = format!("{} {}\n", stage.name(), public(&stage.keypair("other", "ed25519")));
    for (meanwhile, works) in [(&line, true), (&other, false)] {
        let file = stage.known("");
        let slow = Arc::new(Slow(file.clone(), meanwhile.clone()));
        let settings = Arc::new(stage.settings());
        let connected =
            stage.runtime.block_on(reclog::ssh::Connection::establish(settings, slow, memory(), &|_, _| ()));
        assert_eq!(connected.is_ok(), works);
        assert_eq!(&read_text(&file), meanwhile, "no line twice, none beside another");
    }
}

#[test]
fn new_host_keys_that_a_server_announces_are_not_taken_over() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::with(&["ed25519", "ecdsa", "rsa"], &[]));
    let content = format!("# mine\n\n{}", stage.sshd.known_hosts_line("ed25519"));
    let file = stage.known(&content);
    let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
    stage.alone(&stage.settings()).unwrap();
    assert_eq!(read_text(&file), content);
    assert_eq!(std::fs::metadata(&file).unwrap().modified().unwrap(), modified);
    // There was something to take over: ssh, told so, does, and ends when its standard input does.
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", "none", "-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-o", "UpdateHostKeys=yes"]);
    ssh.args(["-o", "GlobalKnownHostsFile=/dev/null", "-p", &stage.sshd.port.to_string(), "-i"]);
    ssh.arg(stage.sshd.user_key("ed25519")).arg("-o").arg(format!("UserKnownHostsFile={}", file.display()));
    ssh.args(["-l", &whoami(), "127.0.0.1", "cat"]).stdin(Stdio::piped()).stdout(Stdio::null());
    let mut ssh = ssh.spawn().expect("ssh");
    wait_until("ssh takes the keys over", SOON, || {
        read_text(&file).contains(&stage.sshd.host_key_public("rsa")).then_some(())
    });
    drop(ssh.stdin.take());
    ssh.wait().unwrap();
}

#[test]
fn an_unreadable_file_refuses_before_anything_is_asked() {
    require!("sshd", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    stage.known(stage.sshd.known_hosts());
    let mut settings = strict(&stage, "no");
    settings.global_known_hosts = vec![stage.dir.path().into()];
    let error = stage.refusal(&settings);
    assert!(error.message.contains("Is a directory"), "{error}");
}

#[test]
fn revoked_host_keys_refuse_what_known_hosts_would_take() {
    require!("sshd", "ssh", "ssh-keygen");
    let stage = Stage::new(Sshd::start());
    stage.known(stage.sshd.known_hosts());
    let list = stage.path("revoked");
    let option = format!("RevokedHostKeys={}", list.display());
    let mut settings = strict(&stage, "no");
    settings.revoked_host_keys = Some(list.clone());
    let krl = stage.path("krl");
    let other = stage.keypair("other", "ed25519");
    let made = Command::new("ssh-keygen").arg("-kf").arg(&krl).arg(other.with_extension("pub")).output().unwrap();
    assert!(made.status.success());
    for (what, content, good) in [
        ("another key", format!("# x\n\n{}\n", public(&other)).into_bytes(), true),
        (
            "the host's key",
            format!("{}\n{} me@here\n", public(&other), stage.sshd.host_key_public("ed25519")).into(),
            false,
        ),
        ("garbage", b"garbage\n".to_vec(), false),
        ("nothing", Vec::new(), true),
    ] {
        std::fs::write(&list, content).unwrap();
        assert_eq!(stage.ssh_connects(&[&option]), good, "ssh: {what}");
        assert_eq!(stage.alone(&settings).is_ok(), good, "{what}");
    }
    settings.revoked_host_keys = Some(krl);
    assert!(stage.refusal(&settings).message.contains("KRL"));
    settings.revoked_host_keys = Some(stage.path("none"));
    stage.refusal(&settings);
}
