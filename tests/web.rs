//! `reclog web` as scripts and strangers meet it.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Command;

use common::browser::Web;
use common::{Env, LATER, SOON, free_port, send, wait_until};
use serde_json::{Value, json};

/// The place and the token of a link.
fn parts(web: &Web) -> (String, String) {
    let (place, token) = web.link.split_once("?token=").unwrap();
    (place.to_owned(), token.to_owned())
}

/// What curl gets: the status, and the text.
fn curl(url: &str, fields: &[&str]) -> (u16, String) {
    let mut command = Command::new("curl");
    command.args(["-s", "--max-time", "20", "-w", "\n%{http_code}", url]);
    for field in fields {
        command.args(["-H", field]);
    }
    let text = String::from_utf8(command.output().unwrap().stdout).unwrap();
    let (text, status) = text.rsplit_once('\n').unwrap();
    (status.parse().unwrap(), text.to_owned())
}

fn objects(text: &str) -> Vec<Value> {
    text.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn scripts_list_page_search_and_download_what_there_is() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    send(collector.port(), b"one\ntwo \xff\nthree one\n");
    let web = Web::start(&env, &[]);
    let (place, token) = parts(&web);
    let bearer = format!("Authorization: Bearer {token}");
    let ask = |path: &str| curl(&format!("{place}{path}"), &[&bearer]);
    let (status, text) = ask("api/streams");
    let expected = json!([{"collector": "c", "stream": "main", "state": "up", "records": 3, "bytes": 20}]);
    assert_eq!((status, serde_json::from_str::<Value>(&text).unwrap()), (200, expected));
    let page: Value = serde_json::from_str(&ask("api/lines?stream=c/main&after=4&n=1").1).unwrap();
    let line = json!({"collector": "c", "stream": "main", "offset": 4, "time": null, "text_base64": "dHdvIP8="});
    assert_eq!((&page["lines"], &page["first"], &page["last"]), (&json!([line]), &json!(false), &json!(false)));
    let found = objects(&ask("api/search?e=ONE&i=1&context=1").1);
    let offsets: Vec<_> =
        found.iter().filter(|o| o["offset"].is_u64()).map(|o| (&o["offset"], &o["context"])).collect();
    assert_eq!(offsets, [(&json!(0), &Value::Null), (&json!(4), &json!(true)), (&json!(10), &Value::Null)]);
    assert_eq!(found.last().unwrap(), &json!({"end": true, "hits": 2}));
    let raw = Command::new("curl").args(["-s", "-H", &bearer, &format!("{place}api/download?stream=c/main")]).output();
    assert_eq!(raw.unwrap().stdout, b"one\ntwo \xff\nthree one\n");
    for (path, status, words) in [
        ("api/lines?stream=c/main&e=a(", 400, "unclosed group"),
        ("api/lines?stream=c/main&n=x", 400, "takes a number"),
        ("api/lines?stream=c/nope", 404, "no such stream"),
        ("api/lines?stream=c/main/..%2f..%2fetc%2fpasswd", 404, "no such stream"),
        ("page/..%2fmod.rs", 404, "nothing here"),
        ("nope", 404, "nothing here"),
    ] {
        let (got, text) = ask(path);
        assert_eq!(got, status, "{path}: {text}");
        assert!(text.contains(words), "{path}: {text}");
    }
    env.down("c");
}

#[test]
fn nobody_gets_in_without_the_token_nor_by_a_page_of_somebody_else() {
    require!("curl");
    let env = Env::new();
    let web = Web::start(&env, &["--host", "logs.example.org"]);
    let (place, token) = parts(&web);
    let bearer = format!("Authorization: Bearer {token}");
    let streams = format!("{place}api/streams");
    assert_eq!(curl(&streams, &[]).0, 401);
    assert_eq!(curl(&streams, &["Authorization: Bearer 00"]).0, 401);
    assert_eq!(curl(&streams, &[&bearer]).0, 200);
    assert_eq!(curl(&streams, &[&bearer, "Host: logs.example.org"]).0, 200);
    for field in ["Host: evil.example", "Origin: http://evil.example", "Origin: null", "Sec-Fetch-Site: cross-site"] {
        assert_eq!(curl(&streams, &[&bearer, field]).0, 403, "{field}");
    }
    let post = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-X", "POST", "-H", &bearer, &streams];
    assert_eq!(Command::new("curl").args(post).output().unwrap().stdout, b"405");
    // The link becomes a cookie; what is said of every answer is said of this one, too.
    let head = Command::new("curl").args(["-si", &web.link]).output().unwrap().stdout;
    let head = String::from_utf8(head).unwrap().to_lowercase();
    for words in [
        "303",
        "location: /\r",
        "httponly; samesite=strict",
        "default-src 'none'",
        "cache-control: no-store",
        "nosniff",
    ] {
        assert!(head.contains(words), "{words}: {head}");
    }
    assert!(!head.contains("unsafe"));
}

