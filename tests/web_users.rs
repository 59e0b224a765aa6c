//! Users of the browser's view: who gets in, what they see, and what is written down of it.

mod common;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use common::browser::Web;
use common::netns::{Cable, HERE};
use common::{Bg, Env, LATER, Run, SOON, free_port, lacks, send, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};

const PASSWORD: &str = "correct horse";

/// `web user add`, with the password on standard input.
fn add(env: &Env, name: &str, password: &str, more: &[&str]) -> Run {
    let file = env.write("password", format!("{password}\n"));
    let mut command = env.reclog(&[&["web", "user", "add", name], more].concat());
    command.stdin(std::fs::File::open(file).unwrap());
    Bg::spawn(command).wait()
}

/// What curl gets, headers before the text; and the status.
fn curl(args: &[&str]) -> (u16, String) {
    let output = Command::new("curl").args(["-s", "-k", "-i", "--max-time", "20"]).args(args).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let status = text.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    (status.unwrap_or_else(|| panic!("{args:?}: {} {text}", output.status)), text)
}

fn body(text: &str) -> &str {
    text.split_once("\r\n\r\n").unwrap().1
}

/// `name=value` of the cookie that was set.
fn cookie(text: &str) -> String {
    let field = text.lines().find_map(|line| line.strip_prefix("set-cookie: ")).unwrap_or_else(|| panic!("{text}"));
    field.split(';').next().unwrap().to_owned()
}

/// The trail of `reclog web`.
fn trail(env: &Env, more: &[&str]) -> Vec<Value> {
    let run = env.run(&[&["audit", "--web", "--json"], more].concat()).ok();
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

struct Reader(Child);

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn whoever_logs_in_sees_what_was_granted_and_of_the_rest_not_even_that_it_is_there() {
    require!("curl");
    let env = Env::new();
    let shown = env.listen(&["--name", "shown", "--out", &env.arg("shown.log")]);
    let hidden = env.listen(&["--name", "hidden", "--out", &env.arg("hidden.log")]);
    send(shown.port(), "a line to see\n");
    send(hidden.port(), "a line to hide\n");
    add(&env, "ann", PASSWORD, &["--stream", "shown/main"]).ok().says("sees shown/main");
    add(&env, "bob", PASSWORD, &["--stream", "other", "--stream", "hidden"]).ok();
    add(&env, "root", PASSWORD, &[]).ok().says("sees all streams");
    let web = Web::start(&env, &[]);
    assert!(!web.link.contains("token"), "{}", web.link);
    let ask = |user: &str, path: &str| curl(&["-u", &format!("{user}:{PASSWORD}"), &format!("{}{path}", web.link)]);
    for (user, sees) in [("ann", vec!["shown"]), ("bob", vec!["hidden"]), ("root", vec!["hidden", "shown"])] {
        let (status, text) = ask(user, "api/streams");
        assert_eq!(status, 200, "{user}: {text}");
        let list: Value = serde_json::from_str(body(&text)).unwrap();
        let names: Vec<_> = list.as_array().unwrap().iter().map(|s| s["collector"].as_str().unwrap()).collect();
        assert_eq!(names, sees, "{user}");
    }
    for path in ["lines?stream=", "search?e=line&stream=", "download?stream=", "tail?stream=", "view?stream="] {
        let (status, text) = ask("ann", &format!("api/{path}hidden/main"));
        assert_eq!((status, body(&text)), (404, "there is no such stream\n"), "{path}");
        let of_nothing = ask("ann", &format!("api/{path}none/main"));
        assert_eq!((of_nothing.0, body(&of_nothing.1)), (404, "there is no such stream\n"), "{path}");
    }
    let (status, text) = ask("ann", "api/lines?stream=shown/main");
    assert!(status == 200 && text.contains("a line to see"), "{text}");
    // Without a name it is all that may be seen.
    let (_, text) = ask("ann", "api/search?e=line");
    assert!(text.contains("a line to see") && !text.contains("hid"), "{text}");
    for (path, words) in [("api/tail?n=9", "a line to see"), ("api/view", "\"user\":\"ann\"")] {
        let url = format!("{}{path}", web.link);
        let file = std::fs::File::create(env.path("heard")).unwrap();
        let mut command = Command::new("curl");
        command.args(["-sN", "-u", &format!("ann:{PASSWORD}"), &url]).stdout(file);
        let _reader = Reader(command.spawn().unwrap());
        let heard = || std::fs::read_to_string(env.path("heard")).unwrap();
        wait_until("it is told", LATER, || heard().contains(words).then_some(()));
        assert!(!heard().contains("hid"), "{}", heard());
    }
    for name in ["shown", "hidden"] {
        env.down(name);
    }
}

#[test]
fn whoever_may_no_longer_is_out_at_once_and_so_is_what_was_open() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    send(collector.port(), "one\n");
    add(&env, "ann", PASSWORD, &[]).ok();
    add(&env, "bob", PASSWORD, &[]).ok();
    let web = Web::start(&env, &[]);
    let url = format!("{}api/tail", web.link);
    let reads = |user: &str| {
        let file = std::fs::File::create(env.path(user)).unwrap();
        let mut command = Command::new("curl");
        Reader(command.args(["-sN", "-u", &format!("{user}:{PASSWORD}"), &url]).stdout(file).spawn().unwrap())
    };
    let (mut ann, mut bob) = (reads("ann"), reads("bob"));
    let heard = |user: &str| std::fs::read_to_string(env.path(user)).unwrap();
    for user in ["ann", "bob"] {
        wait_until("the first line", LATER, || heard(user).contains("one").then_some(()));
    }
    env.run(&["web", "user", "rm", "ann"]).ok();
    let ended = wait_until("her answer is cut", SOON, || ann.0.try_wait().unwrap());
    assert!(!ended.success(), "an answer that was cut is no whole one");
    assert_eq!(curl(&["-u", &format!("ann:{PASSWORD}"), &url]).0, 401);
    send(collector.port(), "two\n");
    wait_until("his goes on", LATER, || heard("bob").contains("two").then_some(()));
    // Another password is another lock.
    add(&env, "bob", "battery staple", &[]).ok().says("has a new password");
    wait_until("his ends, too", SOON, || bob.0.try_wait().unwrap());
    assert_eq!(curl(&["-u", &format!("bob:{PASSWORD}"), &format!("{}api/streams", web.link)]).0, 401);
    assert_eq!(curl(&["-u", "bob:battery staple", &format!("{}api/streams", web.link)]).0, 200);
    env.down("c");
}

