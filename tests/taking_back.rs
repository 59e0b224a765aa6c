//! The port is taken back from a connection that was cut without a good-bye: its process on the jump host is ended where the
//! account has a shell, and waited for where it has none. Nobody else is touched.

mod common;

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use common::account::Account;
use common::cutter::Cutter;
use common::dropbear::Dropbear;
use common::sshd::whoami;
use common::{Collector, Env, SOON, Sshd, find_program, free_port, listening, procs, read_text, send, wait_until};
use rustix::process::Signal;
use serde_json::Value;

/// A collector `c` behind a network that can be cut.
struct Scene {
    env: Env,
    sshd: Sshd,
    cutter: Cutter,
}

/// Two silent seconds are a dead connection.
const SOON_DEAD: [&str; 4] = ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1"];

impl Scene {
    /// With these lines of sshd_config, options of the key, and as `user`.
    fn new(lines: &[&str], options: &str, user: Option<&Account>) -> Self {
        let (env, sshd) = (Env::new(), Sshd::with_lines(lines));
        // sshd reads the key as the user who logs in.
        std::fs::set_permissions(sshd.file("."), std::fs::Permissions::from_mode(0o755)).unwrap();
        sshd.user_key_with("ed25519", options);
        let cutter = Cutter::to(sshd.port);
        env.trust(&sshd);
        let port = |text: String| text.replace(&sshd.port.to_string(), &cutter.port.to_string());
        env.write("known_hosts", port(read_text(env.path("known_hosts"))));
        let config = port(read_text(env.path("ssh_config")));
        let name = user.map_or_else(whoami, |account| account.name.clone());
        env.write("ssh_config", config.replace(&format!("User {}\n", whoami()), &format!("User {name}\n")));
        Self { env, sshd, cutter }
    }

    #[track_caller]
    fn up(&self, more: &[&str]) -> Collector {
        let (port, out) = (free_port().to_string(), self.env.arg("f"));
        self.env.up(&[&["--remote-port", &port, "--out", &out, "--name", "c"], &SOON_DEAD[..], more].concat())
    }

    /// The jump host has told which of its processes serves us.
    #[track_caller]
    fn wait_told(&self) {
        wait_until("the session for the question is over", SOON, || {
            (self.sshd.log().matches("Close session").count() >= self.logins()).then_some(())
        });
    }

    fn logins(&self) -> usize {
        self.sshd.log().lines().filter(|l| l.starts_with("Accepted publickey ")).count()
    }

    #[track_caller]
    fn wait_back(&self, n: u64) -> Value {
        let what = format!("is back after {n} reconnects");
        self.env.wait_collector("c", &what, |c| c["state"] == "up" && c["reconnects"] == n)
    }

    fn collector_log(&self) -> String {
        read_text(self.env.path("state/c/collector.log"))
    }

    /// Sends until the first line has arrived, and says when that was.
    #[track_caller]
    fn first_line(&self, port: u16) -> Instant {
        let before = std::fs::metadata(self.env.path("f")).map_or(0, |f| f.len());
        wait_until("a line arrives", SOON, || {
            if let Ok(mut sender) = std::net::TcpStream::connect(("127.0.0.1", port)) {
                let _ = std::io::Write::write_all(&mut sender, b"line\n");
            }
            (std::fs::metadata(self.env.path("f")).map_or(0, |f| f.len()) > before).then(Instant::now)
        })
    }
}

#[track_caller]
fn wait_gone(pids: &[u32]) {
    wait_until("the old processes of sshd are gone", SOON, || {
        (!pids.iter().any(|pid| procs::alive(*pid))).then_some(())
    });
}

/// The network is cut; the port is back, the old process ended, senders get through.
#[track_caller]
fn taken_back(scene: &Scene, more: &[&str]) {
    let up = scene.up(more);
    send(up.port(), "before\n");
    scene.env.wait_stored("c", 7);
    scene.wait_told();
    let old = scene.sshd.sessions();
    scene.cutter.cut();
    let back = scene.wait_back(1);
    assert_eq!(back["streams"][0]["remote_port"], up.port());
    wait_gone(&old);
    send(up.port(), "after\n");
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "before\nafter\n");
    assert!(scene.collector_log().contains("Ended"), "{}", scene.collector_log());
}

#[test]
fn a_port_that_a_cut_connection_holds_is_taken_back() {
    require!("sshd");
    taken_back(&Scene::new(&[], "", None), &[]);
}

