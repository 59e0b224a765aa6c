//! `reclog send`: what was read arrives; acknowledged, it arrives whatever is killed.

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use common::cutter::Cutter;
use common::senders::numbered;
use common::snapshot::{assert_settled, number};
use common::{
    Bg, Collector, Env, LATER, SOON, Sshd, accept, free_port, listening, procs, read, read_text, wait_for_text,
    wait_until,
};
use rustix::process::Signal;

/// Records that a cut may double: the window of a sender.
const WINDOW: usize = 128;

/// A sender with this on its standard input.
fn sender(env: &Env, input: Stdio, args: &[&str]) -> Bg {
    let mut command = env.reclog(&[&["send"], args].concat());
    command.stdin(input);
    Bg::spawn(command)
}

/// A sender whose standard input is a file with this content.
#[track_caller]
fn send_all(env: &Env, content: impl AsRef<[u8]>, args: &[&str]) -> common::Run {
    let file = env.write("input", content);
    sender(env, File::open(file).unwrap().into(), args).wait()
}

/// A program that writes what the test says to its standard output, which is a sender's input.
struct Tap {
    cat: Child,
    pipe: Option<ChildStdin>,
}

impl Tap {
    fn new() -> (Self, Stdio) {
        let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (pipe, out) = (cat.stdin.take(), cat.stdout.take().unwrap());
        (Self { cat, pipe }, out.into())
    }

    #[track_caller]
    fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.pipe.as_mut().unwrap().write_all(bytes.as_ref()).unwrap();
    }

    fn end(&mut self) {
        self.pipe = None;
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.end();
        let _ = self.cat.kill();
        let _ = self.cat.wait();
    }
}

fn lines(range: std::ops::Range<usize>) -> String {
    range.map(|n| numbered(0, n)).collect()
}

/// How often each line stands in the file; every one must be whole. What a collector that was killed left is half a line.
#[track_caller]
fn seen(path: &Path, torn: usize) -> BTreeMap<usize, usize> {
    let (mut seen, mut others) = (BTreeMap::new(), Vec::new());
    for line in read_text(path).lines() {
        let n = line.strip_prefix("s0000 n").and_then(|rest| rest.get(..6)).and_then(|digits| digits.parse().ok());
        match n {
            Some(n) if format!("{line}\n") == numbered(0, n) => *seen.entry(n).or_default() += 1,
            _ => others.push(line.to_owned()),
        }
    }
    assert!(others.len() <= torn, "torn lines: {others:?}");
    seen
}

/// Every line below `count` is there; returns how many came more than once.
#[track_caller]
fn complete(path: &Path, count: usize, torn: usize) -> usize {
    let seen = seen(path, torn);
    let missing: Vec<usize> = (0..count).filter(|n| !seen.contains_key(n)).take(20).collect();
    assert!(missing.is_empty(), "missing: {missing:?}…");
    assert_eq!(seen.len(), count, "lines that nobody sent");
    seen.values().map(|times| times - 1).sum()
}

/// Waits until the file holds line `n`.
#[track_caller]
fn wait_line(path: &Path, n: usize) {
    let line = numbered(0, n);
    wait_until(&format!("{} has line {n}", path.display()), LATER, || {
        std::fs::read_to_string(path).ok()?.contains(&line).then_some(())
    });
}

fn size(path: &Path) -> u64 {
    path.metadata().map_or(0, |meta| meta.len())
}

/// Waits until the file has grown by so many bytes.
#[track_caller]
fn wait_growth(path: &Path, by: u64) {
    let before = size(path);
    wait_until("the file grows", LATER, || (size(path) >= before + by).then_some(()));
}

fn relp(env: &Env) -> Collector {
    env.listen(&["--out", &env.arg("f"), "--name", "c", "--framing", "relp"])
}

fn to(port: u16) -> String {
    format!("127.0.0.1:{port}")
}

