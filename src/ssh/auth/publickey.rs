//! Keys: those of an agent, those in files, and certificates for either.
//!
//! In ssh's order: certificates first, then keys of the agent that the configuration names, its other keys, then files.
//! Each is shown to the server before anything is signed, so that nobody is asked for a passphrase in vain.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::client::AuthResult;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::private::KeypairData;
use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, HashAlg, PrivateKey, PublicKey};
use tokio::time::timeout;

use super::agent::{Agent, Held, Signature, What, put};
use super::keys::{self, KeyFile, Private, Unlocked};
use super::{Login, Step, Verdict, answer};
use crate::error::Result;
use crate::escape::escape_str;
use crate::ssh::prompt::{Answer, Question, QuestionKind, Waited};

/// An agent that answers at all does so at once.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);
/// Signing may need a person: a touch, a confirmation.
const SIGN_PATIENCE: Duration = Duration::from_secs(60);

/// All keys of one login.
pub struct Ring {
    agent: Option<Agent>,
    left: Vec<Candidate>,
}

/// A key that may let us in.
#[derive(Clone)]
struct Candidate {
    offer: Offer,
    holder: Holder,
    /// For messages.
    shown: String,
}

#[derive(Clone)]
enum Offer {
    Key(PublicKey),
    Certificate(Box<Certificate>),
    /// The file tells only when it is open.
    Hidden,
}

/// Who signs.
#[derive(Clone)]
enum Holder {
    Agent(Vec<u8>),
    Ready(Arc<PrivateKey>),
    Locked(PathBuf),
}

impl Offer {
    fn key(&self) -> Option<&KeyData> {
        match self {
            Self::Key(key) => Some(key.key_data()),
            Self::Certificate(certificate) => Some(certificate.public_key()),
            Self::Hidden => None,
        }
    }

    fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Key(key) => Some(key.algorithm()),
            Self::Certificate(certificate) => Some(certificate.algorithm()),
            Self::Hidden => None,
        }
    }
}

/// What came of showing one key.
enum Shown {
    Verdict(Verdict),
    /// The server would take it, but nobody signed.
    Unsigned(Unsigned),
}

