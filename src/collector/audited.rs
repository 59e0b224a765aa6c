//! Beginning and end of a collector in the audit trail, and what became of the one before.

use std::path::Path;

use jiff::Timestamp;

use super::flight::{self, RECEIVE_BUFFER, Way};
use crate::archive;
use crate::audit::before::Unended;
use crate::audit::{Event, Trail};
use crate::control::Handover;
use crate::error::Result;
use crate::intake::MAX_UNFINISHED;
use crate::ledger::{Ledger, StreamSnapshot};
use crate::plan::{Output, Plan, To};
use crate::sink;

/// What may have been taken and not yet written, in bytes for each output: its queue, and what waits beside it for a line
/// end.
const OF_AN_OUTPUT: u64 = (sink::QUEUE + MAX_UNFINISHED) as u64;

/// Begins the trail of `plan` in the collector's state `folder`.
///
/// # Errors
/// When there can be no trail: then there is no collector either.
pub fn begin(folder: &Path, plan: &Plan, target: Option<&str>) -> Result<Trail> {
    let (trail, before) = Trail::open(folder)?;
    let mut events = vec![Event::Start {
        reclog: env!("CARGO_PKG_VERSION").into(),
        pid: std::process::id(),
        target: target.map(str::to_owned),
        outputs: plan.streams.iter().map(|stream| stream.out.name().to_owned()).collect(),
    }];
    if let Some(before) = before {
        let written = before.outputs.iter().filter_map(|output| written(output.as_path())).max();
        let datagrams = flight::datagrams_at_most(plan);
        events.extend(aftermath(&before, written, Timestamp::now(), Way::of(plan), datagrams));
    }
    // Together: a start without its gap would hide the crash from the next one.
    trail.tell_all(&events);
    Ok(trail)
}

/// Ends it: `streams` as they are at the end, and why, when it was not `down` that asked for it. A `gap` that the collector
/// before has left is told by one that could not begin.
pub async fn end(trail: &Trail, streams: &[StreamSnapshot], gap: Option<Handover>, why: Option<&str>) {
    if let Some(gap) = gap {
        trail.tell(&ended(gap));
    }
    let ledgers = || streams.iter().map(|stream| &stream.ledger);
    trail.tell(&Event::Stop {
        stored: ledgers().map(|ledger| ledger.stored).sum(),
        lost: ledgers().map(missing).sum(),
        why: why.map(str::to_owned),
    });
    trail.finish().await;
}

/// A gap that is over now.
#[must_use]
pub fn ended(gap: Handover) -> Event {
    let Handover { from, senders_cut, bytes_at_most } = gap;
    Event::Gap { from, to: Timestamp::now(), senders_cut, bytes_at_most }
}

/// Payload bytes that are not in the output, as `down` counts them: those in a rescue file among them.
fn missing(ledger: &Ledger) -> u64 {
    let discarded = |reason: &str| ledger.discarded.get(reason).unwrap_or(&0);
    ledger.pending + discarded(sink::LOST) + discarded(sink::RESCUED)
}

/// When a file, or one of those of a template, was written to last.
fn written(output: &Path) -> Option<Timestamp> {
    let modified = match Output::parse(output).ok()?.to() {
        To::Files(template) => archive::made(template).ok()?.first()?.modified,
        _ => std::fs::metadata(output).ok()?.modified().ok()?,
    };
    Timestamp::try_from(modified).ok()
}

/// What is told of a collector that ended without a word, whose senders came as ours do. `written`: when one of its outputs was written to last.
fn aftermath(before: &Unended, written: Option<Timestamp>, now: Timestamp, way: Way, datagrams: u64) -> [Event; 2] {
    let who =
        before.pid.map_or_else(|| "the collector before".into(), |pid| format!("the collector before, pid {pid},"));
    let life = written.map_or(before.last, |written| written.max(before.last)).min(now);
    // What an output that stalled did not take has waited since the stall began. A sender that was in may have sent half a
    // line long ago, which was held in memory for its end, and a line that waited in the queue may be older than one of
    // another sender that is written: of senders that were in, nothing is promised since the first of them came.
    // Those that an earlier cut had met, and whose gap nobody was left to tell, are told of here.
    let (cut, were_cut) = before.cut.unzip();
    let from = [before.stalled, before.oldest, cut].into_iter().flatten().fold(life, Timestamp::min);
    let senders_cut = before.open + were_cut.unwrap_or(0);
    let outputs = before.outputs.len().max(1) as u64;
    [
        Event::Warn { message: format!("{who} ended without a word: it was killed, or the machine went down") },
        Event::Gap {
            from,
            to: now,
            senders_cut,
            bytes_at_most: flight::bytes_at_most(senders_cut, RECEIVE_BUFFER, way)
                .saturating_add(datagrams + outputs * OF_AN_OUTPUT),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn gap(oldest: Option<i64>, stalled: Option<i64>, written: Option<i64>) -> (i64, i64, u64, u64) {
        gap_after(oldest, stalled, None, written)
    }

    fn gap_after(
        oldest: Option<i64>,
        stalled: Option<i64>,
        cut: Option<(i64, u64)>,
        written: Option<i64>,
    ) -> (i64, i64, u64, u64) {
        let cut = cut.map(|(from, senders)| (at(from), senders));
        let outputs = vec!["/a".into(), "/b".into()];
        let (oldest, stalled) = (oldest.map(at), stalled.map(at));
        let before = Unended { pid: Some(7), last: at(100), outputs, open: 3, oldest, stalled, cut };
        match aftermath(&before, written.map(at), at(200), Way::Forward, 0) {
            [Event::Warn { message }, Event::Gap { from, to, senders_cut, bytes_at_most }] => {
                assert!(message.contains("pid 7"));
                (from.as_second(), to.as_second(), senders_cut, bytes_at_most)
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_gap_begins_with_the_last_sign_of_life() {
        let bound = flight::bytes_at_most(3, RECEIVE_BUFFER, Way::Forward) + 2 * OF_AN_OUTPUT;
        assert_eq!(gap(None, None, None), (100, 200, 3, bound));
        assert_eq!(gap(None, None, Some(90)), (100, 200, 3, bound));
        assert_eq!(gap(None, None, Some(150)), (150, 200, 3, bound));
        assert_eq!(gap(None, None, Some(900)), (200, 200, 3, bound), "a clock that was set back");
        assert_eq!(gap(None, Some(50), Some(150)), (50, 200, 3, bound), "since the stall began");
    }

    #[test]
    fn a_gap_that_nobody_was_left_to_tell_is_told() {
        let bound = flight::bytes_at_most(10, RECEIVE_BUFFER, Way::Forward) + 2 * OF_AN_OUTPUT;
        assert_eq!(gap_after(Some(60), None, Some((30, 7)), Some(150)), (30, 200, 10, bound));
        assert_eq!(gap_after(Some(20), None, Some((30, 7)), Some(150)).0, 20);
    }

    #[test]
    fn a_gap_begins_no_later_than_the_first_sender_that_was_in() {
        let from = |oldest, stalled, written| gap(oldest, stalled, written).0;
        assert_eq!(from(Some(40), None, Some(150)), 40, "half a line may be that old");
        assert_eq!(from(Some(40), Some(50), None), 40);
        assert_eq!(from(Some(60), Some(50), None), 50);
        assert_eq!(from(Some(900), None, None), 100, "a clock that was set back");
    }
}
