//! The manual: complete, the same as `--help`, the profile's parser and README, and without a fault that groff or mandoc finds.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command as Process, Output, Stdio};

use clap::{Arg, Command, CommandFactory as _, Parser as _};
use reclog::cli::args::Cli;
use reclog::cli::manual::keys::flag_of;
use reclog::cli::manual::{DATE, Page, more, pages};
use reclog::profile::keys::LEVELS;

fn command() -> Command {
    let mut command = Cli::command();
    command.build();
    command
}

fn verbs(command: &Command) -> Vec<&Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).collect()
}

fn page(file: &str) -> Page {
    let found = pages().into_iter().find(|page| page.file() == file);
    found.unwrap_or_else(|| panic!("no page {file}"))
}

fn readme() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("README.md")
}

/// The words of a page, without requests, fonts and escapes.
fn words(page: &Page) -> String {
    let lines = page.text.lines().filter_map(|line| match line.strip_prefix('.') {
        Some(request) => {
            request.strip_prefix("SS ").or(request.strip_prefix("SH ")).map(|title| title.trim_matches('"'))
        }
        None => Some(line),
    });
    let mut text = lines.collect::<Vec<_>>().join(" ");
    for (escape, means) in [
        ("\\fB", ""),
        ("\\fI", ""),
        ("\\fR", ""),
        ("\\&", ""),
        ("\\-", "-"),
        ("\\(aq", "'"),
        ("\\(ti", "~"),
        ("\\(ha", "^"),
        ("\\(ga", "`"),
        ("\\(dq", "\""),
        ("\\[u2026]", "…"),
        ("\\e", "\\"),
    ] {
        text = text.replace(escape, means);
    }
    squeezed(&text)
}

