//! What a service manager hears: up, how it goes, that it moves, a reload, the end; and that it may be away.

mod common;

use std::process::Command;
use std::time::{Duration, Instant};

use common::manager::Manager;
use common::senders::numbered;
use common::stopped::{Tracer, thread};
use common::{Bg, Env, LATER, SOON, Sender, Sshd, free_port, read, read_text, send, wait_until};
use rustix::process::Signal;

/// A watchdog that is heard four times a second; every thread has to move within two seconds.
const USEC: u64 = 1_000_000;

/// `listen` of a collector `c` in the foreground, and its port.
fn listen(env: &Env, more: &[&str]) -> (Command, u16) {
    let port = free_port();
    let (address, out) = (format!("127.0.0.1:{port}"), env.arg("f"));
    let args = [&["listen", &address, "-f", "--name", "c"], more].concat();
    let out = if more.contains(&"--out") { vec![] } else { vec!["--out", &out] };
    (env.reclog(&[args, out].concat()), port)
}

fn spawn(env: &Env, command: Command) -> Bg {
    let bg = Bg::spawn(command);
    env.expect(bg.pid());
    bg
}

/// The watchdog of a manager bites: it has heard nothing for so long.
#[track_caller]
fn wait_bite(manager: &Manager) {
    wait_until("the watchdog bites", SOON, || {
        let heard = manager.heard();
        let (_, last) = heard.iter().rfind(|(line, _)| line == "WATCHDOG=1").expect("it was heard before");
        (last.elapsed() >= Duration::from_micros(3 * USEC)).then_some(())
    });
}

#[track_caller]
fn wait_alive(manager: &Manager, more: usize) {
    manager.wait_for("WATCHDOG=1", manager.all("WATCHDOG=1").len() + more);
}

#[test]
fn it_is_ready_when_it_is_up_and_tells_how_it_goes_until_the_end() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let manager = Manager::start(&env);
    env.trust(&sshd);
    sshd.stop();
    let port = free_port().to_string();
    let more =
        ["-f", "--keep-trying", "--remote-port", &port, "--bind", "127.0.0.1", "--out", &env.arg("f"), "--name", "c"];
    let args = env.to_jump(&["up", "jump"], &more);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let up = spawn(&env, manager.of(env.reclog(&args)));
    let status = manager.wait_status("cannot connect to 127.0.0.1");
    assert!(status.starts_with("STATUS=not connected, trying "), "{status}");
    manager.wait_for("EXTEND_TIMEOUT_USEC=", 3);
    assert!(manager.all("READY=").is_empty(), "{:?}", manager.heard());

    sshd.start_again();
    manager.wait_for("READY=1", 1);
    assert_eq!(env.wait_state("c", "up")["state"], "up");
    let mut open = Sender::open(port.parse().unwrap());
    open.write("0123456789\nx");
    manager.wait_status("STATUS=up, 1 sender, 12 B");
    assert!(manager.all("WATCHDOG").is_empty(), "nobody asked for it");

    let patience = manager.all("EXTEND_TIMEOUT_USEC=").len();
    up.signal(Signal::TERM);
    manager.wait_for("STOPPING=1", 1);
    manager.wait_status("draining, 1 sender");
    manager.wait_for("EXTEND_TIMEOUT_USEC=", patience + 3);
    open.write("y\n");
    open.finish();
    up.wait().ok();
    assert_eq!(read(env.path("f")), b"0123456789\nxy\n");
    let order: Vec<_> =
        manager.heard().into_iter().filter(|(l, _)| ["READY=1", "STOPPING=1"].contains(&l.as_str())).collect();
    assert_eq!(order.iter().map(|(line, _)| line.as_str()).collect::<Vec<_>>(), ["READY=1", "STOPPING=1"]);
    assert!(manager.all("MAINPID").is_empty(), "the manager knows whom it has started");
}

