//! `down` while an output takes nothing: what is queued is kept in a file of its own, exactly.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::senders::{check_order, numbered};
use common::snapshot::{assert_balanced, number};
use common::{Env, SOON, flood, read, read_text, send};
use serde_json::{Value, json};

#[test]
fn what_a_full_disk_did_not_take_stands_in_a_rescue_file_as_it_would_have_followed() {
    let env = Env::new();
    let disk = disk!(env, "4m");
    let out = env.arg("disk/f");
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0", "--drain-timeout", "1s"]);
    // Room for a page: the first write is cut short in the middle of a line.
    disk.fill(4096);
    let sent = flood(collector.port(), 10, 100);
    env.wait_state("c", "stalled");
    let down = env.spawn(&["down", "c", "--json"]).wait_for(SOON).fails(1);
    let event = down.last_event();
    let stream = &event["streams"][0];
    assert_balanced(stream);
    let stored = read(&out);
    let rescue = event["rescue"].as_str().unwrap_or_else(|| panic!("no rescue: {event}")).to_owned();
    assert!(!stored.ends_with(b"\n"), "this test is about half a record");
    assert_eq!(number(&event["lost"]), sent - stored.len() as u64);
    assert_eq!((&stream["lost"], &stream["rescue"]), (&event["lost"], &event["rescue"]));
    assert_eq!(stream["ledger"]["discarded"], json!({"rescued": event["lost"]}));
    let name = env.path("state/c").join(&rescue);
    assert!(rescue.contains("/state/c/rescue-main-2"), "{rescue}");
    assert_eq!(name.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let all = [stored, read(&name)].concat();
    let counts = check_order(std::str::from_utf8(&all).unwrap());
    assert!(counts.len() == 10 && counts.values().all(|n| *n == 100), "{counts:?}");
    down.says("are kept in").says(&rescue);
    drop(disk);
    env.assert_nothing_left();
}

#[test]
fn bytes_that_cannot_be_kept_either_are_said_to_be_lost() {
    let env = Env::new();
    let disk = disk!(env, "4m");
    let out = env.arg("disk/f");
    // The state lies on the same disk.
    std::fs::create_dir(env.path("disk/c")).unwrap();
    std::fs::create_dir_all(env.path("state")).unwrap();
    std::os::unix::fs::symlink(env.path("disk/c"), env.path("state/c")).unwrap();
    std::fs::set_permissions(env.path("disk/c"), std::fs::Permissions::from_mode(0o700)).unwrap();
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0", "--drain-timeout", "1s"]);
    disk.fill(0);
    send(collector.port(), "kept waiting\n");
    env.wait_state("c", "stalled");
    let down = env.spawn(&["down", "c", "--json"]).wait_for(SOON).fails(1);
    let event = down.last_event();
    assert_eq!((number(&event["lost"]), event.get("rescue")), (13, None), "{event}");
    assert_eq!(event["streams"][0]["ledger"]["discarded"], json!({"lost": 13}));
    down.says("are lost").says("No space left").says("cannot keep them");
    let left: Vec<_> = env.path("disk/c").read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!left.iter().any(|n| n.to_string_lossy().starts_with("rescue")), "{left:?}");
    drop(disk);
    env.assert_nothing_left();
}

#[test]
fn what_hangs_in_a_frozen_disk_is_kept_and_may_be_doubled_which_is_said() {
    let env = Env::new();
    let disk = image!(env);
    let out = env.arg("disk/f");
    let collector = env.listen(&["--out", &out, "--name", "c", "--min-free", "0", "--drain-timeout", "1s"]);
    disk.freeze();
    let line = numbered(1, 1);
    send(collector.port(), &line);
    env.wait_state("c", "stalled");
    // The process cannot go before the disk answers; its totals can.
    let down = env.spawn(&["down", "c", "--json"]);
    let rescued = common::wait_until("the rescue file is there", SOON, || {
        let entries = env.path("state/c").read_dir().ok()?;
        entries.flatten().map(|e| e.path()).find(|p| p.to_string_lossy().contains("rescue-main"))
    });
    common::wait_until("all of it", SOON, || (read_text(&rescued) == line).then_some(()));
    let event: Value = {
        let mut down = down;
        serde_json::from_str(down.wait_stdout("\n").lines().last().unwrap_or_default())
            .unwrap_or_else(|e| panic!("{e}"))
    };
    disk.thaw();
    assert_eq!((number(&event["lost"]), event["rescue"].as_str()), (line.len() as u64, rescued.to_str()), "{event}");
    assert!(event["trouble"].to_string().contains("hangs"), "{event}");
    env.assert_nothing_left();
    let file = read_text(env.path("disk/f"));
    assert!(file.is_empty() || file == line, "{file:?}");
}