#[test]
fn so_it_is_for_every_login_shell_of_an_account_that_is_not_root() {
    require!("sshd");
    for shell in ["dash", "bash", "zsh", "fish", "tcsh"] {
        let Some(path) = find_program(shell) else { continue };
        let Some(account) = Account::with_shell("so_it_is_for_every_login_shell", path.to_str().unwrap()) else {
            return;
        };
        eprintln!("with {shell}");
        taken_back(&Scene::new(&[], "", Some(&account)), &[]);
    }
}

#[test]
fn a_key_that_may_open_one_port_and_run_commands_is_enough() {
    require!("sshd");
    taken_back(&Scene::new(&[], "restrict,port-forwarding", None), &[]);
}

#[test]
fn a_greeting_of_the_account_is_no_answer_and_does_no_harm() {
    require!("sshd");
    let Some(account) = Account::with_shell("a_greeting_of_the_account", "/bin/bash") else { return };
    std::fs::write(account.home().join(".bashrc"), "echo hello; echo there >&2; printf 'no end of line'; echo\n")
        .unwrap();
    taken_back(&Scene::new(&["SetEnv SHLVL=0"], "", Some(&account)), &[]);
}

#[test]
fn through_a_proxy_command_and_through_a_hop_it_is_the_last_host_that_counts() {
    require!("sshd", "nc");
    let scene = Scene::new(&[], "", None);
    taken_back(&scene, &["-o", &format!("ProxyCommand=nc 127.0.0.1 {}", scene.cutter.port)]);
    let (scene, hop) = (Scene::new(&[], "", None), Sshd::start());
    let key = hop.user_key("ed25519");
    let known = scene.env.path("known_hosts");
    scene.env.write("known_hosts", read_text(&known) + &hop.known_hosts());
    let block = format!("Host hop\n  IdentityFile {}\n  UserKnownHostsFile {}\n", key.display(), known.display());
    scene.env.write("ssh_config", read_text(scene.env.path("ssh_config")) + &block + &hop.config_lines());
    taken_back(&scene, &["-J", "hop"]);
    assert_eq!(hop.log().matches("Starting session").count(), 0, "a hop is asked for tunnels alone");
}

#[test]
fn a_server_that_is_stopped_is_ended_too_and_several_ports_come_back() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    let (fixed, out) = (free_port(), scene.env.path("f"));
    let profile = format!(
        "target: jump\nstreams:\n  one:\n    remote_port: {fixed}\n    out: {}\n  two:\n    remote_port: 0\n    out: {}\n",
        out.display(),
        scene.env.path("g").display()
    );
    scene.env.write("config/profiles/c.yaml", profile);
    let args = scene.env.to_jump(&["up", "c", "--json"], &SOON_DEAD);
    let up = scene.env.started(scene.env.run(&args.iter().map(String::as_str).collect::<Vec<_>>()));
    scene.wait_told();
    let old = scene.sshd.sessions();
    for pid in &old {
        procs::signal(*pid, Signal::STOP);
    }
    let back = scene.wait_back(1);
    assert_eq!(back["streams"][0]["remote_port"], fixed);
    assert_eq!(back["streams"][1]["remote_port"], up.port_at(1), "the port that the jump host chose is kept");
    wait_gone(&old);
    send(fixed, "one\n");
    send(up.port_at(1), "two\n");
    scene.env.down("c");
    assert_eq!((read_text(out), read_text(scene.env.path("g"))), ("one\n".into(), "two\n".into()));
    assert!(scene.collector_log().contains("Killed"), "{}", scene.collector_log());
}

#[test]
fn a_network_that_goes_again_and_again_leaves_nothing_behind() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    let up = scene.up(&[]);
    for n in 1..4 {
        scene.wait_told();
        let old = scene.sshd.sessions();
        scene.cutter.cut();
        scene.wait_back(n);
        wait_gone(&old);
        send(up.port(), "x\n");
    }
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "x\nx\nx\n");
}

