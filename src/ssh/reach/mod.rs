//! Whether senders from outside get through to a port, and where they are lost if not.

mod facts;

use serde::{Deserialize, Serialize};

pub use facts::Facts;

use super::connection::Connection;
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

/// Looks at the ports of one connection; cheap to clone, good for as long as the connection lives.
#[derive(Clone)]
pub struct Prober {}

impl Connection {
    /// Looks at the ports of this connection.
    #[must_use]
    pub fn prober(&self) -> Prober {
        Prober {}
    }
}

impl Prober {
    /// Sends a line that nobody else can send to `port` from outside, and sees whether it comes back by the forward of
    /// `intake`.
    pub async fn probe(&self, _intake: &Intake, _port: u16) -> Finding {
        tokio::task::yield_now().await;
        Finding { why: "nobody has looked".into(), ..Finding::default() }
    }

    /// What a shell on the jump host tells about `ports`; nothing where there is none.
    pub async fn facts(&self, _ports: &[u16]) -> Facts {
        tokio::task::yield_now().await;
        Facts::default()
    }
}
