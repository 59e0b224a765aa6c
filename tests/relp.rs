//! RELP: what is acknowledged is stored, and what is not comes again.

mod common;

use common::disk::QUEUE;
use common::relp::{Relp, Rsyslog, frame, numbers, wait_for_numbers};
use common::snapshot::{assert_settled, number};
use common::{Collector, Env, LATER, SOON, Sshd, free_port, listening, procs, read, read_text, wait_until};

/// A collector `c` of RELP that writes to `f`: here, or behind a jump host.
#[track_caller]
fn collector(env: &Env, sshd: Option<&Sshd>, more: &[&str]) -> Collector {
    collector_of("f", env, sshd, more)
}

/// The same with another file.
#[track_caller]
fn collector_of(out: &str, env: &Env, sshd: Option<&Sshd>, more: &[&str]) -> Collector {
    let out = env.arg(out);
    let more = [&["--out", &out, "--name", "c", "--framing", "relp"], more].concat();
    match sshd {
        None => env.listen(&more),
        Some(sshd) => {
            env.trust(sshd);
            env.up(&[&more[..], &["--remote-port", "0"]].concat())
        }
    }
}

/// The tests of this for a local port and for one behind a jump host.
macro_rules! both {
    ($($name:ident: $test:expr;)+) => {$(
        mod $name {
            use super::*;

            #[test]
            fn on_a_local_port() {
                let test: fn(Option<&Sshd>) = $test;
                test(None);
            }

            #[test]
            fn through_a_jump_host() {
                require!("sshd");
                let test: fn(Option<&Sshd>) = $test;
                test(Some(&Sshd::start()));
            }
        }
    )+};
}

