//! A Unix socket on the jump host instead of a port: for its own programs, of one account.

mod common;

use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use common::account::Account;
use common::cutter::Cutter;
use common::dropbear::Dropbear;
use common::senders::numbered;
use common::snapshot::assert_settled;
use common::sshd::whoami;
use common::{Collector, Env, Run, SOON, Sshd, check_flood, flood, procs, read_text, wait_until};

/// A jump host, and a profile `c` with one stream: the socket `path()`.
struct Scene {
    env: Env,
    sshd: Sshd,
    cutter: Option<Cutter>,
    folder: tempfile::TempDir,
}

/// The account may run no command. It is asked for the socket all the same.
const NO_SHELL: &str = "restrict,port-forwarding,command=\"/bin/false\"";

impl Scene {
    fn new(lines: &[&str], options: &str) -> Self {
        let (env, sshd) = (Env::new(), Sshd::with_lines(lines));
        sshd.user_key_with("ed25519", options);
        env.trust(&sshd);
        let folder = tempfile::Builder::new().prefix("rl-sock-").tempdir_in("/tmp").unwrap();
        let scene = Self { env, sshd, cutter: None, folder };
        scene.profile("");
        scene
    }

    /// Behind a network that can be cut.
    fn with_cutter(lines: &[&str], options: &str) -> Self {
        let mut scene = Self::new(lines, options);
        let cutter = Cutter::to(scene.sshd.port);
        for file in ["known_hosts", "ssh_config"] {
            let text = read_text(scene.env.path(file));
            scene.env.write(file, text.replace(&scene.sshd.port.to_string(), &cutter.port.to_string()));
        }
        scene.cutter = Some(cutter);
        scene
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("log.sock")
    }

    fn profile(&self, more: &str) {
        let (path, out, config) = (self.path(), self.env.arg("f"), self.env.arg("ssh_config"));
        let path = path.display();
        let text = format!(
            "target: jump\nssh:\n  config: {config}\n  options:\n    ServerAliveInterval: 1\n    ServerAliveCountMax: 1\n\
             streams:\n  main:\n    remote_socket: {path}\n    out: {out}\n{more}"
        );
        self.env.write("config/profiles/c.yaml", text);
    }

    #[track_caller]
    fn up(&self) -> Collector {
        self.env.started(self.env.run(&["up", "c", "--json"]))
    }

    #[track_caller]
    fn refused(&self) -> Run {
        let run = self.env.run(&["up", "c"]).fails(4).says("refused to open the socket").hinted();
        self.env.assert_nothing_left();
        run
    }

    #[track_caller]
    fn send(&self, text: &str) {
        let mut sender = UnixStream::connect(self.path()).unwrap();
        sender.write_all(text.as_bytes()).unwrap();
    }

    #[track_caller]
    fn wait_back(&self, n: u64) {
        let what = format!("is back after {n} reconnects");
        self.env.wait_collector("c", &what, |c| c["state"] == "up" && c["reconnects"] == n);
    }

    #[track_caller]
    fn wait_told(&self) {
        // The one that tells which process serves us, and the one that looks at the socket.
        let logins = self.sshd.log().lines().filter(|l| l.starts_with("Accepted publickey ")).count();
        wait_until("the sessions for the questions are over", SOON, || {
            (self.sshd.log().matches("Close session").count() >= 2 * logins).then_some(())
        });
    }
}

fn is_socket(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|m| m.file_type().is_socket())
}

/// The terminal's width breaks the lines.
fn words(run: &Run) -> String {
    run.stderr.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn programs_of_the_jump_host_send_to_a_socket_that_is_gone_after_down() {
    require!("sshd");
    let scene = Scene::new(&[], "");
    let run = scene.env.run(&["up", "c"]).ok();
    scene.env.expect(scene.env.processes()[0]);
    let place = format!("✔ unix:{} on 127.0.0.1 → ", scene.path().display());
    assert!(run.stdout.starts_with(&place), "{:?} is not {place:?}", run.stdout);
    assert!(run.stdout.contains("UNIX-CONNECT:") && run.stdout.contains("run this on 127.0.0.1"), "{:?}", run.stdout);
    assert!(!words(&run).contains("other accounts"), "{}", run.stderr);
    assert_eq!(scene.path().metadata().unwrap().permissions().mode() & 0o777, 0o600);
    scene.send("one\ntwo\n");
    scene.send("no end");
    scene.env.wait_stored("c", 14);
    let stream = scene.env.stream("c");
    assert_eq!(stream["socket"], scene.path().to_str().unwrap());
    assert_eq!(stream["senders"]["accepted"], 2, "only those who sent were counted: {stream}");
    assert_eq!((&stream["remote_port"], &stream["reach"]), (&0.into(), &"loopback-only".into()));
    let status = scene.env.run(&["status"]).ok();
    assert!(status.stdout.contains(scene.path().to_str().unwrap()), "{}", status.stdout);
    let audit = scene.env.run(&["audit", "c", "--json"]).ok().stdout;
    assert!(audit.contains("\"peer\":\"unix\""), "{audit}");
    let down = scene.env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &scene.env.path("f"));
    assert_eq!(down["notes"], serde_json::Value::Null);
    assert_eq!(read_text(scene.env.path("f")), "one\ntwo\nno end\n");
    assert!(!scene.path().exists(), "the file of the socket is left");
    scene.env.assert_nothing_left();
}

