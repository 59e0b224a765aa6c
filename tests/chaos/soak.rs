//! A long run: senders come and go, the connection is lost every half minute, the file is put away, somebody scrapes. What a collector
//! needs must stay as it was, and every line must be where it belongs. See `docs/reliability.md`.

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::chart::{Point, Series};
use super::checker::{self, Evidence, Happened, Kind, Tally, Trouble, Verdict};
use super::schedule::Fault;
use super::senders::{Crowd, Habit, now};
use super::watch::{Subject, Watch};
use crate::common::{Env, SOON, Sshd, free_port, procs, wait_until};

const NAME: &str = "soak";
const RUN: u32 = 0x0050_a4e5;
/// Between two losses of the connection.
const RECONNECT: Duration = Duration::from_secs(30);
/// Between two looks at the collector's process.
const LOOK: Duration = Duration::from_secs(5);
/// Between two scrapes, as Prometheus is often told.
const SCRAPE: Duration = Duration::from_secs(5);
/// Between two rotations by hand; by size they come more often.
const ROTATE: Duration = Duration::from_secs(120);
/// How long lines may take to come in again.
const LOST: Duration = Duration::from_secs(90);

/// What was seen of the process, and what else a run has shown.
#[derive(Debug, Default)]
pub struct Soaked {
    pub took: Duration,
    /// Memory, descriptors, threads, temporary files.
    pub series: Vec<Series>,
    pub reconnects: u64,
    pub rotations: u64,
    pub scrapes: u64,
    pub bytes: u64,
    pub lines: u64,
    pub samples: u64,
    /// What `down` told: payload and what reclog added.
    pub told: u64,
    pub verdict: Verdict,
}

/// A run that is under way.
pub struct Soak {
    env: Env,
    sshd: Sshd,
    pid: u32,
    crowd: Crowd,
    watch: Watch,
    looks: Looks,
    happened: Vec<Happened>,
    troubles: Vec<Trouble>,
    tally: Tally,
    began: Instant,
    rotations: u64,
}

impl Soak {
    /// Sets the stage: a real sshd, a collector, senders, and those who look on.
    pub fn begin() -> Self {
        let (env, sshd, port) = (Env::new(), Sshd::start(), free_port());
        env.trust(&sshd);
        for folder in ["logs", "tmp"] {
            std::fs::create_dir(env.path(folder)).unwrap();
        }
        let out = env.arg("logs/f.log");
        env.write(
            format!("config/profiles/{NAME}.yaml").as_str(),
            format!(
                "target: jump\nmetrics: 127.0.0.1:0\nstreams:\n  main:\n    remote_port: {port}\n    out: {out}\n    \
                 rotate: {{ size: 4MB, compress: gzip }}\n"
            ),
        );
        let args = env.to_jump(&["up", NAME], &["--json"]);
        let mut up = env.reclog(&args.iter().map(String::as_str).collect::<Vec<_>>());
        up.env("TMPDIR", env.path("tmp"));
        let collector = env.started(crate::common::Bg::spawn(up).wait());
        let place = env.snapshot(NAME)["metrics"].as_str().expect("a place").to_owned();
        let mut crowd = Crowd::new(RUN, port);
        let watch = Watch::start(&Subject {
            run: RUN,
            book: crowd.book.clone(),
            file: env.path("logs/f.log"),
            socket: env.path(format!("run/{NAME}.sock")),
            audit: env.path(format!("state/{NAME}/audit.jsonl")),
        });
        crowd.start(Habit::Steady, 8);
        crowd.start(Habit::Short, 2);
        let looks = Looks::start(collector.pid, place, ["tmp", "run", "state"].map(|name| env.path(name)).into());
        let (happened, troubles, tally) = (Vec::new(), Vec::new(), Tally::new(RUN));
        let (began, rotations) = (Instant::now(), 0);
        let pid = collector.pid;
        Self { env, sshd, pid, crowd, watch, looks, happened, troubles, tally, began, rotations }
    }

    /// Goes on for so long, and then ends everything and reads the rest.
    pub fn run(mut self, length: Duration) -> Soaked {
        // A short run shall show something, too.
        let reconnect = RECONNECT.min(length / 5);
        let (mut lost, mut put_away) = (Instant::now(), Instant::now());
        while self.began.elapsed() < length {
            std::thread::sleep(Duration::from_millis(200));
            if lost.elapsed() >= reconnect {
                lost = Instant::now();
                self.lose();
                self.read_archives(false);
            }
            if put_away.elapsed() >= ROTATE.min(length / 3) {
                put_away = Instant::now();
                self.verb(&["rotate", NAME]);
            }
        }
        self.end()
    }

    fn wrong(&mut self, kind: Kind, says: String) {
        println!("✘ {says}");
        self.troubles.push(Trouble::new(kind, says));
    }

    fn verb(&mut self, args: &[&str]) -> String {
        let run = self.env.run(args);
        if !run.status.success() {
            let says =
                format!("`reclog {}`: {}: {} {}", args.join(" "), run.status, run.stdout.trim(), run.stderr.trim());
            self.wrong(Kind::Verb, says);
        }
        run.stdout
    }

