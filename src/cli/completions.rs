//! Completion scripts: what clap_complete makes, and names of profiles and collectors where they belong.
//!
//! The names come from the hidden verb `__names` at the moment of completion. It is called as `reclog`, except in bash,
//! which knows what was typed.

use std::fmt::Write as _;

use clap::{Command, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::args::Cli;

/// Verbs whose first argument is a saved profile.
const PROFILES: [&str; 12] = [
    "up",
    "doctor",
    "harden",
    "profile show",
    "profile check",
    "profile edit",
    "profile path",
    "profile rm",
    "service install",
    "service uninstall",
    "service status",
    "service print",
];
/// Those of them that take a host, too.
const TARGETS: [&str; 3] = ["up", "doctor", "harden"];
/// Verbs whose first argument is a running collector.
const COLLECTORS: [&str; 11] =
    ["down", "status", "health", "metrics", "tail", "web", "audit", "kick", "rotate", "restart", "how"];
/// Verbs whose argument is a page of the manual.
const PAGES: [&str; 1] = ["man"];
/// Of the collectors' verbs, the ones that take more than one.
const MANY: [&str; 2] = ["down", "web"];

/// The completion script of `shell`, as `reclog completions` prints it and `completions/` holds it.
#[must_use]
pub fn script(shell: Shell) -> String {
    let mut command = shown();
    let mut bytes = Vec::new();
    clap_complete::generate(shell, &mut command, "reclog", &mut bytes);
    let script = String::from_utf8_lossy(&bytes).into_owned();
    let mut script = match shell {
        Shell::Bash => bash(&script, &command),
        Shell::Zsh => zsh(&script),
        Shell::Fish => script + &fish(),
        _ => script,
    };
    script.truncate(script.trim_end().len());
    script.push('\n');
    script
}

/// The command line without what is hidden: clap_complete would offer hidden verbs.
fn shown() -> Command {
    let full = Cli::command();
    Command::new("reclog")
        .version(env!("CARGO_PKG_VERSION"))
        .propagate_version(true)
        .disable_help_subcommand(true)
        .args(full.get_arguments().cloned())
        .subcommands(full.get_subcommands().filter(|verb| !verb.is_hide_set()).cloned())
}

/// A function around the generated one, which offers options where names belong.
fn bash(script: &str, command: &Command) -> String {
    let mut valued = Vec::new();
    options_with_values(command, "", &mut valued);
    let alternatives = |verbs: &[&str]| verbs.iter().map(|v| format!("\" {v}\"")).collect::<Vec<_>>().join("|");
    let first: Vec<_> = COLLECTORS.into_iter().filter(|verb| !MANY.contains(verb)).collect();
    let many: Vec<_> = MANY.iter().map(|verb| format!("\" {verb}\"*")).collect();
    let function = format!(
        r#"
# Names of profiles and collectors, where the verb takes one.
_reclog_with_names() {{
    _reclog "$@"
    local cur="${{COMP_WORDS[COMP_CWORD]}}" words="" value="" word what
    [[ $cur == -* || $cur == = ]] && return
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        # bash splits --option=value into three words.
        [[ $word == = ]] && value=1 && continue
        [[ -n $value ]] && value="" && continue
        case "$words $word" in
            {valued})
                value=1
                ;;
            *" -"*) ;;
            *)
                words+=" $word"
                ;;
        esac
    done
    [[ -n $value ]] && return
    case "$words" in
        {profiles})
            what=profiles
            ;;
        {first}|{many})
            what=collectors
            ;;
        {pages})
            what=pages
            ;;
        *)
            return
            ;;
    esac
    local found
    found=($(compgen -W "$("$1" __names "$what" 2>/dev/null)" -- "$cur"))
    ((${{#found[@]}})) && COMPREPLY=("${{found[@]}}")
}}
"#,
        valued = valued.join("|\\\n            "),
        profiles = alternatives(&PROFILES),
        first = alternatives(&first),
        pages = alternatives(&PAGES),
        many = many.join("|"),
    );
    // Before the registration, which is to name the new function.
    let (generated, registration) = script.split_at(script.rfind("\nif [[ ").unwrap_or(script.len()));
    format!("{generated}{function}{}", registration.replace("complete -F _reclog ", "complete -F _reclog_with_names "))
}

/// Patterns `" verb"*" --option"` of all options that take a value in a word of their own.
fn options_with_values(command: &Command, verb: &str, into: &mut Vec<String>) {
    for option in command.get_arguments().filter(|a| !a.is_positional() && a.get_action().takes_values()) {
        let (short, long) = (option.get_short().map(|c| format!("-{c}")), option.get_long().map(|l| format!("--{l}")));
        into.extend(short.into_iter().chain(long).map(|flag| format!("\"{verb}\"*\" {flag}\"")));
    }
    for inner in command.get_subcommands() {
        options_with_values(inner, &format!("{verb} {}", inner.get_name()), into);
    }
}

