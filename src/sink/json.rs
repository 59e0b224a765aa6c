//! JSON, written byte by byte: a library that builds values first would cost more than all the rest of a record's way.

use crate::syslog::{Data, Message};

/// Appends `text` between quotes. What JSON does not want to see is escaped, nothing else: a reader gets the very text.
pub fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut rest = text.as_bytes();
    loop {
        let (plain, after) = rest.split_at(plain(rest));
        out.extend_from_slice(plain);
        let Some((byte, after)) = after.split_first() else { break };
        escaped(out, *byte);
        rest = after;
    }
    out.push(b'"');
}

/// How many bytes at the beginning stand as they are.
fn plain(text: &[u8]) -> usize {
    let special = |b: u8| u8::from(b < 0x20) | u8::from(b == b'"') | u8::from(b == b'\\');
    let (blocks, rest) = text.as_chunks::<16>();
    // Without a branch for each byte the compiler looks at a block at once.
    let clean = |block: &[u8; 16]| block.iter().fold(0, |any, b| any | special(*b)) == 0;
    let whole = blocks.iter().take_while(|block| clean(block)).count();
    let tail = blocks.get(whole).map_or(rest, |block| block);
    whole * 16 + tail.iter().position(|b| special(*b) != 0).unwrap_or(tail.len())
}

fn escaped(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => {
            let hex = |half: u8| b"0123456789abcdef"[usize::from(half & 15)];
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', hex(byte >> 4), hex(byte)]);
        }
    }
}

/// Appends `text` between quotes, or `null`.
pub fn string_or_null(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// Appends `bytes` between quotes in base64: the standard alphabet, padded (RFC 4648, section 4).
pub fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letters = |[a, b, c]: [u8; 3]| {
        let bits = u32::from_be_bytes([0, a, b, c]);
        [18, 12, 6, 0].map(|shift| ALPHABET[(bits >> shift & 63) as usize])
    };
    out.push(b'"');
    let (threes, rest) = bytes.as_chunks::<3>();
    for three in threes {
        out.extend_from_slice(&letters(*three));
    }
    match *rest {
        [a] => out.extend_from_slice(&[&letters([a, 0, 0])[..2], b"=="].concat()),
        [a, b] => out.extend_from_slice(&[&letters([a, b, 0])[..3], b"="].concat()),
        _ => {}
    }
    out.push(b'"');
}

/// Appends a number.
pub fn number(out: &mut Vec<u8>, mut n: u64) {
    // 20 digits: u64::MAX.
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] += u8::try_from(n % 10).unwrap_or_default();
        n /= 10;
        if n == 0 {
            return out.extend_from_slice(&digits[at..]);
        }
    }
}

/// Appends what a line of syslog says.
pub fn syslog(out: &mut Vec<u8>, said: &Message) {
    out.extend_from_slice(b"{\"facility\":");
    number(out, said.facility().into());
    out.extend_from_slice(b",\"severity\":");
    number(out, said.severity().into());
    let Message { time, host, app, pid, msgid, .. } = said;
    let words = [("time", time), ("host", host), ("app", app), ("pid", pid), ("msgid", msgid)];
    for (key, value) in words {
        out.extend_from_slice(b",\"");
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
        string_or_null(out, *value);
    }
    out.extend_from_slice(b",\"data\":");
    data(out, &said.data);
    out.extend_from_slice(b",\"message\":");
    string(out, said.message);
    out.push(b'}');
}

/// `{ELEMENT: {NAME: VALUE}}`; a name that stands several times has an array of its values.
fn data(out: &mut Vec<u8>, data: &Data) {
    out.push(b'{');
    for (at, element) in data.elements().enumerate() {
        comma(out, at);
        string(out, element[0].id);
        out.extend_from_slice(b":{");
        let names = element.chunk_by(|a, b| a.name() == b.name());
        let names = names.filter_map(|params| Some((params[0].name()?, params)));
        for (at, (name, params)) in names.enumerate() {
            comma(out, at);
            string(out, name);
            out.push(b':');
            if let [param] = params {
                string(out, &param.value());
                continue;
            }
            out.push(b'[');
            for (at, param) in params.iter().enumerate() {
                comma(out, at);
                string(out, &param.value());
            }
            out.push(b']');
        }
        out.push(b'}');
    }
    out.push(b'}');
}

fn comma(out: &mut Vec<u8>, at: usize) {
    if at > 0 {
        out.push(b',');
    }
}

#[cfg(test)]
pub(in crate::sink) mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn read(write: impl FnOnce(&mut Vec<u8>)) -> Value {
        let mut out = Vec::new();
        write(&mut out);
        serde_json::from_slice(&out).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&out)))
    }

    /// A decoder that knows nothing of the encoder: bit by bit.
    pub(in crate::sink) fn unbase64(text: &str) -> Vec<u8> {
        let value = |c: u8| match c {
            b'A'..=b'Z' => c - b'A',
            b'a'..=b'z' => c - b'a' + 26,
            b'0'..=b'9' => c - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => panic!("{c}"),
        };
        assert_eq!(text.len() % 4, 0, "padded");
        let digits: Vec<u8> = text.trim_end_matches('=').bytes().map(value).collect();
        let bits: Vec<u8> = digits.iter().flat_map(|d| (0..6).rev().map(move |n| d >> n & 1)).collect();
        bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |n, bit| n << 1 | bit)).collect()
    }

    #[test]
    fn base64_is_that_of_the_rfc() {
        let cases =
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")];
        for (plain, encoded) in cases {
            assert_eq!(read(|out| base64(out, plain.as_bytes())), encoded);
        }
        assert_eq!(read(|out| base64(out, b"\xff\xfe\xfb")), "//77");
    }

    #[test]
    fn a_name_that_stands_several_times_has_all_its_values() {
        let line = r#"<13>1 - - - - - [b x="1" y="\"]" x="2"][a][b x="3"] hi"#;
        let said = crate::syslog::parse(line).unwrap();
        assert_eq!(
            read(|out| syslog(out, &said)),
            json!({"facility": 1, "severity": 5, "time": null, "host": null, "app": null, "pid": null, "msgid": null,
                   "data": {"a": {}, "b": {"x": ["1", "2", "3"], "y": "\"]"}}, "message": "hi"})
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_back_as_it_was(text in "(\\PC|[\\x00-\\x7f]){0,80}") {
            prop_assert_eq!(read(|out| string(out, &text)), text.as_str());
            let mut out = Vec::new();
            string(&mut out, &text);
            prop_assert!(out.len() >= text.len() + 2 && !out.contains(&b'\n'));
        }

        #[test]
        fn any_bytes_are_read_back_from_base64(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
            let text = read(|out| base64(out, &bytes));
            prop_assert_eq!(unbase64(text.as_str().unwrap()), bytes);
        }

        #[test]
        fn any_number_is_read_back(n: u64) {
            prop_assert_eq!(read(|out| number(out, n)), n);
        }

        #[test]
        fn whatever_syslog_says_is_one_object(line in "<[0-9]{1,3}>(1 )?([- a\\]\\[\":=é\\\\]|\\[a b=\"|\"\\]|\\x00){0,60}") {
            if let Some(said) = crate::syslog::parse(&line) {
                let object = read(|out| syslog(out, &said));
                prop_assert_eq!(object["message"].as_str(), Some(said.message));
            }
        }
    }
}
