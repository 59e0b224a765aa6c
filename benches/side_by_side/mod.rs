//! The order of things: set the stage, let the sides take turns, print the table.
//!
//! - [`options`]: the command line · [`stop`]: Ctrl-C and deadlines
//! - [`bed`]: folder, keys, sshd · [`side`]: the three sides · [`process`]: what the kernel says about them
//! - [`plain`]: receivers on plain TCP: `reclog listen`, rsyslogd · [`shape`]: what they write around a line
//! - [`corpus`]: the lines and their proof · [`senders`]: who sends them · [`watch`]: when they stand in the file
//! - [`workloads`]: what is asked of each side · [`usage`]: what it cost · [`cutter`]: a line that can be cut
//! - [`results`]: the figures · [`targets`]: what they should be · [`report`]: the table

// Figures are shown with three digits; an f64 has fifteen.
#![allow(clippy::cast_precision_loss)]

mod bed;
mod corpus;
mod cutter;
mod options;
mod plain;
mod process;
mod report;
mod results;
mod senders;
mod shape;
mod side;
mod stop;
mod targets;
mod usage;
mod watch;
mod workloads;

use std::fs;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use bed::Bed;
use corpus::{BLOCK_LINES, Corpus, Verdict};
use options::{HELP, Options};
use report::{Report, figure};
use results::{Outcome, Results, Row};
use side::Side;
use workloads::{Stage, Workload, latency};

/// Errors of the bench are sentences for whoever runs it.
type Failure = Box<dyn std::error::Error + Send + Sync>;
type Fallible<T> = Result<T, Failure>;

/// Runs the bench.
pub fn main() -> ExitCode {
    match Options::parse(std::env::args().skip(1)).and_then(|options| run(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("side_by_side: {error}");
            ExitCode::from(if stop::interrupted() { 130 } else { 2 })
        }
    }
}

fn run(options: &Options) -> Fallible<u8> {
    if options.help {
        println!("{HELP}");
        for workload in &workloads::ALL {
            println!("  {:<3} {}", workload.letter, workload.name);
        }
        return Ok(0);
    }
    if !options.by_cargo_bench {
        println!("side_by_side measures for minutes and runs with `cargo bench --bench side_by_side` only");
        return Ok(0);
    }
    let meant =
        |workload: &&Workload| options.only.is_empty() || options.only.iter().any(|only| workload.is_meant(only));
    let workloads: Vec<&Workload> = workloads::ALL.iter().filter(meant).collect();
    if let Some(nobody) =
        options.only.iter().find(|only| !workloads::ALL.iter().any(|workload| workload.is_meant(only)))
    {
        return Err(format!("no workload is called {nobody}; see --help").into());
    }
    stop::listen_for_signals()?;
    raise_open_files()?;
    let bed = Bed::new()?;
    let corpus = Corpus::new();
    prove_the_checker(&bed, &corpus)?;
    let sshd = bed.sshd("")?;
    let machine = report::machine(&bed);
    eprintln!("{machine}");
    let stage = Stage { bed: &bed, sshd: &sshd, corpus: &corpus, options };
    let mut turns = Turns::default();
    let measures_latency = workloads.iter().any(|workload| workload.letter.starts_with('d'));
    let observers_delay = if measures_latency { Some(latency::observers_own_delay(&stage)?) } else { None };
    for workload in workloads {
        turns.play(&stage, workload)?;
    }
    let Turns { results, notes, .. } = &turns;
    let page = Report { machine: &machine, options, results, observers_delay, notes }.markdown();
    println!("{page}");
    if let Some(path) = &options.markdown {
        fs::write(path, &page).map_err(|e| format!("cannot write {}: {e}", path.display()))?;
    }
    Ok(if turns.wrong_bytes { 1 } else { u8::from(turns.not_run) * 2 })
}

/// What has been measured so far.
#[derive(Debug, Default)]
struct Turns {
    results: Results,
    notes: Vec<String>,
    wrong_bytes: bool,
    not_run: bool,
}

