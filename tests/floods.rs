//! Floods: memory stays bounded, whoever is right gets in, and a quiet sender is served as ever.

mod common;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use common::snapshot::{assert_settled, number};
use common::{Collector, Env, LATER, SOON, Sshd, read_text, wait_until};

/// A connection to the port from this address of the loopback interface.
fn from(address: [u8; 4], port: u16) -> std::io::Result<TcpStream> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)?;
    // The port is chosen when it connects: the same one may lead to several places.
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((address, 0)).into())?;
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
    let stream = TcpStream::from(socket);
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SOON))?;
    Ok(stream)
}

/// `VmRSS` of the process, in KiB.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn keyword_file(env: &Env) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = env.write("word", "open sesame\n");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// `SILENT` connections of one address that say nothing and stay, and right senders meanwhile.
fn silence(env: &Env, collector: &Collector, silent: usize) {
    let port = collector.port();
    let before = memory(collector.pid);
    let mut kept = Vec::new();
    let mut most = before;
    for n in 0..silent {
        // Whoever is not let in by the jump host's own limits has no place here either.
        if let Ok(stream) = from([127, 0, 0, 7], port) {
            kept.push(stream);
        }
        // No more descriptors than a test process may have.
        if kept.len() > 800 {
            kept.drain(..400);
        }
        if n % 1000 == 999 {
            most = most.max(memory(collector.pid));
            let mut right = from([127, 0, 0, 1], port).unwrap();
            right.write_all(format!("open sesame\nline {n}\n").as_bytes()).unwrap();
            wait_until("a right sender is stored meanwhile", SOON, || {
                read_text(env.path("f")).contains(&format!("line {n}\n")).then_some(())
            });
        }
    }
    drop(kept);
    assert!(most - before < 40 * 1024, "from {before} to {most} KiB");
    // Who is pushed out again and again stays out before it costs anything.
    let rejected = |c: &serde_json::Value| number(&c["streams"][0]["senders"]["rejected"]["penalty"]) > 0;
    env.wait_collector("c", "keeps out whoever floods", rejected);
    let senders = &env.run(&["status", "c", "--json"]).ok().last_event()["collectors"][0]["streams"][0]["senders"];
    let pushed = number(&senders["rejected"]["gate"]);
    assert!(pushed < silent as u64 / 4, "{pushed} of {silent} were let in and sent away");
    let down = env.run(&["down", "c", "--json"]).ok().last_event();
    let stream = &down["streams"][0];
    assert_settled(stream, &env.path("f"));
    assert_eq!(number(&stream["senders"]["accepted"]), silent as u64 / 1000);
    assert_eq!(number(&stream["senders"]["open"]), 0);
    let trail = std::fs::metadata(env.path("state/c/audit.jsonl")).unwrap().len();
    assert!(trail < 1024 * 1024, "the trail of a flood has {trail} bytes");
}

#[test]
fn ten_thousand_connections_that_say_nothing_cost_little_and_keep_nobody_out() {
    let env = Env::new();
    let collector = env.listen(&["--out", &env.arg("f"), "--name", "c", "--keyword-file", &keyword_file(&env)]);
    silence(&env, &collector, 10_000);
}

#[test]
fn connections_that_say_nothing_through_sshd_keep_nobody_out_either() {
    require!("sshd");
    let (env, sshd) = (Env::new(), Sshd::start());
    env.trust(&sshd);
    let word = keyword_file(&env);
    let collector = env.up(&["--remote-port", "0", "--out", &env.arg("f"), "--name", "c", "--keyword-file", &word]);
    silence(&env, &collector, 2_000);
}

/// Bytes of a flood that have gone the whole way when it counts as one: every buffer between its senders and the file is full. Before
/// that it is two hundred connections that are opened.
const FLOOD: u64 = 100 << 20;

/// What a quiet sender met with, sorted.
struct Measured {
    /// From its write to the file.
    delays: Vec<Duration>,
    /// Bytes that were written before its line.
    ahead: Vec<u64>,
    /// Of the flood, bytes a second.
    rate: u64,
}

