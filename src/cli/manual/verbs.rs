//! Pages of section 1: the command line, as clap knows it.

use clap::{Arg, ArgAction, Command};

use super::more::{self, More};
use super::readme;
use super::roff::Roff;
use super::{DATE, see_also};

/// reclog(1)
pub fn program(command: &Command) -> String {
    let mut page = begin("reclog", command);
    page.heading("DESCRIPTION");
    description(&mut page, command);
    for title in ["The flow", "Quick start"] {
        page.subheading(title);
        readme::put(&mut page, title, &[]);
    }
    page.heading("COMMANDS");
    for verb in shown(command) {
        page.term(&format!("**reclog-{}**(1)", verb.get_name()), &about(verb));
    }
    page.heading("OPTIONS");
    options(&mut page, command);
    exits(&mut page, None);
    places(&mut page);
    page.heading("EXAMPLES");
    for verb in shown(command) {
        examples(&mut page, verb.get_name(), 1);
    }
    let pages: Vec<_> = shown(command).map(|verb| (format!("reclog-{}", verb.get_name()), 1)).collect();
    see_also(&mut page, pages.into_iter().chain([("reclog-profile".to_owned(), 5), ("ssh_config".to_owned(), 5)]));
    page.into_text()
}

/// The page of one verb; `command` was built, so that it knows the options of all verbs.
pub fn verb(command: &Command) -> String {
    let name = command.get_name();
    let mut page = begin(&format!("reclog-{name}"), command);
    page.heading("DESCRIPTION");
    description(&mut page, command);
    let more = more::of(name);
    for title in more.map_or(&[][..], |more| more.sections) {
        page.subheading(&title.replace('`', ""));
        readme::put(&mut page, title, &[]);
    }
    if shown(command).next().is_some() {
        page.heading("COMMANDS");
        commands(&mut page, command);
    }
    page.heading("OPTIONS");
    options(&mut page, command);
    exits(&mut page, more);
    places(&mut page);
    page.heading("EXAMPLES");
    examples(&mut page, name, usize::MAX);
    let others = more.map_or(&[][..], |more| more.see).iter().map(|verb| (format!("reclog-{verb}"), 1));
    see_also(&mut page, [("reclog".to_owned(), 1)].into_iter().chain(others).chain([("reclog-profile".to_owned(), 5)]));
    page.into_text()
}

/// Those below `command`, and below these.
fn commands(page: &mut Roff, command: &Command) {
    for inner in shown(command) {
        page.subheading(&usage(inner));
        page.text(&sentence(&about(inner)));
        for arg in inner.get_arguments().filter(|arg| is_shown(arg) && !is_standard(arg)) {
            argument(page, arg);
        }
        commands(page, inner);
    }
}

/// Those below `command` that do something.
fn doing(command: &Command) -> Vec<&Command> {
    shown(command).flat_map(|inner| if inner.has_subcommands() { doing(inner) } else { vec![inner] }).collect()
}

fn begin(name: &str, command: &Command) -> Roff {
    let mut page = Roff::page(name, 1, DATE);
    page.name(name, &about(command));
    page.heading("SYNOPSIS");
    let own = name == "reclog" || !command.is_subcommand_required_set();
    let below = if name == "reclog" { Vec::new() } else { doing(command) };
    for (n, one) in own.then_some(command).into_iter().chain(below).enumerate() {
        if n > 0 {
            page.line_break();
        }
        page.text(&format!("`{}`", usage(one)));
    }
    page
}

/// Verbs that are no secret.
pub fn shown(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| !verb.is_hide_set())
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

fn sentence(text: &str) -> String {
    if text.ends_with('.') { text.to_owned() } else { format!("{text}.") }
}

fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    // Of a verb that does something and has commands, too, these stand by themselves.
    usage
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("Usage: ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

/// What `--help` begins with.
fn description(page: &mut Roff, command: &Command) {
    let text = command.get_long_about().or_else(|| command.get_about()).map(ToString::to_string).unwrap_or_default();
    for paragraph in text.split("\n\n").filter(|paragraph| !paragraph.trim().is_empty()) {
        page.paragraph(&sentence(paragraph.trim()));
    }
}

fn is_shown(arg: &Arg) -> bool {
    !arg.is_hide_set()
}

/// What every verb takes.
fn is_standard(arg: &Arg) -> bool {
    arg.is_global_set() || matches!(arg.get_id().as_str(), "help" | "version")
}

/// Arguments first, then options in the order of `--help`, those of all verbs last.
fn options(page: &mut Roff, command: &Command) {
    let all = || command.get_arguments().filter(|arg| is_shown(arg));
    for arg in all().filter(|arg| arg.is_positional()) {
        argument(page, arg);
    }
    for arg in all().filter(|arg| !arg.is_positional() && !is_standard(arg)) {
        argument(page, arg);
    }
    for arg in all().filter(|arg| is_standard(arg)) {
        argument(page, arg);
    }
}

fn argument(page: &mut Roff, arg: &Arg) {
    let names =
        arg.get_value_names().map(|names| names.iter().map(|name| format!("*{name}*")).collect::<Vec<_>>().join(" "));
    let value = names.filter(|_| arg.get_action().takes_values());
    let flags: Vec<String> =
        [arg.get_short().map(|c| format!("`-{c}`")), arg.get_long().map(|long| format!("`--{long}`"))]
            .into_iter()
            .flatten()
            .collect();
    let term = [flags.join(", "), value.unwrap_or_default()].join(" ");
    let help = arg.get_long_help().or_else(|| arg.get_help()).map(ToString::to_string).unwrap_or_default();
    let defaults: Vec<_> = arg.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
    let default = if defaults.is_empty() || !arg.get_action().takes_values() {
        String::new()
    } else {
        format!(" [default: {}]", defaults.join(" "))
    };
    page.term(term.trim(), &format!("{help}{default}"));
    let values = arg.get_possible_values();
    let values: Vec<_> = values.iter().filter(|value| !value.is_hide_set()).collect();
    if values.is_empty()
        || matches!(arg.get_action(), ArgAction::SetTrue | ArgAction::Count | ArgAction::Help | ArgAction::Version)
    {
        return;
    }
    page.inset(|page| {
        if values.iter().all(|value| value.get_help().is_none()) {
            let names: Vec<_> = values.iter().map(|value| format!("`{}`", value.get_name())).collect();
            page.paragraph(&format!("One of {}.", names.join(", ")));
            return;
        }
        for value in values {
            page.term(
                &format!("`{}`", value.get_name()),
                &value.get_help().map(ToString::to_string).unwrap_or_default(),
            );
        }
    });
}

/// The codes of README, those that the verb can have.
fn exits(page: &mut Roff, more: Option<&More>) {
    page.heading("EXIT STATUS");
    for row in readme::rows("Exit codes", "code") {
        let code = row[0].parse::<u8>().unwrap_or_default();
        if more.is_none_or(|more| [0, 2].contains(&code) || more.exits.contains(&code)) {
            page.term(&format!("**{}**", row[0]), &row[2]);
        }
    }
}

/// FILES and ENVIRONMENT are the same for all: one collector is looked at by many verbs.
pub fn places(page: &mut Roff) {
    page.heading("FILES");
    for row in readme::rows("Files and environment", "what") {
        let mode = if row[2].is_empty() { String::new() } else { format!(" Mode: {}.", row[2]) };
        page.term(&row[1], &format!("{}.{mode}", row[0]));
    }
    page.heading("ENVIRONMENT");
    for row in readme::rows("Files and environment", "variable") {
        page.term(&row[0], &row[1]);
    }
}

fn examples(page: &mut Roff, verb: &str, most: usize) {
    for (line, what) in more::of(verb).map_or(&[][..], |more| more.examples).iter().take(most) {
        page.paragraph(what);
        page.code(line);
    }
}
