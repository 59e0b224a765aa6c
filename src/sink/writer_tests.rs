//! The writer over a disk that fails, shortens, interrupts or ends each of its calls in turn.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;

use super::super::fake::{Crash, Fake, Fault};
use super::super::queue::Safe;
use super::*;
use crate::audit::Trail;
use crate::sink::Clerk;

const FILE: &str = "/d/f";

/// What is sent, in this order.
fn line(n: usize) -> String {
    format!("line {n:03} {}\n", "x".repeat(n * 7 % 40))
}

struct Case {
    sync: Sync,
    no_swap: bool,
}

/// A writer on `disk`, as a new process has it. A start that fails is tried again.
fn start(disk: &Fake, case: &Case, ledger: &StreamLedger) -> (Writer<Fake>, Arc<Queue>) {
    let queue = Arc::new(Queue::new(case.sync == Sync::Always));
    for _ in 0..20 {
        let Ok(file) = OutputFile::open_on(&Arc::new(disk.clone()), FILE.as_ref()) else { continue };
        let options = Options {
            stream: "main".into(),
            sync: case.sync,
            fresh_line: true,
            rotate: Rotate { size: Some(100), ..Rotate::default() },
            min_free: 1,
            trail: Trail::nowhere(),
            clerk: Clerk::nowhere(),
            side: false,
        };
        let writer = Writer::new(file, Arc::clone(&queue), ledger.clone(), options).unwrap();
        return (writer.without_pauses(), queue);
    }
    panic!("it does not start");
}

/// Sends `lines` in batches of different lengths. In the middle of it a person asks for a rotation, and another one
/// renames the file.
fn run(disk: &Fake, case: &Case, ledger: &StreamLedger, lines: usize) {
    let (mut writer, queue) = start(disk, case, ledger);
    let safe = queue.safe();
    let mut next = 0;
    while next < lines {
        check_safe(disk, case, &queue, *safe.borrow());
        let end = (next + 1 + next % 4).min(lines);
        queue.push(|batch| {
            for n in next..end {
                batch.payload(line(n).as_bytes());
                ledger.received(line(n).len() as u64, 1, 0);
            }
        });
        assert!(writer.turn());
        if (next..end).contains(&10) {
            queue.order(Order::Rotate(oneshot::channel().0));
            assert!(writer.turn());
        }
        if (next..end).contains(&14) {
            disk.mv(FILE, "/d/renamed");
            queue.order(Order::Reopen);
            assert!(writer.turn());
        }
        next = end;
    }
    check_safe(disk, case, &queue, *safe.borrow());
    queue.close();
    assert!(!writer.turn());
    writer.finish();
}

/// What may be promised to senders is true now.
fn check_safe(disk: &Fake, case: &Case, queue: &Queue, safe: Safe) {
    if case.sync == Sync::Always {
        let durable = disk.durable();
        let promised = usize::try_from(safe.lost).unwrap()..usize::try_from(safe.until).unwrap();
        assert!(promised.clone().all(|at| durable[at]), "{safe:?}: {durable:?}");
        assert!(disk.is_faulty() || (safe.until, safe.lost) == (queue.stored(), 0), "{safe:?}");
    } else {
        assert_eq!((safe.until, safe.lost), (queue.stored(), 0));
    }
}

const LINES: usize = 24;

/// All bytes that have a name, in the order of writing.
fn all(disk: &Fake) -> String {
    let files = disk.files().into_iter().map(|(_, content)| String::from_utf8(content).unwrap());
    files.collect()
}

fn cases() -> impl Iterator<Item = Case> {
    let modes = [Sync::Always, Sync::Never];
    modes.into_iter().flat_map(|sync| [false, true].map(|no_swap| Case { sync, no_swap }))
}

/// The calls that a run without trouble makes.
fn calls(case: &Case) -> usize {
    let disk = Fake::new(case.no_swap);
    run(&disk, case, &StreamLedger::new(), LINES);
    assert!(disk.files().len() >= 5, "no rotations, no test: {:?}", disk.files());
    disk.calls()
}

