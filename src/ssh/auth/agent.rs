//! The keys of an agent (draft-ietf-sshm-ssh-agent): what it holds, and its signatures.
//!
//! The library's client gives up on the whole list for one key or comment that it cannot read; here only that key is
//! left out.

use std::path::Path;

use russh::keys::agent::AgentSessionBinding;
use russh::keys::key::parse_public_key;
use russh::keys::{Algorithm, Certificate, HashAlg, PublicKey};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::error::io_reason;
use crate::escape::escape;

/// OpenSSH's own bound of a message, in bytes.
const LONGEST: usize = 256 * 1024;
/// A comment is cut at so many bytes.
const LONGEST_COMMENT: usize = 200;

const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
const EXTENSION: u8 = 27;
const RSA_SHA2_256: u32 = 2;
const RSA_SHA2_512: u32 = 4;
/// In the flags of a security key's signature: somebody touched it.
const USER_PRESENT: u8 = 1;

/// One key that an agent holds.
#[derive(Debug, Clone)]
pub struct Held {
    /// As the agent names it.
    pub blob: Vec<u8>,
    pub what: What,
    /// Escaped.
    pub comment: String,
}

#[derive(Debug, Clone)]
pub enum What {
    Key(PublicKey),
    Certificate(Box<Certificate>),
}

/// A signature as the wire wants it: algorithm, bytes, and what a security key adds.
#[derive(Debug)]
pub struct Signature {
    pub blob: Vec<u8>,
    /// A security key says that it was touched.
    pub touched: bool,
}

/// A connection to an agent.
pub struct Agent(UnixStream);

impl Agent {
    pub async fn connect(path: &Path) -> Result<Self, String> {
        UnixStream::connect(path).await.map(Self).map_err(|e| io_reason(&e))
    }

    async fn request(&mut self, kind: u8, body: &[u8]) -> Result<(u8, Vec<u8>), String> {
        let length = u32::try_from(body.len() + 1).map_err(|_| "the request is too long")?;
        let frame = [&length.to_be_bytes()[..], &[kind], body].concat();
        let exchange = async {
            self.0.write_all(&frame).await?;
            let mut length = [0; 4];
            self.0.read_exact(&mut length).await?;
            let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
            if length == 0 || length > LONGEST {
                return Err(std::io::Error::other(format!("it announced a message of {length} bytes")));
            }
            let mut answer = vec![0; length];
            self.0.read_exact(&mut answer).await?;
            Ok(answer)
        };
        let mut answer = exchange.await.map_err(|e| match e.kind() {
            std::io::ErrorKind::UnexpectedEof => "it ended the conversation".into(),
            _ => io_reason(&e),
        })?;
        let kind = answer.remove(0);
        Ok((kind, answer))
    }

    /// Says for which connection keys will be asked for; keys that are meant for certain hosts only need it.
    pub async fn bind(&mut self, binding: &AgentSessionBinding) -> Result<(), String> {
        let mut body = Vec::new();
        put(&mut body, b"session-bind@openssh.com");
        put(&mut body, binding.host_key());
        put(&mut body, binding.session_id());
        put(&mut body, binding.signature());
        // This is no forwarded agent.
        body.push(0);
        // Older agents do not know of it, and have no such keys.
        self.request(EXTENSION, &body).await.map(drop)
    }

    /// What it holds.
    pub async fn list(&mut self) -> Result<Vec<Held>, String> {
        match self.request(REQUEST_IDENTITIES, &[]).await? {
            (IDENTITIES_ANSWER, body) => held(&body).ok_or_else(|| "its list of keys makes no sense".into()),
            (FAILURE, _) => Err("it refused to list its keys".into()),
            (other, _) => Err(format!("it answered with a message of type {other}")),
        }
    }

    /// Has it sign `data` with the key `blob`.
    pub async fn sign(
        &mut self,
        blob: &[u8],
        algorithm: &Algorithm,
        hash: Option<HashAlg>,
        data: &[u8],
    ) -> Result<Signature, String> {
        let flags = match hash {
            Some(HashAlg::Sha256) => RSA_SHA2_256,
            Some(HashAlg::Sha512) => RSA_SHA2_512,
            _ => 0,
        };
        let mut body = Vec::new();
        put(&mut body, blob);
        put(&mut body, data);
        body.extend(flags.to_be_bytes());
        match self.request(SIGN_REQUEST, &body).await? {
            (SIGN_RESPONSE, body) => signature(&body, algorithm, hash),
            (FAILURE, _) => Err("it refused".into()),
            (other, _) => Err(format!("it answered with a message of type {other}")),
        }
    }
}

/// RFC 4251, section 5: a string with its length in front.
pub fn put(to: &mut Vec<u8>, string: &[u8]) {
    to.extend(u32::try_from(string.len()).unwrap_or(u32::MAX).to_be_bytes());
    to.extend_from_slice(string);
}

fn take_u32(from: &mut &[u8]) -> Option<u32> {
    let (head, rest) = from.split_first_chunk::<4>()?;
    *from = rest;
    Some(u32::from_be_bytes(*head))
}

fn take<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = usize::try_from(take_u32(from)?).ok()?;
    let (head, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(head)
}

