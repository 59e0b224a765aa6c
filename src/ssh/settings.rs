//! How to reach one host, with everything that `ssh_config` has to say about it filled in.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::config::{self, Values};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::paths::absolute;
use crate::plan::{DEFAULT_KEEPALIVE, SshPlan, bracketed};

/// The deadline of each phase (connect, banner, key exchange, authentication, forward) unless `ConnectTimeout` says other.
pub const PHASE_TIMEOUT: Duration = Duration::from_secs(10);

/// What to do with a host key that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StrictHostKeyChecking {
    /// Refuse.
    Yes,
    /// Ask on a terminal, else refuse.
    Ask,
    /// Add it to known_hosts.
    AcceptNew,
    /// Take any key.
    No,
}

/// A way to log in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Keys and certificates.
    PublicKey,
    /// Questions of the server.
    KeyboardInteractive,
    /// A password.
    Password,
}

/// Which addresses of a name are tried (`AddressFamily`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// All.
    Any,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
}

/// What stands between us and a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Proxy {
    /// Nothing: TCP.
    None,
    /// `ProxyCommand`, tokens expanded: its standard input and output are the connection.
    Command(String),
    /// `ProxyJump`: hops as written, `[user@]host[:port]` or a URI each.
    Jump(Vec<String>),
}

/// Lists of algorithms by ssh's names, best first; what reclog cannot do is not among them. `None`: reclog's own list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Algorithms {
    /// `Ciphers`.
    pub ciphers: Option<Vec<String>>,
    /// `MACs`.
    pub macs: Option<Vec<String>>,
    /// `KexAlgorithms`.
    pub kex: Option<Vec<String>>,
    /// `HostKeyAlgorithms`, certificates among them. The user's order; without it known keys come first.
    pub host_keys: Option<Vec<String>>,
    /// `PubkeyAcceptedAlgorithms`.
    pub public_keys: Option<Vec<String>>,
    /// `CASignatureAlgorithms`.
    pub ca_signatures: Option<Vec<String>>,
    /// `Compression yes`.
    pub compression: bool,
}

/// One host as it will be connected to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// As the user wrote it.
    pub alias: String,
    /// Name or address to connect to.
    pub host: String,
    /// Port of the SSH server.
    pub port: u16,
    /// Login name.
    pub user: String,
    /// Private keys in the order in which they are tried.
    pub identities: Vec<PathBuf>,
    /// Whether the user named them; the usual places are tried in silence.
    pub identities_named: bool,
    /// Offer no key of the agent but those.
    pub identities_only: bool,
    /// User certificates (`CertificateFile`); a key `FILE` also brings `FILE-cert.pub`.
    pub certificates: Vec<PathBuf>,
    /// The agent's socket.
    pub agent: Option<PathBuf>,
    /// Methods in the order in which they are tried; those that are switched off are not among them.
    pub methods: Vec<Method>,
    /// Tries of a password or code that a person has.
    pub password_prompts: u32,
    /// Nobody is to be asked anything (`BatchMode`).
    pub batch_mode: bool,
    /// What is offered to the server.
    pub algorithms: Algorithms,
    /// Between us and the server.
    pub proxy: Proxy,
    /// The hosts on the way, in order, each with what its own configuration says; the first alone may have a
    /// [`Proxy::Command`].
    pub jumps: Vec<Settings>,
    /// Addresses of this family only.
    pub family: Family,
    /// Connect from this address of ours.
    pub bind_address: Option<String>,
    /// How often TCP is tried before the connection counts as failed.
    pub connection_attempts: u32,
    /// The user's files with known host keys; new keys are added to the first.
    pub user_known_hosts: Vec<PathBuf>,
    /// The system's.
    pub global_known_hosts: Vec<PathBuf>,
    /// A file with keys that no host may show: public keys, a line each.
    pub revoked_host_keys: Option<PathBuf>,
    /// New entries of known_hosts hide the host's name.
    pub hash_known_hosts: bool,
    /// Look for the host key under this name.
    pub host_key_alias: Option<String>,
    /// What to do with an unknown host key.
    pub strict: StrictHostKeyChecking,
    /// Deadline of connect, banner and key exchange each.
    pub connect_timeout: Duration,
    /// Pause after which a silent connection is asked whether it lives.
    pub keepalive: Option<Duration>,
    /// Unanswered questions after which it counts as dead.
    pub keepalive_count: usize,
    /// Bytes after which reclog renews the keys; `None`: as the cipher needs it.
    pub rekey_limit: Option<u64>,
}

