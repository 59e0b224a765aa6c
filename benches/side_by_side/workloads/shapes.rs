//! What framing and the shape of records cost, on plain TCP: no cipher and no jump host hides it.

use super::Stage;
use crate::bench::Fallible;
use crate::bench::corpus::BLOCK_LINES;
use crate::bench::plain::{Plain, Stream};
use crate::bench::results::{Outcome, Row};
use crate::bench::shape::{RECLOG_FRONT, RSYSLOG_FRONT, Shape};
use crate::bench::side::Side;

pub const K: &str = "k. one sender over plain TCP, 1 GiB, framings";
pub const RAW: Row = Row::higher(K, "raw", "MB/s");
pub const LINES: Row = Row::higher(K, "lines", "MB/s");
pub const SYSLOG: Row = Row::higher(K, "syslog, LF", "MB/s");
pub const COUNTED: Row = Row::higher(K, "syslog, octet counts", "MB/s");
pub const GATE: Row = Row::higher(K, "lines after a keyword", "MB/s");
const RAW_CPU: Row = Row::lower(K, "raw, CPU per GB", "s");
const LINES_CPU: Row = Row::lower(K, "lines, CPU per GB", "s");
const SYSLOG_CPU: Row = Row::lower(K, "syslog, LF, CPU per GB", "s");
const COUNTED_CPU: Row = Row::lower(K, "syslog, octet counts, CPU per GB", "s");
const GATE_CPU: Row = Row::lower(K, "lines after a keyword, CPU per GB", "s");

pub const L: &str = "l. one sender over plain TCP, 512 MiB, reclog beside rsyslog (imtcp, omfile)";
pub const PREFIX: Row = Row::higher(L, "reclog, format prefix", "MB/s");
pub const JSON: Row = Row::higher(L, "reclog, format json", "MB/s");
pub const RSYSLOG: Row = Row::higher(L, "rsyslog, time and address in front", "MB/s");
const PREFIX_CPU: Row = Row::lower(L, "reclog, format prefix, CPU per GB", "s");
const JSON_CPU: Row = Row::lower(L, "reclog, format json, CPU per GB", "s");
const RSYSLOG_CPU: Row = Row::lower(L, "rsyslog, CPU per GB", "s");

/// What rsyslog puts in front of a line.
pub const TEMPLATE: &str = "%timegenerated:::date-rfc3339% %fromhost-ip% %rawmsg%";

/// One way of writing lines.
struct Case<'a> {
    rows: [Row; 2],
    first: &'a [u8],
    counted: bool,
    shape: Shape,
}

fn measure(stage: &Stage, to: Plain, bytes: u64, case: &Case, outcome: &mut Outcome) -> Fallible<()> {
    let lines = (bytes / stage.corpus.length_of(BLOCK_LINES)).max(1) * BLOCK_LINES;
    let stream = Stream { corpus: stage.corpus, first: case.first, counted: case.counted, lines };
    let before = to.cpu();
    let length = case.shape.length_of(stage.corpus, lines);
    let seconds = stream.run(&to, length)?;
    // What came in and is stored: a front of ours is no throughput, a priority that was sent is.
    let payload = if case.counted { length } else { stage.corpus.length_of(lines) };
    let megabytes = payload as f64 / 1e6;
    outcome.add(case.rows[0], megabytes / seconds);
    outcome.add(case.rows[1], (to.cpu() - before) * 1_000.0 / megabytes);
    let verdict = stage.corpus.check_shaped(&to.file, 1, lines, case.shape)?;
    // Of several files: the one with damage is the one to tell of.
    if outcome.verdict.is_none_or(|before| before.is_clean()) {
        outcome.verdict = Some(verdict);
    }
    to.stop()
}

/// Workload k. The peers of the other workloads have no framing.
pub fn framings(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    if side != Side::Reclog {
        return Ok(outcome);
    }
    let keyword = stage.bed.path("keyword");
    std::fs::write(&keyword, "open sesame\n")?;
    let keyword = keyword.display().to_string();
    let plain = |rows| Case { rows, first: b"", counted: false, shape: Shape::AsSent };
    let cases: [(Case, &[&str]); 5] = [
        (plain([RAW, RAW_CPU]), &["--framing", "raw"]),
        (plain([LINES, LINES_CPU]), &[]),
        (plain([SYSLOG, SYSLOG_CPU]), &["--framing", "syslog"]),
        (Case { counted: true, shape: Shape::Priority, ..plain([COUNTED, COUNTED_CPU]) }, &["--framing", "syslog"]),
        (Case { first: b"open sesame\n", ..plain([GATE, GATE_CPU]) }, &["--keyword-file", &keyword]),
    ];
    for (case, options) in cases {
        let to = Plain::reclog(stage.bed, options)?;
        measure(stage, to, stage.options.amount(1 << 30, 128 << 20), &case, &mut outcome)?;
    }
    Ok(outcome)
}

/// Workload l. rsyslog takes its turn in the same round.
pub fn beside_rsyslog(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let mut outcome = Outcome::default();
    if side != Side::Reclog {
        return Ok(outcome);
    }
    let bytes = stage.options.amount(512 << 20, 64 << 20);
    let case = |rows, shape| Case { rows, first: b"", counted: false, shape };
    let front = &["--format", "prefix", "--prefix", "{time} {peer} "];
    let to = Plain::reclog(stage.bed, front)?;
    measure(stage, to, bytes, &case([PREFIX, PREFIX_CPU], Shape::Front(RECLOG_FRONT)), &mut outcome)?;
    let to = Plain::reclog(stage.bed, &["--format", "json"])?;
    measure(stage, to, bytes, &case([JSON, JSON_CPU], Shape::Json), &mut outcome)?;
    let to = Plain::rsyslog(stage.bed, "imtcp", TEMPLATE)?;
    measure(stage, to, bytes, &case([RSYSLOG, RSYSLOG_CPU], Shape::Front(RSYSLOG_FRONT)), &mut outcome)?;
    Ok(outcome)
}