    /// The connection is lost, once in good order and once without a word, and lines come in again.
    fn lose(&mut self) {
        let number = self.happened.len();
        let begin = now();
        let fault = if number.is_multiple_of(2) { Fault::Kick } else { Fault::KillSession };
        if fault == Fault::Kick {
            self.verb(&["kick", NAME]);
        } else {
            for pid in self.sshd.sessions() {
                procs::kill(pid);
            }
        }
        let end = now();
        let start = Instant::now();
        while self.watch.arrived_since(end).is_none() {
            if start.elapsed() > LOST {
                self.wrong(Kind::Verb, format!("no line has come in for {LOST:?} after {}", fault.name()));
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let back = self.watch.arrived_since(end);
        self.happened.push(Happened { number, fault, begin, end, back, overlapped: false, note: String::new() });
        if number.is_multiple_of(10) {
            println!(
                "{:6.0} s  {} losses, {} lines read",
                self.began.elapsed().as_secs_f64(),
                number + 1,
                self.tally.lines
            );
        }
    }

    /// Reads what was put away, in the order of writing, and removes it: the disk is no warehouse. Whatever is still being packed is left
    /// for later, and so is all that follows it.
    fn read_archives(&mut self, all: bool) {
        let folder = self.env.path("logs");
        let names = folder.read_dir().unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name.starts_with("f.log.")).collect();
        names.sort();
        for name in names {
            let path = folder.join(&name);
            let Some(content) = content(&path) else {
                if all {
                    self.wrong(Kind::Torn, format!("{name} is no archive"));
                }
                return;
            };
            match content.and_then(|content| self.tally.file(&name, false, content)) {
                Ok(()) => self.rotations += 1,
                Err(e) => self.wrong(Kind::Torn, format!("cannot read {name}: {e}")),
            }
            std::fs::remove_file(&path).unwrap();
        }
    }

    fn end(mut self) -> Soaked {
        self.crowd.finish();
        let took = self.began.elapsed();
        let (series, scrapes, wrong) = self.looks.stop();
        self.troubles.extend(wrong);
        let reconnects = self.env.snapshot(NAME)["reconnects"].as_u64().unwrap_or_default();
        let down: Value = serde_json::from_str(self.verb(&["down", NAME, "--json"]).trim()).unwrap_or_default();
        let pid = self.pid;
        wait_until("the collector is gone", SOON, || (!procs::alive(pid)).then_some(()));
        self.watch.stop();
        self.read_archives(true);
        let last = File::open(self.env.path("logs/f.log")).map(BufReader::new);
        if let Err(e) = last.and_then(|content| self.tally.file("f.log", false, content)) {
            self.wrong(Kind::Torn, format!("cannot read f.log: {e}"));
        }
        let ledger = &down["streams"][0]["ledger"];
        let figure = |name: &str| ledger[name].as_u64().unwrap_or_default();
        let told = figure("stored") + figure("added");
        if told != self.tally.bytes || figure("pending") != 0 || figure("synced") != figure("stored") {
            let bytes = self.tally.bytes;
            self.wrong(Kind::Sample, format!("the files have {bytes} bytes, and the ledger says {told}: {ledger}"));
        }
        let seen = std::mem::take(&mut *self.watch.seen.lock().unwrap());
        let connections = self.crowd.book.connections();
        let audited = checker::audit(&seen.audit);
        let evidence = Evidence {
            run: RUN,
            tally: &self.tally,
            connections: &connections,
            faults: &self.happened,
            audited: &audited,
        };
        let mut verdict = checker::check(&evidence);
        verdict.troubles.append(&mut self.troubles);
        verdict.troubles.extend(seen.troubles);
        let (bytes, lines, rotations, samples) = (self.tally.bytes, self.tally.lines, self.rotations, seen.samples);
        Soaked { took, series, reconnects, rotations, scrapes, bytes, lines, samples, told, verdict }
    }
}

/// The bytes of an archive; `None` while it is being packed.
fn content(path: &Path) -> Option<std::io::Result<BufReader<std::io::Cursor<Vec<u8>>>>> {
    if path.extension()? != "gz" {
        return None;
    }
    let unpacked = Command::new("gzip").arg("-dc").arg(path).stdin(Stdio::null()).output();
    let whole = unpacked.and_then(|output| {
        let says = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(output.stdout) } else { Err(std::io::Error::other(says)) }
    });
    Some(whole.map(|bytes| BufReader::new(std::io::Cursor::new(bytes))))
}

/// Series, scrapes, and what was wrong with them.
type Noted = (Vec<Series>, u64, Vec<Trouble>);

/// Who looks at the process and scrapes its figures. `Drop` ends them.
struct Looks {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Noted>>,
    threads: Vec<JoinHandle<()>>,
}

