//! What the page costs and how fast it is, in a real browser over a real collector.
//!
//!     cargo bench --bench browser -- [--seconds N] [--rate LINES] [--rounds N] [--beside FOLDER]
//!
//! Prints, as rows of a table: the weight of the page, the time from its address to its first lines, the time from a
//! sender's write to the pixel, and what a flood of `--rate` lines a second (20,000) for `--seconds` (60) does to it:
//! its longest task, its frames, its memory. With `--beside`, where `npm install frontail rtail` was run in FOLDER, the same
//! flood through these. Nothing is asserted: times belong to the machine. What the bench started is gone when it ends.

#[path = "../tests/common/mod.rs"]
mod common;

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use common::browser::{Browser, Web};
use common::{Daemon, Env, LATER, Sender, free_port, listening, send, wait_until};
use serde_json::json;

const WINDOW: (u32, u32) = (1280, 800);
/// Lines whose way to the pixel is measured, and the time between two of them: no multiple of a frame.
const PIXELS: usize = 400;
const BETWEEN: Duration = Duration::from_millis(37);
/// A flood goes out in portions of this time.
const PORTION: Duration = Duration::from_millis(10);

/// Tells of long tasks and frames from the first script on.
const WATCH: &str = "
window.tasks = [];
new PerformanceObserver((list) => tasks.push(...list.getEntries().map((e) => e.duration))).observe({ type: 'longtask', buffered: true });
window.frames = 0;
(function frame() { frames += 1; requestAnimationFrame(frame); })();
new MutationObserver((_, observer) => {
  if (!document.querySelector('[role=log] .text')) return;
  observer.disconnect();
  requestAnimationFrame(() => setTimeout(() => (window.first = performance.now())));
}).observe(document, { subtree: true, childList: true });
";

/// Notes when each line `@MICROSECONDS` is painted, as far as a page can tell: after the frame that it is part of.
const PIXEL: &str = "
window.delays = [];
const seen = new Set();
new MutationObserver((changes) => {
  const fresh = [];
  for (const change of changes) for (const row of change.addedNodes) {
    const sent = /@(\\d+)/.exec(row.querySelector?.('.text')?.textContent ?? '')?.[1];
    if (sent && !seen.has(sent)) { seen.add(sent); fresh.push(Number(sent) / 1000); }
  }
  if (!fresh.length) return;
  const note = () => { const now = performance.timeOrigin + performance.now(); delays.push(...fresh.map((t) => now - t)); };
  // The list draws in a frame's callback: the frame is out when the next turn comes.
  const channel = new MessageChannel();
  channel.port1.onmessage = note;
  channel.port2.postMessage(null);
}).observe(document.querySelector('#rows'), { childList: true });
";

struct Options {
    seconds: u64,
    rate: u64,
    rounds: usize,
    beside: Option<PathBuf>,
}

fn options() -> Options {
    let mut options = Options { seconds: 60, rate: 20_000, rounds: 10, beside: None };
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--beside" {
            options.beside = args.next().map(PathBuf::from);
            continue;
        }
        let mut number = || args.next().and_then(|n| n.parse().ok()).unwrap_or_else(|| panic!("{arg} takes a number"));
        match arg.as_str() {
            "--seconds" => options.seconds = number(),
            "--rate" => options.rate = number(),
            "--rounds" => options.rounds = usize::try_from(number()).expect("rounds"),
            "--bench" => {}
            other => panic!("{other} is no option: --seconds N, --rate LINES, --rounds N, --beside FOLDER"),
        }
    }
    options
}

/// The value below which this part of `values` lies.
fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "small")]
    let at = ((values.len().max(1) - 1) as f64 * part).round() as usize;
    values.get(at).copied().unwrap_or(f64::NAN)
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().into_iter().flatten().filter_map(serde_json::Value::as_f64).collect()
}

fn row(what: &str, figures: &str) {
    println!("| {what} | {figures} |");
}

fn browser(env: &Env) -> Browser {
    let browser = Browser::start(env, WINDOW, &["--js-flags=--expose-gc"]);
    browser.cdp("Page.addScriptToEvaluateOnNewDocument", &json!({ "source": WATCH }));
    browser
}

fn first_lines(browser: &Browser, web: &Web, rounds: usize) {
    let mut times = Vec::new();
    for _ in 0..rounds {
        browser.open("about:blank");
        browser.open(&web.view("s=c/main"));
        times.push(browser.wait("the first lines are painted", "window.first").as_f64().unwrap_or(f64::NAN));
    }
    let weight = browser.js(
        "const all = [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')];\
         return all.filter((e) => !e.name.includes('/api/')).reduce((sum, e) => sum + e.decodedBodySize, 0)",
    );
    row("weight of the page", &format!("{weight} bytes"));
    let (median, most) = (quantile(&mut times, 0.5), quantile(&mut times, 1.0));
    row("first lines", &format!("median {median:.0} ms, at most {most:.0} ms of {rounds}"));
}

fn write_to_pixel(browser: &Browser, sender: &mut Sender) {
    browser.js(PIXEL);
    for n in 0..PIXELS {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        sender.write(format!("line {n} @{}\n", now.as_micros()));
        std::thread::sleep(BETWEEN);
    }
    browser.wait("all are painted", &format!("delays.length >= {PIXELS}"));
    let mut delays = numbers(&browser.js("return delays"));
    let (median, high, most) = (quantile(&mut delays, 0.5), quantile(&mut delays, 0.99), quantile(&mut delays, 1.0));
    row("write to pixel", &format!("median {median:.0} ms, 99 % {high:.0} ms, at most {most:.0} ms of {PIXELS}"));
}

