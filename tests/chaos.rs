//! The breaking machine: devices send all the time, a seeded schedule breaks one thing after the other, and a checker
//! reads everything again. See `docs/reliability.md`.
//!
//!     RECLOG_SEED=N RECLOG_CHAOS_FAULTS=N RECLOG_CHAOS_SECONDS=N RECLOG_CHAOS_ONLY=kill-session,cut scripts/chaos
//!
//! - [`schedule`]: what is broken, when · [`network`], [`volume`]: how
//! - [`line`]: numbered lines · [`senders`]: who sends them, and what they remember
//! - [`watch`]: who looks on · [`checker`]: what must be true · [`report`]: the figures · [`machine`]: all of it together
//!
//! With the same senders and the same checker, for hours (`scripts/soak`):
//!
//!     RECLOG_SOAK_SECONDS=N RECLOG_SOAK_TABLE=FILE RECLOG_SOAK_SVG=FILE
//!
//! - [`soak`]: the long run · [`chart`]: slopes, and a picture

mod common;

#[path = "chaos/chart.rs"]
mod chart;
#[path = "chaos/checker.rs"]
mod checker;
#[path = "chaos/line.rs"]
mod line;
#[path = "chaos/machine.rs"]
mod machine;
#[path = "chaos/network.rs"]
mod network;
#[path = "chaos/report.rs"]
mod report;
#[path = "chaos/schedule.rs"]
mod schedule;
#[path = "chaos/senders.rs"]
mod senders;
#[path = "chaos/soak.rs"]
mod soak;
#[path = "chaos/volume.rs"]
mod volume;
#[path = "chaos/watch.rs"]
mod watch;

use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use machine::{Machine, Wish};

/// What `scripts/test` runs: the same schedule every time, and done within the minute.
const SEED: u64 = 20_261_121;
const FAULTS: usize = 16;
const SECONDS: u64 = 45;

/// Whether senders can use IPv6 here.
fn both_families() -> bool {
    static BOTH: std::sync::OnceLock<bool> = std::sync::OnceLock::new();
    *BOTH.get_or_init(|| network::inside() && TcpListener::bind("[::1]:0").is_ok())
}

fn number(name: &str, default: u64) -> u64 {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty());
    text.map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

fn wish() -> Wish {
    let only = std::env::var("RECLOG_CHAOS_ONLY").unwrap_or_default();
    Wish {
        seed: number("RECLOG_SEED", SEED),
        faults: usize::try_from(number("RECLOG_CHAOS_FAULTS", FAULTS as u64)).unwrap(),
        time: Duration::from_secs(number("RECLOG_CHAOS_SECONDS", SECONDS)),
        only: only.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    }
}

#[test]
fn whatever_is_broken_no_line_is_torn_doubled_or_missing_without_a_word() {
    require!("sshd");
    if !network::inside() && network::may_make_spaces() {
        // All threads and processes of the run in name spaces of their own, which end with them.
        let mut again = Command::new("unshare");
        again.args(["--net", "--mount", "--"]).arg(std::env::current_exe().unwrap());
        again.args(["--exact", "--nocapture", "whatever_is_broken_no_line_is_torn_doubled_or_missing_without_a_word"]);
        let output = again.env("RECLOG_CHAOS_INSIDE", "1").status().expect("unshare");
        assert!(output.success(), "the run in its own name spaces failed; it says why above");
        return;
    }
    let wish = wish();
    let (figures, machine) = Machine::new(wish.clone()).run();
    println!("\n{}", figures.markdown());
    if let Ok(path) = std::env::var("RECLOG_CHAOS_TABLE") {
        std::fs::write(&path, figures.markdown()).unwrap_or_else(|e| panic!("cannot write {path}: {e}"));
    }
    let troubles = &figures.verdict.troubles;
    if troubles.is_empty() {
        return;
    }
    for trouble in troubles.iter().take(40) {
        println!("✘ {:?}: {}", trouble.kind, trouble.says);
    }
    let (count, folder) = (troubles.len(), machine.keep(&figures));
    let only = if wish.only.is_empty() { String::new() } else { format!(" --only {}", wish.only.join(",")) };
    panic!(
        "{count} troubles. Everything is kept in {}\nonce more: RECLOG_SEED={} scripts/chaos --faults {}{only}",
        folder.display(),
        wish.seed,
        wish.faults
    );
}

/// What `scripts/test` runs of the long run: long enough that each thing happens.
const SOAK_SECONDS: u64 = 12;
/// From here on a slope says something.
const LONG: Duration = Duration::from_secs(20 * 60);

#[test]
fn a_collector_that_runs_for_long_needs_no_more_than_at_first_and_loses_nothing() {
    require!("sshd", "gzip");
    let length = Duration::from_secs(number("RECLOG_SOAK_SECONDS", SOAK_SECONDS));
    let soaked = soak::Soak::begin().run(length);
    println!("\n{}", soaked.markdown());
    for (name, text) in [("RECLOG_SOAK_TABLE", soaked.markdown()), ("RECLOG_SOAK_SVG", chart::svg(&soaked.series))] {
        if let Ok(path) = std::env::var(name) {
            std::fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write {path}: {e}"));
        }
    }
    for trouble in soaked.verdict.troubles.iter().take(40) {
        println!("✘ {:?}: {}", trouble.kind, trouble.says);
    }
    assert!(soaked.verdict.troubles.is_empty(), "{} troubles, see above", soaked.verdict.troubles.len());
    assert!(soaked.reconnects >= 3 && soaked.rotations >= 1 && soaked.scrapes >= 1, "{soaked:?}");
    // Two MiB, one descriptor, one thread, one file; memory of an allocator is never quite the same.
    let slack = [2.0, 1.0, 1.0, 1.0];
    for (series, slack) in soaked.series.iter().zip(slack).filter(|_| length >= LONG) {
        assert!(series.is_flat(slack), "it grows: {}", series.row());
    }
}
