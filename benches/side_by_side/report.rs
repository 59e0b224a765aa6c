//! The table, as Markdown.

use std::fmt::Write;
use std::fs;
use std::thread;

use super::bed::{Bed, output};
use super::options::Options;
use super::results::{Better, Results, Row};
use super::side::Side;
use super::targets::judge;

/// The machine and the programs, in one line. Asked before the first run: the load is that of others.
pub fn machine(bed: &Bed) -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or("unknown CPU", |(_, model)| model);
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let load = read("/proc/loadavg");
    let socat = output("socat", ["-V"]).unwrap_or_default();
    let socat = socat
        .lines()
        .find(|line| line.contains("version"))
        .and_then(|line| line.split(" on ").next())
        .unwrap_or("socat")
        .to_owned();
    let ssh = output("ssh", ["-V"]).unwrap_or_default();
    let reclog = output(&bed.reclog.to_string_lossy(), ["--version"]).unwrap_or_else(|_| "reclog: unknown".into());
    format!(
        "{cores} cores · {model} · Linux {} · {} · {socat} · {reclog} · files {} · load before {} · {}",
        read("/proc/sys/kernel/osrelease"),
        ssh.split(',').next().unwrap_or_default(),
        if bed.in_memory() { "in memory" } else { "on disk" },
        load.split(' ').next().unwrap_or_default(),
        jiff::Timestamp::now().strftime("%Y-%m-%d")
    )
}

/// Everything that was found out.
#[derive(Debug)]
pub struct Report<'a> {
    pub machine: &'a str,
    pub options: &'a Options,
    pub results: &'a Results,
    /// p50 and p99 in milliseconds.
    pub observers_delay: Option<(f64, f64)>,
    /// What went wrong, and what a reader should know.
    pub notes: &'a [String],
}

impl Report<'_> {
    /// The whole page.
    pub fn markdown(&self) -> String {
        let mut page = String::from("# reclog beside `ssh -R` and socat\n\n");
        let _ = writeln!(page, "{}\n", self.machine);
        page.push_str(
            "common: `ssh -N -T -R` and `socat -u TCP-LISTEN:…,fork OPEN:…,append` · tuned: the same with \
             `-c aes128-gcm@openssh.com` and `socat -b 65536` · reclog: `reclog up`.\n\
             Figures: best (median) of the rounds; faults: all rounds added up. Ratios: reclog ÷ peer, best ÷ best \
             (median ÷ median).\n",
        );
        if self.options.quick {
            page.push_str("\n**Quick run with small amounts: it shows that all of it works and proves no figure.**\n");
        }
        self.table(&mut page);
        if let Some((p50, p99)) = self.observers_delay {
            let (p50, p99) = (figure(p50), figure(p99));
            let _ = writeln!(
                page,
                "\nThe observer of the latencies is itself late by {p50} ms (p50), {p99} ms (p99); it is contained in d1 and d2."
            );
        }
        self.targets(&mut page);
        if !self.notes.is_empty() {
            page.push_str("\n## Notes\n\n");
        }
        for note in self.notes {
            let _ = writeln!(page, "- {note}");
        }
        page
    }

    fn table(&self, page: &mut String) {
        let mut workload = "";
        for row in self.results.rows() {
            if row.workload != workload {
                workload = row.workload;
                let _ = writeln!(page, "\n### {workload}\n");
                page.push_str("| | common | tuned | reclog | reclog/common | reclog/tuned | rounds |\n");
                page.push_str("|---|---:|---:|---:|---:|---:|---:|\n");
            }
            let name = if row.unit.is_empty() { row.what.to_owned() } else { format!("{}, {}", row.what, row.unit) };
            let [common, tuned, reclog] = Side::ALL.map(|side| self.cell(row, side));
            let [to_common, to_tuned] = [Side::Common, Side::Tuned].map(|peer| self.ratio(row, peer));
            let rounds = self.results.rounds(row);
            let _ = writeln!(page, "| {name} | {common} | {tuned} | {reclog} | {to_common} | {to_tuned} | {rounds} |");
        }
    }

    fn cell(&self, row: Row, side: Side) -> String {
        match (row.better, self.results.best(row, side), self.results.median(row, side)) {
            (Better::Zero, Some(sum), _) => figure(sum),
            (_, Some(best), Some(median)) => format!("{} ({})", figure(best), figure(median)),
            _ => "–".into(),
        }
    }

    fn ratio(&self, row: Row, peer: Side) -> String {
        match (row.better, self.results.ratio(row, peer), self.results.median_ratio(row, peer)) {
            (Better::Zero, ..) => String::new(),
            (_, Some(best), Some(median)) => format!("{} ({})", figure(best), figure(median)),
            _ => "–".into(),
        }
    }

    fn targets(&self, page: &mut String) {
        page.push_str("\n## Targets\n\n| target | measured | |\n|---|---:|---|\n");
        for target in judge(self.results) {
            let met = match target.met {
                Some(true) => "met",
                Some(false) => "**missed**",
                None => "–",
            };
            let _ = writeln!(page, "| {} | {} | {met} |", target.text, target.measured);
        }
    }
}

/// Three digits that count.
pub fn figure(value: f64) -> String {
    let size = value.abs();
    match size {
        _ if value.fract() == 0.0 && size < 1e15 => format!("{value:.0}"),
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        1.0.. => format!("{value:.2}"),
        _ => format!("{value:.3}"),
    }
}
