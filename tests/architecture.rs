//! The house rules, read from the source: which room imports which, which crate comes in through which door, who prints,
//! what is pure, and how long a file may be.
//!
//! Only paths count: comments, literals and everything under `#[cfg(test)]` are taken away first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

mod source;

use source::{lines_without_tests, macros, paths, rooms, without_tests};

/// Imported by everybody, importing only each other.
const LEAVES: [&str; 12] = [
    "archive", "audit", "error", "escape", "ledger", "paths", "penalty", "plan", "secret", "socket", "syslog", "units",
];
/// The other rooms, and what each may import beside leaves and itself. Bytes flow from the left to the right.
const ARROWS: [(&str, &[&str]); 15] = [
    ("sink", &[]),
    ("intake", &["sink"]),
    ("ssh", &["intake"]),
    ("control", &[]),
    // Words to a service manager; whoever has some sends them.
    ("service", &[]),
    ("metrics", &[]),
    ("collector", &["ssh", "intake", "sink", "control", "metrics", "service"]),
    ("doctor", &["ssh", "intake", "sink"]),
    ("profile", &[]),
    ("history", &[]),
    ("web", &["control", "history"]),
    // A program of its own on machines that only send, with a console.
    ("send", &[]),
    ("console", &["send"]),
    ("demo", &[]),
    (
        "cli",
        &[
            "collector",
            "console",
            "control",
            "demo",
            "doctor",
            "history",
            "intake",
            "metrics",
            "profile",
            "service",
            "sink",
            "ssh",
            "web",
        ],
    ),
];
/// One crate (or part of one), one door: the rooms that may name it.
const DOORS: [(&str, &[&str]); 26] = [
    ("russh", &["ssh", "demo"]),
    ("glob", &["ssh"]),
    // main.rs parses.
    ("clap", &["cli", "console", "main"]),
    ("clap_complete", &["cli"]),
    ("indicatif", &["cli"]),
    ("comfy_table", &["cli"]),
    ("anstream", &["cli", "console"]),
    ("anstyle", &["cli", "console"]),
    ("regex", &["cli", "history"]),
    ("rcgen", &["web"]),
    ("semver", &["control"]),
    ("serde_yaml", &["profile"]),
    ("tokio::signal", &["collector", "cli"]),
    ("argon2", &["web"]),
    ("axum", &["web"]),
    ("base64", &["web"]),
    ("grep_regex", &["history"]),
    ("grep_searcher", &["history"]),
    ("hyper", &["metrics", "web"]),
    ("hyper_util", &["metrics", "web"]),
    ("http_body_util", &["metrics"]),
    // Where there is no runtime.
    ("signal_hook", &["console"]),
    // The leaf reads archives, the sink makes them.
    ("flate2", &["archive", "sink"]),
    ("zstd", &["archive", "sink"]),
    ("tokio_rustls", &["web"]),
    ("tracing_subscriber", &["collector"]),
];
/// What prints; only main.rs may, when there is no printer yet.
const PRINTING: [&str; 5] = ["print", "println", "eprint", "eprintln", "dbg"];
/// Files that know no clock, socket, thread or disk: all of it comes in as arguments.
const PURE: &[&str] = &[
    "archive/name.rs",
    "collector/flight.rs",
    "control/age.rs",
    "collector/state.rs",
    "doctor/limits.rs",
    "doctor/step.rs",
    "escape.rs",
    "history/columns.rs",
    "history/layout.rs",
    "history/page.rs",
    "history/pattern.rs",
    "intake/acks.rs",
    "intake/framing/datagram.rs",
    "intake/framing/lines.rs",
    "intake/framing/mod.rs",
    "intake/framing/record.rs",
    "intake/framing/relp.rs",
    "intake/framing/syslog.rs",
    "intake/gate.rs",
    "intake/limits.rs",
    "intake/listen/drops.rs",
    "intake/pool.rs",
    "intake/rejects.rs",
    "intake/why.rs",
    "ledger/latency.rs",
    "metrics/accept.rs",
    "metrics/families.rs",
    "metrics/text.rs",
    "penalty.rs",
    "plan/format.rs",
    "plan/gate.rs",
    "plan/metrics.rs",
    "plan/mod.rs",
    "plan/output.rs",
    "plan/pattern.rs",
    "plan/template.rs",
    "profile/framing.rs",
    "profile/limits.rs",
    "profile/shape.rs",
    "send/lines.rs",
    "send/outgoing.rs",
    "send/records.rs",
    "send/relp.rs",
    "service/gap.rs",
    "service/logout.rs",
    "service/mark.rs",
    "service/message.rs",
    "service/needs.rs",
    "service/others.rs",
    "service/quote.rs",
    "service/systemd.rs",
    "service/watchdog.rs",
    "sink/batch.rs",
    "sink/duct/backoff.rs",
    "sink/front.rs",
    "sink/json.rs",
    "sink/pen.rs",
    "sink/records.rs",
    "sink/retention.rs",
    "sink/rotation.rs",
    "sink/route.rs",
    "ssh/config/expand.rs",
    "ssh/config/jump.rs",
    "ssh/config/keywords.rs",
    "ssh/config/line.rs",
    "ssh/config/names.rs",
    "ssh/config/pattern.rs",
    "ssh/config/value.rs",
    "ssh/config/values.rs",
    "ssh/distance.rs",
    "ssh/doors/nonce.rs",
    "ssh/doors/verdict.rs",
    "ssh/harden/ability.rs",
    "ssh/harden/lines.rs",
    "ssh/host_key/certificate.rs",
    "ssh/host_key/entry.rs",
    "ssh/refusal/socket.rs",
    "ssh/refusal/verdict.rs",
    "ssh/reach/facts.rs",
    "ssh/reach/remedies.rs",
    "ssh/reach/verdict.rs",
    "ssh/rekey.rs",
    "ssh/relay/command.rs",
    "ssh/relay/frames.rs",
    "ssh/relay/hello.rs",
    "ssh/relay/partings.rs",
    "ssh/server_process/identity.rs",
    "ssh/server_process/script.rs",
    "ssh/server_process/socket.rs",
    "ssh/strange.rs",
    "web/ask.rs",
    "web/assets.rs",
    "web/guard.rs",
    "web/proxy.rs",
    "web/session.rs",
    "web/sight.rs",
    "web/throttle.rs",
    "web/view/batch.rs",
    "web/view/ring.rs",
    "syslog/bsd.rs",
    "syslog/data.rs",
    "syslog/format.rs",
    "syslog/mod.rs",
    "syslog/protocol.rs",
    "syslog/time.rs",
];
/// What they may not name; a single name means the end of a path.
const IMPURE: [&str; 10] = [
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "std::net",
    "std::thread",
    "std::fs",
    "std::env",
    "tokio",
    "rustix",
    "socket2",
];
/// Lines of a file, its tests left out.
const LONGEST: usize = 400;
/// Files that are longer, each with its reason.
const LONGER: [(&str, &str); 0] = [];

