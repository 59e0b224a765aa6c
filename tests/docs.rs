//! README, `--help`, profiles and JSON never disagree.
//!
//! README is read as it lies on the disk: fenced blocks by their language, tables by the heading above them, and code
//! spans. What stands in a table is compared in both directions with what the program knows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use clap::{Arg, Command, CommandFactory as _, Parser as _};
use reclog::cli::args::Cli;
use reclog::collector::events::Event;
use reclog::error::Kind;
use reclog::ledger::Snapshot;
use reclog::paths::Paths;
use reclog::plan::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_KEEPALIVE, DEFAULT_MAX_CONNECTIONS, DEFAULT_MAX_LINE, DEFAULT_MAX_NEW,
    DEFAULT_MAX_PER_ADDRESS, DEFAULT_MIN_FREE, DEFAULT_PREFIX, DEFAULT_PROBE_EVERY, Plan,
};
use reclog::profile::keys::{LEVELS, Level, STREAM};
use reclog::profile::{Form, check, parse_duration, parse_size};
use serde_json::Value;

type Names = BTreeSet<String>;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).expect("README.md")
}

/// The fenced blocks: language and text.
fn fences() -> Vec<(String, String)> {
    let readme = readme();
    let parts: Vec<&str> = readme.split("```").collect();
    assert!(parts.len() % 2 == 1, "a fence is left open");
    let blocks = parts.iter().skip(1).step_by(2);
    blocks.filter_map(|block| block.split_once('\n')).map(|(l, text)| (l.to_owned(), text.to_owned())).collect()
}

fn blocks(language: &str) -> Vec<String> {
    fences().into_iter().filter(|(l, _)| l == language).map(|(_, text)| text).collect()
}

/// README without its fenced blocks.
fn prose() -> String {
    readme().split("```").step_by(2).collect()
}

/// What stands between backticks in `text`.
fn spans(text: &str) -> Vec<String> {
    text.split("\n\n").flat_map(|part| part.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

/// The cells of the tables below the heading `title`, up to the next heading.
fn table(title: &str) -> Vec<Vec<String>> {
    let prose = prose();
    let mut lines = prose.lines().skip_while(|line| line.trim_start_matches('#').trim() != title).skip(1);
    let lines: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with('#')).collect();
    let is_rule = |line: &str| line.starts_with("|-");
    let rows = lines.iter().enumerate().filter(|(i, line)| {
        line.starts_with('|') && !is_rule(line) && !lines.get(i + 1).is_some_and(|next| is_rule(next))
    });
    let cells = |line: &str| line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    let rows: Vec<Vec<String>> = rows.map(|(_, line)| cells(line)).collect();
    assert!(!rows.is_empty(), "no table below {title:?}");
    rows
}

/// The first code span of a cell.
fn first(cell: &str) -> String {
    spans(cell).into_iter().next().unwrap_or_else(|| panic!("no code in {cell:?}"))
}

/// `-x` and `--long` that stand in code spans of `text`, without values.
fn flags_in(text: &str) -> Names {
    let words = spans(text).into_iter().flat_map(|span| span.split(' ').map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| word.starts_with('-') && word.len() > 1).collect()
}

/// Options that are shown, in the order of clap; no positional arguments.
fn options(command: &Command) -> Vec<&Arg> {
    let standard = |arg: &Arg| matches!(arg.get_id().as_str(), "help" | "version");
    command.get_arguments().filter(|a| !a.is_positional() && !a.is_hide_set() && !standard(a)).collect()
}

/// The same as they are typed.
fn typed(arg: &Arg) -> Names {
    let short = arg.get_short().map(|c| format!("-{c}"));
    short.into_iter().chain(arg.get_long().map(|l| format!("--{l}"))).collect()
}

fn flags(command: &Command) -> Names {
    options(command).into_iter().flat_map(typed).collect()
}

fn verbs(command: &Command) -> Vec<&Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect()
}

fn verb(name: &str) -> Command {
    Cli::command().find_subcommand(name).unwrap_or_else(|| panic!("no verb {name}")).clone()
}

