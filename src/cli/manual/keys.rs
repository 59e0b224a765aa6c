//! reclog-profile(5): every key of a profile.

use clap::Command;

use super::readme;
use super::roff::Roff;
use super::verbs::places;
use super::{DATE, see_also};
use crate::profile::Form;
use crate::profile::keys::{Key, LEVELS, Level};

/// Sections of README that explain keys.
const SECTIONS: [&str; 5] = [
    "Who may send",
    "Where records go",
    "Framings",
    "The shape of records",
    "Several files: names made of the sender and the time",
];

/// The page; `command` is the program's.
#[must_use]
pub fn page(command: &Command) -> String {
    let mut page = Roff::page("reclog-profile", 5, DATE);
    page.name("reclog-profile", "profiles of reclog: what a collector does, in YAML");
    page.heading("SYNOPSIS");
    page.text("`$XDG_CONFIG_HOME/reclog/profiles/NAME.yaml`");
    page.heading("DESCRIPTION");
    readme::put(&mut page, "Profiles", &["key"]);
    for level in LEVELS {
        page.heading(&format!("KEYS {}", level.place.replace('`', "")).to_uppercase());
        for key in level.keys {
            tell(&mut page, level, key, command);
        }
    }
    for title in SECTIONS {
        page.heading(&title.to_uppercase());
        readme::put(&mut page, title, &[]);
    }
    places(&mut page);
    page.heading("EXAMPLES");
    page.paragraph("A port of the jump host, and a file:");
    page.code(include_str!("../../../profiles/tremplin.yaml"));
    page.paragraph("Senders that have to say a word:");
    page.code(include_str!("../../../profiles/guarded.yaml"));
    let others = [("reclog", 1), ("reclog-profile", 1), ("reclog-up", 1), ("ssh_config", 5)];
    see_also(&mut page, others.into_iter().map(|(name, section)| (name.to_owned(), section)));
    page.into_text()
}

fn tell(page: &mut Roff, level: &Level, key: &Key, command: &Command) {
    let mut text = format!("{}.", key.meaning);
    if !matches!(key.form, Form::Level(_)) {
        text.push_str(&format!(" Value: {}.", key.form.words()));
    }
    if let Some(unit) = unit(key.form) {
        text.push_str(&format!(" Without a unit: {unit}."));
    }
    if !key.default.is_empty() {
        text.push_str(&format!(" Default: {}.", key.default));
    }
    if let Some(flag) = flag_of(level, key, command) {
        text.push_str(&format!(" Command line: `{flag}`."));
    }
    page.term(&format!("`{}`", key.name), &text);
}

fn unit(form: Form) -> Option<&'static str> {
    match form {
        Form::Size(..) => Some("bytes"),
        Form::Rate => Some("bytes a second"),
        Form::Time { .. } => Some("seconds"),
        _ => None,
    }
}

/// The option of `up` that says the same: called like the key, with what stands before it (`--rotate-size`) or without (`--keep`).
#[must_use]
pub fn flag_of(level: &Level, key: &Key, command: &Command) -> Option<String> {
    let up = command.find_subcommand("up")?;
    if key.form == Form::Options {
        return Some("-o".to_owned());
    }
    if matches!(key.form, Form::Level(_) | Form::Streams) {
        return None;
    }
    let (long, short) = (format!("{}{}", level.prefix, key.name), key.name);
    let names = [long, short.to_owned()].map(|name| name.replace(['.', '_'], "-"));
    let known = |name: &String| up.get_arguments().any(|arg| arg.get_long() == Some(name));
    names.into_iter().find(known).map(|name| format!("--{name}"))
}
