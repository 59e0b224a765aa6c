//! Flags laid over a profile, everything filled in: the plan as meant.

use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::paths::Paths;
use crate::plan::{
    DEFAULT_DRAIN_TIMEOUT, DEFAULT_PROBE_EVERY, Plan, Relay, SshPlan, Transport, is_loopback, is_name, name_from,
};
use crate::profile::address::Address;
use crate::profile::door::Door;
use crate::profile::flags::{Overrides, StreamFlags, listed};
use crate::profile::nearest::did_you_mean;
use crate::profile::origin::Origin;
use crate::profile::problem::{Problem, quote};
use crate::profile::raw::RawProfile;
use crate::profile::ssh::{config_file, group_options, split_option, ssh_of};
use crate::profile::store::{self, Profile};
use crate::profile::streams::{check_streams, only_stream, secret, streams_of};
use crate::profile::target::{Target, hops};
use crate::profile::units;

/// The plan and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// What to do.
    pub plan: Plan,
    /// The profile it was read from; `None` when the command line said everything.
    pub profile: Option<PathBuf>,
}

/// The plan of `reclog up`: the target is a saved profile, the path of a profile (it holds a `/` or ends in `.yaml`),
/// or a jump host, in this order.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) when something is missing, wrong or contradictory.
pub fn resolve_up(flags: &Overrides, paths: &Paths) -> Result<Resolved> {
    let Some(reference) = &flags.target else { return Err(no_target(paths)) };
    let flags = Checked::new(flags)?;
    match store::file_of(reference, paths) {
        Some(file) => from_profile(&Profile::load(&file)?, &flags),
        None => from_target(reference, &flags, paths),
    }
}

/// As it was started before: a host is not taken for a profile that has got its name since, nor a profile that is gone for a
/// host.
///
/// # Errors
/// As [`resolve_up`].
pub(super) fn again(origin: &Origin, paths: &Paths) -> Result<Resolved> {
    match (&origin.listen, &origin.profile, &origin.flags.target) {
        (Some(address), ..) => resolve_listen(address, &origin.flags),
        (None, Some(file), _) => from_profile(&Profile::load(file)?, &Checked::new(&origin.flags)?),
        (None, None, Some(host)) => from_target(host, &Checked::new(&origin.flags)?, paths),
        (None, None, None) => Err(no_target(paths)),
    }
}

/// As [`resolve_up`], for verbs that only look: a jump host needs neither a port (0: it chooses) nor an output. With the plan
/// comes whether an output is named; else there is none to be seen where the plan has one.
///
/// # Errors
/// As [`resolve_up`].
pub fn resolve_look(flags: &Overrides, paths: &Paths) -> Result<(Resolved, bool)> {
    let is_profile = flags.target.as_ref().is_some_and(|reference| store::file_of(reference, paths).is_some());
    let named = is_profile || !flags.out.is_empty();
    let mut flags = flags.clone();
    if !is_profile {
        flags.remote_port.get_or_insert(0);
        if flags.out.is_empty() {
            flags.out.push(std::env::temp_dir().join("reclog.log"));
        }
    }
    resolve_up(&flags, paths).map(|resolved| (resolved, named))
}

/// The plan of `reclog listen`: `address` is `PORT`, `HOST:PORT` or `[IPV6]:PORT`; a port alone is every interface.
///
/// # Errors
/// [`Kind::Usage`](crate::error::Kind::Usage) when something is missing or wrong.
pub fn resolve_listen(address: &str, flags: &Overrides) -> Result<Resolved> {
    let given = flags.ssh_flags();
    if let Some(flag) = given.first() {
        return Err(Error::usage(format!("{flag} is about SSH, and `listen` uses none")));
    }
    let at = Address::parse(address).map_err(Error::usage)?;
    let flags = Checked::new(flags)?;
    let default = match &at.transport {
        Transport::Unix(path) => {
            name_from(&path.file_name().map_or_else(|| "listen".into(), |name| name.to_string_lossy()))
        }
        _ if at.port == 0 => "listen".to_owned(),
        _ => format!("listen-{}", at.port),
    };
    let Some(stream) = only_stream(at.into(), &flags.stream)? else {
        return Err(Error::usage(format!("listening on {} needs --out: the file to write", quote(address)))
            .hint(format!("reclog listen {address} --out ~/{default}.log")));
    };
    let plan = Plan {
        name: flags.name.unwrap_or(default),
        ssh: None,
        streams: vec![stream],
        drain_timeout: flags.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT),
        keep_trying: flags.keep_trying,
        probe_every: None,
    };
    Ok(Resolved { plan, profile: None })
}

