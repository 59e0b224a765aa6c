//! `reclog restart`: a new collector in the place of the old one, and hardly a moment without either.

mod common;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::relp::{Rsyslog, wait_for_numbers};
use common::senders::{check_order, numbered};
use common::snapshot::number;
use common::{Collector, Env, LATER, Run, SOON, Sender, Sshd, free_port, listening, read, read_text, send, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

/// A restart that must succeed; the collector that is there then.
#[track_caller]
fn restarted(env: &Env, name: &str) -> Collector {
    env.started(env.run(&["restart", name, "--json"]))
}

/// A restart that must not happen: the old one goes on.
#[track_caller]
fn refused(env: &Env, old: &Collector, code: i32) -> Run {
    let run = env.run(&["restart", &old.name]).fails(code).hinted();
    assert_eq!(env.processes(), [old.pid], "the collector that ran still does, and no other");
    assert_eq!(env.snapshot(&old.name)["state"], "up");
    run
}

/// The lines of one event in the trail.
fn trail(env: &Env, event: &str) -> Vec<Value> {
    env.run(&["audit", "c", "--json", "--event", event]).ok().events()
}

/// Connects again and again, and takes the longest time in which nobody listened.
struct Watcher {
    over: Arc<AtomicBool>,
    watching: std::thread::JoinHandle<Duration>,
}

impl Watcher {
    fn of(port: u16) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&over);
        let watching = std::thread::spawn(move || {
            let (mut shut, mut longest) = (None::<Instant>, Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                if TcpStream::connect(("127.0.0.1", port)).is_err() {
                    shut.get_or_insert_with(Instant::now);
                } else if let Some(since) = shut.take() {
                    longest = longest.max(since.elapsed());
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            longest
        });
        Self { over, watching }
    }

    /// Printed, and asserted nowhere: a machine may have other things to do.
    fn tells(self, what: &str) {
        self.over.store(true, Ordering::Relaxed);
        println!("{what}: nobody listened for {:?}", self.watching.join().unwrap());
    }
}

#[test]
fn a_restart_keeps_port_options_and_file_and_cuts_whoever_stays() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    // Paths are relative to where it was typed, and the senders could stay for ever.
    let old = env.up(&["--remote-port", "0", "--out", "f", "--name", "c", "--strip-cr", "--drain-timeout", "10min"]);
    send(old.port(), "one\r\n");
    let mut stays = Sender::open(old.port());
    stays.write("two\r\nhalf");
    env.wait_received("c", 14);
    let watcher = Watcher::of(old.port());
    let run = {
        let mut restart = env.reclog(&["restart", "--json"]);
        restart.current_dir("/");
        common::Bg::spawn(restart).wait()
    };
    watcher.tells("one sender that stays");
    assert!(run.stderr.contains("1 sender had to be cut"), "{}", run.stderr);
    let new = env.started(run);
    assert!(new.pid != old.pid && new.port() == old.port(), "{} {}", old.event, new.event);
    assert!(stays.wait_closed());
    send(new.port(), "three\r\n");
    // Once more: the number that was chosen stays chosen.
    let newest = restarted(&env, "c");
    assert_eq!(newest.port(), old.port());
    send(newest.port(), "four\r\n");
    env.down("c");
    let text = read_text(env.path("work/f"));
    let lines: Vec<&str> = text.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines, ["one", "two", "half", "three", "four"], "the end of the cut line is made: {text:?}");
    assert!(!text.contains('\r'));
    assert!(!listening(old.port()));
    env.assert_nothing_left();

    let stops = trail(&env, "stop");
    assert_eq!([&stops[0]["why"], &stops[1]["why"]], ["reclog restart"; 2]);
    assert!(stops[2].get("why").is_none() && stops.iter().all(|stop| stop["lost"] == 0), "{stops:?}");
    let gaps = trail(&env, "gap");
    assert_eq!(gaps.len(), 2, "{gaps:?}");
    assert_eq!((number(&gaps[0]["senders_cut"]), number(&gaps[1]["senders_cut"])), (1, 0));
    assert!(number(&gaps[0]["bytes_at_most"]) > 0 && gaps[1]["bytes_at_most"] == 0, "{gaps:?}");
    let forwards = trail(&env, "forward");
    for ((gap, stop), forward) in gaps.iter().zip(&stops).zip(&forwards[1..]) {
        let at = |value: &Value| value.as_str().unwrap().to_owned();
        assert!(at(&gap["from"]) < at(&stop["ts"]) && at(&gap["to"]) >= at(&forward["ts"]), "{gap} {stop} {forward}");
    }
    assert_eq!(trail(&env, "cut").iter().map(|cut| &cut["why"]).collect::<Vec<_>>(), ["reclog restart"]);
}

