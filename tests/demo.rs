//! `reclog demo`: the first thing a newcomer runs has to work and to leave nothing.

mod common;

use common::{Env, SOON, wait_until};
use rustix::process::Signal;

/// The demo in a temporary folder of its own, so that what it leaves would be seen.
fn demo(env: &Env) -> common::Bg {
    std::fs::create_dir_all(env.path("tmp")).unwrap();
    let mut command = env.reclog(&["demo"]);
    command.env("TMPDIR", env.path("tmp"));
    common::Bg::spawn(command)
}

fn left_in_tmp(env: &Env) -> Vec<std::ffi::OsString> {
    std::fs::read_dir(env.path("tmp")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn the_demo_shows_the_whole_path_in_eighty_columns_and_leaves_nothing() {
    let env = Env::new();
    let run = demo(&env).wait().ok();
    for part in
        ["reclog up", "reclog down", "line 4 of 4", "all 12 lines are there", "closed again", "no socket and no lock"]
    {
        assert!(run.stdout.contains(part), "{part:?} is missing in {}", run.stdout);
    }
    assert_eq!(run.stdout.lines().find(|line| line.chars().count() > 80), None);
    assert_eq!(run.stderr, "");
    assert!(left_in_tmp(&env).is_empty());
    env.assert_nothing_left();
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_either() {
    for after in ["1. ", "2. ", "3. "] {
        let env = Env::new();
        let mut bg = demo(&env);
        bg.wait_stdout(after);
        bg.signal(Signal::INT);
        let run = bg.wait();
        // It may have come to its end in between.
        assert!(matches!(run.status.code(), Some(0 | 130)), "{run:?}");
        wait_until("everything is gone", SOON, || left_in_tmp(&env).is_empty().then_some(()));
        env.assert_nothing_left();
    }
}
