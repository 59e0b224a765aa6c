//! Keys: those of an agent, those in files, and certificates for either.
//!
//! In ssh's order: certificates first, then keys of the agent that the configuration names, its other keys, then files.
//! Each is shown to the server before anything is signed, so that nobody is asked for a passphrase in vain.

use std::path::Path;
use std::sync::Arc;

use russh::client::AuthResult;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};

use super::agent::Agent;
use super::keys::{KeyFile, Unlocked};
use super::ring::{Candidate, Holder, Offer, Ring};
use super::signer::{By, Signer, Unsigned};
use super::{Login, Step, Verdict, answer};
use crate::error::Result;
use crate::escape::escape_str;
use crate::ssh::algorithms;
use crate::ssh::prompt::{Answer, Question, QuestionKind};

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
        let hash = if keys.left.iter().any(|k| k.offer.algorithm().is_none_or(Algorithm::is_rsa)) {
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
                    self.accepted.push(format!("the key {}", candidate.shown));
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
        let least = self.settings.least_rsa;
        if candidate.offer.key().is_some_and(|key| algorithms::is_short(key, least)) {
            self.note(format!("{}: not offered, RequiredRSASize wants {least} bits", candidate.shown));
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
                first
                    .map(|(hash, _)| Some(*hash))
                    .ok_or_else(|| format!("{} (ssh-rsa is SHA-1, with which reclog does not sign)", able[0].1))
            }
        }
    }

    /// Asks for the passphrase of a file until it opens, or nobody wants to any more.
    async fn unlock(&mut self, path: &Path, public: Option<&PublicKey>) -> Result<Option<Arc<PrivateKey>>> {
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
            let file = path.to_owned();
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
}
