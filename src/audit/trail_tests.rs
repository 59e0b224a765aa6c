use super::*;
use crate::audit::read::{Reader, lines};
use crate::audit::store;

fn warn(message: impl Into<String>) -> Event {
    Event::Warn { message: message.into() }
}

fn stop() -> Event {
    Event::Stop { stored: 0, lost: 0, why: None }
}

fn start(pid: u32) -> Event {
    Event::Start { reclog: "0".into(), pid, target: None, outputs: vec!["/o".into()] }
}

fn sender(open: bool, connection: u64) -> Event {
    let (stream, peer) = ("main".to_owned(), "192.0.2.1:1".to_owned());
    if open {
        Event::SenderOpen { stream, peer, connection, keyword: None }
    } else {
        Event::SenderClose { stream, peer, connection, bytes: 1, records: 1, why: "end".into() }
    }
}

struct Place {
    dir: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE);
        Self { dir, path }
    }

    fn open(&self) -> (Trail, Option<Unended>) {
        Trail::open(self.dir.path()).unwrap()
    }

    /// The whole lines of all files, each of which must parse.
    fn entries(&self) -> Vec<Entry> {
        let mut reader = Reader::open(&self.path).unwrap();
        let mut all = Vec::new();
        loop {
            let some = reader.poll().unwrap();
            if some.is_empty() {
                return lines(&all).map(|line| serde_json::from_slice(line).unwrap()).collect();
            }
            all.extend(some);
        }
    }

    #[track_caller]
    fn assert_numbered(&self, from: u64) -> Vec<Entry> {
        let entries = self.entries();
        for (entry, seq) in entries.iter().zip(from..) {
            assert_eq!(entry.seq, seq);
        }
        entries
    }
}

async fn written(trail: &Trail) {
    let shared = trail.0.as_ref().unwrap();
    let empty = || Some(shared.lock()).is_some_and(|inner| inner.filling.is_empty() && inner.in_flight == 0);
    until("all of it is written", empty).await;
}