#[test]
fn an_rsyslogd_that_never_lets_go_loses_nothing_among_hundreds_of_senders() {
    require!("sshd", "rsyslogd", "omrelp.so");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["MaxStartups 1000"]));
    env.trust(&sshd);
    env.write(
        "config/profiles/c.yaml",
        format!(
            "target: jump\nssh: {{ config: {} }}\ndrain_timeout: 10min\nstreams:\n  main: {{ remote_port: 0, bind: 127.0.0.1, out: {}, framing: relp }}\n  many: {{ remote_port: 0, bind: 127.0.0.1, out: {} }}\n",
            env.arg("ssh_config"), env.arg("f"), env.arg("many"),
        ),
    );
    let old = env.started(env.run(&["up", "c", "--json"]));
    let (relp, many) = (old.port(), old.port_at(1));
    let action = format!(
        "action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{relp}\" action.resumeRetryCount=\"-1\" \
         action.resumeInterval=\"1\" queue.type=\"LinkedList\" queue.size=\"100000\" queue.saveOnShutdown=\"off\")"
    );
    let rsyslog = Rsyslog::start(&env, "module(load=\"omrelp\")", &action);
    rsyslog.log(0..2000);
    wait_for_numbers(&env.path("f"), 2000);
    let mut senders: Vec<Sender> = (0..500).map(|_| Sender::open(many)).collect();
    let lines: u64 = (0..500).map(|s| numbered(s, 0).len() as u64).sum();
    for (s, sender) in senders.iter_mut().enumerate() {
        sender.write(numbered(s, 0));
    }
    env.wait_collector("c", "has the lines of all", |c| c["streams"][1]["ledger"]["received"] == lines);
    let watcher = Watcher::of(relp);
    // It sends meanwhile.
    let (new, rsyslog) = std::thread::scope(|scope| {
        let logging = scope.spawn(move || {
            for n in 2000..6000 {
                rsyslog.log(n..n + 1);
                if n % 50 == 0 {
                    std::thread::sleep(Duration::from_millis(5));
                }
            }
            rsyslog
        });
        let new = restarted(&env, "c");
        (new, logging.join().unwrap())
    });
    watcher.tells("an rsyslogd and 500 senders that never let go");
    assert_eq!((new.port(), new.port_at(1)), (relp, many));
    rsyslog.log(6000..7000);
    wait_for_numbers(&env.path("f"), 7000);
    assert!(senders.iter_mut().all(Sender::wait_closed), "whoever stayed was cut");
    let gap = trail(&env, "gap").pop().expect("a gap");
    assert!(number(&gap["senders_cut"]) >= 500, "{gap}");
    drop(rsyslog);
    env.run(&["down", "c", "--now"]).ok();
    let seen = check_order(&read_text(env.path("many")));
    assert_eq!(seen.len(), 500, "what they had sent is stored");
}

