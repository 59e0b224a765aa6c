//! A start that is interrupted, ended or raced: it is up, or nothing is left, and whoever asks is told the truth.

mod common;

use std::os::unix::process::ExitStatusExt;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{Env, LATER, SOON, Sshd, accept, listening, send, wait_until};
use rustix::process::Signal;

#[test]
fn down_ends_a_collector_that_never_came_up_and_the_up_that_waits_for_it() {
    let env = Env::new();
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port().to_string();
    let no_config = env.arg("work/no_config");
    let out = env.arg("f");
    let to = ["up", "someone@127.0.0.1", "-p", &port, "-F", &no_config];
    let up = env.spawn(&[&to[..], &["--remote-port", "0", "--out", &out, "--name", "c"]].concat());
    let _open = accept(&silent);
    env.processes().iter().for_each(|pid| env.expect(*pid));
    env.spawn(&["down", "c"]).wait_for(Duration::from_secs(5)).ok();
    let up = up.wait_for(Duration::from_secs(5));
    assert_eq!(up.status.code(), Some(130), "{up:?}");
    env.assert_nothing_left();
    assert!(!env.path("f").exists(), "a file that nothing was written to is left");
}

/// Interrupts `reclog ARGS` after each of the delays. It must have come up, or leave nothing at all.
fn interrupt_after(env: &Env, args: &[&str], delays: impl IntoIterator<Item = Duration>) {
    for delay in delays {
        let bg = env.spawn(args);
        std::thread::sleep(delay);
        bg.signal(Signal::INT);
        let run = bg.wait_for(SOON);
        match (run.status.code(), run.status.signal()) {
            (Some(0), _) => {
                let up = env.started(run);
                assert!(listening(up.port()), "`up` said that it is up (interrupted after {delay:?})");
                env.down(&up.name);
            }
            // A signal before the program has begun to run ends it the way the system does: 130 for a shell.
            (Some(130), _) | (None, Some(2)) => {}
            _ => panic!("interrupted after {delay:?}: {run:?}"),
        }
        env.assert_nothing_left();
    }
}

/// Small delays of all sizes, and some around the instant at which this command comes up.
fn delays(env: &Env, args: &[&str]) -> Vec<Duration> {
    let start = Instant::now();
    let run = env.run(args);
    let whole = start.elapsed();
    let up = env.started(run);
    env.down(&up.name);
    let spread = (0..8).map(|n| Duration::from_millis(5 + (n * 23) % 56));
    spread.chain((0..16).map(|n| (whole + Duration::from_millis(2)).saturating_sub(Duration::from_millis(n)))).collect()
}

#[test]
fn an_up_on_this_machine_that_is_interrupted_is_up_or_leaves_nothing() {
    let env = Env::new();
    let out = env.arg("f");
    let args = ["listen", "127.0.0.1:0", "--json", "--out", &out, "--name", "c"];
    let delays = delays(&env, &args);
    interrupt_after(&env, &args, delays);
}

#[test]
fn an_up_on_a_jump_host_that_is_interrupted_is_up_or_leaves_nothing() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let args = env.to_jump(&["up", "jump"], &["--json", "--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let delays = delays(&env, &args);
    interrupt_after(&env, &args, delays);
    wait_until("no connection to the jump host is left", SOON, || sshd.sessions().is_empty().then_some(()));
}

#[test]
fn an_interrupt_and_the_good_news_at_once_leave_no_collector_that_nobody_knows_of() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let args = env.to_jump(&["up", "jump"], &["--json", "--remote-port", "0", "--out", &env.arg("f"), "--name", "c"]);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    for round in 0..8 {
        let bg = env.spawn(&args);
        // It begins to connect: whoever started it is stopped, and finds both when it runs again.
        let socket = env.path("run/c.sock");
        wait_until("the collector is on its way", SOON, || socket.exists().then_some(()));
        bg.signal(Signal::STOP);
        env.wait_state("c", "up");
        bg.signal(Signal::INT);
        bg.signal(Signal::CONT);
        let run = bg.wait_for(SOON);
        match run.status.code() {
            Some(0) => drop(env.down(&env.started(run).name)),
            Some(130) => {}
            _ => panic!("round {round}: {run:?}"),
        }
        env.assert_nothing_left();
    }
}

#[test]
fn of_two_that_take_a_new_name_at_once_one_wins_and_keeps_its_log() {
    let env = Env::new();
    for round in 0..10 {
        let name = format!("new{round}");
        let outs = ["a", "b"].map(|o| env.arg(&format!("{name}.{o}")));
        let both =
            outs.each_ref().map(|out| env.spawn(&["listen", "127.0.0.1:0", "--json", "--out", out, "--name", &name]));
        let (won, lost): (Vec<_>, Vec<_>) = both.map(common::Bg::wait).into_iter().partition(|r| r.status.success());
        assert_eq!((won.len(), lost.len()), (1, 1), "round {round}: {won:?} {lost:?}");
        let winner = won.into_iter().map(|r| env.started(r)).next().unwrap();
        for loser in lost {
            loser.fails(1).says("already running").says(winner.pid.to_string());
        }
        let log = env.path("state").join(&name).join("collector.log");
        assert!(log.is_file(), "round {round}: the winner's log {} is gone", log.display());
        send(winner.port(), "x\n");
        env.down(&name);
    }
    env.assert_nothing_left();
}

#[test]
fn down_is_not_confused_by_a_new_collector_of_the_same_name() {
    let env = Env::new();
    let outs: Vec<String> = (0..3).map(|n| env.arg(&format!("f{n}"))).collect();
    for round in 0..10 {
        env.listen(&["--out", &env.arg("first"), "--name", "x"]);
        let (start, taken) = (Barrier::new(outs.len() + 1), AtomicBool::new(false));
        let down = std::thread::scope(|scope| {
            for out in &outs {
                let (env, start, taken) = (&env, &start, &taken);
                scope.spawn(move || {
                    start.wait();
                    let begun = Instant::now();
                    while !taken.load(Ordering::Relaxed) {
                        let run = env.run(&["listen", "127.0.0.1:0", "--json", "--out", out, "--name", "x"]);
                        if run.status.success() {
                            taken.store(true, Ordering::Relaxed);
                            env.started(run);
                        }
                        assert!(begun.elapsed() < LATER, "the name is never free");
                    }
                });
            }
            start.wait();
            env.run(&["down", "x"])
        });
        assert!(!down.stderr.contains("does not end"), "round {round}: {}", down.stderr);
        down.ok();
        env.down("x");
        env.assert_nothing_left();
    }
}
