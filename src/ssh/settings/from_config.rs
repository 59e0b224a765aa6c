//! Values of ssh_config(5) made into [`Settings`].

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Algorithms, Family, Method, PHASE_TIMEOUT, Proxy, Settings, StrictHostKeyChecking};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::{absolute, secret};
use crate::plan::{DEFAULT_KEEPALIVE, SshPlan};
use crate::ssh::algorithms::{LEAST_RSA, has_aes};
use crate::ssh::config::account::{self, Account};
use crate::ssh::config::expand::{FILE, Facts, PROXY, Tokens};
use crate::ssh::config::keywords::List;
use crate::ssh::config::names::Choice;
use crate::ssh::config::values::Values;
use crate::ssh::config::{self, Found, jump};

/// Keys that ssh tries when none is named, in its order.
const USUAL_KEYS: [&str; 5] = ["id_rsa", "id_ecdsa", "id_ecdsa_sk", "id_ed25519", "id_ed25519_sk"];
const USER_KNOWN_HOSTS: [&str; 2] = ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"];
const GLOBAL_KNOWN_HOSTS: [&str; 2] = ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"];

/// See [`Settings::resolve`].
pub fn resolve(plan: &SshPlan) -> Result<Settings> {
    let account = Account::default();
    let Found { values, host } = config::find(plan, &account)?;
    let notes = values.tell_what_is_idle();
    let user = match values.text("user") {
        Some(user) => user.to_owned(),
        None => account.get()?.name.clone(),
    };
    let port = values.text("port").and_then(config::check::port).unwrap_or(22);
    let hops = values.arguments("proxyjump").filter(|hops| *hops != ["none"]).unwrap_or_default();
    let last_hop = jump::last(Some(hops), account::service);
    let (local_user, home, uid) = match account.get() {
        Ok(me) => (me.name.clone(), me.dir.to_string_lossy().into_owned(), me.uid.as_raw()),
        Err(_) => (String::new(), String::new(), nix::unistd::getuid().as_raw()),
    };
    let key_alias = values.text("hostkeyalias").map(str::to_ascii_lowercase);
    let tokens = Tokens::new(&Facts {
        host: &host,
        alias: &plan.host,
        key_alias: key_alias.as_deref(),
        port,
        user: &user,
        jump: last_hop.as_ref().map_or("", |hop| &hop.host),
        local_user: &local_user,
        home: &home,
        uid,
        local_host: &account::machine(),
    });
    let here = Here { values: &values, account: &account, tokens };
    if let Some(hop) = last_hop
        && hop.host == host
        && hop.port.unwrap_or(22) == port
        && hop.user.as_ref().unwrap_or(&user) == &user
    {
        return Err(Error::usage(format!(
            "cannot connect to {}: its ProxyJump leads to itself",
            escape_str(&plan.host)
        ))
        .hint(format!(
            "leave it out where the ssh configuration sets ProxyJump: `Host * !{}`",
            escape_str(&plan.host)
        )));
    }
    let (identities, identities_named) = here.identities(plan)?;
    let batch_mode = values.flag("batchmode").unwrap_or(false);
    Ok(Settings {
        alias: plan.host.clone(),
        port,
        user,
        identities,
        identities_named,
        identities_only: values.flag("identitiesonly").unwrap_or(false),
        certificates: values
            .all("certificatefile")
            .filter(|(file, _)| !file.eq_ignore_ascii_case("none"))
            .map(|(file, _)| here.file("CertificateFile", file))
            .collect::<Result<_>>()?,
        agent: here.agent()?,
        methods: methods(&values, batch_mode),
        password_prompts: values.number("numberofpasswordprompts").map_or(3, |n| u32::try_from(n).unwrap_or(u32::MAX)),
        batch_mode,
        algorithms: algorithms(&values)?,
        proxy: here.proxy(hops)?,
        folder: absolute(Path::new(".")),
        jumps: Vec::new(),
        family: match values.text("addressfamily").map(str::to_ascii_lowercase).as_deref() {
            Some("inet") => Family::Inet,
            Some("inet6") => Family::Inet6,
            _ => Family::Any,
        },
        bind_address: values.text("bindaddress").map(str::to_owned),
        connection_attempts: values
            .number("connectionattempts")
            .map_or(1, |n| u32::try_from(n).unwrap_or(u32::MAX).max(1)),
        user_known_hosts: here
            .known_hosts("userknownhostsfile", USER_KNOWN_HOSTS, |file| here.file("UserKnownHostsFile", file))?,
        global_known_hosts: here.known_hosts("globalknownhostsfile", GLOBAL_KNOWN_HOSTS, |file| here.path(file))?,
        revoked_host_keys: values.unless_none("revokedhostkeys").map(|file| here.revoked(file)).transpose()?,
        // Below that an RSA key proves nothing; as with ssh it cannot be made less.
        least_rsa: values
            .number("requiredrsasize")
            .map_or(LEAST_RSA, |n| u32::try_from(n).unwrap_or(u32::MAX).max(LEAST_RSA)),
        hash_known_hosts: values.flag("hashknownhosts").unwrap_or(false),
        host_key_alias: key_alias,
        strict: strict(&values),
        writes_unseen: true,
        connect_timeout: values
            .seconds("connecttimeout")
            .filter(|seconds| *seconds > 0)
            .map_or(PHASE_TIMEOUT, Duration::from_secs),
        keepalive: Some(keepalive(plan, &values)).filter(|interval| !interval.is_zero()),
        // For ssh, none means that the first silence ends the connection; for the library, that nothing does.
        keepalive_count: values.number("serveralivecountmax").map_or(3, |n| usize::try_from(n).unwrap_or(3).max(1)),
        notes,
        commands: !values.text("sessiontype").is_some_and(|kind| kind.eq_ignore_ascii_case("none")),
        rekey_limit: values.text("rekeylimit").and_then(config::value::rekey_bytes).filter(|bytes| *bytes > 0),
        host,
    })
}

