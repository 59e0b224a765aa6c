//! The figures as programs fetch them: by HTTP, by `reclog metrics`, as a file; and what strangers at that door can do.

mod common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Command, Stdio};

use common::{Collector, Env, Run, SOON, free_port, read_text, send, wait_until};
use serde_json::Value;

/// The system's: modules of Debian's packages are its own.
const PYTHON: &str = "/usr/bin/python3";

/// A profile `c` with one port of this machine, whose figures are served at `place`.
fn profile(env: &Env, place: &str, more: &str) {
    let out = env.arg("c.log");
    let streams = format!("streams:\n  main:\n    listen: 127.0.0.1:0\n    out: {out}\n{more}");
    env.write("config/profiles/c.yaml", format!("metrics: {place}\n{streams}"));
}

fn up(env: &Env) -> Collector {
    env.started(env.run(&["up", "c", "--json"]))
}

/// Where the figures of `c` are served.
fn place(env: &Env) -> String {
    env.snapshot("c")["metrics"].as_str().expect("a place").to_owned()
}

/// What is answered to a GET of `path`: the status and the rest.
fn get(place: &str, path: &str, header: &str) -> (u16, String) {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\n");
    let mut answer = String::new();
    if let Some(path) = place.strip_prefix("unix:") {
        let mut stream = UnixStream::connect(path).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    } else {
        let mut stream = TcpStream::connect(place).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        stream.read_to_string(&mut answer).unwrap();
    }
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok());
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status.unwrap_or_else(|| panic!("{answer:?}")), body.to_owned())
}

/// The figure that `series` has in `text`.
#[track_caller]
fn figure(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {series} in\n{text}"))
}

/// Has `program` read `text`, which must please it.
#[track_caller]
fn pleases(mut program: Command, text: &str) {
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let says = [output.stdout, output.stderr].concat();
    let says = String::from_utf8_lossy(&says);
    assert!(output.status.success() && says.trim().is_empty(), "{says}\n{text}");
}

#[test]
fn the_door_gives_the_figures_of_the_status_in_both_formats() {
    let env = Env::new();
    profile(&env, "127.0.0.1:0", "    max_per_address: 1\n");
    let collector = up(&env);
    let place = place(&env);
    let nothing = get(&place, "/metrics", "").1;
    assert!(!nothing.contains("last_record") && !nothing.contains("write_seconds"), "{nothing}");
    send(collector.port(), "one\ntwo");
    env.wait_stored("c", 7);
    let _open = TcpStream::connect(("127.0.0.1", collector.port())).unwrap();
    env.wait_collector("c", "has one in", |c| c["streams"][0]["senders"]["open"] == 1);
    let _turned_away = TcpStream::connect(("127.0.0.1", collector.port())).unwrap();
    env.wait_collector("c", "has turned one away", |c| c["streams"][0]["senders"]["rejected"]["max_per_address"] == 1);
    let synced = |c: &Value| c["streams"][0]["ledger"]["synced"] == 7;
    let seen = env.wait_collector("c", "has forced it to the disk", synced);
    let main = "{collector=\"c\",stream=\"main\"}";
    let text = wait_until("the figures are those", SOON, || {
        let (status, text) = get(&place, "/metrics", "");
        assert_eq!(status, 200);
        text.contains("reason=\"max_per_address\"} 1\n").then_some(text)
    });
    for (name, wanted) in [
        ("received_bytes_total", 7.0),
        ("stored_bytes_total", 7.0),
        ("synced_bytes_total", 7.0),
        ("added_bytes_total", 1.0),
        ("pending_bytes", 0.0),
        ("records_total", 2.0),
        ("senders_open", 1.0),
        ("senders_accepted_total", 2.0),
        ("senders_cut_total", 0.0),
        ("rotations_total", 0.0),
        ("fsync_seconds_count", 1.0),
    ] {
        let told = figure(&text, &format!("reclog_{name}{main}"));
        assert!((told - wanted).abs() < 0.1, "{name}: {told}");
    }
    assert!(figure(&text, &format!("reclog_write_seconds_count{main}")) >= 1.0);
    let free = format!("reclog_output_free_bytes{{collector=\"c\",stream=\"main\",output=\"{}\"}}", env.arg("c.log"));
    assert!(figure(&text, &free) > 1e6);
    assert!((figure(&text, &free.replace("free_bytes", "bytes")) - 8.0).abs() < 0.1);
    let last: jiff::Timestamp = seen["streams"][0]["last_record"].as_str().expect("a time").parse().unwrap();
    let told = figure(&text, &format!("reclog_last_record_timestamp_seconds{main}"));
    assert!((told - last.as_duration().as_secs_f64()).abs() < 0.01, "{told} {last}");
    assert!((figure(&text, "reclog_state{collector=\"c\",state=\"up\"}") - 1.0).abs() < 0.1);
    let (_, open) = get(&place, "/metrics", "Accept: application/openmetrics-text; version=1.0.0\r\n");
    assert!(open.ends_with("# EOF\n") && open.contains("# TYPE reclog_records counter\n"), "{open}");
    // The verb gives the same figures.
    let names = |text: &str| {
        let name = |line: &str| line.rsplit_once(' ').map(|line| line.0.to_owned());
        text.lines().filter(|line| !line.starts_with("# EOF")).filter_map(name).collect::<Vec<_>>()
    };
    assert_eq!(names(&env.run(&["metrics", "c"]).ok().stdout), names(&text));
    assert_eq!(names(&env.run(&["metrics", "--openmetrics"]).ok().stdout), names(&open));
    assert_eq!(get(&place, "/healthz", ""), (200, "ok\n".into()));
    assert_eq!(get(&place, "/readyz", "").0, 200);
    assert!(env.run(&["status"]).ok().stdout.contains(&format!("metrics at {place}\n")));
    env.down("c");
    TcpStream::connect(&place).unwrap_err();
    env.assert_nothing_left();
}

