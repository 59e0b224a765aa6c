//! What a run has shown, as a table.

use std::fmt::Write;
use std::time::Duration;

use super::checker::{Gap, Happened, Kind, Verdict};
use super::machine::mib;
use super::schedule::Fault;

/// The figures of a run.
#[derive(Debug)]
pub struct Figures {
    pub seed: u64,
    pub what: String,
    pub took: Duration,
    pub files: usize,
    pub lines: u64,
    pub bytes: u64,
    pub samples: u64,
    pub most_pending: u64,
    pub most_resident: u64,
    pub audit_lines: usize,
    pub gaps: Vec<Gap>,
    /// How often somebody had to say `kick`.
    pub helped: usize,
    pub happened: Vec<Happened>,
    pub verdict: Verdict,
}

impl Figures {
    fn count(&self, kinds: &[Kind]) -> usize {
        self.verdict.troubles.iter().filter(|t| kinds.contains(&t.kind)).count()
    }

    /// The tables, for `docs/reliability.md`.
    pub fn markdown(&self) -> String {
        let v = &self.verdict;
        let mut page = String::new();
        let took = self.took.as_secs_f64();
        let _ = writeln!(page, "Seed {}, {} faults in {took:.0} s. {}.\n", self.seed, self.happened.len(), self.what);
        page.push_str("| | |\n|---|---:|\n");
        let mut row = |what: &str, figure: String| {
            let _ = writeln!(page, "| {what} | {figure} |");
        };
        row("connections of senders", v.connections.to_string());
        row("of them cut", v.cut.to_string());
        row("lines given to the kernels of senders", v.handed.to_string());
        row("lines in the files", self.lines.to_string());
        row("bytes in the files, MiB", format!("{:.1}", mib(self.bytes)));
        row("files and archives", self.files.to_string());
        row("**lines torn**", self.count(&[Kind::Torn, Kind::Unended]).to_string());
        row("**lines doubled**", self.count(&[Kind::Twice]).to_string());
        row("**lines missing in the middle**", self.count(&[Kind::Hole]).to_string());
        row("**lines missing, or connections cut, without a cause**", self.count(&[Kind::Unexplained]).to_string());
        row("lines missing at the end of connections that were cut", v.missing.to_string());
        row("bytes of them", v.missing_bytes.to_string());
        row("of those, sent to a jump host that had nobody to pass them to", v.sent_into_gaps.to_string());
        row("last lines of cut connections that are there by half", v.halves.to_string());
        let bound: u64 = self.gaps.iter().map(|g| g.bytes_at_most).sum();
        row("gaps in the audit", self.gaps.len().to_string());
        row("bytes that they admit, MiB", format!("{:.1}", mib(bound)));
        row("**missing outside of a gap**", self.count(&[Kind::Unaudited]).to_string());
        row("**gaps that admit too little**", self.count(&[Kind::Bound]).to_string());
        row("lines of the audit", self.audit_lines.to_string());
        row("**faults of the audit itself**", self.count(&[Kind::Audit]).to_string());
        row("samples of the status", self.samples.to_string());
        row("**samples that cannot be**", self.count(&[Kind::Sample]).to_string());
        row("**verbs that failed**", self.count(&[Kind::Verb]).to_string());
        row("most bytes that waited for the disk, MiB", format!("{:.1}", mib(self.most_pending)));
        row("most memory of the collector, MiB", format!("{:.1}", mib(self.most_resident)));
        row("times that a kick by hand was needed", self.helped.to_string());
        self.faults(&mut page);
        page
    }

    fn faults(&self, page: &mut String) {
        page.push_str("\nFrom the end of a fault to the next line that was sent after it and stands in the file, where the next fault waited for that:\n\n");
        page.push_str("| fault | times | measured | median, s | slowest, s |\n|---|---:|---:|---:|---:|\n");
        for fault in Fault::ALL {
            let all: Vec<&Happened> = self.happened.iter().filter(|h| h.fault == fault).collect();
            let waited = all.iter().filter(|h| !h.overlapped);
            let mut times: Vec<i64> = waited.filter_map(|h| h.back.map(|back| back - h.end)).collect();
            times.sort_unstable();
            let show = |micros: Option<&i64>| {
                let micros = micros.map(|m| Duration::from_micros(u64::try_from(*m).unwrap_or(0)));
                micros.map_or("–".into(), |m| format!("{:.2}", m.as_secs_f64()))
            };
            let (median, slowest) = (show(times.get(times.len() / 2)), show(times.last()));
            if !all.is_empty() {
                let _ = writeln!(page, "| {} | {} | {} | {median} | {slowest} |", fault.name(), all.len(), times.len());
            }
        }
    }
}
