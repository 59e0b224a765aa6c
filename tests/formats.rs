//! What records look like in the file: with text in front, and as JSON.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use common::relp::{Relp, Rsyslog};
use common::senders::{Over, check_order, pour};
use common::snapshot::{assert_settled, number};
use common::{Env, SOON, Sender, Sshd, flood, procs, read, read_text, send, wait_for_text, wait_until};
use jiff::Timestamp;
use serde_json::{Value, json};

const KEYS: [&str; 7] = ["time", "peer", "keyword", "stream", "connection", "sequence", "record"];

/// The objects of a file, each on a line of its own.
#[track_caller]
fn objects(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
}

#[track_caller]
fn is_now(time: &str) {
    assert!(time.ends_with('Z') && time.len() == "2026-11-21T00:41:28.123456Z".len(), "{time}");
    let time: Timestamp = time.parse().unwrap();
    let age = Timestamp::now().duration_since(time);
    assert!(age.as_secs().abs() < 300, "{time} is not now");
}

/// Numbered lines of many senders, which are in the file with these fields: peer, number, record. Each sender's numbers
/// are those of its lines, from 1.
#[track_caller]
fn check_numbers(records: &[(String, u64, String)], senders: usize, lines: usize) {
    let text: String = records.iter().flat_map(|(_, _, record)| [record.as_str(), "\n"]).collect();
    let counts = check_order(&text);
    assert_eq!((counts.len(), counts.values().sum::<usize>()), (senders, senders * lines));
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for (peer, n, _) in records {
        assert!(peer.parse::<std::net::SocketAddr>().is_ok(), "{peer}");
        let before = last.entry(peer).or_default();
        assert_eq!(*n, *before + 1, "{peer}");
        *before = *n;
    }
    assert_eq!(last.len(), senders);
    assert!(last.values().all(|n| *n == lines as u64), "{last:?}");
}

#[test]
fn json_of_many_senders_through_a_jump_host_counts_the_records_of_each() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--format", "json"]);
    flood(up.port(), 20, 500);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(number(&down["streams"][0]["records"]), 10_000);
    let all = objects(&read_text(env.path("f")));
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned();
    for object in &all {
        let keys: Vec<&String> = object.as_object().unwrap().keys().collect();
        assert_eq!(keys.len(), KEYS.len(), "{object}");
        assert!(KEYS.iter().all(|key| object.get(key).is_some()), "{object}");
        assert_eq!((&object["stream"], &object["keyword"]), (&json!("main"), &Value::Null));
        is_now(object["time"].as_str().unwrap());
    }
    let records: Vec<_> = all.iter().map(|o| (text(&o["peer"]), number(&o["sequence"]), text(&o["record"]))).collect();
    check_numbers(&records, 20, 500);
    let connections: BTreeMap<u64, &Value> = all.iter().map(|o| (number(&o["connection"]), &o["peer"])).collect();
    assert_eq!(connections.len(), 20);
    assert!(all.iter().all(|o| connections[&number(&o["connection"])] == &o["peer"]));
}

#[test]
fn a_prefix_of_many_senders_through_a_jump_host_counts_the_lines_of_each() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let template = "{time}|{peer}|{keyword}|{stream}|{n}|";
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--prefix", template]);
    flood(up.port(), 20, 500);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    let text = read_text(env.path("f"));
    let records: Vec<_> = text
        .lines()
        .map(|line| {
            let [time, peer, keyword, stream, n, record] = line.splitn(6, '|').collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            is_now(time);
            assert_eq!((keyword, stream), ("-", "main"));
            (peer.to_owned(), n.parse().unwrap(), record.to_owned())
        })
        .collect();
    check_numbers(&records, 20, 500);
}

