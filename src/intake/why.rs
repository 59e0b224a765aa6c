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
    /// Its address is not among those that are allowed.
    Allow,
    /// Its address is denied.
    Deny,
    /// `max_per_address` of its address are open.
    MaxPerAddress,
    /// More than `max_new` came from its address within a second.
    MaxNew,
    /// More than `max_rate` came from its address: a datagram.
    MaxRate,
    /// Its address failed at the gate too often.
    Penalty,
    /// It did not say the keyword.
    Keyword,
    /// It took too long for that.
    GateTimeout,
    /// It spoke TLS instead.
    Tls,
    /// It spoke HTTP instead.
    Http,
    /// Too many waited before the gate, or its connection died there.
    Gate,
}

impl Reject {
    /// The reason in `rejected`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::MaxConnections => "max_connections",
            Self::Draining => "draining",
            Self::Relay => "relay",
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::MaxPerAddress => "max_per_address",
            Self::MaxNew => "max_new",
            Self::MaxRate => "max_rate",
            Self::Penalty => "penalty",
            Self::Keyword => "keyword",
            Self::GateTimeout => "gate_timeout",
            Self::Tls => "tls",
            Self::Http => "http",
            Self::Gate => super::GATE,
        }
    }

    /// Whether it speaks against the address: whoever is right does not do that again and again.
    #[must_use]
    pub fn is_failure(self) -> bool {
        matches!(self, Self::Keyword | Self::GateTimeout | Self::Tls | Self::Http)
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
    /// It sent more than `max_bytes`.
    MaxBytes,
    /// Its address sent more than `max_rate`.
    MaxRate,
    /// It said nothing for `idle_timeout`.
    IdleTimeout,
    /// It never was in.
    TurnedAway(Reject),
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
            Self::MaxBytes => "max_bytes",
            Self::MaxRate => "max_rate",
            Self::IdleTimeout => "idle_timeout",
            Self::TurnedAway(why) => why.as_str(),
        }
    }

    /// Whether it was closed from here for a limit.
    #[must_use]
    pub fn is_limit(self) -> bool {
        matches!(self, Self::MaxBytes | Self::MaxRate | Self::IdleTimeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{is_discard, is_rejection};

    #[test]
    fn every_reason_is_one_that_metrics_tell_from_the_start() {
        // One that is added to the enum is missing in the match, and then here.
        use Reject::{
            Allow, Deny, Draining, Gate, GateTimeout, Http, Keyword, MaxConnections, MaxNew, MaxPerAddress, MaxRate,
            Penalty, Relay, Tls,
        };
        let all = [
            Allow,
            Deny,
            Draining,
            Gate,
            GateTimeout,
            Http,
            Keyword,
            MaxConnections,
            MaxNew,
            MaxPerAddress,
            MaxRate,
            Penalty,
            Relay,
            Tls,
        ];
        for reject in all {
            match reject {
                Allow | Deny | Draining | Gate | GateTimeout | Http | Keyword | MaxConnections | MaxNew
                | MaxPerAddress | MaxRate | Penalty | Relay | Tls => {}
            }
            assert!(is_rejection(reject.as_str()), "{}", reject.as_str());
        }
        // Ends at which something may be at hand that nobody takes any more.
        let thrown = [End::Draining, End::Framing, End::MaxBytes, End::MaxRate, End::IdleTimeout].map(End::as_str);
        let at_gate = [Gate, GateTimeout, Http, Keyword, MaxConnections, MaxPerAddress, Tls].map(Reject::as_str);
        for reason in thrown.into_iter().chain(at_gate).chain([crate::sink::LOST, crate::sink::RESCUED]) {
            assert!(is_discard(reason), "{reason}");
        }
    }
}