/// Nobody may end the old process: the new connection waits for the port, says so, and has it once it is free.
#[track_caller]
fn waited_for(scene: &Scene, more: &[&str]) {
    let up = scene.up(more);
    send(up.port(), "before\n");
    scene.env.wait_stored("c", 7);
    let (mut old, logins) = (scene.sshd.sessions(), scene.logins());
    // Not what it runs for a moment.
    old.retain(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd")));
    scene.cutter.cut();
    let waits = scene
        .env
        .wait_collector("c", "says what holds the port", |c| c["health"].to_string().contains("still holds it there"));
    assert!(waits["health"].to_string().contains("ClientAliveInterval 15"), "{waits}");
    // Asked more than once, over one and the same connection.
    let asked = || {
        scene
            .sshd
            .log()
            .matches("port in use by another")
            .count()
            .max(scene.sshd.log().matches("Address already in use").count())
    };
    let seen = asked();
    wait_until("it is asked for again", SOON, || (asked() > seen + 1).then_some(()));
    assert_eq!(scene.logins(), logins + 1);
    assert!(old.iter().all(|pid| procs::alive(*pid)));
    scene.cutter.give_up();
    scene.wait_back(1);
    assert_eq!(scene.logins(), logins + 1, "the login that waited is the one that has the port now");
    send(up.port(), "after\n");
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "before\nafter\n");
}

#[test]
fn without_a_shell_the_port_is_waited_for() {
    require!("sshd");
    let Some(account) = Account::with_shell("without_a_shell_the_port_is_waited_for", "/usr/sbin/nologin") else {
        return;
    };
    waited_for(&Scene::new(&[], "", Some(&account)), &[]);
    waited_for(&Scene::new(&["MaxSessions 0"], "", None), &[]);
    waited_for(&Scene::new(&[], "command=\"echo $SSH_ORIGINAL_COMMAND\"", None), &[]);
}

#[test]
fn with_session_type_none_no_command_is_run() {
    require!("sshd");
    let scene = Scene::new(&["LogLevel DEBUG1"], "", None);
    waited_for(&scene, &["-o", "SessionType=none"]);
    for word in ["ctype session", "session_new", "Starting session"] {
        assert!(!scene.sshd.log().contains(word), "{word:?}:\n{}", scene.sshd.log());
    }
}

#[test]
fn a_program_that_took_the_port_meanwhile_keeps_it() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    let up = scene.up(&[]);
    scene.wait_told();
    scene.sshd.kill_sessions();
    let taken = ["::", "0.0.0.0"].iter().find_map(|any| TcpListener::bind((*any, up.port())).ok()).expect("the port");
    let waits = scene.env.wait_collector("c", "says who has the port", |c| {
        c["health"].to_string().contains(&format!("port {} is taken by another program there", up.port()))
    });
    assert!(!waits["health"].to_string().contains("still holds"), "{waits}");
    let seen = scene.logins();
    scene.env.wait_collector("c", "has tried again", |_| scene.logins() > seen);
    assert!(listening(up.port()));
    drop(taken);
    let back = scene.env.wait_state("c", "up");
    assert_eq!(back["streams"][0]["remote_port"], up.port());
    send(up.port(), "x\n");
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "x\n");
}

#[test]
fn whatever_a_command_says_instead_senders_get_through() {
    require!("sshd");
    for command in
        ["yes", "sleep 15", "head -c 300000 /dev/urandom", "true", "exit 1", "echo $SSH_ORIGINAL_COMMAND; cat"]
    {
        eprintln!("with {command}");
        let scene = Scene::new(&[], &format!("command=\"{command}\""), None);
        let up = scene.up(&[]);
        wait_until("the command runs", SOON, || scene.sshd.log().contains("Starting session").then_some(()));
        for _ in 0..20 {
            send(up.port(), "x\n");
        }
        scene.env.down("c");
        assert_eq!(read_text(scene.env.path("f")), "x\n".repeat(20));
        // Who serves us, and where the port is open.
        assert_eq!(scene.sshd.log().matches("Starting session").count(), 2);
    }
}

#[test]
fn a_kick_that_leaves_the_old_connection_ends_no_process() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    scene.up(&[]);
    scene.wait_told();
    scene.env.run(&["kick", "c"]).ok();
    scene.wait_back(1);
    assert!(!scene.collector_log().contains("what became of"), "{}", scene.collector_log());
    // One that is cut cannot be left: a kick finds out, and ends it.
    scene.wait_told();
    let old = scene.sshd.sessions();
    scene.cutter.cut();
    scene.env.run(&["kick", "c"]).ok();
    scene.wait_back(2);
    wait_gone(&old);
    scene.env.down("c");
}