#[test]
fn what_is_not_utf8_too_long_or_without_an_end_is_an_object_like_any_other() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--format", "json", "--max-line", "64"]);
    send(up.port(), [&b"gr\xc3\xbcn\n\"\\\t\r\n\xff\n\n"[..], &[b'x'; 66], b"\nend"].concat());
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    let all = objects(&read_text(env.path("f")));
    let records: Vec<&Value> = all.iter().map(|o| o.get("record").unwrap_or(&Value::Null)).collect();
    assert_eq!(
        records,
        [
            &json!("grün"),
            &json!("\"\\\t\r"),
            &Value::Null,
            &json!(""),
            &json!("x".repeat(63)),
            &json!("xxx"),
            &json!("end")
        ]
    );
    assert_eq!(all[2]["record_base64"], "/w==");
    assert_eq!(all.iter().map(|o| number(&o["sequence"])).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    let stream = &down["streams"][0];
    assert_eq!((number(&stream["records"]), number(&stream["split"])), (7, 1));
}

#[test]
fn half_an_object_that_a_crash_left_is_ended_and_the_next_one_begins_a_line() {
    let env = Env::new();
    let begun = r#"{"time":"2026-11-21T00:4"#;
    env.write("f", begun);
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--format", "json"]);
    send(up.port(), "next");
    env.down("c");
    let text = read_text(env.path("f"));
    let rest = text.strip_prefix(begun).unwrap().strip_prefix('\n').expect("a line end of ours");
    assert_eq!(objects(rest)[0]["record"], "next");
}

#[test]
fn a_killed_collector_leaves_whole_objects_and_the_next_one_begins_a_line() {
    let env = Env::new();
    let args = ["--out", &env.arg("f"), "--name", "c", "--format", "json"];
    let up = env.listen(&args);
    let (port, over) = (up.port(), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let _over = Over(&over);
        for s in 0..4 {
            scope.spawn({
                let over = &over;
                move || pour(port, s, over)
            });
        }
        env.wait_stored("c", 1_000_000);
        procs::kill(up.pid);
    });
    wait_until("the collector is gone", SOON, || (!procs::alive(up.pid)).then_some(()));
    let before = read_text(env.path("f"));
    let whole = before.rfind('\n').map_or(0, |end| end + 1);
    assert!(objects(&before[..whole]).len() > 1_000);
    let again = env.listen(&args);
    send(again.port(), "fresh\n");
    env.down("c");
    let text = read_text(env.path("f"));
    let fresh = text.lines().last().unwrap();
    assert_eq!(objects(&format!("{fresh}\n"))[0]["record"], "fresh");
    let end = if whole == before.len() { "" } else { "\n" };
    assert!(text == format!("{before}{end}{fresh}\n"), "what was there is kept, then a fresh line");
}

#[test]
fn files_are_put_away_between_two_objects() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--format", "json", "--rotate-size", "4KB"]);
    flood(up.port(), 4, 200);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let folder = env.path("f").parent().unwrap().read_dir().unwrap();
    let mut files: Vec<_> = folder.flatten().map(|e| e.path()).collect();
    files.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("f."));
    files.sort();
    assert!(files.len() > 10, "{files:?}");
    files.push(env.path("f"));
    let all: Vec<Value> = files.iter().flat_map(|file| objects(&read_text(file))).collect();
    let records: String = all.iter().flat_map(|o| [o["record"].as_str().unwrap(), "\n"]).collect();
    assert_eq!(check_order(&records).values().sum::<usize>(), 800);
    let bytes: u64 = files.iter().map(|file| read(file).len() as u64).sum();
    let ledger = &down["streams"][0]["ledger"];
    assert_eq!(bytes, number(&ledger["stored"]) + number(&ledger["added"]), "{ledger}");
}

#[test]
fn tail_shows_records_in_their_shape_and_nothing_that_a_terminal_acts_on() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--prefix", "{stream} {n}: "]);
    let mut sender = Sender::open(up.port());
    sender.write("one\n\x1b[31mtwo\n");
    wait_for_text(env.path("f"), "main 2: ");
    assert_eq!(env.run(&["tail", "c"]).ok().stdout, "main 1: one\nmain 2: \\x1b[31mtwo\n");
    send(up.port(), "another\n");
    sender.write("three\n");
    wait_for_text(env.path("f"), "main 3: three\n");
    assert_eq!(env.run(&["tail", "c", "-n", "1", "-e", "^main 1: a"]).ok().stdout, "main 1: another\n");
    sender.finish();
    env.down("c");
}

