//! The decision about the key that a server shows, and the words for it.

use std::time::{SystemTime, UNIX_EPOCH};

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Certificate, HashAlg, PublicKey, PublicKeyOrCertificate};

use super::ask::{Consent, Shown, ask};
use super::known_hosts::{KnownHosts, Place, Verdict, other_names, shown};
use super::{certificate, remember};
use crate::error::{Error, Result, io_reason};
use crate::escape::escape_str;
use crate::ssh::algorithms;
use crate::ssh::prompt::Desk;
use crate::ssh::settings::{Settings, StrictHostKeyChecking};

/// Whether `shown` is the key of the host that `settings` mean. That the server owns it is the library's to check.
///
/// # Errors
/// Host key errors (exit code 5) say what is wrong with it, and what to do.
pub async fn verify(
    shown: &PublicKeyOrCertificate,
    known: &KnownHosts,
    settings: &Settings,
    desk: &Desk,
) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let (key, note) = match shown {
        PublicKeyOrCertificate::PublicKey { key, .. } => (key.clone(), None),
        PublicKeyOrCertificate::Certificate(certificate) => {
            match check_certificate(certificate, known, settings, now)? {
                None => return Ok(()),
                // As with ssh the key inside may be known by itself.
                Some(unfit) => (certificate.public_key().clone().into(), Some(unfit)),
            }
        }
    };
    let checked = check_key(&key, known, settings, desk).await;
    match (checked, note) {
        (Ok(()), None) => Ok(()),
        (Ok(()), Some(Unfit { why, trusted })) => {
            let name = escape_str(&known.names.full);
            let text =
                format!("warning: the host certificate of {name} was not taken: it {why}; the key in it is known");
            if trusted {
                desk.person.tell(&text);
            } else {
                // Authorities that nobody here knows are nobody's trouble.
                tracing::debug!("{text}");
            }
            Ok(())
        }
        (Err(error), None) => Err(error),
        (Err(mut error), Some(Unfit { why, .. })) => {
            error.message.push_str(&format!("; the host certificate with this key was not taken: it {why}"));
            Err(error)
        }
    }
}

/// Why a genuine certificate is not good enough.
struct Unfit {
    /// The end of a sentence that begins with "it".
    why: String,
    /// Its authority is one that we trust for this host.
    trusted: bool,
}

/// `None`: the certificate is good.
fn check_certificate(
    certificate: &Certificate,
    known: &KnownHosts,
    settings: &Settings,
    now: u64,
) -> Result<Option<Unfit>> {
    let name = escape_str(&known.names.full);
    for (what, key) in
        [("key in the host certificate", certificate.public_key()), ("authority", certificate.signature_key())]
    {
        if let Some(place) = known.revoked(key) {
            return Err(revoked(&format!("the {what} of {name}"), place, key));
        }
    }
    if !certificate::is_genuine(certificate) {
        return Err(Error::host_key(format!(
            "the host certificate of {name} is forged or damaged: its signature is not that of the authority it names"
        ))
        .hint("someone may be between you and the jump host: ask its administrator"));
    }
    if algorithms::is_short(certificate.public_key(), settings.least_rsa) {
        return Err(too_small(&name, settings));
    }
    if !known.trusts(certificate) {
        let why = format!(
            "is signed by {}, which no @cert-authority line for this host names",
            print(certificate.signature_key())
        );
        return Ok(Some(Unfit { why, trusted: false }));
    }
    let signatures = settings.algorithms.ca_signatures.as_deref();
    let checked = certificate::check(certificate, &known.names.principal, signatures, now);
    Ok(checked.err().map(|why| Unfit { why, trusted: true }))
}

async fn check_key(key: &PublicKey, known: &KnownHosts, settings: &Settings, desk: &Desk) -> Result<()> {
    let name = escape_str(&known.names.full);
    let data = key.key_data();
    // The server may show another kind than it announced, and a certificate's key was never announced.
    if !algorithms::permits(&settings.algorithms, &key.algorithm()) {
        return Err(Error::host_key(format!(
            "the jump host {name} shows a key that HostKeyAlgorithms does not allow: {}",
            print(data)
        )));
    }
    if algorithms::is_short(data, settings.least_rsa) {
        return Err(too_small(&name, settings));
    }
    match known.check(data) {
        Verdict::Known => Ok(()),
        Verdict::Revoked(place) => Err(revoked(&format!("the host key of {name}"), &place, data)),
        Verdict::Changed(place) => Err(changed(&name, &place, data)),
        Verdict::Unknown => match settings.strict {
            StrictHostKeyChecking::AcceptNew | StrictHostKeyChecking::No => {
                accept(key, known, settings, desk, settings.writes_unseen)
            }
            StrictHostKeyChecking::Ask if !settings.batch_mode => {
                let fingerprint = key.fingerprint(HashAlg::Sha256).to_string();
                // The files could be read a moment ago; this is only to help the person.
                let others = other_names(settings, key).unwrap_or_default();
                let (names, kind) = (&known.names, word(data));
                let shown = Shown { names, kind: &kind, fingerprint: &fingerprint, others: &others };
                match ask(&shown, desk).await? {
                    Consent::Given => accept(key, known, settings, desk, true),
                    Consent::Nobody => Err(unknown(&name, data, settings)),
                }
            }
            StrictHostKeyChecking::Ask | StrictHostKeyChecking::Yes => Err(unknown(&name, data, settings)),
        },
    }
}