/// A file below `src/`: its path there, and its text.
type File = (String, String);

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// Every file of the program; those that hold nothing but tests are left out.
fn files() -> Vec<File> {
    fn walk(folder: &Path, all: &mut Vec<File>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(src()).expect("below src").to_string_lossy().into_owned();
            if path.is_dir() {
                walk(&path, all);
            } else if path.extension().is_some_and(|e| e == "rs") && !name.ends_with("_tests.rs") {
                all.push((name, std::fs::read_to_string(&path).expect("text")));
            }
        }
    }
    let mut all = Vec::new();
    walk(&src(), &mut all);
    all.sort();
    all
}

/// `ssh` for `ssh/mod.rs`, `plan` for `plan.rs`.
fn room_of(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

/// Whether `path` is `what` or leads into it.
fn names(path: &str, what: &str) -> bool {
    path.strip_prefix(what).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

/// Imports against the arrows.
fn turned_arrows(files: &[File]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (file, text) in files {
        let room = room_of(file);
        let allowed: &[&str] = match room {
            "lib" => continue,
            "main" => &["cli", "console"],
            _ => ARROWS.iter().find(|(name, _)| *name == room).map_or(&[], |(_, rooms)| rooms),
        };
        for other in rooms(file, &without_tests(text)) {
            let leaf = LEAVES.contains(&other.as_str()) && room != "main";
            if other != room && !leaf && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{file} imports {other}"));
            }
        }
    }
    wrong
}

/// Crates that came in through another door.
fn wrong_doors(files: &[File]) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (file, text) in files {
        for path in paths(&without_tests(text)) {
            for (what, rooms) in DOORS {
                if names(&path, what) && !rooms.contains(&room_of(file)) {
                    wrong.insert(format!("{file} names {what}"));
                }
            }
        }
    }
    wrong.into_iter().collect()
}

fn printing(files: &[File]) -> Vec<String> {
    let inside = files.iter().filter(|(file, _)| file != "main.rs");
    let prints = |text: &str| macros(&without_tests(text)).into_iter().find(|m| PRINTING.contains(&m.as_str()));
    inside.filter_map(|(file, text)| prints(text).map(|name| format!("{file} has {name}!"))).collect()
}

