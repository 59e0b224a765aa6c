//! Why senders are turned away and why payload is dropped: the words that there are, so that whoever counts can begin at 0.
//!
//! A figure that is first seen when it is 1 has not risen, for whoever looks at rises: that is why metrics tell of all of them.

use super::StreamSnapshot;

/// Why any stream may turn a sender away.
const REJECTED: [&str; 8] =
    ["allow", "deny", "draining", "max_connections", "max_new", "max_per_address", "max_rate", "relay"];
/// And one that wants a keyword.
const REJECTED_AT_GATE: [&str; 6] = ["gate", "gate_timeout", "http", "keyword", "penalty", "tls"];
/// Why payload of any stream may be dropped.
const DISCARDED: [&str; 7] = ["draining", "framing", "idle_timeout", "lost", "max_bytes", "max_rate", "rescued"];
/// And that of one that wants a keyword: what was said at the gate.
const DISCARDED_AT_GATE: [&str; 7] =
    ["gate", "gate_timeout", "http", "keyword", "max_connections", "max_per_address", "tls"];

impl StreamSnapshot {
    /// Senders that were turned away, by every reason that this stream may have.
    pub fn rejected(&self) -> impl Iterator<Item = (&str, u64)> {
        all(&self.senders.rejected, &REJECTED, self.at_gate(&REJECTED_AT_GATE))
    }

    /// Payload that was dropped, by every reason that this stream may have.
    pub fn discarded(&self) -> impl Iterator<Item = (&str, u64)> {
        all(&self.ledger.discarded, &DISCARDED, self.at_gate(&DISCARDED_AT_GATE))
    }

    fn at_gate(&self, reasons: &'static [&'static str]) -> &'static [&'static str] {
        if self.keywords.is_empty() { &[] } else { reasons }
    }
}

/// The figures of `known` and `more` reasons, and of what another release may call otherwise.
fn all<'a>(
    figures: &'a std::collections::BTreeMap<String, u64>,
    known: &'static [&'static str],
    more: &'static [&'static str],
) -> impl Iterator<Item = (&'a str, u64)> {
    let ours = known.iter().chain(more);
    let others = figures.iter().filter(move |(reason, _)| !known.iter().chain(more).any(|known| known == reason));
    ours.map(|reason| (*reason, figures.get(*reason).copied().unwrap_or_default()))
        .chain(others.map(|(reason, figure)| (reason.as_str(), *figure)))
}

/// Whether a sender may be turned away for `reason`.
#[cfg(test)]
pub(crate) fn is_rejection(reason: &str) -> bool {
    REJECTED.iter().chain(&REJECTED_AT_GATE).any(|known| *known == reason)
}

/// Whether payload may be dropped for `reason`.
#[cfg(test)]
pub(crate) fn is_discard(reason: &str) -> bool {
    DISCARDED.iter().chain(&DISCARDED_AT_GATE).any(|known| *known == reason)
}