both! {
    every_frame_is_answered_and_every_message_stored: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &[]);
        assert_eq!(env.stream("c")["framing"], "relp");
        let mut sender = Relp::open(up.port());
        for message in ["<1>one", "<2>with\nlf", "", "<3>its own end\n"] {
            sender.send("syslog", message);
        }
        sender.hear_acks(2..=5);
        assert_eq!(read(env.path("f")), b"<1>one\n<2>with\nlf\n\n<3>its own end\n", "acknowledged is stored");
        sender.send("close", "");
        assert_eq!(sender.hear(), Some((6, "rsp".into(), String::new())));
        assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())));
        assert_eq!(sender.hear(), None, "then the connection ends");
        env.wait_collector("c", "has no sender", |c| number(&c["streams"][0]["senders"]["open"]) == 0);
        let down = env.run(&["down", "c", "--json"]).ok().last_event();
        let stream = &down["streams"][0];
        assert_settled(stream, &env.path("f"));
        assert_eq!((number(&stream["records"]), number(&stream["senders"]["cut"])), (4, 0));
        let ledger = &stream["ledger"];
        assert_eq!((number(&ledger["stored"]), number(&ledger["added"])), (31, 3), "{ledger}");
        assert_eq!(number(&ledger["discarded"]["framing"]), number(&ledger["received"]) - 31, "{ledger}");
    };

    the_last_messages_are_acknowledged_after_the_end_of_the_stream: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &[]);
        let mut sender = Relp::open(up.port());
        let all: String = (2..1002).map(|n| frame(n, "syslog", &format!("<1>{n}"))).collect();
        sender.write(all);
        sender.shut();
        sender.hear_acks(2..1002);
        assert_eq!(sender.hear(), None);
        env.down("c");
        assert_eq!(read_text(env.path("f")).lines().count(), 1000);
    };

    a_bad_frame_ends_the_session_and_what_came_before_is_acknowledged: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &[]);
        let mut sender = Relp::open(up.port());
        sender.send("syslog", "<1>good");
        // A replay: it was acknowledged, or will be.
        sender.write(frame(2, "syslog", "<1>good") + &frame(3, "syslog", "<1>after"));
        sender.hear_acks([2]);
        assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())));
        assert_eq!(sender.hear(), None, "the connection ends");
        drop(sender);
        let mut early = Relp::connect(up.port());
        early.write(frame(1, "syslog", "<1>before open"));
        assert_eq!(early.hear(), Some((0, "serverclose".into(), String::new())));
        assert_eq!(early.hear(), None);
        drop(early);
        env.wait_collector("c", "has no sender", |c| number(&c["streams"][0]["senders"]["open"]) == 0);
        let down = env.run(&["down", "c", "--json"]).ok().last_event();
        assert_settled(&down["streams"][0], &env.path("f"));
        assert_eq!(number(&down["streams"][0]["senders"]["cut"]), 0, "they were ended from here: {down}");
        assert_eq!(read(env.path("f")), b"<1>good\n");
        let trail = env.run(&["audit", "c", "--json", "--event", "sender_close"]).ok().events();
        let why: Vec<&str> = trail.iter().map(|line| line["why"].as_str().unwrap()).collect();
        assert_eq!(why, ["framing", "framing"]);
    };

    whoever_stays_when_his_session_is_over_is_closed: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &[]);
        let mut sender = Relp::open(up.port());
        sender.write("no frame\n");
        assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())));
        assert_eq!(sender.hear(), None);
        wait_until("nobody reads from it", LATER, || (!sender.try_write("more\n")).then_some(()));
        env.wait_collector("c", "has no sender", |c| number(&c["streams"][0]["senders"]["open"]) == 0);
        // The connection to the jump host has not suffered.
        let mut other = Relp::open(up.port());
        other.send("syslog", "<1>other");
        other.hear_acks([2]);
        drop((sender, other));
        env.down("c");
        assert_eq!(read(env.path("f")), b"<1>other\n");
    };

    nothing_is_acknowledged_while_the_disk_is_full: |sshd| {
        let env = Env::new();
        let disk = disk!(env, "4m");
        let up = collector_of("disk/f", &env, sshd, &["--min-free", "0"]);
        let mut sender = Relp::open(up.port());
        sender.send("syslog", "<1>before");
        sender.hear_acks([2]);
        disk.fill(0);
        // More than what is left of the last page of the file.
        let long = "x".repeat(10_000);
        let sent: usize = (0..20).map(|_| sender.send("syslog", &long)).sum();
        env.wait_collector("c", "stalls with everything received", |c| {
            let ledger = &c["streams"][0]["ledger"];
            c["state"] == "stalled" && number(&ledger["pending"]) > 0 && number(&ledger["received"]) >= sent as u64
        });
        assert_eq!(String::from_utf8(sender.overheard()).unwrap(), "", "acknowledged, and not in the file");
        disk.free();
        sender.hear_acks(3..23);
        let text = read_text(env.path("disk/f"));
        assert_eq!(text, format!("<1>before\n{}", format!("{long}\n").repeat(20)));
        drop(sender);
        env.down("c");
    };

    a_drain_waits_for_the_last_acknowledgements: |sshd| {
        let env = Env::new();
        let disk = disk!(env, "4m");
        let up = collector_of("disk/f", &env, sshd, &["--min-free", "0", "--drain-timeout", "10min"]);
        let mut sender = Relp::open(up.port());
        disk.fill(0);
        let long = "x".repeat(10_000);
        sender.send("syslog", &long);
        env.wait_state("c", "stalled");
        let down = env.spawn(&["down", "c", "--json"]);
        env.wait_state("c", "draining");
        sender.send("close", "");
        env.wait_collector("c", "has no sender", |c| number(&c["streams"][0]["senders"]["open"]) == 0);
        disk.free();
        sender.hear_acks([2]);
        assert_eq!(sender.hear(), Some((3, "rsp".into(), String::new())));
        drop(sender);
        down.wait().ok();
    };

    a_drain_tells_senders_to_go_that_are_owed_nothing: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &["--drain-timeout", "10min"]);
        let mut idle = Relp::open(up.port());
        idle.send("syslog", "<1>one");
        idle.hear_acks([2]);
        // Half a frame is nothing that is owed.
        let mut half = Relp::open(up.port());
        half.write("2 syslog 100 <1>ha");
        env.wait_collector("c", "has both", |c| number(&c["streams"][0]["senders"]["open"]) == 2);
        let down = env.run(&["down", "c", "--json"]).ok().last_event();
        for mut sender in [idle, half] {
            assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())));
            assert_eq!(sender.hear(), None, "then the connection ends");
        }
        assert_settled(&down["streams"][0], &env.path("f"));
        assert_eq!(number(&down["streams"][0]["senders"]["cut"]), 0, "{down}");
        assert_eq!(read(env.path("f")), b"<1>one\n");
    };

    a_sender_that_never_listens_holds_nobody_up: |sshd| {
        let env = Env::new();
        let up = collector(&env, sshd, &[]);
        let mut deaf = Relp::connect(up.port());
        deaf.send("open", common::relp::OFFERS);
        // The answers are far more than the buffers of a connection hold.
        let all: String = (2..600_002).map(|n| frame(n, "syslog", "")).collect();
        deaf.write(&all);
        let mut other = Relp::open(up.port());
        other.send("syslog", "<1>other");
        other.hear_acks([2]);
        env.wait_collector("c", "has stored all", |c| number(&c["streams"][0]["records"]) == 600_001);
        drop((deaf, other));
        env.down("c");
    };
}