/// Folders that hold nothing, so that nothing of this machine helps.
fn nowhere() -> Paths {
    Paths { config: "/nonexistent/c".into(), state: "/nonexistent/s".into(), runtime: "/nonexistent/r".into() }
}

fn names<'a>(all: impl IntoIterator<Item = &'a str>) -> Names {
    all.into_iter().map(str::to_owned).collect()
}

#[test]
fn the_first_command_is_the_demo_and_the_second_runs_the_tests() {
    let (language, first) = fences().swap_remove(0);
    let lines: Vec<&str> = first.lines().collect();
    assert_eq!((language.as_str(), lines.len()), ("sh", 2), "{first}");
    assert_eq!(lines[0].rsplit(" && ").next(), Some("target/release/reclog demo"));
    assert_eq!(lines[1], "scripts/test");
}

#[test]
fn every_verb_has_its_row_and_every_row_its_verb() {
    let rows: Names = table("Verbs").iter().map(|row| first(&row[0])).collect();
    assert_eq!(rows, verbs(&Cli::command()).iter().map(|v| v.get_name().to_owned()).collect());
}

#[test]
fn a_verbs_row_has_its_options_and_no_other() {
    for row in table("Verbs") {
        let name = first(&row[0]);
        if ["up", "listen"].contains(&name.as_str()) {
            continue;
        }
        let command = verb(&name);
        let mut known = flags(&command);
        for below in verbs(&command) {
            assert!(
                spans(&row[1]).contains(&below.get_name().to_owned()),
                "{name} {}: not in {row:?}",
                below.get_name()
            );
            known.extend(flags(below));
            known.extend(verbs(below).into_iter().flat_map(flags));
        }
        assert_eq!(flags_in(&row[2]), known, "{name}");
    }
    let global: Names = Cli::command().get_arguments().flat_map(typed).collect();
    let prose = prose();
    let sentence = prose.split("\n\n").find(|part| part.starts_with("Every verb takes")).expect("the global options");
    assert_eq!(
        flags_in(sentence),
        global.into_iter().chain(["-h", "--help", "-V", "--version"].map(String::from)).collect()
    );
}

#[test]
fn the_options_of_up_and_listen_are_those_of_the_table() {
    let rows = table("Options of `up` and `listen`");
    let of = |rows: &[Vec<String>]| rows.iter().flat_map(|row| flags_in(&row[0])).collect::<Names>();
    assert_eq!(of(&rows), flags(&verb("up")));
    let listen: Vec<_> = rows.into_iter().filter(|row| row[2] == "yes").collect();
    assert_eq!(of(&listen), flags(&verb("listen")));
}

#[test]
fn defaults_and_values_in_the_table_are_those_of_help() {
    let (up, rows) = (verb("up"), table("Options of `up` and `listen`"));
    for arg in options(&up) {
        let row = rows
            .iter()
            .find(|row| flags_in(&row[0]) == typed(arg))
            .unwrap_or_else(|| panic!("no row: {}", arg.get_id()));
        let help = arg.get_help().expect("every option has a help").to_string();
        let default = help.split_once("[default: ").map_or("", |(_, rest)| rest.strip_suffix(']').expect("]"));
        assert_eq!(row[1].replace('`', ""), default, "{}", arg.get_id());
        for value in arg.get_possible_values().iter().filter(|_| arg.get_action().takes_values()) {
            assert!(spans(&row[3]).contains(&value.get_name().to_owned()), "{}: {}", arg.get_id(), value.get_name());
        }
    }
    let (how, tail) = (verb("how"), verb("tail"));
    let row = |name: &str| table("Verbs").into_iter().find(|row| first(&row[0]) == name).expect("a row").swap_remove(2);
    let sender = how.get_arguments().find(|a| a.get_id() == "sender").expect("--sender");
    let known: Names = sender.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
    let values = spans(&row("how")).into_iter().filter(|span| !span.starts_with('-'));
    assert_eq!(values.collect::<Names>(), known);
    // It depends on the place.
    let help = sender.get_help().expect("a help").to_string();
    assert!(help.contains("[default: bash, for a Unix socket python]"), "{help}");
    assert!(row("how").contains("`bash` (default)") && row("how").contains("`python` (for a Unix socket the default)"));
    let lines = tail.get_arguments().find(|a| a.get_id() == "lines").expect("the option");
    let default = lines.get_default_values()[0].to_str().expect("text");
    assert!(row("tail").contains(&format!("(default {default})")), "{default}");
}

