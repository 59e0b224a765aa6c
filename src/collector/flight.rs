//! How many bytes may be lost with a connection: those that senders have handed over and that no output has.
//!
//! A plain TCP sender is told that its bytes are taken as soon as its own system has them. Between that moment and the
//! ledger's `received` they stand in buffers, each of which has a largest size.

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

/// An upper bound for what so many senders had handed over when their connection to us ended. `through`: they came in by a
/// jump host, whose receive buffer of one connection holds `receive_buffer` bytes at most; else by a port of this machine.
#[must_use]
pub fn bytes_at_most(senders: u64, receive_buffer: u64, through: bool) -> u64 {
    let sshd = if through { u64::from(WINDOW) + READ_AHEAD } else { 0 };
    let each = SEND_BUFFER.saturating_add(receive_buffer).saturating_add(sshd);
    senders.saturating_mul(each)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_lost_nothing_and_everybody_counts() {
        assert_eq!(bytes_at_most(0, RECEIVE_BUFFER, true), 0);
        let one = bytes_at_most(1, RECEIVE_BUFFER, true);
        assert_eq!(one, (4 << 20) + (32 << 20) + (3 << 20) + (256 << 10));
        assert_eq!(bytes_at_most(7, RECEIVE_BUFFER, true), 7 * one);
        assert!(bytes_at_most(1, RECEIVE_BUFFER, false) < one);
        assert_eq!(bytes_at_most(u64::MAX, u64::MAX, true), u64::MAX);
    }
}
