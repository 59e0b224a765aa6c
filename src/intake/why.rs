//! Why senders are turned away, and how they end.

use super::FRAMING;

/// Why a sender was turned away; the name is the reason in the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reject {
    /// `max_connections` are open.
    MaxConnections,
    /// The collector is going down.
    Draining,
    /// It came in by the forward of a relay and does not come from there.
    Relay,
}

impl Reject {
    /// The reason in `rejected`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::Draining => "draining",
            Self::Relay => "relay",
        }
    }
}

/// What a sender is.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    /// Buffers on the way are its own.
    Connection,
    /// It sends datagrams.
    Address,
}

/// How a sender ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It said that no more follows.
    Clean,
    /// Its connection died.
    Cut,
    /// It was still in when `down` would wait no longer.
    Draining,
    /// What it sent is not what the framing demands.
    Framing,
    /// Nothing came from its address any more: a sender of datagrams.
    Idle,
}

impl End {
    /// The `why` of `sender_close`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "end",
            Self::Cut => "cut",
            Self::Draining => "draining",
            Self::Framing => FRAMING,
            Self::Idle => "idle",
        }
    }
}
