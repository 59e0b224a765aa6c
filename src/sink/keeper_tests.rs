use super::*;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::time::{Instant, SystemTime};

use crate::archive::{archive_path, archive_path_as, part_path};

const FORMS: [Compress; 2] = [Compress::Gzip, Compress::Zstd];

struct Place {
    folder: tempfile::TempDir,
    file: PathBuf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9.log"));
        Self { folder, file }
    }

    fn archive(&self, second: i64, bytes: &[u8]) -> PathBuf {
        let path = archive_path(&self.file, at(second));
        fs::write(&path, bytes).unwrap();
        path
    }

    fn start(&self, rotate: &Rotate) -> Keeper {
        let keeper = Keeper::start(rotate, None, "main", Trail::nowhere()).unwrap();
        keeper.look_at(&self.file);
        keeper
    }

    /// Everything in the folder, sorted.
    fn names(&self) -> Vec<PathBuf> {
        let mut all: Vec<_> = fs::read_dir(self.folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        all.sort();
        all
    }

    /// Waits until the folder holds exactly `expected`.
    fn becomes(&self, mut expected: Vec<PathBuf>) {
        expected.sort();
        until("the folder is as expected", || self.names() == expected);
    }

    fn packed(&self, second: i64, form: Compress) -> PathBuf {
        archive_path_as(&self.file, at(second), form)
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn until(what: &str, mut state: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !state() {
        assert!(begin.elapsed() < Duration::from_secs(20), "{what}");
        std::thread::yield_now();
    }
}

fn content(path: &Path, form: Compress) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    archive::reader(archive::open(path)?, form)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn pack_as(compress: Compress) -> Rotate {
    Rotate { compress, ..Rotate::default() }
}

/// Bytes that hardly become smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let step = |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56).to_le_bytes()[0]
    };
    (0..length).map(step).collect()
}

#[test]
fn an_archive_is_compressed_and_keeps_its_bytes_time_and_mode() {
    for (form, tool) in FORMS.into_iter().zip(["gzip", "zstd"]) {
        let place = Place::new();
        let plain = place.archive(10, b"");
        let bytes = [b"line\n".repeat(100_000), noise(200_000)].concat();
        fs::write(&plain, &bytes).unwrap();
        fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 123_456_789);
        File::open(&plain).unwrap().set_times(fs::FileTimes::new().set_modified(time)).unwrap();
        // Somebody reads it all the while.
        let mut reading = File::open(&plain).unwrap();
        let _keeper = place.start(&pack_as(form));
        place.becomes(vec![place.packed(10, form)]);
        let packed = place.packed(10, form);
        assert!(content(&packed, form).unwrap() == bytes);
        let meta = packed.metadata().unwrap();
        assert_eq!((meta.modified().unwrap(), meta.mode() & 0o777), (time, 0o640));
        let output = std::process::Command::new(tool).arg("-dc").arg(&packed).output().unwrap();
        assert!(output.status.success() && output.stdout == bytes, "{tool} reads it");
        let mut read = Vec::new();
        reading.read_to_end(&mut read).unwrap();
        assert!(read == bytes, "who reads it is not disturbed");
    }
}

#[test]
fn a_new_archive_is_compressed_when_it_is_told() {
    let place = Place::new();
    let keeper = place.start(&pack_as(Compress::Gzip));
    for second in 1..=3 {
        place.archive(second, b"x\n");
        keeper.look_at(&place.file);
        place.becomes((1..=second).map(|second| place.packed(second, Compress::Gzip)).collect());
    }
}

#[test]
fn what_a_crash_left_at_any_step_is_finished_or_cleaned_at_the_next_start() {
    for form in FORMS {
        let whole = |place: &Place| {
            let path = place.archive(10, b"one\ntwo\n");
            let stop = AtomicBool::new(false);
            let plain = archive::list(&place.file).unwrap().remove(0);
            assert_eq!(pack::pack(&place.file, &plain, form, &stop).unwrap(), Packed::Done);
            assert!(!path.exists());
            fs::read(place.packed(10, form)).unwrap()
        };
        // Before the new name: nothing, or any beginning of the part stands beside the archive.
        for length in [0, 5, usize::MAX] {
            let place = Place::new();
            let packed = whole(&place);
            fs::remove_file(place.packed(10, form)).unwrap();
            place.archive(10, b"one\ntwo\n");
            fs::write(part_path(&place.file, at(10), form), &packed[..length.min(packed.len())]).unwrap();
            let _keeper = place.start(&pack_as(form));
            place.becomes(vec![place.packed(10, form)]);
            assert_eq!(content(&place.packed(10, form), form).unwrap(), b"one\ntwo\n");
        }
        // After it, the old one still there; and, where names are made by links, the part, too.
        for linked in [false, true] {
            let place = Place::new();
            whole(&place);
            place.archive(10, b"one\ntwo\n");
            if linked {
                fs::hard_link(place.packed(10, form), part_path(&place.file, at(10), form)).unwrap();
            }
            // Without compression in the profile meanwhile it is finished all the same.
            let _keeper = place.start(&pack_as(if linked { form } else { Compress::None }));
            place.becomes(vec![place.packed(10, form)]);
            assert_eq!(content(&place.packed(10, form), form).unwrap(), b"one\ntwo\n");
        }
    }
}

