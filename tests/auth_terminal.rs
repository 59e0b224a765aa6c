//! Questions appear in the terminal of `up`, though the collector runs in the background, and nothing of the answers is
//! left anywhere.

mod common;

use std::path::Path;
use std::process::Stdio;

use common::gate::{Gate, Script};
use common::login::{locked_key, started_at, up_gate, up_to};
use common::{Env, SOON, Sshd, Term, procs, read, send, wait_until};
use russh::MethodKind;
use rustix::process::Signal;

const PASSPHRASE: &str = "correct horse battery";

/// A password gate that takes "opensesame".
fn password_gate() -> Gate {
    Gate::start(Script { methods: vec![MethodKind::Password], password: Some("opensesame"), ..Script::default() })
}

#[test]
fn a_passphrase_is_asked_for_in_the_terminal_and_a_reconnect_asks_no_more() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", PASSPHRASE);
    let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()]));
    let question = format!("Enter passphrase for key '{}': ", key.display());
    term.answers(&question, "wrong");
    term.shows("Bad passphrase, try again.");
    term.answers(&question, PASSPHRASE);
    let (collector, screen) = started_at(&env, term);
    assert!(!screen.contains(PASSPHRASE) && !screen.contains("wrong"), "{screen}");
    assert!(!screen.contains("reconnect"), "{screen}");

    sshd.kill_sessions();
    let back = env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
    assert_eq!(back["pid"], collector.pid);
    let port = back["streams"][0]["remote_port"].as_u64().unwrap();
    send(u16::try_from(port).unwrap(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("out")), b"x\n");
    env.assert_nothing_left();
}

#[test]
fn three_wrong_passphrases_are_enough() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", PASSPHRASE);
    let mut term = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()]));
    for _ in 0..3 {
        term.answers("Enter passphrase for key", "wrong");
    }
    let (code, screen) = term.ends();
    assert_eq!(code, 4, "{screen}");
    assert!(screen.contains("the passphrase was wrong") && screen.contains(key.to_str().unwrap()), "{screen}");
    env.assert_nothing_left();
}

#[test]
fn nobody_is_asked_for_the_passphrase_of_a_key_that_the_server_does_not_take() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd, other) = (Env::new(), Sshd::start(), Sshd::start());
    let key = locked_key(&other, "ed25519", PASSPHRASE);
    for public_beside in [false, true] {
        if public_beside {
            std::fs::copy(other.file("user_ed25519.pub"), key.with_extension("locked.pub")).unwrap();
        }
        let (code, screen) = Term::start(&up_to(&env, &sshd, &["-i", key.to_str().unwrap()])).ends();
        assert_eq!(code, 4, "{screen}");
        assert!(!screen.contains("passphrase"), "{screen}");
        assert!(screen.contains("refused the key"), "{screen}");
    }
    env.assert_nothing_left();
}

#[test]
fn ctrl_c_at_a_question_ends_up_and_leaves_terminal_and_machine_as_they_were() {
    require!("sshd", "ssh-keygen", "setsid");
    let (env, sshd) = (Env::new(), Sshd::start());
    let key = locked_key(&sshd, "ed25519", PASSPHRASE);
    for more in [&[][..], &["--foreground"], &["--json"]] {
        let mut term = Term::start(&up_to(&env, &sshd, &[&["-i", key.to_str().unwrap()], more].concat()));
        term.shows("Enter passphrase for key");
        wait_until("nothing is echoed", SOON, || (!term.echoes()).then_some(()));
        term.types("half an ans\x03");
        let (code, screen) = term.ends();
        assert_eq!(code, 130, "{more:?}: {screen}");
        env.assert_nothing_left();
    }
}

#[test]
fn a_signal_at_a_question_restores_the_terminal() {
    require!("setsid");
    let gate = password_gate();
    for signal in [Signal::TERM, Signal::HUP, Signal::QUIT] {
        let env = Env::new();
        let mut term = Term::start(&up_gate(&env, &gate, &[]));
        term.shows("'s password: ");
        wait_until("nothing is echoed", SOON, || (!term.echoes()).then_some(()));
        procs::signal(term.pid(), signal);
        let (code, screen) = term.ends();
        assert_eq!(code, 130, "{screen}");
        env.assert_nothing_left();
    }
}

