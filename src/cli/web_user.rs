//! `reclog web user`

use std::io::{IsTerminal as _, Read as _};

use zeroize::Zeroizing;

use super::args_watch::WebUserCommand;
use super::printer::Printer;
use super::prompt::Prompt;
use super::spinner::Spinner;
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::paths::Paths;
use crate::profile::did_you_mean;
use crate::ssh::{Answer, keep_out_of_core_files};
use crate::web;
use crate::web::users::{All, User, change, file, grants, is_user_name, read};

/// Bytes of standard input that can be a password.
const LONGEST: u64 = 4096;

/// Changes or shows who may log in.
pub async fn run(command: WebUserCommand, paths: &Paths, printer: Printer) -> Result<()> {
    match command {
        WebUserCommand::Add { user, streams } => add(user, streams, paths, printer).await,
        WebUserCommand::List { json } => list(&read(&file(&paths.config))?, json, printer),
        WebUserCommand::Rm { user } => {
            change(&paths.config, |all| match all.remove(&user) {
                Some(_) => Ok(()),
                None => Err(unknown(&user, all)),
            })?;
            printer.note(&format!("{user} gets in no longer"));
            Ok(())
        }
    }
}

async fn add(user: String, streams: Vec<String>, paths: &Paths, printer: Printer) -> Result<()> {
    if !is_user_name(&user) {
        return Err(Error::usage(format!("{} is no name for a user", escape_str(&user)))
            .hint("a name has up to 64 letters, digits and `._-@+`, and begins with no `-`"));
    }
    grants(&streams).map_err(|why| Error::usage(why).hint("write --stream COLLECTOR or --stream COLLECTOR/STREAM"))?;
    let password = password(&user, printer).await?;
    let password = tokio::task::spawn_blocking(move || web::digest(&password));
    let password = password.await.map_err(|e| Error::failed(format!("cannot store the password: {e}")))??;
    let sees = what(&streams);
    let (was_there, first) = change(&paths.config, |all| {
        let first = all.is_empty();
        Ok((all.insert(user.clone(), User { password, streams }).is_some(), first))
    })?;
    let done = if was_there { "has a new password and" } else { "may log in and" };
    printer.note(&format!("{user} {done} sees {sees}"));
    if first {
        printer.note("a `reclog web` that runs goes on with its token; one that starts from now on lets users log in");
    }
    Ok(())
}

/// From the terminal, twice; else the first line of standard input.
async fn password(user: &str, printer: Printer) -> Result<Zeroizing<String>> {
    keep_out_of_core_files();
    let said = if std::io::stdin().is_terminal() {
        let prompt = Prompt::new(printer, Spinner::new(None));
        let said = asked(&prompt, format!("Password for {user}: ")).await?;
        if let Some(why) = web::objection(&said) {
            return Err(Error::usage(why));
        }
        if *asked(&prompt, format!("Password for {user} again: ")).await? != *said {
            return Err(Error::usage("the two passwords differ"));
        }
        said
    } else {
        let mut bytes = Zeroizing::new(Vec::with_capacity(4096));
        let read = std::io::stdin().lock().take(LONGEST).read_to_end(&mut bytes);
        read.map_err(|e| Error::failed(format!("cannot read the password: {}", io_reason(&e))))?;
        let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let said = std::str::from_utf8(line).map_err(|_| Error::usage("the password is not UTF-8"))?;
        Zeroizing::new(said.to_owned())
    };
    match web::objection(&said) {
        Some(why) => Err(Error::usage(why).hint("it is the first line of standard input")),
        None => Ok(said),
    }
}

async fn asked(prompt: &Prompt, text: String) -> Result<Zeroizing<String>> {
    match prompt.secret(text).await? {
        Answer::Text(said) => Ok(said),
        Answer::Declined => Err(Error::usage("no password was given")),
        Answer::Nobody => Err(Error::usage("cannot ask for the password: there is no terminal")
            .hint("give it on standard input: `reclog web user add NAME < FILE`")),
    }
}

fn list(all: &All, json: bool, printer: Printer) -> Result<()> {
    if json {
        let list: Vec<_> =
            all.iter().map(|(name, user)| serde_json::json!({"user": name, "streams": user.streams})).collect();
        return printer.json(&list);
    }
    if all.is_empty() {
        printer.note("there are no users; `reclog web user add NAME` makes one");
    }
    let width = all.keys().map(String::len).max().unwrap_or_default();
    let lines: Vec<_> = all.iter().map(|(name, user)| format!("{name:width$}  {}", what(&user.streams))).collect();
    if lines.is_empty() { Ok(()) } else { printer.data(&format!("{}\n", lines.join("\n"))) }
}

fn what(streams: &[String]) -> String {
    if streams.is_empty() { "all streams".to_owned() } else { streams.join(", ") }
}

fn unknown(user: &str, all: &All) -> Error {
    let error = Error::failed(format!("there is no user {}", escape_str(user)));
    match did_you_mean(user, all.keys().map(String::as_str)) {
        Some(hint) => error.hint(hint),
        None => error.hint("`reclog web user list` shows who there is"),
    }
}
