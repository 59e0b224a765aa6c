//! A line that nobody else can send: sent to a port from outside, it must come back through our own forward. Pure.

use std::fmt;

use subtle::ConstantTimeEq as _;

/// How it begins: for whoever finds it in a log that is not ours.
const MAGIC: &[u8] = b"reclog-echo ";
/// Random bytes; 128 bits are not guessed, and each is good for one time.
pub const RANDOM: usize = 16;
/// Bytes of the line, its LF included.
pub const LENGTH: usize = MAGIC.len() + 2 * RANDOM + 1;

/// One such line.
#[derive(Clone)]
pub struct Nonce([u8; LENGTH]);

/// Until it has come back it is nobody's business, least of all a log's.
impl fmt::Debug for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Nonce")
    }
}

impl Nonce {
    /// The line of these bytes, which come from a source that nobody can foresee.
    #[must_use]
    pub fn new(random: &[u8; RANDOM]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut line = [b'\n'; LENGTH];
        line[..MAGIC.len()].copy_from_slice(MAGIC);
        for (byte, two) in random.iter().zip(line[MAGIC.len()..].chunks_exact_mut(2)) {
            two[0] = HEX[usize::from(byte >> 4)];
            two[1] = HEX[usize::from(byte & 15)];
        }
        Self(line)
    }

    /// What is sent.
    #[must_use]
    pub fn line(&self) -> &[u8] {
        &self.0
    }
}

/// The first bytes of somebody who may be our own echo.
#[derive(Debug, Default)]
pub struct First(Vec<u8>);

/// What they are so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looks {
    /// More must come before it can be told.
    Open,
    /// The line at this place of those that are expected, and nothing else.
    Ours(usize),
    /// Somebody else.
    Foreign,
}

impl First {
    /// Looks at what came before and at `more`, without taking it: it is kept only while the answer is open.
    ///
    /// The fixed beginning is public and may be compared as it comes. The rest is compared when all of it is there and in a
    /// time that tells nothing: a neighbour on the jump host must not find it byte by byte.
    pub fn look<'a>(&mut self, more: &[u8], expected: impl IntoIterator<Item = &'a Nonce>) -> Looks {
        let length = self.0.len() + more.len();
        if length > LENGTH {
            return Looks::Foreign;
        }
        let have = self.0.len();
        let begin = MAGIC.len().min(length);
        if have < begin && more[..begin - have] != MAGIC[have..begin] {
            return Looks::Foreign;
        }
        if length < LENGTH {
            self.0.extend_from_slice(more);
            return Looks::Open;
        }
        let mut line = [0; LENGTH];
        line[..have].copy_from_slice(&self.0);
        line[have..].copy_from_slice(more);
        let mut expected = expected.into_iter();
        expected.position(|nonce| bool::from(nonce.0.ct_eq(&line))).map_or(Looks::Foreign, Looks::Ours)
    }

    /// What was kept.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether it can hardly be anybody's but ours: it goes on behind the fixed beginning.
    #[must_use]
    pub fn is_beyond_magic(&self) -> bool {
        self.0.len() > MAGIC.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn nonces() -> [Nonce; 2] {
        [Nonce::new(&[0xab; RANDOM]), Nonce::new(&[7; RANDOM])]
    }

    #[test]
    fn it_is_one_line_of_text() {
        let text = std::str::from_utf8(nonces()[0].line()).unwrap().to_owned();
        assert_eq!(text, format!("reclog-echo {}\n", "ab".repeat(RANDOM)));
    }

    #[test]
    fn a_guess_is_open_until_it_is_whole_and_then_foreign() {
        let nonces = nonces();
        let mut guess = nonces[0].line().to_vec();
        guess[MAGIC.len()] ^= 1;
        let mut first = First::default();
        for byte in &guess[..LENGTH - 1] {
            assert_eq!(first.look(&[*byte], &nonces), Looks::Open, "a wrong byte shows at the end alone");
        }
        assert_eq!(first.look(&guess[LENGTH - 1..], &nonces), Looks::Foreign);
        assert_eq!(first.bytes(), &guess[..LENGTH - 1]);
    }

    #[test]
    fn a_line_that_goes_on_is_foreign() {
        let nonces = nonces();
        let longer = [nonces[0].line(), b"x"].concat();
        assert_eq!(First::default().look(&longer, &nonces), Looks::Foreign);
    }

    proptest! {
        #[test]
        fn ours_is_known_however_it_is_cut(cuts in proptest::collection::vec(0..=LENGTH, 0..6)) {
            let nonces = nonces();
            let mut cuts = [cuts, vec![0, LENGTH]].concat();
            cuts.sort_unstable();
            let mut first = First::default();
            let looks: Vec<_> = cuts.windows(2).map(|w| first.look(&nonces[1].line()[w[0]..w[1]], &nonces)).collect();
            prop_assert!(looks.contains(&Looks::Ours(1)), "{looks:?}");
            prop_assert!(!looks.contains(&Looks::Foreign), "{looks:?}");
        }

        #[test]
        fn kept_and_given_back_are_all_that_came(pieces in proptest::collection::vec("[ a-z\n-]{0,9}", 0..12)) {
            let mut first = First::default();
            let mut before = Vec::new();
            for piece in &pieces {
                let looks = first.look(piece.as_bytes(), &nonces());
                prop_assert!(!matches!(looks, Looks::Ours(_)));
                prop_assert!(first.bytes().len() < LENGTH);
                if looks == Looks::Foreign {
                    break;
                }
                before.extend_from_slice(piece.as_bytes());
            }
            prop_assert_eq!(first.bytes(), &before[..], "what decided is not among what was kept");
        }
    }
}
