//! Many senders: at once, in quick succession, and idle.

use std::io::Write;
use std::time::Instant;

use super::Stage;
use crate::bench::Fallible;
use crate::bench::results::{Outcome, Row};
use crate::bench::senders::{Flood, Writes, connect, short_connections};
use crate::bench::side::{Running, Side};
use crate::bench::stop::interrupted;
use crate::bench::usage::{self, mib};
use crate::bench::watch;

pub const B: &str = "b. 200 senders × 1,000 lines";
const B_TIME: Row = Row::lower(B, "time", "s");
const B_CPU: Row = Row::lower(B, "receivers' CPU", "s");

pub const C: &str = "c. short connections, one line each, 16 at a time";
pub const RATE: Row = Row::higher(C, "connections per second", "/s");
const C_CPU: Row = Row::lower(C, "receivers' CPU per 1,000", "s");

pub const E: &str = "e. 1,000 open senders that sent one line";
pub const IDLE_PEAK: Row = Row::lower(E, "receivers' peak memory, sum", "MiB");
const IDLE_SHARED: Row = Row::lower(E, "the same, shared pages counted once", "MiB");
const IDLE_PROCESSES: Row = Row::lower(E, "receiving processes", "");
const IDLE_SSHD: Row = Row::lower(E, "sshd session's peak memory", "MiB");

/// Workload b.
pub fn two_hundred_senders(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let (senders, lines) = (200, 1_000);
    let bytes = senders as u64 * stage.corpus.length_of(lines);
    let before = usage::before(&running);
    let flood = Flood { corpus: stage.corpus, senders, lines, writes: Writes::Lines };
    let sent = flood.run(running.port, |start| {
        let seconds = watch::until_length(&running.file, bytes)?.duration_since(start).as_secs_f64();
        Ok((seconds, before.until_now(&running)))
    })?;
    let (seconds, usage) = sent.seen;
    drop(sent.open);
    let mut outcome = Outcome { notes: sent.troubles, ..Outcome::default() };
    outcome.add(B_TIME, seconds);
    outcome.add(B_CPU, usage.receivers_cpu);
    outcome.verdict = Some(stage.corpus.check(&running.file, senders, lines)?);
    running.stop()?;
    Ok(outcome)
}

/// Workload c. Fewer connections than reclog lets one address open in a second (`max_new`, 10,000): this is about
/// speed, not about limits.
pub fn short(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let count = stage.options.amount(4_000, 800);
    let bytes = count as u64 * stage.corpus.length_of(1);
    let before = usage::before(&running);
    let start = Instant::now();
    let troubles = short_connections(stage.corpus, running.port, count, 16);
    let seconds = watch::until_length(&running.file, bytes)?.duration_since(start).as_secs_f64();
    let usage = before.until_now(&running);
    let mut outcome = Outcome::default();
    outcome.notes.extend(troubles.first().map(|first| format!("{} connections failed: {first}", troubles.len())));
    outcome.verdict = Some(stage.corpus.check(&running.file, count, 1)?);
    let there = count as u64 - outcome.verdict.map_or(0, |verdict| verdict.missing);
    outcome.add(RATE, there as f64 / seconds);
    outcome.add(C_CPU, usage.receivers_cpu * 1_000.0 / count as f64);
    running.stop()?;
    Ok(outcome)
}

/// Workload e.
pub fn idle(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let senders = stage.options.amount(1_000, 200);
    let before = usage::before(&running);
    let mut open = Vec::with_capacity(senders);
    for sender in 0..senders {
        if interrupted() {
            return Err("interrupted".into());
        }
        let mut stream = connect(running.port)?;
        stream.write_all(&stage.corpus.line_of(sender))?;
        open.push(stream);
    }
    watch::until_length(&running.file, senders as u64 * stage.corpus.length_of(1))?;
    let usage = before.until_now(&running);
    drop(open);
    let mut outcome = Outcome::default();
    outcome.add(IDLE_PEAK, mib(usage.peak_sum));
    outcome.add(IDLE_SHARED, mib(usage.proportional));
    outcome.add(IDLE_PROCESSES, usage.processes as f64);
    outcome.add(IDLE_SSHD, mib(usage.sshd_peak));
    outcome.verdict = Some(stage.corpus.check(&running.file, senders, 1)?);
    running.stop()?;
    Ok(outcome)
}