#[test]
fn every_option_that_is_mentioned_exists() {
    fn all(command: &Command) -> Names {
        let below: Names = command.get_subcommands().flat_map(all).collect();
        command.get_arguments().flat_map(typed).chain(below).collect()
    }
    let mut known = all(&Cli::command());
    known.extend(["-h", "--help", "-V", "--version"].map(String::from));
    // What other programs take stands behind their names.
    let ours = |span: &String| !["cargo ", "logger ", "ssh ", "socat "].iter().any(|other| span.starts_with(other));
    for span in spans(&prose()).into_iter().filter(ours) {
        let flag = |word: &&str| word.len() > 1 && word.starts_with('-') && !known.contains(*word);
        let unknown: Vec<&str> = span.split(' ').filter(flag).collect();
        assert_eq!(unknown, Vec::<&str>::new(), "in `{span}`");
    }
}

#[test]
fn every_command_line_of_reclog_parses() {
    let mut seen = 0;
    for (language, text) in fences() {
        let lines = text.lines().filter_map(|line| match language.as_str() {
            "console" => line.strip_prefix("$ "),
            "sh" => Some(line.rsplit("&& ").next().unwrap_or(line)),
            _ => None,
        });
        for line in lines.map(|line| line.trim_start_matches("target/release/")).filter(|l| l.starts_with("reclog ")) {
            let words = line.split(' ').take_while(|word| !["|", ">", ">>", "#"].contains(word));
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}\n{error}"));
            seen += 1;
        }
    }
    let prose = prose();
    for span in spans(&prose).iter().filter(|span| span.starts_with("reclog ") && !span.contains('[')) {
        Cli::try_parse_from(span.split(' ')).unwrap_or_else(|error| panic!("{span}\n{error}"));
        seen += 1;
    }
    assert!(seen > 12, "{seen}");
}

#[test]
fn defaults_of_profile_keys_are_the_constants() {
    let defaults: BTreeMap<String, String> =
        table("Profiles").into_iter().map(|row| (first(&row[0]), row[2].replace('`', ""))).collect();
    let kept = defaults["ssh.keepalive"].rsplit("else ").next().expect("a default");
    assert_eq!(parse_duration(kept), Ok(DEFAULT_KEEPALIVE));
    assert_eq!(parse_duration(&defaults["drain_timeout"]), Ok(DEFAULT_DRAIN_TIMEOUT));
    assert_eq!(parse_duration(&defaults["probe_every"]), Ok(DEFAULT_PROBE_EVERY));
    assert_eq!(parse_size(&defaults["max_line"]), Ok(DEFAULT_MAX_LINE as u64));
    assert_eq!(defaults["max_connections"].parse(), Ok(DEFAULT_MAX_CONNECTIONS));
    assert_eq!(defaults["max_per_address"].parse(), Ok(DEFAULT_MAX_PER_ADDRESS));
    assert_eq!(defaults["max_new"].parse(), Ok(DEFAULT_MAX_NEW));
    assert_eq!(defaults["prefix"], DEFAULT_PREFIX);
    assert_eq!(parse_size(&defaults["min_free"]), Ok(DEFAULT_MIN_FREE));
    // The rest is what comes of a profile that says the least.
    let plan = resolved("target: jump\nstreams: { main: { remote_port: 1, out: x, rotate: { size: 1MB, keep: 1 } } }");
    let main = &plan.streams[0];
    assert_eq!(defaults["bind"], format!("{} (all interfaces)", main.bind));
    assert_eq!(defaults["framing"], main.framing.as_str());
    assert_eq!(defaults["format"], main.format.as_str());
    let sync = serde_json::to_value(main.sync).expect("a name");
    assert_eq!(defaults["sync"], format!("{} (every second)", sync.as_str().expect("a name")));
}

