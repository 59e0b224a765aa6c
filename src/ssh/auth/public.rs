//! The public half of the key that would be offered, without a connection.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::timeout;

use super::agent::{Agent, What};
use super::keys::KeyFile;
use crate::ssh::settings::Settings;

/// An agent that answers at all does so at once.
const PATIENCE: Duration = Duration::from_secs(2);

/// A public key, and the file that was named for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicHalf {
    /// As in authorized_keys: kind, key and comment. The comment is not yet safe for a terminal.
    pub line: String,
    /// `IdentityFile`; `None`: the agent's alone.
    pub file: Option<PathBuf>,
}

/// The key of the first file that has one, else the first of the agent; where no file was named the other way round, as in
/// a login. A file in the usual places that is not there has none.
pub async fn public_half(settings: &Settings) -> Option<PublicHalf> {
    let of_file = || {
        settings.identities.iter().find_map(|file| {
            let line = KeyFile::look(file).public?.to_openssh().ok()?;
            Some(PublicHalf { line, file: Some(file.clone()) })
        })
    };
    if settings.identities_named || settings.identities_only {
        return match of_file() {
            Some(half) => Some(half),
            None => of_agent(settings).await,
        };
    }
    match of_agent(settings).await {
        Some(half) => Some(half),
        None => of_file(),
    }
}

async fn of_agent(settings: &Settings) -> Option<PublicHalf> {
    let path = settings.agent.as_ref()?;
    let list = async { Agent::connect(path).await.ok()?.list().await.ok() };
    let held = timeout(PATIENCE, list).await.ok().flatten()?;
    held.into_iter().find_map(|held| match held.what {
        What::Key(mut key) => {
            key.set_comment(held.comment);
            Some(PublicHalf { line: key.to_openssh().ok()?, file: None })
        }
        What::Certificate(_) => None,
    })
}