#[test]
fn datagrams_count_as_the_records_of_their_address() {
    let env = Env::new();
    let run = env.run(&[
        "listen",
        "udp:127.0.0.1:0",
        "--json",
        "--out",
        &env.arg("f"),
        "--name",
        "c",
        "--prefix",
        "{peer} {n} ",
    ]);
    let up = env.started(run);
    let (a, b) = (std::net::UdpSocket::bind("127.0.0.1:0").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    let (peer_a, peer_b) = (a.local_addr().unwrap(), b.local_addr().unwrap());
    for (socket, text) in [(&a, "one"), (&b, "two\n"), (&a, "three\nfour")] {
        socket.send_to(text.as_bytes(), ("127.0.0.1", up.port())).unwrap();
        wait_for_text(env.path("f"), text);
    }
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(read_text(env.path("f")), format!("{peer_a} 1 one\n{peer_b} 1 two\n{peer_a} 2 three\nfour\n"));
}

#[test]
fn the_name_of_the_keyword_stands_in_the_record_and_the_keyword_does_not() {
    let env = Env::new();
    let (blue, green) = (env.write("blue", "open sesame\n"), env.write("green", "mellon\n"));
    let keywords = format!("keywords: {{ nginx: {}, app: {} }}", blue.display(), green.display());
    let (a, b) = (env.arg("a"), env.arg("b"));
    let text = format!(
        "streams:\n  a: {{ listen: '127.0.0.1:0', out: {a}, format: json, {keywords} }}\n  \
         b: {{ listen: '127.0.0.1:0', out: {b}, prefix: '{{keyword}} {{stream}} {{n}} ', {keywords} }}\n"
    );
    env.write("config/profiles/p.yaml", text);
    let up = env.started(env.run(&["up", "p", "--json"]));
    send(up.port_at(0), b"open sesame\none\n");
    send(up.port_at(0), b"mellon\ntwo\nthree\n");
    send(up.port_at(1), b"mellon\r\nfour\n");
    let down = env.run(&["down", "p", "--json"]).ok().last_event();
    let all = objects(&read_text(&a));
    let seen: Vec<_> = all.iter().map(|o| (&o["keyword"], &o["sequence"], &o["record"])).collect();
    let meant = [("nginx", 1, "one"), ("app", 1, "two"), ("app", 2, "three")];
    assert_eq!(seen, meant.map(|(k, n, r)| (json!(k), json!(n), json!(r))).each_ref().map(|(k, n, r)| (k, n, r)));
    assert_eq!(read_text(&b), "app b 1 four\n");
    assert_settled(&down["streams"][0], &env.path("a"));
    assert_settled(&down["streams"][1], &env.path("b"));
}

/// What `logger` and rsyslog send to `port` is told apart in the objects of file `f`.
#[track_caller]
fn real_senders(env: &Env, port: u16) {
    let logger = |options: &[&str], message: &str| {
        let mut logger = env.command("logger");
        logger.args([
            "--tcp",
            "--server",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "-t",
            "app",
            "-p",
            "local3.warning",
        ]);
        let output = logger.args(options).arg(message).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let file = env.path("f");
    let find = |text: &str| {
        let all = wait_for_text(&file, text);
        let line = all.lines().find(|line| line.contains(text)).unwrap().to_owned();
        wait_until("the line is whole", SOON, || {
            read_text(&file)
                .lines()
                .find(|line| line.contains(text))
                .and_then(|line| serde_json::from_str::<Value>(line).ok())
        });
        objects(&format!("{line}\n")).remove(0)
    };
    let host = nix::unistd::gethostname().unwrap().to_string_lossy().into_owned();
    logger(
        &[
            "--octet-count",
            "--rfc5424",
            "--id=4711",
            "--msgid",
            "M1",
            "--sd-id",
            "x@1",
            "--sd-param",
            "a=\"1\"",
            "--sd-param",
            "b=\"2\"",
        ],
        "counted \"é\"",
    );
    let new = find("counted");
    let said = &new["syslog"];
    assert_eq!((number(&said["facility"]), number(&said["severity"])), (19, 4), "{new}");
    let words = ["app", "pid", "msgid", "message"].map(|key| said[key].as_str().unwrap_or_default().to_owned());
    assert_eq!(words, ["app", "4711", "M1", "counted \"é\""], "{new}");
    assert_eq!(said["data"]["x@1"], json!({"a": "1", "b": "2"}), "{new}");
    let named = said["host"].as_str().unwrap();
    assert!(host.starts_with(named) || named.starts_with(&host), "{named} is not {host}");
    assert!(said["time"].as_str().unwrap().parse::<Timestamp>().is_ok(), "{new}");
    assert!(new["record"].as_str().unwrap().starts_with("<156>1 "), "{new}");

    logger(&["--rfc3164", "--id=4712"], "an old line");
    let old = find("an old line");
    let said = &old["syslog"];
    assert_eq!(
        (&said["app"], &said["pid"], &said["message"]),
        (&json!("app"), &json!("4712"), &json!("an old line")),
        "{old}"
    );
    assert_eq!(
        (said["time"].as_str().map(str::len), &said["msgid"], &said["data"]),
        (Some(15), &Value::Null, &json!({})),
        "{old}"
    );

    for (n, template) in ["RSYSLOG_TraditionalForwardFormat", "RSYSLOG_ForwardFormat", "RSYSLOG_SyslogProtocol23Format"]
        .into_iter()
        .enumerate()
    {
        let action = format!(
            "action(type=\"omfwd\" target=\"127.0.0.1\" port=\"{port}\" protocol=\"tcp\" TCP_Framing=\"octet-counted\" template=\"{template}\")"
        );
        let rsyslog = Rsyslog::start(env, "", &action);
        rsyslog.log(n..n + 1);
        let object = find(&format!("n{n:06} "));
        let said = &object["syslog"];
        assert_eq!(
            (&said["app"], number(&said["facility"]), number(&said["severity"])),
            (&json!("numbered"), 1, 5),
            "{object}"
        );
        assert!(said["host"].is_string() && said["time"].is_string(), "{object}");
        assert!(said["message"].as_str().unwrap().trim_start().starts_with('n'), "{object}");
    }
}

#[test]
fn real_senders_of_syslog_are_told_apart_on_a_local_port() {
    require!("logger", "rsyslogd");
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--framing", "syslog", "--format", "json"]);
    real_senders(&env, up.port());
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
}

#[test]
fn a_message_is_acknowledged_when_its_object_is_stored() {
    let env = Env::new();
    let up = env.listen(&["--out", &env.arg("f"), "--name", "c", "--framing", "relp", "--format", "json"]);
    let mut relp = Relp::open(up.port());
    relp.send("syslog", "<34>Oct 11 22:14:15 m su[7]: two\nlines");
    relp.send("syslog", "not syslog");
    relp.hear_acks([2, 3]);
    let all = objects(&read_text(env.path("f")));
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(all[0]["record"], "<34>Oct 11 22:14:15 m su[7]: two\nlines");
    let said = json!({"facility": 4, "severity": 2, "time": "Oct 11 22:14:15", "host": "m", "app": "su", "pid": "7",
                      "msgid": null, "data": {}, "message": "two\nlines"});
    assert_eq!(all[0]["syslog"], said);
    assert_eq!((&all[1]["record"], all[1].get("syslog")), (&json!("not syslog"), None));
    relp.send("close", "");
    drop(relp);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
}