#[test]
fn a_compressed_file_that_does_not_hold_the_archive_never_costs_the_archive() {
    let place = Place::new();
    let mut expected = Vec::new();
    for (second, packed) in [(10, &b"half a gzip"[..]), (20, b""), (30, b"other\n")] {
        expected.push(place.archive(second, b"mine\n"));
        expected.push(place.packed(second, Compress::Gzip));
        let mut bytes = packed.to_vec();
        if second == 30 {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(packed).unwrap();
            bytes = encoder.finish().unwrap();
        }
        fs::write(place.packed(second, Compress::Gzip), bytes).unwrap();
    }
    let plain = place.archive(40, b"last\n");
    let _keeper = place.start(&pack_as(Compress::Gzip));
    // The oldest are looked at first: when the last one is done, they have been.
    until("the last one is compressed", || !plain.exists());
    expected.push(place.packed(40, Compress::Gzip));
    place.becomes(expected);
}

#[test]
fn links_planted_under_the_names_are_never_followed() {
    let place = Place::new();
    let victim = tempfile::NamedTempFile::new().unwrap();
    fs::write(victim.path(), b"precious").unwrap();
    place.archive(10, b"line\n");
    symlink(victim.path(), part_path(&place.file, at(10), Compress::Gzip)).unwrap();
    // An archive that is a link, and one whose place is taken by a link.
    symlink(victim.path(), archive_path(&place.file, at(5))).unwrap();
    let taken = place.archive(20, b"line\n");
    symlink(victim.path(), place.packed(20, Compress::Gzip)).unwrap();
    let keeper = place.start(&Rotate { age: Some(Duration::ZERO), ..pack_as(Compress::Gzip) });
    let left = [archive_path(&place.file, at(5)), place.packed(20, Compress::Gzip)];
    drop(keeper);
    let _keeper = place.start(&Rotate { age: Some(Duration::ZERO), ..Rotate::default() });
    until("old archives are gone", || !taken.exists() && archive::list(&place.file).unwrap().is_empty());
    assert!(left.iter().all(|link| link.is_symlink()));
    assert_eq!(fs::read(victim.path()).unwrap(), b"precious");
}

#[test]
fn a_link_under_the_name_of_the_part_is_replaced() {
    let place = Place::new();
    let victim = tempfile::NamedTempFile::new().unwrap();
    fs::write(victim.path(), b"precious").unwrap();
    let plain = place.archive(10, b"line\n");
    let taken = place.archive(20, b"line\n");
    symlink(victim.path(), part_path(&place.file, at(10), Compress::Gzip)).unwrap();
    symlink(victim.path(), place.packed(20, Compress::Gzip)).unwrap();
    let _keeper = place.start(&pack_as(Compress::Gzip));
    until("the first one is compressed", || !plain.exists());
    place.becomes(vec![place.packed(10, Compress::Gzip), taken, place.packed(20, Compress::Gzip)]);
    assert_eq!(fs::read(victim.path()).unwrap(), b"precious");
}

#[test]
fn bounds_hold_and_files_of_users_stay() {
    let place = Place::new();
    let mine = ["caf.log", "x.2026-11-21T00-41-28.123456Z", "notes"].map(|name| place.folder.path().join(name));
    let mut similar = place.file.clone().into_os_string();
    similar.push(".2026-11-21T00-41-28Z");
    for path in mine.iter().chain([&place.file, &similar.into()]) {
        fs::write(path, b"mine").unwrap();
    }
    let mut expected = place.names();
    for second in 0..3000 {
        place.archive(second, b"12345");
    }
    expected.extend((2997..3000).map(|second| archive_path(&place.file, at(second))));
    let _keeper = place.start(&Rotate { keep: Some(10), total: Some(19), ..Rotate::default() });
    place.becomes(expected);
}

#[test]
fn an_archive_goes_when_its_time_has_come_without_being_told() {
    let place = Place::new();
    let now = Timestamp::now();
    let path = archive_path(&place.file, now);
    fs::write(&path, b"x").unwrap();
    let age = Duration::from_millis(300);
    let _keeper = place.start(&Rotate { age: Some(age), ..Rotate::default() });
    until("it is gone", || !path.exists());
    assert!(Timestamp::now().duration_since(now) > age.try_into().unwrap());
}