#[test]
fn lines_arrive_as_they_are_through_a_jump_host() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let odd = b"one\r\n\n\xff\xfe bytes\0\n\xe2\x9c\x94 text\nno end";
    let all = [odd, &b"\n"[..], lines(0..20_000).as_bytes()].concat();
    let run = send_all(&env, &all, &[&to(up.port())]).ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""), "a sender that does well says nothing");
    let run = send_all(&env, "the last line has no end", &[&to(up.port())]).ok();
    assert_eq!(run.stderr, "");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(number(&down["streams"][0]["senders"]["cut"]), 0);
    assert!(read(env.path("f")) == [&all[..], b"the last line has no end\n"].concat(), "not what was sent");
}

#[test]
fn acknowledged_lines_arrive_as_they_are_and_leave_nothing_in_the_spool() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]);
    let odd = b"one\r\n\n\xff\xfe bytes\0\n\xe2\x9c\x94 text\nno end\n";
    let all = [odd, lines(0..20_000).as_bytes(), b"last"].concat();
    let run = send_all(&env, &all, &[&to(up.port()), "--ack"]).ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), ("", ""));
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(number(&down["streams"][0]["senders"]["cut"]), 0, "it said `close`");
    assert!(read(env.path("f")) == [&all[..], b"\n"].concat(), "not what was sent");
    let spool = env.path("state/send").join(to(up.port()).replace(':', "_"));
    let mut left: Vec<_> = spool.read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["acknowledged", "lock"]);
}

#[test]
fn syslog_messages_are_counted_and_other_lines_stay_lines() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--framing", "syslog"]);
    send_all(&env, "<13>one\nno message\n<14>two\n", &[&to(up.port()), "--framing", "syslog"]).ok();
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(read_text(env.path("f")), "<13>one\nno message\n<14>two\n");
    // Two counts with their spaces, and no line ends behind messages.
    assert_eq!(number(&down["streams"][0]["ledger"]["discarded"]["framing"]), 4, "{down}");
}

#[test]
fn addresses_of_both_families_and_names_are_places() {
    let env = Env::new();
    for (bind, host) in [("[::1]:0", "[::1]"), ("127.0.0.1:0", "localhost")] {
        let listener = TcpListener::bind(bind).unwrap();
        let target = format!("{host}:{}", listener.local_addr().unwrap().port());
        let run = sender(&env, File::open(env.write("input", "hello\n")).unwrap().into(), &[&target]);
        let mut stream = accept(&listener);
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        drop(stream);
        assert_eq!(text, "hello\n");
        run.wait().ok();
    }
}

#[test]
fn the_keyword_comes_first_on_each_connection() {
    let env = Env::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = to(listener.local_addr().unwrap().port());
    let (mut tap, input) = Tap::new();
    let word = env.write("word", "open sesame\r\n");
    let run = sender(&env, input, &[&target, "--keyword-file", word.to_str().unwrap(), "--keep-trying"]);
    let hear = |want: &str| {
        let mut stream = accept(&listener);
        let mut bytes = vec![0; want.len()];
        stream.read_exact(&mut bytes).unwrap();
        assert_eq!(String::from_utf8(bytes).unwrap(), want);
        stream
    };
    tap.write("one\n");
    let stream = hear("open sesame\none\n");
    stream.shutdown(Shutdown::Both).unwrap();
    drop(stream);
    wait_until("the loss is noticed", SOON, || run.stderr().contains("is lost").then_some(()));
    tap.write("two\n");
    let stream = hear("open sesame\ntwo\n");
    tap.end();
    drop(stream);
    // The end may come before or after the loss; either is said.
    let _ = run.wait();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = to(listener.local_addr().unwrap().port());
    // RELP begins behind it, and the environment has it, too.
    let mut command = env.reclog(&["send", &target, "--ack"]);
    command.env("RECLOG_KEYWORD", "sesame");
    let run = Bg::spawn(command);
    let mut stream = accept(&listener);
    let mut bytes = [0; 14];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"sesame\n1 open ");
    drop(stream);
    run.wait().fails(1).hinted().says("cannot send to");
}

