//! A collector in the background lives on when whatever started it is gone: nohup, tmux, screen, cron, a login by ssh.

mod common;

use std::process::{Command, Stdio};

use common::env::binary;
use common::machine::Machine;
use common::{Bg, Env, SOON, Sshd, procs, wait_until};

/// The shell line that starts a collector `c`.
fn line(env: &Env) -> String {
    format!("{} listen 127.0.0.1:0 --name c --out {}", binary().display(), env.arg("out"))
}

/// Waits until `c` is up, and returns its process.
#[track_caller]
fn up(env: &Env) -> u32 {
    let pid = wait_until("a collector runs", SOON, || {
        env.processes().into_iter().find(|pid| procs::session_of(*pid) == Some(*pid))
    });
    env.expect(pid);
    env.wait_state("c", "up");
    pid
}

/// It takes lines, has no terminal, and goes when it is told to.
#[track_caller]
fn lives(env: &Env, pid: u32) {
    let snapshot = env.wait_state("c", "up");
    assert_eq!(snapshot["pid"], pid);
    let port = snapshot["streams"][0]["remote_port"].as_u64().and_then(|port| u16::try_from(port).ok()).unwrap();
    common::send(port, "still here\n");
    wait_until("the line is in the file", SOON, || {
        (common::read_text(env.path("out")) == "still here\n").then_some(())
    });
    env.down("c");
    env.assert_nothing_left();
}

#[test]
fn under_nohup_after_a_hangup() {
    require!("nohup", "setsid");
    let env = Env::new();
    // A shell with a session of its own, as a terminal has it; it hangs up on all of it.
    let mut shell = env.command("setsid");
    shell.args(["sh", "-c", &format!("nohup {} >/dev/null 2>&1; kill -HUP 0", line(&env))]);
    let shell = Bg::spawn(shell);
    let pid = up(&env);
    shell.wait();
    lives(&env, pid);
}

#[test]
fn in_tmux_after_its_session_was_killed() {
    require!("tmux");
    let env = Env::new();
    let tmux = |args: &[&str]| {
        let done = env.command("tmux").arg("-S").arg(env.path("tmux")).args(["-f", "/dev/null"]).args(args).status();
        assert!(done.unwrap().success(), "tmux {args:?}");
    };
    tmux(&["new-session", "-d", "sh", "-c", &format!("{}; exec cat", line(&env))]);
    let pid = up(&env);
    tmux(&["kill-server"]);
    lives(&env, pid);
}