#[test]
fn a_login_is_a_cookie_that_outlives_the_process_and_ends_with_log_out() {
    require!("curl");
    let env = Env::new();
    add(&env, "ann", PASSWORD, &[]).ok();
    let port = free_port();
    let web = Web::at(&env, port, &["--base-path", "/logs"]);
    let place = web.link.clone();
    assert!(place.ends_with("/logs/"), "{place}");
    // A person is led to the form, a script is told what to do.
    let (status, text) = curl(&["-H", "Accept: text/html", &place]);
    assert!(status == 303 && text.contains("location: /logs/login\r"), "{text}");
    let (status, text) = curl(&[&format!("{place}api/streams")]);
    assert!(status == 401 && text.contains("www-authenticate: Basic"), "{text}");
    let (_, text) = curl(&["-H", "Sec-Fetch-Mode: cors", &format!("{place}api/streams")]);
    assert!(!text.contains("www-authenticate"), "a browser would ask in a window of its own: {text}");
    let login = format!("{place}login");
    let form = |password: &str| format!("user=ann&password={password}&next=%23s%3Dc/main");
    let (status, text) = curl(&["-d", &form("wrong"), &login]);
    assert!(status == 401 && text.contains("the name or the password is wrong"), "{text}");
    assert!(text.contains("value=\"#s=c/main\"") && !text.contains("set-cookie"), "{text}");
    let (status, _) = curl(&["-H", "Origin: http://evil.example", "-d", &form(PASSWORD), &login]);
    assert_eq!(status, 403);
    let (status, text) = curl(&["-d", &form(PASSWORD), &login]);
    assert!(status == 303 && text.contains("location: /logs/#s=c/main\r"), "{text}");
    assert!(text.contains("; Path=/logs/; HttpOnly; SameSite=Strict; Max-Age="), "{text}");
    let mine = format!("Cookie: {}", cookie(&text));
    let streams = format!("{place}api/streams");
    assert_eq!(curl(&["-H", &mine, &streams]).0, 200);
    web.kill();
    let web = Web::at(&env, port, &["--base-path", "/logs"]);
    assert_eq!(curl(&["-H", &mine, &streams]).0, 200, "a login outlives the process");
    let logout = format!("{place}logout");
    assert_eq!(curl(&["-H", &mine, &logout]).0, 405, "a link cannot log anybody out");
    let (status, text) = curl(&["-H", &mine, "-X", "POST", &logout]);
    assert!(status == 303 && text.contains("Max-Age=0"), "{text}");
    add(&env, "ann", PASSWORD, &[]).ok();
    assert_eq!(curl(&["-H", &mine, &streams]).0, 401, "a password that was set anew ends all logins");
    drop(web);
}

