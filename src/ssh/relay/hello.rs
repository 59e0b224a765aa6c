//! The first line of a sender that comes by the relay: who it is, and the proof that the relay says so. Pure.
//!
//! It is the first version of the PROXY protocol with one more field, the secret of this connection. The port of the forward
//! may be open to all users of the jump host, or to everybody: whoever does not know the secret is nobody's sender.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::fmt;

use subtle::ConstantTimeEq as _;

/// Random bytes of a secret.
pub const RANDOM: usize = 24;
/// Its characters.
const DIGITS: usize = 2 * RANDOM;
/// What the line begins with, whatever follows.
const BEGIN: &[u8] = b"PROXY TCP";
/// Bytes of the longest line, its end included: two addresses of 45 characters and two ports.
pub const LONGEST: usize = BEGIN.len() + 2 + 2 * 46 + 2 * 6 + DIGITS + 2;

/// What only this end and the relay know; good for one connection.
#[derive(Clone)]
pub struct Secret([u8; DIGITS]);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl Secret {
    /// Of bytes that nobody can foresee.
    #[must_use]
    pub fn new(random: &[u8; RANDOM]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut digits = [0; DIGITS];
        for (byte, two) in random.iter().zip(digits.chunks_exact_mut(2)) {
            two[0] = HEX[usize::from(byte >> 4)];
            two[1] = HEX[usize::from(byte & 15)];
        }
        Self(digits)
    }

    /// Its hexadecimal digits.
    #[must_use]
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits")
    }
}

/// The first bytes of somebody who has not said it yet.
#[derive(Debug)]
pub struct Hello {
    bytes: [u8; LONGEST],
    length: usize,
}

/// What they are so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// More must come.
    Open,
    /// A sender, at this address; so many bytes of the last piece belong to the line.
    Said {
        /// Where it comes from.
        peer: SocketAddr,
        /// Of the last piece.
        taken: usize,
    },
    /// It does not come by the relay.
    Foreign,
}

impl Default for Hello {
    fn default() -> Self {
        Self { bytes: [0; LONGEST], length: 0 }
    }
}

impl Hello {
    /// Takes the next piece.
    ///
    /// The public beginning may be compared as it comes; the secret is when the line is whole, and in a time that tells nothing.
    pub fn feed(&mut self, piece: &[u8], secret: &Secret) -> Step {
        let end = piece.iter().take(LONGEST - self.length).position(|b| *b == b'\n');
        let taken = end.map_or(piece.len(), |at| at + 1);
        if self.length + taken > LONGEST {
            return Step::Foreign;
        }
        self.bytes[self.length..self.length + taken].copy_from_slice(&piece[..taken]);
        self.length += taken;
        let line = &self.bytes[..self.length];
        let begin = line.len().min(BEGIN.len());
        if line[..begin] != BEGIN[..begin] {
            return Step::Foreign;
        }
        match end {
            Some(_) => parse(line, secret).map_or(Step::Foreign, |peer| Step::Said { peer, taken }),
            None if self.length == LONGEST => Step::Foreign,
            None => Step::Open,
        }
    }
}

/// The sender's address of a whole line.
fn parse(line: &[u8], secret: &Secret) -> Option<SocketAddr> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r\n")?).ok()?;
    let mut words = line.strip_prefix("PROXY ")?.split(' ');
    let mut next = || words.next();
    let (family, from, to) = (next()?, next()?, next()?);
    let (port, port_to, told) = (next()?, next()?, next()?);
    if words.next().is_some() || !bool::from(told.as_bytes().ct_eq(&secret.0)) {
        return None;
    }
    let address = |text: &str| match family {
        "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::from),
        "TCP6" => text.parse::<Ipv6Addr>().ok().map(|ip| IpAddr::from(ip).to_canonical()),
        _ => None,
    };
    address(to)?;
    number(port_to)?;
    Some(SocketAddr::new(address(from)?, number(port)?))
}