fn impure(files: &[File]) -> Vec<String> {
    let mut wrong = BTreeSet::new();
    for (file, text) in files.iter().filter(|(file, _)| PURE.contains(&file.as_str())) {
        for path in paths(&without_tests(text)) {
            let at_end = |what: &str| path == what || path.ends_with(&format!("::{what}"));
            for what in IMPURE.iter().filter(|what| names(&path, what) || at_end(what)) {
                wrong.insert(format!("{file} names {what}"));
            }
        }
    }
    wrong.into_iter().collect()
}

fn too_long(files: &[File]) -> Vec<String> {
    let excused = |file: &str| LONGER.iter().any(|(name, _): &(&str, &str)| *name == file);
    let long = files.iter().map(|(file, text)| (file, lines_without_tests(text)));
    let long = long.filter(|(file, lines)| (*lines > LONGEST) != excused(file));
    long.map(|(file, lines)| format!("{file} has {lines} lines without tests")).collect()
}

const NOTHING: Vec<String> = Vec::new();

#[test]
fn imports_follow_the_flow() {
    assert_eq!(turned_arrows(&files()), NOTHING);
}

#[test]
fn every_crate_has_one_door() {
    assert_eq!(wrong_doors(&files()), NOTHING);
}

#[test]
fn nobody_prints_but_the_printer() {
    assert_eq!(printing(&files()), NOTHING);
}

#[test]
fn pure_files_know_no_clock_socket_or_thread() {
    let files = files();
    assert_eq!(impure(&files), NOTHING);
    let missing: Vec<_> = PURE.iter().filter(|pure| !files.iter().any(|(file, _)| file == *pure)).collect();
    assert_eq!(missing, Vec::<&&str>::new(), "the list names files that are gone");
}

#[test]
fn a_file_fits_in_the_head() {
    assert_eq!(too_long(&files()), NOTHING);
}

#[test]
fn the_map_in_lib_rs_is_the_house() {
    let lib = std::fs::read_to_string(src().join("lib.rs")).expect("lib.rs");
    let doc = lib.lines().filter_map(|line| line.strip_prefix("//!"));
    let links = doc.flat_map(|line| line.split("[`").skip(1).filter_map(|rest| rest.split_once("`]")));
    let map: BTreeSet<String> = links.map(|(name, _)| name.to_owned()).filter(|name| !name.contains(':')).collect();
    let declared = lib.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    assert_eq!(map, declared.map(str::to_owned).collect());
    let entries = std::fs::read_dir(src()).expect("src").map(|entry| entry.expect("an entry").file_name());
    let on_disk = entries.map(|name| room_of(&name.to_string_lossy()).to_owned());
    assert_eq!(map, on_disk.filter(|name| name != "lib" && name != "main").collect());
    let ruled: BTreeSet<String> = ARROWS.iter().map(|(room, _)| *room).chain(LEAVES).map(str::to_owned).collect();
    assert_eq!(map, ruled, "every room has its arrows");
}

#[test]
fn arrows_make_no_circle() {
    fn depth(room: &str, below: &BTreeMap<&str, &[&str]>, steps: usize) {
        assert!(steps < ARROWS.len(), "a circle through {room}");
        for next in below[room] {
            depth(next, below, steps + 1);
        }
    }
    let below: BTreeMap<&str, &[&str]> = ARROWS.into_iter().collect();
    for (room, _) in ARROWS {
        depth(room, &below, 0);
    }
}

/// What a check says to one file.
fn said(check: fn(&[File]) -> Vec<String>, file: &str, text: &str) -> String {
    check(&[(file.to_owned(), text.to_owned())]).join("; ")
}