fn heap(browser: &Browser) -> f64 {
    browser.js("window.gc?.()");
    browser.js("return performance.memory.usedJSHeapSize / 1048576").as_f64().unwrap_or(f64::NAN)
}

/// Lets `put` send lines, and tells what becomes of the page of `whose`.
#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn flood(whose: &str, browser: &Browser, put: &mut dyn FnMut(&str), options: &Options) {
    let before = heap(browser);
    browser.js("tasks.length = 0; frames = 0");
    let start = Instant::now();
    let line = |n| format!("{n:09} host app[4711]: level=info request handled in {} ms\n", n % 977);
    let (mut sent, mut heaps) = (0, Vec::new());
    let mut next_heap = Duration::from_secs(10);
    while start.elapsed() < Duration::from_secs(options.seconds) {
        let due = u64::try_from(start.elapsed().as_millis()).expect("a time") * options.rate / 1000;
        let lines: String = (sent..due).map(line).collect();
        put(&lines);
        sent = due;
        if start.elapsed() > next_heap {
            heaps.push(browser.js("return performance.memory.usedJSHeapSize / 1048576").as_f64().unwrap_or(f64::NAN));
            next_heap += Duration::from_secs(10);
        }
        std::thread::sleep(PORTION);
    }
    let took = start.elapsed().as_secs_f64();
    let told = browser.js("return [tasks, frames, document.querySelectorAll('*').length]");
    // What stands on the page last.
    let last = format!("return document.body.innerText.includes('{:09} ')", sent - 1);
    let deadline = Instant::now() + LATER;
    let mut shown = false;
    while !shown && Instant::now() < deadline {
        shown = browser.js(&last) == json!(true);
        std::thread::sleep(PORTION);
    }
    let caught_up = if shown {
        format!("the last line {:.1} s after it was sent", start.elapsed().as_secs_f64() - took)
    } else {
        "the last line was never shown".to_owned()
    };
    let mut tasks = numbers(&told[0]);
    let frames = told[1].as_f64().unwrap_or(0.0);
    row(
        &format!("{whose}: {:.0} lines/s for {took:.0} s", sent as f64 / took),
        &format!(
            "{} tasks over 50 ms, the longest {:.0} ms; {:.0} frames/s; {} elements; {caught_up}",
            tasks.len(),
            if tasks.is_empty() { 0.0 } else { quantile(&mut tasks, 1.0) },
            frames / took,
            told[2]
        ),
    );
    let during: Vec<_> = heaps.iter().map(|mib| format!("{mib:.0}")).collect();
    row(
        &format!("{whose}: its memory"),
        &format!("{before:.0} MiB before, {} MiB meanwhile, {:.0} MiB after", during.join(", "), heap(browser)),
    );
}

/// A program of npm, in `folder`.
fn program(folder: &Path, name: &str, args: &[&str]) -> Command {
    let mut command = Command::new(folder.join("node_modules/.bin").join(name));
    command.args(args).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

/// The page at `path` of a server on `port`, which shows what was sent before.
fn page(env: &Env, port: u16, path: &str) -> Browser {
    wait_until("it listens", LATER, || listening(port).then_some(()));
    let browser = browser(env);
    browser.open(&format!("http://127.0.0.1:{port}/{path}"));
    // Its sockets are connected by then.
    std::thread::sleep(Duration::from_secs(2));
    browser
}

fn frontail(folder: &Path, options: &Options) {
    let env = Env::new();
    let (port, path) = (free_port(), env.path("file.log"));
    let mut file = File::create(&path).expect("a file");
    let (place, text) = (port.to_string(), path.to_str().expect("a path"));
    let _server = Daemon::start(&mut program(folder, "frontail", &["--port", &place, "--host", "127.0.0.1", text]));
    let browser = page(&env, port, "");
    flood("frontail", &browser, &mut |lines| file.write_all(lines.as_bytes()).expect("room"), options);
}

fn rtail(folder: &Path, options: &Options) {
    let env = Env::new();
    let (port, udp) = (free_port().to_string(), free_port().to_string());
    let server = ["--web-host", "127.0.0.1", "--web-port", &port, "--udp-host", "127.0.0.1", "--udp-port", &udp];
    let _server = Daemon::start(&mut program(folder, "rtail-server", &server));
    let mut command =
        program(folder, "rtail", &["--mute", "--no-parse-date", "--id", "c", "--host", "127.0.0.1", "--port", &udp]);
    let mut client = Ended(command.stdin(Stdio::piped()).spawn().expect("rtail"));
    let mut pipe = client.0.stdin.take().expect("piped");
    let port = port.parse().expect("a number");
    wait_until("it listens", LATER, || listening(port).then_some(()));
    // A stream is there as soon as it has a line.
    pipe.write_all(b"the first line\n").expect("it reads");
    let browser = page(&env, port, "#/streams/c");
    flood("rtail", &browser, &mut |lines| pipe.write_all(lines.as_bytes()).expect("it reads"), options);
}

struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() {
    let options = options();
    let env = Env::new();
    let collector = env.listen(&["--name", "c", "--out", &env.arg("c.log")]);
    let line = |n| format!("line {n} of before\n");
    send(collector.port(), (0..1000).map(line).collect::<String>());
    let web = Web::start(&env, &[]);
    let browser = browser(&env);
    browser.open(&web.link);
    println!("| what | measured |\n|---|---|");
    first_lines(&browser, &web, options.rounds);
    let mut sender = Sender::open(collector.port());
    write_to_pixel(&browser, &mut sender);
    flood("reclog", &browser, &mut |lines| sender.write(lines), &options);
    drop(sender);
    drop(browser);
    env.down("c");
    if let Some(folder) = &options.beside {
        frontail(folder, &options);
        rtail(folder, &options);
    }
}
