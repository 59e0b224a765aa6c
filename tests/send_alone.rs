//! `reclog send` as a program of its own: small, without the crates of a collector, and as good a sender.

mod common;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::pty::Term;
use common::snapshot::assert_settled;
use common::{Bg, Env, Run, read_text};

/// What small boards have to spare, in bytes.
const MOST: u64 = 3 << 20;
/// The crates that it is made of. One more costs every board: is it needed there? Else it is optional, and in `full`.
const CRATES: [&str; 14] = [
    "anstream",
    "anstyle",
    "bytesize",
    "clap",
    "crc32fast",
    "directories",
    "jiff",
    "memchr",
    "rustix",
    "serde",
    "serde_json",
    "signal-hook",
    "socket2",
    "zeroize",
];

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command.args(["--quiet", "--locked", "--no-default-features", "--features", "send"]);
    command
}

/// The program, built once, beside the one that cargo built for this test.
fn alone() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        let target = Path::new(env!("CARGO_BIN_EXE_reclog")).ancestors().nth(2).expect("target/debug/reclog");
        let built = cargo(&["build", "--profile", "small"]).env("CARGO_TARGET_DIR", target).status();
        assert!(built.expect("cargo").success());
        target.join("small/reclog")
    })
}

fn command(env: &Env, args: &[&str]) -> Command {
    let mut command = env.command(alone());
    command.args(args);
    command
}

fn run(env: &Env, args: &[&str]) -> Run {
    Bg::spawn(command(env, args)).wait()
}

#[test]
fn it_is_small_and_has_one_verb() {
    let env = Env::new();
    let size = std::fs::metadata(alone()).unwrap().len();
    assert!(size < MOST, "{size} bytes");
    let help = run(&env, &["--help"]).ok().stdout;
    assert!(help.contains("\n  send ") && !help.contains("\n  up "), "{help}");
    assert_eq!(run(&env, &["--version"]).ok().stdout, env.run(&["--version"]).ok().stdout);
    let options = |help: &str| help.split("Usage:").nth(1).expect("a usage").to_owned();
    let (here, full) = (run(&env, &["send", "--help"]).ok().stdout, env.run(&["send", "--help"]).ok().stdout);
    assert_eq!(options(&here), options(&full));
    run(&env, &["up", "host"]).fails(2);
    run(&env, &["send", "127.0.0.1:1"]).fails(1).hinted().says("cannot send to 127.0.0.1:1");
}

#[test]
fn it_has_no_crate_that_only_a_collector_needs() {
    let tree = cargo(&["tree", "--offline", "--edges", "normal", "--depth", "1", "--prefix", "none"]).output().unwrap();
    let tree = String::from_utf8(tree.stdout).unwrap();
    let crates: Vec<&str> = tree.lines().skip(1).filter_map(|line| line.split(' ').next()).collect();
    assert_eq!(crates, CRATES);
    let all = cargo(&["tree", "--offline", "--edges", "normal", "--prefix", "none"]).output().unwrap();
    let all = String::from_utf8(all.stdout).unwrap();
    for heavy in ["tokio", "russh", "yaml_serde", "regex", "tracing"] {
        assert!(!all.lines().any(|line| line.split(' ').next() == Some(heavy)), "{heavy}:\n{all}");
    }
}

#[test]
fn its_lines_arrive_acknowledged_or_not() {
    let env = Env::new();
    let lines = (0..5000).fold(String::new(), |lines, n| lines + &format!("line {n} of a small board\n"));
    let input = env.write("input", &lines);
    for (name, framing, ack) in [("plain", "lines", None), ("acked", "relp", Some("--ack"))] {
        let up = env.listen(&["--out", &env.arg(name), "--name", name, "--framing", framing]);
        let mut sender = command(&env, &["send", &format!("127.0.0.1:{}", up.port())]);
        sender.args(ack).stdin(File::open(&input).unwrap());
        Bg::spawn(sender).wait().ok();
        let end = env.run(&["down", name, "--json"]).ok().last_event();
        assert_settled(&end["streams"][0], &env.path(name));
        assert_eq!(read_text(env.path(name)), lines, "{name}");
    }
}

#[test]
fn it_asks_for_the_keyword_unseen_and_leaves_the_terminal_as_it_was() {
    let env = Env::new();
    let right = env.write("right", "sesame\n");
    let keyword = right.to_str().unwrap();
    let up = env.listen(&["--out", &env.arg("out"), "--name", "c", "--keyword-file", keyword]);
    let address = format!("127.0.0.1:{}", up.port());
    let sender = command(&env, &["send", &address, "--keyword-file", "-"]);
    let mut term = Term::start(&sender);
    term.answers("Keyword: ", "sesame");
    term.types("a line\n\u{4}");
    let (code, screen) = term.ends();
    assert_eq!(code, 0, "{screen}");
    assert!(!screen.contains("sesame"), "{screen}");
    // Ctrl-C at the question.
    let mut term = Term::start(&sender);
    term.shows("Keyword: ");
    common::wait_until("the question hides what is typed", common::SOON, || (!term.echoes()).then_some(()));
    term.types("\u{3}");
    common::wait_until("the terminal is as it was", common::SOON, || term.echoes().then_some(()));
    assert_ne!(term.ends().0, 0);
    env.down("c");
    assert_eq!(read_text(env.path("out")), "a line\n");
    let mut nobody = env.command("setsid");
    nobody.arg("--wait").arg(alone()).args(["send", &address, "--keyword-file", "-"]);
    Bg::spawn(nobody).wait().fails(2).hinted().says("there is no terminal");
}