#[test]
fn promtool_finds_nothing_to_say_about_the_older_format() {
    require!("promtool");
    let env = Env::new();
    profile(&env, "127.0.0.1:0", "    max_per_address: 1\n");
    let collector = up(&env);
    send(collector.port(), "one\ntwo");
    env.wait_collector("c", "has forced it to the disk", |c| c["streams"][0]["ledger"]["synced"] == 7);
    let mut promtool = Command::new("promtool");
    promtool.args(["check", "metrics"]);
    pleases(promtool, &get(&place(&env), "/metrics", "").1);
}

#[test]
fn a_strict_parser_of_openmetrics_takes_the_newer_one() {
    let name = "a_strict_parser_of_openmetrics_takes_the_newer_one";
    let here = Command::new(PYTHON).args(["-c", "import prometheus_client"]).stderr(Stdio::null()).status();
    if !here.is_ok_and(|status| status.success()) {
        return common::lacks(name, "prometheus_client", "python3-prometheus-client");
    }
    let env = Env::new();
    profile(&env, "127.0.0.1:0", "");
    let collector = up(&env);
    send(collector.port(), "one\ntwo");
    env.wait_collector("c", "has forced it to the disk", |c| c["streams"][0]["ledger"]["synced"] == 7);
    let text = get(&place(&env), "/metrics", "Accept: application/openmetrics-text\r\n").1;
    let mut python = Command::new(PYTHON);
    python.args([
        "-c",
        "import sys\n\
         from prometheus_client.openmetrics.parser import text_string_to_metric_families as families\n\
         all = {f.name: f for f in families(sys.stdin.read())}\n\
         assert all['reclog_records'].type == 'counter', all['reclog_records']\n\
         assert all['reclog'].type == 'info', all['reclog']\n\
         assert (all['reclog_fsync_seconds'].type, all['reclog_fsync_seconds'].unit) == ('histogram', 'seconds')\n\
         assert len(all) > 22, sorted(all)",
    ]);
    pleases(python, &text);
}

#[test]
fn a_file_for_the_node_exporter_is_there_whatever_runs() {
    let env = Env::new();
    let file = env.path("work/reclog.prom");
    let write = |args: &[&str]| -> Run { env.run(&[&["metrics"], args, &["--textfile", "reclog.prom"]].concat()) };
    write(&[]).ok();
    assert!(read_text(&file).ends_with("\nreclog_up 0\n"), "{}", read_text(&file));
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o644);
    write(&["c"]).ok();
    assert!(read_text(&file).ends_with("\nreclog_up{collector=\"c\"} 0\n"));
    let nothing = env.run(&["metrics"]).fails(3);
    assert!(nothing.stdout.ends_with("\nreclog_up 0\n"), "{nothing:?}");
    env.run(&["metrics", "c"]).fails(3).says("no collector \"c\"");
    env.listen(&["--out", &env.arg("c.log"), "--name", "c"]);
    env.listen(&["--out", &env.arg("d.log"), "--name", "d"]);
    let before = std::fs::File::open(&file).unwrap();
    write(&[]).ok();
    let text = read_text(&file);
    assert!(text.contains("reclog_up{collector=\"c\"} 1\nreclog_up{collector=\"d\"} 1\n"), "{text}");
    assert!(!text.contains("# EOF"), "the node exporter does not read that");
    let mut old = String::new();
    (&before).read_to_string(&mut old).unwrap();
    assert!(old.ends_with("reclog_up{collector=\"c\"} 0\n"), "whoever had the old file open reads it to its end");
    assert_eq!(std::fs::read_dir(env.path("work")).unwrap().count(), 2, "the file and the ssh_config of the test");
    env.run(&["metrics", "--textfile", "none/reclog.prom"]).fails(1).says("none/reclog.prom: No such file");
    std::fs::create_dir(env.path("work/folder")).unwrap();
    env.run(&["metrics", "--textfile", "folder"]).fails(1).says("folder: Is a directory");
    assert_eq!(std::fs::read_dir(env.path("work")).unwrap().count(), 3, "nothing is left beside it");
    env.run(&["metrics", "--textfile", "x", "--openmetrics"]).fails(2);
}

