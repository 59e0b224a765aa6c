//! Fresh keys, and the two files a client needs to use them.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;

use super::{KEY_FILE, KNOWN_HOSTS_FILE};
use crate::error::{Error, Result, io_reason};

/// What one jump host lives with.
pub(super) struct Keys {
    /// Proves the jump host.
    pub host: PrivateKey,
    /// Lets the client in.
    pub client: PrivateKey,
}

impl Keys {
    /// Two new ed25519 keys.
    pub fn fresh() -> Result<Self> {
        Ok(Self { host: fresh_key()?, client: fresh_key()? })
    }

    /// Writes the client's key and the line of known_hosts for `address` into `folder`, which must hold neither.
    pub fn write(&self, folder: &Path, address: SocketAddr) -> Result<()> {
        let unusable = |e: &dyn std::fmt::Display| Error::failed(format!("cannot write down a fresh SSH key: {e}"));
        let key = self.client.to_openssh(LineEnding::LF).map_err(|e| unusable(&e))?;
        let host = self.host.public_key().to_openssh().map_err(|e| unusable(&e))?;
        write_new(&folder.join(KEY_FILE), key.as_bytes())?;
        let line = format!("[{}]:{} {}\n", address.ip(), address.port(), host.trim_end());
        write_new(&folder.join(KNOWN_HOSTS_FILE), line.as_bytes())
    }
}

/// From a seed of the system, because russh's key library and reclog do not use the same generation of `rand`.
fn fresh_key() -> Result<PrivateKey> {
    let mut seed = [0; 32];
    File::open("/dev/urandom")
        .and_then(|mut random| random.read_exact(&mut seed))
        .map_err(|e| Error::failed(format!("cannot read /dev/urandom for an SSH key: {}", io_reason(&e))))?;
    Ok(PrivateKey::from(Ed25519Keypair::from_seed(&seed)))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|e| Error::failed(format!("cannot write {}: {}", path.display(), io_reason(&e))))
}