/// The key of an unknown host is taken and remembered, and where it is to `last` written down.
fn accept(key: &PublicKey, known: &KnownHosts, settings: &Settings, desk: &Desk, last: bool) -> Result<()> {
    let full = &known.names.full;
    let name = escape_str(full);
    let accepted = &desk.memory.accepted;
    // A person may have thought for minutes: somebody else may have written down another key meanwhile.
    match KnownHosts::read(settings, accepted)?.check(key.key_data()) {
        Verdict::Known => return Ok(()),
        Verdict::Unknown => {}
        Verdict::Changed(place) => return Err(changed(&name, &place, key.key_data())),
        Verdict::Revoked(place) => return Err(revoked(&format!("the host key of {name}"), &place, key.key_data())),
    }
    accepted.add(full, key);
    desk.memory.book.note(|known| known.is_new = true);
    let Some(file) = settings.user_known_hosts.first().filter(|_| last) else { return Ok(()) };
    let added = if remember::is_plain(full) {
        remember::append(file, full, settings.hash_known_hosts, key).map_err(|e| io_reason(&e))
    } else {
        Err("the name cannot stand there for itself alone".into())
    };
    // ssh, too, goes on when it cannot write: the key is as good as before, it is only asked for again next time.
    desk.person.tell(&match added {
        Ok(()) => {
            format!("Permanently added '{name}' ({}) to the known hosts in {}", word(key.key_data()), shown(file))
        }
        Err(why) => format!("warning: cannot add the key of '{name}' to {}: {why}", shown(file)),
    });
    Ok(())
}

fn unknown(name: &str, key: &KeyData, settings: &Settings) -> Error {
    Error::host_key(format!("the host key of {name} is not known: {}", print(key)))
        .hint(format!("compare the fingerprint, then: ssh {}", settings.ssh_arguments()))
        // As with ssh, what -o says is for the last host alone.
        .hint("to take the key of a new host unseen: -o StrictHostKeyChecking=accept-new; for a hop, in its Host block")
}

fn changed(name: &str, place: &Place, key: &KeyData) -> Error {
    let error =
        Error::host_key(format!("the host key of {name} has changed: {place} has another one ({})", print(key)))
            .hint("someone may be between you and the jump host, or it was installed anew: ask its administrator");
    match place {
        Place::Line(file, _) => error
            .hint(format!("if the new key is right, forget the old one: ssh-keygen -f {} -R '{name}'", shown(file))),
        Place::Memory => error.hint("if the new key is right, start the collector again"),
    }
}

fn revoked(what: &str, place: &Place, key: &KeyData) -> Error {
    Error::host_key(format!("{what} is revoked: {place} ({})", print(key)))
        .hint("such a key may be in wrong hands: ask the administrator of the jump host")
}

fn too_small(name: &str, settings: &Settings) -> Error {
    let least = settings.least_rsa;
    Error::host_key(format!("the RSA host key of {name} is too short to prove anything: less than {least} bits")).hint(
        "the jump host needs another key (ssh-keygen -A); RequiredRSASize of the ssh configuration sets the limit",
    )
}

/// `ED25519 key SHA256:…`.
fn print(key: &KeyData) -> String {
    format!("{} key {}", word(key), key.fingerprint(HashAlg::Sha256))
}

/// The name that ssh prints for an algorithm.
fn word(key: &KeyData) -> String {
    match key.algorithm().as_str() {
        name if name.starts_with("ssh-ed25519") => "ED25519".into(),
        name if name.starts_with("sk-ssh-ed25519") => "ED25519-SK".into(),
        name if name.starts_with("sk-ecdsa") => "ECDSA-SK".into(),
        name if name.starts_with("ecdsa") => "ECDSA".into(),
        name if name.contains("rsa") => "RSA".into(),
        name => escape_str(name),
    }
}

#[cfg(test)]
#[path = "verify_tests.rs"]
mod tests;
