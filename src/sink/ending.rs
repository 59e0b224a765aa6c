//! The end of the outputs of a stream: what is queued is written, or given up and kept elsewhere.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::Sink;
use super::rescue::Rescue;
use super::side::{too_long, were};
use super::writer::Ended;

/// The reason in the ledger for bytes that a given-up output never took and that are nowhere.
pub const LOST: &str = "lost";
/// The reason in the ledger for bytes that a given-up output never took and that stand in a rescue file.
pub const RESCUED: &str = "rescued";

/// A writer that was told to give up looks at the flag between two system calls; one that hangs in one (a dead network
/// disk) is not waited for.
const LAST_CALL: Duration = Duration::from_secs(1);
/// When the first output has everything, the second ones get so long for what is still queued, or for coming to an end:
/// nobody waits for them.
const SIDES: Duration = Duration::from_secs(2);

/// How an output ended.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The stream.
    pub stream: String,
    /// Payload bytes that did not get into the file.
    pub lost: u64,
    /// Where they are instead.
    pub rescue: Option<PathBuf>,
    /// Why, and other trouble, in sentences.
    pub trouble: Vec<String>,
    /// What became of the second outputs, in sentences.
    pub notes: Vec<String>,
}

impl Sink {
    /// As [`Sink::finish_or_rescue`], with no place for what is given up.
    pub async fn finish(self, give_up: CancellationToken) -> Report {
        self.finish_or_rescue(give_up, None).await
    }

    /// Writes what is queued, forces it to the disk and ends the threads. When `give_up` is cancelled the rest is given up:
    /// it goes where `rescue` says and is discarded as [`RESCUED`] in the ledger, or as [`LOST`] when it cannot be kept.
    /// What second outputs leave is lost to them. No sender may be in any more.
    pub async fn finish_or_rescue(mut self, give_up: CancellationToken, rescue: Option<Rescue>) -> Report {
        let sides = self.handle.sides.clone();
        let also = std::mem::take(&mut self.also);
        let hurry = give_up.child_token();
        let ends: Vec<_> = also.into_iter().map(|side| tokio::spawn(side.end(hurry.clone(), None))).collect();
        let (mut report, _) = self.end(give_up, rescue).await;
        let patience = tokio::spawn(async move {
            tokio::time::sleep(SIDES).await;
            hurry.cancel();
        });
        for (side, end) in sides.all.iter().zip(ends) {
            if let Ok((ended, left)) = end.await {
                side.left(left);
                report.notes.extend(ended.trouble);
            }
            if side.lost() > 0 {
                report.notes.push(format!("{} lost to {}", were(side.lost()), side.path.display()));
            }
        }
        patience.abort();
        report
    }

    /// Ends one output. With the report comes how many records are left.
    async fn end(mut self, give_up: CancellationToken, rescue: Option<Rescue>) -> (Report, u64) {
        let queue = Arc::clone(&self.handle.queue);
        queue.close();
        let path = self.path.display().to_string();
        let died = |_| Ended { trouble: Some(format!("the writer of {path} died")), ..Ended::default() };
        let (ended, hangs) = tokio::select! {
            done = &mut self.done => (done.unwrap_or_else(died), false),
            () = give_up.cancelled() => {
                queue.abandon();
                match tokio::time::timeout(LAST_CALL, &mut self.done).await {
                    Ok(done) => (done.unwrap_or_else(died), false),
                    Err(_) => (Ended { trouble: Some(format!("{path} does not answer")), ..Ended::default() }, true),
                }
            }
        };
        let mut trouble: Vec<String> = ended.trouble.into_iter().collect();
        let rest = queue.take_rest();
        let left = rest.records(self.lines) + ended.unread;
        let counts = self.ledger.counts();
        let pending = counts.ledger.pending;
        // What was left out before is nowhere, whatever becomes of the rest.
        let gone = counts.ledger.discarded.get(LOST).copied().unwrap_or_default();
        trouble.extend(too_long(&path, queue.left_out()));
        let mut kept = None;
        if pending > 0 {
            if hangs && let Some((batch, written)) = &rest.flight {
                trouble.push(format!(
                    "a write to {path} hangs: of the {} bytes that it was given some may turn up there all the same",
                    batch.len() - written
                ));
            }
            if let Some(rescue) = rescue {
                match rescue.keep(&self.stream, self.root.as_deref(), &ended.mend, rest).await {
                    Ok(path) => kept = Some(path),
                    Err(why) => trouble.push(why),
                }
            }
            self.ledger.discarded(if kept.is_some() { RESCUED } else { LOST }, pending);
        }
        let sync = counts.sync_trouble.map(|why| format!("cannot force {path} to the disk: {why}"));
        let trouble = trouble.into_iter().chain(sync).collect();
        (Report { stream: self.stream, lost: pending + gone, rescue: kept, trouble, notes: Vec::new() }, left)
    }
}
