//! `reclog harden`

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::args_examine::{HardenArgs, overrides};
use super::doctor::resolve;
use super::options::SshArgs;
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use super::up::interrupt;
use super::wrap::{indented, wrapped};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::plan::{Relay, StreamPlan};
use crate::profile;
use crate::ssh::{self, Ability, Advice, Connection, Found, Memory, Method, Need, PublicHalf, Settings};

/// Columns of a line.
const WIDTH: usize = 80;
/// What saying good-bye to the jump host may take.
const FAREWELL: std::time::Duration = std::time::Duration::from_secs(1);

/// Prints the least that the key needs, or looks for what more it can do.
pub async fn run(args: HardenArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let json = args.json;
    let result = Box::pin(harden(args, paths, printer)).await;
    if let (Err(error), true) = (&result, json) {
        let _ = printer.json(&Event::failed(error));
    }
    result
}

async fn harden(args: HardenArgs, paths: &Paths, printer: Printer) -> Result<()> {
    let flags = overrides(&args.target, args.remote_port, args.bind.as_ref(), &args.ssh);
    let (resolved, _) = profile::resolve_look(&flags, paths)?;
    let plan = resolved.plan;
    let given = Given { args: &args, is_profile: resolved.profile.is_some() };
    if args.remote_port.is_none() && !given.is_profile {
        // Port 0 is any port: nobody is to paste that, or to have it tried, without having said so.
        return Err(Error::usage(format!("{} is no profile: which port is the key for?", escape_str(&args.target)))
            .hint(format!("{}; 0 is any port", given.with_port("PORT"))));
    }
    let Some(way) = &plan.ssh else {
        return Err(Error::usage(format!("{} listens on this machine: there is no key to harden", plan.name)));
    };
    let settings = resolve(way.clone()).await?;
    let key = ssh::public_half(&settings).await;
    let need = Need::of(&plan.streams, &settings.user, key.as_ref().map(|key| escape_str(key.line.trim())));
    if !args.check {
        let advice = need.advice();
        return if args.json {
            printer.json(&Event::lines(&settings, &advice))
        } else {
            printer.data(&told(&settings, &advice, &given.line(true)))
        };
    }
    let settings = alone(settings, key);
    tokio::select! {
        biased;
        // The connection is closed when it is dropped, and the ports with it.
        () = interrupt() => Err(Error::interrupted()),
        checked = check(settings, &need, &plan.streams, args.json, printer) => checked,
    }
}

/// The same way with no other key, and nothing written down.
fn alone(mut settings: Settings, key: Option<PublicHalf>) -> Settings {
    if let Some(file) = key.and_then(|key| key.file) {
        settings.identities = vec![file];
        settings.identities_only = true;
    }
    settings.methods = vec![Method::PublicKey];
    // A key that may run commands is what is looked for.
    settings.commands = true;
    settings.writes_unseen = false;
    settings.jumps.iter_mut().for_each(|hop| hop.writes_unseen = false);
    settings
}

/// What stands on stdout with `--json`.
#[derive(serde::Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event<'a> {
    /// Something was tried.
    Step {
        step: &'a str,
        verdict: Found,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        note: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<&'a str>,
    },
    /// The last line.
    Harden {
        #[serde(skip_serializing_if = "Option::is_none")]
        user: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        host: Option<&'a str>,
        #[serde(flatten)]
        advice: Option<&'a Advice>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
        exit_code: u8,
    },
}

impl<'a> Event<'a> {
    fn failed(error: &'a Error) -> Self {
        let (message, hint) = (Some(error.message.as_str()), error.hint_text());
        Self::Harden { user: None, host: None, advice: None, message, hint, exit_code: error.kind.exit_code() }
    }

    fn lines(settings: &'a Settings, advice: &'a Advice) -> Self {
        let (user, host) = (Some(settings.user.as_str()), Some(settings.host.as_str()));
        Self::Harden { user, host, advice: Some(advice), message: None, hint: None, exit_code: 0 }
    }
}