#[test]
fn the_socket_is_back_after_a_kick_and_after_its_server_process_died() {
    require!("sshd");
    let scene = Scene::new(&[], "");
    scene.up();
    scene.send("one\n");
    scene.env.wait_stored("c", 4);
    scene.env.run(&["kick", "c"]).ok();
    scene.wait_back(1);
    scene.send("two\n");
    scene.env.wait_stored("c", 8);
    scene.sshd.kill_sessions();
    assert!(is_socket(&scene.path()), "sshd leaves the file");
    scene.wait_back(2);
    scene.send("three\n");
    scene.env.wait_stored("c", 14);
    scene.env.down("c");
    assert!(!scene.path().exists());
}

#[test]
fn a_socket_that_a_cut_connection_holds_is_taken_back() {
    require!("sshd");
    let scene = Scene::with_cutter(&[], "");
    scene.up();
    scene.send("before\n");
    scene.env.wait_stored("c", 7);
    scene.wait_told();
    let old = scene.sshd.sessions();
    scene.cutter.as_ref().unwrap().cut();
    scene.wait_back(1);
    wait_until("the old processes of sshd are gone", SOON, || {
        (!old.iter().any(|pid| procs::alive(*pid))).then_some(())
    });
    scene.send("after\n");
    scene.env.wait_stored("c", 13);
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "before\nafter\n");
    assert!(!scene.path().exists());
}

#[test]
fn after_a_sigkill_up_takes_the_socket_that_was_left() {
    require!("sshd");
    let scene = Scene::new(&[], "");
    let first = scene.up();
    scene.send("one\n");
    scene.env.wait_stored("c", 4);
    procs::kill(first.pid);
    wait_until("it is gone", SOON, || (!procs::alive(first.pid)).then_some(()));
    assert!(is_socket(&scene.path()));
    wait_until("sshd has noticed", SOON, || UnixStream::connect(scene.path()).is_err().then_some(()));
    scene.up();
    scene.send("two\n");
    scene.env.wait_stored("c", 4);
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "one\ntwo\n");
    assert!(!scene.path().exists());
}

#[test]
fn after_a_sigkill_behind_a_dead_network_up_ends_the_old_connection_first() {
    require!("sshd");
    let scene = Scene::with_cutter(&[], "");
    let first = scene.up();
    scene.send("one\n");
    scene.env.wait_stored("c", 4);
    scene.wait_told();
    let known = scene.env.path("state/c/connection.json");
    wait_until("it is kept which process serves us", SOON, || known.exists().then_some(()));
    let old = scene.sshd.sessions();
    scene.cutter.as_ref().unwrap().cut();
    procs::kill(first.pid);
    wait_until("it is gone", SOON, || (!procs::alive(first.pid)).then_some(()));
    assert!(UnixStream::connect(scene.path()).is_ok(), "sshd listens for nobody");
    scene.up();
    wait_until("the old processes of sshd are gone", SOON, || {
        (!old.iter().any(|pid| procs::alive(*pid))).then_some(())
    });
    scene.send("two\n");
    scene.env.wait_stored("c", 4);
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "one\ntwo\n");
    assert!(!scene.path().exists());
}

#[test]
fn without_a_shell_a_reconnect_asks_again_until_the_socket_is_free() {
    require!("sshd");
    let scene = Scene::with_cutter(&[], NO_SHELL);
    scene.up();
    scene.cutter.as_ref().unwrap().cut();
    scene.env.wait_collector("c", "says what is in the way", |c| {
        let health = c["health"].to_string();
        health.contains("StreamLocalBindUnlink yes") && health.contains(&format!("rm {}", scene.path().display()))
    });
    scene.sshd.kill_sessions();
    std::fs::remove_file(scene.path()).unwrap();
    scene.env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] != 0);
    scene.send("line\n");
    scene.env.wait_stored("c", 5);
    scene.env.down("c");
}