/// What the values of one host are read with.
struct Here<'a> {
    values: &'a Values,
    account: &'a Account,
    tokens: Tokens,
}

impl Here<'_> {
    /// A file: `~`, tokens, variables; made absolute, for a collector leaves the folder it was started in.
    fn file(&self, keyword: &str, text: &str) -> Result<PathBuf> {
        let path = self.account.expand_tilde(text)?;
        let expanded = self.tokens.expand_env(&path.to_string_lossy(), FILE, &account::variable);
        expanded.map(|path| absolute(Path::new(&path))).map_err(|why| unusable(keyword, text, &why))
    }

    /// A file in which nothing but `~` is expanded.
    fn path(&self, text: &str) -> Result<PathBuf> {
        Ok(absolute(&self.account.expand_tilde(text)?))
    }

    fn revoked(&self, text: &str) -> Result<PathBuf> {
        let path = self.account.expand_tilde(text)?;
        let expanded = self.tokens.expand(&path.to_string_lossy(), FILE);
        expanded.map(|path| absolute(Path::new(&path))).map_err(|why| unusable("RevokedHostKeys", text, &why))
    }

    fn known_hosts(
        &self,
        slot: &str,
        usual: [&str; 2],
        expand: impl Fn(&str) -> Result<PathBuf>,
    ) -> Result<Vec<PathBuf>> {
        match self.values.arguments(slot) {
            Some([none]) if none.eq_ignore_ascii_case("none") => Ok(Vec::new()),
            Some(files) => files.iter().map(|file| expand(file)).collect(),
            None => usual.iter().map(|file| expand(file)).collect(),
        }
    }

    /// Private keys, and whether the user named one.
    fn identities(&self, plan: &SshPlan) -> Result<(Vec<PathBuf>, bool)> {
        let mut all = Vec::new();
        for file in &plan.identities {
            let found = secret(file);
            let wrong =
                |(why, hint)| Error::usage(format!("cannot use the key `{}`: {why}", file.display())).hint(hint);
            all.push(found.map_err(wrong)?.0);
        }
        let (mut named, mut any) = (!all.is_empty(), false);
        for (file, by_user) in self.values.all("identityfile") {
            any = true;
            named |= by_user;
            if !file.eq_ignore_ascii_case("none") {
                let file = self.file("IdentityFile", file)?;
                if !all.contains(&file) {
                    all.push(file);
                }
            }
        }
        if !any && !named {
            let home = self.account.ssh_home()?;
            all = USUAL_KEYS.map(|name| home.join(name)).into();
        }
        Ok((all, named))
    }

    fn agent(&self) -> Result<Option<PathBuf>> {
        let socket = |name: &str| std::env::var_os(name).filter(|s| !s.is_empty()).map(|s| absolute(Path::new(&s)));
        Ok(match self.values.text("identityagent") {
            None | Some("SSH_AUTH_SOCK") => socket("SSH_AUTH_SOCK"),
            Some("none") => None,
            Some(text) => match text.strip_prefix('$').filter(|name| !name.starts_with('{')) {
                Some(name) => socket(name),
                None => Some(self.file("IdentityAgent", text)?),
            },
        })
    }

    fn proxy(&self, hops: &[String]) -> Result<Proxy> {
        let expand =
            |keyword: &str, text: &str| self.tokens.expand(text, PROXY).map_err(|why| unusable(keyword, text, &why));
        if !hops.is_empty() {
            return Ok(Proxy::Jump(hops.iter().map(|hop| expand("ProxyJump", hop)).collect::<Result<_>>()?));
        }
        match self.values.unless_none("proxycommand") {
            Some(command) => Ok(Proxy::Command(expand("ProxyCommand", command)?)),
            None => Ok(Proxy::None),
        }
    }
}