/// Everything that is no line to paste is a comment of the file that the lines before it belong to.
fn told(settings: &Settings, advice: &Advice, check: &str) -> String {
    let (user, host) = (&settings.user, &settings.host);
    let mut text = String::new();
    for warning in &advice.warnings {
        text.push_str(&comment("# ! ", warning));
    }
    let whose = if user == "root" { "/root".to_owned() } else { format!("~{user}") };
    text.push_str(&comment("# ", &format!("one line for {whose}/.ssh/authorized_keys on {host}:")));
    text.push_str(&format!("{}\n\n", advice.authorized_keys));
    let end = "for the end of sshd_config there, by its administrator; then: sshd -t, and reload:";
    text.push_str(&comment("# ", end));
    text.push_str(&format!("{}\n\n# what that costs, and what it leaves:\n", escape_lines(&advice.sshd_config)));
    for note in &advice.notes {
        text.push_str(&comment("# - ", note));
    }
    // One line, however long: it is to be pasted.
    text.push_str(&format!("# whether the key can do more:\n#   {check}\n"));
    text
}

/// `sentence` as a comment, its further lines below its first word.
fn comment(lead: &str, sentence: &str) -> String {
    let below = format!("\n#{}", " ".repeat(lead.len() - 1));
    format!("{lead}{}\n", wrapped(sentence, WIDTH - lead.len()).join(&below))
}

/// The command line as it was given.
struct Given<'a> {
    args: &'a HardenArgs,
    is_profile: bool,
}

impl Given<'_> {
    fn with_port(&self, port: &str) -> String {
        format!("{} --remote-port {port}", self.line(self.args.check))
    }

    /// The same again, with or without `--check`, safe to show and to paste.
    fn line(&self, check: bool) -> String {
        let HardenArgs { target, check: _, remote_port, bind, ssh, json: _ } = self.args;
        let SshArgs { identity, port, ssh_config, jump, option } = ssh;
        let mut words = vec!["reclog".to_owned(), "harden".into(), shell_word(target)];
        let shown = |path: &PathBuf| path.to_string_lossy().into_owned();
        let ports = |port: &Option<u16>| port.iter().map(u16::to_string).collect::<Vec<_>>();
        let options = [
            ("-i", identity.iter().map(shown).collect()),
            ("-p", ports(port)),
            ("-F", ssh_config.iter().map(shown).collect()),
            ("-J", jump.clone()),
            ("-o", option.clone()),
            ("--remote-port", ports(remote_port)),
            ("--bind", bind.iter().cloned().collect()),
        ];
        for (flag, values) in options {
            words.extend(values.iter().flat_map(|value| [flag.to_owned(), shell_word(value)]));
        }
        if check {
            words.push("--check".into());
        }
        escape_str(&words.join(" "))
    }
}

/// `word` as every shell takes it.
fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@:=,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn escape_lines(text: &str) -> String {
    text.split('\n').map(escape_str).collect::<Vec<_>>().join("\n")
}

async fn check(settings: Settings, need: &Need, streams: &[StreamPlan], json: bool, printer: Printer) -> Result<()> {
    let spinner = Spinner::new((!json).then_some(printer));
    spinner.say(format!("logging in to {}", escape_str(&settings.target())));
    let person = Arc::new(Prompt::new(printer, spinner.clone()));
    let (user, memory) = (settings.user.clone(), Arc::<Memory>::default());
    let connected = Connection::establish(Arc::new(settings), person, Arc::clone(&memory), &|_, _| ()).await;
    let connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            spinner.finish();
            return Err(error);
        }
    };
    spinner.say("trying what the key can do".into());
    let broken = Mutex::new(None);
    let tell = |line: Line<'_>| {
        let Line { name, words, found, note, hint } = line;
        spinner.pause();
        let told = if json {
            printer.json(&Event::Step { step: name, verdict: found, message: words, note, hint })
        } else {
            printer.data(&drawn(words, found, note, hint))
        };
        if let Err(error) = told {
            broken.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
        spinner.resume();
    };
    let result = tried(&connection, need, streams, &tell).await;
    spinner.finish();
    let login = memory.greeting().login.join(" and ");
    connection.close(FAREWELL).await;
    if let Some(error) = broken.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    let Outcome { open, untold } = result?;
    if open.is_empty() {
        let end = end(untold);
        return if json {
            let message = Some(end.as_str());
            printer.json(&Event::Harden {
                user: Some(&user),
                host: None,
                advice: None,
                message,
                hint: None,
                exit_code: 0,
            })
        } else {
            let text = wrapped(&format!("{user} with {login}: {end}"), WIDTH).join("\n");
            printer.data(&format!("\n{text}\n"))
        };
    }
    let all = open.iter().map(|ability| ability.words()).collect::<Vec<_>>().join("; ");
    let error = Error::failed(format!("{user} with {login} can do more than it needs: {all}"));
    Err(error.hint("`reclog harden` without --check prints the lines that close it"))
}

