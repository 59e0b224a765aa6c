//! Bytes become lines.

/// Bytes of a line, its end left out; a longer one becomes several. A collector splits at the same length unless told otherwise
/// (`max_line`).
pub const LONGEST: usize = 256 * 1024 - 1;

/// Lines out of pieces.
#[derive(Debug, Default)]
pub struct Lines {
    /// The beginning of a line whose end is to come.
    partial: Vec<u8>,
    /// The last piece that was handed out did not end its line.
    inside: bool,
}

impl Lines {
    /// Hands every line that is complete with `bytes` to `take`, without its LF.
    pub fn feed(&mut self, mut bytes: &[u8], mut take: impl FnMut(&[u8])) {
        loop {
            let room = LONGEST - self.partial.len();
            match memchr::memchr(b'\n', &bytes[..bytes.len().min(room + 1)]) {
                Some(lf) => {
                    if self.partial.is_empty() {
                        // The end of a line that was handed out in pieces is no line of its own.
                        if lf > 0 || !self.inside {
                            take(&bytes[..lf]);
                        }
                    } else {
                        self.partial.extend_from_slice(&bytes[..lf]);
                        take(&self.partial);
                        self.partial.clear();
                    }
                    self.inside = false;
                    bytes = &bytes[lf + 1..];
                }
                None if bytes.len() > room => {
                    self.partial.extend_from_slice(&bytes[..room]);
                    take(&self.partial);
                    self.partial.clear();
                    self.inside = true;
                    bytes = &bytes[room..];
                }
                None => {
                    self.partial.extend_from_slice(bytes);
                    return;
                }
            }
        }
    }

    /// What is left when no more follows.
    pub fn finish(&mut self) -> Option<Vec<u8>> {
        self.inside = false;
        Some(std::mem::take(&mut self.partial)).filter(|rest| !rest.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lines(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        for piece in pieces {
            lines.feed(piece, |line| out.push(line.to_vec()));
        }
        out.extend(lines.finish());
        out
    }

    #[test]
    fn a_line_waits_for_its_end_and_the_last_one_needs_none() {
        assert_eq!(lines(&[b"a\nb", b"c\n\r\n", b"\nlast"]), [&b"a"[..], b"bc", b"\r", b"", b"last"]);
    }

    #[test]
    fn a_long_line_becomes_several_and_loses_nothing() {
        for length in [LONGEST - 1, LONGEST, LONGEST + 1, 2 * LONGEST, 2 * LONGEST + 5] {
            let mut line = vec![b'x'; length];
            line.push(b'\n');
            let got = lines(&[&line, b"next\n"]);
            assert_eq!(got.iter().map(Vec::len).sum::<usize>(), length + 4);
            assert_eq!(got.len(), length.div_ceil(LONGEST) + 1, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_chunks_of_the_same_bytes_are_the_same_lines(text in "[a\n]{0,200}", cut in 1usize..20) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(cut).collect();
            let mut expected: Vec<Vec<u8>> = text.split('\n').map(|l| l.as_bytes().to_vec()).collect();
            if expected.last().is_some_and(Vec::is_empty) {
                expected.pop();
            }
            prop_assert_eq!(lines(&pieces), expected);
        }
    }
}
