//! What a server may ask and say on the way in: codes, banners, several methods in a row, and servers that misbehave.

mod common;

use std::time::Duration;

use common::gate::{Gate, Script};
use common::login::{started_at, up_gate, up_to};
use common::{Bg, Env, LATER, Sshd, Term, pam, wait_until};
use russh::MethodKind::{KeyboardInteractive, Password, PublicKey};

fn gate(requests: Vec<(&str, &str, Vec<common::gate::Asked>)>) -> Gate {
    let requests = requests.into_iter().map(|(n, i, p)| (n.to_owned(), i.to_owned(), p)).collect();
    Gate::start(Script { methods: vec![KeyboardInteractive], requests, ..Script::default() })
}

#[test]
fn a_one_time_code_gets_in_once_and_says_so_beforehand() {
    require!("setsid");
    let env = Env::new();
    let gate = gate(vec![
        ("Two factors", "First the password,\nthen the code.", vec![("Password: ", false, "horse")]),
        ("", "", vec![]),
        ("", "", vec![("Verification code: ", true, "123456")]),
    ]);
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.shows("Two factors\r\nFirst the password,\r\nthen the code.\r\n(");
    term.answers("@127.0.0.1) Password: ", "horse");
    term.shows("@127.0.0.1) Verification code: ");
    assert!(term.echoes(), "a server may want an answer to be seen");
    term.types("123456\n");
    let (collector, screen) = started_at(&env, term);
    assert!(screen.contains("will not survive a reconnect"), "{screen}");
    assert!(screen.contains("Verification code") && !screen.contains("horse"), "{screen}");

    gate.cut();
    let failed = env.wait_state("c", "failed");
    assert_eq!(failed["pid"], collector.pid, "it stays, for a person to see");
    let health = failed["health"].to_string();
    assert!(health.contains("needs a person"), "{health}");
    let log = common::read_text(env.path("state/c/collector.log"));
    assert!(log.contains("needs a person") && !log.contains("horse") && !log.contains("123456"), "{log}");
    let tries = gate.heard();
    assert_eq!(tries.iter().filter(|h| *h == "questions").count(), 1, "nobody guesses on a reconnect: {tries:?}");
    assert_eq!(tries.iter().filter(|h| *h == "none").count(), 2, "nobody hammers: {tries:?}");
    env.down("c");
}

#[test]
fn a_password_that_is_asked_for_as_a_question_survives_a_reconnect() {
    require!("setsid");
    let env = Env::new();
    let gate = gate(vec![("", "", vec![("Password: ", false, "horse")])]);
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.answers("Password: ", "wrong");
    term.shows("Permission denied, please try again.");
    term.answers("Password: ", "horse");
    let (_, screen) = started_at(&env, term);
    assert!(!screen.contains("reconnect"), "{screen}");
    for n in 1..3 {
        gate.cut();
        env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == n);
    }
    env.down("c");
}

#[test]
fn a_password_from_before_that_is_refused_is_tried_once() {
    require!("setsid");
    for method in [Password, KeyboardInteractive] {
        let env = Env::new();
        let script = |password: &'static str| Script {
            methods: vec![method],
            password: Some(password),
            requests: vec![(String::new(), String::new(), vec![("Password: ", false, password)])],
            ..Script::default()
        };
        let gate = Gate::start(script("old"));
        let mut term = Term::start(&up_gate(&env, &gate, &[]));
        term.answers("assword: ", "old");
        started_at(&env, term);
        gate.rewrite(script("new"));
        gate.cut();
        let failed = env.wait_state("c", "failed");
        assert!(failed["health"].to_string().contains("needs a person"), "{failed}");
        let wrong = |h: &&String| *h == "password old" || *h == "answers old";
        assert_eq!(gate.heard().iter().filter(wrong).count(), 2, "{:?}", gate.heard());
        // It is forgotten: a kick does not try it again.
        env.run(&["kick", "c"]).ok();
        wait_until("the kick came to nothing", LATER, || {
            (gate.heard().iter().filter(|h| *h == "none").count() == 3).then_some(())
        });
        env.wait_state("c", "failed");
        assert_eq!(gate.heard().iter().filter(wrong).count(), 2, "{:?}", gate.heard());
        env.down("c");
    }
}