#[test]
fn a_keyword_that_has_changed_is_said_without_a_new_start() {
    for (ack, first) in [(false, ""), (true, "1 open ")] {
        let env = Env::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = to(listener.local_addr().unwrap().port());
        let (mut tap, input) = Tap::new();
        let word = env.write("word", "old word\n");
        let mut args = vec![target.as_str(), "--keep-trying", "--keyword-file", word.to_str().unwrap()];
        if ack {
            args.push("--ack");
        }
        let _run = sender(&env, input, &args);
        tap.write("line\n");
        let mut last = None;
        // An empty file is one that is just being written.
        for (now, want) in [("old word\n", "old word\n"), ("new\n", "new\n"), ("", "new\n"), ("newer\r\n", "newer\n")] {
            env.write("word", now);
            // Only now is there a reason to connect anew.
            drop(last.take());
            let mut stream = accept(&listener);
            let mut bytes = vec![0; want.len() + first.len()];
            stream.read_exact(&mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes).unwrap(), format!("{want}{first}"));
            last = Some(stream);
        }
    }
}

#[test]
fn what_is_wrong_is_said_with_what_to_do() {
    let env = Env::new();
    let free = to(free_port());
    for target in ["nowhere", "host:0", "host:99999", "::1:5", "a b:5", "[::1]", ":5"] {
        env.run(&["send", target]).fails(2);
    }
    env.run(&["send", &free]).fails(1).hinted().says("Connection refused");
    env.run(&["send", &free, "--ack"]).fails(1).hinted().says("Connection refused");
    env.run(&["send", "no.such.host.invalid:5"]).fails(1).hinted();
    env.run(&["send", &free, "--spool", "x"]).fails(2).hinted().says("--spool needs --ack");
    env.run(&["send", &free, "--ack", "--framing", "syslog"]).fails(2).hinted();
    env.run(&["send", &free, "--ack", "--spool-size", "many"]).fails(2);
    env.run(&["send", &free, "--follow", "."]).fails(2).hinted().says("cannot follow");
    env.run(&["send", &free, "--follow", "/dev/null"]).fails(2).says("no plain file");
    env.run(&["send", &free, "--keyword-file", "none"]).fails(2).says("cannot read the keyword file");
    let empty = env.write("empty", "\n").display().to_string();
    env.run(&["send", &free, "--keyword-file", &empty]).fails(2).hinted().says("is empty");
    let two = env.write("two", "a\nb\n").display().to_string();
    env.run(&["send", &free, "--keyword-file", &two]).fails(2).hinted().says("more than one line");
    let mut command = env.reclog(&["send", &free]);
    command.env("RECLOG_KEYWORD", "");
    Bg::spawn(command).wait().fails(2).hinted().says("RECLOG_KEYWORD is empty");
    let long = env.write("long", "x".repeat(1025)).display().to_string();
    env.run(&["send", &free, "--keyword-file", &long]).fails(2).says("1024");
    // A port that is no RELP.
    let up = env.listen(&["--out", &env.arg("g"), "--name", "plain"]);
    let (mut tap, input) = Tap::new();
    tap.write("x\n");
    let lines = sender(&env, input, &[&to(up.port()), "--ack"]);
    // Before the collector goes: a sender that comes later is refused, and learns nothing about framings.
    let asked = || std::fs::read_to_string(env.path("g")).is_ok_and(|text| text.contains("relp_version")).then_some(());
    wait_until("the open is in the file as a line", SOON, asked);
    env.down("plain");
    lines.wait().fails(1).hinted().says("--framing relp");
}

#[test]
fn a_spool_has_one_owner_one_target_and_one_sender() {
    let env = Env::new();
    let up = relp(&env);
    let (_tap, input) = Tap::new();
    let spool = env.arg("spool");
    let first = sender(&env, input, &[&to(up.port()), "--ack", "--spool", &spool]);
    wait_until("the first has it", SOON, || env.path("spool/acknowledged").exists().then_some(()));
    env.run(&["send", &to(up.port()), "--ack", "--spool", &spool]).fails(1).hinted().says("another sender uses");
    first.signal(Signal::KILL);
    first.wait();
    env.run(&["send", "127.0.0.1:5", "--ack", "--spool", &spool]).fails(1).hinted().says("not for 127.0.0.1:5");
    std::fs::set_permissions(env.path("spool"), std::fs::Permissions::from_mode(0o777)).unwrap();
    env.run(&["send", &to(up.port()), "--ack", "--spool", &spool]).fails(1).hinted().says("others may write");
    env.down("c");
}

