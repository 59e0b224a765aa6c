//! reclog beside what it replaces, `ssh -R` and socat, in one run on one sshd, in turns.
//!
//!     cargo bench --bench side_by_side -- [--rounds N] [--only NAME] [--quick] [--markdown FILE]
//!
//! Single runs on a busy machine vary by a factor of two, so every round runs all sides one after the other and the
//! table gives the best and the median of the rounds. What the bench started is gone when it ends, Ctrl-C included.
//!
//! Exit code: 0 measured (missed targets are printed, they are no error) · 1 reclog wrote wrong bytes · 2 a side did
//! not run · 130 interrupted.

#[cfg(target_os = "linux")]
#[path = "side_by_side/mod.rs"]
mod bench;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    bench::main()
}

/// Processor time, memory and arrival are asked of Linux: `/proc` and inotify.
#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("side_by_side measures with /proc and inotify and runs on Linux only");
}
