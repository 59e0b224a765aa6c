//! Key files and certificates as ssh finds them on disk.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::ssh_key::certificate::CertType;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey, decode_secret_key, load_public_key};
use zeroize::Zeroizing;

use crate::error::io_reason;
use crate::escape::escape_str;

/// No key or certificate is larger, in bytes.
const LARGEST: u64 = 64 * 1024;

/// A file that cannot be used: `None` when there is none, else why.
type Unusable = Option<String>;

/// One `IdentityFile`.
#[derive(Debug)]
pub struct KeyFile {
    pub path: PathBuf,
    /// Its public half, from the file itself or `FILE.pub`; an old encrypted file without one keeps it to itself.
    pub public: Option<PublicKey>,
    pub private: Private,
}

/// What a key file has to say.
#[derive(Debug)]
pub enum Private {
    /// A key without a passphrase.
    Ready(Arc<PrivateKey>),
    /// A key behind a passphrase.
    Locked,
    /// Only the public half is here: the private one may lie in an agent.
    Elsewhere,
    /// It cannot be used.
    Unusable(Unusable),
}

/// What came of a passphrase.
#[derive(Debug)]
pub enum Unlocked {
    Key(Arc<PrivateKey>),
    WrongPassphrase,
    Unusable(String),
}

impl KeyFile {
    /// Looks at `path`; whatever is wrong with it stands in `private`.
    pub fn look(path: &Path) -> Self {
        let (inside, private) = match read(path) {
            Ok(text) if is_private(&text) => match decode(&text, None) {
                Ok(key) => (Some(key.public_key().clone()), usable(key)),
                Err(Trouble::Locked) => (openssh_public(&text), Private::Locked),
                Err(Trouble::Bad(why)) => (None, Private::Unusable(Some(why))),
            },
            // Permissions matter for private keys only.
            Ok(_) | Err(NotRead::Exposed(_)) if load_public_key(path).is_ok() => {
                (load_public_key(path).ok(), Private::Elsewhere)
            }
            Ok(_) => (None, Private::Unusable(Some("it holds no key".into()))),
            Err(NotRead::Exposed(why)) => (None, Private::Unusable(Some(why))),
            Err(NotRead::No(why)) => (None, Private::Unusable(why)),
        };
        let public = inside.or_else(|| load_public_key(beside(path, ".pub")).ok());
        let private = match private {
            Private::Unusable(None) if public.is_some() => Private::Elsewhere,
            other => other,
        };
        Self { path: path.to_owned(), public, private }
    }

    /// Opens the file with a passphrase. Takes a while: that is what keeps guessers away.
    pub fn unlock(path: &Path, passphrase: &str) -> Unlocked {
        let text = match read(path) {
            Ok(text) => text,
            Err(NotRead::Exposed(why)) => return Unlocked::Unusable(why),
            Err(NotRead::No(why)) => return Unlocked::Unusable(why.unwrap_or_else(|| "there is no such file".into())),
        };
        match decode(&text, Some(passphrase)) {
            Ok(key) => match usable(key) {
                Private::Ready(key) => Unlocked::Key(key),
                Private::Unusable(Some(why)) => Unlocked::Unusable(why),
                _ => Unlocked::WrongPassphrase,
            },
            // The library has many words for bytes that make no sense, and a wrong passphrase makes such bytes.
            Err(_) => Unlocked::WrongPassphrase,
        }
    }
}

/// `FILE.pub` for `FILE`.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// The certificate that lies beside a key file; `FILE.pub` has the same as `FILE`.
pub fn certificate_beside(file: &Path) -> PathBuf {
    match file.extension() {
        Some(extension) if extension == "pub" => beside(&file.with_extension(""), "-cert.pub"),
        _ => beside(file, "-cert.pub"),
    }
}