#[test]
fn a_sender_is_told_how_many_connections_were_lost_and_goes_on() {
    let env = Env::new();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&to(listener.local_addr().unwrap().port()), "--keep-trying"]);
    for n in 1..=2 {
        tap.write(format!("{n}\n"));
        let mut stream = accept(&listener);
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        drop(stream);
        wait_until("the loss is said", SOON, || (run.stderr().matches("is lost").count() == n).then_some(()));
    }
    let mut stream = accept(&listener);
    tap.write("3\n");
    tap.end();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert_eq!(text, "3\n");
    drop(stream);
    run.wait().ok().says("2 connections were lost on the way");
}

#[test]
fn every_line_is_stored_though_both_sides_and_the_way_are_killed_in_turns() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let (port, out) = (free_port(), env.path("f"));
    let (text, file) = (port.to_string(), env.arg("f"));
    let args = ["--remote-port", &text, "--out", &file, "--name", "c", "--framing", "relp"];
    let mut up = env.up(&args);
    // All of it is in the spool before the first one is killed: what was read and is not there yet nobody promised.
    let (count, spool) = (250_000, env.arg("spool"));
    let input = env.write("input", lines(0..count));
    let total = size(&input) + 7 * count as u64;
    let send = [&to(port), "--ack", "--spool", &spool, "--keep-trying", "--ack-timeout", "5s"];
    let spooled = || -> u64 {
        let all = env.path("spool").read_dir().into_iter().flatten().flatten();
        all.filter(|entry| entry.path().extension().is_some_and(|e| e == "records"))
            .map(|entry| size(&entry.path()))
            .sum()
    };
    sshd.stop();
    let first = sender(&env, File::open(&input).unwrap().into(), &send);
    wait_until("all is in the spool", LATER, || (spooled() >= total).then_some(()));
    sshd.start_again();
    let mut run = first;
    let (mut cuts, mut torn) = (1, 0);
    for round in 0..9 {
        wait_growth(&out, 200_000);
        cuts += 1;
        match round % 3 {
            0 => {
                procs::kill(run.pid());
                run.wait();
                run = sender(&env, Stdio::null(), &send);
            }
            1 => {
                sshd.kill_sessions();
                env.wait_collector("c", "is back", |c| c["state"] == "up" && number(&c["reconnects"]) > 0);
            }
            _ => {
                procs::kill(up.pid);
                torn += 1;
                wait_until("the collector is gone", SOON, || (!procs::alive(up.pid)).then_some(()));
                wait_until("the jump host has noticed", SOON, || (!listening(port)).then_some(()));
                up = env.up(&args);
            }
        }
    }
    run.wait().ok();
    let doubles = complete(&out, count, torn);
    eprintln!("{count} lines, {cuts} cuts, {doubles} doubles");
    // A connection may also end before the collector is back; each of those doubles nothing.
    assert!(doubles <= cuts * WINDOW, "{doubles} doubles after {cuts} cuts");
    assert_eq!(spooled(), 0);
    env.run(&["down", "c", "--now"]).ok();
}

#[test]
fn a_way_that_dies_without_a_word_is_noticed_by_the_answers_that_do_not_come() {
    let env = Env::new();
    let up = relp(&env);
    let cutter = Cutter::to(up.port());
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&to(cutter.port), "--ack", "--ack-timeout", "1s"]);
    let (rounds, each) = (4, 500);
    for round in 0..rounds {
        tap.write(lines(round * each..(round + 1) * each));
        wait_line(&env.path("f"), (round + 1) * each - 1);
        cutter.cut();
    }
    tap.end();
    wait_until("the loss is noticed", SOON, || run.stderr().contains("no answer in time").then_some(()));
    run.wait().ok();
    cutter.give_up();
    let doubles = complete(&env.path("f"), rounds * each, 0);
    assert!(doubles <= rounds * WINDOW, "{doubles}");
    env.run(&["down", "c", "--now"]).ok();
}

