//! Numbered lines: whoever has the run, the connection and the number can make the line again, byte by byte.
//!
//!     RUN sSENDER cCONNECTION nSEQUENCE FILLER CHECKSUM

use std::fmt;

/// Numbers that depend on a seed alone, in every release of every crate: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next() % (high - low + 1)
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.next() % 100 < chance
    }
}

/// One connection of one sender.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    pub sender: u32,
    pub connection: u32,
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{:03} c{:06}", self.sender, self.connection)
    }
}

/// `RUN sSENDER cCONNECTION nSEQUENCE `
pub const HEAD: usize = 8 + 1 + 4 + 1 + 7 + 1 + 7 + 1;
/// ` CHECKSUM` and the line end.
const TAIL: usize = 1 + 16 + 1;
const LONGEST_FILLER: usize = 4096;

/// The length of the filler: mostly short, now and then a few KiB.
fn filler(run: u32, id: Id, sequence: u32) -> (usize, usize) {
    let mix = u64::from(id.sender) << 48 ^ u64::from(id.connection) << 24 ^ u64::from(sequence);
    let mut rng = Rng::new(u64::from(run) << 32 ^ mix);
    let length = match rng.between(0, 99) {
        0..70 => rng.between(0, 120),
        70..95 => rng.between(120, 800),
        _ => rng.between(800, LONGEST_FILLER as u64),
    };
    let offset = rng.between(0, LONGEST_FILLER as u64 - 1);
    (usize::try_from(offset).unwrap(), usize::try_from(length).unwrap())
}

/// What fillers are cut out of: printable, and without a short period.
fn pattern() -> &'static [u8] {
    static PATTERN: std::sync::OnceLock<Vec<u8>> = std::sync::OnceLock::new();
    PATTERN.get_or_init(|| {
        let mut rng = Rng::new(1);
        (0..2 * LONGEST_FILLER).map(|_| b'!' + u8::try_from(rng.between(0, 93)).unwrap()).collect()
    })
}

/// FNV-1a, 64 bits.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The bytes of the line, its end included.
pub fn length(run: u32, id: Id, sequence: u32) -> usize {
    HEAD + filler(run, id, sequence).1 + TAIL
}

/// The line, its end included.
pub fn text(run: u32, id: Id, sequence: u32) -> Vec<u8> {
    let (offset, length) = filler(run, id, sequence);
    let mut line = format!("{run:08x} {id} n{sequence:06} ").into_bytes();
    line.extend_from_slice(&pattern()[offset..offset + length]);
    line.extend_from_slice(format!(" {:016x}\n", checksum(&line)).as_bytes());
    line
}

/// Run, connection and number, as the head of a line tells them.
fn head(piece: &[u8]) -> Option<(u32, Id, u32)> {
    let text = std::str::from_utf8(piece.get(..HEAD)?).ok()?;
    let mut words = text.split(' ');
    let run = u32::from_str_radix(words.next()?, 16).ok()?;
    let mut number = |mark: char| words.next()?.strip_prefix(mark)?.parse().ok();
    let (sender, connection, sequence) = (number('s')?, number('c')?, number('n')?);
    Some((run, Id { sender, connection }, sequence))
}

/// What a line of the file is.
#[derive(Debug, PartialEq, Eq)]
pub enum Found {
    /// A whole line.
    Whole(Id, u32),
    /// The beginning of this one, of so many bytes.
    Part(Id, u32, usize),
    /// The beginning of one, too short to tell of which.
    Stub,
    /// Nothing that anybody has sent.
    Torn,
}

/// Reads a line, without its end.
pub fn read(run: u32, line: &[u8]) -> Found {
    match head(line) {
        Some((its, id, sequence)) if its == run => {
            let all = text(run, id, sequence);
            let whole = &all[..all.len() - 1];
            match line {
                _ if line == whole => Found::Whole(id, sequence),
                _ if whole.starts_with(line) => Found::Part(id, sequence, line.len()),
                _ => Found::Torn,
            }
        }
        // A stub completed with zeros is a head again.
        None if line.len() < HEAD && !line.is_empty() => {
            let zeros = format!("{run:08x} s000 c000000 n000000 ");
            let fits = |(have, zero): (&u8, &u8)| have == zero || (*zero == b'0' && have.is_ascii_digit());
            let of_this_run = line.iter().zip(zeros.as_bytes()).take(8).all(|(have, run)| have == run);
            let stub = of_this_run && line.iter().zip(zeros.as_bytes()).all(fits);
            if stub { Found::Stub } else { Found::Torn }
        }
        _ => Found::Torn,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Id = Id { sender: 3, connection: 12 };

    #[test]
    fn a_line_is_read_as_what_it_is() {
        let line = text(0xc0de, ID, 7);
        assert_eq!(line.len(), length(0xc0de, ID, 7));
        assert!(!line[..line.len() - 1].contains(&b'\n'));
        let whole = &line[..line.len() - 1];
        assert_eq!(read(0xc0de, whole), Found::Whole(ID, 7));
        assert_eq!(read(0xc0de, &whole[..whole.len() - 1]), Found::Part(ID, 7, whole.len() - 1));
        assert_eq!(read(0xc0de, &whole[..HEAD]), Found::Part(ID, 7, HEAD));
        assert_eq!(read(0xc0de, &whole[..HEAD - 1]), Found::Stub);
        assert_eq!(read(0xc0de, &whole[..1]), Found::Stub);
        let mut changed = whole.to_vec();
        *changed.last_mut().unwrap() ^= 1;
        for torn in [&whole[1..], &changed, &[whole, whole].concat(), b"", b"00000bad s", b"0000c0de x"] {
            assert_eq!(read(0xc0de, torn), Found::Torn, "{}", String::from_utf8_lossy(torn));
        }
        assert_eq!(read(0xbad, whole), Found::Torn, "a line of another run");
    }

    #[test]
    fn lengths_vary_from_nothing_to_a_few_kib() {
        let lengths: Vec<usize> = (0..2000).map(|n| length(1, ID, n)).collect();
        assert!(lengths.iter().any(|l| *l < 60) && lengths.iter().any(|l| *l > 3000));
        let mean = lengths.iter().sum::<usize>() / lengths.len();
        assert!((150..500).contains(&mean), "{mean}");
    }
}
