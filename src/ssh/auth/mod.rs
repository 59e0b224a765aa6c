//! Proving who we are: keys of the agent first, then key files, as ssh does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::MethodKind;
use russh::client::{AuthResult, Handle};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, load_public_key, load_secret_key};
use tokio::net::UnixStream;
use tokio::time::{Instant, timeout, timeout_at};

use super::handler::Guest;
use super::host_key::Accepted;
use super::prompt::Desk;
use super::settings::{PHASE_TIMEOUT, Settings};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;

/// An agent that answers at all does so at once.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);
/// Signing may need a person: a touch, a confirmation.
const SIGN_PATIENCE: Duration = Duration::from_secs(60);

/// What a reconnect needs and only a person could tell: passphrases, passwords, a host key that was taken for once.
/// Kept for the life of the collector, overwritten with zeros at its end.
#[derive(Debug, Default)]
pub struct Memory {
    /// Host keys that a person took.
    pub accepted: Accepted,
}

/// One login under way.
struct Login<'a> {
    handle: &'a mut Handle<Guest>,
    settings: &'a Settings,
    /// When the server has to have answered; time at the agent does not count.
    deadline: Instant,
    /// Keys that the server has seen and refused.
    refused: Vec<String>,
    /// Keys that could not be offered, and why.
    notes: Vec<String>,
}

/// What the server made of one offer.
enum Offer {
    Accepted,
    Next,
}

/// Logs in.
///
/// # Errors
/// Refused (exit code 4) when no key is accepted, failed when the connection dies meanwhile.
pub async fn authenticate(handle: &mut Handle<Guest>, settings: &Settings, _desk: &Desk) -> Result<()> {
    let mut login =
        Login { handle, settings, deadline: Instant::now() + PHASE_TIMEOUT, refused: Vec::new(), notes: Vec::new() };
    if login.agent().await? || login.files().await? {
        return Ok(());
    }
    Err(login.failure())
}

