//! What it costs that every batch is on the disk before the next one is written.

use std::path::Path;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bench::Fallible;
use crate::bench::results::{Outcome, Row};
use crate::bench::senders::{Flood, Writes};
use crate::bench::side::{Running, Side, Way};
use crate::bench::stop::wait_for;
use crate::bench::watch;

pub const J: &str = "j. 200 senders × 5,000 lines to a disk, --sync";
const NEVER: Row = Row::lower(J, "never, until the last line is in the file", "s");
const ALWAYS: Row = Row::lower(J, "always, until the last line is on the disk", "s");
/// Of one round: both times were taken one right after the other.
pub const RATIO: Row = Row::lower(J, "always ÷ never", "×");

/// Workload j. The peers cannot force anything to the disk.
pub fn always_beside_never(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    if side != Side::Reclog {
        return Ok(outcome);
    }
    // Not in memory: beside what cargo builds.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    if in_memory(folder.path()) {
        outcome.notes.push("no disk: the folder is in memory, so these figures prove nothing".into());
    }
    let file = folder.path().join("out.log");
    let never = one(stage, &file, "never", &mut outcome)?;
    let always = one(stage, &file, "always", &mut outcome)?;
    outcome.add(NEVER, never);
    outcome.add(ALWAYS, always);
    outcome.add(RATIO, always / never);
    Ok(outcome)
}

fn in_memory(folder: &Path) -> bool {
    // TMPFS_MAGIC of statfs(2).
    rustix::fs::statfs(folder).is_ok_and(|fs| i128::from(fs.f_type) == 0x0102_1994)
}

fn one(stage: &Stage, file: &Path, sync: &str, outcome: &mut Outcome) -> Fallible<f64> {
    let way = Way { file: Some(file.to_owned()), reclog: &["--sync", sync], ..Way::default() };
    let running = Running::start_as(stage.bed, stage.sshd, Side::Reclog, &way)?;
    let (senders, lines) = (200, stage.options.amount(5_000, 500));
    let bytes = senders as u64 * stage.corpus.length_of(lines);
    let flood = Flood { corpus: stage.corpus, senders, lines, writes: Writes::Lines };
    let sent = flood.run(running.port, |start| {
        let mut last = watch::until_length(&running.file, bytes)?;
        if sync == "always" {
            wait_for("the last fsync", Duration::from_secs(60), || {
                let status = running.status()?;
                let synced = status["collectors"][0]["streams"][0]["ledger"]["synced"].as_u64();
                Ok((synced >= Some(bytes)).then_some(()))
            })?;
            last = Instant::now();
        }
        Ok(last.duration_since(start).as_secs_f64())
    })?;
    outcome.notes.extend(sent.troubles);
    drop(sent.open);
    let verdict = stage.corpus.check(&running.file, senders, lines)?;
    // Of two files: the one with damage is the one to tell of.
    if outcome.verdict.is_none_or(|before| before.is_clean()) {
        outcome.verdict = Some(verdict);
    }
    running.stop()?;
    Ok(sent.seen)
}