#[test]
fn an_acknowledged_message_is_synced_where_that_is_asked_for() {
    let env = Env::new();
    let up = collector(&env, None, &["--sync", "always"]);
    let mut sender = Relp::open(up.port());
    for n in 2..50 {
        sender.send("syslog", "<1>message");
        sender.hear_acks([n]);
        let ledger = &env.stream("c")["ledger"];
        assert_eq!(number(&ledger["synced"]), 10 * u64::from(n - 1), "{ledger}");
    }
    drop(sender);
    env.down("c");
}

#[test]
fn a_window_that_is_wider_than_the_queue_is_stored_and_acknowledged() {
    let env = Env::new();
    let up = collector(&env, None, &[]);
    let mut sender = Relp::open(up.port());
    let long = "x".repeat(200_000);
    let count = u32::try_from(QUEUE / 200_000 + 20).unwrap();
    for _ in 0..count {
        sender.send("syslog", &long);
    }
    sender.hear_acks(2..count + 2);
    drop(sender);
    env.down("c");
    assert_eq!(read(env.path("f")).len() as u64, u64::from(count) * 200_001);
}

/// Messages that rsyslogd sends before it waits for acknowledgements. librelp corks the connection while it has more to send:
/// what is less than a packet of the loopback interface (64 KiB) leaves after 200 ms.
const WINDOW: usize = 2000;

/// What rsyslogd is told.
fn omrelp(port: u16) -> String {
    format!(
        "action(type=\"omrelp\" target=\"127.0.0.1\" port=\"{port}\" template=\"RSYSLOG_TraditionalForwardFormat\" \
         windowSize=\"{WINDOW}\" action.resumeRetryCount=\"-1\" action.resumeInterval=\"1\")"
    )
}

#[test]
fn a_real_rsyslogd_is_acknowledged() {
    require!("sshd", "rsyslogd", "omrelp.so");
    let (env, sshd) = (Env::new(), Sshd::start());
    let up = collector(&env, Some(&sshd), &["--sync", "always"]);
    let rsyslog = Rsyslog::start(&env, "module(load=\"omrelp\")", &omrelp(up.port()));
    rsyslog.log(0..5000);
    let seen = wait_for_numbers(&env.path("f"), 5000);
    assert!(seen.values().all(|times| *times == 1), "nothing was cut, and something came twice");
    // It says `close` when it ends, and waits for the answer.
    drop(rsyslog);
    let down = env.run(&["down", "c", "--json", "--now"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
}

#[test]
fn a_real_rsyslogd_that_is_quiet_does_not_hold_up_the_end_and_comes_back() {
    require!("sshd", "rsyslogd", "omrelp.so");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let port = free_port();
    let (text, out) = (port.to_string(), env.arg("f"));
    let args = ["--remote-port", &text, "--out", &out, "--name", "c", "--framing", "relp", "--drain-timeout", "10min"];
    env.up(&args);
    let rsyslog = Rsyslog::start(&env, "module(load=\"omrelp\")", &omrelp(port));
    let each = 3000;
    for round in 0..3 {
        rsyslog.log(round * each..(round + 1) * each);
        let seen = wait_for_numbers(&env.path("f"), (round + 1) * each);
        assert!(seen.values().all(|times| *times == 1), "round {round}: something came twice");
        env.down("c");
        env.up(&args);
    }
    rsyslog.log(3 * each..4 * each);
    wait_for_numbers(&env.path("f"), 4 * each);
    drop(rsyslog);
    env.run(&["down", "c", "--now"]).ok();
}

/// The helper on the jump host carries answers back, too.
#[test]
fn senders_behind_a_relay_are_acknowledged() {
    require!("sshd", "rsyslogd", "omrelp.so");
    for interpreter in ["python3", "perl"] {
        let programs = common::relay::Programs::with(&[interpreter]);
        let sshd = Sshd::with_lines(&["GatewayPorts no", &programs.line()]);
        let env = Env::new();
        env.trust(&sshd);
        let (port, out) = (free_port(), env.arg("f"));
        let up = env.up(&[
            "--remote-port",
            &port.to_string(),
            "--out",
            &out,
            "--name",
            "c",
            "--framing",
            "relp",
            "--relay",
            "--drain-timeout",
            "10min",
        ]);
        let mut sender = Relp::open(up.port());
        let all: String = (2..20_002).map(|n| frame(n, "syslog", &format!("<1>{n}"))).collect();
        sender.write(all);
        sender.hear_acks(2..20_002);
        sender.next = 20_002;
        // Acknowledged after the end of its stream, too.
        sender.send("syslog", "<1>last");
        sender.send("close", "");
        sender.shut();
        sender.hear_acks([20_002]);
        assert_eq!(sender.hear(), Some((20_003, "rsp".into(), String::new())));
        assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())));
        assert_eq!(sender.hear(), None);
        std::fs::remove_file(env.path("f")).unwrap();
        env.run(&["rotate", "c"]).ok();
        let rsyslog = Rsyslog::start(&env, "module(load=\"omrelp\")", &omrelp(port));
        rsyslog.log(0..5000);
        let seen = wait_for_numbers(&env.path("f"), 5000);
        assert!(seen.values().all(|times| *times == 1));
        // Quiet, it is told to go.
        env.down("c");
        drop(rsyslog);
    }
}

