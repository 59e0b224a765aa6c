//! The machine: sets the stage, breaks one thing after the other, and looks at what is left.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::checker::{self, Audited, Evidence, Happened, Kind, Tally, Trouble, Verdict};
use super::line::Rng;
use super::network::Network;
use super::report::Figures;
use super::schedule::{Fault, KEEPALIVE, Step, schedule};
use super::senders::{Burst, Crowd, Habit, Micros, now};
use super::volume::Disk;
use super::watch::{Subject, Watch};
use crate::common::{Bg, Env, SOON, Sshd, free_port, listening, procs, wait_until};

/// What a run is asked to do.
#[derive(Debug, Clone)]
pub struct Wish {
    pub seed: u64,
    pub faults: usize,
    /// No further fault begins after this.
    pub time: Duration,
    /// Empty: all.
    pub only: Vec<String>,
}

/// How long lines may take to come in again before somebody says `kick`, which the table tells.
const HELP: Duration = Duration::from_secs(12);
/// How long they may take at all.
const LOST: Duration = Duration::from_secs(90);
const NAME: &str = "chaos";

/// One run.
pub struct Machine {
    wish: Wish,
    pub env: Env,
    sshd: Sshd,
    network: Network,
    disk: Disk,
    port: u16,
    /// Of the collector; 0 while there is none.
    pid: u32,
    rng: Rng,
    crowd: Crowd,
    watch: Watch,
    bursts: Vec<Burst>,
    troubles: Vec<Trouble>,
    happened: Vec<Happened>,
    began: Instant,
    helped: usize,
}

