//! The writer of many files over a disk that fails, shortens, interrupts or ends each of its calls in turn.

use std::path::Path;

use super::*;
use crate::sink::Clerk;
use crate::sink::batch::Aim;

/// More than are open at once.
const PLACES: [&str; 3] = ["/d/a", "/d/b", "/d/c"];
const OPEN: usize = 2;

/// Where the line of this number goes: runs of different lengths, so that all of them are opened again and again.
fn place(n: usize) -> usize {
    n * n / 3 % PLACES.len()
}

fn aims() -> [Aim; 3] {
    PLACES.map(|path| Some(Path::new(path).into()))
}

fn start_many(disk: &Fake, sync: Sync, ledger: &StreamLedger, rotate: Rotate) -> (Writer<Fake>, Arc<Queue>) {
    let queue = Arc::new(Queue::new(sync == Sync::Always));
    let trail = Trail::nowhere();
    let options = Options {
        stream: "main".into(),
        sync,
        fresh_line: true,
        rotate,
        min_free: 1,
        trail,
        clerk: Clerk::nowhere(),
        side: false,
    };
    let writer = Writer::of_many(Arc::new(disk.clone()), None, Arc::clone(&queue), ledger.clone(), options).unwrap();
    (writer.without_pauses().with_room_for(OPEN), queue)
}

fn by_size() -> Rotate {
    Rotate { size: Some(100), ..Rotate::default() }
}

/// The bytes of each place, in the order of writing, each with whether a power cut leaves it.
fn found(disk: &Fake) -> [(String, Vec<bool>); 3] {
    let all = disk.files_and_pages();
    PLACES.map(|place| {
        let ours = all.iter().filter(|(name, ..)| name.to_str().unwrap().starts_with(place));
        let (mut text, mut durable) = (String::new(), Vec::new());
        for (name, content, pages) in ours {
            assert!(content.is_empty() || content.ends_with(b"\n"), "{name:?} ends in the middle of a line");
            text.push_str(std::str::from_utf8(content).unwrap());
            durable.extend(pages);
        }
        (text, durable)
    })
}

fn expected(lines: std::ops::Range<usize>) -> [String; 3] {
    let mut all = [const { String::new() }; 3];
    lines.for_each(|n| all[place(n)].push_str(&line(n)));
    all
}

fn run_many(disk: &Fake, sync: Sync, ledger: &StreamLedger) {
    let (mut writer, queue) = start_many(disk, sync, ledger, by_size());
    let (safe, aims) = (queue.safe(), aims());
    let mut next = 0;
    while next < LINES {
        let end = (next + 1 + next % 5).min(LINES);
        for n in next..end {
            queue.push(|batch| {
                batch.aim(&aims[place(n)]);
                batch.payload(line(n).as_bytes());
                ledger.received(line(n).len() as u64, 1, 0);
            });
        }
        assert!(writer.turn());
        assert!(writer.desks.len() <= OPEN);
        if (next..end).contains(&10) {
            queue.order(Order::Rotate(oneshot::channel().0));
            assert!(writer.turn());
        }
        if (next..end).contains(&14) {
            disk.mv(PLACES[place(13)], "/d/renamed");
            disk.mv("/d/renamed", &format!("{}.0", PLACES[place(13)]));
            queue.order(Order::Reopen);
            assert!(writer.turn());
        }
        next = end;
        check_safe(disk, sync, &queue, *safe.borrow());
    }
    queue.close();
    assert!(!writer.turn());
    writer.finish();
}

/// What may be promised to senders is true now, whichever file it is in.
fn check_safe(disk: &Fake, sync: Sync, queue: &Queue, safe: Safe) {
    if sync != Sync::Always {
        assert_eq!((safe.until, safe.lost), (queue.stored(), 0));
        return;
    }
    let found = found(disk);
    let (mut position, mut at) = (0u64, [0; 3]);
    for n in 0..LINES {
        let (length, place) = (line(n).len(), place(n));
        if position >= safe.lost && position + length as u64 <= safe.until {
            let pages = &found[place].1[at[place]..at[place] + length];
            assert!(pages.iter().all(|durable| *durable), "{safe:?}, line {n}");
        }
        position += length as u64;
        at[place] += length;
    }
    assert!(disk.is_faulty() || (safe.until, safe.lost) == (queue.stored(), 0), "{safe:?}");
}

