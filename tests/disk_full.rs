//! A disk that fills, goes, or may only be read: senders wait, and nothing goes where nobody finds it.

mod common;

use common::senders::{check_order, numbered};
use common::snapshot::{assert_settled, number};
use common::{Env, check_flood, flood, read, read_text, send};

#[test]
fn a_stall_comes_before_the_disk_has_less_than_it_shall_keep() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "2MiB"]);
    disk.fill(4 * 1024 * 1024);
    let sent = flood(collector.port(), 20, 4000);
    assert!(sent > 2 * 1024 * 1024, "{sent}");
    let stalled = env.wait_state("c", "stalled");
    let health = stalled["health"].to_string();
    assert!(health.contains("disk/f") && health.contains("min_free"), "{health}");
    assert!(disk.left() >= 2 * 1024 * 1024, "{} left", disk.left());
    let stored = number(&stalled["streams"][0]["ledger"]["stored"]);
    assert!(stored > 1024 * 1024, "only {stored} were written");
    assert!(read(env.path("disk/f")).ends_with(b"\n"), "it stops between two records");
    disk.free();
    env.wait_stored("c", sent);
    assert_eq!(env.wait_state("c", "up")["health"], serde_json::json!([]));
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("disk/f"));
    check_flood(&env.path("disk/f"), 20, 4000);
}

#[test]
fn a_mount_that_goes_is_a_stall_and_one_that_comes_back_takes_the_rest() {
    let env = Env::new();
    let disk = disk!(env, "8m");
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "0"]);
    send(collector.port(), numbered(1, 0));
    env.wait_stored("c", numbered(1, 0).len() as u64);
    disk.unmount();
    // Noticed although nobody sends.
    let stalled = env.wait_state("c", "stalled");
    assert!(stalled["health"].to_string().contains("nothing is mounted at"), "{stalled}");
    send(collector.port(), numbered(1, 1) + &numbered(1, 2));
    env.wait_collector("c", "holds them", |c| number(&c["streams"][0]["ledger"]["pending"]) > 0);
    assert_eq!(env.path("disk").read_dir().unwrap().count(), 0, "nothing is written below the mount");
    disk.mount_again("8m").unwrap();
    env.wait_collector("c", "has written them", |c| {
        c["state"] == "up" && number(&c["streams"][0]["ledger"]["pending"]) == 0
    });
    env.down("c");
    assert_eq!(read_text(env.path("disk/f")), numbered(1, 1) + &numbered(1, 2));
}

#[test]
fn a_folder_that_is_moved_away_is_a_stall_until_it_is_back() {
    let env = Env::new();
    std::fs::create_dir(env.path("logs")).unwrap();
    let collector = env.listen(&["--out", &env.arg("logs/f"), "--name", "c"]);
    send(collector.port(), numbered(1, 0));
    env.wait_stored("c", numbered(1, 0).len() as u64);
    std::fs::rename(env.path("logs"), env.path("elsewhere")).unwrap();
    let stalled = env.wait_state("c", "stalled");
    let health = stalled["health"].to_string();
    assert!(health.contains("logs is gone"), "{health}");
    let rest: String = (1..1000).map(|n| numbered(1, n)).collect();
    send(collector.port(), &rest);
    env.wait_collector("c", "holds them", |c| number(&c["streams"][0]["ledger"]["pending"]) > 0);
    std::fs::rename(env.path("elsewhere"), env.path("logs")).unwrap();
    env.wait_stored("c", (rest.len() + numbered(1, 0).len()) as u64);
    let up = env.wait_state("c", "up");
    assert_eq!(number(&up["streams"][0]["outputs"][0]["rotations"]), 0, "it is the file that it was");
    env.down("c");
    assert_eq!(check_order(&read_text(env.path("logs/f")))[&1], 1000);
}

#[test]
fn a_file_system_that_turns_read_only_is_a_stall_until_another_takes_its_place() {
    let env = Env::new();
    let disk = image!(env);
    let collector = env.listen(&["--out", &env.arg("disk/f"), "--name", "c", "--min-free", "0"]);
    send(collector.port(), numbered(1, 0));
    env.wait_stored("c", numbered(1, 0).len() as u64);
    // What ext4 does to itself after an error.
    disk.remount("abort");
    send(collector.port(), numbered(1, 1));
    let stalled = env.wait_state("c", "stalled");
    assert!(stalled["health"].to_string().contains("Read-only file system"), "{stalled}");
    drop(disk);
    let stalled =
        env.wait_collector("c", "says that it is gone", |c| c["health"].to_string().contains("nothing is mounted"));
    assert_eq!(stalled["state"], "stalled");
    let disk = common::disk::Disk(env.path("disk"));
    disk.mount_again("8m").unwrap();
    env.wait_state("c", "up");
    let down = env.run(&["down", "c", "--json"]);
    assert_eq!(read_text(env.path("disk/f")), numbered(1, 1), "{down:?}");
}