#[test]
fn guesses_are_slowed_by_address_and_nobody_else_is() {
    require!("curl");
    let env = Env::new();
    add(&env, "ann", PASSWORD, &[]).ok();
    let web = Web::start(&env, &[]);
    let login = format!("{}login", web.link);
    let from = |address: &str, password: &str| {
        curl(&["--interface", address, "-d", &format!("user=ann&password={password}"), &login])
    };
    let mut statuses = Vec::new();
    let waits = loop {
        let (status, text) = from("127.0.0.2", "guess");
        statuses.push(status);
        if status == 429 {
            break text;
        }
        assert!(statuses.len() < 20, "{statuses:?}");
    };
    assert!(statuses[..5].iter().all(|status| *status == 401), "{statuses:?}");
    assert!(waits.contains("retry-after: ") && waits.contains("too many failed logins"), "{waits}");
    assert_eq!(from("127.0.0.2", PASSWORD).0, 429, "the right one is no better as long as it has to wait");
    assert_eq!(from("127.0.0.3", PASSWORD).0, 303);
    let told = trail(&env, &["--event", "login,login_failed"]);
    let whys: Vec<_> = told.iter().map(|e| (e["from"].as_str().unwrap(), e["why"].as_str())).collect();
    assert_eq!(whys.iter().filter(|why| **why == ("127.0.0.2", Some("wrong"))).count(), statuses.len() - 1);
    assert_eq!(whys.iter().filter(|why| why.1 == Some("wait")).count(), 1, "of those who wait the first is told");
    assert_eq!(whys.last(), Some(&("127.0.0.3", None)));
}

#[test]
fn where_others_get_to_it_speaks_tls_with_a_certificate_that_is_known_by_its_digest() {
    require!("curl", "openssl");
    let Some(cable) = Cable::lay() else {
        return lacks("where_others_get_to_it_speaks_tls", "network namespaces (as root)", "iproute2");
    };
    let env = Env::new();
    let web = |more: &[&str]| {
        let place = format!("{HERE}:8866");
        let args: Vec<_> = ["web", "--listen", &place].iter().chain(more).map(ToString::to_string).collect();
        Bg::spawn(cable.reclog(&env, &args))
    };
    web(&[]).wait().fails(2).hinted().says("there are no users");
    add(&env, "ann", PASSWORD, &[]).ok();
    let mut running = web(&[]);
    let link = running.wait_stdout("\n");
    assert_eq!(link, format!("https://{HERE}:8866/\n"));
    let outside = |program: &str, args: &[&str]| {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &cable.there, program]).args(args).stdin(Stdio::null());
        let output = command.output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let script =
        format!("openssl s_client -connect {HERE}:8866 2>/dev/null | openssl x509 -noout -fingerprint -sha256");
    let shown = outside("sh", &["-c", &script]);
    let digest = shown.trim().split('=').nth(1).unwrap_or_else(|| panic!("{shown}"));
    assert!(running.stderr().contains(&format!("SHA-256 {digest}")), "{}", running.stderr());
    // Known by its certificate, named by its address.
    let certificate = env.arg("config/web.cert.pem");
    let url = format!("https://{HERE}:8866/api/streams");
    let trusting = ["-si", "--cacert", &certificate, "-u", &format!("ann:{PASSWORD}"), &url];
    assert!(outside("curl", &trusting).starts_with("HTTP/1.1 200"), "{}", outside("curl", &trusting));
    assert!(outside("curl", &["-s", &url]).is_empty(), "nobody else vouches for it");
    let login = format!("https://{HERE}:8866/login");
    let said = outside("curl", &["-ski", "-d", &format!("user=ann&password={PASSWORD}"), &login]);
    assert!(said.contains("SameSite=Strict") && said.contains("; Secure"), "{said}");
    let said = outside("curl", &["-si", &format!("http://{HERE}:8866/")]);
    assert!(said.starts_with("HTTP/1.1 400") && said.contains("https://"), "{said}");
    // Whoever begins a handshake and goes no further keeps nobody out.
    let half = format!(
        "exec 3<>/dev/tcp/{HERE}/8866; printf '\\x16\\x03\\x01' >&3; curl -sk -o /dev/null -w '%{{http_code}}' {login}"
    );
    assert_eq!(outside("bash", &["-c", &half]), "200");
    running.signal(Signal::TERM);
    running.wait().ok();
    // The same one the next time, and by the name of this machine.
    let everywhere = ["web", "--listen", "0.0.0.0:8866"].map(str::to_owned);
    let mut again = Bg::spawn(cable.reclog(&env, &everywhere));
    let link = again.wait_stdout("\n");
    let host = link
        .trim()
        .strip_prefix("https://")
        .and_then(|rest| rest.strip_suffix("/"))
        .unwrap_or_else(|| panic!("{link}"));
    for (host, status) in [(host, "200"), ("evil.example:8866", "403")] {
        let field = format!("Host: {host}");
        assert_eq!(
            outside("curl", &["-sk", "-o", "/dev/null", "-w", "%{http_code}", "-H", &field, &login]),
            status,
            "{host}"
        );
    }
    assert!(again.stderr().contains(digest));
    again.signal(Signal::TERM);
    again.wait().ok();
}

