//! Where the keyword comes from: a file, the environment, a person; that it is seen nowhere else; and how it is changed.

mod common;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use common::procs::signal;
use common::{Bg, Env, Run, SOON, Sender, Sshd, Term, free_port, read_text, send, wait_until};
use rustix::process::Signal;

const WORD: &str = "b1ue-m00n";

/// A file of the owner alone.
fn word_file(env: &Env, name: &str, content: &str) -> String {
    let path = env.write(name, content);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    env.arg(name)
}

fn with_word(mut command: Command) -> Command {
    command.env("RECLOG_KEYWORD", WORD);
    command
}

/// No file below `folder` holds the word.
fn assert_nowhere(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            assert_nowhere(&path);
        } else {
            let bytes = std::fs::read(&path).unwrap_or_default();
            assert!(memchr::memmem::find(&bytes, WORD.as_bytes()).is_none(), "the word stands in {}", path.display());
        }
    }
}

/// Neither arguments, environment, files nor answers hold the word.
fn assert_hidden(env: &Env, pid: u32) {
    for what in ["environ", "cmdline"] {
        let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap();
        assert!(!bytes.is_empty(), "{what} of {pid}");
        assert!(memchr::memmem::find(&bytes, WORD.as_bytes()).is_none(), "the word stands in {what}");
    }
    for args in [&["status", "--json"][..], &["status"], &["audit"], &["audit", "--json"], &["how"]] {
        let run = env.run(args).ok();
        assert!(!run.stdout.contains(WORD) && !run.stderr.contains(WORD), "{run:?}");
    }
    assert_nowhere(&env.path("state"));
}

/// Whoever says the word gets a line into the file `f`, whoever says another one does not.
fn assert_asked(env: &Env, port: u16) {
    let mut stranger = Sender::open(port);
    stranger.write("red\nfrom a stranger\n");
    assert!(stranger.wait_closed());
    send(port, format!("{WORD}\nhello\n"));
    wait_until("the line is stored, and nothing else", SOON, || (read_text(env.path("f")) == "hello\n").then_some(()));
}

fn listen(env: &Env, more: &[&str]) -> Command {
    let out = env.arg("f");
    env.reclog(&[&["listen", "127.0.0.1:0", "--out", &out, "--name", "c", "--json"], more].concat())
}

fn ended(command: Command) -> Run {
    Bg::spawn(command).wait()
}

#[test]
fn the_word_of_the_environment_reaches_the_collector_and_stands_nowhere() {
    let env = Env::new();
    let up = env.started(ended(with_word(listen(&env, &[]))));
    assert_asked(&env, up.port());
    assert_eq!(env.stream("c")["keywords"], serde_json::json!(["default"]));
    wait_until("the audit trail names the keyword", SOON, || {
        env.run(&["audit", "--json"]).ok().stdout.contains("\"keyword\":\"default\"").then_some(())
    });
    assert_hidden(&env, up.pid);
    // What was given is in no file: there is nothing to read again.
    signal(up.pid, Signal::HUP);
    send(up.port(), format!("{WORD}\nagain\n"));
    env.down("c");
    assert_eq!(read_text(env.path("f")), "hello\nagain\n");
    env.assert_nothing_left();
}

#[test]
fn the_word_of_a_person_is_asked_for_without_echo() {
    let env = Env::new();
    let mut term = Term::start(&listen(&env, &["--keyword-file", "-"]));
    term.answers("Keyword for the senders of \"c\": ", WORD);
    let (code, screen) = term.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains(WORD), "{screen}");
    let pid = env.processes()[0];
    env.expect(pid);
    let port = env.stream("c")["remote_port"].as_u64().unwrap();
    assert_asked(&env, u16::try_from(port).unwrap());
    assert_hidden(&env, pid);
    env.down("c");
}