/// What is said at the end when nothing is open; `untold`: how many tries told nothing. It is no proof that there is nothing:
/// only a look into the server's rules would be one.
fn end(untold: usize) -> String {
    let untold = if untold == 0 { String::new() } else { format!("; {untold} could not be told") };
    format!("none of what was tried is open{untold} (other ports and hosts that a rule lists cannot be enumerated)")
}

/// A line about a try.
#[derive(Clone, Copy)]
struct Line<'a> {
    name: &'a str,
    words: &'a str,
    found: Found,
    note: Option<&'a str>,
    hint: Option<&'a str>,
}

/// Hears of each try.
type Tell<'a> = &'a (dyn Fn(Line<'_>) + Sync);

/// What all tries told.
#[derive(Default)]
struct Outcome {
    open: Vec<Ability>,
    /// How many told nothing.
    untold: usize,
}

async fn tried(connection: &Connection, need: &Need, streams: &[StreamPlan], tell: Tell<'_>) -> Result<Outcome> {
    for stream in streams.iter().filter(|s| s.relay == Relay::Never && s.transport.has_tcp()) {
        let words = match stream.port {
            0 => "open a port that the jump host chooses".to_owned(),
            port => format!("open its own port {port}"),
        };
        let found = ssh::own_port(connection, &stream.bind, stream.port).await?;
        tell(Line { name: "own-port", words: &words, found, note: None, hint: None });
    }
    let mut outcome = Outcome::default();
    ssh::check_abilities(connection, need, |ability, found, note| {
        let hint = (found == Found::Open).then(|| ability.closed_by());
        tell(Line { name: ability.as_str(), words: ability.words(), found, note, hint });
        match found {
            Found::Open => outcome.open.push(ability),
            Found::CannotTell => outcome.untold += 1,
            Found::Closed | Found::Needed => {}
        }
    })
    .await;
    Ok(outcome)
}

/// A line for people, and what to do below it.
fn drawn(words: &str, found: Found, note: Option<&str>, hint: Option<&str>) -> String {
    let (mark, verdict) = match found {
        Found::Closed => ('✔', "ok: refused"),
        Found::Needed => ('✔', "ok: granted, and needed"),
        Found::Open => ('✘', "open"),
        Found::CannotTell => ('?', "cannot tell"),
    };
    let mut text = format!("{mark} {words:<41} {verdict}\n");
    if let Some(note) = note {
        text.push_str(&indented(note, "    ", WIDTH));
    }
    if let Some(hint) = hint {
        text.push_str(&indented(&format!("hint: {hint}"), "    ", WIDTH));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_given_again_whole() {
        let ssh = SshArgs {
            identity: vec!["/a key".into()],
            port: Some(2222),
            ssh_config: Some("f".into()),
            jump: vec!["hop".into()],
            option: vec!["User=x y".into()],
        };
        let target = "me@jump".to_owned();
        let args = HardenArgs { target, remote_port: Some(7), bind: Some("*".into()), ssh, ..HardenArgs::default() };
        let line = Given { args: &args, is_profile: false }.line(true);
        let whole =
            "reclog harden me@jump -i '/a key' -p 2222 -F f -J hop -o 'User=x y' --remote-port 7 --bind '*' --check";
        assert_eq!(line, whole);
        assert_eq!(shell_word("it's"), "'it'\\''s'");
    }

    #[test]
    fn every_line_has_80_columns_at_most() {
        for ability in Ability::ALL {
            for found in [Found::Closed, Found::Needed, Found::Open, Found::CannotTell] {
                let text = drawn(ability.words(), found, Some("a forced command runs"), Some(ability.closed_by()));
                assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
            }
        }
    }
}
