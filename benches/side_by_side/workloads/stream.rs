//! Bytes in bulk: one sender, many senders with rekeys, and what many senders cost the jump host.

use std::time::Instant;

use super::Stage;
use crate::bench::Fallible;
use crate::bench::corpus::BLOCK_LINES;
use crate::bench::results::{Outcome, Row};
use crate::bench::senders::{Flood, Sent, Writes};
use crate::bench::side::{Running, Side};
use crate::bench::usage::{self, Usage, mib};
use crate::bench::watch;

pub const A: &str = "a. one sender, 1 GiB";
pub const TIME: Row = Row::lower(A, "time", "s");
pub const CPU: Row = Row::lower(A, "receivers' CPU per GiB", "s");
pub const PEAK: Row = Row::lower(A, "receivers' peak memory, sum", "MiB");
const THROUGHPUT: Row = Row::higher(A, "throughput", "MiB/s");
const SSHD_CPU: Row = Row::lower(A, "sshd's CPU per GiB", "s");
const PEAK_MAX: Row = Row::lower(A, "largest receiver's peak memory", "MiB");
const SSHD_GROWTH: Row = Row::lower(A, "sshd session grew by", "MiB");

pub const F1: &str = "f1. 16 senders × 256 MiB, sshd rekeys every 256 MiB";
pub const F2: &str = "f2. 16 senders × 256 MiB, the client rekeys every 256 MiB";

pub const G: &str = "g. 16 senders × 64 MiB";
pub const JUMP_PEAK: Row = Row::lower(G, "sshd session's peak memory", "MiB");
const G_TIME: Row = Row::lower(G, "time", "s");
const G_GROWTH: Row = Row::lower(G, "sshd session grew by", "MiB");
const G_PEAK: Row = Row::lower(G, "receivers' peak memory, sum", "MiB");

/// A flood of whole blocks from first byte sent to last byte in the file, and what it cost.
struct Bulk {
    outcome: Outcome,
    seconds: f64,
    bytes: u64,
    usage: Usage,
}

fn bulk(stage: &Stage, running: &Running, senders: usize, bytes_each: u64) -> Fallible<Bulk> {
    let block = stage.corpus.length_of(BLOCK_LINES);
    let lines = (bytes_each / block).max(1) * BLOCK_LINES;
    let bytes = senders as u64 * stage.corpus.length_of(lines);
    let before = usage::before(running);
    let flood = Flood { corpus: stage.corpus, senders, lines, writes: Writes::Blocks };
    let Sent { seen, open, troubles } = flood.run(running.port, |start: Instant| {
        let seconds = watch::until_length(&running.file, bytes)?.duration_since(start).as_secs_f64();
        Ok((seconds, before.until_now(running)))
    })?;
    drop(open);
    let (seconds, usage) = seen;
    let verdict = Some(stage.corpus.check(&running.file, senders, lines)?);
    let outcome = Outcome { verdict, notes: troubles, ..Outcome::default() };
    Ok(Bulk { outcome, seconds, bytes, usage })
}

/// Workload a.
pub fn one_sender(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let amount = stage.options.amount(1 << 30, 128 << 20);
    let Bulk { mut outcome, seconds, bytes, usage } = bulk(stage, &running, 1, amount)?;
    let gib = mib(bytes) / 1024.0;
    outcome.add(TIME, seconds);
    outcome.add(THROUGHPUT, mib(bytes) / seconds);
    outcome.add(CPU, usage.receivers_cpu / gib);
    outcome.add(SSHD_CPU, usage.sshd_cpu / gib);
    outcome.add(PEAK, mib(usage.peak_sum));
    outcome.add(PEAK_MAX, mib(usage.peak_max));
    outcome.add(SSHD_GROWTH, mib(usage.sshd_growth));
    running.stop()?;
    Ok(outcome)
}

/// Workload g.
pub fn jump_host_memory(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let amount = stage.options.amount(64 << 20, 8 << 20);
    let Bulk { mut outcome, seconds, usage, .. } = bulk(stage, &running, 16, amount)?;
    outcome.add(JUMP_PEAK, mib(usage.sshd_peak));
    outcome.add(G_GROWTH, mib(usage.sshd_growth));
    outcome.add(G_PEAK, mib(usage.peak_sum));
    outcome.add(G_TIME, seconds);
    running.stop()?;
    Ok(outcome)
}

/// Workload f with the server's limit.
pub fn rekey_by_server(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let limit = format!("RekeyLimit {}", rekey_limit(stage));
    rekey(stage, side, &limit, &[], F1)
}

/// Workload f with the client's limit: russh ends the connection when more than two windows of data are on their way
/// after its own KEXINIT.
pub fn rekey_by_client(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let limit = format!("RekeyLimit={}", rekey_limit(stage));
    rekey(stage, side, "", &[&limit], F2)
}

fn rekey_limit(stage: &Stage) -> &'static str {
    stage.options.amount("256M", "64M")
}

fn rekey(
    stage: &Stage,
    side: Side,
    sshd_option: &str,
    ssh_options: &[&str],
    workload: &'static str,
) -> Fallible<Outcome> {
    // At DEBUG1 sshd tells of each key exchange, and of nothing that happens per packet.
    let sshd = stage.bed.sshd(&format!("LogLevel DEBUG1\n{sshd_option}"))?;
    let running = Running::start(stage.bed, &sshd, side, ssh_options)?;
    let amount = stage.options.amount(256 << 20, 16 << 20);
    let exchanges = || sshd.log().matches("SSH2_MSG_NEWKEYS received").count();
    let before = exchanges();
    let Bulk { mut outcome, seconds, .. } = bulk(stage, &running, 16, amount)?;
    outcome.add(Row::lower(workload, "time", "s"), seconds);
    let rekeys = exchanges() - before;
    outcome.add(Row::lower(workload, "rekeys", ""), rekeys as f64);
    if rekeys == 0 {
        outcome.notes.push("no rekey took place: this run proves nothing".into());
    }
    running.stop()?;
    Ok(outcome)
}