impl Turns {
    /// All rounds of one workload: A B C A B C, so that what slows the machine down slows all sides down.
    fn play(&mut self, stage: &Stage, workload: &Workload) -> Fallible<()> {
        for round in 1..=stage.options.rounds.min(workload.most_rounds) {
            for &side in &stage.options.sides {
                let turn = format!("{} {}, round {round}, {}", workload.letter, workload.name, side.name());
                let ended = (workload.run)(stage, side);
                if stop::interrupted() {
                    return Err("interrupted".into());
                }
                match ended {
                    Ok(outcome) => self.take(workload, &turn, side, outcome),
                    Err(error) => {
                        self.not_run = true;
                        self.note(format!("{turn}: did not run: {error}"));
                        // Of a failed turn something may be left on the jump host; the next side is not to pay for it.
                        stage.sshd.wait_until_quiet()?;
                    }
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, workload: &Workload, turn: &str, side: Side, outcome: Outcome) {
        let figures =
            outcome.samples.iter().map(|(row, value)| format!("{} {} {}", row.what, figure(*value), row.unit));
        eprintln!("{turn}: {}", figures.collect::<Vec<_>>().join(" · "));
        for (row, value) in outcome.samples {
            self.results.add(side, row, value);
        }
        for note in outcome.notes {
            self.note(format!("{turn}: {note}"));
        }
        let Some(verdict) = outcome.verdict else { return };
        for (what, count) in verdict.faults() {
            self.results.add(side, Row::faults(workload.title, what), count);
        }
        if verdict.is_clean() {
            return;
        }
        let note = format!("{turn}: the file is not what was sent: {verdict:?}");
        self.wrong_bytes |= side == Side::Reclog;
        // That the peers tear lines is what the table shows; all else has to be told.
        if side == Side::Reclog || !verdict.only_tore() { self.note(note) } else { eprintln!("{note}") }
    }

    fn note(&mut self, note: String) {
        eprintln!("{note}");
        self.notes.push(note);
    }
}

/// A checker that has never said no proves nothing: each kind of damage is done to a file and has to be found.
fn prove_the_checker(bed: &Bed, corpus: &Corpus) -> Fallible<()> {
    let path = bed.path("proof");
    let mut blocks = Vec::new();
    for sender in [1, 0] {
        let mut block = corpus.of_sender(sender);
        block.renumber(0);
        blocks.extend_from_slice(block.bytes());
    }
    let (line, length) = (corpus.line(0).len(), corpus.bytes().len());
    let sent = blocks.clone();
    let proof = |what: &str, bytes: &[u8], expected: Verdict| -> Fallible<()> {
        fs::write(&path, bytes)?;
        let found = corpus.check(&path, 2, BLOCK_LINES)?;
        if found == expected { Ok(()) } else { Err(format!("the checker is wrong about {what}: {found:?}").into()) }
    };
    proof("a good file", &sent, Verdict::default())?;
    let lost = Verdict { missing: 1, bytes_missing: line.try_into()?, ..Verdict::default() };
    proof("a lost line", &sent[line..], lost)?;
    // Two senders' lines of the same number that changed their ends: what 16 equal senders make of it.
    let mut torn = sent.clone();
    torn[60..line].copy_from_slice(&sent[length + 60..length + line]);
    torn[length + 60..length + line].copy_from_slice(&sent[60..line]);
    proof("torn lines", &torn, Verdict { torn: 2, missing: 2, ..Verdict::default() })?;
    let mut swapped = sent[line..length].to_vec();
    swapped.extend_from_slice(&sent[..line]);
    swapped.extend_from_slice(&sent[length..]);
    proof("a late line", &swapped, Verdict { disordered: 1, ..Verdict::default() })?;
    let cut = Verdict { torn: 1, missing: 1, bytes_missing: 1, ..Verdict::default() };
    proof("a cut end", &sent[..sent.len() - 1], cut)?;
    Ok(fs::remove_file(path)?)
}

/// A thousand senders need a thousand descriptors at each of four places; all processes we start inherit this limit.
fn raise_open_files() -> Fallible<()> {
    const ENOUGH: u64 = 16_384;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < ENOUGH) {
        let raised = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
        setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: limit.maximum })?;
    }
    Ok(())
}