#[test]
fn what_is_not_acknowledged_stays_after_ctrl_c_and_goes_first_next_time() {
    let env = Env::new();
    let target = to(free_port());
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&target, "--ack", "--keep-trying"]);
    wait_until("it tries", SOON, || run.stderr().contains("trying again").then_some(()));
    tap.write("one\ntwo\nhalf");
    let folder = env.path("state/send").join(target.replace(':', "_"));
    wait_until("they are in the spool", SOON, || {
        (size(&folder.join(format!("{:020}.records", 0))) == 22).then_some(())
    });
    run.signal(Signal::INT);
    let run = run.wait();
    // Half a line is not lost either, if it was read.
    let run =
        run.fails(130).matches("interrupted: [23] records are not acknowledged; they stay in .*_[0-9]+ and go first");
    let half = run.stderr.contains("3 records");
    let port: u16 = target.rsplit(':').next().unwrap().parse().unwrap();
    env.started(env.run(&["listen", &to(port), "--json", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]));
    send_all(&env, "three\n", &[&target, "--ack"]).ok().says("records of the last run go first");
    env.down("c");
    assert_eq!(read_text(env.path("f")), if half { "one\ntwo\nhalf\nthree\n" } else { "one\ntwo\nthree\n" });
}

#[test]
fn a_full_disk_under_the_spool_makes_the_input_wait_and_loses_nothing() {
    let env = Env::new();
    let disk = disk!(env, "4m");
    let port = free_port();
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&to(port), "--ack", "--keep-trying", "--spool", &env.arg("disk/spool")]);
    wait_until("it tries", SOON, || run.stderr().contains("trying again").then_some(()));
    disk.fill(100_000);
    let count = 30_000;
    let writer = std::thread::spawn(move || {
        tap.write(lines(0..count));
        tap
    });
    wait_until("it says that the disk is full", SOON, || run.stderr().contains("the input waits").then_some(()));
    assert!(!writer.is_finished(), "more was read than the disk takes");
    disk.free();
    let mut tap = writer.join().unwrap();
    env.started(env.run(&["listen", &to(port), "--json", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]));
    tap.end();
    run.wait().ok().says("the spool takes records again");
    assert_eq!(complete(&env.path("f"), count, 0), 0);
    env.down("c");
}

/// Nobody frees anything: what is acknowledged must make room for the rest.
#[test]
fn a_disk_that_only_the_spool_fills_is_emptied_by_acknowledgements() {
    let env = Env::new();
    let disk = disk!(env, "2m");
    let port = free_port();
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&to(port), "--ack", "--keep-trying", "--spool", &env.arg("disk/spool")]);
    wait_until("it tries", SOON, || run.stderr().contains("trying again").then_some(()));
    disk.fill(600_000);
    let count = 30_000;
    let writer = std::thread::spawn(move || {
        tap.write(lines(0..count));
        tap
    });
    wait_until("it says that the disk is full", SOON, || run.stderr().contains("the input waits").then_some(()));
    assert!(!writer.is_finished(), "more was read than the disk takes");
    env.started(env.run(&["listen", &to(port), "--json", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]));
    let mut tap = writer.join().unwrap();
    tap.end();
    run.wait().ok().says("the spool takes records again");
    assert_eq!(complete(&env.path("f"), count, 0), 0);
    env.down("c");
}

#[test]
fn what_a_full_disk_did_not_take_is_counted_at_the_end() {
    let env = Env::new();
    let disk = disk!(env, "2m");
    let target = to(free_port());
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&target, "--ack", "--keep-trying", "--spool", &env.arg("disk/spool")]);
    wait_until("it tries", SOON, || run.stderr().contains("trying again").then_some(()));
    disk.fill(0);
    tap.write("one\ntwo\n");
    wait_until("it says that the disk is full", SOON, || run.stderr().contains("the input waits").then_some(()));
    run.signal(Signal::INT);
    run.wait().fails(1).says("lost, though read: 2 records; not acknowledged, and kept there: 0 records");
}

