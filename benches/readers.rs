//! What many who look cost the one who sends.
//!
//!     cargo bench --bench readers -- [--readers N] [--seconds N] [--rounds N] [--rate LINES]
//!
//! A collector on loopback, one sender, and `--readers` (50) connections that are told each line as a page is. In turns
//! without and with them, `--rounds` (5) times: how much one sender gets stored at full speed in `--seconds` (5), and, at
//! `--rate` lines a second (10,000), how many of them are stored in a second and what collector and web take of a
//! processor. The readers are `curl` at the lowest priority: browsers are elsewhere. Nothing is asserted: times belong to the machine.

#[path = "../tests/common/mod.rs"]
mod common;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::browser::Web;
use common::{Collector, Env};

/// Bytes of a line.
const LINE: usize = 100;
/// A sender that is not at full speed sends in portions of this time.
const PORTION: Duration = Duration::from_millis(10);

#[derive(Debug)]
struct Options {
    readers: u64,
    seconds: u64,
    rounds: u64,
    rate: u64,
}

fn options() -> Options {
    let mut options = Options { readers: 50, seconds: 5, rounds: 5, rate: 10_000 };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{arg} takes a number"));
        match arg.as_str() {
            "--readers" => options.readers = number(),
            "--seconds" => options.seconds = number(),
            "--rounds" => options.rounds = number(),
            "--rate" => options.rate = number(),
            "--bench" => {}
            other => panic!("{other} is no option: --readers N, --seconds N, --rounds N, --rate LINES"),
        }
    }
    options
}

/// Somebody who is told all lines and does nothing with them.
struct Reader(Child, Child);

impl Reader {
    fn start(web: &Web) -> Self {
        let (place, token) = web.link.split_once("?token=").expect("a token");
        let mut command = Command::new("nice");
        command.args(["-n", "19", "curl", "-sN", "-H", &format!("Authorization: Bearer {token}")]);
        command.arg(format!("{place}api/view?stream=c/main&n=500"));
        // The first event is there: it is connected. The rest is read and forgotten.
        let mut child = command.stdout(Stdio::piped()).spawn().expect("curl");
        let mut out = BufReader::with_capacity(64 * 1024, child.stdout.take().expect("its output"));
        let mut line = String::new();
        while !line.starts_with("event: ready") {
            line.clear();
            assert!(out.read_line(&mut line).expect("an event") > 0, "curl has ended");
        }
        let mut sink = Command::new("nice");
        sink.args(["-n", "19", "cat"]).stdin(out.into_inner()).stdout(Stdio::null());
        Self(child, sink.spawn().expect("cat"))
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        for child in [&mut self.0, &mut self.1] {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Seconds of a processor that this process has used.
fn used(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |n: usize| fields[n].parse::<f64>().expect("ticks");
    // USER_HZ is 100 on every architecture that Linux has.
    (ticks(11) + ticks(12)) / 100.0
}

fn block(from: u64, lines: u64) -> Vec<u8> {
    let line = |n: u64| format!("{n:012} host app[4711]: level=info {:<width$}\n", "request", width = LINE - 13 - 28);
    (from..from + lines).map(line).collect::<String>().into_bytes()
}

/// MB/s that one sender gets stored.
fn full_speed(env: &Env, collector: &Collector, seconds: u64, before: &mut u64) -> f64 {
    let block = block(0, 2_000);
    let mut sender = TcpStream::connect(("127.0.0.1", collector.port())).expect("a connection");
    let (start, mut sent) = (Instant::now(), 0);
    while start.elapsed() < Duration::from_secs(seconds) {
        sender.write_all(&block).expect("it takes all");
        sent += block.len() as u64;
    }
    drop(sender);
    *before += sent;
    env.wait_stored("c", *before);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = sent as f64 / start.elapsed().as_secs_f64() / 1e6;
    rate
}

/// Parts of a processor that collector and web take, and lines that are stored a second.
fn at_rate(env: &Env, collector: &Collector, web: &Web, options: &Options, before: &mut u64) -> [f64; 3] {
    let mut sender = TcpStream::connect(("127.0.0.1", collector.port())).expect("a connection");
    let (start, mut sent) = (Instant::now(), 0);
    let was = (used(collector.pid), used(web.pid()));
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let due = u64::try_from(start.elapsed().as_millis()).expect("a time") * options.rate / 1000;
        let bytes = block(sent, due - sent);
        sender.write_all(&bytes).expect("it takes all");
        *before += bytes.len() as u64;
        sent = due;
        std::thread::sleep(PORTION);
    }
    let (took, is) = (start.elapsed().as_secs_f64(), (used(collector.pid), used(web.pid())));
    drop(sender);
    env.wait_stored("c", *before);
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    let rate = sent as f64 / start.elapsed().as_secs_f64();
    [(is.0 - was.0) / took * 100.0, (is.1 - was.1) / took * 100.0, rate]
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let options = options();
    let env = Env::new();
    let rotate = ["--rotate-size", "500MB", "--keep", "1", "--compress", "none"];
    let collector = env.listen(&[&["--name", "c", "--out", &env.arg("c.log")][..], &rotate].concat());
    let web = Web::start(&env, &[]);
    let mut stored = 0;
    let (mut speed, mut shares) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for round in 0..=options.rounds {
        // The first one warms everything up. Which goes first changes.
        for with in [round % 2 == 0, round % 2 == 1] {
            let readers: Vec<_> = (0..if with { options.readers } else { 0 }).map(|_| Reader::start(&web)).collect();
            let fast = full_speed(&env, &collector, options.seconds, &mut stored);
            let share = at_rate(&env, &collector, &web, &options, &mut stored);
            drop(readers);
            if round > 0 {
                speed[usize::from(with)].push(fast);
                shares[usize::from(with)].push(share);
            }
        }
    }
    println!("| {} readers | without | with |\n|---|---|---|", options.readers);
    let [mut without, mut with] = speed;
    let each = |values: &[f64]| values.iter().map(|v| format!("{v:.0}")).collect::<Vec<_>>().join(", ");
    let (all_without, all_with) = (each(&without), each(&with));
    let (one, two) = (median(&mut without), median(&mut with));
    println!(
        "| one sender at full speed, MB/s | {one:.0} ({all_without}) | {two:.0} ({all_with}), {:+.1} % |",
        (two / one - 1.0) * 100.0
    );
    for (place, what) in ["collector, % of a processor", "web, % of a processor", "stored, lines/s"].iter().enumerate()
    {
        let figure = |shares: &[[f64; 3]]| median(&mut shares.iter().map(|share| share[place]).collect::<Vec<_>>());
        println!("| {} lines/s: {what} | {:.1} | {:.1} |", options.rate, figure(&shares[0]), figure(&shares[1]));
    }
    env.down("c");
}