#[test]
fn a_reader_goes_on_behind_the_last_line_it_has_heard_of_also_after_a_kill() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let port = free_port();
    let mut heard: Vec<String> = Vec::new();
    let mut id = String::new();
    for round in 0..4 {
        let line = |n: usize| format!("line {:05}\n", round * 500 + n);
        send(collector.port(), (0..500).map(line).collect::<String>());
        let web = Web::at(&env, port, &[]);
        let (place, token) = parts(&web);
        let out = env.path(format!("heard{round}"));
        let mut command = Command::new("curl");
        command.args(["-sN", "-H", &format!("Authorization: Bearer {token}"), "-H", "Accept: text/event-stream"]);
        if !id.is_empty() {
            command.args(["-H", &format!("Last-Event-ID: {id}")]);
        }
        let file = std::fs::File::create(&out).unwrap();
        let mut reader = command.arg(format!("{place}api/tail?n=5000")).stdout(file).spawn().unwrap();
        let last = format!("line {:05}", round * 500 + 499);
        wait_until("the last line is heard", LATER, || {
            std::fs::read_to_string(&out).unwrap().contains(&last).then_some(())
        });
        web.kill();
        reader.wait().unwrap();
        // Whoever is cut forgets what is not whole, and some of what is.
        let text = std::fs::read_to_string(&out).unwrap();
        let whole: Vec<_> =
            text.split("\n\n").filter(|event| event.contains("data: ") && event.contains("id: ")).collect();
        let kept = if round < 3 { whole.len() * 2 / 3 } else { whole.len() };
        for event in &whole[..kept] {
            let value = |key: &str| event.lines().find_map(|line| line.strip_prefix(key)).unwrap().to_owned();
            id = value("id: ");
            let data: Value = serde_json::from_str(&value("data: ")).unwrap();
            heard.push(data["text"].as_str().unwrap().to_owned());
        }
    }
    let expected: Vec<_> = (0..2000).map(|n| format!("line {n:05}")).collect();
    assert_eq!(heard, expected);
    env.down("c");
}

#[test]
fn a_download_that_is_not_whole_fails() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log"), "--compress", "gzip"]);
    // Numbers that do not compress.
    let numbers: Vec<_> = (0..50_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    let lines = format!("{}\n", numbers.join("\n"));
    send(collector.port(), &lines);
    env.wait_stored("c", lines.len() as u64);
    assert_eq!(env.ask("c", "rotate")["event"], "rotated");
    let packed = || env.archives("c.log").into_iter().find(|path| path.extension().is_some_and(|e| e == "gz"));
    let packed = wait_until("it is compressed", LATER, packed);
    send(collector.port(), "the next file\n");
    let whole = std::fs::read(&packed).unwrap();
    let web = Web::start(&env, &[]);
    let (place, token) = parts(&web);
    let download = || {
        let bearer = format!("Authorization: Bearer {token}");
        let url = format!("{place}api/download?stream=c/main");
        Command::new("curl").args(["-s", "--max-time", "20", "-H", &bearer, &url]).output().unwrap()
    };
    let all = download();
    assert!(all.status.success() && all.stdout.starts_with(lines.as_bytes()), "{:?}", all.status);
    std::fs::write(&packed, &whole[..whole.len() / 2]).unwrap();
    let part = download();
    assert_eq!(part.status.code(), Some(18), "a partial file, for curl");
    assert!(lines.as_bytes().starts_with(&part.stdout), "what came is the beginning");
    env.down("c");
}

#[test]
fn connections_that_say_nothing_keep_nobody_out_for_long_and_no_collector_at_all() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let web = Web::start(&env, &[]);
    let (place, token) = parts(&web);
    let address = place.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let mut idle: Vec<_> = (0..400).map(|_| TcpStream::connect(&address).unwrap()).collect();
    // Half a question is no question.
    for stream in idle.iter_mut().take(200) {
        stream.write_all(b"GET / HTTP/1.1\r\nHost: local").unwrap();
    }
    send(collector.port(), "a line\n");
    let bearer = format!("Authorization: Bearer {token}");
    let (status, text) = curl(&format!("{place}api/lines?stream=c/main"), &[&bearer]);
    assert!(status == 200 && text.contains("a line"), "{status} {text}");
    // They are sent away.
    let mut first = &idle[0];
    first.set_read_timeout(Some(LATER)).unwrap();
    let mut rest = Vec::new();
    let _ = first.read_to_end(&mut rest);
    env.down("c");
}

#[test]
fn it_ends_at_once_and_refuses_what_others_reach() {
    let env = Env::new();
    let mut web = env.spawn(&["web", "--listen", "127.0.0.1:0", "--base-path", "/logs"]);
    let link = web.wait_stdout("\n");
    assert!(link.contains("/logs/?token="), "{link}");
    web.signal(rustix::process::Signal::TERM);
    wait_until("it has ended", SOON, || (!web.running()).then_some(()));
    for (args, code) in
        [(&["--listen", "0.0.0.0:0"][..], 2), (&["--listen", "x"], 2), (&["--no-token"], 2), (&["--base-path", "x"], 2)]
    {
        env.run(&[&["web"], args].concat()).fails(code);
    }
}