#[test]
fn prompts_and_banners_cannot_paint_or_flood_the_terminal() {
    require!("setsid");
    let env = Env::new();
    let evil: &'static str = Box::leak(format!("\x1b[2J\u{9b}31m\u{202e}{}Password: ", "A".repeat(100_000)).into());
    let gate = Gate::start(Script {
        methods: vec![KeyboardInteractive],
        banner: Some(format!("Welcome\n\x1b]0;owned\x07\r{}", "B\n".repeat(60_000))),
        requests: vec![("\x1b[1mname".into(), "\x07".repeat(100_000), vec![(evil, false, "x")])],
        ..Script::default()
    });
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.shows("the jump host says:");
    term.shows("| Welcome");
    term.shows("the rest is left out");
    term.shows("\\x1b[1mname");
    term.shows("\\x1b[2J");
    term.shows("the rest is left out");
    let screen = term.screen();
    for evil in ["\x1b[2J", "\x1b]0;", "\x07", "\u{9b}", "\u{202e}", "\x1b[1mname"] {
        assert!(!screen.contains(evil), "{evil:?} reaches the terminal");
    }
    assert!(screen.len() < 100_000, "{} bytes are shown", screen.len());
    assert!(screen.lines().filter(|l| l.contains("| B")).count() <= 100, "a banner is bounded");
    term.answers("", "x");
    let (_, screen) = started_at(&env, term);
    // A code by the looks of it: the prompt that is longer than any password's is kept out of the warning, too.
    assert!(screen.len() < 110_000);
    env.down("c");
}

#[test]
fn a_banner_is_shown_but_not_on_stdout_and_not_when_quiet() {
    let gate = Gate::start(Script { banner: Some("Authorised use only\n".into()), ..Script::default() });
    for (more, shown) in [(&["--json"][..], true), (&["--json", "--quiet"], false)] {
        let env = Env::new();
        let run = Bg::spawn(up_gate(&env, &gate, more)).wait();
        assert!(!run.stdout.contains("Authorised"), "{}", run.stdout);
        assert_eq!(run.stderr.contains("| Authorised use only"), shown, "{}", run.stderr);
        env.started(run);
        env.down("c");
    }
}

#[test]
fn a_server_that_accepts_none_lets_us_in() {
    let (env, gate) = (Env::new(), Gate::start(Script::default()));
    env.started(Bg::spawn(up_gate(&env, &gate, &["--json"])).wait());
    assert_eq!(gate.heard(), ["none", "in"]);
    env.down("c");
}

#[test]
fn a_server_that_never_stops_asking_is_left() {
    require!("setsid");
    let env = Env::new();
    let endless = |prompts| Script {
        methods: vec![KeyboardInteractive],
        requests: vec![(String::new(), "wait\n".repeat(1000), prompts)],
        endless: true,
        ..Script::default()
    };
    let gate = Gate::start(endless(vec![]));
    let run = Bg::spawn(up_gate(&env, &gate, &[])).wait().fails(4).says("asks without end");
    assert!(run.stderr.len() < 20_000, "{} bytes are shown", run.stderr.len());
    let gate = Gate::start(endless(vec![("x", false, ""); 33]));
    Bg::spawn(up_gate(&env, &gate, &[])).wait().fails(4).says("asks without end");
    env.assert_nothing_left();
}

fn hangs(hangs_at: russh::MethodKind) -> Gate {
    Gate::start(Script {
        methods: vec![if hangs_at == Password { Password } else { KeyboardInteractive }],
        password: Some("x"),
        requests: vec![(String::new(), String::new(), vec![("Code: ", false, "x")])],
        hangs_at: Some(hangs_at),
        ..Script::default()
    })
}

#[test]
fn a_server_that_hangs_in_a_method_is_named_with_the_phase() {
    // They can be waited for together.
    let gates = [russh::MethodKind::None, KeyboardInteractive].map(hangs);
    let envs = [Env::new(), Env::new()];
    let runs: Vec<Bg> = gates.iter().zip(&envs).map(|(gate, env)| Bg::spawn(up_gate(env, gate, &[]))).collect();
    for (run, env) in runs.into_iter().zip(&envs) {
        run.wait().fails(1).says("(phase: authentication)");
        env.assert_nothing_left();
    }
}

#[test]
fn a_server_that_hangs_after_a_password_may_want_another() {
    require!("setsid");
    let (env, gate) = (Env::new(), hangs(Password));
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.answers("assword: ", "x");
    let (code, screen) = term.ends();
    assert_eq!(code, 1, "{screen}");
    assert!(screen.contains("(phase: authentication)") && screen.contains("changed"), "{screen}");
}

#[test]
fn the_time_of_a_person_counts_against_no_deadline() {
    require!("setsid");
    let env = Env::new();
    let gate = gate(vec![("", "", vec![("Code: ", false, "x")])]);
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.shows("Code: ");
    // Longer than the server may take.
    std::thread::sleep(Duration::from_secs(11));
    term.types("x\n");
    started_at(&env, term);
    env.down("c");
}

#[test]
fn a_server_that_hangs_up_while_a_question_is_open_is_named() {
    require!("setsid");
    for method in [Password, KeyboardInteractive] {
        let env = Env::new();
        let gate = Gate::start(Script {
            methods: vec![method],
            password: Some("x"),
            requests: vec![(String::new(), String::new(), vec![("Code: ", false, "x")])],
            patience: Some(Duration::from_secs(1)),
            ..Script::default()
        });
        let mut term = Term::start(&up_gate(&env, &gate, &[]));
        term.shows(": ");
        if method == KeyboardInteractive {
            // The library hears of it with the answer.
            std::thread::sleep(Duration::from_secs(2));
            term.types("x\n");
        }
        let (code, screen) = term.ends();
        assert_eq!(code, 1, "{screen}");
        assert!(screen.contains("while a question was open"), "{screen}");
        assert!(screen.contains("LoginGraceTime"), "{screen}");
        env.assert_nothing_left();
    }
}

