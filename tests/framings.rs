//! Framings as real senders speak them, and the options about the ends of lines.

mod common;

use std::process::Command;

use common::relp::{Rsyslog, wait_for_numbers};
use common::snapshot::{assert_settled, number};
use common::{Env, Sshd, read, read_text, send, wait_for_text};
use serde_json::Value;

/// What becomes of `sent` with these options: the file and the stream at the end.
#[track_caller]
fn collected(options: &[&str], sent: &[u8]) -> (Vec<u8>, Value) {
    let env = Env::new();
    let collector = env.listen(&[&["--out", &env.arg("f"), "--name", "c"], options].concat());
    send(collector.port(), sent);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    (read(env.path("f")), down["streams"][0].clone())
}

#[test]
fn strip_cr_takes_the_cr_of_crlf_and_no_other() {
    let (file, stream) = collected(&["--strip-cr"], b"one\r\nt\rwo\nthree\r\r\n");
    assert_eq!(file, b"one\nt\rwo\nthree\r\n");
    assert_eq!(number(&stream["ledger"]["discarded"]["framing"]), 2);
    let (file, _) = collected(&[], b"one\r\n");
    assert_eq!(file, b"one\r\n", "kept unless told");
}

#[test]
fn nul_ends_a_record_and_is_written_as_a_line_end() {
    let (file, stream) = collected(&["--nul"], b"one\0tw\no\0three");
    assert_eq!(file, b"one\ntw\no\nthree\n");
    let ledger = &stream["ledger"];
    assert_eq!((number(&stream["records"]), number(&ledger["added"])), (3, 3));
    assert_eq!(number(&ledger["discarded"]["framing"]), 2);
}

#[test]
fn syslog_takes_both_framings_in_one_connection_and_refuses_no_bytes() {
    let sent = b"9 <1>first\n<2>second\n10 <3>th\nird\n<4>fourth\nGET / HTTP/1.1\r\n\x16\x03\x01 9 <\n5 <5>x";
    let (file, stream) = collected(&["--framing", "syslog"], sent);
    let records = b"<1>first\n<2>second\n<3>th\nird\n<4>fourth\nGET / HTTP/1.1\r\n\x16\x03\x01 9 <\n<5>x\n";
    let expected: Vec<u8> = records.to_vec();
    assert_eq!(String::from_utf8_lossy(&file), String::from_utf8_lossy(&expected));
    assert_eq!(stream["framing"], "syslog");
}

#[test]
fn options_that_make_no_sense_together_are_refused() {
    let env = Env::new();
    let out = env.arg("f");
    for options in [
        &["--framing", "raw", "--strip-cr"][..],
        &["--framing", "raw", "--nul"],
        &["--framing", "relp", "--strip-cr"],
        &["--framing", "syslog", "--nul"],
    ] {
        let all = [&["listen", "127.0.0.1:0", "--out", &out], options].concat();
        env.run(&all).fails(2).hinted().says(options[2]);
    }
    env.run(&["listen", "udp:0", "--out", &out, "--framing", "relp"]).fails(2).hinted().says("relp");
    let stream = "listen: 0, out: f, framing: raw, nul: true";
    let profile = env.write("work/p.yaml", format!("streams:\n  main: {{ {stream} }}\n"));
    let run = env.run(&["profile", "check", profile.to_str().unwrap()]).fails(2).hinted();
    run.says("line 2, column 44").says("`nul`");
}

#[test]
fn a_profile_may_say_all_of_it() {
    let env = Env::new();
    let (a, b) = (env.arg("a"), env.arg("b"));
    let text = format!(
        "streams:\n  a: {{ listen: '127.0.0.1:0', out: {a}, strip_cr: true, nul: true }}\n  \
         b: {{ listen: '127.0.0.1:0', out: {b}, framing: syslog, strip_cr: true }}\n"
    );
    env.write("config/profiles/p.yaml", text);
    let up = env.started(env.run(&["up", "p", "--json"]));
    let shown = env.run(&["status"]).ok().stdout;
    assert!(shown.contains("\n   b (syslog) ") && shown.contains("\n   a "), "{shown}");
    send(up.port_at(0), b"one\r\0two\0");
    send(up.port_at(1), b"7 <1>one\r<2>two\r\n");
    env.down("p");
    assert_eq!(read(a), b"one\ntwo\n");
    assert_eq!(read(b), b"<1>one\r\n<2>two\n");
    let shown = env.run(&["profile", "check", "p"]).ok().stdout;
    assert!(shown.contains("strip_cr") && shown.contains("nul"), "{shown}");
}

/// Real senders of syslog to `port`, whose file is `f`.
#[track_caller]
fn real_senders(env: &Env, port: u16) {
    let logger = |options: &[&str], message: &str| {
        let mut logger: Command = env.command("logger");
        logger.args(["--tcp", "--server", "127.0.0.1", "--port", &port.to_string(), "-t", "app"]).args(options);
        let output = logger.arg(message).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    logger(&["--octet-count", "--rfc5424"], "counted");
    logger(&["--rfc3164"], "a line");
    let nc = format!("printf '5 <1>nc<2>nc\\n' | nc -w 2 127.0.0.1 {port}");
    assert!(env.command("sh").args(["-c", &nc]).status().unwrap().success());
    let file = env.path("f");
    for text in ["counted\n", "a line\n", "<1>nc\n<2>nc\n"] {
        wait_for_text(&file, text);
    }
    let text = read_text(&file);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines.iter().all(|line| line.starts_with('<')), "a count was left: {text}");
    std::fs::File::options().write(true).open(&file).unwrap().set_len(0).unwrap();
    let action = format!(
        "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" \
         template=\"RSYSLOG_TraditionalForwardFormat\")"
    );
    let rsyslog = Rsyslog::start(env, "", &action);
    rsyslog.log(0..1000);
    let seen = wait_for_numbers(&file, 1000);
    assert!(seen.values().all(|times| *times == 1));
    let (_, others) = common::relp::numbers(&file);
    assert_eq!(others, Vec::<String>::new());
}

#[test]
fn real_senders_of_syslog_are_understood_on_a_local_port() {
    require!("logger", "nc", "rsyslogd");
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--framing", "syslog"]);
    real_senders(&env, up.port());
    env.down("c");
}

#[test]
fn real_senders_of_syslog_are_understood_through_a_jump_host() {
    require!("sshd", "logger", "nc", "rsyslogd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--framing", "syslog"]);
    real_senders(&env, up.port());
    env.down("c");
}