/// A port: digits alone.
fn number(text: &str) -> Option<u16> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn secret() -> Secret {
        Secret::new(&[0xa5; RANDOM])
    }

    fn line(begin: &str) -> String {
        format!("{begin} {}\r\n", secret().digits())
    }

    fn said(text: &str) -> Step {
        Hello::default().feed(text.as_bytes(), &secret())
    }

    #[test]
    fn the_sender_is_who_the_relay_says() {
        let at = |peer: &str, text: &str| Step::Said { peer: peer.parse().unwrap(), taken: text.len() };
        for (peer, begin) in [
            ("192.0.2.1:4711", "PROXY TCP4 192.0.2.1 198.51.100.7 4711 514"),
            ("[2001:db8::1]:65535", "PROXY TCP6 2001:db8::1 2001:db8::2 65535 1"),
            ("192.0.2.1:1", "PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 1"),
        ] {
            assert_eq!(said(&line(begin)), at(peer, &line(begin)));
        }
    }

    #[test]
    fn whatever_is_not_exactly_that_line_is_foreign() {
        let good = line("PROXY TCP4 192.0.2.1 198.51.100.7 4711 514");
        for (from, to) in [
            (secret().digits(), ""),
            (secret().digits(), &secret().digits()[1..]),
            (&secret().digits()[..4], "a5a4"),
            ("\r\n", "\n"),
            ("\r\n", "x\r\n"),
            ("\r\n", " x\r\n"),
            ("TCP4", "TCP6"),
            ("TCP4", "TCP5"),
            ("TCP4", "UNKNOWN"),
            ("PROXY", "proxy"),
            ("192.0.2.1", "192.0.2.1.1"),
            ("192.0.2.1", "name"),
            ("198.51.100.7", "::1"),
            (" 4711", " +4711"),
            (" 4711", " 65536"),
            (" 4711", ""),
            (" 514", " "),
        ] {
            let bad = good.replacen(from, to, 1);
            assert_ne!(bad, good);
            assert_eq!(said(&bad), Step::Foreign, "{from:?} → {to:?}");
        }
        assert_eq!(said("GET / HTTP/1.1\r\n"), Step::Foreign);
        assert_eq!(said("a line of a log\n"), Step::Foreign);
        assert_eq!(said("\n"), Step::Foreign);
    }

    #[test]
    fn nobody_is_listened_to_for_ever() {
        let mut hello = Hello::default();
        let long = [BEGIN, &[b'4'; LONGEST]].concat();
        let steps: Vec<_> = long.iter().map(|byte| hello.feed(&[*byte], &secret())).take(LONGEST).collect();
        assert!(steps[..LONGEST - 1].iter().all(|step| *step == Step::Open));
        assert_eq!(steps[LONGEST - 1], Step::Foreign);
        assert_eq!(Hello::default().feed(&[&long[..], b"\n"].concat(), &secret()), Step::Foreign);
    }

    #[test]
    fn a_wrong_secret_shows_at_the_end_alone() {
        let mut bad = line("PROXY TCP4 192.0.2.1 198.51.100.7 4711 514").into_bytes();
        let at = bad.len() - 2 - DIGITS;
        bad[at] ^= 1;
        let mut hello = Hello::default();
        let (last, all) = bad.split_last().unwrap();
        assert!(all.iter().all(|byte| hello.feed(&[*byte], &secret()) == Step::Open));
        assert_eq!(hello.feed(&[*last], &secret()), Step::Foreign);
    }

    #[test]
    fn the_longest_line_fits() {
        let ip = "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255";
        let text = line(&format!("PROXY TCP6 {ip} {ip} 65535 65535"));
        assert!(matches!(said(&text), Step::Said { taken, .. } if taken == text.len() && taken <= LONGEST));
    }

    #[test]
    fn random_inputs_before_a_relay_get_the_same_verdict_in_any_pieces() {
        use crate::intake::fuzz::{compare, seeds};
        let seeds = seeds(&[
            &line("PROXY TCP4 192.0.2.1 198.51.100.7 4711 514"),
            &line("PROXY TCP6 2001:db8::1 2001:db8::2 65535 1"),
            "PROXY UNKNOWN\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.7 4711 514\r\n",
            "a line of a log\n",
        ]);
        compare("hello", &seeds, |pieces| {
            let (mut hello, mut fed) = (Hello::default(), 0);
            for piece in pieces {
                let before = fed;
                fed += piece.len();
                match hello.feed(piece, &secret()) {
                    Step::Open => assert!(hello.length == fed && fed < LONGEST),
                    Step::Said { peer, taken } => return Some((peer, before + taken)),
                    Step::Foreign => return None,
                }
            }
            Some((([0, 0, 0, 0], 0).into(), fed))
        });
    }

    proptest! {
        #[test]
        fn it_may_be_cut_anywhere_and_what_follows_is_the_senders(
            cuts in prop::collection::vec(0usize..160, 0..6),
            follows in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let text = line("PROXY TCP6 2001:db8::1 2001:db8::2 4711 514");
            let all = [text.as_bytes(), &follows].concat();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
            cuts.sort_unstable();
            let (mut hello, mut rest) = (Hello::default(), None::<Vec<u8>>);
            for piece in cuts.windows(2).map(|w| &all[w[0]..w[1]]) {
                match &mut rest {
                    Some(rest) => rest.extend_from_slice(piece),
                    None => match hello.feed(piece, &secret()) {
                        Step::Open => {}
                        Step::Said { peer, taken } => {
                            prop_assert_eq!(peer, "[2001:db8::1]:4711".parse().unwrap());
                            rest = Some(piece[taken..].to_vec());
                        }
                        Step::Foreign => prop_assert!(false, "foreign"),
                    },
                }
            }
            prop_assert_eq!(rest, Some(follows));
        }

        #[test]
        fn nothing_else_gets_in(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..80), 0..8)) {
            let mut hello = Hello::default();
            for piece in &pieces {
                match hello.feed(piece, &secret()) {
                    Step::Open => prop_assert!(hello.length < LONGEST),
                    Step::Foreign => break,
                    Step::Said { .. } => prop_assert!(false, "{:?}", pieces),
                }
            }
        }
    }
}