#[test]
fn a_profile_is_read_anew_and_one_that_is_wrong_changes_nothing() {
    let env = Env::new();
    let profile = |text: &str| env.write("config/profiles/c.yaml", text);
    let text = |out: &str| format!("streams:\n  main: {{ listen: '127.0.0.1:0', out: {out} }}\n");
    profile(&text(&env.arg("a")));
    let old = env.started(env.run(&["up", "c", "--json", "--max-line", "2KiB"]));
    send(old.port(), "one\n");

    profile("streams:\n  main: { listen: '127.0.0.1:0', oot: /f }\n");
    refused(&env, &old, 2).says("c.yaml: line 2, column 34").says("oot").says("goes on as it is");
    // What could only fail later is looked for before.
    profile(&text(&env.arg("no/such/folder")));
    refused(&env, &old, 1).says("cannot open the output").says("no/such/folder");
    std::fs::remove_file(env.path("config/profiles/c.yaml")).unwrap();
    refused(&env, &old, 2).says("c.yaml");
    // Options of the command line have no place in the profile that is there now.
    profile("streams:\n  other: { listen: '127.0.0.1:0', out: /f }\n");
    refused(&env, &old, 2).says("main");
    send(old.port(), "two\n");

    profile(&text(&env.arg("b")));
    let new = restarted(&env, "c");
    assert_eq!(new.port(), old.port(), "this machine had chosen it");
    send(new.port(), format!("{}\n", "x".repeat(3000)));
    env.down("c");
    assert_eq!(read(env.path("a")), b"one\ntwo\n");
    let b = read_text(env.path("b"));
    assert!(b.len() == 3002 && b.lines().all(|line| line.len() < 2048), "--max-line is kept");
    env.assert_nothing_left();
}

#[test]
fn a_profile_that_up_saved_is_read_anew_too() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let old = env.up(&["--remote-port", "0", "--bind", "127.0.0.1", "--out", "f", "--save", "c"]);
    let saved = read_text(env.path("config/profiles/c.yaml"));
    env.write("config/profiles/c.yaml", saved.replace(&env.arg("work/f"), &env.arg("work/g")));
    let new = restarted(&env, "c");
    assert_eq!(new.port(), old.port());
    send(new.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("work/g")), b"x\n");
}

#[test]
fn every_kind_of_port_of_this_machine_is_taken_over() {
    let env = Env::new();
    for address in ["127.0.0.1:0", "udp:127.0.0.1:0", &format!("unix:{}", env.arg("s"))] {
        let old = env.started(env.run(&["listen", address, "--out", &env.arg("f"), "--name", "c", "--json"]));
        let new = restarted(&env, "c");
        let at = |c: &Collector| c.event["streams"][0].clone();
        assert_eq!(at(&new), at(&old), "{address}");
        if address.starts_with("unix") {
            use std::io::Write as _;
            std::os::unix::net::UnixStream::connect(env.path("s")).unwrap().write_all(b"x\n").unwrap();
        } else if address.starts_with("udp") {
            let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
            socket.send_to(b"x", ("127.0.0.1", new.port())).unwrap();
        } else {
            send(new.port(), "x\n");
        }
        env.wait_stored("c", if address.starts_with("udp") { 1 } else { 2 });
        env.down("c");
    }
    assert_eq!(read(env.path("f")), b"x\nx\nx\n");
    env.assert_nothing_left();
}

#[test]
fn sockets_and_relays_of_the_jump_host_are_taken_over() {
    require!("sshd", "python3");
    let (env, sshd) = (Env::new(), Sshd::with_lines(&["GatewayPorts no"]));
    env.trust(&sshd);
    let folder = tempfile::Builder::new().prefix("rl-sock-").tempdir_in("/tmp").unwrap();
    let socket = folder.path().join("s");
    env.write(
        "config/profiles/c.yaml",
        format!(
            "target: jump\nssh: {{ config: {} }}\nno_probe: true\nstreams:\n  main: {{ remote_port: 0, out: {}, relay: always }}\n  sock: {{ remote_socket: {}, out: {} }}\n",
            env.arg("ssh_config"), env.arg("f"), socket.display(), env.arg("g"),
        ),
    );
    let old = env.started(env.run(&["up", "c", "--json"]));
    let mut stays = Sender::open(old.port());
    stays.write("one\n");
    env.wait_received("c", 4);
    let watcher = Watcher::of(old.port());
    let new = restarted(&env, "c");
    watcher.tells("a relay and a socket");
    assert_eq!(new.port(), old.port());
    send(new.port(), "two\n");
    {
        use std::io::Write as _;
        std::os::unix::net::UnixStream::connect(&socket).unwrap().write_all(b"x\n").unwrap();
    }
    env.wait_collector("c", "has it", |c| c["streams"][1]["ledger"]["stored"] == 2);
    env.down("c");
    assert_eq!(read(env.path("f")), b"one\ntwo\n");
    assert!(!socket.exists());
    env.assert_nothing_left();
}

