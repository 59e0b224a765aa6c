//! How many bytes may be lost with a connection: those that senders have handed over and that no output has.
//!
//! A plain TCP sender is told that its bytes are taken as soon as its own system has them. Between that moment and the
//! ledger's `received` they stand in buffers, each of which has a largest size.

use crate::plan::{Plan, Relay};
use crate::ssh::WINDOW;

/// The sender's own system holds what the jump host has not acknowledged: Linux lets a send buffer grow to so much by itself
/// (`net.ipv4.tcp_wmem`, tcp(7)).
const SEND_BUFFER: u64 = 4 << 20;
/// The jump host's system holds what sshd has not read: the largest `net.ipv4.tcp_rmem` that Linux sets by itself (6 MiB; 32 MiB
/// from 6.16 on).
pub const RECEIVE_BUFFER: u64 = 32 << 20;
/// sshd reads no more from a sender than our window lets it pass on, but for the piece that it reads at once
/// (`CHAN_RBUF`; larger in newer releases); what it has sent and we have not received is part of the window.
const READ_AHEAD: u64 = 256 << 10;

/// A relay there holds of one sender what it has read and sshd has not taken yet: a pipe full.
const RELAY: u64 = 256 << 10;

/// One place takes datagrams by two sockets at most, v4 and v6.
const SOCKETS: u64 = 2;
/// A socket of this machine holds datagrams: twice the 4 MiB that are asked for, as Linux grants root (socket(7)).
const DATAGRAMS_HERE: u64 = 8 << 20;
/// A socket of the helper: twice the 8 MiB that it asks for.
const DATAGRAMS_THERE: u64 = 16 << 20;
/// What the helper itself holds of all datagrams (its `QUEUE`).
const HELPER: u64 = 4 << 20;

/// How senders come to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// By a port of this machine.
    Here,
    /// By a forward of a jump host.
    Forward,
    /// By a relay in front of such a forward.
    Relay,
}

impl Way {
    /// Of the streams of `plan`, the longest.
    #[must_use]
    pub fn of(plan: &Plan) -> Self {
        let relayed = plan.streams.iter().any(|stream| stream.relay != Relay::Never);
        match plan.ssh {
            None => Self::Here,
            Some(_) if relayed => Self::Relay,
            Some(_) => Self::Forward,
        }
    }
}

/// An upper bound for what so many senders had handed over when their connection to us ended. The system of the jump host, or
/// this one, holds `receive_buffer` bytes of one connection at most before they are read.
#[must_use]
pub fn bytes_at_most(senders: u64, receive_buffer: u64, way: Way) -> u64 {
    let system = SEND_BUFFER.saturating_add(receive_buffer);
    let sshd = u64::from(WINDOW) + READ_AHEAD;
    let each = match way {
        Way::Here => system,
        Way::Forward => system.saturating_add(sshd),
        // From the sender to the relay, and from there to sshd.
        Way::Relay => system.saturating_mul(2).saturating_add(sshd + RELAY),
    };
    senders.saturating_mul(each)
}

/// An upper bound for the bytes of datagrams on their way to us, whoever sent them: they share all buffers, so that senders do
/// not count.
#[must_use]
pub fn datagrams_at_most(plan: &Plan) -> u64 {
    let places = plan.streams.iter().filter(|stream| stream.transport.has_udp()).count() as u64;
    match (places, &plan.ssh) {
        (0, _) => 0,
        (_, None) => places * SOCKETS * DATAGRAMS_HERE,
        // One helper, one pipe to its sshd, and one window from there.
        (_, Some(_)) => places * SOCKETS * DATAGRAMS_THERE + HELPER + RELAY + READ_AHEAD + u64::from(WINDOW),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::SshPlan;

    #[test]
    fn datagrams_share_their_buffers() {
        let stream = |transport: &str| {
            serde_json::from_value(serde_json::json!({
                "name": "main", "bind": "*", "port": 7, "out": "/out", "framing": "lines", "max_line": 1024,
                "max_connections": 9, "sync": "never", "min_free": 0, "transport": transport,
            }))
            .unwrap()
        };
        let plan = |there: bool, transports: &[&str]| Plan {
            name: "c".into(),
            ssh: there.then(SshPlan::default),
            streams: transports.iter().copied().map(stream).collect(),
            drain_timeout: std::time::Duration::ZERO,
            keep_trying: false,
            probe_every: None,
            metrics: None,
        };
        assert_eq!(datagrams_at_most(&plan(true, &["tcp"])), 0);
        assert_eq!(datagrams_at_most(&plan(false, &["tcp", "udp"])), 16 << 20);
        let one = datagrams_at_most(&plan(true, &["tcp", "tcp-and-udp"]));
        assert_eq!(one, (32 << 20) + (4 << 20) + (3 << 20) + (512 << 10));
        assert_eq!(datagrams_at_most(&plan(true, &["tcp-and-udp", "tcp-and-udp"])), one + (32 << 20));
    }

    #[test]
    fn nobody_lost_nothing_and_everybody_counts() {
        assert_eq!(bytes_at_most(0, RECEIVE_BUFFER, Way::Forward), 0);
        let one = bytes_at_most(1, RECEIVE_BUFFER, Way::Forward);
        assert_eq!(one, (4 << 20) + (32 << 20) + (3 << 20) + (256 << 10));
        assert_eq!(bytes_at_most(7, RECEIVE_BUFFER, Way::Forward), 7 * one);
        assert!(bytes_at_most(1, RECEIVE_BUFFER, Way::Here) < one);
        assert_eq!(bytes_at_most(1, RECEIVE_BUFFER, Way::Relay), one + (4 << 20) + (32 << 20) + (256 << 10));
        assert_eq!(bytes_at_most(u64::MAX, u64::MAX, Way::Relay), u64::MAX);
    }
}