#[test]
fn a_frame_that_repeats_what_another_session_sent_is_stored_and_acknowledged() {
    let env = Env::new();
    let up = collector(&env, None, &[]);
    // A sender that was cut in the middle of its window comes back: half a frame first, all of it again then.
    let mut cut = Relp::open(up.port());
    cut.send("syslog", "<1>a");
    cut.write("3 syslog 4 <1>");
    cut.hear_acks([2]);
    drop(cut);
    let mut back = Relp::open(up.port());
    back.send("syslog", "<1>a");
    back.send("syslog", "<1>b");
    back.hear_acks([2, 3]);
    // Out of the window: a number that leaves some out.
    back.write(frame(200, "syslog", "<1>c"));
    assert_eq!(back.hear(), Some((0, "serverclose".into(), String::new())));
    // A second `open` in a session, and numbers that are none.
    for bytes in
        [frame(2, "open", ""), "4294967297 syslog 1 x\n".into(), "-2 syslog 1 x\n".into(), "0 syslog 1 x\n".into()]
    {
        let mut sender = Relp::open(up.port());
        sender.write(&bytes);
        assert_eq!(sender.hear(), Some((0, "serverclose".into(), String::new())), "{bytes:?}");
    }
    env.wait_collector("c", "has no sender", |c| number(&c["streams"][0]["senders"]["open"]) == 0);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(read(env.path("f")), b"<1>a\n<1>a\n<1>b\n");
}

#[test]
fn a_connection_that_is_killed_again_and_again_loses_no_message() {
    require!("sshd", "rsyslogd", "omrelp.so");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let args = ["--remote-port", &port.to_string(), "--out", &env.arg("f"), "--name", "c", "--framing", "relp"];
    let mut up = env.up(&args);
    let rsyslog = Rsyslog::start(&env, "module(load=\"omrelp\")", &omrelp(port));
    let (rounds, each) = (8, 10_000);
    let mut killed = 0;
    for round in 0..rounds {
        let before = out.metadata().unwrap().len();
        std::thread::scope(|scope| {
            scope.spawn(|| rsyslog.log(round * each..(round + 1) * each));
            // In the middle of it.
            wait_until("the file grows", LATER, || (out.metadata().unwrap().len() > before).then_some(()));
            if round % 2 == 0 {
                sshd.kill_sessions();
            } else {
                procs::kill(up.pid);
            }
        });
        if round % 2 == 0 {
            env.wait_collector("c", "is back", |c| c["state"] == "up" && number(&c["reconnects"]) > 0);
        } else {
            killed += 1;
            wait_until("the collector is gone", SOON, || (!procs::alive(up.pid)).then_some(()));
            wait_until("the jump host has noticed", SOON, || (!listening(port)).then_some(()));
            up = env.up(&args);
        }
    }
    let seen = wait_for_numbers(&out, rounds * each);
    let doubles: usize = seen.values().map(|times| times - 1).sum();
    let (_, others) = numbers(&out);
    eprintln!("{} messages, {doubles} doubles, {} half lines", seen.len(), others.len());
    // What a killed collector leaves half is the beginning of a message, on a line of its own.
    assert!(others.len() <= killed && others.iter().all(|line| "<13>".starts_with(line) || line.starts_with("<13>")));
    // librelp repeats what it has no answer for: at most its window at the end of a connection.
    assert!(doubles <= rounds * WINDOW, "{doubles} doubles");
    drop(rsyslog);
    env.run(&["down", "c", "--now"]).ok();
}