/// The body of a list of keys. Keys of a kind that we do not know are left out; `None` when it is no list.
fn held(mut body: &[u8]) -> Option<Vec<Held>> {
    let count = take_u32(&mut body)?;
    let mut all = Vec::new();
    for _ in 0..count {
        let (blob, comment) = (take(&mut body)?, take(&mut body)?);
        let Some(what) = what(blob) else {
            tracing::debug!("the agent holds a key of an unknown kind");
            continue;
        };
        let comment = escape(&comment[..comment.len().min(LONGEST_COMMENT)]);
        all.push(Held { blob: blob.to_vec(), what, comment });
    }
    Some(all)
}

fn what(blob: &[u8]) -> Option<What> {
    let name = std::str::from_utf8(take(&mut { blob })?).ok()?;
    if name.ends_with("-cert-v01@openssh.com") {
        // A certificate in a certificate in a certificate … would end the stack; the library counts them for keys.
        parse_public_key(blob).ok()?;
        let certificate = Certificate::from_bytes(blob).ok()?;
        // What the server sees must be what the agent signs for.
        return (certificate.to_bytes().ok()? == blob).then(|| What::Certificate(Box::new(certificate)));
    }
    let key = parse_public_key(blob).ok()?;
    // DSA is gone; what the library does not know cannot be offered.
    (!matches!(key.algorithm(), Algorithm::Dsa | Algorithm::Other(_))).then_some(What::Key(key))
}

/// The body of a signature, which must be of the kind that was asked for.
fn signature(mut body: &[u8], algorithm: &Algorithm, hash: Option<HashAlg>) -> Result<Signature, String> {
    let nonsense = || "its signature makes no sense".to_owned();
    let blob = take(&mut body).ok_or_else(nonsense)?;
    let mut rest = blob;
    let name = take(&mut rest).ok_or_else(nonsense)?;
    take(&mut rest).ok_or_else(nonsense)?;
    let wanted = match (algorithm, hash) {
        (Algorithm::Rsa { .. }, hash) => Algorithm::Rsa { hash },
        (other, _) => other.clone(),
    };
    if name != wanted.as_str().as_bytes() {
        return Err(format!("it signed with {} instead of {}", escape(&name[..name.len().min(50)]), wanted.as_str()));
    }
    let security_key = matches!(wanted, Algorithm::SkEd25519 | Algorithm::SkEcdsaSha2NistP256);
    match (security_key, rest) {
        (false, []) => Ok(Signature { blob: blob.to_vec(), touched: false }),
        // Flags and a counter.
        (true, [flags, _, _, _, _]) => Ok(Signature { blob: blob.to_vec(), touched: flags & USER_PRESENT != 0 }),
        _ => Err(nonsense()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    fn key(n: u8) -> Vec<u8> {
        PublicKey::from(Ed25519Keypair::from_seed(&[n; 32]).public).to_bytes().unwrap()
    }

    fn list(keys: &[(&[u8], &[u8])]) -> Vec<u8> {
        let mut body = u32::try_from(keys.len()).unwrap().to_be_bytes().to_vec();
        for (blob, comment) in keys {
            put(&mut body, blob);
            put(&mut body, comment);
        }
        body
    }

    #[test]
    fn one_strange_key_or_comment_takes_no_other_with_it() {
        let mut strange = Vec::new();
        put(&mut strange, b"ssh-quantum@example.org");
        put(&mut strange, b"x");
        let body = list(&[(&key(1), b"one\x1b[2J\xff"), (&strange, b""), (b"", b""), (&key(2), &[b'c'; 5000])]);
        let all = held(&body).unwrap();
        assert_eq!(all.len(), 2);
        assert_eq!(all[0].comment, "one\\x1b[2J\\xff");
        assert_eq!(all[1].comment.len(), LONGEST_COMMENT);
        assert!(held(&[255; 4]).is_none() && held(&list(&[(&key(1), b"")])[..20]).is_none());
    }

    #[test]
    fn a_signature_of_another_kind_is_refused() {
        let blob = |name: &[u8], more: &[u8]| {
            let (mut blob, mut body) = (Vec::new(), Vec::new());
            put(&mut blob, name);
            put(&mut blob, &[7; 64]);
            blob.extend(more);
            put(&mut body, &blob);
            body
        };
        let rsa = Algorithm::Rsa { hash: None };
        assert!(signature(&blob(b"ssh-rsa", b""), &rsa, Some(HashAlg::Sha512)).is_err(), "SHA-1 is never used");
        assert!(signature(&blob(b"rsa-sha2-512", b""), &rsa, Some(HashAlg::Sha512)).is_ok());
        assert!(signature(&blob(b"ssh-ed25519", b"x"), &Algorithm::Ed25519, None).is_err());
        let sk = |more: &[u8]| signature(&blob(b"sk-ssh-ed25519@openssh.com", more), &Algorithm::SkEd25519, None);
        assert!(sk(&[1, 0, 0, 0, 9]).unwrap().touched && !sk(&[0, 0, 0, 0, 9]).unwrap().touched);
        assert!(sk(b"").is_err());
    }

    proptest! {
        #[test]
        fn nonsense_of_an_agent_is_no_accident(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = held(&bytes);
            let _ = signature(&bytes, &Algorithm::Ed25519, None);
        }

        #[test]
        fn a_damaged_list_is_no_accident(at in 0usize..200, bit in 0u32..8, end in 0usize..200) {
            let mut body = list(&[(&key(1), b"one"), (&key(2), b"two")]);
            if let Some(byte) = body.get_mut(at) {
                *byte ^= 1 << bit;
            }
            let _ = held(&body);
            let _ = held(&body[..end.min(body.len())]);
        }
    }
}
