//! A look at what runs for whoever cannot wait: within the second, whatever hangs.

use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::pick;
use crate::control::client::{self, Client, Found, Silence};
use crate::error::{Error, Result};
use crate::metrics::Seen;
use crate::paths::Paths;

/// For all of it. A collector that lives answers within milliseconds, and the start of a process is to fit into the second, too.
const PATIENCE: Duration = Duration::from_millis(700);

/// A collector that was asked.
#[derive(Debug)]
pub struct Looked {
    /// Its name.
    pub name: String,
    /// What it says, or a sentence that says why it says nothing.
    pub answer: Result<Seen, String>,
}

/// Asks the collector `name`, or all of them, at the same time. Sorted by name; empty when nothing runs.
///
/// # Errors
/// When nothing of that name runs, or the runtime folders cannot be read in time.
pub async fn look(name: Option<&str>, paths: &Paths) -> Result<Vec<Looked>> {
    let deadline = Instant::now() + PATIENCE;
    let folders = paths.clone();
    let finding = tokio::task::spawn_blocking(move || client::find(&folders));
    let Ok(found) = timeout_at(deadline, finding).await else {
        let folder = paths.runtime.display();
        return Err(Error::failed(format!("cannot look for collectors: the folder {folder} does not answer")));
    };
    let mut found = found.unwrap_or_default();
    if let Some(name) = name {
        if !found.iter().any(|found| found.name == name) {
            return Err(pick::unknown(name, &found));
        }
        found.retain(|found| found.name == name);
    }
    let mut asked = JoinSet::new();
    for (place, found) in found.into_iter().enumerate() {
        asked.spawn(async move { (place, ask(found, deadline).await) });
    }
    let mut all = asked.join_all().await;
    all.sort_by_key(|(place, _)| *place);
    let all: Vec<Looked> = all.into_iter().filter_map(|(_, looked)| looked).collect();
    match name {
        Some(name) if all.is_empty() => Err(pick::unknown(name, &[])),
        _ => Ok(all),
    }
}

/// `None`: it is about to be gone.
async fn ask(Found { name, socket }: Found, deadline: Instant) -> Option<Looked> {
    let talk = async {
        let mut client = match Client::connect(&socket).await {
            Ok(client) => client,
            Err(Silence::Ending) => return None,
            Err(Silence::Dead) => return Some(Err(pick::killed(&name))),
            Err(Silence::Hung(error)) => return Some(Err(error.message)),
        };
        let snapshot = client.snapshot().await;
        let seen = snapshot.map(|snapshot| Seen { version: client.hello.reclog.clone(), snapshot });
        Some(seen.map_err(|error| error.message))
    };
    let answer = timeout_at(deadline, talk).await;
    let answer = answer.unwrap_or_else(|_| Some(Err(format!("the collector \"{name}\" does not answer"))))?;
    Some(Looked { name, answer })
}
