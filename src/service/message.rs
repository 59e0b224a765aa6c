//! What is said to the service manager, as sd_notify(3) has it; pure.

use std::time::Duration;

use crate::escape::escape_str;
use crate::ledger::{CollectorSnapshot, State};

/// Bytes of a status line: what `systemctl status` shows on one line of a wide terminal, several times over. A datagram of the
/// manager may have more.
const LONGEST_STATUS: usize = 1000;
/// A status that only counts on is sent so often at most: each one wakes whoever watches the manager.
const QUIET: Duration = Duration::from_secs(5);

/// Where the manager listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A socket in the file system.
    Path(String),
    /// A name of Linux' own, without the `@` or NUL before it.
    Abstract(String),
}

impl Address {
    /// What `NOTIFY_SOCKET` says; `None` for what is no address of a Unix socket.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        match value.strip_prefix('@') {
            Some("") => None,
            Some(name) => Some(Self::Abstract(name.to_owned())),
            None => value.starts_with('/').then(|| Self::Path(value.to_owned())),
        }
    }
}

/// The time within which the manager wants to hear from the process `pid`, from `WATCHDOG_USEC` and `WATCHDOG_PID`; `None`: it does
/// not.
#[must_use]
pub fn watchdog(usec: Option<&str>, of: Option<&str>, pid: u32) -> Option<Duration> {
    let usec: u64 = usec?.parse().ok().filter(|usec| *usec > 0)?;
    match of {
        Some(of) if of.parse() != Ok(pid) => None,
        _ => Some(Duration::from_micros(usec)),
    }
}

/// How a collector is, for a person who looks at the service: what is wrong, else what it does.
#[must_use]
pub fn status(snapshot: &CollectorSnapshot) -> String {
    let (mut open, mut received) = (0, 0);
    for stream in &snapshot.streams {
        open += stream.senders.open;
        received += stream.ledger.received;
    }
    let senders = if open == 1 { "1 sender".to_owned() } else { format!("{open} senders") };
    let text = match (snapshot.state, snapshot.health.as_slice()) {
        (State::Draining, _) => format!("draining, {senders}"),
        (_, [one]) => one.clone(),
        (_, [first, more @ ..]) => format!("{first} (and {} more)", more.len()),
        (State::Up, []) => format!("up, {senders}, {}", bytesize::ByteSize(received).display().si()),
        (state, []) => match &snapshot.target {
            Some(target) => format!("{} to {target}", state.as_str()),
            None => state.as_str().to_owned(),
        },
    };
    line(&text)
}

/// `text` as one line of a message: a line end in it would begin another word to the manager.
#[must_use]
pub fn line(text: &str) -> String {
    let text = escape_str(text);
    let mut end = text.len().min(LONGEST_STATUS);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// Which status lines are worth a message.
#[derive(Debug, Default)]
pub struct Bounds {
    /// The last one, what it was about, and when it was sent: time since any instant.
    last: Option<(String, (State, usize), Duration)>,
}

impl Bounds {
    /// Whether `text`, made of `snapshot`, is to be sent `now` (time since any instant): it says something new, and not only other
    /// figures within a short time.
    pub fn lets(&mut self, text: &str, snapshot: &CollectorSnapshot, now: Duration) -> bool {
        let about = (snapshot.state, snapshot.health.len());
        let worth = self.last.as_ref().is_none_or(|(last, was_about, at)| {
            last != text && (*was_about != about || now.saturating_sub(*at) >= QUIET)
        });
        if worth {
            self.last = Some((text.to_owned(), about, now));
        }
        worth
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{Ledger, Senders, StreamSnapshot};

    fn snapshot(state: State, health: &[&str], open: u64, received: u64) -> CollectorSnapshot {
        let stream = StreamSnapshot {
            name: "main".into(),
            remote_port: 1,
            socket: None,
            bind: "*".into(),
            framing: "lines".into(),
            format: "raw".into(),
            prefix: None,
            keywords: Vec::new(),
            reach: crate::ledger::Reach::Unproven,
            reach_checked: None,
            finding: None,
            outputs: Vec::new(),
            senders: Senders { open, ..Senders::default() },
            records: 0,
            split: 0,
            last_record: None,
            datagrams_lost: None,
            write_seconds: None,
            fsync_seconds: None,
            ledger: Ledger { received, ..Ledger::default() },
        };
        CollectorSnapshot {
            name: "c".into(),
            state,
            pid: 1,
            reclog: String::new(),
            target: Some("me@jump:22".into()),
            since: jiff::Timestamp::UNIX_EPOCH,
            reconnects: 0,
            last_error: None,
            last_error_kind: None,
            health: health.iter().map(|&s| s.to_owned()).collect(),
            metrics: None,
            streams: vec![stream],
        }
    }

    #[test]
    fn addresses_are_absolute_or_abstract() {
        assert_eq!(Address::parse("/run/systemd/notify"), Some(Address::Path("/run/systemd/notify".into())));
        assert_eq!(Address::parse("@/org/x"), Some(Address::Abstract("/org/x".into())));
        for none in ["", "@", "run/notify", "vsock:2:1234"] {
            assert_eq!(Address::parse(none), None, "{none}");
        }
    }

    #[test]
    fn the_watchdog_is_of_one_process() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
        assert_eq!(watchdog(Some("1000000"), Some("x"), 7), None);
        for none in [None, Some(""), Some("0"), Some("-1"), Some("1s")] {
            assert_eq!(watchdog(none, None, 7), None, "{none:?}");
        }
    }

    #[test]
    fn a_status_is_what_is_wrong_or_else_what_is_done() {
        let said = |state, health: &[&str], open| status(&snapshot(state, health, open, 1_234_567_890));
        assert_eq!(said(State::Up, &[], 3), "up, 3 senders, 1.2 GB");
        assert_eq!(said(State::Up, &[], 1), "up, 1 sender, 1.2 GB");
        assert_eq!(said(State::Stalled, &["the disk is full"], 3), "the disk is full");
        assert_eq!(said(State::Up, &["one", "two", "three"], 3), "one (and 2 more)");
        assert_eq!(said(State::Draining, &["one"], 2), "draining, 2 senders");
        assert_eq!(said(State::Connecting, &[], 0), "connecting to me@jump:22");
        let said = said(State::Up, &["a\nREADY=1\u{202e}"], 0);
        assert!(!said.contains('\n') && !said.contains('\u{202e}'), "{said:?}");
        assert!(line(&"ä".repeat(3000)).len() <= LONGEST_STATUS);
    }

    #[test]
    fn figures_alone_are_told_seldom_and_troubles_at_once() {
        let mut bounds = Bounds::default();
        let mut at = |seconds, state, health: &[&str], open| {
            let snapshot = snapshot(state, health, open, 0);
            bounds.lets(&status(&snapshot), &snapshot, Duration::from_secs(seconds))
        };
        assert!(at(0, State::Up, &[], 0));
        assert!(!at(1, State::Up, &[], 1));
        assert!(at(2, State::Stalled, &["full"], 1));
        assert!(!at(3, State::Stalled, &["full for 1 s"], 1));
        assert!(at(4, State::Up, &[], 1));
        assert!(!at(60, State::Up, &[], 1), "nothing new");
        assert!(at(61, State::Up, &[], 2));
    }
}
