//! Several outputs for a stream, and outputs that are no files: the first one is the stream's, the others never hold it up.

mod common;

use std::net::{TcpListener, UdpSocket};
use std::path::Path;
use std::time::{Duration, Instant};

use common::procs;
use common::senders::{check_order, numbered};
use common::snapshot::{assert_settled, number, sum};
use common::{
    Daemon, Env, SOON, Sender, check_flood, find_program, flood, free_port, read, read_text, send, wait_until,
};
use serde_json::Value;

/// Lines of sender 1 with the numbers `from..to`.
fn lines(from: usize, to: usize) -> String {
    (from..to).map(|n| numbered(1, n)).collect()
}

/// Programs other than reclog whose command line names something in the folder of `env`.
fn strangers(env: &Env) -> Vec<String> {
    let root = env.path("").to_string_lossy().trim_end_matches('/').to_owned();
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let commands = all.filter_map(|entry| {
        entry.file_name().to_str()?.parse::<u32>().ok()?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    let reclog = common::env::binary().to_string_lossy().into_owned();
    commands.filter(|line| line.contains(&root) && !line.starts_with(&reclog)).collect()
}

#[track_caller]
fn wait_no_strangers(env: &Env) {
    wait_until("no command is left", SOON, || strangers(env).is_empty().then_some(()));
}

/// How many lines a file has, as long as there is one.
fn count(path: &Path) -> usize {
    std::fs::read(path).map_or(0, |bytes| bytes.split(|b| *b == b'\n').count() - 1)
}

#[track_caller]
fn wait_lines(path: &Path, lines: usize) {
    let what = format!("{} has {lines} lines", path.display());
    let there = || std::fs::read(path).map_or_else(|e| e.to_string(), |all| String::from_utf8_lossy(&all).into_owned());
    let begun = Instant::now();
    wait_until(&what, SOON, || {
        let late = begun.elapsed() + Duration::from_secs(1) > SOON;
        assert!(!late || count(path) >= lines, "{what}, it has {}: {:.2000}", count(path), there());
        (count(path) >= lines).then_some(())
    });
}

/// `down --json`, which must succeed.
#[track_caller]
fn down(env: &Env) -> Value {
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    env.assert_nothing_left();
    down
}

#[test]
fn two_files_hold_the_same_and_both_are_locked_shown_and_put_away() {
    let env = Env::new();
    let (a, b) = (env.arg("a"), env.arg("b"));
    let collector = env.listen(&["--out", &a, "--out", &b, "--name", "c"]);
    flood(collector.port(), 5, 200);
    env.run(&["listen", "127.0.0.1:0", "--out", &b, "--name", "d"]).fails(1).says("\"c\"");
    wait_lines(&env.path("b"), 1000);
    env.run(&["rotate", "c"]).ok();
    assert_eq!((read(&a).len(), read(&b).len()), (0, 0), "both were put away");
    send(collector.port(), lines(0, 10));
    wait_lines(&env.path("b"), 10);
    let stream = env.stream("c");
    let outputs = stream["outputs"].as_array().unwrap();
    for (output, path) in outputs.iter().zip([&a, &b]) {
        assert_eq!((output["path"].as_str(), number(&output["rotations"])), (Some(path.as_str()), 1), "{stream}");
        assert_eq!(number(&output["bytes"]), read(path).len() as u64, "{stream}");
    }
    assert_eq!((outputs[0].get("lost"), &outputs[1]["lost"]), (None, &0.into()), "{stream}");
    env.run(&["status"]).ok().prints(&b);
    let ledger = &down(&env)["streams"][0]["ledger"];
    assert_eq!((number(&ledger["received"]), number(&ledger["pending"])), (number(&ledger["stored"]), 0));
    assert_eq!(read_text(&a), lines(0, 10));
    assert_eq!(read(&a), read(&b));
    let archive = |name: &str| {
        let all = env.path("").read_dir().unwrap().flatten().map(|e| e.path());
        read(all.into_iter().find(|path| path.to_string_lossy().contains(&format!("/{name}.20"))).expect("an archive"))
    };
    assert_eq!(archive("a"), archive("b"));
}

#[test]
fn a_second_file_on_a_full_disk_loses_counted_records_and_nobody_waits() {
    let env = Env::new();
    let disk = disk!(env, "4m");
    let (main, side) = (env.path("f"), env.path("disk/g"));
    let collector =
        env.listen(&["--out", &env.arg("f"), "--out", &env.arg("disk/g"), "--name", "c", "--min-free", "0"]);
    send(collector.port(), lines(0, 1));
    wait_lines(&side, 1);
    disk.fill(0);
    // More than the disk, the queue and the network together hold.
    let sent = flood(collector.port(), 20, 20_000);
    let all = env.wait_stored("c", sent + lines(0, 1).len() as u64);
    assert_eq!(all["state"], "up", "{all}");
    let health = all["health"].to_string();
    assert!(health.contains("disk/g") && health.contains("lost") && health.contains("nobody waits"), "{health}");
    let lost = |c: &Value| number(&c["streams"][0]["outputs"][1]["lost"]);
    let before = lost(&all);
    assert!(before > 0, "{all}");
    env.run(&["status", "c"]).ok().prints("records lost");
    disk.free();
    // 8 MiB of the queue do not fit: what does is whole.
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_settled(stream, &main);
    let lost = number(&stream["outputs"][1]["lost"]);
    // The disk may end between a line and its LF.
    let delivered = read(&side).split_inclusive(|b| *b == b'\n').filter(|line| line.ends_with(b"$\n")).count() as u64;
    assert_eq!(lost + delivered, number(&stream["records"]), "each is lost or there: {down}");
    assert!(down["notes"].to_string().contains("lost to"), "{down}");
    assert!(lost >= before);
    let audit = env.run(&["audit", "c", "--event", "warn"]).ok();
    assert_eq!(audit.stdout.matches("does not keep up").count(), 1, "one warning, not one a record: {}", audit.stdout);
}

#[test]
fn a_command_gets_every_record_and_is_waited_for_at_the_end() {
    let env = Env::new();
    let (got, over) = (env.path("got"), env.path("over"));
    let command = format!("exec:cat >{}; sleep 0.3; echo over >{}", got.display(), over.display());
    let collector = env.listen(&["--out", &command, "--name", "c"]);
    let sent = flood(collector.port(), 8, 500);
    let down = down(&env);
    assert_eq!(read_text(&over), "over\n", "it had its time");
    check_flood(&got, 8, 500);
    let stream = &down["streams"][0];
    let ledger = &stream["ledger"];
    assert_eq!((number(&ledger["stored"]), number(&ledger["pending"]), sum(&ledger["discarded"])), (sent, 0, 0));
    assert_eq!(number(&ledger["synced"]), 0, "a pipe is no disk");
    assert_eq!(stream["outputs"][0]["path"], command.as_str());
    wait_no_strangers(&env);
}

#[test]
fn a_command_that_ends_is_begun_anew_with_what_it_had_not_read() {
    let env = Env::new();
    let got = env.path("got");
    // It reads byte by byte, as the shell does, and no more than a hundred lines.
    let command = format!(
        "exec:i=0; while [ $i -lt 100 ] && read -r line; do echo \"$line\" >>{}; i=$((i+1)); done",
        got.display()
    );
    let collector = env.listen(&["--out", &command, "--name", "c"]);
    send(collector.port(), lines(0, 350));
    wait_lines(&got, 350);
    send(collector.port(), lines(350, 420));
    down(&env);
    assert_eq!(check_order(&read_text(&got))[&1], 420, "each once, in order");
}

#[test]
fn a_command_that_fails_is_a_stall_and_loses_nothing() {
    let env = Env::new();
    let (got, good) = (env.path("got"), env.path("good"));
    let command =
        format!("exec:echo no such thing >&2; [ -e {} ] && exec cat >>{}; exit 7", good.display(), got.display());
    let collector = env.listen(&["--out", &command, "--name", "c"]);
    send(collector.port(), lines(0, 50));
    let stalled = env.wait_state("c", "stalled");
    assert!(stalled["health"].to_string().contains("ended with exit code 7; senders wait"), "{stalled}");
    common::wait_for_text(env.path("state/c/collector.log"), "the command says: no such thing");
    std::fs::write(&good, "").unwrap();
    wait_lines(&got, 50);
    env.wait_state("c", "up");
    down(&env);
    assert_eq!(check_order(&read_text(&got))[&1], 50);
}

/// A command that reads nothing, in a group with a child that ignores polite signals.
fn deaf(env: &Env) -> String {
    format!("exec:trap '' TERM; sh -c \"trap '' TERM; sleep 1000; : {}\" & sleep 1000; wait", env.path("x").display())
}

#[test]
fn a_first_command_that_never_reads_is_a_stall_and_ends_with_down() {
    let env = Env::new();
    let collector = env.listen(&["--out", &deaf(&env), "--name", "c", "--drain-timeout", "1s"]);
    // More than a pipe holds.
    send(collector.port(), lines(0, 5_000));
    let sent = Instant::now();
    let stalled = env.wait_state("c", "stalled");
    assert!(sent.elapsed() < Duration::from_secs(20), "{:?}", sent.elapsed());
    assert!(stalled["health"].to_string().contains("senders wait"), "{stalled}");
    assert!(!strangers(&env).is_empty(), "it runs");
    let run = env.run(&["down", "c", "--json"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let down = run.last_event();
    wait_no_strangers(&env);
    env.assert_nothing_left();
    // What the pipe did not take is kept.
    let stream = &down["streams"][0];
    let ledger = &stream["ledger"];
    assert_eq!(number(&ledger["received"]), number(&ledger["stored"]) + sum(&ledger["discarded"]), "{down}");
    assert!(number(&stream["lost"]) > 0 && down.to_string().contains("was stopped"), "{down}");
    assert!(down.to_string().contains("records were not read: exec:"), "{down}");
    let rescue = read_text(stream["rescue"].as_str().unwrap());
    assert_eq!(rescue.len() as u64, number(&stream["lost"]));
    assert!(lines(0, 5_000).ends_with(&rescue), "whole records, and the last ones");
}

#[test]
fn a_second_command_that_never_reads_costs_the_first_output_nothing() {
    let env = Env::new();
    let args = ["--out", &env.arg("f"), "--out", &deaf(&env), "--name", "c", "--drain-timeout", "1s"];
    let collector = env.listen(&args);
    let sent = flood(collector.port(), 20, 12_000);
    env.wait_stored("c", sent);
    let all = env.wait_collector("c", "says that it takes nothing", |c| {
        c["health"].to_string().contains("has not taken a byte for 1 s; nobody waits for it")
    });
    assert_eq!(all["state"], "up", "{all}");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    wait_no_strangers(&env);
    check_flood(&env.path("f"), 20, 12_000);
    // It has read nothing.
    assert_eq!(number(&down["streams"][0]["outputs"][1]["lost"]), number(&down["streams"][0]["records"]), "{down}");
    assert!(down["notes"].to_string().contains("240000 records were lost to exec:"), "{down}");
}

#[test]
fn a_command_sees_the_end_of_its_input_when_the_collector_is_killed() {
    let env = Env::new();
    let got = env.path("got");
    let command = format!("exec:cat >>{0}; echo over >>{0}", got.display());
    let collector = env.listen(&["--out", &command, "--name", "c"]);
    send(collector.port(), "one\n");
    wait_lines(&got, 1);
    procs::kill(collector.pid);
    common::wait_for_text(&got, "one\nover\n");
    wait_no_strangers(&env);
}

#[test]
fn a_command_gets_nothing_of_ours_but_records() {
    let env = Env::new();
    let got = env.path("got");
    let command = format!("exec:ls -l /proc/self/fd >{0}; env >>{0}; exec cat >>{0}", got.display());
    let args = ["listen", "127.0.0.1:0", "--out", &command, "--name", "c", "--json"];
    let mut up = env.reclog(&args);
    let collector = env.started(common::Bg::spawn(std::mem::replace(&mut up, env.reclog(&[]))).wait());
    send(collector.port(), "one\n");
    let text = common::wait_for_text(&got, "one\n");
    let descriptors = text.lines().filter(|line| line.contains(" -> ") && !line.contains("/proc/")).count();
    assert_eq!(descriptors, 3, "input, output and errors: {text}");
    down(&env);
}

#[test]
fn standard_output_has_whole_records_and_nothing_else_and_head_ends_it() {
    let env = Env::new();
    let port = free_port();
    let reclog = common::env::binary();
    // What `head` prints is the pipe's; the exit code is that of reclog.
    let script = format!(
        "{{ {} listen 127.0.0.1:{port} --foreground --out - --out {} --name c; echo $? >{}; }} | head -n 3",
        reclog.display(),
        env.arg("f"),
        env.arg("code")
    );
    let mut shell = env.command("sh");
    shell.args(["-c", &script]);
    let piped = common::Bg::spawn(shell);
    wait_until("it listens", SOON, || common::listening(port).then_some(()));
    let mut sender = Sender::open(port);
    sender.write(lines(0, 3));
    // Nobody is told that nobody reads before something more is written.
    let over = std::sync::atomic::AtomicBool::new(false);
    let more = std::thread::scope(|scope| {
        let _ends = common::senders::Over(&over);
        let more = scope.spawn(|| common::senders::pour(port, 2, &over));
        let run = piped.wait();
        assert_eq!(run.stdout, lines(0, 3));
        assert!(
            run.stderr.contains("reclog down c") && run.stderr.contains("nobody reads it any more"),
            "{}",
            run.stderr
        );
        wait_until("the exit code is there", SOON, || env.path("code").exists().then_some(()));
        wait_until("it is told", SOON, || (!read_text(env.path("code")).is_empty()).then_some(()));
        assert_eq!(read_text(env.path("code")), "1\n");
        over.store(true, std::sync::atomic::Ordering::Relaxed);
        more.join().unwrap()
    });
    assert!(more > 0);
    assert!(read_text(env.path("f")).starts_with(&lines(0, 3)), "the second output has them, too");
    env.assert_nothing_left();
}

#[test]
fn a_second_output_that_nobody_reads_any_more_counts_what_it_does_not_get_at_once() {
    let env = Env::new();
    let port = free_port();
    let bind = format!("127.0.0.1:{port}");
    let mut command =
        env.reclog(&["listen", &bind, "--foreground", "--out", &env.arg("f"), "--out", "-", "--name", "c"]);
    let mut child = command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null()).spawn().unwrap();
    wait_until("it listens", SOON, || common::listening(port).then_some(()));
    drop(child.stdout.take());
    send(port, lines(0, 10));
    let over = env.wait_collector("c", "says so", |c| c["health"].to_string().contains("nobody reads it any more"));
    assert_eq!(over["state"], "up", "nobody waits for it: {over}");
    send(port, lines(10, 200));
    let lost = |c: &Value| number(&c["streams"][0]["outputs"][1]["lost"]);
    let all = env.wait_collector("c", "counts every record", |c| lost(c) == 200);
    assert!(all["health"].to_string().contains("nobody reads it any more"), "still: {all}");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(number(&down["streams"][0]["outputs"][1]["lost"]), 200, "{down}");
    assert!(down["notes"].to_string().contains("200 records were lost to -"), "{down}");
    child.wait().unwrap();
    assert_eq!(check_order(&read_text(env.path("f")))[&1], 200);
}

#[test]
fn a_second_command_that_hangs_or_fails_holds_up_no_down() {
    for (second, said) in
        [("sleep 1000", "did not end by itself and was stopped"), ("exit 1", "lost to"), ("read x; exit 1", "lost to")]
    {
        let env = Env::new();
        let second = format!("exec:{second}; : {}", env.arg("x"));
        let args = ["--out", &env.arg("f"), "--out", &second, "--name", "c", "--drain-timeout", "60s"];
        let collector = env.listen(&args);
        send(collector.port(), lines(0, 10));
        env.wait_stored("c", lines(0, 10).len() as u64);
        let begun = Instant::now();
        let down = down(&env);
        assert!(begun.elapsed() < Duration::from_secs(10), "{second}: {:?}", begun.elapsed());
        assert!(down["notes"].to_string().contains(said), "{second}: {down}");
        assert!(number(&down["streams"][0]["outputs"][1]["lost"]) > 0, "{second}: {down}");
        wait_no_strangers(&env);
    }
}

#[test]
fn a_record_that_is_too_long_for_the_first_output_is_lost_in_every_account() {
    let env = Env::new();
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    let out = format!("syslog+udp://{}", daemon.local_addr().unwrap());
    let collector = env.listen(&["--out", &out, "--name", "c"]);
    let long = format!("{}\n", "x".repeat(70_000));
    send(collector.port(), format!("one\n{long}two\n"));
    let live = env.wait_collector("c", "tells it", |c| c["health"].to_string().contains("1 record was too long for"));
    assert_eq!(live["streams"][0]["outputs"][0]["lost"], 1, "{live}");
    env.wait_stored("c", 8);
    let run = env.run(&["down", "c", "--json"]);
    assert_eq!(run.status.code(), Some(1), "{run:?}");
    let down = run.last_event();
    let stream = &down["streams"][0];
    assert_eq!((number(&down["lost"]), number(&stream["lost"])), (long.len() as u64, long.len() as u64), "{down}");
    assert_eq!(number(&stream["ledger"]["discarded"]["lost"]), long.len() as u64, "{down}");
    assert!(down["trouble"].to_string().contains("1 record was too long for"), "{down}");
    env.run(&["audit", "c", "--event", "stop"]).ok().prints("70,001 bytes lost");
    env.assert_nothing_left();
}

#[test]
fn two_names_of_one_new_file_are_two_outputs_of_this_collector() {
    let env = Env::new();
    std::os::unix::fs::symlink(env.path("x"), env.path("lnk")).unwrap();
    let args = ["listen", "127.0.0.1:0", "--out", &env.arg("x"), "--out", &env.arg("lnk"), "--name", "c"];
    env.run(&args).fails(2).hinted().says("are the same file");
    assert!(!env.path("x").exists());
}

#[test]
fn one_file_that_cannot_be_put_away_hides_no_other() {
    let env = Env::new();
    for name in ["a", "b"] {
        std::fs::create_dir(env.path(name)).unwrap();
    }
    let collector = env.listen(&["--out", &env.arg("a/f"), "--out", &env.arg("b/f"), "--name", "c"]);
    send(collector.port(), "one\n");
    wait_lines(&env.path("b/f"), 1);
    wait_lines(&env.path("a/f"), 1);
    std::fs::create_dir(env.path("a/f.rotating")).unwrap();
    let run = env.run(&["rotate", "c"]).fails(1).says("cannot rotate").says(env.arg("a/f"));
    assert!(run.stdout.contains(&format!("{} is now", env.arg("b/f"))), "{}", run.stdout);
    assert_eq!(read(env.path("b/f")), b"");
}

/// A real rsyslogd with these inputs, which writes priority, host, app and message of everything into `log`.
fn rsyslogd(env: &Env, inputs: &str) -> Daemon {
    let folder = env.path("rsyslog");
    let _ = std::fs::create_dir(&folder);
    let config = format!(
        "global(workDirectory=\"{}\" maxMessageSize=\"64k\")\n{inputs}\n\
         template(name=\"all\" type=\"string\" string=\"%pri% %hostname% %app-name% %msg%\\n\")\n\
         action(type=\"omfile\" file=\"{}\" template=\"all\" asyncWriting=\"off\" flushOnTXEnd=\"on\")\n",
        folder.display(),
        env.arg("log"),
    );
    let config = env.write("rsyslog.conf", config);
    let program = find_program("rsyslogd").expect("rsyslogd");
    let check = env.command(&program).args(["-N1", "-f"]).arg(&config).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
    let mut daemon = env.command(&program);
    Daemon::start(daemon.args(["-n", "-f"]).arg(&config).arg("-i").arg(env.path("rsyslog.pid")))
}

fn udp_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// What rsyslogd makes of the first two records, the head of the first one aside.
const PLAIN: &str = "plain text\n34 there su as it came\n";

#[test]
fn a_syslog_daemon_gets_records_over_udp_tcp_and_its_socket() {
    require!("rsyslogd");
    for kind in ["udp", "tcp", "unix"] {
        let env = Env::new();
        let (port, socket) = (if kind == "udp" { udp_port() } else { free_port() }, env.path("devlog"));
        let inputs = match kind {
            "unix" => format!(
                "module(load=\"imuxsock\" SysSock.Use=\"off\")\ninput(type=\"imuxsock\" Socket=\"{}\" CreatePath=\"on\" \
                 RateLimit.Interval=\"0\" UseSpecialParser=\"off\" ParseHostname=\"on\")",
                socket.display()
            ),
            // Datagrams that come while it does something else would be lost.
            "udp" => format!(
                "module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\" rcvbufSize=\"4m\")"
            ),
            _ => format!("module(load=\"im{kind}\")\ninput(type=\"im{kind}\" address=\"127.0.0.1\" port=\"{port}\")"),
        };
        let out = match kind {
            "unix" => format!("syslog+unix://{}", socket.display()),
            _ => format!("syslog+{kind}://127.0.0.1:{port}"),
        };
        let _daemon = rsyslogd(&env, &inputs);
        wait_until("rsyslogd listens", SOON, || match kind {
            "udp" => UdpSocket::bind(("127.0.0.1", port)).is_err().then_some(()),
            "tcp" => common::listening(port).then_some(()),
            _ => socket.exists().then_some(()),
        });
        let collector = env.listen(&["--out", &out, "--name", "c"]);
        send(collector.port(), "plain text\n<34>1 2026-11-21T22:14:15Z there su 7 - - as it came\n");
        send(collector.port(), lines(0, 500));
        wait_lines(&env.path("log"), 502);
        let text = read_text(env.path("log"));
        assert!(text.replace("13 127.0.0.1 main ", "").starts_with(PLAIN), "{kind}: {text:.200}");
        assert!(text.starts_with("13 127.0.0.1 main "), "{kind}: {text:.200}");
        assert_eq!(check_order(&text.replace("13 127.0.0.1 main ", "")[PLAIN.len()..])[&1], 500, "{kind}");
        let down = down(&env);
        let ledger = &down["streams"][0]["ledger"];
        assert_eq!(number(&ledger["received"]), number(&ledger["stored"]), "{kind}: {down}");
    }
}

#[test]
fn a_record_that_no_datagram_holds_is_lost_alone_and_counted() {
    let env = Env::new();
    let daemon = UdpSocket::bind("127.0.0.1:0").unwrap();
    daemon.set_read_timeout(Some(SOON)).unwrap();
    let out = format!("syslog+udp://{}", daemon.local_addr().unwrap());
    let collector = env.listen(&["--out", &env.arg("f"), "--out", &out, "--name", "c"]);
    let long = "x".repeat(70_000) + "\n";
    send(collector.port(), lines(0, 1) + &long + &lines(1, 2));
    let mut buffer = vec![0; 70_000];
    for n in 0..2 {
        let length = daemon.recv(&mut buffer).unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.ends_with(numbered(1, n).trim_end()), "{text}");
    }
    let down = down(&env);
    assert_eq!(number(&down["streams"][0]["outputs"][1]["lost"]), 1, "{down}");
    assert!(env.run(&["audit", "c", "--event", "warn"]).ok().stdout.contains("too long"));
}

#[test]
fn a_daemon_that_is_away_delays_a_first_output_and_takes_the_rest_when_it_is_back() {
    require!("rsyslogd");
    for kind in ["udp", "tcp"] {
        let env = Env::new();
        let port = if kind == "udp" { udp_port() } else { free_port() };
        let out = format!("syslog+{kind}://127.0.0.1:{port}");
        let collector = env.listen(&["--out", &out, "--name", "c"]);
        send(collector.port(), lines(0, 100));
        let stalled = env.wait_state("c", "stalled");
        assert!(stalled["health"].to_string().contains("Connection refused"), "{stalled}");
        let input =
            format!("module(load=\"im{kind}\")\ninput(type=\"im{kind}\" address=\"127.0.0.1\" port=\"{port}\")");
        let _daemon = rsyslogd(&env, &input);
        wait_lines(&env.path("log"), 100);
        env.wait_state("c", "up");
        down(&env);
        let text = read_text(env.path("log"));
        assert_eq!(check_order(&text.replace("13 127.0.0.1 main ", ""))[&1], 100, "{kind}: none is missing");
    }
}

#[test]
fn a_record_that_a_broken_connection_took_half_of_is_sent_whole() {
    let env = Env::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = format!("syslog+tcp://{}", listener.local_addr().unwrap());
    let collector = env.listen(&["--out", &env.arg("f"), "--out", &out, "--name", "c"]);
    send(collector.port(), lines(0, 1));
    let mut first = common::accept(&listener);
    first.set_read_timeout(Some(SOON)).unwrap();
    let mut seen = [0; 20];
    std::io::Read::read_exact(&mut first, &mut seen).unwrap();
    let text = String::from_utf8_lossy(&seen);
    let (count, message) = text.split_once(' ').unwrap();
    assert!(count.parse::<usize>().unwrap() > 60 && message.starts_with("<13>1 2"), "{text}");
    drop(first);
    let health = env.wait_collector("c", "says so", |c| c["health"].to_string().contains("nobody waits for it"));
    assert_eq!(health["state"], "up");
    let mut again = common::accept(&listener);
    send(collector.port(), lines(1, 3));
    again.set_read_timeout(Some(SOON)).unwrap();
    let mut all = String::new();
    let mut buffer = [0; 4096];
    while all.matches('$').count() < 2 {
        let n = std::io::Read::read(&mut again, &mut buffer).unwrap();
        assert!(n > 0, "{all}");
        all.push_str(&String::from_utf8_lossy(&buffer[..n]));
    }
    // Each message is as long as its count says.
    let mut rest = all.as_str();
    while let Some((count, more)) = rest.split_once(' ') {
        let (message, next) = more.split_at(count.parse().unwrap());
        assert!(message.starts_with("<13>1 ") && message.ends_with('$'), "{message}");
        rest = next;
    }
    drop(again);
    env.down("c");
    assert_eq!(read_text(env.path("f")), lines(0, 3));
}