#[test]
fn an_abstract_socket_is_one_too_and_a_reload_is_over_when_the_new_keyword_holds() {
    let env = Env::new();
    let manager = Manager::start_abstract(&env);
    let word = env.write("word", "old\n");
    let (command, port) = listen(&env, &["--keyword-file", word.to_str().unwrap()]);
    let up = spawn(&env, manager.of(command));
    manager.wait_for("READY=1", 1);
    send(port, "old\nfirst\n");
    env.wait_stored("c", 6);

    env.write("word", "new\n");
    let before = manager.heard().len();
    up.signal(Signal::HUP);
    manager.wait_for("READY=1", 2);
    let lines: Vec<_> = manager.heard().into_iter().skip(before).map(|(line, _)| line).collect();
    let at = |what: &str| lines.iter().position(|line| line.starts_with(what)).unwrap_or_else(|| panic!("{lines:?}"));
    assert!(at("RELOADING=1") + 1 == at("MONOTONIC_USEC=") && at("MONOTONIC_USEC=") < at("READY=1"), "{lines:?}");
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let told: i64 = lines[at("MONOTONIC_USEC=")].split_once('=').unwrap().1.parse().unwrap();
    assert!((0..60).contains(&(now.tv_sec - told / 1_000_000)), "{lines:?}");
    send(port, "new\nsecond\n");
    env.wait_stored("c", 13);
    up.signal(Signal::TERM);
    up.wait().ok();
    assert_eq!(read(env.path("f")), b"first\nsecond\n");
}

#[test]
fn a_manager_that_is_away_or_does_not_read_holds_nothing_up() {
    for address in ["/nonexistent/notify", "@nobody-is-there", "relative", "full"] {
        let env = Env::new();
        let manager = Manager::start(&env);
        let (command, port) = listen(&env, &[]);
        let mut command = manager.watching(command, USEC);
        if address == "full" {
            manager.fill();
        } else {
            command.env("NOTIFY_SOCKET", address);
        }
        let mut up = spawn(&env, command);
        up.wait_stdout("reclog down c");
        send(port, "x\n");
        env.wait_stored("c", 2);
        if address == "full" {
            // Only now somebody reads: what counts was kept.
            manager.wait_for("READY=1", 1);
        }
        up.signal(Signal::TERM);
        let run = up.wait().ok();
        assert_eq!(read(env.path("f")), b"x\n", "{address}: {}", run.stderr);
    }
}

