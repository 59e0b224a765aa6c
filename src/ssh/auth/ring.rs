//! Which keys there are: in an agent, in files, and certificates for either.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::public::KeyData;
use russh::keys::{Algorithm, Certificate, PrivateKey, PublicKey};
use tokio::time::timeout;

use super::Login;
use super::agent::{Agent, Held, What};
use super::keys::{self, KeyFile, Private};
use crate::escape::escape_str;

/// An agent that answers at all does so at once.
const AGENT_PATIENCE: Duration = Duration::from_secs(5);

/// A disk that answers at all does so within this time; a home on a server that is gone never does.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// What stands in key files and in the files of certificates, each with its path.
type OnDisk = (Vec<KeyFile>, Vec<(PathBuf, Result<Certificate, Option<String>>)>);

/// All keys of one login.
pub struct Ring {
    pub agent: Option<Agent>,
    /// Those that were not enough by themselves are gone.
    pub left: Vec<Candidate>,
}

/// A key that may let us in.
#[derive(Clone)]
pub struct Candidate {
    pub offer: Offer,
    pub holder: Holder,
    /// For messages.
    pub shown: String,
}

#[derive(Clone)]
pub enum Offer {
    Key(PublicKey),
    Certificate(Box<Certificate>),
    /// The file tells only when it is open.
    Hidden,
}

/// Who signs.
#[derive(Clone)]
pub enum Holder {
    Agent(Vec<u8>),
    Ready(Arc<PrivateKey>),
    Locked(PathBuf),
}

impl Offer {
    pub fn key(&self) -> Option<&KeyData> {
        match self {
            Self::Key(key) => Some(key.key_data()),
            Self::Certificate(certificate) => Some(certificate.public_key()),
            Self::Hidden => None,
        }
    }

    pub fn algorithm(&self) -> Option<Algorithm> {
        match self {
            Self::Key(key) => Some(key.algorithm()),
            Self::Certificate(certificate) => Some(certificate.algorithm()),
            Self::Hidden => None,
        }
    }
}

impl Login<'_> {
    /// A new conversation with the agent.
    pub(super) async fn connect_agent(&mut self) -> std::result::Result<Agent, String> {
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
    pub(super) async fn ring(&mut self) -> Ring {
        let (agent, held) = self.agent_keys().await;
        let (files, certificates) = self.on_disk().await;
        let mut left = self.certificates(certificates, &files, &held);
        left.extend(in_order(&held, &files, self.settings.identities_only).map(of_agent));
        for file in files {
            let in_agent = file.public.as_ref().is_some_and(|p| held.iter().any(|h| h.key() == p.key_data()));
            let holder = match file.private {
                Private::Ready(key) => Holder::Ready(key),
                Private::Locked => Holder::Locked(file.path.clone()),
                Private::Elsewhere | Private::Unusable(_) if in_agent => continue,
                Private::Elsewhere => {
                    self.note(format!(
                        "{}: its private half is neither beside it nor in an agent",
                        file.path.display()
                    ));
                    continue;
                }
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

    /// Reads what the configuration names. On a thread of its own: a disk that does not answer must not stop the
    /// connection's loop.
    async fn on_disk(&mut self) -> OnDisk {
        let identities = self.settings.identities.clone();
        // As with ssh: a certificate that is named takes the place of those that lie beside keys.
        let certificates = if self.settings.certificates.is_empty() {
            identities.iter().map(|file| keys::certificate_beside(file)).collect()
        } else {
            self.settings.certificates.clone()
        };
        let reading = tokio::task::spawn_blocking(move || {
            let files = identities.iter().map(|path| KeyFile::look(path)).collect();
            let read = |path: PathBuf| {
                let certificate = keys::certificate(&path);
                (path, certificate)
            };
            (files, certificates.into_iter().map(read).collect())
        });
        if let Ok(Ok(found)) = timeout(DISK_PATIENCE, reading).await {
            return found;
        }
        let first = self.settings.identities.first().map(|path| path.display().to_string()).unwrap_or_default();
        self.note(format!(
            "the disk did not answer within {} s when key files were read ({first} …)",
            DISK_PATIENCE.as_secs()
        ));
        OnDisk::default()
    }

    /// Certificates of the configuration, each with whoever holds its key.
    fn certificates(
        &mut self,
        found: Vec<(PathBuf, Result<Certificate, Option<String>>)>,
        files: &[KeyFile],
        held: &[Held],
    ) -> Vec<Candidate> {
        let named = !self.settings.certificates.is_empty();
        let mut all = Vec::new();
        for (path, certificate) in found {
            let shown = path.display().to_string();
            let certificate = match certificate {
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

/// The keys of an agent that may be offered: first those that are in `files`, too, whether those were named or are the
/// usual ones. With `only` no other.
fn in_order<'a>(held: &'a [Held], files: &[KeyFile], only: bool) -> impl Iterator<Item = &'a Held> {
    let in_file = |h: &&Held| files.iter().any(|f| f.public.as_ref().is_some_and(|p| p.key_data() == h.key()));
    let (first, others): (Vec<_>, Vec<_>) = held.iter().partition(in_file);
    first.into_iter().chain(others.into_iter().filter(move |_| !only))
}

fn of_agent(held: &Held) -> Candidate {
    let offer = match &held.what {
        What::Key(key) => Offer::Key(key.clone()),
        What::Certificate(certificate) => Offer::Certificate(certificate.clone()),
    };
    Candidate { offer, holder: Holder::Agent(held.blob.clone()), shown: format!("{} (agent)", held.comment) }
}

#[cfg(test)]
mod tests {
    use russh::keys::ssh_key::private::Ed25519Keypair;

    use super::*;

    fn key(n: u8) -> PublicKey {
        PublicKey::from(Ed25519Keypair::from_seed(&[n; 32]).public)
    }

    #[test]
    fn keys_of_the_agent_that_lie_in_files_come_first_or_alone() {
        let held = [1, 2, 3].map(|n| Held { blob: vec![n], what: What::Key(key(n)), comment: n.to_string() });
        let file = |n, private| KeyFile { path: "f".into(), public: Some(key(n)), private };
        let files = [file(9, Private::Elsewhere), file(3, Private::Locked)];
        let order = |only| in_order(&held, &files, only).map(|h| h.blob[0]).collect::<Vec<_>>();
        assert_eq!(order(false), [3, 1, 2]);
        assert_eq!(order(true), [3], "also of a file at one of the usual places");
    }
}