#[test]
fn whom_a_proxy_speaks_for_counts_when_the_proxy_is_trusted() {
    require!("curl");
    let env = Env::new();
    add(&env, "ann", PASSWORD, &[]).ok();
    for (more, said, host, secure) in [
        (&["--trust-proxy", "127.0.0.0/8"][..], "203.0.113.9", 200, true),
        (&[], "127.0.0.1", 403, false),
        (&["--trust-proxy", "10.0.0.0/8"], "127.0.0.1", 403, false),
    ] {
        let web = Web::start(&env, &[more, &["--host", "logs.example.org"]].concat());
        let fields = ["-H", "X-Forwarded-For: 6.6.6.6, 203.0.113.9", "-H", "X-Forwarded-Proto: https"];
        let login = format!("{}login", web.link);
        let form = format!("user=ann&password={PASSWORD}");
        let (_, text) = curl(&[&fields[..], &["-d", &form, &login]].concat());
        assert_eq!(text.contains("; Secure"), secure, "{text}");
        assert_eq!(trail(&env, &["--event", "login"]).last().unwrap()["from"], said);
        let (status, _) = curl(&["-H", "Host: inner", "-H", "X-Forwarded-Host: logs.example.org", &login]);
        assert_eq!(status, host);
    }
    env.run(&["web", "--trust-proxy", "proxy"]).fails(2).says("--trust-proxy");
}

#[test]
fn who_looked_at_what_is_in_the_trail() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let other = env.listen(&["--name", "d", "--out", &env.arg("d.log")]);
    send(collector.port(), "one\n");
    let _ = other;
    env.run(&["audit", "--web"]).fails(3).hinted();
    add(&env, "ann", PASSWORD, &[]).ok();
    let web = Web::start(&env, &[]);
    let ask = |path: &str| curl(&["-u", &format!("ann:{PASSWORD}"), &format!("{}{path}", web.link)]).0;
    for path in [
        "lines?stream=c/main",
        "lines?stream=c/main",
        "lines?stream=d/main",
        "search?stream=c/main&e=%5b",
        "download?stream=c/main",
    ] {
        ask(&format!("api/{path}"));
    }
    ask("api/search?stream=c/main&e=o");
    // What cannot be read is no look.
    let looks = |more: &[&str]| -> Vec<Value> {
        let events = trail(&env, &[&["--event", "look"], more].concat());
        events.iter().map(|e| json!([e["user"], e["from"], e["what"], e["streams"], e["pattern"]])).collect()
    };
    let look =
        |what: &str, streams: &[&str], pattern: Option<&str>| json!(["ann", "127.0.0.1", what, streams, pattern]);
    let of_c =
        [look("lines", &["c/main"], None), look("download", &["c/main"], None), look("search", &["c/main"], Some("o"))];
    wait_until("all of them are told", SOON, || {
        (looks(&[]) == [of_c[0].clone(), look("lines", &["d/main"], None), of_c[1].clone(), of_c[2].clone()])
            .then_some(())
    });
    assert_eq!(looks(&["c"]), of_c);
    assert_eq!(looks(&["d/main"]), [look("lines", &["d/main"], None)]);
    let text = env.run(&["audit", "--web"]).ok().stdout;
    for words in ["web_start", "login        ann from 127.0.0.1", "ann from 127.0.0.1: search of c/main for o"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // A collector has a trail of its own, and nothing of this stands in it.
    assert!(!env.run(&["audit", "c"]).ok().stdout.contains("ann"));
    for name in ["c", "d"] {
        env.down(name);
    }
}

