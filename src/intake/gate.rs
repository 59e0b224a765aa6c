//! The first line of a sender: one of the stream's keywords, or it is not let in. Pure.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::why::Reject;
use crate::plan::LONGEST_KEYWORD;

/// What a request of HTTP begins with (RFC 9110, section 9; the last one is the preface of HTTP/2, RFC 9113).
const METHODS: [&str; 10] = ["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "CONNECT", "PATCH", "TRACE", "PRI"];
/// A handshake record of TLS, of any version from SSL 3.0 to 1.3 (RFC 8446, section 5.1): type 22, major version 3.
const HANDSHAKE: [u8; 2] = [0x16, 0x03];

/// What a sender has said so far; at most [`LONGEST_KEYWORD`] bytes and a line end. Any way of cutting the same bytes into chunks
/// gives the same verdict.
#[derive(Debug, Default)]
pub struct Gate {
    line: Zeroizing<Vec<u8>>,
}

/// What is known now.
#[derive(Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// More must come.
    More,
    /// It said the keyword of this name; the rest of the input follows its line.
    In {
        /// Of the keyword.
        name: Arc<str>,
        /// Of the input.
        rest: &'a [u8],
    },
    /// It said something else.
    Out(Reject),
}

impl Gate {
    /// Takes the next bytes; `name_of` knows the keywords. Not to be called again after a verdict.
    pub fn feed<'a>(&mut self, input: &'a [u8], name_of: impl FnOnce(&[u8]) -> Option<Arc<str>>) -> Step<'a> {
        // A LF further on than this ends a line that is too long.
        let room = (LONGEST_KEYWORD + 2).saturating_sub(self.line.len()).min(input.len());
        let end = memchr::memchr(b'\n', &input[..room]);
        let more = &input[..end.unwrap_or(room)];
        // Nearly always the whole line is there at once.
        self.line.reserve_exact(more.len());
        self.line.extend_from_slice(more);
        let line = self.line.as_slice();
        if line.starts_with(&HANDSHAKE) && line.get(2).is_some_and(|minor| *minor <= 4) {
            return Step::Out(Reject::Tls);
        }
        let too_long = line.strip_suffix(b"\r").unwrap_or(line).len() > LONGEST_KEYWORD;
        match end {
            _ if too_long || line.len() > LONGEST_KEYWORD + 1 => Step::Out(mistaken(line)),
            None => Step::More,
            Some(end) => match name_of(line.strip_suffix(b"\r").unwrap_or(line)) {
                Some(name) => Step::In { name, rest: &input[end + 1..] },
                None => Step::Out(mistaken(line)),
            },
        }
    }

    /// Bytes that it keeps.
    #[must_use]
    pub fn held(&self) -> usize {
        self.line.len()
    }
}

