//! A record becomes a message for a syslog daemon: RFC 5424, or as it came.

use jiff::Timestamp;

/// Facility `user` (1), severity `notice` (5): what logger(1) says of lines of which nobody said more.
const PRIORITY: u8 = 8 + 5;
/// The largest priority: facility 23, severity 7 (RFC 5424, section 6.2.1).
const MOST: u32 = 23 * 8 + 7;
/// The longest HOSTNAME and APP-NAME (RFC 5424, section 6).
const LONGEST_HOST: usize = 255;
const LONGEST_APP: usize = 48;

/// Whether a record says its priority itself (`<N>`): then it is a message already, of whichever RFC.
#[must_use]
pub fn is_message(record: &[u8]) -> bool {
    let Some(rest) = record.strip_prefix(b"<") else { return false };
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    let number = |digits: &[u8]| digits.iter().fold(0, |n, digit| n * 10 + u32::from(digit - b'0'));
    (1..=3).contains(&digits) && rest.get(digits) == Some(&b'>') && number(&rest[..digits]) <= MOST
}

/// What stands before the text of a record that came from `peer` (`ip:port`, or what stands for it) at `now`: facility
/// user, severity notice, the address of the sender as the host, and `app`.
#[must_use]
pub fn head(now: Timestamp, peer: &str, app: &str) -> String {
    format!("<{PRIORITY}>1 {now:.6} {} {} - - - ", name(host(peer), LONGEST_HOST), name(app, LONGEST_APP))
}

/// The address of a peer without its port; none of who came over a Unix socket.
fn host(peer: &str) -> &str {
    match peer.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if peer.starts_with("unix") => "",
        None => peer.rsplit_once(':').map_or(peer, |(address, _)| address),
    }
}

/// `text` as the head of a message takes it: printable ASCII without blanks, not longer than `most`, `-` for none.
fn name(text: &str, most: usize) -> String {
    let name: String = text.chars().take(most).map(|c| if c.is_ascii_graphic() { c } else { '_' }).collect();
    if name.is_empty() { "-".into() } else { name }
}

/// The count before a message over TCP (RFC 6587, section 3.4.1: octet counting).
#[must_use]
pub fn octet_count(message: &[u8]) -> String {
    format!("{} ", message.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_priority_is_one_to_three_digits_up_to_191_in_angle_brackets() {
        for message in ["<0>x", "<13>", "<191>1 - - - - - -", "<34>Oct 11 22:14:15 mymachine su: no", "<013>x"] {
            assert!(is_message(message.as_bytes()), "{message}");
        }
        for other in ["", "<", "<>", "<x>", "<192>x", "<999>", "<0013>x", "<13", "<13 >x", " <13>x", "13>x", "<-1>"] {
            assert!(!is_message(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_head_names_time_sender_and_app() {
        let now: Timestamp = "2026-11-21T22:14:15.003Z".parse().unwrap();
        let head = |peer, app| head(now, peer, app);
        assert_eq!(head("192.0.2.1:4711", "main"), "<13>1 2026-11-21T22:14:15.003000Z 192.0.2.1 main - - - ");
        assert_eq!(head("[2001:db8::1]:4711", "nginx"), "<13>1 2026-11-21T22:14:15.003000Z 2001:db8::1 nginx - - - ");
        assert_eq!(head("unix:uid=0,pid=1", ""), "<13>1 2026-11-21T22:14:15.003000Z - - - - - ");
        assert!(head("unix", &"x".repeat(99)).contains(&format!(" - {} - ", "x".repeat(48))));
        assert_eq!(octet_count(b"<13>x"), "5 ");
    }

    proptest! {
        #[test]
        fn whoever_sends_the_head_has_seven_words(peer in any::<String>(), app in any::<String>()) {
            let head = head(Timestamp::UNIX_EPOCH, &peer, &app);
            prop_assert_eq!(head.split(' ').count(), 8, "{}", head);
            prop_assert!(head.is_ascii() && is_message(head.as_bytes()) && !head.contains('\n'));
        }

        #[test]
        fn no_record_is_too_strange(record in prop::collection::vec(any::<u8>(), 0..12)) {
            let _ = is_message(&record);
        }
    }
}