#[test]
fn whatever_call_fails_every_line_is_once_in_the_file_of_its_sender() {
    let sent = expected(0..LINES);
    let errors = [Errno::INTR, Errno::NOSPC, Errno::IO, Errno::MFILE, Errno::NOENT].map(Fault::Refused);
    for sync in [Sync::Always, Sync::Never] {
        let calls = {
            let disk = Fake::new(false);
            run_many(&disk, sync, &StreamLedger::new());
            assert!(disk.files().len() >= 8, "{:?}", disk.files());
            disk.calls()
        };
        for call in 0..calls {
            for (fault, times) in errors.into_iter().chain([Fault::Short]).flat_map(|fault| [(fault, 1), (fault, 3)]) {
                let (disk, ledger) = (Fake::new(false), StreamLedger::new());
                disk.plan(fault, call, times);
                disk.watch(&ledger);
                run_many(&disk, sync, &ledger);
                let what = format!("{fault:?} at call {call}, {times} times, {sync:?}");
                assert_eq!(found(&disk).map(|(text, _)| text), sent, "{what}");
                let counts = ledger.counts();
                assert_eq!((counts.ledger.stored, counts.ledger.pending), (sent.concat().len() as u64, 0), "{what}");
                assert!(counts.stall.is_none(), "{what}");
                if !disk.is_faulty() || fault == Fault::Short {
                    assert_eq!(counts.ledger.synced, counts.ledger.stored, "{what}");
                }
            }
        }
    }
}

#[test]
fn what_counted_as_synced_in_many_files_survives_a_power_cut_at_any_call() {
    for sync in [Sync::Always, Sync::Never] {
        let calls = {
            let disk = Fake::new(false);
            run_many(&disk, sync, &StreamLedger::new());
            disk.calls()
        };
        for (call, fault) in (0..calls).flat_map(|call| [(call, Fault::Crash), (call, Fault::CrashAfter)]) {
            let (disk, ledger) = (Fake::new(false), StreamLedger::new());
            disk.plan(fault, call, 1);
            disk.watch(&ledger);
            let end = catch_unwind(AssertUnwindSafe(|| run_many(&disk, sync, &ledger)));
            assert!(end.is_err_and(|e| e.is::<Crash>()), "not killed at call {call}");
            disk.heal();
            let left: u64 = disk.files().iter().map(|(_, content)| content.len() as u64).sum();
            assert!(left >= ledger.counts().ledger.stored, "{fault:?} at call {call}: stored and gone");
            disk.power_cut();
            let left: u64 = disk.files().iter().map(|(_, content)| content.len() as u64).sum();
            assert!(left >= ledger.counts().ledger.synced, "{fault:?} at call {call}");
        }
    }
}

#[test]
fn half_a_line_that_a_crash_left_is_ended_in_its_own_file() {
    let (disk, ledger) = (Fake::new(false), StreamLedger::new());
    let file = OutputFile::open_on(&Arc::new(disk.clone()), "/d/b".as_ref()).unwrap();
    disk.write(&file.file, b"half").unwrap();
    drop(file);
    let (mut writer, queue) = start_many(&disk, Sync::Never, &ledger, Rotate::default());
    for (aim, text) in aims().iter().zip(["one\n", "two\n", "three\n"]) {
        queue.push(|batch| {
            batch.aim(aim);
            batch.payload(text.as_bytes());
        });
        ledger.received(text.len() as u64, 1, 0);
    }
    assert!(writer.turn());
    assert_eq!(found(&disk).map(|(text, _)| text), ["one\n", "half\ntwo\n", "three\n"]);
    assert_eq!((ledger.counts().ledger.added, ledger.counts().ledger.pending), (1, 0));
}

#[test]
fn the_file_that_was_idle_longest_is_closed_and_one_that_others_removed_is_not_made_again() {
    let (disk, ledger) = (Fake::new(false), StreamLedger::new());
    let (mut writer, queue) = start_many(&disk, Sync::Never, &ledger, Rotate::default());
    let aims = aims();
    let write = |writer: &mut Writer<Fake>, places: &[usize]| {
        for place in places {
            queue.push(|batch| {
                batch.aim(&aims[*place]);
                batch.payload(b"x\n");
            });
            ledger.received(2, 1, 0);
        }
        assert!(writer.turn());
    };
    let open = |writer: &Writer<Fake>| {
        let mut open: Vec<_> = writer.desks.iter().map(|desk| desk.file.path().to_owned()).collect();
        open.sort();
        open
    };
    write(&mut writer, &[0, 1, 0, 0, 0]);
    write(&mut writer, &[2]);
    assert_eq!(open(&writer), [Path::new("/d/a"), Path::new("/d/c")]);
    assert_eq!(ledger.counts().output_bytes, 10, "of the two that are open");
    disk.mv("/d/a", "/d/elsewhere");
    for _ in 0..OPEN {
        writer.look_around();
    }
    assert_eq!(open(&writer), [Path::new("/d/c")]);
    assert!(disk.files().iter().all(|(name, _)| name != Path::new("/d/a")), "made again, for nobody");
    assert!(ledger.counts().stall.is_none());
    write(&mut writer, &[0]);
    assert_eq!(open(&writer), [Path::new("/d/a"), Path::new("/d/c")]);
    let counts = ledger.counts();
    assert_eq!((counts.ledger.stored, counts.ledger.synced), (14, 0), "nobody asked for flushes");
    queue.close();
    assert!(!writer.turn());
    writer.finish();
    assert_eq!(ledger.counts().ledger.synced, 14, "the closed ones, too");
}