/// The plan of a profile as it stands, without flags.
pub(super) fn resolve_profile(profile: &Profile) -> Result<Plan> {
    from_profile(profile, &Checked::new(&Overrides::default())?).map(|resolved| resolved.plan)
}

/// [`Overrides`], each found sound by itself.
struct Checked {
    name: Option<String>,
    ssh: SshPlan,
    ssh_flags: Vec<&'static str>,
    stream: StreamFlags,
    drain_timeout: Option<Duration>,
    keep_trying: bool,
    probe_every: Option<Duration>,
    no_probe: bool,
}

impl Checked {
    fn new(flags: &Overrides) -> Result<Self> {
        let wrong = |flag: &'static str| move |why: String| Error::usage(format!("{flag}: {why}"));
        for (flag, name) in [("--name", &flags.name), ("--save", &flags.save)] {
            if let Some(name) = name {
                check_name(name).map_err(wrong(flag))?;
            }
        }
        let mut identities = Vec::new();
        for file in &flags.identities {
            identities.push(secret(file).map_err(wrong("--identity"))?);
        }
        let jump = hops(&flags.jump).map_err(wrong("--jump"))?;
        let mut options = Vec::new();
        for option in &flags.options {
            options.push(split_option(option).map_err(wrong("-o"))?);
        }
        Ok(Self {
            name: flags.name.clone().or_else(|| flags.save.clone()),
            ssh: SshPlan {
                identities,
                port: flags.port.map(|port| units::port(port.into())).transpose().map_err(wrong("--port"))?,
                config_file: flags.ssh_config.as_deref().map(config_file).transpose().map_err(wrong("--ssh-config"))?,
                jump,
                options,
                ..SshPlan::default()
            },
            ssh_flags: flags.ssh_flags(),
            stream: StreamFlags::new(flags)?,
            drain_timeout: flags
                .drain_timeout
                .as_deref()
                .map(units::drain_timeout)
                .transpose()
                .map_err(wrong("--drain-timeout"))?,
            keep_trying: flags.keep_trying,
            probe_every: flags
                .probe_every
                .as_deref()
                .map(units::probe_every)
                .transpose()
                .map_err(wrong("--probe-every"))?,
            no_probe: flags.no_probe,
        })
    }

    /// What the command line says about it, else the profile in `written`, else the default.
    fn probe_every(&self, written: Option<Duration>) -> Option<Duration> {
        (!self.no_probe).then(|| self.probe_every.or(written).unwrap_or(DEFAULT_PROBE_EVERY))
    }
}

fn from_target(reference: &str, flags: &Checked, paths: &Paths) -> Result<Resolved> {
    let saved = store::names(paths);
    let meant = did_you_mean(reference, saved.iter().map(String::as_str))
        .map(|text| text.replace("did you mean", "did you mean the profile"));
    let with_meant = |error: Error| match &meant {
        Some(hint) => error.hint(hint.clone()),
        None => error,
    };
    let target = Target::parse(reference).map_err(|why| with_meant(Error::usage(why)))?;
    let name = flags.name.clone().unwrap_or_else(|| name_from(&target.host));
    let missing =
        listed(&[("--remote-port", flags.stream.remote_port.is_none()), ("--out", flags.stream.out.is_empty())]);
    if !missing.is_empty() {
        let port = flags.stream.remote_port.unwrap_or(55514);
        let out = flags.stream.out.first().map_or_else(
            || format!("~/{}.log", name_from(&target.host)),
            |out| crate::escape::escape_str(&out.to_string()),
        );
        let verb = if missing.len() == 1 { "is" } else { "are" };
        return Err(with_meant(Error::usage(format!(
            "{} is no saved profile, and to use it as a jump host {} {verb} missing",
            quote(reference),
            missing.join(" and "),
        )))
        .hint(format!("reclog up {target} --remote-port {port} --out {out}")));
    }
    let bind = flags.stream.bind.clone().unwrap_or_else(|| "*".to_owned());
    let relay = if flags.stream.relay { Relay::Always } else { Relay::Never };
    if flags.stream.relay && is_loopback(&bind) {
        return Err(Error::usage(format!("--relay is for addresses that sshd does not bind, and {bind} is not one"))
            .hint("leave out --relay, or --bind"));
    }
    let port = flags.stream.remote_port.unwrap_or_default();
    let door = Door { address: Address { transport: Transport::Tcp, bind, port }, relay };
    let streams = only_stream(door, &flags.stream)?.into_iter().collect();
    let mut ssh = flags.ssh.clone();
    if let (Some(here), Some(there)) = (ssh.port, target.port)
        && here != there
    {
        return Err(Error::usage(format!("--port says {here} and the target {} says {there}", quote(reference))));
    }
    ssh.user = target.user;
    ssh.host = target.host;
    ssh.port = ssh.port.or(target.port);
    group_options(&mut ssh.options);
    let drain_timeout = flags.drain_timeout.unwrap_or(DEFAULT_DRAIN_TIMEOUT);
    Ok(Resolved {
        plan: Plan {
            name,
            ssh: Some(ssh),
            streams,
            drain_timeout,
            keep_trying: flags.keep_trying,
            probe_every: flags.probe_every(None),
        },
        profile: None,
    })
}

