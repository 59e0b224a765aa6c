use super::*;
use proptest::prelude::*;

fn drain(spool: &mut Spool) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    while let Some((record, _)) = spool.read().unwrap() {
        all.push(record);
    }
    all
}

fn open(folder: &Path, acked: u64) -> Spool {
    Spool::open(folder, acked, 1 << 30).unwrap().0
}

fn files(folder: &Path) -> usize {
    folder.read_dir().unwrap().count()
}

#[test]
fn records_come_out_as_they_went_in_over_many_files_which_go_when_they_are_done_with() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 0);
    let (count, now) = (300u32, Instant::now());
    let record = |n: u32| vec![n.to_le_bytes()[0]; 100_000 + n as usize];
    for n in 0..count {
        spool.push(&record(n));
        spool.write(now).unwrap();
    }
    assert!(files(dir.path()) > 3);
    // Half of it is read and acknowledged, then the process is killed.
    let mut place = 0;
    for n in 0..count / 2 {
        let (got, end) = spool.read().unwrap().unwrap();
        assert_eq!(got, record(n));
        place = end;
        spool.done(end);
    }
    let before = files(dir.path());
    drop(spool);
    let mut spool = open(dir.path(), place);
    assert_eq!(spool.left().unwrap(), u64::from(count / 2));
    let mut spool = {
        drop(spool);
        open(dir.path(), place)
    };
    for n in count / 2..count {
        let (got, end) = spool.read().unwrap().unwrap();
        assert_eq!(got, record(n));
        spool.done(end);
    }
    assert!(spool.is_read() && files(dir.path()) < before);
    spool.finish().unwrap();
    assert_eq!(files(dir.path()), 0);
    // Places go on where they were.
    let end = spool.end;
    let mut spool = open(dir.path(), end);
    spool.push(b"later");
    spool.write(now).unwrap();
    assert_eq!(spool.read().unwrap().unwrap(), (b"later".to_vec(), end + 13));
}

#[test]
fn an_answer_that_outlived_its_record_is_no_trouble() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 0);
    spool.push(b"one");
    spool.write(Instant::now()).unwrap();
    drop(spool);
    let mut spool = open(dir.path(), 500);
    assert_eq!(spool.read().unwrap(), None);
    spool.push(b"two");
    spool.write(Instant::now()).unwrap();
    assert_eq!(drain(&mut spool), [b"two"]);
    drop(spool);
    assert_eq!(drain(&mut open(dir.path(), 500)), [b"two"]);
}

#[test]
fn damage_in_the_middle_is_said_and_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 0);
    for _ in 0..200 {
        spool.push(&vec![b'x'; 100_000]);
        spool.write(Instant::now()).unwrap();
    }
    let first = dir.path().join(name_of(0));
    let mut bytes = std::fs::read(&first).unwrap();
    bytes[150_000] ^= 1;
    std::fs::write(&first, bytes).unwrap();
    let mut spool = open(dir.path(), 0);
    assert!(spool.read().unwrap().is_some());
    assert!(spool.read().unwrap_err().to_string().contains("holds no record at byte 100008"));
}

#[test]
fn damage_in_the_newest_file_takes_nothing_behind_it_along() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 0);
    for record in [b"one", b"two", b"six"] {
        spool.push(record);
    }
    spool.write(Instant::now()).unwrap();
    drop(spool);
    let path = dir.path().join(name_of(0));
    let whole = std::fs::read(&path).unwrap();
    for at in [11, 12, 19] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let why = Spool::open(dir.path(), 0, 1 << 30).unwrap_err();
        assert!(why.to_string().contains("holds no record at byte 11"), "{at}: {why}");
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "nothing was cut off");
    }
    // What a loss of power leaves.
    std::fs::write(&path, [&whole[..30], &[0; 5000]].concat()).unwrap();
    let (mut spool, torn) = Spool::open(dir.path(), 0, 1 << 30).unwrap();
    assert_eq!((torn, drain(&mut spool)), (5008, vec![b"one".to_vec(), b"two".to_vec()]));
}

#[test]
fn a_full_spool_has_no_room_until_something_is_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let (mut spool, _) = Spool::open(dir.path(), 0, 1000).unwrap();
    let mut n = 0;
    while spool.has_room() {
        spool.push(&[0; 92]);
        spool.write(Instant::now()).unwrap();
        n += 1;
    }
    assert_eq!(n, 10);
    let (_, end) = spool.read().unwrap().unwrap();
    spool.done(end);
    assert!(spool.has_room());
}

#[test]
fn a_disk_that_takes_nothing_keeps_records_waiting_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let mut spool = open(dir.path(), 0);
    spool.push(b"one");
    spool.write(Instant::now()).unwrap();
    // A file that cannot be written to, as a full disk cannot.
    let real = spool.file.replace(OpenOptions::new().write(true).open("/dev/full").unwrap());
    spool.push(b"two");
    assert!(spool.write(Instant::now()).is_err());
    assert!(spool.is_stuck() && !spool.has_room());
    assert_eq!(drain(&mut spool), [b"one"]);
    spool.file = real;
    spool.write(Instant::now()).unwrap();
    assert!(spool.has_room());
    assert_eq!(drain(&mut spool), [b"two"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_cut_of_the_file_is_a_prefix_of_the_records_and_takes_more(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..20), cut in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut spool = open(dir.path(), 0);
        let mut ends = Vec::new();
        for record in &records {
            spool.push(record);
            spool.write(Instant::now()).unwrap();
            ends.push(spool.end);
        }
        drop(spool);
        let path = dir.path().join(name_of(0));
        let length = path.metadata().unwrap().len();
        let cut = cut.index(usize::try_from(length).unwrap() + 1) as u64;
        OpenOptions::new().write(true).open(&path).unwrap().set_len(cut).unwrap();
        let kept = ends.iter().filter(|end| **end <= cut).count();
        let (mut spool, torn) = Spool::open(dir.path(), 0, 1 << 30).unwrap();
        prop_assert_eq!(torn, cut - kept.checked_sub(1).map_or(0, |last| ends[last]));
        spool.push(b"after");
        spool.write(Instant::now()).unwrap();
        let mut expected = records[..kept].to_vec();
        expected.push(b"after".to_vec());
        prop_assert_eq!(drain(&mut spool), expected);
    }
}