/// Loads a user certificate.
pub fn certificate(path: &Path) -> Result<Certificate, Unusable> {
    let text = match text_of(path) {
        Ok((text, _)) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(None),
        Err(e) => return Err(Some(io_reason(&e))),
    };
    let certificate = Certificate::from_openssh(text.trim())
        .map_err(|e| Some(format!("not a usable certificate: {}", escape_str(&e.to_string()))))?;
    match certificate.cert_type() {
        CertType::User => Ok(certificate),
        CertType::Host => Err(Some("it is a certificate for hosts, not for users".into())),
    }
}

enum Trouble {
    Locked,
    Bad(String),
}

enum NotRead {
    /// Others can read it, too.
    Exposed(String),
    No(Unusable),
}

/// The text of a file and who may read it.
fn text_of(path: &Path) -> std::io::Result<(Zeroizing<String>, std::fs::Metadata)> {
    // Looked at before it is opened: a pipe would wait for a writer.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let file = File::open(path)?;
    let meta = file.metadata()?;
    if meta.len() > LARGEST {
        return Err(std::io::Error::other(format!("it has {} bytes, more than any key", meta.len())));
    }
    // Room for all of it: a buffer that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LARGEST).unwrap_or(0) + 1));
    match file.take(LARGEST).read_to_string(&mut text) {
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => Err(std::io::Error::other("it holds no key")),
        result => result.map(|_| (text, meta)),
    }
}

/// The text of a private key, which others must not be able to read.
fn read(path: &Path) -> Result<Zeroizing<String>, NotRead> {
    let (text, meta) = match text_of(path) {
        Ok(found) => found,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Err(NotRead::No(None)),
        Err(e) => return Err(NotRead::No(Some(io_reason(&e)))),
    };
    // As ssh has it: somebody else's file is that somebody's business.
    if meta.uid() == rustix::process::getuid().as_raw() && meta.mode() & 0o077 != 0 {
        return Err(NotRead::Exposed(format!(
            "others can read it (mode {:04o}); chmod 600 {}",
            meta.mode() & 0o7777,
            path.display()
        )));
    }
    Ok(text)
}

fn is_private(text: &str) -> bool {
    text.contains("PRIVATE KEY-----") || text.trim_start().starts_with("PuTTY-User-Key-File-")
}

fn decode(text: &str, passphrase: Option<&str>) -> Result<PrivateKey, Trouble> {
    let locked = text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") || text.contains("Proc-Type: 4,ENCRYPTED");
    if locked && passphrase.is_none() {
        // What the library opens of the oldest kind.
        let cipher = text.lines().find_map(|l| l.strip_prefix("DEK-Info: ")).and_then(|info| info.split(',').next());
        if cipher.is_some_and(|c| c != "AES-128-CBC" || !text.contains("BEGIN RSA PRIVATE KEY")) {
            return Err(Trouble::Bad("it is encrypted in an old way; ssh-keygen -p -f FILE writes it anew".into()));
        }
        return Err(Trouble::Locked);
    }
    match decode_secret_key(text, passphrase) {
        Ok(key) => Ok(key),
        Err(russh::keys::Error::KeyIsEncrypted) => Err(Trouble::Locked),
        Err(e) => Err(Trouble::Bad(format!("not a usable private key: {}", escape_str(&e.to_string())))),
    }
}

/// An encrypted file in OpenSSH's own format shows its public half.
fn openssh_public(text: &str) -> Option<PublicKey> {
    PrivateKey::from_openssh(text).ok().map(|key| key.public_key().clone())
}

fn usable(key: PrivateKey) -> Private {
    match key.algorithm() {
        Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256 => {
            Private::Unusable(Some("it lies on a security key: load it into the agent with ssh-add".into()))
        }
        Algorithm::Dsa => Private::Unusable(Some("DSA keys are not safe; make a new one: ssh-keygen".into())),
        _ => Private::Ready(Arc::new(key)),
    }
}

#[cfg(test)]
#[path = "keys_tests.rs"]
mod tests;
