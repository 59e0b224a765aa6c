//! How to reach one host, with everything that `ssh_config` has to say about it filled in.

mod from_config;
mod review;

pub use review::is_weak;

use std::path::PathBuf;
use std::time::Duration;

use super::config;
use super::config::jump::Hop;
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::plan::{SshPlan, bracketed};

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
    /// Whether that order stands: `HostKeyAlgorithms` is a list of its own or begins with `^`. After `+` and `-` known
    /// keys come first all the same.
    pub host_keys_in_order: bool,
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
    /// Where reclog was started: a [`Proxy::Command`] may be a program there, also for a reconnect, when a collector in the
    /// background has left the folder.
    pub folder: PathBuf,
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
    /// Bits that an RSA key has at least, a host's or one of ours (`RequiredRSASize`).
    pub least_rsa: u32,
    /// New entries of known_hosts hide the host's name.
    pub hash_known_hosts: bool,
    /// Look for the host key under this name.
    pub host_key_alias: Option<String>,
    /// What to do with an unknown host key.
    pub strict: StrictHostKeyChecking,
    /// Whether a host key that nobody was asked about is written down; what a person said yes to always is.
    pub writes_unseen: bool,
    /// Deadline of connect, banner and key exchange each.
    pub connect_timeout: Duration,
    /// Pause after which a silent connection is asked whether it lives.
    pub keepalive: Option<Duration>,
    /// Unanswered questions after which it counts as dead.
    pub keepalive_count: usize,
    /// Bytes after which reclog renews the keys; `None`: as the cipher needs it.
    pub rekey_limit: Option<u64>,
    /// Whether a command may be run on the host; not with `SessionType none`.
    pub commands: bool,
    /// What the configuration asks for and reclog does not do, a sentence each, where somebody may wait for it in vain.
    pub notes: Vec<String>,
}

impl Settings {
    /// `user@host:port`, IPv6 addresses in brackets.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}@{}:{}", self.user, bracketed(&self.host), self.port)
    }

    /// The same as arguments of ssh and ssh-copy-id, `-p PORT user@host`, safe to show.
    #[must_use]
    pub fn ssh_arguments(&self) -> String {
        let port = if self.port == 22 { String::new() } else { format!("-p {} ", self.port) };
        escape_str(&format!("{port}{}@{}", self.user, self.host))
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
        from_config::resolve(plan)
    }

    /// What [`resolve`](Self::resolve) needs for each host on the way, in order, when `plan` led to these settings; none
    /// without [`Proxy::Jump`]. As with ssh, nothing that was said for the target holds for them but the configuration
    /// file. The first comes without `jump`: its own configuration may lead through further hosts. The others come with
    /// those before them, so that theirs does not.
    ///
    /// # Errors
    /// Usage errors for a hop that is no host.
    pub fn hops(&self, plan: &SshPlan) -> Result<Vec<SshPlan>> {
        let Proxy::Jump(hops) = &self.proxy else { return Ok(Vec::new()) };
        let each = hops.iter().enumerate().map(|(at, hop)| {
            let Hop { user, host, port } = Hop::parse(hop, config::account::service).ok_or_else(|| {
                Error::usage(format!("cannot go through `{}` to {}: it is no host", escape_str(hop), self.target()))
            })?;
            let (jump, config_file) = (hops[..at].to_vec(), plan.config_file.clone());
            Ok(SshPlan { user, host, port, config_file, jump, ..SshPlan::default() })
        });
        each.collect()
    }

    /// What an auditor would say, a sentence each, not yet safe for a terminal.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        review::warnings(self)
    }
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
    fn what_an_auditor_would_say_is_said() {
        let said = |options: &[(&str, &str)]| resolve(options, "").unwrap().warnings().join("; ");
        assert_eq!(said(&[]), "");
        assert_eq!(said(&[("StrictHostKeyChecking", "accept-new"), ("Ciphers", "aes256-ctr")]), "");
        assert!(said(&[("StrictHostKeyChecking", "no")]).starts_with("jump: StrictHostKeyChecking no takes"));
        assert!(said(&[("UserKnownHostsFile", "/dev/null")]).contains("go to /dev/null"));
        let weak = said(&[
            ("Ciphers", "+aes128-cbc"),
            ("MACs", "hmac-sha1"),
            ("KexAlgorithms", "+diffie-hellman-group14-sha1"),
        ]);
        for part in
            ["Ciphers allows what is too weak today: aes128-cbc;", "today: hmac-sha1;", "diffie-hellman-group14-sha1"]
        {
            assert!(weak.contains(part), "{weak}");
        }
    }

    #[test]
    fn session_type_none_means_no_command() {
        assert!(resolve(&[], "SessionType default\n").unwrap().commands && resolve(&[], "").unwrap().commands);
        assert!(!resolve(&[], "SessionType NONE\n").unwrap().commands);
        assert!(!resolve(&[("SessionType", "none")], "SessionType default\n").unwrap().commands);
    }

    #[test]
    fn bad_values_are_refused_by_name() {
        let error = resolve(&[], "Port 99999\n").unwrap_err();
        assert!(error.message.contains("`99999`"), "{error}");
        assert_eq!(error.kind.exit_code(), 2);
        assert!(resolve(&[("StrictHostKeyChecking", "perhaps")], "").is_err());
    }
}