/// Why this first line, or as much of it as may come before its end, is none of ours.
fn mistaken(line: &[u8]) -> Reject {
    let target = METHODS.iter().find_map(|method| line.strip_prefix(method.as_bytes())?.strip_prefix(b" "));
    let is_http = target.is_some_and(|target| {
        memchr::memmem::find(target, b" HTTP/").is_some() || target.starts_with(b"/") || target.starts_with(b"http")
    });
    if is_http { Reject::Http } else { Reject::Keyword }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(word: &[u8]) -> Option<Arc<str>> {
        let longest = vec![b'k'; LONGEST_KEYWORD];
        [(&b"open sesame"[..], "a"), (&longest, "b")].iter().find(|(w, _)| *w == word).map(|(_, name)| Arc::from(*name))
    }

    /// The verdict, the byte after which it was known, and what follows the line; in these pieces.
    fn run(pieces: &[&[u8]]) -> Option<(Result<String, Reject>, Vec<u8>)> {
        let mut gate = Gate::default();
        for (n, piece) in pieces.iter().enumerate() {
            match gate.feed(piece, name_of) {
                Step::More => assert!(gate.held() <= LONGEST_KEYWORD + 1),
                Step::In { name, rest } => {
                    return Some((Ok(name.to_string()), [rest, &pieces[n + 1..].concat()].concat()));
                }
                Step::Out(why) => return Some((Err(why), Vec::new())),
            }
        }
        None
    }

    fn verdict(said: &[u8]) -> Option<Result<String, Reject>> {
        run(&[said]).map(|(verdict, _)| verdict)
    }

    #[test]
    fn the_keyword_lets_in_with_either_line_end_and_what_follows_is_the_senders() {
        for said in ["open sesame\n", "open sesame\r\n"] {
            let all = format!("{said}\nfirst\n");
            assert_eq!(run(&[all.as_bytes()]), Some((Ok("a".into()), b"\nfirst\n".to_vec())));
        }
        for longest in ["\n", "\r\n"] {
            assert_eq!(verdict(&[&[b'k'; LONGEST_KEYWORD], longest.as_bytes()].concat()), Some(Ok("b".into())));
        }
    }

    #[test]
    fn nothing_else_does() {
        for wrong in
            ["\n", "\r\n", "open sesam\n", "open sesame \n", "Open sesame\n", "open sesame\r\r\n", " open sesame\n"]
        {
            assert_eq!(verdict(wrong.as_bytes()), Some(Err(Reject::Keyword)), "{wrong:?}");
        }
        for open in ["", "o", "open sesame", "open sesame\r", "open sesame\rx"] {
            assert_eq!(verdict(open.as_bytes()), None, "{open:?}");
        }
    }

    #[test]
    fn a_line_that_does_not_end_is_not_waited_for() {
        let long = |n: usize, end: &str| verdict(&[&vec![b'k'; n], end.as_bytes()].concat());
        assert_eq!(long(LONGEST_KEYWORD, ""), None);
        assert_eq!(long(LONGEST_KEYWORD, "\r"), None);
        for (n, end) in [(1, ""), (1, "\n"), (1, "\r\n"), (0, "\r\r"), (0, "\rx\n"), (5000, "\n")] {
            assert_eq!(long(LONGEST_KEYWORD + n, end), Some(Err(Reject::Keyword)), "{n} {end:?}");
        }
    }

    #[test]
    fn tls_and_http_by_mistake_are_named() {
        assert_eq!(verdict(b"\x16\x03\x01\x02\x00\x01"), Some(Err(Reject::Tls)));
        assert_eq!(verdict(b"\x16\x03"), None);
        for request in ["GET / HTTP/1.1\r\nHost: x\r\n", "POST /log?q=1 HTTP/1.0\n", "PRI * HTTP/2.0\r\n", "HEAD /\n"] {
            assert_eq!(verdict(request.as_bytes()), Some(Err(Reject::Http)), "{request:?}");
        }
        let endless = format!("GET /{}", "x".repeat(5000));
        assert_eq!(verdict(endless.as_bytes()), Some(Err(Reject::Http)));
        for other in ["GET off my lawn\n", "GETTING /\n", "get / HTTP/1.1\n", "\x16\x04\x01\n", "\x16\x03\x09\n"] {
            assert_eq!(verdict(other.as_bytes()), Some(Err(Reject::Keyword)), "{other:?}");
        }
    }

    proptest! {
        #[test]
        fn any_chunks_give_the_same_verdict(
            begin in prop::sample::select(vec![
                &b"open sesame"[..], b"GET / HTTP/1.1", b"\x16\x03\x01", b"", b"x", &[b'k'; LONGEST_KEYWORD], &[b'k'; LONGEST_KEYWORD - 1],
            ]),
            rest in prop::collection::vec(prop::sample::select(vec![b'\n', b'\r', b'k', b'/', 0, 3]), 0..12),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let all = [begin, &rest].concat();
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(all.len() + 1)).chain([0, all.len()]).collect();
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &all[w[0]..w[1]]).collect();
            let single: Vec<&[u8]> = all.chunks(1).collect();
            let whole = run(&[&all]);
            prop_assert_eq!(run(&pieces), whole.clone());
            prop_assert_eq!(run(&single), whole);
        }
    }
}