impl Login<'_> {
    async fn agent(&mut self) -> Result<bool> {
        let Some(path) = self.settings.agent.clone() else { return Ok(false) };
        let connect = async {
            let mut agent = AgentClient::connect(UnixStream::connect(&path).await.map_err(|e| io_reason(&e))?);
            let identities = agent.request_identities().await.map_err(|e| e.to_string())?;
            Ok::<_, String>((agent, identities))
        };
        let (mut agent, identities) = match timeout(AGENT_PATIENCE, connect).await {
            Ok(Ok(found)) => found,
            Ok(Err(why)) => {
                return Ok(self.note(format!("the agent at {} gave no keys: {}", path.display(), escape_str(&why))));
            }
            Err(_) => return Ok(self.note(format!("the agent at {} does not answer", path.display()))),
        };
        let named: Vec<PublicKey> = if self.settings.identities_named {
            self.settings.identities.iter().filter_map(|f| public_part(f)).collect()
        } else {
            Vec::new()
        };
        let mut keys: Vec<(PublicKey, String)> = identities
            .into_iter()
            .filter_map(|identity| match identity {
                AgentIdentity::PublicKey { key, comment } => Some((key, comment)),
                AgentIdentity::Certificate { .. } => None,
            })
            .collect();
        let rank = |key: &PublicKey| named.iter().position(|n| n.key_data() == key.key_data());
        if self.settings.identities_only {
            keys.retain(|(key, _)| rank(key).is_some());
        }
        keys.sort_by_key(|(key, _)| rank(key).unwrap_or(usize::MAX));
        for (key, comment) in keys {
            let hash = self.rsa_hash(&key).await;
            let shown = format!("{} (agent)", escape_str(&comment));
            let offer = self.handle.authenticate_publickey_with(&self.settings.user, key, hash, &mut agent);
            let begun = Instant::now();
            let answer = timeout(SIGN_PATIENCE, offer).await;
            self.deadline += begun.elapsed();
            let result = match answer {
                Ok(Ok(result)) => result,
                Ok(Err(e)) => {
                    self.note(format!("{shown}: the agent did not sign: {e}"));
                    continue;
                }
                Err(_) => return Err(self.too_late()),
            };
            if let Offer::Accepted = self.judge(&result, shown)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    async fn files(&mut self) -> Result<bool> {
        for file in &self.settings.identities {
            let key = match load(file) {
                Ok(key) => key,
                // The usual places are looked at in silence.
                Err(None) => {
                    if self.settings.identities_named {
                        self.note(format!("{}: there is no such file", file.display()));
                    }
                    continue;
                }
                Err(Some(why)) => {
                    self.note(format!("{}: {why}", file.display()));
                    continue;
                }
            };
            let hash = self.rsa_hash(key.public_key()).await;
            let offer = self
                .handle
                .authenticate_publickey(&self.settings.user, PrivateKeyWithHashAlg::new(Arc::new(key), hash));
            let result = match timeout_at(self.deadline, offer).await {
                Ok(Ok(result)) => result,
                Ok(Err(e)) => return Err(self.lost(&super::reason(&e))),
                Err(_) => return Err(self.too_late()),
            };
            if let Offer::Accepted = self.judge(&result, file.display().to_string())? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn judge(&mut self, result: &AuthResult, shown: String) -> Result<Offer> {
        match result {
            AuthResult::Success => {
                tracing::debug!("logged in with {shown}");
                Ok(Offer::Accepted)
            }
            // The library reports a connection that died like this.
            AuthResult::Failure { remaining_methods, .. }
                if remaining_methods.is_empty() && self.handle.is_closed() =>
            {
                self.refused.push(shown);
                Err(if self.refused.len() > 1 {
                    self.failure().hint(
                        "the server ended the login after so many keys: name one with -i and -o IdentitiesOnly=yes",
                    )
                } else {
                    self.lost("the server ended it")
                })
            }
            AuthResult::Failure { remaining_methods, partial_success: true } => Err(Error::refused(format!(
                "{} accepted the key {shown} and wants more: {}",
                self.settings.target(),
                methods(remaining_methods)
            ))
            .hint("only keys are supported; use a key that is enough by itself")),
            AuthResult::Failure { remaining_methods, .. } => {
                self.refused.push(shown);
                if remaining_methods.contains(&MethodKind::PublicKey) {
                    Ok(Offer::Next)
                } else {
                    Err(self
                        .failure()
                        .hint(format!("the server takes no more keys; it offers: {}", methods(remaining_methods))))
                }
            }
        }
    }

    async fn rsa_hash(&self, key: &PublicKey) -> Option<HashAlg> {
        if !matches!(key.algorithm(), russh::keys::Algorithm::Rsa { .. }) {
            return None;
        }
        // A server that does not say what it takes is asked with the better of the two; SHA-1 is never used.
        let told = timeout(AGENT_PATIENCE, self.handle.best_supported_rsa_hash()).await;
        Some(told.ok().and_then(std::result::Result::ok).flatten().flatten().unwrap_or(HashAlg::Sha512))
    }

    fn note(&mut self, note: String) -> bool {
        tracing::debug!("{note}");
        self.notes.push(note);
        false
    }

    fn failure(&mut self) -> Error {
        let target = self.settings.target();
        let mut error = if self.refused.is_empty() {
            Error::refused(format!("cannot log in to {target}: there is no usable key"))
                .hint("name a key with -i FILE, load one with ssh-add, or make one: ssh-keygen -t ed25519")
        } else {
            let port = if self.settings.port == 22 { String::new() } else { format!("-p {} ", self.settings.port) };
            Error::refused(format!(
                "cannot log in to {target}: the server refused the key: {}",
                self.refused.join(", ")
            ))
            .hint(format!("allow it there: ssh-copy-id -i KEY.pub {port}{}@{}", self.settings.user, self.settings.host))
        };
        for note in self.notes.drain(..) {
            error = error.hint(note);
        }
        error
    }

    fn lost(&self, why: &str) -> Error {
        Error::failed(format!("lost the connection to {} while logging in: {why}", self.settings.target()))
    }

    fn too_late(&self) -> Error {
        Error::failed(format!("{} did not answer in time (phase: authentication)", self.settings.target()))
    }
}

fn methods(set: &russh::MethodSet) -> String {
    set.iter().map(<&str>::from).collect::<Vec<_>>().join(", ")
}

/// The public half of a key file, from `FILE.pub` or the file itself.
fn public_part(file: &Path) -> Option<PublicKey> {
    let mut public = file.as_os_str().to_owned();
    public.push(".pub");
    load_public_key(&public)
        .ok()
        .or_else(|| load_public_key(file).ok())
        .or_else(|| load(file).ok().map(|k| k.public_key().clone()))
}

/// Loads a private key. `Err(None)`: there is no such file; `Err(Some(why))`: it cannot be used.
fn load(file: &Path) -> std::result::Result<PrivateKey, Option<String>> {
    use std::os::unix::fs::MetadataExt;
    let meta = match std::fs::metadata(file) {
        Ok(meta) => meta,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(e) => return Err(Some(io_reason(&e))),
    };
    if meta.uid() == rustix::process::getuid().as_raw() && meta.mode() & 0o077 != 0 {
        return Err(Some(format!(
            "others can read it (mode {:04o}); chmod 600 {}",
            meta.mode() & 0o7777,
            file.display()
        )));
    }
    match load_secret_key(file, None) {
        Ok(key) if key.algorithm().as_str().starts_with("sk-") => {
            Err(Some("it lies on a security key: load it into the agent with ssh-add".into()))
        }
        Ok(key) => Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => {
            Err(Some(format!("it has a passphrase: load it into the agent: ssh-add {}", file.display())))
        }
        Err(russh::keys::Error::IO(e)) => Err(Some(io_reason(&e))),
        Err(e) => Err(Some(format!("not a usable private key: {}", escape_str(&e.to_string())))),
    }
}