async fn until(what: &str, ask: impl Fn() -> bool) {
    let start = Instant::now();
    while !ask() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn numbers_go_on_over_restarts_and_rotations() {
    let place = Place::new();
    for run in 0..5 {
        let (trail, unended) = Trail::open_within(&place.path, 700, BUFFER).unwrap();
        assert_eq!(unended, None);
        for n in 0..5 {
            trail.tell(&warn(format!("{run} {n}")));
            // One line a batch, so that the small files are used.
            written(&trail).await;
        }
        trail.tell(&stop());
        trail.finish().await;
    }
    assert!(place.assert_numbered(1).len() == 30 && store::place(&place.path, 2).exists());
}

#[tokio::test]
async fn old_lines_go_and_the_numbers_stay() {
    let place = Place::new();
    let (trail, _) = Trail::open_within(&place.path, 400, BUFFER).unwrap();
    for n in 0..100 {
        trail.tell(&warn(format!("{n}")));
        written(&trail).await;
    }
    trail.tell(&stop());
    trail.finish().await;
    let entries = place.assert_numbered(place.entries()[0].seq);
    assert!(entries.len() < 40 && entries.last().unwrap().seq == 101, "{}", entries.len());
}

#[tokio::test]
async fn a_trail_without_a_stop_tells_who_was_in() {
    let place = Place::new();
    let (trail, _) = place.open();
    trail.tell_all(&[start(7), sender(true, 1), stop()]);
    trail.finish().await;
    let (trail, _) = place.open();
    for event in [start(8), sender(true, 1), sender(true, 2), sender(true, 3), sender(false, 1)] {
        trail.tell(&event);
    }
    // No stop: as if it had been killed.
    trail.finish().await;
    let entries = place.entries();
    let (last, oldest) = (entries[7].ts, Some(entries[5].ts));
    let (mut trail, unended) = place.open();
    let expected =
        Unended { pid: Some(8), last, outputs: vec!["/o".into()], open: 2, oldest, stalled: None, cut: None };
    assert_eq!(unended, Some(expected));
    let from = last - jiff::SignedDuration::from_secs(9);
    let cut = || Event::Cut { why: "gone".into(), senders_cut: 2, from };
    let gap = Event::Gap { from, to: last, senders_cut: 2, bytes_at_most: 1 };
    for (events, told) in [(vec![cut()], Some((from, 2))), (vec![cut(), gap], None), (vec![cut(), start(8)], None)] {
        trail.tell_all(&events);
        trail.finish().await;
        let (next, unended) = place.open();
        assert_eq!(unended.and_then(|unended| unended.cut), told, "{events:?}");
        trail = next;
    }
    trail.tell(&start(9));
    trail.tell(&stop());
    trail.finish().await;
    assert_eq!(place.open().1, None);
    assert_eq!(place.assert_numbered(1).len(), 15);
}

#[tokio::test]
async fn nothing_is_written_behind_the_end() {
    let place = Place::new();
    let (trail, _) = place.open();
    trail.tell_all(&[start(1), stop(), warn("in the same breath")]);
    trail.tell(&warn("a moment later"));
    trail.finish().await;
    trail.tell(&warn("much later"));
    assert_eq!(place.entries().len(), 2);
    assert_eq!(place.open().1, None, "it is no crash");
}

#[tokio::test]
async fn a_stall_that_was_not_over_is_where_the_gap_begins() {
    let place = Place::new();
    let (trail, _) = place.open();
    let stall = |n: u8| Event::Stall { stream: "main".into(), output: format!("/{n}").into(), why: "full".into() };
    for event in
        [start(1), stall(1), stall(2), Event::Resume { stream: "main".into(), output: "/1".into(), after_ms: 1 }]
    {
        trail.tell(&event);
    }
    trail.finish().await;
    let since = place.entries()[2].ts;
    assert_eq!(place.open().1.unwrap().stalled, Some(since));
}

#[tokio::test]
async fn a_torn_line_is_left_out_and_the_numbers_go_on() {
    let place = Place::new();
    let (trail, _) = place.open();
    trail.tell(&warn("1"));
    trail.tell(&stop());
    trail.finish().await;
    let mut text = std::fs::read_to_string(&place.path).unwrap();
    text.push_str("{\"ts\":\"2026-11-21T15:33:40.120000Z\",\"seq\":3,\"ev");
    std::fs::write(&place.path, &text).unwrap();
    let (trail, _) = place.open();
    trail.tell(&warn("3"));
    trail.finish().await;
    let text = std::fs::read_to_string(&place.path).unwrap();
    let last: Entry = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!((last.seq, text.lines().count()), (3, 4));
}

#[tokio::test]
async fn a_disk_that_takes_nothing_costs_lines_that_are_counted_and_told() {
    let place = Place::new();
    let (trail, _) = Trail::open_within(&place.path, 300, 2000).unwrap();
    trail.tell(&warn("1"));
    until("the first line is there", || place.path.metadata().unwrap().len() > 0).await;
    // Nothing can be renamed or made any more, as on a disk that is gone.
    let away = place.dir.path().with_extension("away");
    std::fs::rename(place.dir.path(), &away).unwrap();
    assert_eq!(trail.trouble(), None);
    for _ in 0..100 {
        trail.tell(&warn("x".repeat(80)));
    }
    until("it is told", || trail.trouble().is_some_and(|t| t.contains("No such file") && t.contains("missing"))).await;
    std::fs::rename(&away, place.dir.path()).unwrap();
    until("it goes on", || trail.trouble().is_none()).await;
    trail.tell(&stop());
    trail.finish().await;
    let entries = place.assert_numbered(1);
    let told = entries.iter().find_map(|entry| match &entry.event {
        Event::Warn { message } => message.split_once(" lines are missing").map(|(n, _)| n.parse::<usize>().unwrap()),
        _ => None,
    });
    // The first line, those that were kept, the one that tells, and `stop`.
    assert_eq!(told.expect("a line that tells") + entries.len() - 3, 100);
}

#[tokio::test]
async fn a_disk_that_never_answers_again_does_not_hold_up_the_end() {
    let place = Place::new();
    let (trail, _) = Trail::open_within(&place.path, 1, 2000).unwrap();
    trail.tell(&warn("1"));
    until("the first line is there", || place.path.metadata().unwrap().len() > 0).await;
    let away = place.dir.path().with_extension("away");
    std::fs::rename(place.dir.path(), &away).unwrap();
    trail.tell(&stop());
    let begun = Instant::now();
    trail.finish().await;
    assert!(begun.elapsed() < FAREWELL + Duration::from_secs(1));
    trail.tell(&warn("too late"));
    std::fs::rename(&away, place.dir.path()).unwrap();
    assert_eq!(place.entries().len(), 1);
}
