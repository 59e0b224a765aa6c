use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::timeout;

use super::*;

const LATER: Duration = Duration::from_secs(30);

/// A reader, and the lines that it has been told; `None` for a notice.
struct Reader {
    view: View,
    heard: Vec<String>,
    skipped: u64,
}

fn open(hub: &Hub, path: &Path, lines: usize, places: &Places) -> Reader {
    let sources = vec![Source::of(path)];
    let (view, told) = View::open(hub.clone(), sources, None, (lines, places), Arc::default()).unwrap();
    let mut reader = Reader { view, heard: Vec::new(), skipped: 0 };
    reader.hear(told);
    reader
}

impl Reader {
    fn hear(&mut self, told: Vec<Told>) {
        for told in told {
            let (what, after, sifted) = match told {
                Told::Lines { what, after, sifted, .. } => (what, after, sifted),
                Told::Skipped { about: value, .. } => {
                    self.skipped += value["lines"].as_u64().unwrap();
                    continue;
                }
                Told::Other(..) => continue,
            };
            let What::Lines(batch) = &*what else { panic!("lines") };
            let want = Want { after, pattern: None, sifted, cut: true };
            for (index, _) in batch.wanted(want) {
                let mut out = Vec::new();
                batch.put(index, want, &mut out);
                let line: Value = serde_json::from_slice(&out).unwrap();
                self.heard.push(line["text"].as_str().unwrap().to_owned());
            }
        }
    }

    fn poll(&mut self) {
        let (told, _) = self.view.poll().unwrap();
        self.hear(told);
    }

    /// Until it has heard `last` and is where all are.
    async fn until(&mut self, last: &str) {
        let bell = self.view.bell();
        let heard = async {
            loop {
                self.poll();
                if self.heard.last().is_some_and(|line| line == last) && !self.view.is_alone() {
                    return;
                }
                let _ = timeout(PACE, bell.notified()).await;
            }
        };
        timeout(LATER, heard).await.expect("the last line is heard");
    }
}

fn append(path: &Path, lines: impl Iterator<Item = u32>) {
    let text = lines.map(|n| format!("line {n}\n")).collect::<Vec<_>>().concat();
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(text.as_bytes()).unwrap();
}

fn all(from: u32, to: u32) -> Vec<String> {
    (from..to).map(|n| format!("line {n}")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_readers_of_a_stream_are_one_on_its_disk_and_each_has_every_line_once() {
    let (dir, hub) = (TempDir::new().unwrap(), Hub::default());
    let path = dir.path().join("c.log");
    append(&path, 0..100);
    let mut readers: Vec<_> = (0..20).map(|_| open(&hub, &path, 10, &Places::new())).collect();
    // One goes on where it stopped, far before the others.
    let places = Places::from([("c/main".to_owned(), 0)]);
    readers.push(open(&hub, &path, 10, &places));
    for round in 1..20 {
        append(&path, round * 100..round * 100 + 100);
        if round % 5 == 0 {
            std::fs::rename(&path, dir.path().join(format!("c.log.2026-11-21T00-41-{round:02}.123456Z"))).unwrap();
            File::create(&path).unwrap();
        }
        for reader in readers.iter_mut().skip((round % 3) as usize) {
            reader.poll();
        }
        tokio::task::yield_now().await;
    }
    for (n, reader) in readers.iter_mut().enumerate() {
        reader.until("line 1999").await;
        assert_eq!(reader.heard, all(if n == 20 { 0 } else { 90 }, 2000), "reader {n}");
    }
    assert_eq!(hub.reads(), 1);
    drop(readers);
    let ended = async {
        while hub.reads() > 0 {
            tokio::time::sleep(PACE).await;
        }
    };
    timeout(LATER, ended).await.expect("nobody looks: nothing is read");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_held_up_beyond_what_is_kept_has_every_line_or_is_told_how_many_it_has_not() {
    let (dir, hub) = (TempDir::new().unwrap(), Hub::default());
    let path = dir.path().join("c.log");
    append(&path, 0..1);
    let (mut quick, mut slow) = (open(&hub, &path, 10, &Places::new()), open(&hub, &path, 10, &Places::new()));
    quick.until("line 0").await;
    slow.until("line 0").await;
    // The JSON of these is more than is kept, the lines are less than what is skipped.
    append(&path, 1..200_000);
    quick.until("line 199999").await;
    slow.until("line 199999").await;
    for reader in [&quick, &slow] {
        assert_eq!(reader.heard.len() as u64 + reader.skipped, 200_000);
    }
    assert_eq!((slow.skipped, quick.skipped), (0, 0));
    assert_eq!(slow.heard, all(0, 200_000));
    for round in 1..=5 {
        append(&path, round * 200_000..round * 200_000 + 200_000);
        quick.until(&format!("line {}", round * 200_000 + 199_999)).await;
    }
    append(&path, 2_000_000..2_000_001);
    slow.until("line 2000000").await;
    assert!(slow.skipped > 0, "it was told");
    assert_eq!(slow.heard.len() as u64 + slow.skipped, 1_200_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_from_a_file_is_told_and_the_next_lines_come_once() {
    let (dir, hub) = (TempDir::new().unwrap(), Hub::default());
    let path = dir.path().join("c.log");
    append(&path, 0..50);
    let mut before = open(&hub, &path, 10, &Places::new());
    before.until("line 49").await;
    File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
    append(&path, 50..60);
    before.until("line 59").await;
    let mut behind = open(&hub, &path, 5, &Places::new());
    append(&path, 60..70);
    before.until("line 69").await;
    behind.until("line 69").await;
    assert_eq!(before.heard, all(40, 70));
    assert_eq!(behind.heard, all(55, 70));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_beyond_the_end_is_told_before_the_last_lines_come_again() {
    let (dir, hub) = (TempDir::new().unwrap(), Hub::default());
    let path = dir.path().join("c.log");
    append(&path, 0..5);
    let places = Places::from([("c/main".to_owned(), 1_000)]);
    let (_, told) = View::open(hub, vec![Source::of(&path)], None, (2, &places), Arc::default()).unwrap();
    let Told::Other("notice", value) = &told[0] else { panic!("{told:?}") };
    assert_eq!(value["what"], "anew");
    assert!(matches!(told[1], Told::Lines { .. }), "{told:?}");
}