#[test]
fn real_sshd_asks_for_a_password_by_either_method() {
    require!("sshd", "setsid");
    require_pam!();
    for (lines, prompt) in [
        (["PasswordAuthentication yes", "KbdInteractiveAuthentication no"], "@127.0.0.1's password: "),
        (["PasswordAuthentication no", "KbdInteractiveAuthentication yes"], "@127.0.0.1) Password: "),
    ] {
        let (env, sshd) = (Env::new(), Sshd::with_pam(&lines));
        let mut term = Term::start(&up_to(&env, &sshd, &[]));
        term.answers(prompt, "wrong");
        term.answers(prompt, pam::PASSWORD);
        started_at(&env, term);
        sshd.kill_sessions();
        env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
        env.down("c");
        env.assert_nothing_left();
    }
}

#[test]
fn a_password_goes_to_no_other_host_at_the_same_address() {
    require!("sshd", "setsid");
    require_pam!();
    let (env, sshd) = (Env::new(), Sshd::with_pam(&["PasswordAuthentication yes"]));
    let key = sshd.host_key_public("ed25519");
    let known = env.write("known_hosts", format!("outer {key}\ninner {key}\n"));
    // A host in a network of its own has there what is another one's address out here.
    let block = |name: &str| {
        let known = known.display();
        format!("Host {name}\n{}  HostKeyAlias {name}\n  UserKnownHostsFile {known}\n", sshd.config_lines())
    };
    env.write("ssh_config", format!("{}{}  ProxyJump outer\n", block("outer"), block("inner")));
    let (config, out) = (env.arg("ssh_config"), env.arg("out"));
    let args =
        ["up", "inner", "-F", &config, "--remote-port", "0", "--bind", "127.0.0.1", "--name", "c", "--out", &out];
    let mut term = Term::start(&env.reclog(&args));
    term.answers("@outer's password: ", pam::PASSWORD);
    term.answers("@inner's password: ", pam::PASSWORD);
    started_at(&env, term);
    sshd.kill_sessions();
    env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
    env.down("c");
}

#[test]
fn several_methods_in_a_row_get_in() {
    require!("sshd", "setsid");
    require_pam!();
    for (methods, prompt) in [
        ("publickey,keyboard-interactive", "@127.0.0.1) Password: "),
        ("publickey,password", "@127.0.0.1's password: "),
        ("password,publickey", "@127.0.0.1's password: "),
    ] {
        let env = Env::new();
        let lines = [&format!("AuthenticationMethods {methods}"), "PasswordAuthentication yes"];
        let sshd = Sshd::with_pam(&[lines[0], lines[1], "KbdInteractiveAuthentication yes"]);
        let key = sshd.user_key("ed25519");
        let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()]));
        term.answers(prompt, pam::PASSWORD);
        started_at(&env, term);
        sshd.kill_sessions();
        env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
        env.down("c");

        // The first step alone is told as what it is.
        let run = Bg::spawn(up_to(&env, &sshd, &["-i", key.to_str().unwrap(), "-o", "BatchMode=yes"])).wait();
        run.fails(4).hinted();
    }
}

#[test]
fn two_keys_are_two_steps() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["AuthenticationMethods publickey,publickey"]));
    let (one, two) = (sshd.user_key("ed25519"), sshd.user_key("rsa"));
    let (one, two) = (one.to_str().unwrap(), two.to_str().unwrap());
    env.started(Bg::spawn(up_to(&env, &sshd, &["--json", "-i", one, "-i", two])).wait());
    env.down("c");
    Bg::spawn(up_to(&env, &sshd, &["-i", one])).wait().fails(4).says("accepted the key").says("wants more: publickey");
}

#[test]
fn what_a_server_wants_beside_a_key_is_said() {
    let env = Env::new();
    let gate = Gate::start(Script { methods: vec![PublicKey], then: vec![Password], ..Script::default() });
    let sshd_key = env.path("key");
    common::sshd::keygen(&sshd_key, "ed25519");
    let run = Bg::spawn(up_gate(&env, &gate, &["-i", sshd_key.to_str().unwrap()])).wait();
    run.fails(4).says("it accepted the key").says("wants more: password").says("nobody is there to be asked");
    let key = sshd_key.to_str().unwrap();
    let run = Bg::spawn(up_gate(&env, &gate, &["-i", key, "-o", "BatchMode=yes"])).wait().fails(4);
    run.says("takes only password").says("hint: BatchMode lets nobody be asked: leave it out");
    let run = Bg::spawn(up_gate(&env, &gate, &["-i", key, "-o", "PasswordAuthentication=no"])).wait().fails(4);
    run.says("takes only password").says("hint: PreferredAuthentications, or a keyword that ends in Authentication");
}
