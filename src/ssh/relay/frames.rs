//! What the relay says: lines of a shell until it runs, frames after that. Pure.
//!
//! A frame is a letter, the length of its body in four bytes and the body, numbers with the high byte first. `L`: a line of
//! text, the answer to an order. `D`: a datagram: number of the stream (2 bytes), 4 or 6, port (2), address (4 or 16), and what
//! it holds. `X`: number of the stream (2 bytes), datagrams that were lost since the last such word (8).

use core::net::{IpAddr, SocketAddr};

/// Bytes of a letter and a length.
const HEAD: usize = 5;
/// Bytes of the longest body: the largest datagram and what stands before it.
const LONGEST: usize = (1 << 16) + 32;
/// What an account may print before the relay runs, in bytes.
const LONGEST_GREETING: usize = 64 * 1024;

/// One word of the relay.
#[derive(Debug, PartialEq, Eq)]
pub enum Word<'a> {
    /// What the shell found: the words after the mark.
    Begins(&'a str),
    /// An answer.
    Line(&'a str),
    /// A datagram for the stream of this number.
    Datagram {
        /// The stream's number.
        stream: u16,
        /// Who sent it.
        peer: SocketAddr,
        /// What it holds.
        bytes: &'a [u8],
    },
    /// So many datagrams for the stream never got here.
    Lost {
        /// The stream's number.
        stream: u16,
        /// Since the last time.
        datagrams: u64,
    },
}

/// It says what no relay says.
#[derive(Debug, PartialEq, Eq)]
pub struct Nonsense;

/// What has come and is not whole.
#[derive(Debug)]
pub struct Frames {
    /// Before every line of the shell that counts; empty once the relay runs.
    mark: String,
    rest: Vec<u8>,
}

impl Frames {
    /// Before the first word; `mark` is that of this one run.
    #[must_use]
    pub fn new(mark: &str) -> Self {
        Self { mark: format!("{mark} "), rest: Vec::new() }
    }

    /// Takes the next piece, and gives every word that is whole to `hear`.
    ///
    /// # Errors
    /// When it makes no sense; nothing that follows does.
    pub fn feed(&mut self, piece: &[u8], mut hear: impl FnMut(Word<'_>)) -> Result<(), Nonsense> {
        // Most pieces begin and end with a frame: nothing of them is copied.
        let mut kept = std::mem::take(&mut self.rest);
        let mut all = if kept.is_empty() {
            piece
        } else {
            kept.extend_from_slice(piece);
            &kept[..]
        };
        while let Some(taken) = self.word(all, &mut hear)? {
            all = &all[taken..];
        }
        self.rest = all.to_vec();
        Ok(())
    }

    /// The bytes of the first word, if it is whole.
    fn word(&mut self, all: &[u8], hear: &mut impl FnMut(Word<'_>)) -> Result<Option<usize>, Nonsense> {
        if !self.mark.is_empty() {
            let Some(end) = all.iter().position(|b| *b == b'\n') else {
                return if all.len() > LONGEST_GREETING { Err(Nonsense) } else { Ok(None) };
            };
            // Others are the account's own.
            let line = std::str::from_utf8(&all[..end]).unwrap_or_default();
            if let Some(found) = line.strip_prefix(&self.mark) {
                hear(Word::Begins(found));
                self.mark.clear();
            }
            return Ok(Some(end + 1));
        }
        let Some((start, rest)) = all.split_first_chunk::<HEAD>() else { return Ok(None) };
        let [kind, length @ ..] = *start;
        let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| Nonsense)?;
        if length > LONGEST || !b"LDX".contains(&kind) {
            return Err(Nonsense);
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        hear(match kind {
            b'L' => Word::Line(std::str::from_utf8(body).map_err(|_| Nonsense)?),
            b'D' => datagram(body).ok_or(Nonsense)?,
            _ => lost(body).ok_or(Nonsense)?,
        });
        Ok(Some(HEAD + length))
    }
}

fn datagram(body: &[u8]) -> Option<Word<'_>> {
    let (stream, rest) = body.split_first_chunk()?;
    let (family, rest) = rest.split_first()?;
    let (port, rest) = rest.split_first_chunk()?;
    let (ip, bytes): (IpAddr, _) = match family {
        4 => rest.split_first_chunk::<4>().map(|(ip, bytes)| ((*ip).into(), bytes))?,
        6 => rest.split_first_chunk::<16>().map(|(ip, bytes)| ((*ip).into(), bytes))?,
        _ => return None,
    };
    let peer = SocketAddr::new(ip.to_canonical(), u16::from_be_bytes(*port));
    Some(Word::Datagram { stream: u16::from_be_bytes(*stream), peer, bytes })
}

fn lost(body: &[u8]) -> Option<Word<'_>> {
    let (stream, rest) = body.split_first_chunk()?;
    let datagrams = u64::from_be_bytes(rest.try_into().ok()?);
    Some(Word::Lost { stream: u16::from_be_bytes(*stream), datagrams })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        [&[kind][..], &u32::try_from(body.len()).unwrap().to_be_bytes(), body].concat()
    }

    fn told(word: &Word<'_>) -> String {
        format!("{word:?}")
    }

    fn example() -> (Vec<u8>, Vec<String>) {
        let four = [&[0, 7, 4, 2, 2][..], &[192, 0, 2, 1], b"<13>one"].concat();
        let six = [&[1, 0, 6, 0, 9][..], &[0x20, 1, 0xd, 0xb8], &[0; 11], &[1], b""].concat();
        let all = [
            b"Welcome!\nm2 python3\nm1 python3 x\n".to_vec(),
            frame(b'L', b"ready 1 2 3"),
            frame(b'D', &four),
            frame(b'D', &six),
            frame(b'X', &[0, 7, 0, 0, 0, 0, 0, 0, 1, 0]),
        ];
        let words = [
            Word::Begins("python3 x"),
            Word::Line("ready 1 2 3"),
            Word::Datagram { stream: 7, peer: "192.0.2.1:514".parse().unwrap(), bytes: b"<13>one" },
            Word::Datagram { stream: 256, peer: "[2001:db8::1]:9".parse().unwrap(), bytes: b"" },
            Word::Lost { stream: 7, datagrams: 256 },
        ];
        (all.concat(), words.iter().map(told).collect())
    }

    proptest! {
        #[test]
        fn words_are_the_same_however_they_are_cut(cuts in prop::collection::vec(0usize..200, 0..9)) {
            let (all, words) = example();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(all.len())).chain([0, all.len()]).collect();
            cuts.sort_unstable();
            let (mut frames, mut heard) = (Frames::new("m1"), Vec::new());
            for piece in cuts.windows(2).map(|w| &all[w[0]..w[1]]) {
                prop_assert_eq!(frames.feed(piece, |word| heard.push(told(&word))), Ok(()));
            }
            prop_assert_eq!(heard, words);
        }

        #[test]
        fn nothing_is_too_odd(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..50), 0..9)) {
            let mut frames = Frames::new("m1");
            frames.feed(b"m1 perl\n", |_| {}).unwrap();
            for piece in pieces {
                if frames.feed(&piece, |_| {}).is_err() {
                    break;
                }
                prop_assert!(frames.rest.len() <= HEAD + LONGEST + 50);
            }
        }
    }

    #[test]
    fn what_makes_no_sense_is_said_so() {
        for bad in [
            frame(b'?', b""),
            frame(b'D', &[0, 1, 5, 0, 0, 1, 1, 1, 1]),
            frame(b'D', &[0, 1, 4, 0, 0, 1, 1, 1]),
            frame(b'X', &[0, 1, 2]),
            frame(b'L', &[0xff]),
            vec![b'D', 0xff, 0, 0, 0],
        ] {
            let mut frames = Frames::new("m1");
            frames.feed(b"m1 perl\n", |_| {}).unwrap();
            assert_eq!(frames.feed(&bad, |word| panic!("{word:?}")), Err(Nonsense), "{bad:?}");
        }
        let mut frames = Frames::new("m1");
        assert_eq!(frames.feed(&vec![b'x'; LONGEST_GREETING + 1], |_| {}), Err(Nonsense));
    }
}