#[test]
fn whatever_call_fails_no_byte_is_lost_or_doubled() {
    let sent: String = (0..LINES).map(line).collect();
    let errors = [Errno::INTR, Errno::NOSPC, Errno::IO, Errno::ROFS, Errno::NOENT].map(Fault::Refused);
    let mut runs = 0;
    for case in cases() {
        for call in 0..calls(&case) {
            for (fault, times) in errors.into_iter().chain([Fault::Short]).flat_map(|fault| [(fault, 1), (fault, 3)]) {
                let (disk, ledger) = (Fake::new(case.no_swap), StreamLedger::new());
                disk.plan(fault, call, times);
                disk.watch(&ledger);
                run(&disk, &case, &ledger, LINES);
                let what =
                    format!("{fault:?} at call {call}, {times} times, {:?}, no_swap {}", case.sync, case.no_swap);
                assert_eq!(all(&disk), sent, "{what}");
                for (name, content) in disk.files() {
                    assert!(content.is_empty() || content.ends_with(b"\n"), "{name:?}: {what}");
                }
                let counts = ledger.counts();
                assert_eq!((counts.ledger.stored, counts.ledger.pending), (sent.len() as u64, 0), "{what}");
                assert!(counts.stall.is_none(), "{what}");
                let file = disk.files().into_iter().find(|(name, _)| name == FILE.as_ref() as &std::path::Path);
                assert_eq!(counts.output_bytes, file.unwrap().1.len() as u64, "{what}");
                if counts.sync_trouble.is_none() && times == 1 && call + 20 < disk.calls() {
                    assert_eq!(counts.ledger.synced, counts.ledger.stored, "{what}");
                }
                runs += 1;
            }
        }
    }
    assert!(runs > 1000, "{runs}");
}

/// Kills the process at `call`; returns what it had counted.
fn killed(disk: &Fake, case: &Case, fault: Fault, call: usize) -> StreamLedger {
    let ledger = StreamLedger::new();
    disk.plan(fault, call, 1);
    disk.watch(&ledger);
    let end = catch_unwind(AssertUnwindSafe(|| run(disk, case, &ledger, LINES)));
    assert!(end.is_err_and(|e| e.is::<Crash>()), "not killed at call {call}");
    disk.heal();
    ledger
}

/// The next process, and what the disk holds after it.
fn next_process(disk: &Fake, case: &Case) -> String {
    let ledger = StreamLedger::new();
    let (mut writer, queue) = start(disk, case, &ledger);
    queue.push(|batch| batch.payload(b"fresh\n"));
    ledger.received(6, 1, 0);
    assert!(writer.turn());
    queue.close();
    assert!(!writer.turn());
    writer.finish();
    assert!(disk.files().iter().all(|(name, _)| !name.to_str().unwrap().ends_with(".rotating")), "{:?}", disk.files());
    assert_eq!((ledger.counts().ledger.stored, ledger.counts().ledger.synced), (6, 6));
    all(disk)
}

#[test]
fn a_killed_writer_leaves_what_it_counted_and_the_next_one_goes_on() {
    let sent: String = (0..LINES).map(line).collect();
    for case in cases() {
        for call in 0..calls(&case) {
            for fault in [Fault::Crash, Fault::CrashAfter] {
                let disk = Fake::new(case.no_swap);
                let ledger = killed(&disk, &case, fault, call);
                let left = all(&disk);
                let what = format!("{fault:?} at call {call}, {:?}, no_swap {}", case.sync, case.no_swap);
                assert!(sent.starts_with(&left), "{what}: {left}");
                assert!(left.len() as u64 >= ledger.counts().ledger.stored, "{what}: stored and gone");
                assert_eq!(next_process(&disk, &case), left + "fresh\n", "{what}");
            }
        }
    }
}

#[test]
fn what_counted_as_synced_survives_a_power_cut_at_any_call() {
    for case in cases() {
        for call in 0..calls(&case) {
            for fault in [Fault::Crash, Fault::CrashAfter] {
                let disk = Fake::new(case.no_swap);
                let ledger = killed(&disk, &case, fault, call);
                disk.power_cut();
                let left = all(&disk);
                let what = format!("{fault:?} at call {call}, {:?}, no_swap {}", case.sync, case.no_swap);
                assert!(left.len() as u64 >= ledger.counts().ledger.synced, "{what}");
                assert_eq!(next_process(&disk, &case), left + "fresh\n", "{what}");
            }
        }
    }
}