#[test]
fn in_screen_after_its_session_was_killed() {
    require!("screen");
    let env = Env::new();
    std::fs::create_dir(env.path("screens")).unwrap();
    std::fs::set_permissions(env.path("screens"), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let screen = |args: &[&str]| {
        let mut screen = env.command("screen");
        screen.env("SCREENDIR", env.path("screens")).args(["-c", "/dev/null", "-S", "reclog"]).args(args);
        assert!(screen.stdout(Stdio::null()).status().unwrap().success(), "screen {args:?}");
    };
    screen(&["-dm", "sh", "-c", &format!("{}; exec cat", line(&env))]);
    let pid = up(&env);
    screen(&["-X", "quit"]);
    lives(&env, pid);
}

#[test]
fn from_cron_which_knows_no_more_than_a_home() {
    let env = Env::new();
    let run = |words: &str| {
        let mut cron = Command::new("/bin/sh");
        cron.args(["-c", &format!("{} {words}", binary().display())]).env_clear();
        cron.env("HOME", env.path("home")).env("PATH", "/usr/bin:/bin").env("SHELL", "/bin/sh").env("LOGNAME", "x");
        cron.current_dir(env.path("home")).stdin(Stdio::null());
        Bg::spawn(cron).wait()
    };
    let event = run(&format!("listen 127.0.0.1:0 --name c --json --out {}", env.arg("out"))).ok().last_event();
    let pid = event["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok()).unwrap();
    env.expect(pid);
    assert!(env.path("home/.local/state/reclog/run/c.sock").exists(), "no runtime folder, so below the state");
    run("status c").ok().prints("● c  up");
    run("down c").ok();
    assert!(!procs::alive(pid));
}

#[test]
fn after_the_logout_of_the_ssh_that_started_it() {
    require!("sshd", "ssh");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let folders = ["CONFIG", "STATE", "RUNTIME"].map(|what| {
        let folder = if what == "RUNTIME" { "run".to_owned() } else { what.to_lowercase() };
        format!("RECLOG_{what}_DIR={}", env.arg(&folder))
    });
    let remote = format!("env {} HOME={} {}", folders.join(" "), env.arg("home"), line(&env));
    let mut ssh = env.command("ssh");
    ssh.args(["-F", &env.arg("ssh_config"), "-tt", "jump", &remote]);
    // ssh returns: nothing of the collector holds the terminal.
    Bg::spawn(ssh).wait().ok();
    let pid = up(&env);
    lives(&env, pid);
}

#[test]
fn a_logout_that_ends_it_is_told_and_one_that_does_not_leaves_it_within_reach() {
    require!("sshd", "ssh", "unshare", "nsenter", "systemctl", "dbus-daemon");
    let Some(machine) = Machine::boot("a_logout_that_ends_it_is_told") else { return };
    // A login as people have it: sshd, PAM, logind.
    let key = machine.shared("key");
    common::keygen(&key, "ed25519");
    common::keygen(&machine.shared("host"), "ed25519");
    let port = common::free_port();
    let config = format!(
        "Port {port}\nListenAddress 127.0.0.1\nHostKey {0}/host\nAuthorizedKeysFile {0}/key.pub\nPidFile none\nStrictModes no\nUsePAM yes\nPasswordAuthentication no\n",
        machine.shared("").display()
    );
    std::fs::write(machine.shared("sshd_config"), config).unwrap();
    machine.sh("mkdir -p /run/sshd /etc/systemd/logind.conf.d; rm -f /run/nologin").ok();
    let sshd = common::find_program("sshd").unwrap();
    machine
        .sh(&format!(
            "systemd-run --quiet --unit=sshd {} -D -f {}/sshd_config",
            sshd.display(),
            machine.shared("").display()
        ))
        .ok();
    wait_until("sshd listens", SOON, || std::net::TcpStream::connect(("127.0.0.1", port)).ok());
    let env = Env::new();
    let login = |line: &str| {
        let mut ssh = env.command("ssh");
        ssh.args(["-F", "none", "-tt", "-p", &port.to_string(), "-i"]).arg(&key);
        ssh.args(["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "log@127.0.0.1", line]);
        Bg::spawn(ssh).wait().ok().stdout
    };
    let start = format!("{} listen 127.0.0.1:0 --name c --out ~/out/file.log", binary().display());
    let policy = |kill: &str| {
        let file = "/etc/systemd/logind.conf.d/x.conf";
        machine.sh(&format!("printf '[Login]\\nKillUserProcesses={kill}\\nUserStopDelaySec=0\\n' >{file}")).ok();
        machine.sh("systemctl restart systemd-logind").ok();
    };
    let runs = || machine.sh("pgrep -u log -f '[_]_collector'").status.success();
    let gone = || {
        wait_until("the session is over", SOON, || {
            // A session with processes that live on is closing until they end.
            let open = "loginctl --no-legend list-sessions | while read id _ user _; do \
                        [ $user != log ] || loginctl show-session $id -p State --value; done | grep -v closing";
            (!machine.sh(open).status.success()).then_some(())
        });
    };

    policy("no");
    let said = login(&start);
    assert!(!said.contains("logout"), "{said}");
    gone();
    assert!(runs(), "the collector did not live through the logout");
    // A session that is closing keeps it.
    machine.sh("test -d /run/user/2345").ok();
    // The next login finds it.
    let said = login(&format!("{0} status c && {0} down c", binary().display()));
    assert!(said.contains("c is down"), "{said}");
    gone();

    policy("yes");
    // Lingering does not save what a session started.
    for linger in ["disable-linger", "enable-linger"] {
        machine.sh(&format!("loginctl {linger} log")).ok();
        let said = login(&start);
        assert!(said.contains("will not live through your logout") && said.contains("KillUserProcesses"), "{said}");
        gone();
        wait_until("the system has killed it", SOON, || (!runs()).then_some(()));
    }
}
