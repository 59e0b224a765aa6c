//! The conditions of `Match`.

use std::process::{Command, Stdio};

use super::expand::{FILE, Facts, Tokens};
use super::line::word;
use super::pattern::list_matches;
use super::reader::{Reader, Trouble};
use super::{account, check};
use crate::error::Error;
use crate::escape::escape_str;
use crate::plan::PRIVATE_VARIABLES;

impl Reader<'_> {
    /// Whether the conditions hold. With `dormant` no command is run: nothing could come of it.
    pub(super) fn matches(&mut self, conditions: &str, dormant: bool) -> Result<bool, Trouble> {
        let host = self.host_for_match()?;
        let (mut left, mut holds, mut count) = (Some(conditions), true, 0);
        while let Some(written) = word(&mut left).filter(|w| !w.is_empty()) {
            if written.starts_with('#') {
                left = None;
                break;
            }
            let (negated, name) = match written.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, written.as_str()),
            };
            let name = name.to_ascii_lowercase();
            if name == "all" {
                let next = word(&mut left).unwrap_or_default();
                if count > 1 || !(next.is_empty() || next.starts_with('#')) {
                    return Err("`Match all` cannot be combined with other conditions".into());
                }
                return Ok(holds && !negated);
            }
            count += 1;
            if name == "final" || name == "canonical" {
                self.wants_final |= name == "final";
                holds &= self.is_final != negated;
                continue;
            }
            let argument = word(&mut left).filter(|a| !a.is_empty() && !a.starts_with('#'));
            let Some(argument) = argument else {
                return Err(format!("`Match {}` needs a value", escape_str(&name)).into());
            };
            let found = match name.as_str() {
                "host" => list_matches(&argument.to_ascii_lowercase(), &host.to_ascii_lowercase()),
                "originalhost" => list_matches(&argument.to_ascii_lowercase(), &self.alias.to_ascii_lowercase()),
                "user" => list_matches(&argument, &self.login()?),
                "localuser" => list_matches(&argument, &self.account.get()?.name),
                "tagged" => list_matches(&argument, self.values.text("tag").unwrap_or_default()),
                "exec" => {
                    let command = self.tokens(&host)?.expand(&argument, FILE)?;
                    if !holds || dormant {
                        continue;
                    }
                    run(&command)?
                }
                _ => {
                    return Err(Trouble::Line(
                        format!("`Match` knows no condition `{}`", escape_str(&name)),
                        Some("conditions are all, canonical, final, exec, host, originalhost, user, localuser and tagged".into()),
                    ));
                }
            };
            holds &= found != negated;
        }
        if left.is_some_and(|rest| !rest.is_empty()) {
            return Err("an empty condition in `Match`".into());
        }
        if count == 0 {
            return Err("`Match` without a condition".into());
        }
        Ok(holds)
    }

    /// The login name, as far as it is known by now.
    fn login(&self) -> Result<String, Trouble> {
        match self.values.text("user") {
            Some(user) => Ok(user.to_owned()),
            None => Ok(self.account.get()?.name.clone()),
        }
    }

    fn host_for_match(&self) -> Result<String, Trouble> {
        match self.values.text("hostname") {
            Some(name) if self.is_final => Ok(name.to_owned()),
            Some(name) => Ok(Tokens::host(self.alias).expand(name, super::expand::HOST)?),
            None => Ok(self.alias.to_owned()),
        }
    }

    fn tokens(&self, host: &str) -> Result<Tokens, Trouble> {
        let account = self.account.get()?;
        let jump = super::jump::last(self.values.arguments("proxyjump"), account::service);
        let facts = Facts {
            host,
            alias: self.alias,
            // Here, unlike elsewhere, ssh falls back to the name in force.
            key_alias: Some(self.values.text("hostkeyalias").unwrap_or(host)),
            port: self.values.text("port").and_then(check::port).unwrap_or(22),
            user: &self.login()?,
            jump: jump.as_ref().map_or("", |hop| &hop.host),
            local_user: &account.name,
            home: &account.dir.to_string_lossy(),
            uid: account.uid.as_raw(),
            local_host: &account::machine(),
        };
        Ok(Tokens::new(&facts))
    }
}

/// Runs `command` in the user's shell and says whether it succeeded.
fn run(command: &str) -> Result<bool, Trouble> {
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    let fatal = |why: String| {
        Trouble::Fatal(Error::usage(format!(
            "cannot run `{}` of `Match exec` in the ssh configuration: {why}",
            escape_str(command)
        )))
    };
    tracing::debug!("Match exec: {}", escape_str(command));
    let mut shell_command = Command::new(&shell);
    for name in PRIVATE_VARIABLES {
        shell_command.env_remove(name);
    }
    let status = shell_command
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .map_err(|e| fatal(format!("{}: {}", shell.display(), crate::error::io_reason(&e))))?;
    if status.code().is_none() {
        return Err(fatal("it was killed by a signal".into()));
    }
    Ok(status.success())
}
