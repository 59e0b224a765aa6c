//! What reclog is meant to reach, and whether it did. A missed target is printed and is no failure of the bench.

use super::results::{Better, Results, Row};
use super::side::Side;
use super::workloads::{back, latency, many, relp, shapes, startup, stream, sync};

/// A target with what was measured.
#[derive(Debug)]
pub struct Target {
    pub text: &'static str,
    pub measured: String,
    /// `None` when a figure is missing.
    pub met: Option<bool>,
}

/// All targets that these results say something about.
pub fn judge(results: &Results) -> Vec<Target> {
    let ratio = |text, row: Row, peer, met: fn(f64) -> bool| {
        let ratio = results.ratio(row, peer);
        Target { text, measured: show(ratio, "×"), met: ratio.map(met) }
    };
    // The one of both peers that is harder to beat.
    let hardest = |text, row: Row, pick: fn(f64, f64) -> f64, met: fn(f64) -> bool| {
        let both = results.ratio(row, Side::Common).zip(results.ratio(row, Side::Tuned)).map(|(a, b)| pick(a, b));
        Target { text, measured: show(both, "×"), met: both.map(met) }
    };
    let amount = |text, figure: Option<f64>, unit, met: fn(f64) -> bool| Target {
        text,
        measured: show(figure, unit),
        met: figure.map(met),
    };
    let best = |row| results.best(row, Side::Reclog);
    // Of two figures of the same rounds, both at their best.
    let quotient = |text, row: Row, of: Row, met: fn(f64) -> bool| {
        let ratio = best(row).zip(best(of)).map(|(a, b)| a / b);
        Target { text, measured: show(ratio, "×"), met: ratio.map(met) }
    };
    let worst = |row| results.worst(row, Side::Reclog);
    let faults = |workload: &str, torn_only: bool| {
        let counts = results.rows().filter(|row| row.better == Better::Zero && row.workload.starts_with(workload));
        let counts = counts.filter(|row| !torn_only || row.what == "torn lines");
        counts.filter_map(|row| results.best(row, Side::Reclog)).reduce(|a, b| a + b)
    };
    vec![
        ratio("one sender: at most half of common's time", stream::TIME, Side::Common, |r| r <= 0.5),
        ratio("one sender: not slower than tuned", stream::TIME, Side::Tuned, |r| r <= 1.0),
        ratio("receivers' CPU: at most 0.45 of common's", stream::CPU, Side::Common, |r| r <= 0.45),
        ratio("receivers' CPU: at most 0.8 of tuned's", stream::CPU, Side::Tuned, |r| r <= 0.8),
        hardest("short connections: at least 4 times as many as either peer", many::RATE, f64::min, |r| r >= 4.0),
        hardest("p99 of line latency: at most 0.1 of either peer's", latency::P99, f64::max, |r| r <= 0.1),
        amount("no torn line, in any workload", faults("", true), "", |n| n == 0.0),
        amount("memory with one sender: under 16 MiB", worst(stream::PEAK), "MiB", |n| n < 16.0),
        amount("memory with 1,000 senders: under 64 MiB", worst(many::IDLE_PEAK), "MiB", |n| n < 64.0),
        amount("rekeys under load lose nothing", faults("f", false), "", |n| n == 0.0),
        ratio("sshd's memory with 16 senders: at most twice tuned's", stream::JUMP_PEAK, Side::Tuned, |r| r <= 2.0),
        amount("up: within 300 ms, the slowest of all", worst(startup::SLOWEST), "ms", |n| n <= 300.0),
        amount("back within 2 s after a killed connection, the slowest", worst(back::KILLED), "s", |n| n <= 2.0),
        amount("back within 3 s after a cut without FIN, the slowest", worst(back::CUT), "s", |n| n <= 3.0),
        amount("the same, when the network has forgotten the connection", worst(back::FORGOTTEN), "s", |n| n <= 3.0),
        amount(
            "--sync always: at most 3 times never, in the middle",
            results.median(sync::RATIO, Side::Reclog),
            "×",
            |n| n <= 3.0,
        ),
        quotient("framing lines: at least 0.9 of raw", shapes::LINES, shapes::RAW, |r| r >= 0.9),
        quotient("framing syslog, LF: at least 0.9 of raw", shapes::SYSLOG, shapes::RAW, |r| r >= 0.9),
        quotient("framing syslog, counted: at least 0.9 of raw", shapes::COUNTED, shapes::RAW, |r| r >= 0.9),
        quotient("lines with a keyword: at least 0.9 of raw", shapes::GATE, shapes::RAW, |r| r >= 0.9),
        amount("prefix: at least 300 MB/s", best(shapes::PREFIX), "MB/s", |n| n >= 300.0),
        amount("json: at least 300 MB/s", best(shapes::JSON), "MB/s", |n| n >= 300.0),
        quotient("prefix: at least twice rsyslog with a template", shapes::PREFIX, shapes::RSYSLOG, |r| r >= 2.0),
        quotient("json: at least twice rsyslog with a template", shapes::JSON, shapes::RSYSLOG, |r| r >= 2.0),
        quotient("RELP: at least as fast as rsyslog's imrelp", relp::RECLOG, relp::RSYSLOG, |r| r >= 1.0),
    ]
}

fn show(figure: Option<f64>, unit: &str) -> String {
    figure.map_or_else(
        || "not measured".into(),
        |figure| format!("{} {unit}", super::report::figure(figure)).trim().to_owned(),
    )
}