#[test]
fn of_two_restarts_at_once_one_collector_is_left() {
    let env = Env::new();
    let old = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let both = [0, 1].map(|_| env.spawn(&["restart", "c", "--json"]));
    let runs = both.map(common::Bg::wait);
    let done: Vec<&Run> = runs.iter().filter(|run| run.status.success()).collect();
    assert!(!done.is_empty(), "{runs:?}");
    let left = env.processes();
    assert_eq!(left.len(), 1, "{runs:?}");
    assert_ne!(left, [old.pid]);
    env.expect(left[0]);
    for run in &runs {
        let event = run.last_event();
        if !run.status.success() {
            // It found the other one at work, or the old collector on its way out.
            let kinds = ["failed", "not-running"];
            assert!(event["event"] == "failed" && kinds.iter().any(|kind| event["kind"] == *kind), "{event}");
        }
    }
    send(old.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
    env.assert_nothing_left();
}

#[test]
fn a_jump_host_that_does_not_let_us_in_leaves_the_old_collector_as_it_is() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let old = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    std::fs::write(sshd.file("authorized_keys"), "").unwrap();
    refused(&env, &old, 4);
    // While it waits for the jump host, too.
    sshd.stop();
    env.wait_state("c", "waiting");
    env.run(&["restart", "c"]).fails(1);
    assert_eq!(env.processes(), [old.pid]);
    std::fs::write(sshd.file("authorized_keys"), read_text(sshd.user_key("ed25519").with_extension("pub"))).unwrap();
    sshd.start_again();
    let new = restarted(&env, "c");
    assert_eq!(new.port(), old.port());
    send(new.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn an_interrupt_before_the_old_one_gives_way_changes_nothing() {
    let env = Env::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = silent.local_addr().unwrap().port();
    let profile = |text: &str| env.write("config/profiles/c.yaml", text);
    profile(&format!("streams:\n  main: {{ listen: '127.0.0.1:0', out: {} }}\n", env.arg("f")));
    let old = env.started(env.run(&["up", "c", "--json"]));
    profile(&format!(
        "target: u@127.0.0.1:{at}\nssh: {{ config: {} }}\nstreams:\n  main: {{ remote_port: 0, out: {} }}\n",
        env.arg("work/no_config"),
        env.arg("f")
    ));
    let restart = env.spawn(&["restart", "c"]);
    let _held = common::accept(&silent);
    restart.signal(Signal::INT);
    assert_eq!(restart.wait().status.code(), Some(130));
    wait_until("only the old one runs", SOON, || (env.processes() == [old.pid]).then_some(()));
    send(old.port(), "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
    env.assert_nothing_left();
}

#[test]
fn a_port_that_is_taken_by_then_is_waited_for_and_said_so() {
    let env = Env::new();
    let profile = |port: u16| {
        let text = format!("streams:\n  main: {{ listen: '127.0.0.1:{port}', out: {} }}\n", env.arg("f"));
        env.write("config/profiles/c.yaml", text)
    };
    profile(0);
    env.started(env.run(&["up", "c", "--json"]));
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    profile(port);
    env.run(&["restart", "c"]).fails(1).hinted().says("has taken over and is not up yet").says("reclog status c");
    let pid = env.processes()[0];
    env.expect(pid);
    env.wait_state("c", "waiting");
    drop(taken);
    wait_until("it is up without anybody's help", LATER, || listening(port).then_some(()));
    assert_eq!(env.processes(), [pid]);
    send(port, "x\n");
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn what_a_full_disk_does_not_take_is_rescued_and_the_new_one_waits_for_it() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let old = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "2MiB"]);
    disk.fill(3 * 1024 * 1024);
    let mut sender = Sender::open(old.port());
    let line = format!("{}\n", "x".repeat(1023));
    for _ in 0..1500 {
        sender.write(&line);
    }
    env.wait_state("c", "stalled");
    env.wait_received("c", 1500 * 1024);
    let watcher = Watcher::of(old.port());
    let run = env.run(&["restart", "c"]).fails(1).says("could not be stored").says("rescue-main-");
    watcher.tells("a full disk");
    assert!(run.stdout.contains("✔ "), "the new one is up: {run:?}");
    env.expect(env.processes()[0]);
    let mut sender = Sender::open(old.port());
    sender.write("y\n");
    env.wait_state("c", "stalled");
    disk.free();
    sender.finish();
    env.wait_state("c", "up");
    env.down("c");
    let rescued: Vec<_> = env
        .path("state/c")
        .read_dir()
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.to_string_lossy().contains("rescue"))
        .collect();
    let text = read_text(env.path("disk/f"));
    let bytes = text.len() - 2 + read(&rescued[0]).len();
    // A record that was torn at the restart is ended, and begins the rescue file again.
    assert!(bytes >= 1500 * 1024 && text.ends_with("y\n"), "{bytes}");
}