#[test]
fn a_kick_without_a_shell_says_what_is_in_the_way_and_comes_back_when_it_is_gone() {
    require!("sshd");
    let scene = Scene::new(&[], NO_SHELL);
    scene.up();
    scene.env.run(&["kick", "c"]).ok();
    let line = format!("rm {}", scene.path().display());
    scene.env.wait_collector("c", "says what is in the way", |c| c["health"].to_string().contains(&line));
    std::fs::remove_file(scene.path()).unwrap();
    scene.env.wait_state("c", "up");
    scene.send("line\n");
    scene.env.wait_stored("c", 5);
    scene.env.down("c");
}

#[test]
fn down_that_waits_for_nobody_leaves_no_socket_either() {
    require!("sshd");
    let scene = Scene::new(&[], "");
    scene.up();
    let mut sender = UnixStream::connect(scene.path()).unwrap();
    sender.write_all(b"still here").unwrap();
    scene.env.wait_received("c", 10);
    let down = scene.env.run(&["down", "--now", "--json"]).ok().last_event();
    assert_eq!(down["notes"], serde_json::Value::Null);
    assert_settled(&down["streams"][0], &scene.env.path("f"));
    assert!(!scene.path().exists());
    scene.env.assert_nothing_left();
}

#[test]
fn many_senders_of_a_socket_and_of_a_port_of_one_connection_never_mix() {
    const SENDERS: usize = 40;
    const LINES: usize = 250;
    require!("sshd");
    let scene = Scene::new(&[], "");
    let other = scene.env.arg("g");
    scene.profile(&format!("  port:\n    remote_port: 0\n    out: {other}\n"));
    let port = scene.up().port_at(1);
    let mut sent = 0;
    std::thread::scope(|scope| {
        for s in 0..SENDERS {
            let all: String = (0..LINES).map(|n| numbered(s, n)).collect();
            sent += all.len() as u64;
            let path = scene.path();
            scope.spawn(move || {
                let mut sender = UnixStream::connect(path).unwrap();
                // Odd pieces: line ends and packet ends must not agree.
                all.as_bytes().chunks(777 + s).for_each(|piece| sender.write_all(piece).unwrap());
            });
        }
        scope.spawn(|| flood(port, 10, 100));
    });
    scene.env.wait_collector("c", "has it all", |c| c["streams"][0]["ledger"]["received"] == sent);
    let down = scene.env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &scene.env.path("f"));
    assert_eq!(down["streams"][0]["senders"]["cut"], 0);
    check_flood(&scene.env.path("f"), SENDERS, LINES);
    check_flood(&scene.env.path("g"), 10, 100);
    assert!(!scene.path().exists());
}

#[test]
fn a_server_that_knows_no_such_sockets_is_told_from_a_rule() {
    require!("dropbear", "dropbearkey");
    let Some(dropbear) = Dropbear::start("a_server_that_knows_no_such_sockets", "ed25519", &["-a"]) else { return };
    let env = Env::new();
    dropbear.trusted_by(&env, "ed25519");
    let (out, config) = (env.arg("f"), env.arg("ssh_config"));
    let text = format!(
        "target: jump\nssh: {{config: {config}}}\nstreams: {{main: {{remote_socket: /tmp/rl-no.sock, out: {out}}}}}\n"
    );
    env.write("config/profiles/c.yaml", text);
    let run = env.run(&["up", "c"]).fails(4).says("refused to open the socket").hinted();
    assert!(words(&run).contains("Unix sockets need OpenSSH on the jump host"), "{}", run.stderr);
    env.assert_nothing_left();
}

#[test]
fn somebody_elses_listener_is_left_alone() {
    require!("sshd");
    for lines in [&[][..], &["StreamLocalBindUnlink yes"]] {
        let scene = Scene::new(lines, "");
        let listener = UnixListener::bind(scene.path()).unwrap();
        assert!(words(&scene.refused()).contains("somebody listens there already"), "{lines:?}");
        assert!(UnixStream::connect(scene.path()).is_ok(), "{lines:?}: it listens no more");
        drop(listener);
    }
    // Where the rules forbid to try it, the list of the kernel tells.
    let scene = Scene::new(&["AllowStreamLocalForwarding remote"], "");
    let listener = UnixListener::bind(scene.path()).unwrap();
    assert!(words(&scene.refused()).contains("somebody listens there already"));
    drop(listener);
    scene.up();
    scene.env.down("c");
}

