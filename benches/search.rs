//! A search of a history beside `rg` on the same file.
//!
//!     cargo bench --bench search -- [--mib N] [--rounds N]
//!
//! Writes `--mib` (1024) of lines to a file, and searches them by turns with both sides, each `--rounds` times (5), from
//! memory. Each side hands every line that it finds to a reader; before the rounds both are asked once for the very same
//! lines. Prints, as rows of a table, the medians, their ratio, and when the first line came. Nothing is asserted about
//! times: they belong to the machine. What the bench wrote is gone when it ends.

use std::hash::{DefaultHasher, Hasher as _};
use std::io::{BufWriter, Read as _, Write as _};
use std::ops::ControlFlow;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use reclog::history::{Found, Log, Pattern, search};

/// Name, pattern, whether case counts not.
const PATTERNS: [(&str, &str, bool); 8] = [
    ("a literal, no line", "nowhere to be found", false),
    ("a literal and digits, a line of 10,000", "request 7[0-9]*000 ", false),
    ("a word, a line of 10", "timeout", false),
    ("four words, no line", "segfault|panicked|deadlock|corrupted", false),
    ("four words, a line of 5", "timeout|refused|segfault|panicked", false),
    ("a word in any case", "TimeOut", true),
    ("classes, no line", r"[a-z]{4}[0-9]{7}[A-Z]{2}", false),
    ("every line", "request", false),
];

/// Lines like those of a service: a time, words, and numbers that differ.
fn write(path: &Path, mib: u64) -> std::io::Result<u64> {
    const WHAT: [&str; 10] = [
        "GET /index.html 200",
        "POST /api/v1/items 201",
        "connection refused by upstream",
        "GET /static/app.js 304",
        "cache hit",
        "timeout after 30 s",
        "user logged in",
        "GET /metrics 200",
        "job finished",
        "Écriture terminée",
    ];
    let mut file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path)?);
    let (mut bytes, mut n) = (0, 0_u64);
    while bytes < mib << 20 {
        let line = format!(
            "2026-11-21T00:41:{:02}.{:06}Z 10.0.{}.{}:{} request {n} {} in {} ms\n",
            n / 1_000_000 % 60,
            n % 1_000_000,
            n % 200,
            n * 7 % 250,
            1024 + n * 31 % 60_000,
            WHAT[usize::try_from(n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40).unwrap_or(0) % WHAT.len()],
            n * 13 % 977,
        );
        file.write_all(line.as_bytes())?;
        bytes += line.len() as u64;
        n += 1;
    }
    file.flush()?;
    Ok(bytes)
}

/// How long it took, when the first line came, and how many there were.
struct Run {
    all: Duration,
    first: Option<Duration>,
    lines: u64,
}

fn ours(path: &Path, text: &str, ignore_case: bool, mut each: impl FnMut(&[u8])) -> Run {
    let began = Instant::now();
    let pattern = Pattern::new(text, ignore_case, false).expect("a pattern");
    let (mut first, go_on) = (None, AtomicBool::new(false));
    let summary = search(&mut Log::new(path, None), 0, &pattern, 0, &go_on, &mut |found| {
        if let Found::Hit(line) = found {
            first.get_or_insert_with(|| began.elapsed());
            each(&line.bytes);
        }
        ControlFlow::Continue(())
    })
    .expect("a search");
    assert!(!summary.stopped && summary.cut == 0 && summary.unreadable.is_empty());
    Run { all: began.elapsed(), first, lines: summary.hits }
}

fn theirs(path: &Path, text: &str, ignore_case: bool, mut each: impl FnMut(&[u8])) -> Run {
    let began = Instant::now();
    let mut command = Command::new("rg");
    command.args(["--no-config", "--text", "--no-line-number", "--no-filename", "--color=never"]);
    command.args(if ignore_case { &["--ignore-case"][..] } else { &[] });
    let mut rg = command.arg("-e").arg(text).arg(path).stdout(Stdio::piped()).spawn().expect("rg (Debian: ripgrep)");
    let mut out = rg.stdout.take().expect("a pipe");
    let (mut first, mut block) = (None, vec![0; 256 * 1024]);
    loop {
        let n = out.read(&mut block).expect("what rg finds");
        if n == 0 {
            break;
        }
        first.get_or_insert_with(|| began.elapsed());
        each(&block[..n]);
    }
    rg.wait().expect("rg ends");
    Run { all: began.elapsed(), first, lines: 0 }
}

fn option(name: &str, default: u64) -> u64 {
    let mut args = std::env::args().skip_while(|arg| arg != name);
    args.nth(1).map_or(default, |value| value.parse().expect("a number"))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn main() {
    let (mib, rounds) = (option("--mib", 1024), option("--rounds", 5).max(1));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file.log");
    let bytes = write(&path, mib).expect("the file");
    println!("{mib} MiB, {rounds} rounds, medians\n");
    println!("| pattern | lines | rg | reclog | reclog / rg | MiB/s | first line after |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    for (name, text, ignore_case) in PATTERNS {
        // The same lines, to the byte; and the file is in memory now.
        let (mut one, mut other) = (DefaultHasher::new(), DefaultHasher::new());
        let lines = ours(&path, text, ignore_case, |line| {
            one.write(line);
            one.write(b"\n");
        })
        .lines;
        theirs(&path, text, ignore_case, |block| other.write(block));
        assert_eq!(one.finish(), other.finish(), "{name}: the lines differ");
        let (mut mine, mut rg, mut first) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            rg.push(theirs(&path, text, ignore_case, |_| {}).all);
            let run = ours(&path, text, ignore_case, |_| {});
            mine.push(run.all);
            first.extend(run.first);
        }
        let (mine, rg) = (median(mine), median(rg));
        let ms = |time: Duration| format!("{:.0} ms", time.as_secs_f64() * 1000.0);
        let first =
            if first.is_empty() { "–".into() } else { format!("{:.1} ms", median(first).as_secs_f64() * 1000.0) };
        let ratio = mine.as_secs_f64() / rg.as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
        let speed = bytes as f64 / f64::from(1 << 20) / mine.as_secs_f64();
        println!("| {name} | {lines} | {} | {} | {ratio:.2} | {speed:.0} | {first} |", ms(rg), ms(mine));
    }
}