/// `text` saved as a profile, and what the program says of it.
fn said_of(text: &str) -> reclog::error::Result<reclog::profile::Checked> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("readme.yaml");
    std::fs::write(&file, text).expect("written");
    check(file.to_str().expect("UTF-8"), &nowhere())
}

fn resolved(text: &str) -> Plan {
    let checked = said_of(text).unwrap_or_else(|error| panic!("{error}\n{:?}\n{text}", error.hints));
    // That a port is open to everybody is true of nearly every example; anything else would be a bad example.
    let other: Vec<_> = checked.warnings.iter().filter(|warning| !warning.contains("whoever reaches")).collect();
    assert_eq!(other, Vec::<&String>::new(), "{text}");
    checked.plan
}

#[test]
fn profiles_in_readme_resolve_and_the_first_one_uses_every_key_about_ssh() {
    let profiles = blocks("yaml");
    let plans: Vec<Plan> = profiles.iter().map(|text| resolved(text)).collect();
    assert!(plans[0].ssh.is_some() && plans.iter().any(|plan| plan.ssh.is_none()), "both kinds");
    let word = |key: &str| profiles[0].contains(&format!("{}:", key.rsplit('.').next().unwrap_or(key)));
    let missing: Vec<String> = table("Profiles").iter().map(|row| first(&row[0])).filter(|key| !word(key)).collect();
    // `no_probe` and `probe_every` exclude each other.
    assert_eq!(missing, ["no_probe", "listen"]);
}

#[test]
fn the_keys_in_the_table_are_those_that_the_parser_takes() {
    let mut known = Names::new();
    for (before, document) in [
        ("", "{zebra: 1}"),
        ("ssh.", "ssh: {zebra: 1}"),
        ("", "streams: {a: {zebra: 1}}"),
        ("rotate.", "streams: {a: {rotate: {zebra: 1}}}"),
    ] {
        let hint = said_of(document).expect_err("no such key").hint_text().expect("the keys");
        let keys = hint.strip_prefix("valid keys here: ").unwrap_or_else(|| panic!("{hint}"));
        known.extend(
            keys.split(", ").filter(|key| !["ssh", "rotate"].contains(key)).map(|key| format!("{before}{key}")),
        );
    }
    assert_eq!(table("Profiles").iter().map(|row| first(&row[0])).collect::<Names>(), known);
}

/// The table of the keys, as README has to have it.
fn keys_table() -> String {
    fn rows(level: &Level, into: &mut String) {
        for key in level.keys {
            match key.form {
                Form::Level(below) => rows(below, into),
                form => {
                    let default = if key.default.is_empty() { String::new() } else { format!(" {}", key.default) };
                    let row =
                        format!("| `{}{}` | {} |{default} | {} |\n", level.prefix, key.name, form.words(), key.meaning);
                    into.push_str(&row);
                    if form == Form::Streams {
                        rows(&STREAM, into);
                    }
                }
            }
        }
    }
    let mut table = "| key | value | default | meaning |\n|---|---|---|---|\n".to_owned();
    rows(LEVELS[0], &mut table);
    table
}

#[test]
fn the_table_of_keys_is_the_one_that_the_manual_is_made_of() {
    let (readme, table) = (readme(), keys_table());
    if std::env::var_os("RECLOG_UPDATE").is_some() {
        let (before, rest) = readme.split_once("| key | value | default | meaning |").expect("the table");
        let after = rest.split_once("\n\n").expect("its end").1;
        std::fs::write(root().join("README.md"), format!("{before}{table}\n{after}")).expect("written");
        return;
    }
    for row in table.lines() {
        assert!(readme.contains(row), "README lacks this row; run this test with RECLOG_UPDATE=1:\n{row}");
    }
    assert!(readme.contains(&format!("\n\n{table}\n")), "README has other rows; run this test with RECLOG_UPDATE=1");
}