#[test]
fn what_is_wrong_with_a_user_is_said_with_what_to_do() {
    let env = Env::new();
    env.run(&["web", "user", "list"]).ok().says("there are no users");
    env.run(&["web", "user", "rm", "ann"]).fails(1).hinted().says("there is no user ann");
    env.run(&["web", "--listen", "0.0.0.0:0"]).fails(2).hinted().says("there are no users");
    for (name, password, more, words) in [
        ("a b", PASSWORD, &[][..], "no name for a user"),
        ("ann", "short", &[], "8 characters"),
        ("ann", "", &[], "8 characters"),
        ("ann", PASSWORD, &["--stream", "a/b/c"], "no collector and no stream"),
    ] {
        add(&env, name, password, more).fails(2).hinted().says(words);
    }
    add(&env, "ann", PASSWORD, &["--stream", "c", "--stream", "d/main"]).ok().says("one that starts from now on");
    add(&env, "bob", PASSWORD, &[]).ok();
    env.run(&["web", "user", "list"]).ok().prints("ann  c, d/main\nbob  all streams\n");
    env.run(&["web", "user", "rm", "anne"]).fails(1).hinted().says("ann");
    env.run(&["web", "--no-token", "--listen", &format!("unix:{}", env.arg("s"))])
        .fails(2)
        .hinted()
        .says("there are users");
    env.run(&["web", "--tls-cert", "x"]).fails(2);
    env.run(&["web", "--listen", "127.0.0.1:0", "--tls-cert", "x", "--tls-key", "y"])
        .fails(1)
        .says("cannot use the certificate x");
    let text = std::fs::read_to_string(env.path("config/web.users")).unwrap();
    assert!(text.contains("$argon2id$") && !text.contains(PASSWORD));
}

#[test]
fn ten_thousand_connections_that_say_nothing_keep_nobody_out() {
    require!("curl");
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let web = Web::start(&env, &[]);
    let (place, token) = web.link.split_once("?token=").unwrap();
    let address = place.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let (idle, mut looks, mut most) = (std::sync::Mutex::new(Vec::new()), 0, 0);
    std::thread::scope(|scope| {
        let flood = scope.spawn(|| {
            for n in 0..10_000 {
                let mut stream = TcpStream::connect(&address).unwrap();
                // Half a question is no question.
                if n % 2 == 0 {
                    let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: local");
                }
                let mut idle = idle.lock().unwrap();
                idle.push(stream);
                // Those that had to give way need no descriptor of ours.
                if idle.len() > 2000 {
                    let mut first = idle.remove(0);
                    first.set_read_timeout(Some(LATER)).unwrap();
                    let mut rest = Vec::new();
                    let _ = first.read_to_end(&mut rest);
                }
            }
        });
        while !flood.is_finished() {
            send(collector.port(), "a line\n");
            let (status, text) =
                curl(&["-H", &format!("Authorization: Bearer {token}"), &format!("{place}api/lines?stream=c/main")]);
            assert!(status == 200 && text.contains("a line"), "{status} {text}");
            looks += 1;
            most = most.max(std::fs::read_dir(format!("/proc/{}/fd", web.pid())).unwrap().count());
        }
    });
    assert!(looks > 0);
    assert!((800..1200).contains(&most), "{most} descriptors at once");
    env.down("c");
}
