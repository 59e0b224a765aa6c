//! Who is held back, what becomes of him, and that nothing of his is lost.

use tokio_util::sync::CancellationToken;

use super::super::nonce::{LENGTH, RANDOM};
use super::*;
use crate::audit::Trail;
use crate::intake::End;
use crate::ledger::{Senders, StreamLedger};
use crate::plan::{Output, StreamPlan};
use crate::sink::{Options, OutputFile, Sink};

const PORT: u16 = 514;

/// A lookout whose connections are numbers, and a stream behind it.
struct Stage {
    lookout: Lookout<u32, &'static str>,
    intake: Intake,
    sink: Sink,
    dir: tempfile::TempDir,
    /// What the handler has fetched.
    senders: HashMap<u32, Sender>,
}

impl Stage {
    fn new(max_connections: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let out = Output::file_at(dir.path().join("out"));
        let plan = StreamPlan { port: PORT, out, max_connections, ..StreamPlan::example() };
        let ledger = StreamLedger::new();
        let file = OutputFile::open(plan.out.name()).unwrap();
        let sink = Sink::start(file, ledger.clone(), Options::of(&plan, Trail::nowhere())).unwrap();
        let intake = Intake::new(plan, ledger, sink.handle(), Trail::nowhere());
        Self { lookout: Lookout::default(), intake, sink, dir, senders: HashMap::new() }
    }

    fn nonce(byte: u8) -> Nonce {
        Nonce::new(&[byte; RANDOM])
    }

    /// True: he is held back.
    fn connects(&self, id: u32, from: &str) -> bool {
        let wanted = self.lookout.wants(u32::from(PORT), from);
        if let Some(port) = wanted {
            self.lookout.hold(id, Held::new(port, self.intake.clone(), from.into(), "channel"));
        }
        wanted.is_some()
    }

    /// As the handler does it; the name of what was seen.
    fn came(&mut self, id: u32, data: Option<&[u8]>) -> &'static str {
        let seen = match self.lookout.came(id, data) {
            Seen::Unknown => "unknown",
            Seen::Kept => return "kept",
            Seen::Ours => return "ours",
            Seen::Sender(sender, _) => {
                self.senders.insert(id, sender);
                "sender"
            }
            Seen::TurnedAway => return "turned away",
        };
        if let Some(sender) = self.senders.get_mut(&id)
            && let Some(data) = data
        {
            sender.feed(data);
        }
        if data.is_none()
            && let Some(sender) = self.senders.remove(&id)
        {
            sender.end(End::Clean);
        }
        seen
    }

    fn counts(&self) -> Senders {
        self.intake.ledger().counts().senders
    }

    async fn file(self) -> String {
        let Self { senders, sink, dir, lookout, .. } = self;
        lookout.end();
        drop(senders);
        sink.finish(CancellationToken::new()).await;
        std::fs::read_to_string(dir.path().join("out")).unwrap()
    }
}

#[tokio::test]
async fn an_echo_is_known_and_counted_nowhere() {
    let mut stage = Stage::new(10);
    let mut comes = [1, 2].map(|n| stage.lookout.expect(PORT, Stage::nonce(n), Origin::Loopback));
    assert!(stage.connects(1, "127.0.0.1") && stage.connects(2, "::1") && stage.connects(3, "::ffff:127.0.0.9"));
    assert_eq!(stage.came(2, Some(Stage::nonce(2).line())), "ours");
    assert!(comes[1].comes.try_recv().is_ok() && comes[0].comes.try_recv().is_err());
    let line = Stage::nonce(1).line().to_vec();
    assert_eq!(stage.came(1, Some(&line[..20])), "kept");
    assert_eq!(stage.came(1, Some(&line[20..])), "ours");
    assert!(comes[0].comes.try_recv().is_ok());
    // Its end is nobody's.
    assert_eq!(stage.came(1, None), "unknown");
    assert_eq!((stage.counts().accepted, stage.counts().open), (1, 1), "the third was a sender");
    assert_eq!(stage.lookout.turned_away(), Vec::<&str>::new());
    assert_eq!(stage.file().await, "");
}

#[tokio::test]
async fn an_echo_counts_once_and_in_its_own_port_alone() {
    let mut stage = Stage::new(10);
    let mut comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    let mut other = stage.lookout.expect(PORT + 1, Stage::nonce(9), Origin::Loopback);
    for id in 1..=3 {
        assert!(stage.connects(id, "127.0.0.1"));
    }
    assert_eq!(stage.came(1, Some(Stage::nonce(9).line())), "sender", "that one belongs to another port");
    assert_eq!(stage.came(2, Some(Stage::nonce(1).line())), "ours");
    assert_eq!(stage.came(3, Some(Stage::nonce(1).line())), "sender", "a replay");
    assert!(comes.comes.try_recv().is_ok() && other.comes.try_recv().is_err());
    assert_eq!(stage.counts().accepted, 2);
    assert_eq!(stage.file().await.len(), 2 * LENGTH);
}