#[test]
fn a_port_that_is_taken_fails_the_start_and_leaves_nothing() {
    let env = Env::new();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    profile(&env, &taken, "");
    env.run(&["up", "c"]).fails(1).says(format!("cannot serve metrics at {taken}: ")).hinted();
    assert!(!env.path("c.log").exists());
    env.assert_nothing_left();
    env.write("x", "");
    profile(&env, &format!("unix:{}", env.arg("x")), "");
    env.run(&["up", "c"]).fails(1).says("no socket stands there");
    assert!(env.path("x").is_file());
    // A place that is no place.
    for (bad, says) in [("9184", "127.0.0.1:9184"), ("udp:127.0.0.1:9184", "UDP"), ("unix:x", "does not begin with /")]
    {
        profile(&env, bad, "");
        env.run(&["up", "c"]).fails(2).says(says).says("line 1, column 10");
    }
    profile(&env, "192.0.2.1:9184", "");
    env.run(&["up", "c"]).fails(1).says("192.0.2.1:9184");
    env.assert_nothing_left();
}

#[test]
fn figures_for_everybody_are_what_an_auditor_asks_about() {
    let env = Env::new();
    profile(&env, "\"*:9184\"", "");
    let public = env.run(&["profile", "check", "c"]).ok().prints("metrics         *:9184\n");
    assert!(format!("{public:?}").contains("whoever reaches *:9184 can read figures"), "{public:?}");
    profile(&env, "127.0.0.1:9184", "");
    let private = env.run(&["profile", "check", "c"]).ok();
    assert!(!format!("{private:?}").contains("can read figures"), "{private:?}");
}

#[test]
fn a_socket_is_for_its_owner_replaces_a_stale_one_and_goes_at_down() {
    let env = Env::new();
    let socket = env.path("m.sock");
    drop(UnixListener::bind(&socket).unwrap());
    profile(&env, &format!("unix:{}", socket.display()), "");
    up(&env);
    let there = std::fs::symlink_metadata(&socket).unwrap();
    assert!(there.file_type().is_socket() && there.permissions().mode() & 0o777 == 0o600);
    assert_eq!(get(&place(&env), "/readyz", ""), (200, "ready\n".into()));
    // Somebody clears it away and takes its place: the collector lives, and says so.
    std::fs::remove_file(&socket).unwrap();
    let other = UnixListener::bind(&socket).unwrap();
    let health = |c: &Value| c["health"][0].as_str().unwrap_or_default().to_owned();
    let told = env.wait_collector("c", "says so", |c| health(c).contains("another program listens there"));
    assert!(health(&told).starts_with("metrics are not served at unix:"), "{told}");
    assert_eq!(told["state"], "up");
    drop(other);
    env.wait_collector("c", "has it back", |c| c["health"] == serde_json::json!([]));
    assert_eq!(get(&place(&env), "/readyz", "").0, 200);
    env.down("c");
    assert!(!socket.exists());
    env.assert_nothing_left();
}

#[test]
fn a_restart_goes_on_serving_and_never_fails_for_a_port() {
    let env = Env::new();
    profile(&env, &format!("127.0.0.1:{}", free_port()), "");
    up(&env);
    let before = place(&env);
    env.started(env.run(&["restart", "c", "--json"]));
    assert_eq!((place(&env), get(&before, "/readyz", "").0), (before.clone(), 200));
    // The profile names another one now, and somebody has it.
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    profile(&env, &taken, "");
    env.started(env.run(&["restart", "c", "--json"]));
    let told = env.wait_collector("c", "says so", |c| c["health"] != serde_json::json!([]));
    assert_eq!(told["health"][0], format!("metrics are not served at {taken}: Address already in use"));
    assert_eq!(told["state"], "up");
    drop(other);
    env.wait_collector("c", "has it at last", |c| c["health"] == serde_json::json!([]));
    assert_eq!(get(&taken, "/readyz", "").0, 200);
}

