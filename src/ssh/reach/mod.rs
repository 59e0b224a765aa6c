//! Whether senders from outside get through to a port, and where they are lost if not.

mod facts;

use std::sync::Arc;
use std::time::Duration;

use russh::client::Handle;
use serde::{Deserialize, Serialize};
use tokio::time::timeout;

pub use facts::{Facts, Firewall};

use super::connection::Connection;
use super::handler::Guest;
use super::server_process;
use super::settings::Settings;
use crate::intake::Intake;
use crate::ledger::Reach;

/// What was found out about one port. Sentences are not yet safe for a terminal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Who can connect.
    pub reach: Reach,
    /// Why it is not proven, a sentence; empty when it is.
    pub why: String,
    /// Ways out, each a sentence with lines to paste below it, the best first.
    pub remedies: Vec<String>,
    /// What could not be told, a sentence each.
    pub untold: Vec<String>,
    /// The address that the jump host saw the probe come from, `ip:port`.
    pub seen_as: Option<String>,
}

/// How long the shell of the jump host may take: what it reads as it starts takes a while on some machines.
const SHELL: Duration = Duration::from_secs(10);
/// How long somebody waits for it.
const PATIENCE: Duration = Duration::from_secs(4);

/// Looks at the ports of one connection; cheap to clone, good for as long as the connection lives.
#[derive(Clone)]
pub struct Prober {
    handle: Arc<Handle<Guest>>,
    settings: Arc<Settings>,
}

impl Connection {
    /// Looks at the ports of this connection.
    #[must_use]
    pub fn prober(&self) -> Prober {
        Prober { handle: Arc::clone(&self.leg.handle), settings: Arc::clone(&self.leg.settings) }
    }
}

impl Prober {
    /// Sends a line that nobody else can send to `port` from outside, and sees whether it comes back by the forward of
    /// `intake`.
    pub async fn probe(&self, _intake: &Intake, _port: u16) -> Finding {
        tokio::task::yield_now().await;
        Finding { why: "nobody has looked".into(), ..Finding::default() }
    }

    /// What a shell on the jump host tells about `ports`; nothing where there is none. One command, a few seconds at most. Not to
    /// be asked while an output is behind.
    pub async fn facts(&self, ports: &[u16]) -> Facts {
        if !self.settings.commands || ports.is_empty() {
            return Facts::default();
        }
        let (handle, ports, mark) = (Arc::clone(&self.handle), ports.to_vec(), server_process::mark());
        // In a task of its own: the session ends in order, though nobody may wait so long for it.
        let asking = tokio::spawn(async move {
            let command = facts::ask(&mark, &ports);
            let done = |output: &[u8]| facts::is_done(output, &mark);
            let output = server_process::output(&handle, command, SHELL, facts::LONGEST_OUTPUT, done).await;
            Facts::parse(&output, &mark, &ports)
        });
        let facts = timeout(PATIENCE, asking).await.ok().and_then(Result::ok).unwrap_or_default();
        tracing::debug!(?facts, "what the jump host's shell tells");
        facts
    }
}
