//! Who is in, who was cut and who was turned away.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Counts, StreamLedger};

/// Connections of a stream since the collector started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Senders {
    /// Connected now.
    pub open: u64,
    /// Let in since the start; the open ones among them.
    pub accepted: u64,
    /// Ended without an end of stream: the connection to the jump host died under them.
    pub cut: u64,
    /// Turned away, by reason.
    pub rejected: BTreeMap<String, u64>,
}

/// Of the senders of a stream those that send datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Heard of late.
    pub open: u64,
    /// Still sending when the way here was lost.
    pub cut: u64,
}

impl StreamLedger {
    /// Lets a sender in unless `max` are in: its number, counted from 1.
    #[must_use]
    pub fn sender_opened(&self, max: usize) -> Option<u64> {
        Self::opened(&mut self.lock(), max)
    }

    /// As [`sender_opened`](Self::sender_opened), for an address that sends datagrams.
    #[must_use]
    pub fn address_opened(&self, max: usize) -> Option<u64> {
        let mut c = self.lock();
        let number = Self::opened(&mut c, max)?;
        c.addresses.open += 1;
        Some(number)
    }

    fn opened(c: &mut Counts, max: usize) -> Option<u64> {
        if c.senders.open >= max as u64 {
            return None;
        }
        c.senders.open += 1;
        c.senders.accepted += 1;
        Some(c.senders.accepted)
    }

    /// Senders that are in.
    #[must_use]
    pub fn senders_open(&self) -> usize {
        usize::try_from(self.lock().senders.open).unwrap_or(usize::MAX)
    }

    /// A sender left; `cut` when without an end of stream.
    pub fn sender_closed(&self, cut: bool) {
        let mut c = self.lock();
        c.senders.open -= 1;
        c.senders.cut += u64::from(cut);
    }

    /// As [`sender_closed`](Self::sender_closed), for an address that sends datagrams.
    pub fn address_closed(&self, cut: bool) {
        let mut c = self.lock();
        c.senders.open -= 1;
        c.addresses.open -= 1;
        c.senders.cut += u64::from(cut);
        c.addresses.cut += u64::from(cut);
    }

    /// A sender was turned away.
    pub fn sender_rejected(&self, reason: &str) {
        *self.lock().senders.rejected.entry(reason.to_owned()).or_default() += 1;
    }
}
