//! The history of what a real sink writes, rotates, compresses and removes, with the catalog that it keeps.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Bounds, Log, Page, Seen, Tailer, catalog_of};
use crate::archive;
use crate::audit::Trail;
use crate::ledger::StreamLedger;
use crate::plan::{Compress, Rotate, StreamPlan};
use crate::sink::{Clerk, Options, OutputFile, Sink};

static GO_ON: AtomicBool = AtomicBool::new(false);

struct Real {
    dir: tempfile::TempDir,
    sink: Sink,
    ledger: StreamLedger,
    written: u64,
}

impl Real {
    fn start(rotate: Rotate) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), rotate)
    }

    fn start_in(dir: tempfile::TempDir, rotate: Rotate) -> Self {
        let ledger = StreamLedger::new();
        let clerk = Clerk::start(&dir.path().join("history")).unwrap();
        let plan = StreamPlan { rotate, ..StreamPlan::example() };
        let options = Options { clerk, ..Options::of(&plan, Trail::nowhere()) };
        let file = OutputFile::open(&dir.path().join("file.log")).unwrap();
        let written = 0;
        let sink = Sink::start(file, ledger.clone(), options).unwrap();
        tokio::spawn(sink.handle().run_waker());
        Self { dir, sink, ledger, written }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("file.log")
    }

    fn log(&self) -> Log {
        Log::new(&self.path(), Some(&catalog_of(&self.dir.path().join("history"), &self.path())))
    }

    /// Writes lines and waits until they are stored. Each is 10 bytes.
    async fn write(&mut self, numbers: std::ops::Range<u64>) {
        for n in numbers {
            let line = format!("line {n:04}\n");
            self.sink.handle().push(|batch| {
                batch.payload(line.as_bytes());
                self.ledger.received(line.len() as u64, 1, 0);
            });
            self.written += line.len() as u64;
            let stored = self.written;
            let ledger = self.ledger.clone();
            until("stored", || ledger.counts().ledger.stored == stored).await;
        }
    }

    fn line_at(&self, offset: u64) -> String {
        let page = self.page(offset, 1);
        String::from_utf8(page.lines[0].bytes.clone()).unwrap()
    }

    fn page(&self, offset: u64, lines: usize) -> Page {
        let bounds = Bounds { lines, bytes: 1 << 20, filter: None, cancel: &GO_ON };
        self.log().after(offset, &bounds).unwrap()
    }

    fn archives(&self) -> Vec<archive::Archive> {
        archive::list(&self.path()).unwrap()
    }
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(20), "{what}: it does not come");
        tokio::task::yield_now().await;
    }
}

fn lines(tailer: &mut Tailer) -> Vec<(u64, Vec<u8>)> {
    let lines = |seen| match seen {
        Seen::Lines { offset, bytes } => Some((offset, bytes)),
        _ => None,
    };
    tailer.poll().unwrap().into_iter().filter_map(lines).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_survives_rotation_compression_removal_and_a_restart() {
    let bounds = Rotate { keep: Some(2), compress: Compress::Gzip, ..Rotate::default() };
    let mut real = Real::start(bounds.clone());
    let mut tailer = real.log().follow(0).unwrap();
    let mut seen = Vec::new();
    for round in 0..5_u64 {
        real.write(round * 10..round * 10 + 10).await;
        assert_eq!(real.line_at(round * 100 + 50), format!("line {:04}", round * 10 + 5));
        real.sink.handle().rotate().await.unwrap();
        // Compressed, and removed, in whatever state it is met.
        for back in 0..=round.min(1) {
            let number = (round - back) * 10 + 3;
            assert_eq!(real.line_at(number * 10), format!("line {number:04}"));
        }
        seen.extend(lines(&mut tailer));
        until("compressed", || {
            let all = real.archives();
            all.len() == usize::try_from(round + 1).unwrap().min(2) && all.iter().all(|a| a.form == Compress::Gzip)
        })
        .await;
    }
    real.write(50..52).await;
    until("followed", || {
        seen.extend(lines(&mut tailer));
        tailer.offset() == 520
    })
    .await;
    for (offset, bytes) in &seen {
        let expected =
            (offset / 10..).take(bytes.len() / 10).fold(String::new(), |text, n| text + &format!("line {n:04}\n"));
        assert_eq!(std::str::from_utf8(bytes).unwrap(), expected);
    }
    assert_eq!(seen.iter().map(|(_, bytes)| bytes.len()).sum::<usize>(), 520);
    let extent = real.log().extent().unwrap();
    assert_eq!((extent.first, extent.end), (300, 520));

    let Real { dir, sink, .. } = real;
    sink.finish(CancellationToken::new()).await;
    let mut real = Real::start_in(dir, bounds);
    assert_eq!((real.line_at(310), real.line_at(510)), ("line 0031".into(), "line 0051".into()));
    real.write(52..53).await;
    assert_eq!((real.line_at(520), real.page(0, 1).first), ("line 0052".into(), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_truncate_or_remove_stays_counted() {
    let mut real = Real::start(Rotate::default());
    real.write(0..10).await;
    let mut tailer = real.log().follow(50).unwrap();
    assert_eq!(lines(&mut tailer)[0].0, 50);
    std::fs::File::options().write(true).open(real.path()).unwrap().set_len(0).unwrap();
    let catalog = catalog_of(&real.dir.path().join("history"), &real.path());
    until("entered", || catalog.exists()).await;
    until("truncated", || tailer.poll().unwrap().contains(&Seen::Truncated { offset: 100 })).await;
    real.write(10..11).await;
    assert_eq!((real.line_at(0), real.line_at(100)), ("line 0010".into(), "line 0010".into()));
    let mut got = Vec::new();
    until("followed", || {
        got.extend(lines(&mut tailer));
        !got.is_empty()
    })
    .await;
    assert_eq!(got, [(100, b"line 0010\n".to_vec())]);
    std::fs::remove_file(real.path()).unwrap();
    until("replaced", || real.path().exists()).await;
    real.write(11..12).await;
    until("entered", || real.log().extent().unwrap().end == 120).await;
    assert_eq!(real.line_at(110), "line 0011");
}

/// What a crash between the new name and the entry leaves is entered by the next collector, before the bounds remove it.
#[tokio::test(flavor = "multi_thread")]
async fn an_archive_that_a_crash_left_without_its_entry_is_entered_later() {
    let mut real = Real::start(Rotate::default());
    real.write(0..10).await;
    real.sink.handle().rotate().await.unwrap();
    real.write(10..20).await;
    let Real { dir, sink, .. } = real;
    sink.finish(CancellationToken::new()).await;
    std::fs::remove_dir_all(dir.path().join("history")).unwrap();
    let mut real = Real::start_in(dir, Rotate::default());
    real.write(20..21).await;
    let catalog = catalog_of(&real.dir.path().join("history"), &real.path());
    until("entered", || catalog.exists()).await;
    for archive in real.archives() {
        std::fs::remove_file(archive.path).unwrap();
    }
    assert_eq!((real.line_at(0), real.log().extent().unwrap().first), ("line 0010".into(), 100));
}
