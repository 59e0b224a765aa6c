//! Others put the file away: a log rotation of the system, a person, a mount that goes.

mod common;

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::senders::{check_order, numbered};
use common::snapshot::number;
use common::{Env, SOON, Sender, flood, procs, read, read_text, send, wait_until};
use rustix::process::Signal;

/// What the first output of `c` says.
fn output(env: &Env) -> serde_json::Value {
    env.stream("c")["outputs"][0].clone()
}

#[test]
fn senders_that_send_on_lose_no_line_to_a_file_that_is_renamed_again_and_again() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let (port, over) = (collector.port(), AtomicBool::new(false));
    let mut files = Vec::new();
    let sent: Vec<usize> = std::thread::scope(|scope| {
        let senders: Vec<_> = (0..4)
            .map(|s| {
                let over = &over;
                scope.spawn(move || {
                    let (mut sender, mut n) = (Sender::open(port), 0);
                    while !over.load(Ordering::Relaxed) {
                        sender.write((n..n + 20).map(|n| numbered(s, n)).collect::<String>());
                        n += 20;
                        std::thread::sleep(Duration::from_millis(5));
                    }
                    sender.finish();
                    n
                })
            })
            .collect();
        for n in 1..=4 {
            env.wait_collector("c", "has some", |c| number(&c["streams"][0]["outputs"][0]["bytes"]) > 1000);
            let old = env.path(format!("f.{n}"));
            std::fs::rename(env.path("f"), &old).unwrap();
            if n % 2 == 0 {
                // As `create` of logrotate does.
                drop(std::fs::File::create_new(env.path("f")));
            }
            files.push(old);
            env.wait_collector("c", "goes on in a new file", |c| c["streams"][0]["outputs"][0]["rotations"] == n);
        }
        over.store(true, Ordering::Relaxed);
        senders.into_iter().map(|s| s.join().unwrap()).collect()
    });
    env.down("c");
    let mut all = String::new();
    for file in files.iter().chain([&env.path("f")]) {
        let text = read_text(file);
        assert!(text.is_empty() || text.ends_with('\n'), "{file:?} ends in the middle of a record");
        all.push_str(&text);
    }
    assert_eq!(check_order(&all).into_values().collect::<Vec<_>>(), sent);
}

/// Waits until the output has gone on; at most a second by the contract. The socket is asked: to start a process takes
/// longer on a busy machine.
#[track_caller]
fn noticed(env: &Env, rotations: u64) {
    let start = Instant::now();
    wait_until("it has noticed", SOON, || {
        let told = env.ask("c", "status");
        (number(&told["collector"]["streams"][0]["outputs"][0]["rotations"]) == rotations).then_some(())
    });
    assert!(start.elapsed() < Duration::from_millis(1500), "noticed only after {:?}", start.elapsed());
}

#[test]
fn rename_unlink_and_truncate_are_noticed_within_a_second_when_nobody_sends() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let store = |line: &str| {
        send(collector.port(), line);
        env.wait_collector("c", "stored it", |c| c["streams"][0]["outputs"][0]["bytes"] == line.len());
    };
    store("renamed\n");
    std::fs::rename(env.path("f"), env.path("old")).unwrap();
    noticed(&env, 1);
    assert_eq!(read(env.path("f")), b"", "the new file is there before the first byte");
    store("removed\n");
    std::fs::remove_file(env.path("f")).unwrap();
    noticed(&env, 2);
    store("truncated\n");
    let file = std::fs::File::options().write(true).open(env.path("f")).unwrap();
    file.set_len(0).unwrap();
    noticed(&env, 3);
    assert_eq!(number(&output(&env)["bytes"]), 0);
    store("last\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!((read(env.path("old")), read(env.path("f"))), (b"renamed\n".to_vec(), b"last\n".to_vec()));
    let ledger = &down["streams"][0]["ledger"];
    assert_eq!((number(&ledger["stored"]), &ledger["synced"]), (31, &ledger["stored"]));
    assert_eq!(down["streams"][0]["outputs"][0]["bytes"], 5);
}

