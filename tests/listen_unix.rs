//! `listen unix:/path`: for programs of this machine and this account.

mod common;

use std::io::Write as _;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};

use common::snapshot::assert_settled;
use common::{Collector, Env, SOON, procs, read_text, wait_until};

fn place(env: &Env) -> String {
    format!("unix:{}", env.arg("log.sock"))
}

#[track_caller]
fn listen(env: &Env) -> Collector {
    env.started(env.run(&["listen", &place(env), "--out", &env.arg("f"), "--name", "c", "--json"]))
}

#[track_caller]
fn send(env: &Env, text: &str) {
    UnixStream::connect(env.path("log.sock")).unwrap().write_all(text.as_bytes()).unwrap();
}

#[test]
fn programs_of_this_account_send_to_a_socket_that_is_gone_after_down() {
    let env = Env::new();
    let run = env.run(&["listen", &place(&env), "--out", &env.arg("f"), "--name", "c"]).ok();
    env.expect(env.processes()[0]);
    assert!(run.stdout.starts_with(&format!("✔ {} → ", place(&env))), "{}", run.stdout);
    assert!(run.stdout.contains(&format!("UNIX-CONNECT:{}\n", env.arg("log.sock"))), "{}", run.stdout);
    assert_eq!(env.path("log.sock").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    send(&env, "one\ntwo\n");
    send(&env, "no end");
    env.wait_stored("c", 14);
    let stream = env.stream("c");
    assert_eq!(stream["socket"], env.arg("log.sock"));
    assert_eq!(stream["datagrams_lost"], serde_json::Value::Null);
    assert!(env.run(&["status"]).ok().stdout.contains(&env.arg("log.sock")));
    assert_eq!(env.run(&["tail", "c", "-n", "1"]).ok().stdout, "no end\n");
    let down = env.run(&["down", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert!(!env.path("log.sock").exists());
    let audit = env.run(&["audit", "c", "--json"]).ok().events();
    let me = format!("unix:uid={},pid={}", rustix::process::geteuid().as_raw(), std::process::id());
    assert!(audit.iter().any(|e| e["event"] == "sender_open" && e["peer"] == me.as_str()), "{audit:?}");
    assert!(audit.iter().any(|e| e["event"] == "forward" && e["socket"] == env.arg("log.sock")), "{audit:?}");
    let told = env.run(&["audit", "c"]).ok().stdout;
    assert!(told.contains(&format!("main {}", place(&env))), "{told}");
    env.assert_nothing_left();
}

#[test]
fn what_a_killed_collector_left_is_replaced() {
    let env = Env::new();
    let killed = listen(&env);
    send(&env, "one\n");
    env.wait_stored("c", 4);
    procs::kill(killed.pid);
    wait_until("it is gone", SOON, || (!procs::alive(killed.pid)).then_some(()));
    assert!(env.path("log.sock").symlink_metadata().unwrap().file_type().is_socket());
    listen(&env);
    send(&env, "two\n");
    env.wait_stored("c", 4);
    env.down("c");
    assert_eq!(read_text(env.path("f")), "one\ntwo\n");
    assert!(!env.path("log.sock").exists());
}

#[test]
fn what_is_somebody_elses_is_refused_and_left_alone() {
    let env = Env::new();
    let refused = |why: &str| {
        let run = env.run(&["listen", &place(&env), "--out", &env.arg("f"), "--name", "c"]);
        run.fails(1).says(format!("cannot listen on {}", place(&env))).says(why).hinted();
        assert!(!env.path("f").exists());
        env.assert_nothing_left();
    };
    let path = env.path("log.sock");
    let listener = UnixListener::bind(&path).unwrap();
    refused("another program listens there");
    assert!(UnixStream::connect(&path).is_ok());
    drop(listener);
    std::fs::remove_file(&path).unwrap();
    let datagrams = UnixDatagram::bind(&path).unwrap();
    refused("another program listens there");
    drop(datagrams);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, "precious").unwrap();
    refused("a file that is no socket stands there");
    assert_eq!(read_text(&path), "precious");
    std::fs::remove_file(&path).unwrap();
    let run = env.run(&["listen", &format!("unix:{}/no/log.sock", env.arg("x")), "--out", &env.arg("f")]);
    run.fails(1).says("its folder does not exist");
}

#[test]
fn a_path_as_long_as_a_socket_can_have_is_listened_at_whatever_its_last_name() {
    let env = Env::new();
    let folder = env.arg("x");
    let folder = format!("{folder}{}", "x".repeat(107 - folder.len() - "/s".len()));
    std::fs::create_dir(&folder).unwrap();
    let path = format!("{folder}/s");
    // Nobody listens there any more.
    drop(UnixListener::bind(&path).unwrap());
    env.started(env.run(&["listen", &format!("unix:{path}"), "--out", &env.arg("f"), "--name", "c", "--json"]));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    UnixStream::connect(&path).unwrap().write_all(b"one\n").unwrap();
    env.wait_stored("c", 4);
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 1);
    env.down("c");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 0);
    let run = env.run(&["listen", &format!("unix:{path}2"), "--out", &env.arg("f")]);
    run.fails(2).says("its path has more than 107 bytes");
}

#[test]
fn two_collectors_at_one_path_are_one_too_many() {
    let env = Env::new();
    listen(&env);
    let run = env.run(&["listen", &place(&env), "--out", &env.arg("g"), "--name", "d"]);
    run.fails(1).says("another program listens there");
    send(&env, "still here\n");
    env.wait_stored("c", 11);
    env.down("c");
}
