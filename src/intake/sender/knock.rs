//! What a sender says at the gate, and what becomes of it.

use std::sync::Arc;

use super::super::answers::Answers;
use super::super::gate::Step;
use super::super::why::{End, Kind};
use super::super::{GATE, Reject};
use super::{Sender, Stage};

impl Sender {
    /// Its first words.
    pub(super) fn knock(&mut self, bytes: &[u8]) {
        let Stage::Before(gate) = &mut self.stage else { return };
        let (intake, held) = (&self.intake, gate.held() as u64);
        let step = gate.feed(bytes, |word| intake.keywords.name_of(word));
        let (taken, verdict) = match step {
            Step::More => return intake.ledger.received(bytes.len() as u64, 0, 0),
            Step::In { name, rest } => (bytes.len() - rest.len(), self.pass(&name)),
            Step::Out(why) => (bytes.len(), Err(self.fail(why))),
        };
        let rest = match verdict {
            Ok(()) => &bytes[taken..],
            Err(_) => &[],
        };
        let taken = bytes.len() - rest.len();
        self.intake.ledger.received(taken as u64, 0, 0);
        let reason = verdict.err().map_or(GATE, End::as_str);
        self.intake.ledger.discarded(reason, held + taken as u64);
        if !rest.is_empty() {
            self.take(rest);
        }
    }

    /// It has said the keyword of this name.
    fn pass(&mut self, name: &Arc<str>) -> Result<(), End> {
        if !self.leave_gate() {
            return Err(self.gone());
        }
        let (intake, meta) = (&self.intake, &mut self.meta);
        intake.passed(self.ip);
        match intake.open(&meta.peer, self.ip, Some(name), false, Kind::Connection) {
            Ok(connection) => {
                (meta.connection, meta.keyword) = (connection, Some(Arc::clone(name)));
                self.stage = Stage::In { wanted: 0 };
                self.answers.iter().for_each(Answers::let_in);
                if self.intake.needs_watch() {
                    self.hear();
                } else if let Some(ticket) = self.ticket.take() {
                    self.intake.watch.leave(&ticket);
                }
                Ok(())
            }
            Err(why) => Err(self.leave(End::TurnedAway(why))),
        }
    }

    /// It has said something else.
    fn fail(&mut self, why: Reject) -> End {
        if !self.leave_gate() {
            return self.gone();
        }
        self.intake.turn_away_at_gate(&self.meta.peer, why, why.is_failure());
        self.leave(End::TurnedAway(why))
    }

    /// False: it was sent away at the same time, and that is told.
    pub(super) fn leave_gate(&self) -> bool {
        self.ticket.as_ref().is_some_and(|ticket| self.intake.watch.leave_gate(ticket))
    }

    /// Somebody was faster.
    fn gone(&mut self) -> End {
        let why = self.ousted().unwrap_or(End::TurnedAway(Reject::Gate));
        self.leave(why)
    }

    fn leave(&mut self, why: End) -> End {
        self.stage = Stage::Out;
        self.end = Some(why);
        why
    }
}
