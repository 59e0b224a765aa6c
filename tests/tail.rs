//! `tail`: the last records, those to come, a filter, and nothing that a terminal would act on.

mod common;

use common::{Env, SOON, Sender, send, wait_until};
use rustix::process::Signal;

/// A collector `c` whose file holds `lines`.
fn with_lines(env: &Env, lines: &str) -> u16 {
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), lines);
    env.wait_stored("c", lines.len() as u64);
    collector.port()
}

/// `line 1` and so on, each followed by `more`.
fn numbered(numbers: std::ops::RangeInclusive<u32>, more: &str) -> String {
    let lines: Vec<String> = numbers.map(|n| format!("line {n}{more}\n")).collect();
    lines.concat()
}

#[test]
fn tail_shows_the_last_records() {
    let env = Env::new();
    let all = numbered(1..=30, "");
    with_lines(&env, &all);
    let last = |from| numbered(from..=30, "");
    assert_eq!(env.run(&["tail"]).ok().stdout, last(21), "ten unless told");
    assert_eq!(env.run(&["tail", "c", "-n", "3"]).ok().stdout, last(28));
    assert_eq!(env.run(&["tail", "c/main", "-n", "1"]).ok().stdout, last(30));
    assert_eq!(env.run(&["tail", "c", "-n", "0"]).ok().stdout, "");
    assert_eq!(env.run(&["tail", "c", "-n", "1000"]).ok().stdout, all);
    env.run(&["tail", "c/none"]).fails(3).says("none");
    env.down("c");
    env.run(&["tail", "c"]).fails(3);
}

#[test]
fn a_filter_comes_before_the_count() {
    let env = Env::new();
    with_lines(&env, "error 1\nok\nerror 2\nok\nerror 3\nok\nok\nok\n");
    assert_eq!(env.run(&["tail", "c", "-n", "2", "-e", "^err"]).ok().stdout, "error 2\nerror 3\n");
    assert_eq!(env.run(&["tail", "c", "-e", "nothing like it"]).ok().stdout, "");
    env.run(&["tail", "c", "-e", "("]).fails(2);
}

#[test]
fn follow_shows_what_arrives() {
    let env = Env::new();
    let port = with_lines(&env, "old 1\nold 2\n");
    let mut tail = env.spawn(&["tail", "c", "-f", "-n", "1", "-e", "old|new"]);
    tail.wait_stdout("old 2\n");
    let mut sender = Sender::open(port);
    sender.write("new 1\nother\nne");
    tail.wait_stdout("new 1\n");
    sender.write("w 2\n");
    sender.finish();
    assert_eq!(tail.wait_stdout("new 2\n"), "old 2\nnew 1\nnew 2\n");
    tail.signal(Signal::INT);
    let code = tail.wait().status.code();
    assert!(code == Some(130) || code == Some(0), "{code:?}");
}

#[test]
fn follow_shows_every_line_once_over_rotations() {
    for compress in ["none", "gzip"] {
        let env = Env::new();
        let out = env.arg("f");
        let collector = env.listen(&["--out", &out, "--name", "c", "--compress", compress]);
        send(collector.port(), "line 0\n");
        env.wait_stored("c", 7);
        let mut tail = env.spawn(&["tail", "c", "-f", "-n", "1", "--raw"]);
        tail.wait_stdout("line 0\n");
        let mut stored = 7;
        for n in 0..12 {
            // Some of them before it has looked, some after.
            let lines = numbered(n * 100 + 1..=n * 100 + 100, "");
            send(collector.port(), &lines);
            stored += lines.len() as u64;
            env.wait_stored("c", stored);
            if n % 4 == 3 {
                tail.wait_stdout(&format!("line {}\n", n * 100 + 100));
            }
            env.run(&["rotate", "c"]).ok();
        }
        send(collector.port(), "line 1201\n");
        assert_eq!(tail.wait_stdout("line 1201\n"), numbered(0..=1201, ""), "{compress}");
        assert_eq!(env.archives("f").len(), 12);
        if compress == "gzip" {
            let packed = || env.archives("f").iter().all(|path| path.extension().is_some_and(|e| e == "gz"));
            wait_until("all are compressed", SOON, || packed().then_some(()));
        }
        let again = env.run(&["tail", "c", "-n", "5000", "--raw"]).ok();
        assert_eq!(again.stdout, numbered(0..=1201, ""), "{compress}");
        tail.signal(Signal::INT);
        tail.wait();
    }
}

#[test]
fn follow_ends_when_the_collector_does() {
    let env = Env::new();
    with_lines(&env, "x\n");
    let mut tail = env.spawn(&["tail", "c", "-f"]);
    tail.wait_stdout("x\n");
    env.down("c");
    tail.wait_for(SOON);
}

#[test]
fn what_strangers_send_is_safe_for_a_terminal() {
    let env = Env::new();
    let evil =
        b"\x1b[2Jclear \x07bell \x9b31mc1 \xc2\x9b31mc1 \xe2\x80\xaebidi \xe2\x81\xa6iso \x7fdel \xfftail\tand tab\r\n";
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), evil);
    env.wait_stored("c", evil.len() as u64);
    let safe = env.run(&["tail", "c"]).ok();
    let text = String::from_utf8(safe.stdout_bytes).expect("escaped text is UTF-8");
    let bad = |c: &char| (c.is_control() && !"\t\n".contains(*c)) || "\u{202e}\u{2066}\u{fffd}".contains(*c);
    assert_eq!(text.chars().find(bad), None, "{text:?}");
    for word in ["clear", "bell", "bidi", "iso", "del", "tail\tand tab", "\\x1b", "\\xff"] {
        assert!(text.contains(word), "no {word:?} in {text:?}");
    }
    let raw = env.run(&["tail", "c", "--raw"]).ok();
    assert_eq!(raw.stdout_bytes, evil, "--raw is the bytes as they are");
    assert_eq!(common::read(env.path("f")), evil, "the file keeps them");
}

#[test]
fn a_reader_that_leaves_ends_tail_without_a_word() {
    let env = Env::new();
    let all = numbered(1..=5000, &"x".repeat(100));
    with_lines(&env, &all);
    let reclog = common::env::binary();
    let line = format!("'{}' tail c -n 5000 | head -n 1", reclog.display());
    let head = env.command("sh").args(["-c", &line]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&head.stdout).lines().count(), 1);
    assert_eq!(String::from_utf8_lossy(&head.stderr), "", "a broken pipe is no error");
    wait_until("tail is gone", SOON, || (env.processes().len() == 1).then_some(()));
}

#[test]
fn what_is_shown_is_the_first_output_that_is_a_file() {
    let env = Env::new();
    let args = ["--out", "exec:cat >/dev/null", "--out", &env.arg("f"), "--name", "c"];
    let collector = env.listen(&args);
    send(collector.port(), "one\n");
    common::wait_for_text(env.path("f"), "one\n");
    env.run(&["tail", "c"]).ok().prints("one");
    env.down("c");
    env.listen(&["--out", "exec:cat >/dev/null", "--name", "c"]);
    env.run(&["tail", "c"]).fails(1).hinted().says("stream main writes to no file");
    env.run(&["tail", "c", "-f"]).fails(1).says("stream main writes to no file");
}
