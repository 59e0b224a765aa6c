//! Signatures, by an agent or with a key of ours.

use std::time::Duration;

use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::{HashAlg, PrivateKey};
use tokio::time::timeout;

use super::agent::{Agent, Signature, put};
use crate::ssh::prompt::Waited;

/// Signing may need a person: a touch, a confirmation.
const SIGN_PATIENCE: Duration = Duration::from_secs(60);

/// Signs what the library lays before it.
pub struct Signer<'a> {
    pub by: By<'a>,
    pub waited: &'a Waited,
    /// A security key says that somebody touched it.
    pub touched: bool,
}

/// Who signs.
pub enum By<'a> {
    Agent(&'a mut Agent, &'a [u8]),
    Key(&'a PrivateKey),
    Nobody,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
pub enum Unsigned {
    #[error("the connection is gone")]
    Send,
    #[error("it has a passphrase")]
    Locked,
    #[error("the agent did not sign: {0}")]
    Agent(String),
    #[error("it cannot sign: {0}")]
    Key(String),
}

impl From<russh::SendError> for Unsigned {
    fn from(_: russh::SendError) -> Self {
        Self::Send
    }
}

impl russh::Signer for Signer<'_> {
    type Error = Unsigned;

    async fn auth_sign(
        &mut self,
        key: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> std::result::Result<Vec<u8>, Unsigned> {
        let signature = match &mut self.by {
            By::Nobody => return Err(Unsigned::Locked),
            By::Key(key) => sign(key, hash, &to_sign).map_err(|e| Unsigned::Key(e.to_string()))?,
            By::Agent(agent, blob) => {
                let algorithm = match key {
                    AgentIdentity::PublicKey { key, .. } => key.algorithm(),
                    AgentIdentity::Certificate { certificate, .. } => certificate.algorithm(),
                };
                let signing = timeout(SIGN_PATIENCE, agent.sign(blob, &algorithm, hash, &to_sign));
                let signed = self.waited.during(signing).await;
                let Signature { blob, touched } =
                    signed.unwrap_or_else(|_| Err("it does not answer".into())).map_err(Unsigned::Agent)?;
                self.touched = touched;
                blob
            }
        };
        put(&mut to_sign, &signature);
        Ok(to_sign)
    }
}

/// The signature of a key of ours, as the wire wants it.
fn sign(key: &PrivateKey, hash: Option<HashAlg>, data: &[u8]) -> russh::keys::ssh_key::Result<Vec<u8>> {
    let signature = match key.key_data() {
        KeypairData::Rsa(rsa) => (rsa, hash).try_sign(data)?,
        other => other.try_sign(data)?,
    };
    let mut blob = Vec::new();
    put(&mut blob, signature.algorithm().as_str().as_bytes());
    put(&mut blob, signature.as_bytes());
    Ok(blob)
}
