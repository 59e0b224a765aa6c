//! Rotation inside the writer: every line once and whole over file and archives, whatever the moment.

mod common;

use std::time::{Duration, SystemTime};

use common::senders::{check_order, numbered};
use common::snapshot::{assert_balanced, number};
use common::{Env, flood, read, read_text, send};
use serde_json::json;

#[test]
fn fifty_senders_lose_no_line_to_a_rotation_at_a_size() {
    let env = Env::new();
    let collector =
        env.listen(&["--out", &env.arg("f"), "--name", "c", "--rotate-size", "100KB", "--sync", "interval"]);
    let sent = flood(collector.port(), 50, 400);
    env.wait_stored("c", sent);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_balanced(stream);
    let ledger = &stream["ledger"];
    assert_eq!((number(&ledger["stored"]), &ledger["synced"], &ledger["added"]), (sent, &json!(sent), &json!(0)));
    let archives = env.archives("f");
    assert!(archives.len() >= 10, "{archives:?}");
    assert_eq!(number(&stream["outputs"][0]["rotations"]), archives.len() as u64);
    assert_eq!(number(&stream["outputs"][0]["bytes"]), read(env.path("f")).len() as u64);
    let mut all = String::new();
    for archive in &archives {
        let text = read_text(archive);
        assert!(text.ends_with('\n'), "{archive:?} ends in the middle of a record");
        let last = text.trim_end().rfind('\n').map_or(text.len(), |n| text.len() - n);
        assert!(text.len() >= 100_000 && text.len() < 100_000 + last, "{archive:?} has {} bytes", text.len());
        all.push_str(&text);
    }
    all.push_str(&read_text(env.path("f")));
    let counts = check_order(&all);
    assert!(counts.len() == 50 && counts.values().all(|n| *n == 400), "{counts:?}");
    assert!(!env.path("f.rotating").exists());
}

#[test]
fn a_request_puts_the_file_away_and_names_the_archive() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--sync", "never"]);
    let empty = env.ask("c", "rotate");
    assert_eq!(empty["event"], "rotated", "{empty}");
    assert_eq!(empty["outputs"][0], json!({"stream": "main", "output": env.path("f"), "archive": null, "bytes": 0}));
    assert_eq!(env.archives("f"), Vec::<std::path::PathBuf>::new());
    let mut names = Vec::new();
    for n in 0..3 {
        let line = numbered(0, n);
        send(collector.port(), &line);
        env.wait_collector("c", "stored it", |c| c["streams"][0]["outputs"][0]["bytes"] == line.len());
        let answer = env.ask("c", "rotate");
        assert_eq!(answer["outputs"][0]["bytes"], line.len(), "{answer}");
        let archive = answer["outputs"][0]["archive"].as_str().expect("an archive").to_owned();
        assert_eq!(read_text(&archive), line);
        let told = &env.stream("c")["outputs"][0];
        assert_eq!((number(&told["bytes"]), number(&told["rotations"])), (0, n as u64 + 1), "{told}");
        names.push(archive);
    }
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(
        number(&env.stream("c")["ledger"]["synced"]),
        0,
        "with `never` nothing is told as synced before the end"
    );
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let ledger = &down["streams"][0]["ledger"];
    assert_eq!(ledger["synced"], ledger["stored"], "{ledger}");
    // The file that is left belongs to nobody: the lock went with the new one, and is free now.
    env.listen(&["--out", &env.arg("f"), "--name", "d"]);
    env.down("d");
}

#[test]
fn the_new_file_is_locked_as_the_old_one_was() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    send(collector.port(), "x\n");
    env.wait_stored("c", 2);
    assert_eq!(env.ask("c", "rotate")["event"], "rotated");
    let second = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("f"), "--name", "d"]);
    second.fails(1).says("is written by the collector \"c\"");
}

#[test]
fn a_file_whose_time_came_while_nobody_ran_is_put_away_at_the_start() {
    let env = Env::new();
    let old = env.write("f", "of long ago\n");
    let ago = SystemTime::now() - Duration::from_secs(49 * 3600);
    std::fs::File::options().append(true).open(&old).unwrap().set_modified(ago).unwrap();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--rotate-every", "daily"]);
    env.wait_collector("c", "has put it away", |c| c["streams"][0]["outputs"][0]["rotations"] == 1);
    send(collector.port(), "of today\n");
    env.down("c");
    let archives = env.archives("f");
    assert_eq!(archives.len(), 1);
    assert_eq!((read_text(&archives[0]), read_text(env.path("f"))), ("of long ago\n".into(), "of today\n".into()));
    // An hour has not passed since then: the next start leaves the file alone.
    env.listen(&["--out", &env.arg("f"), "--name", "c", "--rotate-every", "daily"]);
    assert_eq!(number(&env.stream("c")["outputs"][0]["rotations"]), 0);
    env.down("c");
}

#[test]
fn what_a_killed_rotation_left_is_finished_at_the_next_start() {
    let env = Env::new();
    // The new file had changed names with the old one, which had no archive name yet.
    env.write("f", "");
    env.write("f.rotating", "old\n");
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    env.down("c");
    let archives = env.archives("f");
    assert_eq!((archives.len(), read_text(&archives[0]), read_text(env.path("f"))), (1, "old\n".into(), String::new()));
    // The new file had not got its name yet.
    env.write("f.rotating", "");
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    env.down("c");
    assert!(!env.path("f.rotating").exists() && env.archives("f").len() == 1);
}

#[test]
fn a_rotation_that_cannot_be_done_is_told_and_holds_up_nobody() {
    let env = Env::new();
    std::fs::create_dir(env.path("logs")).unwrap();
    let collector = env.listen(&["--out", &env.arg("logs/f"), "--name", "c", "--rotate-size", "1KB"]);
    let folder = env.path("logs");
    let change = |how: &str| {
        std::process::Command::new("chattr").arg(how).arg(&folder).output().is_ok_and(|o| o.status.success())
    };
    // Root is stopped by no mode, but by this flag.
    if !change("+i") {
        return common::disk::left_out("a_rotation_that_cannot_be_done…", "cannot make a folder immutable");
    }
    let sent = flood(collector.port(), 5, 100);
    let told = env.wait_collector("c", "says that it cannot", |c| c["health"].to_string().contains("put "));
    assert!(told["health"][0].as_str().unwrap().contains("Operation not permitted"), "{told}");
    assert_eq!(told["state"], "up");
    env.wait_stored("c", sent);
    let answer = env.ask("c", "rotate");
    assert!(answer["error"]["message"].as_str().unwrap().contains("logs/f"), "{answer}");
    assert!(change("-i"));
    let well = env.wait_collector("c", "has put it away", |c| c["streams"][0]["outputs"][0]["rotations"] == 1);
    assert_eq!(well["health"], json!([]));
    env.down("c");
    let archives = env.archives("logs/f");
    assert_eq!((archives.len(), read(&archives[0]).len() as u64), (1, sent));
}