#[test]
fn the_newest_archive_may_be_larger_than_all_together_until_it_is_compressed() {
    let place = Place::new();
    let rotate = Rotate { total: Some(10_000), ..pack_as(Compress::Gzip) };
    let keeper = place.start(&rotate);
    for second in 1..=3 {
        place.archive(second, &b"x\n".repeat(500_000));
        keeper.look_at(&place.file);
        until("it is compressed", || place.packed(second, Compress::Gzip).exists());
    }
    until("the bound holds", || {
        let all = archive::list(&place.file).unwrap();
        (1..=3).contains(&all.len()) && all.iter().map(|a| a.bytes).sum::<u64>() <= 10_000
    });
}

#[test]
fn the_end_is_prompt_and_leaves_the_archive_whole() {
    let place = Place::new();
    let plain = archive_path(&place.file, at(10));
    let big = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&plain).unwrap();
    // Sparse: gigabytes to compress, none on the disk.
    big.set_len(64 << 30).unwrap();
    let keeper = place.start(&pack_as(Compress::Gzip));
    let part = part_path(&place.file, at(10), Compress::Gzip);
    until("it has begun", || part.metadata().is_ok_and(|meta| meta.len() > 0));
    assert_eq!(part.metadata().unwrap().mode() & 0o777, 0o600);
    let begin = Instant::now();
    drop(keeper);
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    assert_eq!(place.names(), [plain]);
}

#[test]
fn archives_of_files_that_nobody_writes_any_more_are_found_by_their_template() {
    let folder = tempfile::tempdir().unwrap();
    let template = Template::path(&format!("{}/{{peer_ip}}/{{date}}.log", folder.path().display())).unwrap();
    let file = folder.path().join("10.0.0.1/2026-11-21.log");
    fs::create_dir(file.parent().unwrap()).unwrap();
    let old = [archive_path(&file, at(10)), archive_path(&file, at(20))];
    for path in [&old[0], &old[1], &file] {
        fs::write(path, "x\n").unwrap();
    }
    let rotate = Rotate { keep: Some(1), ..pack_as(Compress::Gzip) };
    let _keeper = Keeper::start(&rotate, Some(template), "main", Trail::nowhere()).unwrap();
    let packed = archive_path_as(&file, at(20), Compress::Gzip);
    until("they are kept as the bounds say", || packed.exists() && old.iter().all(|path| !path.exists()));
}

/// A tmpfs on a folder, for as long as it lives.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount(options: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let output = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(folder.path())
            .output()
            .unwrap();
        output.status.success().then_some(Self(folder))
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = std::process::Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

fn rounds(rotate: &Rotate) -> Rounds {
    let (rotate, files, template, told) = (rotate.clone(), BTreeMap::new(), None, BTreeSet::new());
    let shared = Arc::new(Shared::default());
    Rounds { files, template, rotate, stream: "main".into(), trail: Trail::nowhere(), shared, told }
}

#[test]
fn a_full_disk_keeps_the_archive_and_is_told_once_until_there_is_room() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let file = disk.0.path().join("f");
    let plain = archive_path(&file, at(10));
    let bytes = noise(600_000);
    fs::write(&plain, &bytes).unwrap();
    let work = BTreeSet::from([file.clone()]);
    let mut rounds = rounds(&pack_as(Compress::Gzip));
    for _ in 0..2 {
        rounds.rounds(&work);
        let names: Vec<_> = fs::read_dir(disk.0.path()).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(names, std::slice::from_ref(&plain), "no part is left");
        assert_eq!(rounds.told.len(), 1, "{:?}", rounds.told);
        assert!(fs::read(&plain).unwrap() == bytes);
    }
    disk.remount("size=4m");
    rounds.rounds(&work);
    assert!(!plain.exists() && rounds.told.is_empty());
    assert!(content(&archive_path_as(&file, at(10), Compress::Gzip), Compress::Gzip).unwrap() == bytes);
}

#[test]
fn a_read_only_disk_changes_nothing() {
    let Some(disk) = Disk::mount("size=1m") else { return };
    let file = disk.0.path().join("f");
    for second in [10, 20] {
        fs::write(archive_path(&file, at(second)), b"x\n").unwrap();
    }
    disk.remount("ro");
    let work = BTreeSet::from([file.clone()]);
    let mut rounds = rounds(&Rotate { keep: Some(1), ..pack_as(Compress::Zstd) });
    rounds.rounds(&work);
    assert_eq!(archive::list(&file).unwrap().len(), 2);
    assert_eq!(rounds.told.len(), 2, "neither removed nor compressed: {:?}", rounds.told);
    disk.remount("rw");
    rounds.rounds(&work);
    let left: Vec<_> = archive::list(&file).unwrap().into_iter().map(|a| (a.at, a.form)).collect();
    assert_eq!(left, [(at(20), Compress::Zstd)]);
}