#[tokio::test]
async fn a_sender_is_one_at_its_first_byte_that_differs() {
    let mut stage = Stage::new(10);
    let _comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    assert!(stage.connects(1, "127.0.0.1") && stage.connects(2, "::1") && stage.connects(3, "127.0.0.1"));
    assert!(!stage.connects(4, "192.0.2.1") && !stage.connects(4, "a name"), "an echo comes from loopback alone");
    assert_eq!(stage.came(1, Some(b"hello\n")), "sender");
    assert_eq!(stage.came(1, Some(b"again\n")), "unknown");
    for byte in b"reclog-echo" {
        assert_eq!(stage.came(2, Some(&[*byte])), "kept");
    }
    assert_eq!(stage.came(2, Some(b"!\n")), "sender");
    // Too short for an echo, and over.
    assert_eq!(stage.came(3, Some(b"reclog-echo 12\n")), "kept");
    assert_eq!(stage.came(3, None), "sender");
    assert_eq!((stage.counts().accepted, stage.counts().open, stage.counts().cut), (3, 2, 0));
    assert_eq!(stage.file().await, "hello\nagain\nreclog-echo!\nreclog-echo 12\n");
}

#[tokio::test]
async fn whoever_is_held_at_the_end_is_a_sender_with_what_he_sent() {
    let mut stage = Stage::new(2);
    let comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    for id in 1..=3 {
        assert!(stage.connects(id, "127.0.0.1"));
    }
    assert_eq!(stage.came(2, Some(b"reclog-")), "kept");
    drop(comes);
    assert_eq!(stage.lookout.turned_away(), ["channel"], "there is no place for the third");
    assert_eq!((stage.counts().accepted, stage.counts().rejected["max_connections"]), (2, 1));
    assert!(!stage.connects(4, "127.0.0.1"), "nothing is expected any more");
    assert_eq!(stage.came(2, Some(b"x\n")), "sender");
    assert_eq!(stage.came(1, Some(b"late\n")), "sender");
    assert_eq!(stage.came(3, Some(b"lost\n")), "unknown");
    assert!(!stage.lookout.0.busy.load(Ordering::Acquire), "nobody asks any more");
    assert_eq!(stage.file().await, "reclog-x\nlate\n");
}

#[tokio::test]
async fn a_flood_of_those_held_back_is_bounded_and_the_oldest_goes_in() {
    let mut stage = Stage::new(100_000);
    let mut comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    for id in 0..10_000 {
        assert!(stage.connects(id, "127.0.0.1"));
    }
    assert_eq!(stage.lookout.lock().held.len(), MAX_HELD);
    assert_eq!(stage.lookout.lock().order.len(), MAX_HELD);
    assert_eq!(usize::try_from(stage.counts().accepted).unwrap(), 10_000 - MAX_HELD);
    assert_eq!(stage.came(9_999, Some(Stage::nonce(1).line())), "ours");
    assert!(comes.comes.try_recv().is_ok());
    assert_eq!(stage.came(0, Some(b"first\n")), "sender");
    assert_eq!(stage.file().await, "first\n");
}

#[tokio::test]
async fn with_the_connection_ends_who_was_held_back() {
    let mut stage = Stage::new(10);
    let _comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    for id in 1..=3 {
        assert!(stage.connects(id, "127.0.0.1"));
    }
    assert_eq!(stage.came(2, Some(b"reclog")), "kept");
    assert_eq!(stage.came(3, Some(&Stage::nonce(1).line()[..30])), "kept");
    stage.lookout.end();
    assert_eq!((stage.counts().accepted, stage.counts().cut, stage.counts().open), (1, 1, 0));
    assert!(!stage.lookout.0.busy.load(Ordering::Acquire));
    assert_eq!(stage.file().await, "reclog\n", "what was sent is kept");
}

#[tokio::test]
async fn an_echo_from_outside_comes_from_anywhere_and_tells_from_where() {
    let mut stage = Stage::new(10);
    let mut comes = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Anywhere);
    assert!(stage.connects(1, "192.0.2.1:4711") && stage.connects(2, "a name") && stage.connects(3, "2001:db8::1"));
    assert_eq!(stage.came(2, Some(b"hello\n")), "sender");
    assert_eq!(stage.came(1, Some(Stage::nonce(1).line())), "ours");
    assert_eq!(comes.comes.try_recv().unwrap(), "192.0.2.1:4711");
    assert_eq!((stage.counts().accepted, stage.counts().open), (2, 2), "nobody is held back for nothing");
    assert!(!stage.connects(4, "192.0.2.1"));
    assert_eq!(stage.file().await, "hello\n");
}

#[tokio::test]
async fn nobody_is_held_back_for_what_he_cannot_bring() {
    let mut stage = Stage::new(10);
    let near = stage.lookout.expect(PORT, Stage::nonce(1), Origin::Loopback);
    let far = stage.lookout.expect(PORT, Stage::nonce(2), Origin::Anywhere);
    assert!(stage.connects(1, "127.0.0.1:7") && stage.connects(2, "192.0.2.1:7"));
    drop(far);
    assert_eq!(stage.counts().accepted, 1, "the one from outside");
    assert!(!stage.connects(3, "192.0.2.1:8") && stage.connects(4, "127.0.0.1:8"));
    assert_eq!(stage.came(1, Some(Stage::nonce(2).line())), "sender", "that one is no longer expected");
    drop(near);
    assert_eq!(stage.counts().accepted, 3);
    assert_eq!(stage.file().await.len(), LENGTH);
}
