//! What a writer tells about itself: to the audit trail, the log, and `health`.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::audit::{Event, Trail};
use crate::ledger::{Stall, StreamLedger};

/// See the module.
#[derive(Debug)]
pub struct Voice {
    /// The stream.
    pub stream: String,
    /// The file, as it was asked for.
    pub output: PathBuf,
    /// Hears of it.
    pub trail: Trail,
    /// Nobody waits for it: it is one of the second outputs.
    pub side: bool,
}

impl Voice {
    /// The output takes nothing, for this `reason` (the end of a sentence). A new reason is the same stall.
    pub fn stall(&self, ledger: &StreamLedger, reason: &str) {
        let who = if self.side { "nobody waits for it" } else { "senders wait" };
        let sentence = format!("cannot write to {}: {reason}; {who}", self.output.display());
        let known = ledger.counts().stall;
        if known.as_ref().is_none_or(|s| s.sentence != sentence) {
            tracing::warn!("{sentence}");
            if known.is_none() {
                let (stream, output) = (self.stream.clone(), self.output.clone());
                if self.side {
                    self.tell(&sentence);
                } else {
                    self.trail.tell(&Event::Stall { stream, output, why: reason.to_owned() });
                }
            }
            let since = known.map_or_else(Timestamp::now, |s| s.since);
            let _ = ledger.set_stall(Some(Stall { since, sentence }));
        }
    }

    /// It takes bytes; that is told when it did not before.
    pub fn resume(&self, ledger: &StreamLedger) {
        if let Some(stall) = ledger.set_stall(None) {
            tracing::info!(path = %self.output.display(), "the output takes bytes again");
            let after_ms = u64::try_from(stall.since.duration_until(Timestamp::now()).as_millis()).unwrap_or_default();
            let (stream, output) = (self.stream.clone(), self.output.clone());
            if self.side {
                self.tell(&format!("{} takes records again", output.display()));
            } else {
                self.trail.tell(&Event::Resume { stream, output, after_ms });
            }
        }
    }

    /// It goes on in a new file; the old one has `bytes` and is called `archive` now, if it was put away here.
    pub fn turned(&self, archive: Option<PathBuf>, bytes: u64, why: &str) {
        let (stream, output) = (self.stream.clone(), self.output.clone());
        tracing::info!(path = %output.display(), ?archive, bytes, why, "the output goes on in a new file");
        self.trail.tell(&Event::Rotate { stream, output, archive, bytes, why: why.into() });
    }

    /// The file was lost in the middle of a record, of which it has `bytes`.
    pub fn left_half(&self, bytes: usize) {
        self.warn(&format!(
            "{} was taken away in the middle of a record and takes nothing more: the {bytes} bytes that it has of it \
             count as stored, and the whole record follows in the new file",
            self.output.display()
        ));
    }

    /// The file ended in the middle of a line, which has an end of ours now.
    pub fn mended(&self) {
        self.warn(&format!(
            "{} ended in the middle of a line, as after a crash; that line was ended with a newline",
            self.output.display()
        ));
    }

    /// Something that is no event of its own.
    pub fn warn(&self, sentence: &str) {
        tracing::warn!("{sentence}");
        self.tell(sentence);
    }

    fn tell(&self, sentence: &str) {
        self.trail.tell(&Event::Warn { message: format!("{}: {sentence}", self.stream) });
    }
}