#[test]
fn who_is_turned_away_is_told_so() {
    let env = Env::new();
    let word = env.write("word", "sesame\n");
    std::fs::set_permissions(&word, std::fs::Permissions::from_mode(0o600)).unwrap();
    let right = word.display().to_string();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--keyword-file", &right]);
    let wrong = env.write("wrong", "barley\n").display().to_string();
    send_all(&env, "one\n", &[&to(up.port()), "--keyword-file", &wrong]).fails(1).hinted().says("turned away: keyword");
    send_all(&env, "two\n", &[&to(up.port())]).fails(1).hinted().says("turned away: keyword");
    send_all(&env, "three\n", &[&to(up.port()), "--keyword-file", &right]).ok();
    env.down("c");
    assert_eq!(read_text(env.path("f")), "three\n");
}

#[test]
fn a_file_that_is_not_there_yet_is_told() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let run = env.spawn(&["send", &to(up.port()), "--follow", &env.arg("later")]);
    wait_until("it is told", SOON, || run.stderr().contains("later is not there yet; waiting for it").then_some(()));
    run.signal(Signal::INT);
    run.wait().fails(130);
    env.down("c");
}

#[test]
fn a_port_of_relp_is_no_success_for_lines() {
    let env = Env::new();
    let up = relp(&env);
    send_all(&env, "one\n", &[&to(up.port())]).fails(1).hinted().says("that port speaks RELP");
    env.down("c");
}

#[test]
fn a_full_spool_makes_the_input_wait() {
    let env = Env::new();
    let port = free_port();
    let (mut tap, input) = Tap::new();
    let args = [&to(port), "--ack", "--keep-trying", "--spool-size", "100k", "--spool", &env.arg("spool")];
    let run = sender(&env, input, &args);
    let count = 20_000;
    let writer = std::thread::spawn(move || {
        tap.write(lines(0..count));
        tap
    });
    let file = env.path("spool").join(format!("{:020}.records", 0));
    wait_until("the spool is full", SOON, || (size(&file) >= 100_000).then_some(()));
    assert!(!writer.is_finished());
    assert!(size(&file) < 200_000, "{} bytes", size(&file));
    env.started(env.run(&["listen", &to(port), "--json", "--out", &env.arg("f"), "--name", "c", "--framing", "relp"]));
    let mut tap = writer.join().unwrap();
    tap.end();
    run.wait().ok();
    assert_eq!(complete(&env.path("f"), count, 0), 0);
    env.down("c");
}