#[test]
fn exit_codes_are_those_of_the_program() {
    let kinds = [Kind::Failed, Kind::Usage, Kind::NotRunning, Kind::Refused, Kind::HostKey, Kind::Interrupted];
    // A new kind has to be added above.
    let _ = |kind: Kind| match kind {
        Kind::Failed | Kind::Usage | Kind::NotRunning | Kind::Refused | Kind::HostKey | Kind::Interrupted => {}
    };
    let name = |kind: Kind| serde_json::to_value(kind).expect("plain").as_str().expect("a name").to_owned();
    let mut known: Vec<_> =
        kinds.iter().map(|kind| (kind.exit_code().to_string(), format!("`{}`", name(*kind)))).collect();
    known.insert(0, ("0".to_owned(), String::new()));
    let said: Vec<_> = table("Exit codes").into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
    assert_eq!(said, known);
}

#[test]
fn the_json_is_what_the_program_reads_and_writes() {
    let values: Vec<Value> = blocks("json")
        .iter()
        .flat_map(|text| serde_json::Deserializer::from_str(text).into_iter::<Value>().collect::<Vec<_>>())
        .map(|value| value.expect("JSON"))
        .collect();
    let (events, snapshots): (Vec<_>, Vec<_>) = values.into_iter().partition(|value| value.get("event").is_some());
    let mut seen = Names::new();
    for value in events {
        let event: Event = serde_json::from_value(value.clone()).unwrap_or_else(|e| panic!("{e}: {value}"));
        assert_eq!(serde_json::to_value(&event).expect("plain"), value);
        seen.insert(value["event"].as_str().expect("a name").to_owned());
    }
    assert_eq!(seen, names(["step", "up", "failed"]));
    assert_eq!(snapshots.len(), 1);
    let snapshot: Snapshot = serde_json::from_value(snapshots[0].clone()).expect("a snapshot");
    assert_eq!(serde_json::to_value(&snapshot).expect("plain"), snapshots[0]);
}

#[test]
fn links_and_paths_lead_somewhere() {
    let prose = prose();
    let links = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link.to_owned());
    let mut paths: Vec<String> = links.filter(|link| !link.contains("://")).collect();
    assert!(paths.len() > 3, "{paths:?}");
    let folders: Names = std::fs::read_dir(root())
        .expect("the root")
        .filter_map(Result::ok)
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let looks_so =
        |span: &String| span.split_once('/').is_some_and(|(top, _)| folders.contains(top) && top != "target");
    paths.extend(spans(&prose).into_iter().filter(looks_so));
    for path in paths {
        let file = path.split_once('#').map_or(path.as_str(), |(file, _)| file);
        assert!(root().join(file).exists(), "{path}");
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        assert!(prose.contains(&format!("]({licence})")), "{licence}");
    }
}

#[test]
fn the_map_names_every_file_and_folder_of_the_source() {
    let rows: Vec<String> = table("Development").iter().flat_map(|row| spans(&row[0])).collect();
    for entry in std::fs::read_dir(root().join("src")).expect("src") {
        let entry = entry.expect("an entry");
        let slash = if entry.path().is_dir() { "/" } else { "" };
        let name = format!("src/{}{slash}", entry.file_name().to_string_lossy());
        // lib.rs is this map.
        assert!(rows.contains(&name) || name == "src/lib.rs", "{name}");
    }
}

#[test]
fn the_environment_variables_are_those_that_the_source_reads() {
    fn files(folder: &Path) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
        entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
    }
    let variables = |text: &str| -> Names {
        let words = text.split(|c: char| !(c.is_ascii_uppercase() || c == '_'));
        words.filter(|word| word.starts_with("RECLOG_")).map(str::to_owned).collect()
    };
    let read = |path: &PathBuf| std::fs::read_to_string(path).expect("text");
    // What tests read is in docs/.
    let program = |path: &&PathBuf| !path.to_string_lossy().ends_with("_tests.rs");
    let source = files(&root().join("src")).iter().filter(program).map(read).collect::<String>();
    assert_eq!(variables(&readme()), variables(&source));
}