impl Settings {
    /// `user@host:port`, IPv6 addresses in brackets.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}@{}:{}", self.user, bracketed(&self.host), self.port)
    }

    /// Host and port under which the host's key is looked for; a `HostKeyAlias` stands without a port.
    #[must_use]
    pub fn key_name(&self) -> (&str, Option<u16>) {
        match &self.host_key_alias {
            Some(alias) => (alias, None),
            None => (&self.host, Some(self.port)),
        }
    }

    /// Fills in what `plan` leaves open: options given, then the configuration files, then ssh's defaults.
    ///
    /// # Errors
    /// Usage errors for a file or value that ssh would refuse, too.
    pub fn resolve(plan: &SshPlan) -> Result<Self> {
        let mut values = Values::default();
        // ssh's order: what stands on the command line comes before every file.
        for (keyword, value) in &plan.options {
            let (keyword, arguments) = config::parse_option(&format!("{keyword}={value}"))?;
            values.offer(&keyword, arguments);
        }
        match &plan.config_file {
            Some(file) if file.as_os_str() == "none" => {}
            Some(file) => config::read(file, true, &plan.host, &mut values)?,
            None => {
                config::read(&ssh_home()?.join("config"), false, &plan.host, &mut values)?;
                config::read(Path::new("/etc/ssh/ssh_config"), false, &plan.host, &mut values)?;
            }
        }
        Self::from_values(plan, &values)
    }

    fn from_values(plan: &SshPlan, values: &Values) -> Result<Self> {
        let given = |keyword| values.get(keyword).filter(|v: &&str| !v.eq_ignore_ascii_case("none"));
        let proxy =
            match (given("proxyjump"), values.arguments("proxycommand").filter(|_| given("proxycommand").is_some())) {
                (Some(hops), _) => Proxy::Jump(hops.split(',').map(str::to_owned).collect()),
                (None, Some(command)) => Proxy::Command(command.join(" ")),
                (None, None) => Proxy::None,
            };
        let host = values
            .get("hostname")
            .map_or_else(|| plan.host.clone(), |name| name.replace("%h", &plan.host).replace("%%", "%"));
        let user = match plan.user.as_deref().or_else(|| values.get("user")) {
            Some(user) => user.to_owned(),
            None => me()?.name,
        };
        let port = match plan.port {
            Some(port) => port,
            None => number(values, "port", 1, u64::from(u16::MAX))?.map_or(22, |n| u16::try_from(n).unwrap_or(22)),
        };
        let mut identities = plan.identities.clone();
        for file in values.all("identityfile").filter(|f| !f.eq_ignore_ascii_case("none")) {
            let file = ssh_path(&file.replace("%h", &host).replace("%r", &user).replace("%%", "%"))?;
            if !identities.contains(&file) {
                identities.push(file);
            }
        }
        let identities_named = !identities.is_empty();
        if !identities_named {
            let home = ssh_home()?;
            identities = ["id_rsa", "id_ecdsa", "id_ed25519"].map(|name| home.join(name)).into();
        }
        let known_hosts = |keyword, fallback: [&str; 2]| {
            let named = values.arguments(keyword).map(<[String]>::to_vec);
            let files = named.unwrap_or_else(|| fallback.map(str::to_owned).into());
            files.iter().filter(|f| !f.eq_ignore_ascii_case("none")).map(|f| ssh_path(f)).collect::<Result<Vec<_>>>()
        };
        let seconds = |keyword, max| number(values, keyword, 0, max).map(|n| n.map(Duration::from_secs));
        let keepalive = match plan.keepalive {
            Some(interval) => interval,
            None => seconds("serveraliveinterval", 86_400)?.filter(|d| !d.is_zero()).unwrap_or(DEFAULT_KEEPALIVE),
        };
        Ok(Self {
            alias: plan.host.clone(),
            host,
            port,
            user,
            identities,
            identities_named,
            identities_only: flag(values, "identitiesonly")?.unwrap_or(false),
            agent: agent(values)?,
            user_known_hosts: known_hosts("userknownhostsfile", ["~/.ssh/known_hosts", "~/.ssh/known_hosts2"])?,
            global_known_hosts: known_hosts(
                "globalknownhostsfile",
                ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2"],
            )?,
            revoked_host_keys: None,
            hash_known_hosts: false,
            certificates: Vec::new(),
            methods: vec![Method::PublicKey, Method::KeyboardInteractive, Method::Password],
            password_prompts: 3,
            batch_mode: false,
            algorithms: Algorithms::default(),
            proxy,
            jumps: Vec::new(),
            family: Family::Any,
            bind_address: None,
            connection_attempts: 1,
            host_key_alias: values.get("hostkeyalias").map(str::to_owned),
            strict: strict(values)?,
            connect_timeout: seconds("connecttimeout", 86_400)?.filter(|d| !d.is_zero()).unwrap_or(PHASE_TIMEOUT),
            keepalive: (!keepalive.is_zero()).then_some(keepalive),
            keepalive_count: number(values, "serveralivecountmax", 0, 1_000_000)?
                .map_or(3, |n| usize::try_from(n).unwrap_or(3)),
            rekey_limit: rekey_limit(values)?,
        })
    }
}

/// `~/.ssh` as ssh finds it: by the account, not by `$HOME`.
fn ssh_home() -> Result<PathBuf> {
    Ok(me()?.dir.join(".ssh"))
}

/// `~` and `~/…` by the account, as ssh_config(5) has it. Made absolute: a collector leaves the folder it was started in.
fn ssh_path(path: &str) -> Result<PathBuf> {
    Ok(match path.strip_prefix("~/") {
        Some(rest) => me()?.dir.join(rest),
        None => absolute(Path::new(path)),
    })
}