impl Machine {
    pub fn new(wish: Wish) -> Self {
        let env = Env::new();
        let network = Network::new();
        let line = network.sshd_line();
        let sshd = Sshd::with_lines(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let disk = Disk::new(env.path("disk"));
        let port = free_port();
        trust(&env, &network, &sshd);
        let run = u32::try_from(wish.seed & 0xffff_ffff).unwrap();
        let crowd = Crowd::new(run, port);
        let watch = Watch::start(&Subject {
            run,
            book: crowd.book.clone(),
            file: env.path("disk/f.log"),
            socket: env.path(format!("run/{NAME}.sock")),
            audit: env.path(format!("state/{NAME}/audit.jsonl")),
        });
        let rng = Rng::new(wish.seed ^ 0x0b5e_55ed);
        let (bursts, troubles, happened) = (Vec::new(), Vec::new(), Vec::new());
        let (pid, helped, began) = (0, 0, Instant::now());
        Self { wish, env, sshd, network, disk, port, pid, rng, crowd, watch, bursts, troubles, happened, began, helped }
    }

    /// All of it. What was found is in the figures.
    pub fn run(mut self) -> (Figures, Self) {
        let run = self.crowd_run();
        println!("seed {} · run {run:08x} · {} · disk: {}", self.wish.seed, self.network.what(), self.disk.what());
        self.bring_up();
        self.crowd.start(Habit::Steady, 8);
        self.crowd.start(Habit::Short, 4);
        self.wait_back(now());
        for (number, step) in (1..).zip(schedule(self.wish.seed, &self.faults(), self.wish.faults)) {
            if self.began.elapsed() + step.pause + step.length > self.wish.time {
                println!("the time is over after {} of {} faults", number - 1, self.wish.faults);
                break;
            }
            self.step(number, step);
        }
        let figures = self.end();
        (figures, self)
    }

    fn crowd_run(&self) -> u32 {
        u32::try_from(self.wish.seed & 0xffff_ffff).unwrap()
    }

    fn faults(&self) -> Vec<Fault> {
        let wished = |fault: &Fault| self.wish.only.is_empty() || self.wish.only.iter().any(|o| o == fault.name());
        let faults: Vec<Fault> = Fault::ALL.into_iter().filter(wished).collect();
        assert!(!faults.is_empty(), "no fault is called {:?}", self.wish.only);
        faults
    }

    fn out(&self) -> PathBuf {
        self.disk.folder.join("f.log")
    }

    fn wrong(&mut self, kind: Kind, says: String) {
        println!("          ✘ {says}");
        self.troubles.push(Trouble::new(kind, says));
    }

    /// Seconds since the beginning.
    fn clock(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    fn step(&mut self, number: usize, step: Step) {
        // The peace that the schedule asks for.
        std::thread::sleep(step.pause);
        let at = self.clock();
        let begin = now();
        let note = self.strike(step);
        let end = now();
        let fault = Happened { number, fault: step.fault, begin, end, back: None, overlapped: !step.wait, note };
        self.happened.push(fault);
        let mut help = String::new();
        if step.wait && self.wait_back(end) {
            help = " (after a kick by hand)".into();
        }
        let back = match self.watch.arrived_since(end) {
            Some(seen) => format!("back after {:.2} s", seconds(seen - end)),
            None => "not waited for".into(),
        };
        let fault = self.happened.last_mut().unwrap();
        let lasted = seconds(end - begin);
        println!("{number:4} {at:8.2}  {:<16} {lasted:5.2} s  {back}{help}  {}", fault.fault.name(), fault.note);
    }

    /// Waits until a line comes in that was sent after `moment`. True when that took help.
    fn wait_back(&mut self, moment: Micros) -> bool {
        let (start, mut helped) = (Instant::now(), false);
        while self.watch.arrived_since(moment).is_none() {
            if start.elapsed() > HELP && !helped {
                helped = true;
                self.helped += 1;
                self.env.run(&["kick", NAME]);
            }
            if start.elapsed() > LOST {
                let state = self.watch.state();
                self.wrong(Kind::Verb, format!("no line has come in for {LOST:?}; the collector is {state:?}"));
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        helped
    }

    fn strike(&mut self, step: Step) -> String {
        let pause = || std::thread::sleep(step.length);
        match step.fault {
            Fault::KillSession => self.signal_sessions(&[Signal::KILL], Duration::ZERO),
            Fault::PauseSession | Fault::FreezeSession => {
                self.signal_sessions(&[Signal::STOP, Signal::CONT], step.length)
            }
            Fault::KillCollector => {
                procs::kill(self.pid);
                let pid = self.pid;
                wait_until("the collector is gone", SOON, || (!procs::alive(pid)).then_some(()));
                self.bring_up()
            }
            Fault::PauseCollector => {
                procs::signal(self.pid, Signal::STOP);
                pause();
                procs::signal(self.pid, Signal::CONT);
                String::new()
            }
            Fault::DownUp => {
                self.take_down();
                self.bring_up()
            }
            Fault::Kick => self.verb(&["kick", NAME]),
            Fault::Hangup => {
                procs::signal(self.pid, Signal::HUP);
                String::new()
            }
            Fault::Rotate => self.verb(&["rotate", NAME]),
            Fault::Rename => self.rename(),
            Fault::Blink | Fault::Cut => {
                self.network.cut();
                pause();
                self.network.heal();
                String::new()
            }
            Fault::Loss => {
                self.network.disturb();
                pause();
                self.network.heal();
                String::new()
            }
            Fault::Restart => {
                self.sshd.stop();
                pause();
                self.sshd.start_again();
                String::new()
            }
            Fault::DiskFull => {
                self.disk.fill(&self.out(), self.pid);
                pause();
                self.disk.free(self.pid);
                String::new()
            }
            Fault::DiskFullFlood => self.flood(step.length),
        }
    }

    /// A verb that must succeed.
    fn verb(&mut self, args: &[&str]) -> String {
        let run = self.env.run(args);
        if !run.status.success() {
            self.wrong(Kind::Verb, format!("`reclog {}`: {}: {}", args.join(" "), run.status, run.stderr.trim()));
        }
        String::new()
    }

    fn signal_sessions(&mut self, signals: &[Signal], length: Duration) -> String {
        // The collector may be just between two connections.
        let start = Instant::now();
        let mut sessions = self.sshd.sessions();
        while sessions.is_empty() && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
            sessions = self.sshd.sessions();
        }
        if sessions.is_empty() {
            return "nobody was connected".into();
        }
        for (at, signal) in signals.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(length);
            }
            for pid in &sessions {
                procs::signal(*pid, *signal);
            }
        }
        String::new()
    }

    fn rename(&mut self) -> String {
        // Named as an archive is, so that the names still tell the order.
        let name = format!("f.log.{}-taken", jiff::Timestamp::now().strftime("%Y-%m-%dT%H-%M-%S%.6fZ"));
        let to = self.disk.folder.join(name);
        match std::fs::rename(self.out(), &to) {
            Ok(()) => {
                self.watch.moved.lock().unwrap().push(to);
                String::new()
            }
            Err(_) => "it was away already".into(),
        }
    }

    fn flood(&mut self, length: Duration) -> String {
        const FULL: u64 = 60 << 20;
        self.disk.fill(&self.out(), self.pid);
        let burst = self.crowd.burst(Habit::Flood, 4);
        let start = Instant::now();
        while self.watch.pending() < FULL && start.elapsed() < Duration::from_secs(6) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let filled = start.elapsed();
        std::thread::sleep(length);
        let pending = self.watch.pending();
        burst.hush();
        self.disk.free(self.pid);
        self.bursts.push(burst);
        format!("{:.0} MiB waited after {:.1} s", mib(pending), filled.as_secs_f64())
    }

    /// `up`, until it works.
    fn bring_up(&mut self) -> String {
        let sync = ["never", "interval", "always"][usize::try_from(self.rng.between(0, 2)).unwrap()];
        let mut stream = vec![format!("remote_port: {}", self.port), format!("out: {}", self.out().display())];
        stream.push(format!("sync: {sync}"));
        let compress = ["none", "gzip", "zstd"][usize::try_from(self.rng.between(0, 2)).unwrap()];
        stream.push(format!("rotate: {{ size: {}MB, compress: {compress} }}", self.rng.between(1, 8)));
        // Once in two the disk is really full, once reclog stops before.
        stream.push(format!("min_free: {}", if self.rng.percent(50) { "0" } else { "1MB" }));
        let keepalive = KEEPALIVE.as_millis();
        let profile = format!(
            "target: jump\nssh: {{ keepalive: {keepalive}ms }}\ndrain_timeout: 1s\nstreams:\n  main:\n    {}\n",
            stream.join("\n    ")
        );
        self.env.write(format!("config/profiles/{NAME}.yaml").as_str(), profile);
        let config = self.env.arg("ssh_config");
        let start = Instant::now();
        for attempt in 1.. {
            let command = self.network.reclog(&self.env, &["up", NAME, "-F", &config, "--json"]);
            let run = Bg::spawn(command).wait();
            let last: Value = run.stdout.lines().last().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
            if run.status.success() {
                self.pid = u32::try_from(last["pid"].as_u64().expect("a pid")).unwrap();
                self.env.expect(self.pid);
                return if attempt == 1 {
                    format!("sync {sync}")
                } else {
                    format!("sync {sync}, up at attempt {attempt}")
                };
            }
            if start.elapsed() > LOST {
                let says = format!("`up` fails for {LOST:?}: {} {}", run.stdout.trim(), run.stderr.trim());
                self.wrong(Kind::Verb, says.clone());
                panic!("{says}");
            }
            // A person's pace, not ours.
            std::thread::sleep(Duration::from_millis(200));
        }
        unreachable!()
    }

    /// `down`, which must be clean.
    fn take_down(&mut self) -> Value {
        let run = self.env.run(&["down", NAME, "--json"]);
        let last: Value = run.stdout.lines().last().and_then(|l| serde_json::from_str(l).ok()).unwrap_or_default();
        if !run.status.success() {
            self.wrong(Kind::Verb, format!("`down`: {}: {} {}", run.status, run.stdout.trim(), run.stderr.trim()));
        }
        let ledger = &last["streams"][0]["ledger"];
        if ledger["pending"] != 0 || ledger["synced"] != ledger["stored"] {
            self.wrong(Kind::Verb, format!("after `down` not all is stored and synced: {last}"));
        }
        let pid = self.pid;
        let start = Instant::now();
        while procs::alive(pid) && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(5));
        }
        if procs::alive(pid) || !self.env.runtime_files().is_empty() {
            let files = self.env.runtime_files();
            self.wrong(Kind::Verb, format!("`down` leaves process {pid} or files: {files:?}"));
        }
        last
    }

    /// Senders finish, the collector goes down, and everything is read again.
    fn end(&mut self) -> Figures {
        self.wait_back(now());
        // Those whose connection a fault has left half dead learn of it by now, or wait for their own patience.
        self.bursts.drain(..).for_each(Burst::finish);
        self.crowd.finish();
        self.take_down();
        let (sessions, port) = (&self.sshd, self.port);
        let start = Instant::now();
        while (!sessions.sessions().is_empty() || listening(port)) && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(10));
        }
        if listening(self.port) || !self.sshd.sessions().is_empty() {
            let left = self.sshd.sessions();
            self.wrong(
                Kind::Verb,
                format!("after `down` the jump host still has port {} or sessions {left:?}", self.port),
            );
        }
        self.watch.stop();
        for at in 0..self.happened.len() {
            self.happened[at].back = self.watch.arrived_since(self.happened[at].end);
        }
        self.verdict()
    }

    fn verdict(&mut self) -> Figures {
        let seen = std::mem::take(&mut *self.watch.seen.lock().unwrap());
        let mut tally = Tally::new(self.crowd_run());
        let files = self.files();
        for (name, path) in &files {
            let taken = name.ends_with("-taken");
            read(path)
                .and_then(|(content, child)| {
                    tally.file(name, taken, content)?;
                    child.map_or(Ok(()), |mut child| child.wait().map(|_| ()))
                })
                .unwrap_or_else(|e| self.troubles.push(Trouble::new(Kind::Torn, format!("cannot read {name}: {e}"))));
        }
        let connections = self.crowd.book.connections();
        let audited: Audited = checker::audit(&seen.audit);
        if seen.audit.is_empty() {
            self.troubles.push(Trouble::new(Kind::Audit, "the audit trail is empty"));
        }
        let run = self.crowd_run();
        let evidence =
            Evidence { run, tally: &tally, connections: &connections, faults: &self.happened, audited: &audited };
        let mut verdict: Verdict = checker::check(&evidence);
        verdict.troubles.append(&mut self.troubles);
        verdict.troubles.extend(seen.troubles.iter().cloned());
        for (from, to) in &seen.silences {
            let busy = |f: &Happened| {
                let gone = matches!(f.fault, Fault::KillCollector | Fault::DownUp | Fault::PauseCollector);
                gone && f.begin <= *to && f.end >= *from
            };
            if !self.happened.iter().any(busy) {
                let says = format!("{}: no answer to a status", checker::clock(*from));
                verdict.troubles.push(Trouble::new(Kind::Sample, says));
            }
        }
        let full = |f: &&Happened| matches!(f.fault, Fault::DiskFull | Fault::DiskFullFlood);
        let unseen = self.happened.iter().filter(full).filter_map(|fault| checker::stalls_show(fault, &seen.states));
        verdict.troubles.extend(unseen);
        Figures {
            seed: self.wish.seed,
            what: format!("{} · disk: {}", self.network.what(), self.disk.what()),
            took: self.began.elapsed(),
            files: files.len(),
            lines: tally.lines,
            bytes: tally.bytes,
            samples: seen.samples,
            most_pending: seen.most_pending,
            most_resident: seen.most_resident,
            audit_lines: seen.audit.len(),
            gaps: audited.gaps.clone(),
            helped: self.helped,
            happened: self.happened.clone(),
            verdict,
        }
    }

    /// All files of the output in the order of writing.
    fn files(&self) -> Vec<(String, PathBuf)> {
        let entries = self.disk.folder.read_dir().unwrap().flatten();
        let mut archives: Vec<(String, PathBuf)> = entries
            .map(|e| (e.file_name().to_string_lossy().into_owned(), e.path()))
            .filter(|(name, _)| name.starts_with("f.log."))
            .collect();
        archives.sort();
        archives.extend(self.out().exists().then(|| ("f.log".to_owned(), self.out())));
        archives
    }

    /// Everything that a person needs to look into it, kept; returns where.
    pub fn keep(self, figures: &Figures) -> PathBuf {
        let folder = tempfile::Builder::new().prefix("reclog-chaos-").tempdir_in("/tmp").expect("a folder").keep();
        let mut copy = Command::new("cp");
        let from = ["disk", "state", "config", "ssh_config"].map(|name| self.env.path(name));
        copy.arg("-a").args(from).arg(&folder);
        let _ = copy.status();
        let _ = std::fs::write(folder.join("sshd.log"), self.sshd.log());
        let _ = std::fs::write(folder.join("verdict.md"), figures.markdown());
        if let Ok(mut senders) = File::create(folder.join("senders.txt")) {
            let mut all: Vec<_> = self.crowd.book.connections().into_iter().collect();
            all.sort_by_key(|(id, _)| *id);
            for (id, c) in all {
                let lines = c.lines.len();
                let (opened, finished) = (checker::clock(c.opened), c.finished.map(checker::clock));
                let end = c.end.map(|(at, end)| (checker::clock(at), end));
                let _ = writeln!(senders, "{id} opened {opened} lines {lines} finished {finished:?} end {end:?}");
            }
        }
        folder
    }
}

