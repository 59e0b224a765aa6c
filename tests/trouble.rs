//! Collectors that are kicked, hung, hoarded upon and used for a long time. Starts that are interrupted or raced are in
//! `trouble_start.rs`, full disks in `trouble_disk.rs`.

mod common;

use std::os::unix::fs::PermissionsExt;

use common::snapshot::{assert_settled, number};
use common::{Env, Sender, Sshd, listening, procs, read, read_text, send};
use rustix::process::Signal;

/// Memory that the process has in RAM, in bytes.
#[track_caller]
fn resident(pid: u32) -> u64 {
    let text = read_text(format!("/proc/{pid}/status"));
    let line = text.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}

#[test]
fn senders_that_come_and_go_cost_no_memory() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let up = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let come_and_go = |n: usize| (0..n).for_each(|_| send(up.port(), "x\n"));
    come_and_go(2000);
    let warm = resident(up.pid);
    come_and_go(6000);
    let grown = resident(up.pid).saturating_sub(warm);
    assert!(grown < 4 << 20, "6,000 senders left {grown} bytes behind, {} each", grown / 6000);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_eq!(number(&down["streams"][0]["senders"]["accepted"]), 8000);
    assert_eq!(read(env.path("f")), b"x\n".repeat(8000));
}

/// A collector on a port of this machine that is told `kick` is as before: nobody is cut, nothing is lost.
fn kicked_in_vain(kick: impl FnOnce(&Env, &common::Collector)) {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let mut open = Sender::open(collector.port());
    open.write("before\nhal");
    env.wait_received("c", 10);
    kick(&env, &collector);
    let after = env.snapshot("c");
    assert_eq!((&after["state"], &after["reconnects"]), (&"up".into(), &0.into()), "{after:#}");
    assert_eq!((number(&after["streams"][0]["senders"]["open"]), &after["health"]), (1, &serde_json::json!([])));
    open.write("f\n");
    open.finish();
    send(collector.port(), "after\n");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    assert_eq!(down["streams"][0]["senders"]["cut"], 0);
    assert_eq!(read(env.path("f")), b"before\nhalf\nafter\n");
    env.assert_nothing_left();
}

#[test]
fn a_local_collector_refuses_a_kick_and_goes_on() {
    kicked_in_vain(|env, _| drop(env.run(&["kick", "c"]).fails(1).says("c").says("no connection")));
}

#[test]
fn a_local_collector_ignores_sigusr1() {
    kicked_in_vain(|env, collector| {
        procs::signal(collector.pid, Signal::USR1);
        // A second sender is served after the signal was.
        send(collector.port(), "");
        env.wait_collector("c", "has served it", |c| number(&c["streams"][0]["senders"]["accepted"]) == 2);
    });
}

#[test]
fn down_all_stops_the_others_and_names_the_one_that_hangs() {
    let env = Env::new();
    let hung = env.listen(&["--out", &env.arg("1"), "--name", "hung"]);
    let well = env.listen(&["--out", &env.arg("2"), "--name", "well"]);
    send(well.port(), "x\n");
    procs::signal(hung.pid, Signal::STOP);
    env.run(&["down", "--all"]).fails(1).hinted().says("hung");
    assert!(!procs::alive(well.pid) && !listening(well.port()), "the other one is still there");
    assert_eq!(read(env.path("2")), b"x\n");
    procs::signal(hung.pid, Signal::CONT);
    env.down("hung");
    env.assert_nothing_left();
}

#[test]
fn a_runtime_folder_that_others_may_write_to_is_refused() {
    let env = Env::new();
    std::fs::create_dir(env.path("run")).unwrap();
    for mode in [0o777, 0o770, 0o1777] {
        std::fs::set_permissions(env.path("run"), PermissionsExt::from_mode(mode)).unwrap();
        let run = env.run(&["listen", "127.0.0.1:0", "--out", &env.arg("f"), "--name", "c"]);
        run.fails(1).hinted().says("chmod 700").says(env.arg("run"));
    }
    env.assert_nothing_left();
    std::fs::set_permissions(env.path("run"), PermissionsExt::from_mode(0o700)).unwrap();
    env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    env.down("c");
}

#[test]
fn hoarders_of_unfinished_lines_neither_tear_a_small_line_nor_fill_the_memory() {
    const HOARDERS: usize = 300;
    const EACH: usize = 250_000;
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c"]);
    let hoard = vec![b'h'; EACH];
    let mut hoarders: Vec<Sender> = (0..HOARDERS).map(|_| Sender::open(collector.port())).collect();
    // All that unfinished lines may hold together but for a few bytes: it is the victim who asks for more.
    let almost = 64 * 1024 * 1024 - 6;
    let first = |h: usize| almost / HOARDERS + usize::from(h < almost % HOARDERS);
    hoarders.iter_mut().enumerate().for_each(|(h, sender)| sender.write(&hoard[..first(h)]));
    env.wait_received("c", almost as u64);
    let mut victim = Sender::open(collector.port());
    victim.write("victim: pay 1");
    env.wait_received("c", (almost + 13) as u64);
    hoarders.iter_mut().enumerate().for_each(|(h, sender)| sender.write(&hoard[first(h)..]));
    env.wait_received("c", (HOARDERS * EACH + 13) as u64);
    let used = resident(collector.pid);
    assert!(used < 200 << 20, "{} MiB are in use", used >> 20);
    victim.write("00 euro\n");
    victim.finish();
    hoarders.into_iter().for_each(Sender::finish);
    assert!(resident(collector.pid) < 200 << 20);
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    assert_settled(&down["streams"][0], &env.path("f"));
    let text = read_text(env.path("f"));
    let (others, whole): (Vec<_>, Vec<_>) = text.lines().partition(|l| l.bytes().all(|b| b == b'h'));
    assert_eq!(whole, ["victim: pay 100 euro"]);
    assert_eq!(others.iter().map(|l| l.len()).sum::<usize>(), HOARDERS * EACH, "nothing of the hoarders is dropped");
}