/// The generated script with better actions for the first argument of some verbs.
fn zsh(script: &str) -> String {
    // The script is one nest of `case`; the labels on the way to a line are its verb.
    let mut path: Vec<&str> = Vec::new();
    let mut out = String::with_capacity(script.len());
    for line in script.lines() {
        let word = line.trim();
        if word.starts_with("case ") {
            path.push("");
        } else if word == "esac" {
            path.pop();
        } else if let (Some(label), Some(top)) = (label(word), path.last_mut()) {
            *top = label;
        }
        // A verb that takes names or a command: the generated lines look for the command behind a name.
        let line = &line.replace("$line[2]", "$line[1]");
        if word == "case $line[2] in" {
            out.push_str("        [[ $line[1] == user ]] || { _reclog_collectors && ret=0 }\n");
        }
        let mut verbs = path.clone();
        verbs.dedup();
        let verb = verbs.get(1..).unwrap_or_default().join(" ");
        let names = match () {
            () if TARGETS.contains(&verb.as_str()) => Some("_reclog_targets"),
            () if verb == "profile check" => Some("_reclog_profiles_and_files"),
            () if PROFILES.contains(&verb.as_str()) => Some("_reclog_profiles"),
            () if COLLECTORS.contains(&verb.as_str()) => Some("_reclog_collectors"),
            () if PAGES.contains(&verb.as_str()) => Some("_reclog_pages"),
            () => None,
        };
        match (names, line.rsplit_once(':')) {
            _ if verb == "web" && line.starts_with("'::names") => {}
            _ if line.starts_with("\":: :_reclog__subcmd__web_commands") => out.push_str("\":: :_reclog_web\" \\\n"),
            (Some(names), Some((argument, _))) if line.contains(" -- ") && line.starts_with('\'') => {
                let _ = writeln!(out, "{argument}:{names}' \\");
            }
            _ => {
                let _ = writeln!(out, "{line}");
            }
        }
    }
    let functions = "\
_reclog_profiles() {
    local -a names
    names=(${(f)\"$(_call_program profiles reclog __names profiles 2>/dev/null)\"})
    _describe -t profiles profile names
}

_reclog_collectors() {
    local -a names
    names=(${(f)\"$(_call_program collectors reclog __names collectors 2>/dev/null)\"})
    _describe -t collectors collector names
}

_reclog_pages() {
    local -a names
    names=(${(f)\"$(_call_program pages reclog __names pages 2>/dev/null)\"})
    _describe -t pages page names
}

_reclog_web() {
    _alternative 'collectors:collector:_reclog_collectors' 'commands:command:_reclog__subcmd__web_commands'
}

_reclog_targets() {
    _alternative 'profiles:profile:_reclog_profiles' 'hosts:host:_hosts'
}

_reclog_profiles_and_files() {
    _alternative 'profiles:profile:_reclog_profiles' 'files:file:_files'
}

";
    let (generated, registration) = out.split_at(out.rfind("if [ \"$funcstack[1]\"").unwrap_or(out.len()));
    format!("{generated}{functions}{registration}")
}

/// `(up)` is the label `up`.
fn label(word: &str) -> Option<&str> {
    word.strip_prefix('(')?.strip_suffix(')').filter(|w| w.chars().all(|c| c.is_ascii_alphanumeric() || c == '-'))
}

/// Lines to add: clap_complete says nothing of arguments in fish.
fn fish() -> String {
    let mut out = String::new();
    let mut say = |verb: &str, what: &str, description: &str, files: bool| {
        let condition = match verb.split_once(' ') {
            None => format!("__fish_reclog_using_subcommand {verb}"),
            Some((outer, inner)) => {
                format!("__fish_reclog_using_subcommand {outer}; and __fish_seen_subcommand_from {inner}")
            }
        };
        let no_files = if files { "" } else { " -f" };
        let _ = writeln!(out, "complete -c reclog -n \"{condition}\"{no_files} -a \"{what}\" -d '{description}'");
    };
    for verb in PROFILES {
        say(verb, "(reclog __names profiles 2>/dev/null)", "Profile", verb == "profile check");
    }
    for verb in TARGETS {
        say(verb, "(__fish_print_hostnames)", "Host", false);
    }
    for verb in COLLECTORS {
        say(verb, "(reclog __names collectors 2>/dev/null)", "Collector", false);
    }
    for verb in PAGES {
        say(verb, "(reclog __names pages 2>/dev/null)", "Page", false);
    }
    out
}