#[test]
fn back_and_receiving_soon_after_a_kill_and_after_the_network_returns() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    let up = scene.up(&[]);
    scene.wait_told();
    scene.sshd.kill_sessions();
    let killed = Instant::now();
    let took = scene.first_line(up.port()) - killed;
    eprintln!("from the kill to the first line: {took:?}");
    assert!(took < Duration::from_secs(5), "{took:?}");
    scene.wait_back(1);
    scene.wait_told();
    scene.cutter.freeze();
    scene.env.wait_collector("c", "knows", |c| c["state"] == "connecting");
    scene.cutter.thaw();
    let returned = Instant::now();
    let took = scene.first_line(up.port()) - returned;
    eprintln!("from the return of the network to the first line: {took:?}");
    assert!(took < Duration::from_secs(6), "{took:?}");
    scene.env.down("c");
}

#[test]
fn a_dropbear_that_lost_its_client_gives_the_port_back() {
    require!("dropbear", "dropbearkey");
    let Some(server) = Dropbear::start("a_dropbear_that_lost_its_client", "ed25519", &["-a"]) else { return };
    let (env, cutter) = (Env::new(), Cutter::to(server.port));
    server.trusted_by(&env, "ed25519");
    for file in ["ssh_config", "known_hosts"] {
        let text = read_text(env.path(file)).replace(&server.port.to_string(), &cutter.port.to_string());
        env.write(file, text);
    }
    let (port, out) = (free_port().to_string(), env.arg("f"));
    let up = env.up(&[&["--remote-port", &port, "--out", &out, "--name", "c"], &SOON_DEAD[..]].concat());
    send(up.port(), "before\n");
    env.wait_stored("c", 7);
    cutter.cut();
    // Whether the account may end it depends on the version; if not, it goes when it hears of the end.
    env.wait_collector("c", "is back, or says what it waits for", |c| {
        c["reconnects"] == 1 || c["health"].to_string().contains("still holds it there")
    });
    eprintln!("dropbear: {}", read_text(env.path("state/c/collector.log")));
    cutter.give_up();
    env.wait_collector("c", "is back", |c| c["state"] == "up" && c["reconnects"] == 1);
    send(up.port(), "after\n");
    env.down("c");
    assert_eq!(read_text(env.path("f")), "before\nafter\n");
}

#[test]
fn a_collector_that_was_killed_in_a_cut_leaves_the_port_to_the_next_one() {
    require!("sshd");
    let scene = Scene::new(&[], "", None);
    let up = scene.up(&["-vv"]);
    scene.wait_told();
    let known = scene.env.path("state/c/connection.json");
    wait_until("it is kept which process serves us", SOON, || known.exists().then_some(()));
    let old = scene.sshd.sessions();
    scene.cutter.cut();
    procs::kill(up.pid);
    let (port, out) = (up.port().to_string(), scene.env.arg("f"));
    scene.env.up(&[&["--remote-port", &port, "--out", &out, "--name", "c"], &SOON_DEAD[..]].concat());
    wait_gone(&old);
    send(up.port(), "after\n");
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "after\n");
    assert!(!known.exists(), "whoever says good-bye leaves nothing behind");
}

#[test]
fn a_connection_that_is_lost_while_it_waits_for_its_port_is_one_more_loss() {
    require!("sshd");
    let scene = Scene::new(&["ForceCommand /bin/false"], "", None);
    let up = scene.up(&[]);
    let old = scene.sshd.sessions();
    scene.cutter.cut();
    scene.env.wait_collector("c", "waits for the port", |c| {
        c["health"].as_array().is_some_and(|all| all.iter().any(|h| h.as_str().unwrap().contains("still holds it")))
    });
    let new: Vec<u32> = scene.sshd.sessions().into_iter().filter(|pid| !old.contains(pid)).collect();
    assert!(!new.is_empty());
    for pid in new {
        procs::kill(pid);
    }
    scene.env.wait_collector("c", "tries again", |c| {
        c["last_error"].as_str().is_some_and(|e| e.contains("was lost") || e.contains("lost the connection"))
    });
    for pid in old {
        procs::kill(pid);
    }
    let back = scene.env.wait_collector("c", "is back", |c| c["state"] == "up");
    assert_eq!(back["pid"], up.pid);
    send(up.port(), "after\n");
    scene.env.down("c");
    assert_eq!(read_text(scene.env.path("f")), "after\n");
}
