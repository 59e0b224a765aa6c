//! `listen`: the same engine on a local port, without SSH.

mod common;

use common::env::binary;
use common::snapshot::assert_settled;
use common::{Bg, Env, check_flood, flood, free_port, listening, read, send};
use serde_json::Value;

#[test]
fn listen_collects_without_any_ssh() {
    let env = Env::new();
    let run = env.run(&["listen", "0", "--out", &env.arg("f"), "--name", "local", "--json"]);
    let collector = env.started(run);
    let port = collector.port();
    assert!(listening(port), "0 lets the system choose, and the choice is told");
    let told = env.snapshot("local");
    assert_eq!((&told["target"], &told["state"]), (&Value::Null, &"up".into()));
    assert_eq!(told["streams"][0]["remote_port"], port);
    assert_eq!(told["health"], serde_json::json!([]));
    let sent = flood(port, 20, 100);
    let down = env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(down["streams"][0]["ledger"]["received"], sent);
    check_flood(&env.path("f"), 20, 100);
    assert!(!listening(port));
    env.assert_nothing_left();
}

#[test]
fn what_a_script_has_open_is_not_kept_open() {
    let env = Env::new();
    let mut script = env.command("sh");
    script.args(["-c", r#"exec 9>"$1"; shift; exec "$@""#, "sh", &env.arg("lock"), &binary().to_string_lossy()]);
    script.args(["listen", "0", "--out", &env.arg("f"), "--name", "local", "--json"]);
    let collector = env.started(Bg::spawn(script).wait());
    let open = std::fs::read_dir(format!("/proc/{}/fd", collector.pid)).unwrap().flatten();
    let open: Vec<_> = open.filter_map(|fd| std::fs::read_link(fd.path()).ok()).collect();
    assert!(open.contains(&env.path("f")) && !open.contains(&env.path("lock")), "{open:?}");
    env.down("local");
}

#[test]
fn listen_prints_the_same_block_as_up() {
    let (env, port) = (Env::new(), free_port());
    let run = env.run(&["listen", &format!("127.0.0.1:{port}"), "--out", "f.log", "--name", "local"]).ok();
    env.expect(env.processes()[0]);
    let pid = env.snapshot("local")["pid"].as_u64().unwrap();
    let out = env.path("work/f.log");
    let head = format!("✔ 127.0.0.1:{port} → {}   (collector \"local\", pid {pid})\n  send   ", out.display());
    assert!(run.stdout.starts_with(&head), "{:?} is not {head:?}", run.stdout);
    assert!(run.stdout.ends_with("\n  stop   reclog down local\n"), "{:?}", run.stdout);
    send(port, "x\n");
    env.down("local");
    assert_eq!(read(out), b"x\n");
}

#[test]
fn an_address_limits_who_can_reach_the_port() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    assert_eq!(env.stream("c")["bind"], "127.0.0.1");
    let other = std::net::TcpStream::connect(("127.0.0.2", collector.port()));
    assert!(other.is_err(), "bound to 127.0.0.1 and reached through 127.0.0.2");
    env.down("c");
}

#[test]
fn a_port_alone_listens_on_both_address_families() {
    let (env, port) = (Env::new(), free_port());
    let run = env.run(&["listen", &port.to_string(), "--out", &env.arg("f"), "--name", "c", "--json"]);
    env.started(run);
    send(port, "four\n");
    if std::net::TcpListener::bind("[::1]:0").is_ok() {
        let mut six = std::net::TcpStream::connect(("::1", port)).expect("reachable over IPv6");
        std::io::Write::write_all(&mut six, b"six\n").unwrap();
        drop(six);
        env.wait_stored("c", 9);
    }
    env.down("c");
    assert!(read(env.path("f")).starts_with(b"four\n"));
}

#[test]
fn synced_grows_with_always_and_waits_for_down_with_never() {
    let env = Env::new();
    for (sync, before_down) in [("always", 2), ("never", 0)] {
        let out = env.path(sync);
        let collector = env.listen(&["--out", &env.arg(sync), "--name", sync, "--sync", sync]);
        send(collector.port(), "x\n");
        let told = env.wait_collector(sync, "has synced", |c| {
            let ledger = &c["streams"][0]["ledger"];
            ledger["stored"] == 2 && ledger["synced"] == before_down
        });
        assert_eq!(told["state"], "up");
        let down = env.run(&["down", sync, "--json"]).ok().last_event();
        assert_settled(&down["streams"][0], &out);
    }
}