#[test]
fn a_question_for_the_keyword_that_gets_no_answer_leaves_nothing() {
    let env = Env::new();
    let nobody = listen(&env, &["--keyword-file", "-"]);
    let mut setsid = env.command("setsid");
    setsid.arg("-w").arg(nobody.get_program()).args(nobody.get_args());
    ended(setsid).fails(2).hinted().says("cannot ask for the keyword: there is no terminal");
    let mut term = Term::start(&listen(&env, &["--keyword-file", "-"]));
    term.shows("Keyword for the senders");
    assert!(!term.echoes());
    term.types("\x03");
    wait_until("the terminal is as it was", SOON, || term.echoes().then_some(()));
    assert_eq!(term.ends().0, 130);
    env.assert_nothing_left();
    assert!(!env.path("f").exists());
}

#[test]
fn in_the_foreground_what_is_started_does_not_see_the_word() {
    require!("sshd", "socat");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (proxy, exec) = (env.arg("proxy.env"), env.arg("exec.env"));
    let config = read_text(env.path("ssh_config"));
    let more = format!("  ProxyCommand sh -c 'env > {proxy}; exec socat - TCP:%h:%p'\nMatch exec \"env > {exec}\"\n");
    env.write("ssh_config", format!("{}\n{more}", config.trim_end()));
    let port = free_port();
    let args = env.to_jump(&["up", "jump", "-f"], &["--remote-port", &port.to_string(), "--out", &env.arg("f")]);
    let mut up = Bg::spawn(with_word(env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>())));
    env.expect(up.pid());
    let block = up.wait_stdout("reclog down jump");
    assert!(block.contains("send   reclog how jump   (the keyword comes first)"), "{block}");
    assert_asked(&env, port);
    for file in [proxy, exec] {
        let seen = read_text(&file);
        assert!(seen.contains("RECLOG_STATE_DIR=") && !seen.contains("RECLOG_KEYWORD"), "{file}: {seen}");
    }
    assert_nowhere(&env.path("state"));
    up.signal(Signal::INT);
    up.wait().ok();
}

#[test]
fn a_file_goes_before_the_environment_and_both_before_the_profile() {
    let env = Env::new();
    let (other, profile) = (word_file(&env, "other", "green\n"), word_file(&env, "profile", "yellow\n"));
    let out = env.arg("f");
    let text = format!("streams:\n  main: {{ listen: '127.0.0.1:0', out: {out}, keyword_file: {profile} }}\n");
    env.write("config/profiles/p.yaml", text);
    for (more, environment, right) in
        [(&[][..], false, "yellow"), (&[], true, WORD), (&["--keyword-file", &other], true, "green")]
    {
        let command = env.reclog(&[&["up", "p", "--json"], more].concat());
        let up = env.started(ended(if environment { with_word(command) } else { command }));
        for word in ["yellow", "green", WORD] {
            let mut sender = Sender::open(up.port());
            sender.write(format!("{word}\nit was {word}\n"));
            if word == right {
                sender.finish();
            } else {
                assert!(sender.wait_closed());
            }
        }
        env.down("p");
    }
    assert_eq!(read_text(&out), format!("it was yellow\nit was {WORD}\nit was green\n"));
}

#[test]
fn a_word_that_was_given_is_not_saved_and_a_file_is_by_its_path() {
    let env = Env::new();
    word_file(&env, "work/word", WORD);
    // Nobody answers there: the profile is saved before.
    let up = |name: &str, more: &[&str]| {
        let args =
            ["up", "127.0.0.1", "-F", "no_config", "-p", "1", "--remote-port", "5", "--out", "x", "--save", name];
        env.reclog(&[&args, more].concat())
    };
    ended(with_word(up("given", &[]))).fails(1).says("the keyword is not saved");
    ended(up("file", &["--keyword-file", "word"])).fails(1);
    let saved = |name: &str| read_text(env.path(format!("config/profiles/{name}.yaml")));
    assert!(!saved("given").contains("keyword") && !saved("given").contains(WORD), "{}", saved("given"));
    assert!(saved("file").contains(&format!("keyword_file: {}", env.arg("work/word"))), "{}", saved("file"));
}

