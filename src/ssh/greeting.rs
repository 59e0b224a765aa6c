//! What became known of a server on the way in: for whoever asks how it let us in, and not only whether.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use russh::Names;
use russh::keys::{HashAlg, PublicKeyOrCertificate};

use super::algorithms;
use super::settings::is_weak;

/// The last server that was talked to: a hop that failed, else the jump host. Names and words of a server are not yet safe
/// for a terminal; what it has not come to is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// `user@host:port`.
    pub target: String,
    /// What it calls itself: `OpenSSH_9.2p1 Debian-2`.
    pub software: String,
    /// The key exchange agreed on, by ssh's name.
    pub kex: String,
    /// The kind of its host key.
    pub host_key: String,
    /// The cipher.
    pub cipher: String,
    /// The MAC; empty for a cipher that needs none.
    pub mac: String,
    /// Its host key: `SHA256:…`.
    pub fingerprint: String,
    /// Nobody knew it before this attempt.
    pub is_new: bool,
    /// What looking at that key took; a question to a person included.
    pub checking: Duration,
    /// What it let us in for: `the key /home/me/.ssh/id_ed25519`.
    pub login: Vec<String>,
}

impl Greeting {
    /// What was agreed on and is too weak today.
    #[must_use]
    pub fn weak(&self) -> Vec<&str> {
        let agreed = [&self.kex, &self.host_key, &self.cipher, &self.mac];
        agreed.into_iter().map(String::as_str).filter(|name| is_weak(name)).collect()
    }
}

/// A place for it.
#[derive(Debug, Default)]
pub struct Guestbook(Mutex<Greeting>);

impl Guestbook {
    /// Something became known.
    pub fn note(&self, write: impl FnOnce(&mut Greeting)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The server has shown this key, and looking at it took so long.
    pub fn shown(&self, key: &PublicKeyOrCertificate, checking: Duration) {
        let fingerprint = match key {
            PublicKeyOrCertificate::PublicKey { key, .. } => key.fingerprint(HashAlg::Sha256),
            PublicKeyOrCertificate::Certificate(certificate) => certificate.public_key().fingerprint(HashAlg::Sha256),
        };
        self.note(|known| {
            known.fingerprint = fingerprint.to_string();
            known.checking = checking;
        });
    }

    /// What was agreed on.
    pub fn agreed(&self, names: &Names) {
        let cipher = names.cipher.as_ref();
        let mac = if algorithms::needs_mac(cipher) { names.server_mac.as_ref() } else { "" };
        self.note(|known| {
            names.kex.as_ref().clone_into(&mut known.kex);
            names.key.as_str().clone_into(&mut known.host_key);
            cipher.clone_into(&mut known.cipher);
            mac.clone_into(&mut known.mac);
        });
    }

    /// All that is known so far.
    #[must_use]
    pub fn read(&self) -> Greeting {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_weak_is_named_and_nothing_else() {
        let mut greeting = Greeting {
            kex: "curve25519-sha256".into(),
            host_key: "ssh-ed25519".into(),
            cipher: "aes128-gcm@openssh.com".into(),
            ..Greeting::default()
        };
        assert_eq!(greeting.weak(), Vec::<&str>::new());
        greeting.kex = "diffie-hellman-group14-sha1".into();
        greeting.cipher = "aes128-cbc".into();
        greeting.mac = "hmac-sha1".into();
        assert_eq!(greeting.weak(), ["diffie-hellman-group14-sha1", "aes128-cbc", "hmac-sha1"]);
    }
}