#[test]
fn a_collector_in_the_foreground_is_renewed_in_its_process() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let args = env.to_jump(
        &["up", "jump", "-f"],
        &["--remote-port", "0", "--out", "f", "--name", "c", "--drain-timeout", "10min"],
    );
    let mut bg = env.spawn(&args.iter().map(String::as_str).collect::<Vec<_>>());
    bg.wait_stdout("reclog down c");
    let before = env.snapshot("c");
    let port = u16::try_from(number(&before["streams"][0]["remote_port"])).unwrap();
    let mut stays = Sender::open(port);
    stays.write("one\n");
    env.wait_received("c", 4);
    // Somebody else's: nothing of it reaches the commands that it starts.
    std::fs::write(sshd.file("authorized_keys"), "").unwrap();
    env.run(&["restart", "c"]).fails(4).hinted().says("goes on as it is");
    assert_eq!(env.snapshot("c")["since"], before["since"]);
    std::fs::write(sshd.file("authorized_keys"), read_text(sshd.user_key("ed25519").with_extension("pub"))).unwrap();

    let watcher = Watcher::of(port);
    let run = env.run(&["restart", "c", "--json"]).ok();
    watcher.tells("in the foreground");
    let up = run.last_event();
    assert_eq!((&up["pid"], &up["streams"][0]["remote_port"]), (&bg.pid().into(), &port.into()));
    assert!(bg.running() && stays.wait_closed());
    assert_ne!(env.snapshot("c")["since"], before["since"]);
    send(port, "two\n");
    bg.signal(Signal::INT);
    bg.wait().ok();
    assert_eq!(read(env.path("work/f")), b"one\ntwo\n");
    let gaps = trail(&env, "gap");
    assert_eq!(gaps.iter().map(|gap| number(&gap["senders_cut"])).collect::<Vec<_>>(), [1]);
    env.assert_nothing_left();
}

#[test]
fn a_keyword_that_stands_nowhere_is_needed_again() {
    let env = Env::new();
    let with = |args: &[&str]| {
        let mut command = env.reclog(args);
        command.env("RECLOG_KEYWORD", "blue");
        common::Bg::spawn(command).wait()
    };
    let old = env.started(with(&["listen", "127.0.0.1:0", "--out", &env.arg("f"), "--name", "c", "--json"]));
    refused(&env, &old, 2).says("RECLOG_KEYWORD");
    let new = env.started(with(&["restart", "c", "--json"]));
    send(new.port(), "blue\nx\n");
    assert!(new.event["streams"][0]["keyword"] == json!(true));
    env.down("c");
    assert_eq!(read(env.path("f")), b"x\n");
}

#[test]
fn restart_without_a_collector_is_three_and_up_says_how_to_restart() {
    let env = Env::new();
    env.run(&["restart"]).fails(3);
    env.run(&["restart", "nobody"]).fails(3).says("nobody");
    let port = free_port();
    let address = format!("127.0.0.1:{port}");
    let listen = ["listen", &address, "--out", &env.arg("f"), "--name", "c", "--json"];
    env.started(env.run(&listen));
    env.run(&listen).fails(1).hinted().says("already running").says("`reclog restart c`");
    env.down("c");
}
