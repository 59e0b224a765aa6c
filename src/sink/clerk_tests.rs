use super::*;
use crate::plan::Compress;
use std::fs;
use std::time::Instant;

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn folder(&self) -> PathBuf {
        self.dir.path().join("state").join("history")
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("file.log")
    }

    fn catalog(&self) -> PathBuf {
        catalog::path(&self.folder(), &self.file())
    }

    /// Its bytes, in the order of writing, once `n` are entered.
    fn entered(&self, n: usize) -> Catalog {
        let start = Instant::now();
        loop {
            let catalog = read(&self.catalog()).unwrap();
            if catalog.entries.len() >= n {
                return catalog;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{n} entries: {catalog:?}");
            std::thread::yield_now();
        }
    }

    fn archive(&self, second: i64) -> PathBuf {
        archive::archive_path(&self.file(), at(second))
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn bytes(catalog: &Catalog) -> Vec<u64> {
    catalog.entries.values().map(|(bytes, _)| *bytes).collect()
}

#[test]
fn what_is_put_away_or_gone_is_entered_and_all_of_it_when_the_clerk_goes() {
    let place = Place::new();
    let clerk = Clerk::start(&place.folder()).unwrap();
    clerk.put_away("main", &place.file(), &place.archive(1), 10);
    assert_eq!(bytes(&place.entered(1)), [10]);
    clerk.gone("main", &place.file(), 7);
    clerk.gone("main", &place.file(), 0);
    assert_eq!(place.entered(2).entries.last_key_value().unwrap().1, &(7, What::Gone));
    (0..1000).for_each(|n| clerk.put_away("main", &place.file(), &place.archive(4_000_000_000 + n), 1));
    drop(clerk);
    assert_eq!(place.entered(0).entries.len(), 1002);
    let head: Head =
        serde_json::from_slice(fs::read(place.catalog()).unwrap().split(|b| *b == b'\n').next().unwrap()).unwrap();
    assert_eq!(head, Head { file: place.file().display().to_string(), stream: "main".into() });
}

#[test]
fn archives_that_nobody_entered_are_found_whatever_their_form() {
    let place = Place::new();
    for (second, form) in [(1, Compress::Gzip), (2, Compress::None), (3, Compress::Zstd)] {
        let text = "x".repeat(100 * usize::try_from(second).unwrap());
        let path = archive::archive_path_as(&place.file(), at(second), form);
        let packed = match form {
            Compress::None => text.into_bytes(),
            Compress::Zstd => zstd::encode_all(text.as_bytes(), 1).unwrap(),
            Compress::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                encoder.write_all(text.as_bytes()).unwrap();
                encoder.finish().unwrap()
            }
        };
        fs::write(path, packed).unwrap();
    }
    // The middle one is known, with other bytes; a crash has left half a line behind it.
    fs::create_dir_all(place.folder()).unwrap();
    let mut text = Vec::new();
    catalog::append(&mut text, &Entry { at: at(2), bytes: 7, what: What::Archive });
    text.extend(b"{\"at\":\"19");
    fs::write(place.catalog(), &text).unwrap();
    fs::write(archive::archive_path_as(&place.file(), at(4), Compress::Gzip), "broken").unwrap();
    let clerk = Clerk::start(&place.folder()).unwrap();
    clerk.look_at("main", &place.file());
    assert_eq!(bytes(&place.entered(3)), [100, 7, 300]);
    let before = fs::read(place.catalog()).unwrap();
    clerk.look_at("main", &place.file());
    drop(clerk);
    assert_eq!(fs::read(place.catalog()).unwrap(), before, "once");
}

#[test]
fn a_catalog_stays_small_and_folds_nothing_that_is_still_there() {
    let place = Place::new();
    fs::write(place.archive(500_000), "").unwrap();
    let clerk = Clerk::start(&place.folder()).unwrap();
    let mut sent = 0;
    for n in 0..5000 {
        clerk.put_away("main", &place.file(), &place.archive(499_000 + n), 3);
        sent += 3;
    }
    drop(clerk);
    let catalog = place.entered(0);
    let (base, folded) = catalog.base.unwrap();
    assert_eq!((base, folded), (at(499_999), 3000));
    assert_eq!(folded + bytes(&catalog).iter().sum::<u64>(), sent);
    // Nothing is there any more.
    fs::remove_file(place.archive(500_000)).unwrap();
    let clerk = Clerk::start(&place.folder()).unwrap();
    (0..10_000).for_each(|n| clerk.put_away("main", &place.file(), &place.archive(600_000 + n), 1));
    drop(clerk);
    let catalog = place.entered(0);
    assert_eq!(catalog.base.unwrap().1 + bytes(&catalog).iter().sum::<u64>(), sent + 10_000);
    assert!(fs::metadata(place.catalog()).unwrap().len() <= 2 * SMALL);
}

#[test]
fn a_disk_that_refuses_holds_nobody_up_and_is_asked_again() {
    let place = Place::new();
    // Something else is in the place of the folder.
    fs::write(place.dir.path().join("state"), "").unwrap();
    let clerk = Clerk::start(&place.folder()).unwrap();
    (0..2 * JOBS).for_each(|n| clerk.put_away("main", &place.file(), &place.archive(i64::try_from(n).unwrap()), 1));
    let waiting = clerk.0.as_ref().unwrap().0.lock().jobs.len();
    assert!(waiting <= JOBS + 1, "{waiting}");
    fs::remove_file(place.dir.path().join("state")).unwrap();
    let start = Instant::now();
    loop {
        let catalog = place.entered(0);
        let entered = catalog.base.map_or(0, |(_, bytes)| bytes) + bytes(&catalog).iter().sum::<u64>();
        if entered >= JOBS as u64 {
            break;
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{entered} of {JOBS}");
        std::thread::yield_now();
    }
}