#[test]
fn a_file_that_is_removed_in_the_middle_of_a_record_is_left_and_the_record_begins_anew() {
    let case = Case { sync: Sync::Never, no_swap: false };
    let (disk, ledger) = (Fake::new(false), StreamLedger::new());
    let (mut writer, queue) = start(&disk, &case, &ledger);
    // Two records, and a piece of the third.
    disk.fill(line(0).len() + line(1).len() + 5, FILE);
    let sent: String = (0..4).map(line).collect();
    queue.push(|batch| batch.payload(sent.as_bytes()));
    ledger.received(sent.len() as u64, 4, 0);
    let over = Arc::clone(&queue);
    let watch = std::thread::spawn(move || {
        let start = Instant::now();
        while over.is_writing() || !over.is_abandoned() {
            if start.elapsed() > Duration::from_secs(20) {
                over.abandon();
            }
            std::thread::yield_now();
        }
    });
    assert!(writer.turn(), "it waits for a file that nobody can find");
    queue.abandon();
    watch.join().unwrap();
    assert_eq!(all(&disk), sent[line(0).len() + line(1).len()..], "from the beginning of the record");
    let counts = ledger.counts();
    assert_eq!((counts.ledger.stored, counts.ledger.pending), (sent.len() as u64, 0));
    assert!(counts.stall.is_none());
}

#[test]
fn what_a_stalled_disk_has_taken_of_a_batch_is_forced_to_it_before_the_wait() {
    let case = Case { sync: Sync::Always, no_swap: false };
    let (disk, ledger) = (Fake::new(false), StreamLedger::new());
    let (mut writer, queue) = start(&disk, &case, &ledger);
    let first = (line(0).len() + line(1).len()) as u64;
    disk.fill(line(0).len() + line(1).len(), "/d/no such file");
    queue.push(|batch| (0..4).for_each(|n| batch.payload(line(n).as_bytes())));
    ledger.received((0..4).map(|n| line(n).len() as u64).sum(), 4, 0);
    let (over, seen) = (Arc::clone(&queue), ledger.clone());
    let watch = std::thread::spawn(move || {
        let start = Instant::now();
        while seen.counts().ledger.synced < first && start.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        let synced = seen.counts().ledger.synced;
        over.abandon();
        synced
    });
    assert!(!writer.turn(), "the disk is full");
    assert_eq!(watch.join().unwrap(), first);
}

#[test]
fn the_archives_of_a_link_that_leads_elsewhere_are_kept_there() {
    let dir = tempfile::tempdir().unwrap();
    let (link, one, other) = (dir.path().join("link"), dir.path().join("one"), dir.path().join("other"));
    std::os::unix::fs::symlink(&one, &link).unwrap();
    let file = OutputFile::open(&link).unwrap();
    let rotate = Rotate { keep: Some(1), ..Rotate::default() };
    let options = Options {
        stream: "main".into(),
        sync: Sync::Never,
        fresh_line: true,
        rotate,
        min_free: 0,
        trail: Trail::nowhere(),
        clerk: Clerk::nowhere(),
        side: false,
    };
    let (queue, ledger) = (Arc::new(Queue::default()), StreamLedger::new());
    let mut writer = Writer::new(file, Arc::clone(&queue), ledger, options).unwrap();
    std::fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(&other, &link).unwrap();
    for n in 0..3 {
        queue.push(|batch| batch.payload(line(n).as_bytes()));
        assert!(writer.turn());
        queue.order(Order::Rotate(oneshot::channel().0));
        assert!(writer.turn());
    }
    let place = other.canonicalize().unwrap();
    let start = Instant::now();
    while crate::archive::list(&place).unwrap().len() != 1 {
        assert!(start.elapsed() < Duration::from_secs(10), "nobody keeps them");
        std::thread::yield_now();
    }
}

#[path = "many_tests.rs"]
mod many;
