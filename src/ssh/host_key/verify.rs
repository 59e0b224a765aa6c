//! The decision about the key that a server shows, and the words for it.

use russh::keys::{HashAlg, PublicKey, PublicKeyOrCertificate};

use super::known_hosts::{KnownHosts, Verdict, name, remember};
use crate::error::{Error, Result};
use crate::escape::escape_str;
use crate::ssh::prompt::Desk;
use crate::ssh::settings::{Settings, StrictHostKeyChecking};

/// Whether `shown` is the key of the host that `settings` mean.
///
/// # Errors
/// Host key errors (exit code 5) say what is wrong with it, and what to do.
pub async fn verify(
    shown: &PublicKeyOrCertificate,
    known: &KnownHosts,
    settings: &Settings,
    _desk: &Desk,
) -> Result<()> {
    match shown {
        PublicKeyOrCertificate::PublicKey { key, .. } => check(key, known, settings),
        // None is ever asked for, so none can come.
        PublicKeyOrCertificate::Certificate(_) => {
            Err(Error::host_key("the jump host showed a host certificate, which was not asked for"))
        }
    }
}

fn check(key: &PublicKey, known: &KnownHosts, settings: &Settings) -> Result<()> {
    let (host, port) = settings.key_name();
    let shown = name(host, port);
    let print = format!("{} key {}", algorithm_word(&key.algorithm()), key.fingerprint(HashAlg::Sha256));
    match known.check(host, port, key) {
        Verdict::Known => Ok(()),
        Verdict::Revoked(place) => Err(Error::host_key(format!(
            "the host key of {shown} is revoked: {} line {} ({print})",
            place.file.display(),
            place.line
        ))),
        Verdict::Changed(place) => Err(Error::host_key(format!(
            "the host key of {shown} has changed: {} line {} has another one ({print})",
            place.file.display(),
            place.line
        ))
        .hint("someone may be between you and the jump host, or it was installed anew: ask its administrator")
        .hint(format!(
            "if the new key is right, forget the old one: ssh-keygen -f {} -R '{shown}'",
            place.file.display()
        ))),
        Verdict::Unknown => match settings.strict {
            StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No => {
                let added = match settings.user_known_hosts.first() {
                    Some(file) => remember(file, &shown, key),
                    None => Ok(()),
                };
                if let Err(e) = added {
                    // ssh, too, goes on: the key is as good as before, it is only asked for again next time.
                    tracing::warn!("{e}");
                }
                Ok(())
            }
            StrictHostKeyChecking::Yes | StrictHostKeyChecking::Ask => {
                Err(Error::host_key(format!("the host key of {shown} is not known: {print}"))
                    .hint(format!("compare the fingerprint, then: {}", ssh_command(settings)))
                    .hint("to take the key of a new host unseen: -o StrictHostKeyChecking=accept-new"))
            }
        },
    }
}

/// What a person types to connect once with ssh, which asks and remembers the answer.
fn ssh_command(settings: &Settings) -> String {
    let port = if settings.port == 22 { String::new() } else { format!("-p {} ", settings.port) };
    format!("ssh {port}{}@{}", settings.user, settings.host)
}

/// The name that ssh prints for an algorithm.
fn algorithm_word(algorithm: &russh::keys::Algorithm) -> String {
    match algorithm.as_str() {
        name if name.starts_with("ssh-ed25519") => "ED25519".into(),
        name if name.starts_with("ecdsa") => "ECDSA".into(),
        name if name.contains("rsa") => "RSA".into(),
        name => escape_str(name),
    }
}