#[test]
fn a_password_is_asked_for_as_ssh_does_and_a_wrong_one_again() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.answers("@127.0.0.1's password: ", "wrong");
    term.shows("Permission denied, please try again.");
    term.answers("@127.0.0.1's password: ", "opensesame");
    let (_, screen) = started_at(&env, term);
    assert!(!screen.contains("opensesame"), "{screen}");
    gate.cut();
    env.wait_collector("c", "connected again", |c| c["state"] == "up" && c["reconnects"] == 1);
    assert_eq!(gate.heard().iter().filter(|h| *h == "password opensesame").count(), 2, "{:?}", gate.heard());
    env.down("c");
}

#[test]
fn as_many_passwords_are_asked_for_as_the_configuration_says() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    for _ in 0..3 {
        term.answers("'s password: ", "wrong");
    }
    let (code, screen) = term.ends();
    assert_eq!(code, 4, "{screen}");
    assert!(screen.contains("the server refused the password"), "{screen}");
    assert_eq!(gate.heard(), ["none", "password wrong", "password wrong", "password wrong"]);
}

#[test]
fn a_question_that_is_left_without_an_answer_is_said() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.shows("'s password: ");
    // Ctrl-D.
    term.types("\x04");
    let (code, screen) = term.ends();
    assert_eq!(code, 4, "{screen}");
    assert!(screen.contains("a question was left without an answer"), "{screen}");
    assert!(screen.contains("answer it, or use a key"), "{screen}");
}

#[test]
fn the_question_stands_alone_while_it_is_open() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let mut term = Term::start(&up_gate(&env, &gate, &[]));
    term.shows("'s password: ");
    let before = term.screen();
    // Several turns of a spinner.
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(term.screen(), before, "something moves while a question is open");
    assert!(before.ends_with("'s password: "), "{before:?}");
    term.answers("", "opensesame");
    started_at(&env, term);
    env.down("c");
}

#[test]
fn the_terminal_is_asked_whatever_standard_input_and_output_are() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let up = up_gate(&env, &gate, &["--json"]);
    let line = std::iter::once(up.get_program()).chain(up.get_args());
    let line: Vec<_> = line.map(|a| format!("'{}'", a.to_string_lossy())).collect();
    let mut shell = env.command("sh");
    shell.arg("-c").arg(format!("{} </dev/null >events 2>talk", line.join(" ")));
    let mut term = Term::start(&shell);
    term.answers("'s password: ", "opensesame");
    let (code, screen) = term.ends();
    assert_eq!(code, 0, "{screen}");
    let events = String::from_utf8(read(env.path("work/events"))).unwrap();
    for line in events.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(["step", "up"].contains(&event["event"].as_str().unwrap()), "{line}");
    }
    assert!(!events.contains("password") && !events.contains("opensesame"), "{events}");
    env.expect(env.processes()[0]);
    env.down("c");
}

#[test]
fn a_stopped_question_gives_the_shell_its_terminal_back() {
    require!("setsid", "bash");
    let (env, gate) = (Env::new(), password_gate());
    let up = up_gate(&env, &gate, &[]);
    let line = std::iter::once(up.get_program()).chain(up.get_args());
    let line: Vec<_> = line.map(|a| format!("'{}'", a.to_string_lossy())).collect();
    let mut shell = env.command("bash");
    // No editing: bash leaves the modes of the terminal alone then.
    shell.args(["--norc", "--noprofile", "--noediting", "-i"]).env("PS1", "shell> ");
    let mut term = Term::start(&shell);
    term.shows("shell> ");
    term.types(&format!("{}\n", line.join(" ")));
    term.shows("'s password: ");
    wait_until("nothing is echoed", SOON, || (!term.echoes()).then_some(()));
    term.types("\x1a");
    term.shows("shell> ");
    assert!(term.echoes(), "the shell has a terminal without echo:\n{}", term.screen());
    term.types("fg\n");
    term.answers("'s password: ", "opensesame");
    term.shows("stop   reclog down c");
    env.expect(*env.processes().last().unwrap());
    term.types("exit\n");
    let (_, screen) = term.ends();
    assert!(!screen.contains("opensesame"), "{screen}");
    env.down("c");
}