fn from_profile(profile: &Profile, flags: &Checked) -> Result<Resolved> {
    let raw = &profile.raw;
    let listens = raw.streams.0.iter().any(|(_, stream)| stream.listen.is_some());
    let ssh = if listens {
        let problem = |key: &str| {
            Problem::key(&[key], format!("`{key}` is about SSH, and the streams of this profile `listen` here"))
                .hint("a stream has either `remote_port` (on the jump host) or `listen` (on this machine)")
        };
        if raw.target.is_some() {
            return Err(profile.error(problem("target")));
        }
        if raw.ssh.is_some() {
            return Err(profile.error(problem("ssh")));
        }
        if let Some(flag) = flags.ssh_flags.first() {
            return Err(Error::usage(format!(
                "{flag} is about SSH, and the profile {} listens on this machine without it",
                profile.shown()
            )));
        }
        None
    } else {
        Some(ssh_of(profile, flags.ssh.clone())?)
    };
    let streams = streams_of(profile, &flags.stream)?;
    check_streams(&streams, profile)?;
    let name = flags.name.clone().unwrap_or_else(|| profile.name.clone());
    let keep_trying = flags.keep_trying || raw.keep_trying.unwrap_or(false);
    let drain_timeout = flags.drain_timeout.or(raw.drain_timeout).unwrap_or(DEFAULT_DRAIN_TIMEOUT);
    if let (None, Some(key)) = (&ssh, probe_key(raw)) {
        let problem = Problem::key(&[key], format!("`{key}` is about jump hosts, and this profile listens here"));
        return Err(profile.error(problem));
    }
    if raw.no_probe == Some(true) && raw.probe_every.is_some() {
        let problem = Problem::key(&["no_probe"], "`no_probe` and `probe_every` exclude each other");
        return Err(profile.error(problem));
    }
    let never = ssh.is_none() || (raw.no_probe == Some(true) && flags.probe_every.is_none());
    let probe_every = if never { None } else { flags.probe_every(raw.probe_every) };
    Ok(Resolved {
        plan: Plan { name, ssh, streams, drain_timeout, keep_trying, probe_every },
        profile: Some(profile.path.clone()),
    })
}

/// The key that is about probes.
fn probe_key(raw: &RawProfile) -> Option<&'static str> {
    raw.probe_every.map(|_| "probe_every").or_else(|| raw.no_probe.map(|_| "no_probe"))
}

/// Whether `name` may name a collector or profile.
pub(super) fn check_name(name: &str) -> Result<(), String> {
    if is_name(name) {
        return Ok(());
    }
    Err(format!("{} is no name: 1 to 64 letters, digits, `.`, `_`, `-`, not beginning with `.` or `-`", quote(name)))
}

fn no_target(paths: &Paths) -> Error {
    let error = Error::usage("no jump host and no profile is named");
    let saved = store::names(paths);
    let error = if saved.is_empty() {
        error.hint("there are no saved profiles yet; `reclog profile init NAME` writes one")
    } else {
        error.hint(format!("saved profiles: {}", saved.join(", ")))
    };
    error.hint("reclog up user@jump.example.org --remote-port 55514 --out ~/file.log")
}

#[cfg(test)]
#[path = "resolve_tests.rs"]
mod tests;