#[test]
fn a_thread_that_stands_still_lets_the_watchdog_bite() {
    require!("cc");
    let env = Env::new();
    let (manager, tracer) = (Manager::start(&env), Tracer::build(&env));
    let (command, port) = listen(&env, &[]);
    let up = spawn(&env, manager.watching(command, USEC));
    manager.wait_for("READY=1", 1);
    // The runtime is the main thread; the writer waits for records.
    for stops in [up.pid(), thread(up.pid(), "reclog-writer")] {
        wait_alive(&manager, 4);
        let Some(stopped) = tracer.stop(stops) else {
            return common::left_out_for("a_thread_that_stands_still_lets_the_watchdog_bite", "ptrace(2)");
        };
        wait_bite(&manager);
        drop(stopped);
        wait_alive(&manager, 4);
    }
    send(port, "x\n");
    up.signal(Signal::TERM);
    up.wait().ok();
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn a_disk_that_hangs_is_no_collector_that_hangs() {
    let env = Env::new();
    let disk = image!(env);
    let manager = Manager::start(&env);
    let (command, port) = listen(&env, &["--out", &env.arg("disk/f"), "--min-free", "0"]);
    let up = spawn(&env, manager.watching(command, USEC));
    manager.wait_for("READY=1", 1);
    let lines: String = (0..2000).map(|n| numbered(1, n)).collect();
    disk.freeze();
    let frozen = Instant::now();
    send(port, &lines);
    manager.wait_status("has not taken a byte");
    wait_until("it is well for longer than any thread may stand still", LATER, || {
        let heard = manager.heard();
        let (_, last) = heard.iter().rfind(|(line, _)| line == "WATCHDOG=1").unwrap();
        assert!(last.elapsed() < Duration::from_secs(15), "the watchdog has bitten");
        (*last > frozen + Duration::from_secs(6)).then_some(())
    });
    // A drain waits for it, too.
    up.signal(Signal::TERM);
    manager.wait_for("STOPPING=1", 1);
    disk.thaw();
    up.wait().ok();
    assert!(read(env.path("disk/f")) == lines.as_bytes());
}

#[test]
fn the_watchdog_of_another_process_is_none_of_ours() {
    let env = Env::new();
    let manager = Manager::start(&env);
    let (command, port) = listen(&env, &[]);
    let mut command = manager.watching(command, USEC);
    command.env("WATCHDOG_PID", "1");
    let up = spawn(&env, command);
    manager.wait_for("READY=1", 1);
    send(port, "x\n");
    manager.wait_status("0 senders, 2 B");
    assert!(manager.all("WATCHDOG").is_empty(), "{:?}", manager.heard());
    up.signal(Signal::TERM);
    up.wait().ok();
}

#[test]
fn a_collector_in_the_background_is_the_service_from_then_on() {
    let env = Env::new();
    let manager = Manager::start(&env);
    let reclog = common::env::binary();
    // As a manager does it: the watchdog is of the process that it starts.
    let line = format!(
        "WATCHDOG_PID=$$ exec '{}' listen 127.0.0.1:0 --name c --out '{}' --json",
        reclog.display(),
        env.arg("f")
    );
    let mut command = manager.watching(env.command("sh"), USEC);
    command.args(["-c", &line]);
    let up = env.started(Bg::spawn(command).wait());
    manager.wait_for("READY=1", 1);
    assert_eq!(manager.wait_for("MAINPID=", 1), format!("MAINPID={}", up.pid));
    wait_alive(&manager, 3);
    env.down("c");
    manager.wait_for("STOPPING=1", 1);
}

#[test]
fn a_restart_in_the_foreground_is_a_reload_and_no_end() {
    let env = Env::new();
    let manager = Manager::start(&env);
    let (command, port) = listen(&env, &[]);
    let up = spawn(&env, manager.watching(command, USEC));
    manager.wait_for("READY=1", 1);
    send(port, "one\n");
    env.wait_stored("c", 4);
    env.run(&["restart", "c"]).ok();
    manager.wait_for("READY=1", 2);
    assert_eq!(manager.all("RELOADING=1").len(), 1);
    assert!(manager.all("STOPPING=1").is_empty(), "the manager would end it");
    assert_eq!(env.snapshot("c")["pid"], up.pid());
    wait_alive(&manager, 3);
    send(port, "two\n");
    env.wait_stored("c", 4);
    up.signal(Signal::TERM);
    up.wait().ok();
    assert_eq!(read(env.path("f")), b"one\ntwo\n");
    assert!(!env.path("state/c/starts.json").exists());
}

#[test]
fn what_is_started_from_here_does_not_hear_of_the_manager() {
    require!("sshd", "socat");
    let (env, sshd) = (Env::new(), Sshd::start());
    let manager = Manager::start(&env);
    env.trust(&sshd);
    let [proxy, exec, output] = ["proxy.env", "exec.env", "output.env"].map(|name| env.arg(name));
    let config = read_text(env.path("ssh_config"));
    let more = format!("  ProxyCommand sh -c 'env > {proxy}; exec socat - TCP:%h:%p'\nMatch exec \"env > {exec}\"\n");
    env.write("ssh_config", format!("{}\n{more}", config.trim_end()));
    let out = format!("exec:env > {output}; cat > /dev/null");
    let args = env.to_jump(&["up", "jump", "-f"], &["--remote-port", "0", "--out", &out]);
    let args: Vec<_> = args.iter().map(String::as_str).collect();
    let up = spawn(&env, manager.watching(env.reclog(&args), USEC));
    manager.wait_for("READY=1", 1);
    for file in [proxy, exec, output] {
        let seen = common::wait_for_text(&file, "RECLOG_STATE_DIR=");
        assert!(!seen.contains("NOTIFY_SOCKET") && !seen.contains("WATCHDOG_"), "{file}: {seen}");
    }
    up.signal(Signal::TERM);
    up.wait().ok();
}

#[test]
fn a_service_that_fails_at_once_waits_before_it_is_started_again() {
    let env = Env::new();
    let manager = Manager::start(&env);
    let (failing, starts) = (["--out", "/nonexistent/f"], env.path("state/c/starts.json"));
    let fails = || Bg::spawn(manager.of(listen(&env, &failing).0));
    fails().wait().fails(1);
    assert!(manager.all("STATUS=waiting").is_empty(), "the first start is not late");

    // Whoever looks sees why nothing happens, and a stop ends it.
    let waits = fails();
    let status = manager.wait_status("waiting for ");
    assert!(status.contains("the start before this one failed"), "{status}");
    waits.signal(Signal::TERM);
    waits.wait().fails(130);
    fails().wait().fails(1);
    assert_eq!(manager.all("STATUS=waiting").len(), 1, "a person who stopped it does not wait");

    // Many starts that failed: a minute from the last one, of which a second is left.
    let last = jiff::Timestamp::now() - jiff::SignedDuration::from_millis(59_500);
    env.write("state/c/starts.json", format!("{{\"failed\":9,\"last\":\"{last}\"}}"));
    fails().wait().fails(1);
    manager.wait_status("the starts before this one failed (9 in a row)");
    assert!(read_text(&starts).contains("\"failed\":10"), "{}", read_text(&starts));

    // What no manager starts again begins anew.
    let last = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(61);
    env.write("state/c/starts.json", format!("{{\"failed\":9,\"last\":\"{last}\"}}"));
    Bg::spawn(manager.of(listen(&env, &["--keyword-file", "missing"]).0)).wait().fails(2);
    assert!(!starts.exists());
    let up = spawn(&env, manager.of(listen(&env, &[]).0));
    manager.wait_for("READY=1", 1);
    assert!(starts.exists(), "it may still be killed");
    up.signal(Signal::TERM);
    up.wait().ok();
    assert!(!starts.exists());

    // A person at a terminal never waits, nor is anything remembered.
    Bg::spawn(listen(&env, &failing).0).wait().fails(1);
    assert!(!starts.exists());
}

#[test]
fn what_no_new_start_can_mend_ends_at_once_with_its_own_code_and_is_not_counted() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    let manager = Manager::start(&env);
    env.trust(&sshd);
    let starts = env.path("state/c/starts.json");
    let ends = |code: i32| {
        // Failed before, so long ago that nobody waits.
        let last = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(61);
        // Of a start that came to nothing nothing is left.
        std::fs::create_dir_all(env.path("state/c")).unwrap();
        env.write("state/c/starts.json", format!("{{\"failed\":9,\"last\":\"{last}\"}}"));
        let more = ["-f", "--keep-trying", "--remote-port", "0", "--out", &env.arg("f"), "--name", "c"];
        let args = env.to_jump(&["up", "jump"], &more);
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Bg::spawn(manager.of(env.reclog(&args))).wait().fails(code).hinted();
        assert!(!starts.exists(), "no manager starts it again");
    };
    let keys = read_text(sshd.file("authorized_keys"));
    std::fs::write(sshd.file("authorized_keys"), "").unwrap();
    ends(4);
    std::fs::write(sshd.file("authorized_keys"), keys).unwrap();
    env.write("known_hosts", "");
    ends(5);
    assert!(manager.all("READY=").is_empty() && manager.all("STATUS=waiting").is_empty(), "{:?}", manager.heard());
}