/// Everything that can be read of a process without stopping it.
fn traces(env: &Env, pid: u32) -> String {
    let proc = Path::new("/proc").join(pid.to_string());
    let mut all = Vec::new();
    for name in ["cmdline", "environ", "comm"] {
        all.extend(std::fs::read(proc.join(name)).unwrap_or_default());
    }
    let mut folders = vec![env.path("state"), env.path("run"), env.path("work"), env.path("config")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                all.extend(std::fs::read(entry.path()).unwrap_or_default());
            }
        }
    }
    String::from_utf8_lossy(&all).into_owned()
}

#[test]
fn no_answer_is_left_in_arguments_environment_logs_or_core_files() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    // A shell that lets core files be written, where the system lets it.
    let mut shell = env.command("sh");
    let up = up_gate(&env, &gate, &["-vv"]);
    shell.args(["-c", "ulimit -c 100; exec \"$@\"", "sh"]).arg(up.get_program()).args(up.get_args());
    let mut term = Term::start(&shell);
    term.answers("'s password: ", "opensesame");
    let (collector, screen) = started_at(&env, term);
    // As it stands in the pipe.
    let hex = "6f70656e736573616d65".to_owned();
    for text in [screen, traces(&env, collector.pid)] {
        assert!(!text.contains("opensesame") && !text.contains(&hex), "{text}");
    }
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", collector.pid)).unwrap();
    let core = limits.lines().find(|l| l.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    env.down("c");
}

#[test]
fn askpass_answers_where_there_is_no_terminal() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let askpass = env.write("askpass", "#!/bin/sh\necho \"$1\" >> asked\necho opensesame\n");
    std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let no_terminal = |more: &[(&str, &str)]| {
        let up = up_gate(&env, &gate, &["--json"]);
        let mut setsid = env.command("setsid");
        setsid.arg("--wait").arg(up.get_program()).args(up.get_args());
        setsid.envs(more.iter().copied()).stdin(Stdio::null());
        common::Bg::spawn(setsid).wait()
    };
    let program = askpass.to_str().unwrap();
    no_terminal(&[("SSH_ASKPASS", program), ("SSH_ASKPASS_REQUIRE", "never"), ("DISPLAY", ":0")]).fails(4).hinted();
    no_terminal(&[("SSH_ASKPASS", program)]).fails(4).hinted().says("SSH_ASKPASS");
    no_terminal(&[("DISPLAY", ":0")]).fails(4).hinted().says("nobody is there to be asked").says("a password");
    assert!(!env.path("work/asked").exists());
    assert!(!gate.heard().iter().any(|h| h.starts_with("password")), "{:?}", gate.heard());
    for more in [("DISPLAY", ":0"), ("WAYLAND_DISPLAY", "w"), ("SSH_ASKPASS_REQUIRE", "force")] {
        env.started(no_terminal(&[("SSH_ASKPASS", program), more]));
        env.down("c");
    }
    let asked = common::read_text(env.path("work/asked"));
    assert!(asked.lines().count() == 3 && asked.contains("@127.0.0.1's password: "), "{asked}");
}

#[test]
fn askpass_that_hangs_or_fails_goes_with_up() {
    require!("setsid");
    let (env, gate) = (Env::new(), password_gate());
    let askpass = env.write("askpass", "#!/bin/sh\necho $$ > pid\nexec sleep 1000\n");
    std::fs::set_permissions(&askpass, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut up = up_gate(&env, &gate, &[]);
    up.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
    let up = common::Bg::spawn(up);
    env.expect(up.pid());
    let pid = common::wait_for_text(env.path("work/pid"), "\n").trim().parse().unwrap();
    up.signal(Signal::INT);
    up.wait().fails(130);
    wait_until("askpass is gone", SOON, || (!procs::alive(pid)).then_some(()));
    env.assert_nothing_left();

    std::fs::write(&askpass, "#!/bin/sh\nexit 1\n").unwrap();
    let mut up = up_gate(&env, &gate, &[]);
    up.env("SSH_ASKPASS", &askpass).env("SSH_ASKPASS_REQUIRE", "force");
    common::Bg::spawn(up).wait().fails(4);
    env.assert_nothing_left();
}