#[test]
fn a_hangup_changes_the_keyword_and_whoever_is_in_stays() {
    let env = Env::new();
    let file = word_file(&env, "word", "old\n");
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--keyword-file", &file]);
    let mut inside = Sender::open(up.port());
    inside.write("old\none\n");
    env.wait_stored("c", 4);

    // A bad file: the old word stays, and health says so.
    word_file(&env, "word", "");
    signal(up.pid, Signal::HUP);
    let sick = env.wait_collector("c", "tells of the keyword", |c| c["health"].to_string().contains("keyword"));
    assert!(sick["health"][0].as_str().unwrap().contains(&format!("{file} is empty")), "{sick}");
    send(up.port(), "old\ntwo\n");

    word_file(&env, "word", "new\r\n");
    signal(up.pid, Signal::HUP);
    env.wait_collector("c", "is well again", |c| c["health"].as_array().is_some_and(Vec::is_empty));
    let mut late = Sender::open(up.port());
    late.write("old\nnever\n");
    assert!(late.wait_closed());
    send(up.port(), "new\nthree\n");
    inside.write("four\n");
    inside.finish();
    env.down("c");
    assert_eq!(read_text(env.path("f")), "one\ntwo\nthree\nfour\n");
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_its_path_before_anything_starts() {
    let env = Env::new();
    let two = format!("{{ a: {}, b: {} }}", word_file(&env, "a", WORD), word_file(&env, "b", WORD));
    let twice = format!("streams: {{ main: {{ listen: 0, out: {}, keywords: {two} }} }}", env.arg("f"));
    env.write("config/profiles/twice.yaml", twice);
    let same = env.run(&["up", "twice"]).fails(2).hinted().says("`a` and `b` have the same word");
    assert!(!same.stderr.contains(WORD));
    for (content, says) in
        [("", "is empty"), ("\n", "is empty"), ("a\nb\n", "has more than one line"), ("a\0", "holds a NUL")]
    {
        let file = word_file(&env, "word", content);
        ended(listen(&env, &["--keyword-file", &file])).fails(2).hinted().says(format!("{file} {says}"));
    }
    let long = word_file(&env, "long", &"x".repeat(1025));
    ended(listen(&env, &["--keyword-file", &long])).fails(2).hinted().says("longer than 1024 bytes");
    ended(listen(&env, &["--keyword-file", "/nonexistent/word"])).fails(2).hinted().says("/nonexistent/word");
    let mut empty = listen(&env, &[]);
    empty.env("RECLOG_KEYWORD", "");
    ended(empty).fails(2).hinted().says("RECLOG_KEYWORD is empty");
    assert!(!env.path("f").exists());
    env.assert_nothing_left();

    // A folder of a stranger's making.
    let hostile = env.path("work/\x1b[31m\u{202e}");
    std::fs::create_dir(&hostile).unwrap();
    let mut there = listen(&env, &["--keyword-file", "word"]);
    there.current_dir(&hostile);
    let run = ended(there).fails(2).hinted();
    assert!(!run.stderr.contains(['\x1b', '\u{202e}']), "{run:?}");

    let loose = word_file(&env, "loose", WORD);
    std::fs::set_permissions(&loose, std::fs::Permissions::from_mode(0o644)).unwrap();
    let run = ended(listen(&env, &["--keyword-file", &loose])).says("others may use the keyword file").says("0644");
    env.started(run);
    env.down("c");
}

#[test]
fn how_leads_through_the_gate_and_says_who_cannot() {
    require!("bash", "nc", "socat", "python3");
    let env = Env::new();
    word_file(&env, "work/reclog.keyword", WORD);
    let up = env.started(ended(with_word(listen(&env, &[]))));
    for (n, sender) in (1..).zip(["bash", "nc", "socat", "python"]) {
        let how = env.run(&["how", "c", "--sender", sender]).ok().says("reclog.keyword");
        let pasted = env.command("bash").args(["-c", &how.stdout]).output().unwrap();
        assert!(pasted.status.success(), "{sender}: {pasted:?}");
        wait_until(&format!("the line of {sender} is there"), SOON, || {
            (read_text(env.path("f")).matches("hello").count() == n).then_some(())
        });
    }
    for sender in ["logger", "rsyslog"] {
        env.run(&["how", "c", "--sender", sender]).fails(2).hinted().says("cannot send a keyword");
    }
    assert!(!read_text(env.path("f")).contains(WORD));
    assert_eq!(env.stream("c")["senders"]["rejected"], serde_json::json!({}));
    drop(up);
    env.down("c");
}