fn squeezed(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Text of `--help` or of the table of keys, as a page has it.
fn told(text: &str) -> String {
    squeezed(&text.replace('`', ""))
}

fn typed(arg: &Arg) -> String {
    let flags: Vec<String> = [arg.get_short().map(|c| format!("-{c}")), arg.get_long().map(|long| format!("--{long}"))]
        .into_iter()
        .flatten()
        .collect();
    let takes = arg.get_action().takes_values();
    let names = arg.get_value_names().filter(|_| takes).map(|names| names.join(" ")).unwrap_or_default();
    format!("{} {names}", flags.join(", ")).trim().to_owned()
}

#[test]
fn every_verb_has_a_page_with_what_it_needs() {
    let command = command();
    for verb in verbs(&command) {
        let name = verb.get_name();
        let page = page(&format!("reclog-{name}.1"));
        let more = more::of(name)
            .unwrap_or_else(|| panic!("say more of `{name}` in src/cli/manual/more.rs: an example at least"));
        assert!(!more.examples.is_empty(), "give an example of `{name}` in src/cli/manual/more.rs");
        for section in [
            "NAME",
            "SYNOPSIS",
            "DESCRIPTION",
            "OPTIONS",
            "EXIT STATUS",
            "FILES",
            "ENVIRONMENT",
            "EXAMPLES",
            "SEE ALSO",
        ] {
            assert!(page.text.contains(&format!(".SH \"{section}\"\n")), "{name} has no {section}");
        }
        for verb in more.see {
            assert!(more::of(verb).is_some(), "{name}: see {verb}");
        }
        for title in more.sections {
            let there =
                readme().lines().any(|line| line.starts_with('#') && line.trim_start_matches('#').trim() == *title);
            assert!(there, "{name}: README has no section {title:?}");
        }
        let text = words(&page);
        for code in [0, 2].iter().chain(more.exits) {
            let row = readme().lines().find(|line| line.starts_with(&format!("| {code} | "))).map(str::to_owned);
            let row = row.unwrap_or_else(|| panic!("{name}: README knows no exit code {code}"));
            let meaning = row.trim_matches('|').rsplit(" | ").next().expect("cells").trim().to_owned();
            assert!(text.contains(&told(&format!("{code} {meaning}"))), "{name}: {code}");
        }
        for variable in ["RECLOG_CONFIG_DIR", "RECLOG_STATE_DIR", "RECLOG_RUNTIME_DIR", "RECLOG_KEYWORD"] {
            assert!(text.contains(variable), "{name}: {variable}");
        }
    }
    let known: Vec<_> = verbs(&command).iter().map(|verb| verb.get_name().to_owned()).collect();
    for more in more::MORE {
        assert!(known.contains(&more.verb.to_owned()), "src/cli/manual/more.rs: there is no verb `{}`", more.verb);
    }
}

#[test]
fn every_option_of_every_verb_is_in_its_page_with_the_words_of_help() {
    fn look(text: &str, command: &Command, name: &str) {
        assert!(text.contains(&told(&command.get_about().expect("about").to_string())), "{name}");
        // What every verb has stands once on the page of several.
        let again = |arg: &clap::Arg| name.contains(' ') && arg.get_id() == "help";
        for arg in command.get_arguments().filter(|arg| !arg.is_hide_set() && !again(arg)) {
            let help = arg.get_long_help().or(arg.get_help()).expect("a help").to_string();
            let term = format!("{} {}", typed(arg), told(&help));
            assert!(text.contains(&squeezed(&term)), "{name} lacks: {term}");
            for value in arg.get_possible_values().iter().filter(|_| arg.get_action().takes_values()) {
                assert!(text.contains(value.get_name()), "{name}: {}", value.get_name());
                let help = value.get_help().map(ToString::to_string).unwrap_or_default();
                assert!(text.contains(&told(&help)), "{name}: {help}");
            }
        }
        for verb in verbs(command) {
            look(text, verb, &format!("{name} {}", verb.get_name()));
        }
    }
    let command = command();
    let first = words(&page("reclog.1"));
    for verb in verbs(&command) {
        look(&words(&page(&format!("reclog-{}.1", verb.get_name()))), verb, verb.get_name());
        let row = format!("reclog-{}(1) {}", verb.get_name(), told(&verb.get_about().expect("about").to_string()));
        assert!(first.contains(&row), "reclog(1) lacks: {row}");
    }
    for arg in command.get_arguments() {
        assert!(first.contains(&typed(arg)), "reclog(1) lacks {}", typed(arg));
    }
}

#[test]
fn every_key_of_a_profile_is_in_its_page_with_form_default_and_flag() {
    let (text, command) = (words(&page("reclog-profile.5")), command());
    let mut flags = BTreeSet::new();
    for level in LEVELS {
        for key in level.keys {
            assert!(text.contains(&told(&format!("{} {}.", key.name, key.meaning))), "{}{}", level.prefix, key.name);
            assert!(text.contains(&told(&key.form.words())), "{}", key.name);
            assert!(
                text.contains(&told(&format!("Default: {}.", key.default))) || key.default.is_empty(),
                "{}",
                key.name
            );
            if let Some(flag) = flag_of(level, key, &command) {
                assert!(text.contains(&format!("Command line: {flag}.")), "{flag}");
                flags.insert(flag);
            }
        }
    }
    // The other way round: these are about one start, not about the collector.
    let up = command.find_subcommand("up").expect("up");
    let own = up.get_arguments().filter(|arg| !arg.is_positional() && !arg.is_global_set());
    let own = own.map(|arg| {
        arg.get_long().map_or_else(|| format!("-{}", arg.get_short().expect("a name")), |long| format!("--{long}"))
    });
    let without: BTreeSet<String> =
        own.filter(|flag| !flags.contains(flag) && flag != "--help" && flag != "--version").collect();
    let known = ["--foreground", "--force", "--json", "--name", "--save"].map(str::to_owned).into();
    assert_eq!(without, known, "every option of `up` has a key of the same name in a profile, but these");
}

#[test]
fn every_example_is_a_command_line_of_its_verb() {
    for more in more::MORE {
        for (line, what) in more.examples {
            assert!(what.ends_with('.'), "{line}: {what}");
            let verb = line.strip_prefix("reclog ").and_then(|rest| rest.split(' ').next());
            assert_eq!(verb, Some(more.verb), "{line}");
            Cli::try_parse_from(line.split(' ')).unwrap_or_else(|error| panic!("{line}\n{error}"));
        }
    }
}

#[test]
fn no_mark_of_readme_is_left_and_the_day_is_that_of_the_version() {
    for page in pages() {
        let mut code = false;
        for line in page.text.lines() {
            code = if line == ".nf" { true } else { code && line != ".fi" };
            for mark in ["**", "](", "\\(ga", "|--"] {
                assert!(code || !line.contains(mark), "{}: {line}", page.file());
            }
        }
    }
    let changes =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).expect("CHANGELOG");
    let heading = changes.lines().find_map(|line| line.strip_prefix(&format!("## [{}] - ", env!("CARGO_PKG_VERSION"))));
    assert!(heading.is_none_or(|day| day.trim() == DATE), "set DATE of src/cli/manual/mod.rs to {heading:?}");
}