impl Looks {
    fn start(pid: u32, place: String, folders: Vec<PathBuf>) -> Self {
        let over = Arc::<AtomicBool>::default();
        let series = ["memory, MiB", "descriptors", "threads", "temporary files"].map(Series::new).to_vec();
        let seen: Arc<Mutex<Noted>> = Arc::new(Mutex::new((series, 0, Vec::new())));
        let (began, theirs, enough) = (Instant::now(), Arc::clone(&seen), Arc::clone(&over));
        let look = std::thread::spawn(move || {
            while !pause(LOOK, &enough) {
                let at = began.elapsed().as_secs_f64();
                let figures = figures(pid, &folders);
                for (series, value) in theirs.lock().unwrap().0.iter_mut().zip(figures) {
                    series.points.push(Point { at, value });
                }
            }
        });
        let (theirs, enough) = (Arc::clone(&seen), Arc::clone(&over));
        let scrape = std::thread::spawn(move || {
            let mut before = 0;
            while !pause(SCRAPE, &enough) {
                let scraped = scrape(&place);
                let mut seen = theirs.lock().unwrap();
                match scraped {
                    Ok(received) if received >= before => {
                        before = received;
                        seen.1 += 1;
                    }
                    other => seen.2.push(Trouble::new(Kind::Sample, format!("a scrape after {before}: {other:?}"))),
                }
            }
        });
        Self { over, seen, threads: vec![look, scrape] }
    }

    fn stop(&mut self) -> Noted {
        self.over.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a watcher");
        }
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

impl Drop for Looks {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Waits; true when it is over.
fn pause(length: Duration, over: &AtomicBool) -> bool {
    let began = Instant::now();
    while began.elapsed() < length && !over.load(Ordering::Relaxed) {
        std::thread::sleep(Duration::from_millis(100));
    }
    over.load(Ordering::Relaxed)
}

/// Memory in MiB, descriptors, threads, and files below the folders that a collector uses for a while.
#[expect(clippy::cast_precision_loss, reason = "for people")]
fn figures(pid: u32, folders: &[PathBuf]) -> [f64; 4] {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line =
        |key: &str| status.lines().find_map(|line| line.strip_prefix(key)?.split_whitespace().next()?.parse().ok());
    let (kib, threads): (Option<f64>, Option<f64>) = (line("VmRSS:"), line("Threads:"));
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
    let files: usize = folders.iter().map(|folder| files_below(folder)).sum();
    [kib.unwrap_or_default() / 1024.0, descriptors as f64, threads.unwrap_or_default(), files as f64]
}

fn files_below(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| if entry.path().is_dir() { files_below(&entry.path()) } else { 1 }).sum()
}

/// Bytes received so far, as the figures say.
fn scrape(place: &str) -> Result<u64, String> {
    let mut answer = String::new();
    let asked = TcpStream::connect(place).and_then(|mut stream| {
        stream.set_read_timeout(Some(SOON))?;
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAccept: application/openmetrics-text\r\n\r\n")?;
        stream.read_to_string(&mut answer)
    });
    asked.map_err(|e| e.to_string())?;
    let whole = answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("# EOF\n");
    let received = answer.lines().find_map(|line| line.strip_prefix("reclog_received_bytes_total{")?.rsplit_once(' '));
    let received = received.and_then(|(_, value)| value.parse().ok());
    received.filter(|_| whole).ok_or_else(|| format!("this is no answer: {answer:?}"))
}

impl Soaked {
    /// The table, for `docs/reliability.md`.
    pub fn markdown(&self) -> String {
        let mut page = format!("{:.0} s.\n\n| | |\n|---|---:|\n", self.took.as_secs_f64());
        let count = |kinds: &[Kind]| self.verdict.troubles.iter().filter(|t| kinds.contains(&t.kind)).count();
        for (what, figure) in [
            ("connections of senders", self.verdict.connections.to_string()),
            ("of them cut", self.verdict.cut.to_string()),
            ("times that the collector has connected again", self.reconnects.to_string()),
            ("files put away, packed, read and removed", self.rotations.to_string()),
            ("scrapes", self.scrapes.to_string()),
            ("samples of the status, whose ledgers add up", self.samples.to_string()),
            ("lines in the files", self.lines.to_string()),
            ("bytes in the files", self.bytes.to_string()),
            ("bytes that the ledger says are there", self.told.to_string()),
            (
                "**lines torn, doubled or missing in the middle**",
                count(&[Kind::Torn, Kind::Unended, Kind::Twice, Kind::Hole]).to_string(),
            ),
            (
                "**lines missing, or connections cut, without a cause**",
                count(&[Kind::Unexplained, Kind::Unaudited, Kind::Bound]).to_string(),
            ),
            (
                "**faults of audit, samples, scrapes and verbs**",
                count(&[Kind::Audit, Kind::Sample, Kind::Verb]).to_string(),
            ),
        ] {
            page.push_str(&format!("| {what} | {figure} |\n"));
        }
        page.push_str("\n| of the collector | at first | at last | least | most | slope an hour |\n|---|---:|---:|---:|---:|---:|\n");
        for series in &self.series {
            page.push_str(&series.row());
        }
        page
    }
}
