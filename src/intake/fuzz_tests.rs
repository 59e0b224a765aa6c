//! Random inputs: valid ones, mutilated, in random pieces. Fast enough for ten million of them, and the same for the same seed.
//!
//! `RECLOG_FUZZ=2000000 cargo test --lib random_inputs` runs so many for each target; `RECLOG_FUZZ_SEED` gives others.

use super::gate::{Gate, Step};
use super::why::Reject;
use crate::plan::LONGEST_KEYWORD;

/// Inputs for one target in the normal suite.
const FEW: u64 = 4_000;
/// The longest input, but for what the targets themselves make of it.
const LONGEST: usize = 600;
/// What parsers have to tell apart.
const TOKENS: [&[u8]; 16] = [
    b"\n",
    b"\r\n",
    b"\0",
    b" ",
    b"<13>",
    b"syslog",
    b"open",
    b"close",
    b"999999",
    b"1",
    b"0",
    b"PROXY TCP4 ",
    b"\x16\x03\x01",
    b"HTTP/1.1",
    b"\xff",
    b"::1",
];

/// xorshift64*: good enough, and nothing else costs time.
pub struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Below `n`, which is not 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from((self.next() >> 33) % n as u64).unwrap()
    }

    fn byte(&mut self) -> u8 {
        self.next().to_be_bytes()[0]
    }

    /// One of `seeds` with some things changed, sometimes two of them in a row.
    fn input(&mut self, seeds: &[Vec<u8>], input: &mut Vec<u8>) {
        input.clear();
        for _ in 0..=self.below(2) {
            input.extend_from_slice(&seeds[self.below(seeds.len())]);
        }
        for _ in 0..self.below(5) {
            let at = self.below(input.len() + 1);
            let to = (at + self.below(12)).min(input.len());
            match self.below(7) {
                0 if at < input.len() => input[at] = self.byte(),
                1 if at < input.len() => input[at] ^= 1 << self.below(8),
                2 => drop(input.drain(at..to)),
                3 => {
                    let again = input[at..to].to_vec();
                    input.splice(at..at, again);
                }
                4 => input.truncate(at),
                5 => drop(input.splice(at..at, std::iter::repeat_n(b'x', self.below(200)))),
                _ => drop(input.splice(at..at, TOKENS[self.below(TOKENS.len())].iter().copied())),
            }
        }
        input.truncate(LONGEST);
    }

    /// `input` in pieces, some of them empty.
    fn pieces<'a>(&mut self, input: &'a [u8], cuts: &mut Vec<usize>) -> Vec<&'a [u8]> {
        if self.below(8) == 0 {
            return input.chunks(1).collect();
        }
        cuts.clear();
        cuts.extend([0, input.len()]);
        for _ in 0..self.below(6) {
            cuts.push(self.below(input.len() + 1));
        }
        cuts.sort_unstable();
        cuts.windows(2).map(|w| &input[w[0]..w[1]]).collect()
    }
}

/// Runs `one` on random inputs made of `seeds`: whole, and in pieces, which have to come to the same.
pub fn compare<T: PartialEq + std::fmt::Debug>(target: &str, seeds: &[Vec<u8>], mut one: impl FnMut(&[&[u8]]) -> T) {
    let number = |name: &str| std::env::var(name).ok().and_then(|n| n.parse::<u64>().ok());
    let (inputs, seed) = (number("RECLOG_FUZZ").unwrap_or(FEW), number("RECLOG_FUZZ_SEED").unwrap_or(0));
    let mut random = Random((seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (mut input, mut cuts, begun) = (Vec::new(), Vec::new(), std::time::Instant::now());
    for n in 0..inputs {
        random.input(seeds, &mut input);
        let whole = one(&[&input]);
        let pieces = random.pieces(&input, &mut cuts);
        let cut = one(&pieces);
        assert_eq!(
            whole,
            cut,
            "{target}, input {n}, {:?}",
            pieces.iter().map(|p| p.escape_ascii().to_string()).collect::<Vec<_>>()
        );
    }
    eprintln!("{target}: {inputs} inputs in {:.1} s", begun.elapsed().as_secs_f64());
}

/// As bytes.
#[must_use]
pub fn seeds(texts: &[&str]) -> Vec<Vec<u8>> {
    texts.iter().map(|text| text.as_bytes().to_vec()).collect()
}

#[test]
fn random_inputs_at_the_gate_get_the_same_verdict_in_any_pieces() {
    let mut all = seeds(&[
        "open sesame\nfirst\n",
        "open sesame\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "",
        "\n",
        "open sesame",
    ]);
    all.push(vec![b'k'; 500]);
    all.push(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec());
    // Long enough for the bound, however short the input.
    let long = vec![b'l'; LONGEST_KEYWORD - 200];
    compare("gate", &all, |pieces| {
        let mut verdicts = Vec::new();
        for before in [&[][..], &long] {
            let mut gate = Gate::default();
            let known = |word: &[u8]| word.ends_with(b"open sesame").then(|| "name".into());
            let all = std::iter::once(before).chain(pieces.iter().copied());
            let mut verdict: Option<(Result<usize, Reject>, usize)> = None;
            let mut fed = 0;
            for piece in all {
                if let Some((Ok(_), rest)) = &mut verdict {
                    *rest += piece.len();
                }
                if verdict.is_some() {
                    continue;
                }
                fed += piece.len();
                verdict = match gate.feed(piece, known) {
                    Step::More => {
                        assert!(gate.held() == fed && fed <= LONGEST_KEYWORD + 1, "{} held of {fed}", gate.held());
                        None
                    }
                    Step::In { rest, .. } => Some((Ok(fed - rest.len()), rest.len())),
                    Step::Out(why) => Some((Err(why), 0)),
                };
            }
            verdicts.push(verdict);
        }
        verdicts
    });
}