#[test]
fn strangers_at_the_door_of_the_figures_hold_up_no_sender() {
    let env = Env::new();
    profile(&env, "127.0.0.1:0", "");
    let collector = up(&env);
    let place = place(&env);
    let silent: Vec<TcpStream> = (0..200)
        .map(|n| {
            let mut stream = TcpStream::connect(&place).unwrap();
            let _ = stream.write_all(if n % 2 == 0 { b"GET /metrics HTTP/1.1\r\nX: " } else { b"" });
            stream
        })
        .collect();
    let stop = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let floods: Vec<_> = (0..4)
        .map(|_| {
            let (place, stop) = (place.clone(), std::sync::Arc::clone(&stop));
            std::thread::spawn(move || {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    // Whoever is turned away comes again at once.
                    let Ok(mut stream) = TcpStream::connect(&place) else { continue };
                    let _ = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
                    let _ = stream.read(&mut [0; 64]);
                }
            })
        })
        .collect();
    common::flood(collector.port(), 20, 500);
    let stored = env.wait_collector("c", "has it all", |c| c["streams"][0]["records"] == 10_000);
    assert_eq!(stored["state"], "up");
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", collector.pid)).unwrap().count();
    assert!(descriptors < 90, "{descriptors} descriptors");
    // Those that say nothing are gone when their time is over, if not before.
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    for flood in floods {
        flood.join().unwrap();
    }
    drop(silent);
    assert_eq!(get(&place, "/metrics", "").0, 200);
    env.down("c");
    common::check_flood(&env.path("c.log"), 20, 500);
}

#[test]
fn figures_are_served_while_the_jump_host_is_away() {
    let env = Env::new();
    let nobody = free_port();
    env.write("known_hosts", "");
    let out = env.arg("c.log");
    env.write(
        "config/profiles/c.yaml",
        format!(
            "target: x@127.0.0.1:{nobody}\nmetrics: 127.0.0.1:0\nkeep_trying: true\nssh: {{ config: none }}\n\
             streams: {{ main: {{ remote_port: 0, out: {out} }} }}\n"
        ),
    );
    let _trying = env.spawn(&["up", "c", "--foreground"]);
    env.wait_collector("c", "tries", |c| c["health"].as_array().is_some_and(|health| !health.is_empty()));
    let place = place(&env);
    let (status, says) = get(&place, "/healthz", "");
    assert!(status == 503 && says.contains("not connected"), "{status} {says}");
    assert_eq!(get(&place, "/readyz", "").0, 503);
    assert!((figure(&get(&place, "/metrics", "").1, "reclog_up{collector=\"c\"}") - 1.0).abs() < 0.1);
}

/// Seconds of processor time that the process has had.
fn cpu(pid: u32) -> f64 {
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten();
    let time = |task: std::fs::DirEntry| -> u64 {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        text.split(' ').next().and_then(|nanos| nanos.parse().ok()).unwrap_or_default()
    };
    std::time::Duration::from_nanos(tasks.map(time).sum()).as_secs_f64()
}

/// Prints what a scrape costs, which says something of a release build alone:
/// `cargo test --release --test metrics -- --nocapture scrape`.
#[test]
fn a_scrape_tells_of_a_hundred_streams() {
    const SCRAPES: u32 = 10;
    // Longer than figures are kept: each scrape looks them up anew.
    const BETWEEN: std::time::Duration = std::time::Duration::from_millis(60);
    let env = Env::new();
    let mut profile = "metrics: 127.0.0.1:0\nstreams:\n".to_owned();
    for n in 0..100 {
        profile += &format!("  s{n:02}:\n    listen: 127.0.0.1:0\n    out: {}\n", env.arg(&format!("{n}.log")));
    }
    env.write("config/profiles/c.yaml", profile);
    let collector = up(&env);
    for n in 0..100 {
        send(collector.port_at(n), "a line\n");
    }
    env.wait_collector("c", "has forced all to the disk", |c| {
        c["streams"].as_array().unwrap().iter().all(|stream| stream["fsync_seconds"]["count"] == 1)
    });
    let place = place(&env);
    for (name, header) in [("older format", ""), ("OpenMetrics", "Accept: application/openmetrics-text\r\n")] {
        let spend = |scrapes: bool| -> (f64, String) {
            let (before, mut text) = (cpu(collector.pid), String::new());
            for _ in 0..SCRAPES {
                if scrapes {
                    text = get(&place, "/metrics", header).1;
                }
                std::thread::sleep(BETWEEN);
            }
            (cpu(collector.pid) - before, text)
        };
        let ((idle, _), (busy, text)) = (spend(false), spend(true));
        for n in 0..100 {
            let line = format!("reclog_records_total{{collector=\"c\",stream=\"s{n:02}\"}} 1\n");
            assert!(text.contains(&line), "{name} lacks {line}");
        }
        let each = (busy - idle) / f64::from(SCRAPES) * 1000.0;
        println!(
            "{name}: {} bytes, {each:.3} ms of CPU a scrape ({busy:.3} s and {idle:.3} s without scrapes)",
            text.len()
        );
    }
}
