//! How to reach the jump host: the profile's, with what the command line says.

use std::path::{Path, PathBuf};

use crate::error::Result;
use crate::plan::SshPlan;
use crate::profile::problem::{Problem, quote};
use crate::profile::scalar;
use crate::profile::store::Profile;
use crate::profile::streams::on_disk;

/// How to reach the jump host of `profile`; what the command line says in `given` comes first.
pub(super) fn ssh_of(profile: &Profile, given: SshPlan) -> Result<SshPlan> {
    let Some(target) = profile.raw.target.clone() else {
        return Err(profile.error(Problem::value(&[], "it names no `target`").hint(
            "add `target: user@jump.example.org`, or `listen: PORT` to its streams for a collector without SSH",
        )));
    };
    let raw = profile.raw.ssh.clone().unwrap_or_default();
    if let (Some(here), Some(there)) = (&raw.user, &target.user)
        && here != there
    {
        let message = format!("`user` says {} and `target` says {}", quote(here), quote(there));
        return Err(profile.error(Problem::value(&["ssh", "user"], message)));
    }
    if let (Some(here), Some(there)) = (raw.port, target.port)
        && here != there
    {
        return Err(
            profile.error(Problem::value(&["ssh", "port"], format!("`port` says {here} and `target` says {there}")))
        );
    }
    // ssh takes the first value of a keyword, so what the command line says stands first.
    let mut options = given.options;
    options.extend(raw.options.0);
    group_options(&mut options);
    Ok(SshPlan {
        user: raw.user.or(target.user),
        host: target.host,
        port: given.port.or(raw.port).or(target.port),
        identities: if given.identities.is_empty() {
            raw.identity.iter().map(|file| profile.secret(file)).collect()
        } else {
            given.identities
        },
        config_file: given.config_file.or_else(|| {
            raw.config.as_deref().map(|file| if file == NO_CONFIG { NO_CONFIG.into() } else { profile.place(file) })
        }),
        options,
        jump: if given.jump.is_empty() { raw.jump } else { given.jump },
        keepalive: raw.keepalive,
    })
}

/// What ssh takes for no configuration file at all (ssh(1), `-F`).
const NO_CONFIG: &str = "none";

/// `-F`
pub(super) fn config_file(written: &Path) -> std::result::Result<PathBuf, String> {
    if written.as_os_str() == NO_CONFIG { Ok(written.into()) } else { on_disk(written) }
}

/// Brings values of one keyword together, spelled as the first time, so that a profile can hold them as a map. The
/// order among different keywords means nothing to ssh, the order within one is kept.
pub(super) fn group_options(options: &mut Vec<(String, String)>) {
    let mut grouped: Vec<(String, Vec<String>)> = Vec::new();
    for (keyword, value) in options.drain(..) {
        match grouped.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(&keyword)) {
            Some((_, values)) => values.push(value),
            None => grouped.push((keyword, vec![value])),
        }
    }
    for (keyword, values) in grouped {
        options.extend(values.into_iter().map(|value| (keyword.clone(), value)));
    }
}

/// `KEY=VALUE`, `KEY = VALUE` or `KEY VALUE`, as ssh takes `-o`.
pub(super) fn split_option(text: &str) -> Result<(String, String), String> {
    let trimmed = text.trim();
    let end = trimmed
        .find(|c: char| c == '=' || c.is_whitespace())
        .ok_or_else(|| format!("{} has no value; write KEY=VALUE", quote(text)))?;
    let (keyword, rest) = trimmed.split_at(end);
    if let Some(why) = crate::profile::raw::wrong_keyword(keyword) {
        return Err(why);
    }
    let rest = rest.trim_start();
    let value = scalar::option_value(rest.strip_prefix('=').unwrap_or(rest))
        .map_err(|why| format!("{}: {why}", quote(text)))?;
    Ok((keyword.to_owned(), value))
}
