//! One event as one line: JSON without a raw byte that a terminal would act on.

use std::io;

use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;

use super::{Entry, Event};
use crate::escape::acts;

/// Compact JSON in which DEL, C1 and bidi characters are escaped by their numbers, too. C0 is by JSON's own rules, and strings
/// read the same after parsing.
struct Careful;

impl Formatter for Careful {
    fn write_string_fragment<W: ?Sized + io::Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        // Nearly everything is plain ASCII, and goes through as it is.
        if fragment.bytes().all(|b| b < 0x7f) {
            return writer.write_all(fragment.as_bytes());
        }
        let mut rest = fragment;
        while let Some(at) = rest.find(acts) {
            let c = rest[at..].chars().next().unwrap_or_default();
            writer.write_all(&rest.as_bytes()[..at])?;
            // All of them lie below U+10000: one unit of UTF-16.
            write!(writer, "\\u{:04x}", u32::from(c))?;
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }
}

/// Appends the line of `entry` to `out`, its LF included.
pub fn append(entry: &Entry, out: &mut Vec<u8>) {
    let start = out.len();
    if let Err(error) = entry.serialize(&mut Serializer::with_formatter(&mut *out, Careful)) {
        // A path that is no UTF-8. What can be said of it is still worth a line.
        out.truncate(start);
        let message = format!("this event cannot be written as JSON ({error}): {:?}", entry.event);
        let instead = Entry { ts: entry.ts, seq: entry.seq, event: Event::Warn { message } };
        let _ = instead.serialize(&mut Serializer::with_formatter(&mut *out, Careful));
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn line(event: Event) -> String {
        let mut out = Vec::new();
        append(&Entry { ts: Timestamp::from_microsecond(1_795_275_220_120_000).unwrap(), seq: 7, event }, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_an_object_with_time_number_and_event_first() {
        let event =
            Event::SenderOpen { stream: "main".into(), peer: "192.0.2.7:4711".into(), connection: 3, keyword: None };
        assert_eq!(
            line(event),
            "{\"ts\":\"2026-11-21T15:33:40.120000Z\",\"seq\":7,\"event\":\"sender_open\",\"stream\":\"main\",\
             \"peer\":\"192.0.2.7:4711\",\"connection\":3}\n"
        );
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped_in_the_file() {
        let message = "\t\x1b[2J\x7f\u{9b}31m\u{202e}evil\u{2066} \u{2028}grün 日本 😀 \\ \"".to_owned();
        let line = line(Event::Warn { message });
        assert!(
            line.contains("\\t\\u001b[2J\\u007f\\u009b31m\\u202eevil\\u2066 \\u2028grün 日本 😀 \\\\ \\\""),
            "{line}"
        );
    }

    #[test]
    fn a_path_that_is_no_text_is_told_in_other_words() {
        use std::os::unix::ffi::OsStringExt as _;
        let output = std::ffi::OsString::from_vec(b"/o/\xff".to_vec()).into();
        let line = line(Event::Resume { stream: "main".into(), output, after_ms: 1 });
        let entry: Entry = serde_json::from_str(&line).unwrap();
        assert!(
            matches!(entry.event, Event::Warn { message } if message.contains("Resume") && message.contains("/o/"))
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back_and_the_file_holds_nothing_that_acts(
            message in "(\\PC|[\\x00-\\x1f\\x7f-\\u{9f}\\u{2028}-\\u{202e}\\u{2066}-\\u{2069}]){0,60}",
            any in any::<String>(),
        ) {
            for message in [message, any] {
                let event = Event::Warn { message };
                let line = line(event.clone());
                let (body, end) = line.split_at(line.len() - 1);
                prop_assert_eq!(end, "\n");
                prop_assert!(!body.contains(acts), "{:?}", body);
                prop_assert_eq!(serde_json::from_str::<Entry>(body).unwrap().event, event);
            }
        }
    }
}