#[test]
fn copytruncate_leaves_every_later_byte_at_the_beginning() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let first = flood(collector.port(), 3, 50);
    env.wait_stored("c", first);
    std::fs::copy(env.path("f"), env.path("copy")).unwrap();
    std::fs::File::options().write(true).open(env.path("f")).unwrap().set_len(0).unwrap();
    let second = numbered(7, 0);
    send(collector.port(), &second);
    env.wait_stored("c", first + second.len() as u64);
    env.wait_collector("c", "knows the size", |c| c["streams"][0]["outputs"][0]["bytes"] == second.len());
    env.down("c");
    assert_eq!(read_text(env.path("f")), second, "no hole before it");
    assert_eq!(read(env.path("copy")).len() as u64, first);
}

#[test]
fn sighup_reopens_at_once() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    for n in 1..=3 {
        send(collector.port(), "x\n");
        env.wait_stored("c", 2 * n);
        std::fs::rename(env.path("f"), env.path("old")).unwrap();
        procs::signal(collector.pid, Signal::HUP);
        env.wait_collector("c", "goes on in a new file", |c| c["streams"][0]["outputs"][0]["rotations"] == n);
    }
    // A file that is still its own is kept.
    procs::signal(collector.pid, Signal::HUP);
    send(collector.port(), "y\n");
    env.wait_stored("c", 8);
    assert_eq!(number(&output(&env)["rotations"]), 3);
    env.down("c");
    assert_eq!(read(env.path("f")), b"y\n");
}

/// Something that cannot be written to takes the file's name; the stall says what, and ends with it.
#[track_caller]
fn stands_in_the_way(make: impl Fn(&Env, &Path), says: &str) {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    // The name changes hands at once: no moment in which a new file could be made.
    let other = env.path("other");
    make(&env, &other);
    let flags = rustix::fs::RenameFlags::EXCHANGE;
    rustix::fs::renameat_with(rustix::fs::CWD, &other, rustix::fs::CWD, env.path("f"), flags).unwrap();
    let stalled = env.wait_state("c", "stalled");
    let health = stalled["health"].to_string();
    assert!(health.contains("/f: ") && health.contains(says), "{health}");
    send(collector.port(), "waits\n");
    env.wait_received("c", 6);
    assert_eq!(number(&env.stream("c")["ledger"]["stored"]), 0);
    rustix::fs::renameat_with(rustix::fs::CWD, env.path("f"), rustix::fs::CWD, env.path("away"), flags)
        .or_else(|_| rustix::fs::rename(env.path("f"), env.path("away")))
        .unwrap();
    env.wait_stored("c", 6);
    assert_eq!(env.wait_state("c", "up")["health"], serde_json::json!([]));
    env.down("c");
    assert_eq!(read(env.path("f")), b"waits\n");
}

#[test]
fn a_link_a_folder_and_a_pipe_in_its_place_are_named_and_waited_out() {
    stands_in_the_way(
        |env, at| std::os::unix::fs::symlink(env.write("victim", "old\n"), at).unwrap(),
        "a symbolic link",
    );
    stands_in_the_way(|_, at| std::fs::create_dir(at).unwrap(), "a folder");
    let fifo = |_: &Env, at: &Path| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, at, kind, mode, 0).unwrap();
    };
    stands_in_the_way(fifo, "a named pipe");
}

#[test]
fn a_file_of_another_collector_is_left_alone() {
    let env = Env::new();
    let one = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let two = env.listen(&["--out", &env.arg("g"), "--name", "d"]);
    // `g` gets a second name, under which `c` looks for its file.
    std::fs::hard_link(env.path("g"), env.path("h")).unwrap();
    std::fs::rename(env.path("h"), env.path("f")).unwrap();
    let stalled = env.wait_state("c", "stalled");
    assert!(stalled["health"].to_string().contains("another collector has"), "{stalled}");
    send(two.port(), "of d\n");
    send(one.port(), "of c\n");
    env.wait_received("c", 5);
    std::fs::remove_file(env.path("f")).unwrap();
    env.wait_stored("c", 5);
    env.run(&["down", "--all"]).ok();
    assert_eq!((read(env.path("f")), read(env.path("g"))), (b"of c\n".to_vec(), b"of d\n".to_vec()));
}