impl Login<'_> {
    /// Method `publickey`. The ring is made at the first call; the next goes on where the last one stopped, without the
    /// key that was accepted and not enough.
    pub(super) async fn public_keys(&mut self, ring: &mut Option<Ring>) -> Result<Step> {
        let mut keys = match ring.take() {
            Some(ring) => ring,
            None => self.ring().await,
        };
        let hash = if keys.left.iter().any(|k| k.offer.algorithm().is_none_or(|a| a.is_rsa())) {
            // A server that does not say what it takes is asked with the better of the two; SHA-1 is never used.
            let told = answer(self.desk, self.handle.best_supported_rsa_hash()).await;
            told.and_then(std::result::Result::ok).flatten().flatten().unwrap_or(HashAlg::Sha512)
        } else {
            HashAlg::Sha512
        };
        let mut seen: Vec<Vec<u8>> = Vec::new();
        let mut rest = None;
        let all = keys.left.clone();
        for candidate in all {
            let Some(verdict) = self.offer(&mut keys.agent, &candidate, hash, &mut seen).await? else { continue };
            match verdict {
                Verdict::In => {
                    tracing::debug!("logged in with {}", candidate.shown);
                    return Ok(Step::In);
                }
                Verdict::Partial(wanted) => {
                    let used = candidate.offer.key().cloned();
                    keys.left.retain(|k| k.offer.key() != used.as_ref() || used.is_none());
                    self.accepted.push(format!("the key {}", candidate.shown));
                    *ring = Some(keys);
                    return Ok(Step::Partial(wanted));
                }
                Verdict::No(offered) => {
                    self.refused.push(candidate.shown.clone());
                    let more = offered.contains(&russh::MethodKind::PublicKey);
                    rest = Some(offered);
                    if !more {
                        break;
                    }
                }
            }
        }
        *ring = Some(keys);
        Ok(Step::Over(rest))
    }

    /// Offers one key; `None` when it was not, or nobody signed.
    async fn offer(
        &mut self,
        agent: &mut Option<Agent>,
        candidate: &Candidate,
        best: HashAlg,
        seen: &mut Vec<Vec<u8>>,
    ) -> Result<Option<Verdict>> {
        let mut candidate = candidate.clone();
        if let Offer::Hidden = candidate.offer {
            let Holder::Locked(path) = &candidate.holder else { return Ok(None) };
            let Some(key) = self.unlock(&path.clone(), None).await? else { return Ok(None) };
            candidate.offer = Offer::Key(key.public_key().clone());
            candidate.holder = Holder::Ready(key);
        }
        let blob = match &candidate.offer {
            Offer::Key(key) => key.to_bytes(),
            Offer::Certificate(certificate) => certificate.to_bytes(),
            Offer::Hidden => return Ok(None),
        };
        let Ok(blob) = blob else { return Ok(None) };
        if seen.contains(&blob) {
            return Ok(None);
        }
        let hash = match self.algorithm(&candidate.offer, best) {
            Ok(hash) => hash,
            Err(name) => {
                self.note(format!("{}: not offered, PubkeyAcceptedAlgorithms leaves out {name}", candidate.shown));
                return Ok(None);
            }
        };
        let mut shown = self.show(agent, &candidate, hash).await?;
        if let (Shown::Unsigned(Unsigned::Locked), Holder::Locked(path)) = (&shown, &candidate.holder) {
            // The loop of the connection is free while the passphrase is typed, and sees the server hang up.
            let public = if let Offer::Key(key) = &candidate.offer { Some(key.clone()) } else { None };
            let Some(key) = self.unlock(&path.clone(), public.as_ref()).await? else { return Ok(None) };
            candidate.holder = Holder::Ready(key);
            shown = self.show(agent, &candidate, hash).await?;
        }
        match shown {
            Shown::Verdict(verdict) => {
                seen.push(blob);
                Ok(Some(verdict))
            }
            Shown::Unsigned(why) => {
                self.note(format!("{}: {why}", candidate.shown));
                if let Unsigned::Agent(_) = why {
                    // Half an answer may still be on its way.
                    *agent = self.connect_agent().await.ok();
                }
                Ok(None)
            }
        }
    }

    /// Shows the key, and has it sign when the server would take it.
    async fn show(&mut self, agent: &mut Option<Agent>, candidate: &Candidate, hash: Option<HashAlg>) -> Result<Shown> {
        let by = match (&candidate.holder, agent) {
            (Holder::Agent(blob), Some(agent)) => By::Agent(agent, blob),
            (Holder::Agent(_), None) => return Ok(Shown::Unsigned(Unsigned::Agent("it is gone".into()))),
            (Holder::Ready(key), _) => By::Key(key),
            (Holder::Locked(_), _) => By::Nobody,
        };
        let mut signer = Signer { by, waited: &self.desk.waited, touched: false };
        let user = self.settings.user.clone();
        let result = match &candidate.offer {
            Offer::Key(key) => {
                let offer = self.handle.authenticate_publickey_with(user, key.clone(), hash, &mut signer);
                answer(self.desk, offer).await
            }
            Offer::Certificate(certificate) => {
                let certificate = certificate.as_ref().clone();
                let offer = self.handle.authenticate_certificate_with(user, certificate, hash, &mut signer);
                answer(self.desk, offer).await
            }
            Offer::Hidden => return Ok(Shown::Unsigned(Unsigned::Locked)),
        };
        let touched = signer.touched;
        let result: Option<std::result::Result<AuthResult, russh::Error>> = match result {
            Some(Err(Unsigned::Send)) => Some(Err(russh::Error::SendError)),
            Some(Err(why)) => return Ok(Shown::Unsigned(why)),
            Some(Ok(result)) => Some(Ok(result)),
            None => None,
        };
        let dead = matches!(&result, Some(Ok(AuthResult::Failure { remaining_methods, partial_success: false }))
            if remaining_methods.is_empty());
        if dead {
            self.refused.push(candidate.shown.clone());
        }
        let verdict = self.judge(result).await?;
        if touched && !matches!(verdict, Verdict::No(_)) {
            self.personal = Some(format!("the key {} may need a touch", candidate.shown));
        }
        Ok(Shown::Verdict(verdict))
    }

    /// The hash to sign with. `Err`: the algorithm that the configuration leaves out.
    fn algorithm(&self, offer: &Offer, best: HashAlg) -> std::result::Result<Option<HashAlg>, String> {
        let Some(algorithm) = offer.algorithm() else { return Ok(None) };
        let name = |algorithm: &Algorithm| match offer {
            Offer::Certificate(_) => algorithm.to_certificate_type(),
            _ => algorithm.as_str().to_owned(),
        };
        let accepted = self.settings.algorithms.public_keys.as_deref();
        if !matches!(algorithm, Algorithm::Rsa { .. }) {
            let name = name(&algorithm);
            return if accepted.is_none_or(|list| list.contains(&name)) { Ok(None) } else { Err(escape_str(&name)) };
        }
        // A server that takes SHA-512 takes SHA-256, too.
        let both = [HashAlg::Sha512, HashAlg::Sha256].map(|hash| (hash, name(&Algorithm::Rsa { hash: Some(hash) })));
        let able = if best == HashAlg::Sha512 { &both[..] } else { &both[1..] };
        match accepted {
            None => Ok(able.first().map(|(hash, _)| *hash)),
            Some(list) => {
                let first = list.iter().find_map(|name| able.iter().find(|(_, n)| n == name));
                first.map(|(hash, _)| Some(*hash)).ok_or_else(|| able[0].1.clone())
            }
        }
    }

    /// Asks for the passphrase of a file until it opens, or nobody wants to any more.
    async fn unlock(&mut self, path: &PathBuf, public: Option<&PublicKey>) -> Result<Option<Arc<PrivateKey>>> {
        if let Some(key) = self.desk.memory.key(path, public) {
            return Ok(Some(key));
        }
        let shown = path.display().to_string();
        for attempt in 0..self.settings.password_prompts.max(1) {
            let text = format!("Enter passphrase for key '{}': ", escape_str(&shown));
            let typed = match self.ask(Question { text, kind: QuestionKind::Secret }).await? {
                // As with ssh: an empty answer leaves the key out.
                Answer::Text(typed) if typed.is_empty() => {
                    self.note(format!("{shown}: it has a passphrase, and none was typed"));
                    return Ok(None);
                }
                Answer::Text(typed) => typed,
                Answer::Declined => return Ok(None),
                Answer::Nobody => {
                    self.nobody(format!("the passphrase of {shown}"));
                    self.note(format!("{shown}: it has a passphrase: load it into the agent: ssh-add {shown}"));
                    return Ok(None);
                }
            };
            let file = path.clone();
            let opening = tokio::task::spawn_blocking(move || KeyFile::unlock(&file, &typed));
            match self.desk.waited.during(opening).await {
                Ok(Unlocked::Key(key)) => {
                    self.desk.memory.keep_key(path, Arc::clone(&key));
                    return Ok(Some(key));
                }
                Ok(Unlocked::WrongPassphrase) if attempt + 1 < self.settings.password_prompts.max(1) => {
                    self.desk.person.tell("Bad passphrase, try again.");
                }
                Ok(Unlocked::WrongPassphrase) => {}
                Ok(Unlocked::Unusable(why)) => {
                    self.note(format!("{shown}: {why}"));
                    return Ok(None);
                }
                Err(_) => {
                    self.note(format!("{shown}: not a usable private key"));
                    return Ok(None);
                }
            }
        }
        self.note(format!("{shown}: the passphrase was wrong"));
        Ok(None)
    }

    async fn connect_agent(&mut self) -> std::result::Result<Agent, String> {
        let path = self.settings.agent.clone().ok_or("there is none")?;
        let binding = self.handle.agent_session_binding();
        let connect = async {
            let mut agent = Agent::connect(&path).await?;
            if let Some(binding) = binding {
                agent.bind(binding).await?;
            }
            Ok::<_, String>(agent)
        };
        match timeout(AGENT_PATIENCE, connect).await {
            Ok(connected) => connected,
            Err(_) => Err("it does not answer".into()),
        }
    }

    async fn agent_keys(&mut self) -> (Option<Agent>, Vec<Held>) {
        let Some(path) = self.settings.agent.clone() else { return (None, Vec::new()) };
        let listed = match self.connect_agent().await {
            Ok(mut agent) => match timeout(AGENT_PATIENCE, agent.list()).await {
                Ok(list) => list.map(|held| (agent, held)),
                Err(_) => Err("it does not answer".into()),
            },
            Err(why) => Err(why),
        };
        match listed {
            Ok((agent, held)) => (Some(agent), held),
            Err(why) => {
                self.note(format!("the agent at {} gave no keys: {}", path.display(), escape_str(&why)));
                (None, Vec::new())
            }
        }
    }

    /// Every key that may be offered, in order.
    async fn ring(&mut self) -> Ring {
        let (agent, held) = self.agent_keys().await;
        let files: Vec<KeyFile> = self.settings.identities.iter().map(|path| KeyFile::look(path)).collect();
        let mut left = self.certificates(&files, &held);
        let named = |key: &KeyData| files.iter().any(|f| f.public.as_ref().is_some_and(|p| p.key_data() == key));
        let in_agent: Vec<Candidate> = held.iter().map(of_agent).collect();
        let (first, others): (Vec<_>, Vec<_>) =
            in_agent.into_iter().partition(|c| c.offer.key().is_some_and(named) && self.settings.identities_named);
        left.extend(first);
        if !self.settings.identities_only {
            left.extend(others);
        }
        for file in files {
            let in_agent = file.public.as_ref().is_some_and(|p| held.iter().any(|h| h.key() == p.key_data()));
            let holder = match file.private {
                Private::Ready(key) => Holder::Ready(key),
                Private::Locked => Holder::Locked(file.path.clone()),
                Private::Elsewhere if in_agent => continue,
                Private::Elsewhere => {
                    self.note(format!(
                        "{}: its private half is neither beside it nor in an agent",
                        file.path.display()
                    ));
                    continue;
                }
                Private::Unusable(_) if in_agent => continue,
                // The usual places are looked at in silence.
                Private::Unusable(None) if !self.settings.identities_named => continue,
                Private::Unusable(why) => {
                    let why = why.unwrap_or_else(|| "there is no such file".into());
                    self.note(format!("{}: {why}", file.path.display()));
                    continue;
                }
            };
            let offer = file.public.map_or(Offer::Hidden, Offer::Key);
            left.push(Candidate { offer, holder, shown: file.path.display().to_string() });
        }
        Ring { agent, left }
    }

    /// Certificates of the configuration, each with whoever holds its key.
    fn certificates(&mut self, files: &[KeyFile], held: &[Held]) -> Vec<Candidate> {
        let named = !self.settings.certificates.is_empty();
        // As with ssh: a certificate that is named takes the place of those that lie beside keys.
        let paths: Vec<PathBuf> = if named {
            self.settings.certificates.clone()
        } else {
            self.settings.identities.iter().map(|file| keys::certificate_beside(file)).collect()
        };
        let mut all = Vec::new();
        for path in paths {
            let shown = path.display().to_string();
            let certificate = match keys::certificate(&path) {
                Ok(certificate) => certificate,
                Err(None) if !named => continue,
                Err(why) => {
                    self.note(format!("{shown}: {}", why.unwrap_or_else(|| "there is no such file".into())));
                    continue;
                }
            };
            if let Some(when) = certificate.valid_before_time()
                && when < std::time::SystemTime::now()
            {
                self.note(format!("{shown}: the certificate has expired"));
            }
            let key = certificate.public_key();
            let of_file = |f: &KeyFile| f.public.as_ref().is_some_and(|p| p.key_data() == key);
            let in_agent = held.iter().find(|h| matches!(h.what, What::Key(_)) && h.key() == key);
            let holder = in_agent.map(|h| Holder::Agent(h.blob.clone())).or_else(|| {
                files.iter().filter(|f| of_file(f)).find_map(|f| match &f.private {
                    Private::Ready(key) => Some(Holder::Ready(Arc::clone(key))),
                    Private::Locked => Some(Holder::Locked(f.path.clone())),
                    _ => None,
                })
            });
            match holder {
                Some(holder) => {
                    all.push(Candidate { offer: Offer::Certificate(Box::new(certificate)), holder, shown });
                }
                None => self.note(format!("{shown}: no key here belongs to this certificate")),
            }
        }
        all
    }
}

impl Held {
    fn key(&self) -> &KeyData {
        match &self.what {
            What::Key(key) => key.key_data(),
            What::Certificate(certificate) => certificate.public_key(),
        }
    }
}

fn of_agent(held: &Held) -> Candidate {
    let offer = match &held.what {
        What::Key(key) => Offer::Key(key.clone()),
        What::Certificate(certificate) => Offer::Certificate(certificate.clone()),
    };
    Candidate { offer, holder: Holder::Agent(held.blob.clone()), shown: format!("{} (agent)", held.comment) }
}

/// Signs what the library lays before it.
struct Signer<'a> {
    by: By<'a>,
    waited: &'a Waited,
    /// A security key says that somebody touched it.
    touched: bool,
}

enum By<'a> {
    Agent(&'a mut Agent, &'a [u8]),
    Key(&'a PrivateKey),
    Nobody,
}

/// Why there is no signature.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
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
