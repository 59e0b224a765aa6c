//! The lives of the connection as the audit trail tells them: made, cut, made again, and what may be missing between.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::audited;
use super::flight::{self, RECEIVE_BUFFER, Way};
use crate::audit::Event;
use crate::control::Handover;
use crate::ledger::StreamLedger;
use crate::plan::StreamPlan;
use crate::ssh::{Past, Settings};

/// After a stall, what waited on the way is worked off within this time: queue, windows and kernels were full.
const CATCHING_UP: Duration = Duration::from_secs(30);

/// Senders that were cut.
#[derive(Debug, Clone, Copy, Default)]
struct Toll {
    /// Connections, and addresses that were still sending datagrams.
    senders: u64,
    /// The connections among them.
    connections: u64,
}

/// Who hears of it.
pub type Tell = Box<dyn Fn(&Event) + Send>;

/// See the module.
pub struct Lives {
    tell: Tell,
    ledgers: Vec<StreamLedger>,
    /// What is known of the jump host.
    past: Arc<Past>,
    /// How senders come.
    way: Way,
    /// Bytes of datagrams that may be on their way, whoever sent them.
    datagrams: u64,
    /// The jump host; none for ports of this machine.
    target: Option<String>,
    /// A connection may be dead for so long before it is noticed; `None`: for ever.
    unnoticed: Option<Duration>,
    /// When this life began; none before the first.
    since: Option<Timestamp>,
    /// Senders cut in earlier lives.
    cut_before: Toll,
    /// It is over: nothing is missing before this.
    gap: Option<Timestamp>,
    /// What the jump host may hold of one sender, as it was then.
    receive_buffer: u64,
    /// Attempts since.
    attempts: u64,
    /// What the collector before has left, and nobody has told yet.
    inherited: Option<Handover>,
}

impl Lives {
    /// Before the first one.
    #[must_use]
    pub fn new(
        tell: Tell,
        ledgers: Vec<StreamLedger>,
        settings: Option<&Settings>,
        past: Arc<Past>,
        way: Way,
        datagrams: u64,
    ) -> Self {
        let unnoticed = settings.and_then(|s| {
            let rounds = u32::try_from(s.keepalive_count + 1).ok()?;
            s.keepalive?.checked_mul(rounds)
        });
        let target = settings.map(Settings::target);
        Self {
            tell,
            ledgers,
            past,
            way,
            datagrams,
            target,
            unnoticed,
            since: None,
            cut_before: Toll::default(),
            gap: None,
            receive_buffer: RECEIVE_BUFFER,
            attempts: 0,
            inherited: None,
        }
    }

    /// A gap that the collector before has left.
    pub fn inherit(&mut self, gap: Option<Handover>) {
        self.inherited = gap;
        self.gap = gap.map(|gap| gap.from);
    }

    /// Another attempt begins.
    pub fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// The connection is there: `ports` are those of the streams.
    pub fn began<'a>(&mut self, ports: impl Iterator<Item = (&'a StreamPlan, u16)>) {
        let gap = self.gap.take();
        if let Some(target) = self.target.clone() {
            (self.tell)(&match self.since {
                None => Event::Connect { target },
                Some(_) => Event::Reconnect { target, attempts: self.attempts },
            });
        }
        for (StreamPlan { name, bind, transport, .. }, remote_port) in ports {
            let socket = transport.socket().map(Path::to_path_buf);
            (self.tell)(&Event::Forward { stream: name.clone(), bind: bind.clone(), remote_port, socket });
        }
        if let Some(from) = gap {
            self.tell_gap(from);
        }
        (self.since, self.cut_before, self.attempts) = (Some(Timestamp::now()), self.cut(), 0);
    }

    /// The connection is lost: whoever is in is cut.
    pub fn ended(&mut self, why: &str) {
        let (Some(since), None) = (self.since, self.gap) else { return };
        let open: u64 = self.ledgers.iter().map(|l| l.counts().senders.open).sum();
        let senders_cut = self.cut_since().senders + open;
        self.receive_buffer = self.past.receive_buffer().unwrap_or(RECEIVE_BUFFER);
        // What was sent and never received may be as old as this.
        let now = Timestamp::now();
        let alive = self.unnoticed.and_then(|unnoticed| now.checked_sub(unnoticed).ok());
        // In front of an output that took nothing it is older still.
        let waited = self.ledgers.iter().filter_map(|ledger| ledger.waited_since(CATCHING_UP, now)).min();
        let from = alive.unwrap_or(since).min(waited.unwrap_or(now)).max(since);
        // Told at once: whoever is killed before the connection is back tells no gap.
        (self.tell)(&Event::Cut { why: why.to_owned(), senders_cut, from });
        self.gap = Some(from);
    }

    /// `down` begins to wait for senders.
    pub fn draining(&mut self) {
        self.since = self.since.map(|_| Timestamp::now());
    }

    /// The collector ends.
    pub fn over(mut self) {
        let cut = self.cut_since().senders > 0;
        if let Some(from) = self.gap.take().or(self.since.filter(|_| cut)) {
            self.tell_gap(from);
        }
    }

    /// As [`over`](Self::over), when another collector takes over: it tells the gap, when the ports are open again. There is
    /// one, whoever was cut: nobody could come in.
    #[must_use]
    pub fn handed_over(self) -> Handover {
        // Told at once: a successor that is killed tells no gap.
        let senders_cut = self.cut_since().senders;
        let from = self.gap.or(self.since).unwrap_or_else(Timestamp::now);
        if senders_cut > 0 && self.gap.is_none() {
            (self.tell)(&Event::Cut { why: "reclog restart".into(), senders_cut, from });
        }
        self.gap_from(from)
    }

    fn tell_gap(&mut self, from: Timestamp) {
        let gap = match self.inherited.take() {
            Some(gap) => Handover { from, ..gap },
            None => self.gap_from(from),
        };
        (self.tell)(&audited::ended(gap));
    }

    fn gap_from(&self, from: Timestamp) -> Handover {
        let Toll { senders: senders_cut, connections } = self.cut_since();
        // An address has no buffers of its own. Datagrams that came to a port that is shut are lost without a trace.
        let bytes_at_most =
            flight::bytes_at_most(connections, self.receive_buffer, self.way).saturating_add(self.datagrams);
        Handover { from, senders_cut, bytes_at_most }
    }

    /// Cut in this life.
    fn cut_since(&self) -> Toll {
        let (Toll { senders, connections }, before) = (self.cut(), self.cut_before);
        Toll { senders: senders - before.senders, connections: connections - before.connections }
    }

    /// Cut since the start.
    fn cut(&self) -> Toll {
        self.ledgers.iter().map(StreamLedger::counts).fold(Toll::default(), |sum, counts| Toll {
            senders: sum.senders + counts.senders.cut,
            connections: sum.connections + (counts.senders.cut - counts.addresses.cut),
        })
    }
}

#[cfg(test)]
#[path = "lives_tests.rs"]
mod tests;