fn unusable(keyword: &str, value: &str, why: &str) -> Error {
    Error::usage(format!("cannot use {keyword} {} of the ssh configuration: {why}", escape_str(value)))
        .hint("ssh_config(5) says under TOKENS which keyword takes which")
}

/// The interval of keepalives; zero turns them off, which `ssh_config` alone cannot do.
fn keepalive(plan: &SshPlan, values: &Values) -> Duration {
    plan.keepalive.unwrap_or_else(|| {
        let seconds = values.seconds("serveraliveinterval").filter(|seconds| *seconds > 0);
        seconds.map_or(DEFAULT_KEEPALIVE, Duration::from_secs)
    })
}

fn strict(values: &Values) -> StrictHostKeyChecking {
    match values.text("stricthostkeychecking").map(str::to_ascii_lowercase).as_deref() {
        Some("yes" | "true") => StrictHostKeyChecking::Yes,
        Some("no" | "false" | "off") => StrictHostKeyChecking::No,
        Some("accept-new") => StrictHostKeyChecking::AcceptNew,
        _ => StrictHostKeyChecking::Ask,
    }
}

/// The methods of `PreferredAuthentications` that reclog has and that are not switched off.
fn methods(values: &Values, batch_mode: bool) -> Vec<Method> {
    let on = |slot: &str| values.text(slot).and_then(config::value::flag).unwrap_or(true);
    let preferred = values.text("preferredauthentications").unwrap_or("publickey,keyboard-interactive,password");
    let mut all = Vec::new();
    for name in preferred.split(',') {
        let (method, on) = match name {
            "publickey" => (Method::PublicKey, on("pubkeyauthentication")),
            // Nobody may be asked in batch mode: ssh leaves out both.
            "keyboard-interactive" => (Method::KeyboardInteractive, on("kbdinteractiveauthentication") && !batch_mode),
            "password" => (Method::Password, on("passwordauthentication") && !batch_mode),
            other => {
                tracing::debug!("PreferredAuthentications: {} is left out", escape_str(other));
                continue;
            }
        };
        if on && !all.contains(&method) {
            all.push(method);
        }
    }
    all
}

fn algorithms(values: &Values) -> Result<Algorithms> {
    let list = |slot: &str, choice: &Choice| {
        let Some(spec) = values.text(slot) else { return Ok(None) };
        let (kept, left_out) = choice.assemble(spec).map_err(|why| unusable(slot, spec, &why))?;
        if !left_out.is_empty() {
            tracing::debug!("{slot}: reclog cannot do {}", left_out.join(", "));
        }
        if kept.is_empty() {
            return Err(Error::usage(format!(
                "cannot use {slot} {} of the ssh configuration: reclog can do nothing of it",
                escape_str(spec)
            ))
            .hint(format!("reclog can do {}", choice.able())));
        }
        Ok(Some(kept))
    };
    let keys = Choice::of(List::Keys, true);
    Ok(Algorithms {
        ciphers: list("ciphers", &Choice::of(List::Ciphers, has_aes()))?,
        macs: list("macs", &Choice::of(List::Macs, true))?,
        kex: list("kexalgorithms", &Choice::of(List::Kex, true))?,
        host_keys: list("hostkeyalgorithms", &keys)?,
        host_keys_in_order: values.text("hostkeyalgorithms").is_some_and(|spec| !spec.starts_with(['+', '-'])),
        public_keys: list("pubkeyacceptedalgorithms", &keys)?,
        ca_signatures: list("casignaturealgorithms", &Choice::of_authorities())?,
        compression: values.flag("compression").unwrap_or(false),
    })
}