/// How long the lines of a quiet sender take from its write to the file, while 200 connections of another address flood; sorted.
/// With it comes what the flood brought, in bytes a second.
fn delays(out: &Path, port: u16, lines: usize) -> Measured {
    let (over, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    // One thread for all of them: two hundred would be a flood of this machine's own processors.
    let flood = std::thread::spawn({
        let (over, sent) = (Arc::clone(&over), Arc::clone(&sent));
        move || {
            let lines = "flood 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 012\n".repeat(200);
            let mut all: Vec<_> = (0..200).map(|_| (from([127, 0, 0, 7], port).unwrap(), 0)).collect();
            for (stream, _) in &all {
                stream.set_nonblocking(true).unwrap();
            }
            while !over.load(Ordering::Relaxed) {
                let mut wrote = 0;
                for (stream, at) in &mut all {
                    if let Ok(n) = stream.write(&lines.as_bytes()[*at..]) {
                        *at = (*at + n) % lines.len();
                        wrote += n;
                    }
                }
                sent.fetch_add(wrote as u64, Ordering::Relaxed);
                if wrote == 0 {
                    std::thread::sleep(Duration::from_micros(500));
                }
            }
        }
    });
    let mut quiet = from([127, 0, 0, 1], port).unwrap();
    let flooded = || sent.load(Ordering::Relaxed).min(std::fs::metadata(out).map_or(0, |meta| meta.len()));
    wait_until("the flood is on", LATER, || (flooded() > FLOOD).then_some(()));
    // Reading along would be a flood of its own: how long the file is, and when, is enough to tell when a line was there.
    let (path, stop) = (out.to_owned(), Arc::clone(&over));
    let watcher = std::thread::spawn(move || {
        let mut samples = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            samples.push((std::fs::metadata(&path).unwrap().len(), Instant::now()));
            std::thread::sleep(Duration::from_micros(300));
        }
        samples
    });
    let (begun, before) = (Instant::now(), std::fs::metadata(out).unwrap().len());
    let mut written = Vec::new();
    for n in 0..lines {
        written.push(Instant::now());
        quiet.write_all(format!("quiet {n:06} #\n").as_bytes()).unwrap();
        // A device that says something now and then.
        std::thread::sleep(Duration::from_millis(10));
    }
    let last = format!("quiet {:06} #\n", lines - 1);
    std::thread::sleep(Duration::from_secs(1));
    over.store(true, Ordering::Relaxed);
    let samples = watcher.join().unwrap();
    let rate = (samples.last().unwrap().0 - before) * 1000 / u64::try_from(begun.elapsed().as_millis()).unwrap();
    flood.join().unwrap();
    drop(quiet);
    let mut ends = Vec::new();
    let (mut file, mut buffer, mut rest, mut at) =
        (std::fs::File::open(out).unwrap(), vec![0; 1 << 20], Vec::new(), 0u64);
    while ends.len() < lines {
        let got = file.read(&mut buffer).unwrap();
        assert!(got > 0, "{last:?} is not there: {} of {lines}", ends.len());
        rest.extend_from_slice(&buffer[..got]);
        let mut from = 0;
        while ends.len() < lines {
            let mark = format!("quiet {:06} #\n", ends.len());
            let Some(found) = memchr::memmem::find(&rest[from..], mark.as_bytes()) else { break };
            from += found + mark.len();
            ends.push(at + from as u64);
        }
        let keep = rest.len().saturating_sub(last.len()).max(from);
        at += keep as u64;
        rest.drain(..keep);
    }
    let stored = |end: &u64| samples[samples.partition_point(|(length, _)| length < end).min(samples.len() - 1)].1;
    let mut delays: Vec<_> =
        ends.iter().map(stored).zip(&written).map(|(stored, begun)| stored.saturating_duration_since(*begun)).collect();
    // What got into the file between a line's write and the line: whatever else runs on this machine, this tells whose turn it was.
    let length_at = |time: &Instant| samples[samples.partition_point(|(_, at)| at < time).min(samples.len() - 1)].0;
    let mut ahead: Vec<_> =
        ends.iter().zip(&written).map(|(end, begun)| end.saturating_sub(length_at(begun))).collect();
    delays.sort_unstable();
    ahead.sort_unstable();
    Measured { delays, ahead, rate }
}

fn percentile<T: Copy>(sorted: &[T], percent: usize) -> T {
    sorted[(sorted.len() - 1) * percent / 100]
}

/// A quiet sender has its turn while others flood. How long it takes is printed, and asserted nowhere: a machine with other
/// work to do looks late. What comes before a line tells whose turn it was.
fn assert_in_turn(place: &str, Measured { delays, ahead, rate }: &Measured) {
    let [half, most, worst] = [50, 99, 100].map(|p| percentile(delays, p));
    let kib = [50, 99].map(|p| percentile(ahead, p) / 1024);
    let rate = rate / 1_000_000;
    eprintln!("{place}: median {half:?}, 99th percentile {most:?}, longest {worst:?}; {kib:?} KiB ahead; {rate} MB/s");
    // A round of all senders is 4 MiB, and what is queued before the disk is 2.
    assert!(kib[0] < 16 << 10, "{place}: {} KiB of the flood come before a line", kib[0]);
}

#[test]
fn a_quiet_sender_is_served_in_turn_while_200_connections_flood() {
    // In memory: it is the way that is measured, and not how fast this machine's disk takes all that is sent.
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (env, out) = (Env::new(), folder.path().join("f"));
    let collector = env.listen(&["--out", out.to_str().unwrap(), "--name", "c", "--sync", "never"]);
    let measured = delays(&out, collector.port(), 100);
    env.run(&["down", "c", "--now"]).ok();
    assert_in_turn("listen", &measured);
}

#[test]
fn a_quiet_sender_is_served_in_turn_through_sshd_too() {
    require!("sshd");
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let (env, sshd, out) = (Env::new(), Sshd::start(), folder.path().join("f"));
    env.trust(&sshd);
    let out_arg = out.to_str().unwrap();
    let collector = env.up(&["--remote-port", "0", "--out", out_arg, "--name", "c", "--sync", "never", "--no-probe"]);
    let measured = delays(&out, collector.port(), 100);
    env.run(&["down", "c", "--now"]).ok();
    assert_in_turn("through sshd", &measured);
}