#[test]
fn a_file_that_is_no_socket_and_a_folder_that_is_not_there_are_told() {
    require!("sshd");
    let scene = Scene::new(&[], "");
    std::fs::write(scene.path(), "precious").unwrap();
    assert!(words(&scene.refused()).contains("a file that is no socket stands there"));
    assert_eq!(read_text(scene.path()), "precious");
    std::fs::remove_file(scene.path()).unwrap();
    std::os::unix::fs::symlink("/tmp/rl-nowhere", scene.path()).unwrap();
    assert!(words(&scene.refused()).contains("a file that is no socket stands there"));
    assert!(scene.path().symlink_metadata().is_ok());
    std::fs::remove_file(scene.path()).unwrap();
    std::fs::remove_dir(scene.folder.path()).unwrap();
    assert!(words(&scene.refused()).contains("its folder does not exist there"));
}

#[test]
fn another_accounts_socket_and_folder_are_told_and_left_alone() {
    require!("sshd");
    let Some(account) = Account::with_shell("another_accounts_socket_and_folder", "/bin/sh") else { return };
    let scene = Scene::new(&[], "");
    for path in [scene.sshd.file("."), scene.folder.path().to_owned()] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let config = read_text(scene.env.path("ssh_config"));
    scene.env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {}\n", account.name)));
    assert!(words(&scene.refused()).contains("may not write to its folder there"));
    drop(UnixListener::bind(scene.path()).unwrap());
    assert!(words(&scene.refused()).contains("another account's socket stands there"));
    assert!(is_socket(&scene.path()));
}

#[test]
fn rules_that_forbid_it_are_told_with_the_line_that_allows_it() {
    require!("sshd");
    for (lines, options) in [
        (&["AllowStreamLocalForwarding no"][..], ""),
        (&["AllowStreamLocalForwarding local"], ""),
        (&["DisableForwarding yes"], ""),
        (&[], "no-port-forwarding"),
    ] {
        let scene = Scene::new(lines, options);
        let said = words(&scene.refused());
        assert!(said.contains("most likely its rules forbid it"), "{lines:?} {options}: {said}");
        assert!(said.contains("AllowStreamLocalForwarding remote and DisableForwarding no"), "{said}");
        assert!(said.contains(&format!("Match User {}", whoami())), "{said}");
        assert!(said.contains("restrict,port-forwarding"), "{said}");
    }
    let scene = Scene::new(&["AllowStreamLocalForwarding remote"], "restrict,port-forwarding");
    scene.up();
    scene.env.down("c");
    assert!(!scene.path().exists(), "what the lines allow is enough");
}

#[test]
fn without_a_shell_a_leftover_is_told_with_the_line_that_removes_it() {
    require!("sshd");
    let scene = Scene::new(&[], NO_SHELL);
    scene.up();
    scene.send("one\n");
    let down = scene.env.run(&["down"]).ok();
    let line = format!("rm {}", scene.path().display());
    assert!(words(&down).contains(&line), "{}", down.stderr);
    assert!(is_socket(&scene.path()));
    let said = words(&scene.refused());
    assert!(said.contains(&line) && said.contains("StreamLocalBindUnlink yes"), "{said}");
    std::fs::remove_file(scene.path()).unwrap();
    scene.up();
    scene.env.down("c");
}

#[test]
fn with_unlink_a_server_needs_no_shell_for_a_leftover() {
    require!("sshd");
    let scene = Scene::new(&["StreamLocalBindUnlink yes"], NO_SHELL);
    scene.up();
    scene.sshd.kill_sessions();
    scene.wait_back(1);
    scene.send("line\n");
    scene.env.wait_stored("c", 5);
    scene.env.down("c");
}

#[test]
fn a_socket_that_others_may_write_to_is_warned_of() {
    require!("sshd");
    let scene = Scene::new(&["StreamLocalBindMask 0111"], "");
    let run = scene.env.run(&["up", "c"]).ok();
    scene.env.expect(scene.env.processes()[0]);
    let said = words(&run);
    assert!(said.contains("other accounts of") && said.contains("StreamLocalBindMask 0177"), "{said}");
    scene.env.down("c");
}