#[test]
fn a_turned_arrow_is_found_however_it_is_written() {
    let intake = "sink/queue.rs imports intake";
    for text in [
        "use crate::intake::Intake;",
        "use crate::intake;",
        "use crate::{error::Error, intake::{Intake, Sender}};",
        "pub(crate) use crate::intake as other;",
        "fn f() { let x = crate::intake::Intake::new(); }",
        "fn f(x: &[crate::intake::Intake]) {}",
        "use super::super::intake::Intake;",
        "fn f() -> char { use crate::intake::X; '\"' } // \"",
        "fn f<'a>(x: &'a str) -> crate::intake::X<'a> {}",
        "#[cfg(test)]\nmod tests { fn f() { \"}\"; } }\nuse crate::intake::X;",
        "#[cfg(test)]\nuse crate::ssh::X;\nuse crate::intake::X;",
        "const A: &str = r#\"\"#; use crate :: intake :: X;",
    ] {
        assert_eq!(said(turned_arrows, "sink/queue.rs", text), intake, "{text}");
    }
    assert_eq!(said(turned_arrows, "sink/mod.rs", "use super::intake::Intake;"), "sink/mod.rs imports intake");
    assert_eq!(said(turned_arrows, "plan.rs", "use crate::sink::Sink;"), "plan.rs imports sink");
    assert_eq!(said(turned_arrows, "plan.rs", "use super::sink::Sink;"), "plan.rs imports sink");
    assert_eq!(said(turned_arrows, "intake/mod.rs", "use crate::ssh::X;"), "intake/mod.rs imports ssh");
    assert_eq!(said(turned_arrows, "collector/mod.rs", "use crate::cli::X;"), "collector/mod.rs imports cli");
    assert_eq!(said(turned_arrows, "control/mod.rs", "use crate::collector::X;"), "control/mod.rs imports collector");
    assert_eq!(said(turned_arrows, "main.rs", "use reclog::{cli, sink::Sink};"), "main.rs imports sink");
}

#[test]
fn what_is_no_import_is_none() {
    for text in [
        "// use crate::intake::Intake;",
        "/* use crate::intake::X; /* nested */ use crate::intake::Y; */",
        "/// See [`crate::intake::Intake`].\nstruct X;",
        "const X: &str = \"crate::intake::X\";",
        "const X: &str = r#\"a \" crate::intake::X\"#;",
        "const X: &[u8] = b\"\\\" crate::intake::X\";",
        "#[cfg(test)]\nmod tests { use crate::intake::X; fn f() { { } } }",
        "#[cfg(test)]\n#[path = \"x.rs\"]\nmod intake_tests;",
        "use super::batch::Batch; use crate::ledger::StreamLedger; use crate::sink::file::X;",
        "use super::intake::X;",
        "use std::intake; use other::intake::X;",
    ] {
        assert_eq!(said(turned_arrows, "sink/queue.rs", text), "", "{text}");
    }
}

#[test]
fn crates_prints_clocks_and_length_are_found_too() {
    assert_eq!(said(wrong_doors, "intake/mod.rs", "use russh::Channel;"), "intake/mod.rs names russh");
    assert_eq!(said(wrong_doors, "intake/mod.rs", "fn f(x: ::russh::Channel) {}"), "intake/mod.rs names russh");
    assert_eq!(said(wrong_doors, "plan.rs", "#[derive(clap::Args)] struct X;"), "plan.rs names clap");
    assert_eq!(said(wrong_doors, "sink/mod.rs", "use tokio::{net, signal::unix};"), "sink/mod.rs names tokio::signal");
    assert_eq!(said(wrong_doors, "cli/x.rs", "use serde_yaml;"), "cli/x.rs names serde_yaml");
    assert_eq!(said(wrong_doors, "sink/mod.rs", "use crate::russh::X; fn f() { a.regex.b(); russhy::x(); }"), "");
    assert_eq!(said(printing, "cli/up.rs", "fn f() { anstream::eprintln!(\"x\"); }"), "cli/up.rs has eprintln!");
    assert_eq!(said(printing, "cli/up.rs", "fn f() { dbg!(x) }"), "cli/up.rs has dbg!");
    assert_eq!(said(printing, "cli/up.rs", "fn f() { println != x; /* println!() */ }"), "");
    let pure = |text| said(impure, "intake/framing/lines.rs", text);
    assert_eq!(
        pure("use std::time::Instant; fn f() { Instant::now(); }"),
        "intake/framing/lines.rs names Instant::now"
    );
    assert_eq!(pure("fn f() { std::time::SystemTime::now(); }"), "intake/framing/lines.rs names SystemTime::now");
    assert_eq!(pure("use std::{io, net::IpAddr};"), "intake/framing/lines.rs names std::net");
    assert_eq!(pure("use tokio::time;"), "intake/framing/lines.rs names tokio");
    assert_eq!(pure("use std::time::Instant; fn f(now: Instant) {}"), "");
    let long = "fn f() {}\n".repeat(LONGEST + 1);
    assert_eq!(said(too_long, "sink/x.rs", &long), "sink/x.rs has 401 lines without tests");
    let tests = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{\n{long}}}\n");
    assert_eq!(said(too_long, "sink/x.rs", &tests), "");
}