fn seconds(micros: Micros) -> f64 {
    Duration::from_micros(u64::try_from(micros).unwrap_or(0)).as_secs_f64()
}

pub fn mib(bytes: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mib = bytes as f64 / 1_048_576.0;
    mib
}

/// A file's lines; archives through the programs that users read them with.
fn read(path: &std::path::Path) -> std::io::Result<(Box<dyn BufRead>, Option<Child>)> {
    let program = match path.extension().and_then(|e| e.to_str()) {
        Some("gz") => "gzip",
        Some("zst") => "zstd",
        _ => return Ok((Box::new(BufReader::new(File::open(path)?)), None)),
    };
    let mut command = Command::new(program);
    command.arg("-dc").stdin(File::open(path)?).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let content = BufReader::new(child.stdout.take().unwrap());
    Ok((Box::new(content), Some(child)))
}

/// Makes `sshd`, at the end of the line, the host `jump`.
fn trust(env: &Env, network: &Network, sshd: &Sshd) {
    let (host, port) = network.way_to(sshd.port);
    let known = env.write("known_hosts", format!("[{host}]:{port} {}\n", sshd.host_key_public("ed25519")));
    let key = sshd.user_key("ed25519");
    let user = crate::common::sshd::whoami();
    let lines = [
        "Host jump".to_owned(),
        format!("HostName {host}"),
        format!("Port {port}"),
        format!("User {user}"),
        format!("IdentityFile {}", key.display()),
        "IdentitiesOnly yes".to_owned(),
        format!("UserKnownHostsFile {}", known.display()),
        "GlobalKnownHostsFile /dev/null".to_owned(),
    ];
    env.write("ssh_config", lines.join("\n  ") + "\n");
}