fn me() -> Result<nix::unistd::User> {
    let uid = nix::unistd::getuid();
    match nix::unistd::User::from_uid(uid) {
        Ok(Some(user)) => Ok(user),
        _ => Err(Error::failed(format!("no account has your user number {uid}")).hint("name the user: USER@HOST")),
    }
}

fn refuse(keyword: &str, value: &str, wanted: &str) -> Error {
    Error::usage(format!("cannot use {keyword} {} of the ssh configuration: it takes {wanted}", escape_str(value)))
}

fn flag(values: &Values, keyword: &str) -> Result<Option<bool>> {
    values
        .get(keyword)
        .map(|value| match value.to_ascii_lowercase().as_str() {
            "yes" | "true" => Ok(true),
            "no" | "false" => Ok(false),
            _ => Err(refuse(keyword, value, "yes or no")),
        })
        .transpose()
}

fn number(values: &Values, keyword: &str, min: u64, max: u64) -> Result<Option<u64>> {
    values
        .get(keyword)
        .map(|value| {
            let number = value.parse().ok().filter(|n| (min..=max).contains(n));
            number.ok_or_else(|| refuse(keyword, value, &format!("a number from {min} to {max}")))
        })
        .transpose()
}

fn strict(values: &Values) -> Result<StrictHostKeyChecking> {
    let Some(value) = values.get("stricthostkeychecking") else { return Ok(StrictHostKeyChecking::Ask) };
    match value.to_ascii_lowercase().as_str() {
        "yes" | "true" => Ok(StrictHostKeyChecking::Yes),
        "ask" => Ok(StrictHostKeyChecking::Ask),
        "accept-new" => Ok(StrictHostKeyChecking::AcceptNew),
        "no" | "false" | "off" => Ok(StrictHostKeyChecking::No),
        _ => Err(refuse("StrictHostKeyChecking", value, "yes, ask, accept-new or no")),
    }
}

fn agent(values: &Values) -> Result<Option<PathBuf>> {
    let env = || std::env::var_os("SSH_AUTH_SOCK").filter(|s| !s.is_empty()).map(|s| absolute(Path::new(&s)));
    Ok(match values.get("identityagent") {
        None | Some("SSH_AUTH_SOCK") => env(),
        Some("none") => None,
        Some(path) => match path.strip_prefix('$') {
            Some(name) => std::env::var_os(name).map(|s| absolute(Path::new(&s))),
            None => Some(ssh_path(path)?),
        },
    })
}

/// `RekeyLimit`: `default` or bytes with K, M or G; its second argument, a time, is left to the server.
fn rekey_limit(values: &Values) -> Result<Option<u64>> {
    let Some(value) = values.get("rekeylimit").filter(|v| !v.eq_ignore_ascii_case("default") && *v != "0") else {
        return Ok(None);
    };
    let (digits, unit) = match value.char_indices().last() {
        Some((at, 'k' | 'K')) => (&value[..at], 1 << 10),
        Some((at, 'm' | 'M')) => (&value[..at], 1 << 20),
        Some((at, 'g' | 'G')) => (&value[..at], 1 << 30),
        _ => (value, 1),
    };
    let bytes = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(unit)).filter(|n| *n >= 16);
    bytes.map(Some).ok_or_else(|| refuse("RekeyLimit", value, "`default` or a number of bytes, such as 1G"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(options: &[(&str, &str)], config: &str) -> Result<Settings> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), config).unwrap();
        Settings::resolve(&SshPlan {
            host: "jump".into(),
            config_file: Some(file.path().into()),
            options: options.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
            identities: vec!["/first".into()],
            ..SshPlan::default()
        })
    }

    #[test]
    fn a_plain_host_block_is_followed() {
        let s = resolve(
            &[],
            "Host jump\n HostName jump.example.org\n Port 2222\n User log\n IdentityFile /second\n IdentitiesOnly yes\n \
             UserKnownHostsFile /k1 /k2\n GlobalKnownHostsFile none\n StrictHostKeyChecking accept-new\n RekeyLimit 1G\n",
        )
        .unwrap();
        assert_eq!(s.target(), "log@jump.example.org:2222");
        assert_eq!(s.identities, [PathBuf::from("/first"), "/second".into()]);
        assert_eq!(s.user_known_hosts, [PathBuf::from("/k1"), "/k2".into()]);
        assert!(s.global_known_hosts.is_empty());
        assert!(s.identities_only && s.strict == StrictHostKeyChecking::AcceptNew && s.rekey_limit == Some(1 << 30));
    }

    #[test]
    fn options_come_before_the_file() {
        let s = resolve(&[("Port", "7"), ("ConnectTimeout", "3")], "Port 8\nConnectTimeout 4\nUser x\n").unwrap();
        assert_eq!((s.port, s.connect_timeout), (7, Duration::from_secs(3)));
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let error = resolve(&[], "Port 99999\n").unwrap_err();
        assert!(error.message.contains("port 99999"), "{error}");
        assert_eq!(error.kind.exit_code(), 2);
        assert!(resolve(&[("StrictHostKeyChecking", "perhaps")], "").is_err());
    }
}