/// Whether `program` is here; a missing one skips the test, or fails it under `RECLOG_TEST_STRICT=1`.
fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|f| f.join(program).is_file());
    assert!(found || std::env::var_os("RECLOG_TEST_STRICT").is_none_or(|v| v != "1"), "{program} is not installed");
    found
}

/// What `program` says of `text`.
fn said(program: &str, arguments: &[&str], text: &str) -> Output {
    let mut process = Process::new(program)
        .args(arguments)
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut stdin = process.stdin.take().expect("piped");
    let text = text.to_owned();
    let writing = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = process.wait_with_output().expect("an end");
    writing.join().expect("no panic").expect("all is read");
    output
}

#[test]
fn groff_and_mandoc_find_no_fault() {
    let groff: (&str, &[&str]) = ("groff", &["-man", "-Tutf8", "-ww", "-z"]);
    let mandoc: (&str, &[&str]) = ("mandoc", &["-T", "lint", "-W", "style"]);
    for (program, arguments) in [groff, mandoc].into_iter().filter(|(program, _)| has(program)) {
        let faults: Vec<String> = pages()
            .iter()
            .filter_map(|page| {
                let output = said(program, arguments, &page.text);
                let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
                (!said.is_empty() || !output.status.success()).then(|| format!("{}: {said}", page.file()))
            })
            .collect();
        assert!(faults.is_empty(), "{program}: {}", faults.join("\n"));
        // It would have found one.
        let bad = said(program, arguments, ".TH X 1 2026-11-21\n.SH NAME\nx \\- y\n.XX\n\\*[nope]\n");
        assert!(!bad.stdout.is_empty() || !bad.stderr.is_empty(), "{program} finds nothing anywhere");
    }
}

#[test]
fn pages_are_printed_by_name_and_written_where_man_looks_for_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| {
        let mut reclog = Process::new(env!("CARGO_BIN_EXE_reclog"));
        reclog.arg("man").args(arguments).env("HOME", folder.path()).env_remove("MANPATH").stdin(Stdio::null());
        reclog.output().expect("it runs")
    };
    for (name, file) in [
        ("up", "reclog-up.1"),
        ("reclog-up", "reclog-up.1"),
        ("profile", "reclog-profile.1"),
        ("profile.5", "reclog-profile.5"),
        ("reclog", "reclog.1"),
        ("reclog-tail.1", "reclog-tail.1"),
    ] {
        let output = run(&[name]);
        assert!(output.status.success(), "{output:?}");
        assert!(String::from_utf8(output.stdout).expect("text") == page(file).text, "{name}");
    }
    assert!(String::from_utf8(run(&[]).stdout).expect("text") == page("reclog.1").text);
    let output = run(&["stauts"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did you mean `status`?"), "{output:?}");
    let there = folder.path().join("man");
    assert!(run(&["--dir", there.to_str().expect("UTF-8")]).status.success());
    for page in pages() {
        let file = there.join(format!("man{}", page.section)).join(page.file());
        assert!(std::fs::read_to_string(&file).is_ok_and(|text| text == page.text), "{}", file.display());
    }
    assert_eq!(run(&["--dir", "/dev/null/x"]).status.code(), Some(1));
}
