//! From a sender's `write` until the line stands in the file.

use std::io::Write;
use std::thread;
use std::time::{Duration, Instant};

use super::Stage;
use crate::bench::Fallible;
use crate::bench::results::{Outcome, Row, percentile};
use crate::bench::senders::{connect, short_connection};
use crate::bench::side::{Running, Side};
use crate::bench::stop::interrupted;
use crate::bench::watch::Observer;

pub const D1: &str = "d1. a line every 2 ms on one connection";
const P50: Row = Row::lower(D1, "p50", "ms");
pub const P99: Row = Row::lower(D1, "p99", "ms");

pub const D2: &str = "d2. a fresh connection for each line";
const FRESH_P50: Row = Row::lower(D2, "p50", "ms");
const FRESH_P99: Row = Row::lower(D2, "p99", "ms");

/// Between two lines. Short enough that Nagle and delayed ACKs (40 ms) show, long enough that lines do not queue.
const PAUSE: Duration = Duration::from_millis(2);

/// A line that takes longer is lost.
const LOST: Duration = Duration::from_secs(10);

/// Workload d1.
pub fn open_connection(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    // One block of lines at most: the numbers of a sender begin at 0.
    let lines: u64 = stage.options.amount(2_000, 300);
    let mut stream = connect(running.port)?;
    stream.set_nodelay(true)?;
    let observer = Observer::new(&running.file)?;
    let ends: Vec<u64> = (1..=lines).map(|count| stage.corpus.length_of(count)).collect();
    let (written, seen) = thread::scope(|scope| {
        let observing = scope.spawn(|| observer.arrivals(&ends));
        let written = send_paced(stage, &mut stream, lines);
        let seen = observing.join().map_err(|_| "the observer panicked")?;
        Ok::<_, crate::bench::Failure>((written?, seen?))
    })?;
    drop(stream);
    let mut outcome = Outcome::default();
    let times = written.iter().zip(&seen).map(|(from, to)| to.saturating_duration_since(*from)).collect();
    add_percentiles(&mut outcome, times, P50, P99);
    outcome.verdict = Some(stage.corpus.check(&running.file, 1, lines)?);
    running.stop()?;
    Ok(outcome)
}

/// Sends line after line at fixed times, so that a slow receiver does not slow the sender down and hide its own delay.
fn send_paced(stage: &Stage, stream: &mut impl Write, lines: u64) -> Fallible<Vec<Instant>> {
    let mut block = stage.corpus.clone();
    let start = Instant::now();
    let mut written = Vec::new();
    for number in 0..lines {
        let line = number % crate::bench::corpus::BLOCK_LINES;
        if line == 0 {
            block.renumber(number / crate::bench::corpus::BLOCK_LINES);
        }
        let due = start + PAUSE * u32::try_from(number)?;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        if interrupted() {
            return Err("interrupted".into());
        }
        written.push(Instant::now());
        stream.write_all(block.line(usize::try_from(line)?))?;
    }
    Ok(written)
}

/// Workload d2: one after the other, from before `connect`.
pub fn fresh_connections(stage: &Stage, side: Side) -> Fallible<Outcome> {
    let running = Running::start(stage.bed, stage.sshd, side, &[])?;
    let lines: usize = stage.options.amount(400, 60);
    let observer = Observer::new(&running.file)?;
    let mut times = Vec::new();
    let mut outcome = Outcome::default();
    let length = stage.corpus.length_of(1);
    for sender in 0..lines {
        let line = stage.corpus.line_of(sender);
        let from = Instant::now();
        short_connection(&line, running.port)?;
        while observer.length()? < (sender as u64 + 1) * length && from.elapsed() < LOST {
            if interrupted() {
                return Err("interrupted".into());
            }
            observer.next_write()?;
        }
        if from.elapsed() >= LOST {
            outcome.notes.push(format!("line {sender} of {lines} did not arrive"));
            break;
        }
        times.push(from.elapsed());
        thread::sleep(PAUSE);
    }
    add_percentiles(&mut outcome, times, FRESH_P50, FRESH_P99);
    outcome.verdict = Some(stage.corpus.check(&running.file, lines, 1)?);
    running.stop()?;
    Ok(outcome)
}

fn add_percentiles(outcome: &mut Outcome, times: Vec<Duration>, p50: Row, p99: Row) {
    let mut milliseconds: Vec<f64> = times.into_iter().map(|time| time.as_secs_f64() * 1e3).collect();
    if milliseconds.is_empty() {
        return;
    }
    milliseconds.sort_by(f64::total_cmp);
    outcome.add(p50, percentile(&milliseconds, 50));
    outcome.add(p99, percentile(&milliseconds, 99));
}

/// How late the observer itself is: p50 and p99 in milliseconds of lines that we write to a file with our own hands.
pub fn observers_own_delay(stage: &Stage) -> Fallible<(f64, f64)> {
    let path = stage.bed.path("observed");
    let mut file = std::fs::File::create(&path)?;
    let observer = Observer::new(&path)?;
    let lines = 500;
    let ends: Vec<u64> = (1..=lines).map(|count| stage.corpus.length_of(count)).collect();
    let (written, seen) = thread::scope(|scope| {
        let observing = scope.spawn(|| observer.arrivals(&ends));
        let written = send_paced(stage, &mut file, lines);
        let seen = observing.join().map_err(|_| "the observer panicked")?;
        Ok::<_, crate::bench::Failure>((written?, seen?))
    })?;
    let mut outcome = Outcome::default();
    let times = written.iter().zip(&seen).map(|(from, to)| to.saturating_duration_since(*from)).collect();
    add_percentiles(&mut outcome, times, P50, P99);
    match outcome.samples[..] {
        [(_, p50), (_, p99)] => Ok((p50, p99)),
        _ => Err("the observer saw nothing".into()),
    }
}