/// A log that is written to, renamed and truncated, and a sender that is killed meanwhile.
#[test]
fn files_are_followed_over_renames_truncation_and_kills() {
    let env = Env::new();
    let up = relp(&env);
    let (log, out) = (env.path("log"), env.path("f"));
    std::fs::write(&log, "before it began\n").unwrap();
    let (target, path, later) = (to(up.port()), env.arg("log"), env.arg("later"));
    let args = ["send", &target, "--ack", "--follow", &path, "--follow", &later];
    let mut run = env.spawn(&args);
    let store = env.path("state/send").join(target.replace(':', "_")).join("acknowledged");
    wait_until("it follows", SOON, || store.exists().then_some(()));
    env.wait_collector("c", "has the sender", |c| number(&c["streams"][0]["senders"]["open"]) == 1);
    let mut file = File::options().append(true).open(&log).unwrap();
    let (rounds, each, mut kills) = (12, 2000, 0);
    for round in 0..rounds {
        let text = lines(round * each..(round + 1) * each);
        // Not in whole lines.
        for piece in text.as_bytes().chunks(1777) {
            file.write_all(piece).unwrap();
        }
        // Files are told apart by the time of their last bytes: the clock of the file system must have moved on.
        let since = log.metadata().unwrap().modified().unwrap();
        wait_until("the clock moves on", SOON, || {
            let clock = env.write("clock", "").metadata().unwrap().modified().unwrap();
            (clock > since).then_some(())
        });
        match round % 4 {
            0 | 1 => {
                // Renamed while half of it is not read; the writer goes on a while with the old one.
                std::fs::rename(&log, env.path(format!("log.{round}"))).unwrap();
                let mut old =
                    std::mem::replace(&mut file, File::options().append(true).create(true).open(&log).unwrap());
                old.write_all(b"to the old one\n").unwrap();
                if round % 4 == 1 {
                    procs::kill(run.pid());
                    run.wait();
                    kills += 1;
                    run = env.spawn(&args);
                }
            }
            2 => {
                // copytruncate loses what comes between: nothing does.
                wait_line(&out, (round + 1) * each - 1);
                std::fs::copy(&log, env.path("copy")).unwrap();
                file.set_len(0).unwrap();
            }
            _ => {}
        }
    }
    std::fs::write(env.path("later"), "from a file that came later\n").unwrap();
    wait_line(&out, rounds * each - 1);
    wait_for_text(&out, "from a file that came later\n");
    run.signal(Signal::TERM);
    run.wait().ok();
    env.down("c");
    let doubles = complete(&out, rounds * each, rounds * 2 + 1);
    let text = read_text(&out);
    assert!(!text.contains("before it began"), "it begins at the end");
    assert!(text.matches("to the old one\n").count() >= 6, "the rest of a renamed file is read");
    assert!(doubles <= kills * WINDOW, "{doubles} doubles after {kills} kills");
}

#[test]
fn files_are_followed_without_acknowledgement_too() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    std::fs::write(env.path("log"), "old\n").unwrap();
    let run = env.spawn(&["send", &to(up.port()), "--follow", &env.arg("log")]);
    env.wait_collector("c", "has the sender", |c| number(&c["streams"][0]["senders"]["open"]) == 1);
    let mut file = File::options().append(true).open(env.path("log")).unwrap();
    file.write_all(lines(0..5000).as_bytes()).unwrap();
    wait_line(&env.path("f"), 4999);
    run.signal(Signal::INT);
    run.wait().fails(130);
    env.down("c");
    assert_eq!(read_text(env.path("f")), lines(0..5000));
}

#[test]
fn a_real_rsyslogd_takes_and_acknowledges_what_is_sent() {
    require!("rsyslogd", "imrelp.so");
    let env = Env::new();
    let port = free_port();
    let folder = env.path("rsyslog");
    std::fs::create_dir_all(&folder).unwrap();
    let (out, place) = (env.arg("f"), folder.display());
    let config = format!(
        "global(workDirectory=\"{place}\")\nmodule(load=\"imrelp\")\ntemplate(name=\"raw\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         input(type=\"imrelp\" port=\"{port}\" address=\"127.0.0.1\")\naction(type=\"omfile\" file=\"{out}\" template=\"raw\")\n"
    );
    let config = env.write("rsyslog.conf", config);
    let rsyslogd = common::find_program("rsyslogd").unwrap();
    let start = || {
        let mut command = env.command(&rsyslogd);
        let daemon = common::Daemon::start(command.args(["-n", "-f"]).arg(&config).arg("-i").arg(env.path("pid")));
        wait_until("rsyslogd listens", SOON, || listening(port).then_some(()));
        daemon
    };
    let daemon = start();
    let (count, half) = (20_000, 10_000);
    let (mut tap, input) = Tap::new();
    let run = sender(&env, input, &[&to(port), "--ack"]);
    tap.write(lines(0..half));
    wait_line(&env.path("f"), half - 1);
    // Ended as a service manager does it; killed it would lose what it has acknowledged and not written.
    procs::signal(daemon.pid(), Signal::TERM);
    daemon.wait();
    let _daemon = start();
    tap.write(lines(half..count));
    tap.end();
    run.wait().ok();
    wait_line(&env.path("f"), count - 1);
    let doubles = complete(&env.path("f"), count, 0);
    assert!(doubles <= WINDOW, "{doubles}");
}
