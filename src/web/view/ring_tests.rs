use proptest::prelude::*;

use super::*;

/// A line at each offset that is a multiple of ten; a batch is the lines from one offset to another.
type Batch = (u64, u64);

#[derive(Debug, Clone)]
enum Step {
    /// So many lines are written and read for all.
    Append(u64),
    /// As many bytes are missing in the numbering, as behind a file that was made shorter.
    Jump,
    /// Lines are left out for all.
    Skip(u64),
    /// A reader comes in who knows all but the last few lines.
    Enter(u64),
    /// One takes a little, or much.
    Take(usize, usize),
    /// The one that reads alone reads so many lines.
    Alone(usize, u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..30_u64).prop_map(Step::Append),
        1 => Just(Step::Jump),
        1 => (1..40_u64).prop_map(Step::Skip),
        2 => (0..40_u64).prop_map(Step::Enter),
        6 => (0..4_usize, 0..30_usize).prop_map(|(who, most)| Step::Take(who, most)),
        4 => (0..4_usize, 1..60_u64).prop_map(|(who, lines)| Step::Alone(who, lines)),
    ]
}

struct Reader {
    /// In the ring, or alone from an offset.
    way: Result<Cursor, u64>,
    seen: Vec<u64>,
    from: u64,
}

struct World {
    /// Offsets of all lines there are.
    disk: Vec<u64>,
    end: u64,
    ring: Ring<Option<Batch>>,
    readers: Vec<Reader>,
}

impl World {
    fn lines(&self, from: u64, to: u64) -> impl Iterator<Item = u64> {
        self.disk.iter().copied().filter(move |at| *at >= from && *at < to)
    }

    fn go(&mut self, step: &Step) {
        match *step {
            Step::Append(lines) => {
                let from = self.end;
                self.disk.extend((0..lines).map(|n| from + n * 10));
                self.end += lines * 10;
                self.ring.push(self.end, lines, usize::try_from(lines).unwrap(), Some((from, self.end)), 50);
            }
            Step::Jump => {
                self.end += 1000;
                self.ring.push(self.end, 0, 1, None, 50);
            }
            Step::Skip(lines) => {
                let from = self.end;
                self.disk.extend((0..lines).map(|n| from + n * 10));
                self.end += lines * 10;
                self.ring.skip(self.end, lines, Some((u64::MAX, lines)), 50);
            }
            Step::Enter(back) if self.readers.len() < 4 => {
                let place = self.disk.iter().rev().nth(usize::try_from(back).unwrap()).copied().unwrap_or(self.end);
                self.readers.push(Reader { way: Err(place), seen: Vec::new(), from: place });
            }
            Step::Take(who, most) => self.take(who, most),
            Step::Alone(who, lines) => self.alone(who, lines),
            Step::Enter(_) => {}
        }
    }

    fn take(&mut self, who: usize, most: usize) {
        let Some(mut reader) = (who < self.readers.len()).then(|| self.readers.remove(who)) else { return };
        match &mut reader.way {
            Err(place) => {
                if let Some(cursor) = self.ring.join(*place) {
                    reader.way = Ok(cursor);
                }
            }
            Ok(cursor) => {
                let place = cursor.place;
                match self.ring.take(cursor, most) {
                    Taken::Some(taken, more) => {
                        for (what, after) in taken {
                            match what {
                                // Left out for all: it is told, and counts as seen.
                                Some((u64::MAX, _)) | None => {}
                                Some((from, to)) => reader.seen.extend(self.lines(from.max(after), to)),
                            }
                        }
                        assert_eq!(more, self.waits(&reader));
                    }
                    Taken::Skipped { from, to, lines } => {
                        assert_eq!((from, to), (place, self.end));
                        assert_eq!(lines, self.lines(from, to).count() as u64);
                        reader.seen.extend(self.lines(from, to));
                    }
                    Taken::Gone => reader.way = Err(place),
                }
            }
        }
        self.readers.insert(who, reader);
    }

    fn waits(&self, reader: &Reader) -> bool {
        let mut cursor = *reader.way.as_ref().unwrap();
        !matches!(self.ring.take(&mut cursor, 0), Taken::Some(taken, _) if taken.is_empty())
    }

    fn alone(&mut self, who: usize, lines: u64) {
        let Some(mut reader) = (who < self.readers.len()).then(|| self.readers.remove(who)) else { return };
        if let Err(place) = &mut reader.way {
            let next: Vec<_> = self.lines(*place, self.end).take(usize::try_from(lines).unwrap()).collect();
            if let Some(last) = next.last() {
                *place = last + 10;
                reader.seen.extend(next);
            }
        }
        self.readers.insert(who, reader);
    }
}

proptest! {
    #[test]
    fn every_reader_has_each_line_once_in_order_however_they_take_turns(steps in prop::collection::vec(step(), 1..120)) {
        let (disk, end, ring, readers) = (Vec::new(), 0, Ring::new(), Vec::new());
        let mut world = World { disk, end, ring, readers };
        world.ring.begin(0);
        let mut skipped = std::collections::BTreeSet::new();
        for step in &steps {
            let before = world.end;
            world.go(step);
            if let Step::Skip(_) = step {
                skipped.extend(world.lines(before, world.end));
            }
        }
        // All catch up.
        for _ in 0..400 {
            for who in 0..world.readers.len() {
                world.go(&Step::Alone(who, 7));
                world.go(&Step::Take(who, 20));
            }
        }
        for reader in &world.readers {
            let has: Vec<_> = reader.seen.iter().filter(|at| !skipped.contains(at)).copied().collect();
            let all: Vec<_> = world.lines(reader.from, world.end).filter(|at| !skipped.contains(at)).collect();
            prop_assert_eq!(has, all);
        }
    }
}

#[test]
fn who_is_far_behind_is_told_how_many_lines_that_is() {
    let mut ring = Ring::new();
    ring.begin(0);
    ring.push(10, 1, 10, 'a', 100);
    let mut cursor = ring.join(0).unwrap();
    assert_eq!(ring.take(&mut cursor, 100), Taken::Some(vec![('a', 0)], false));
    for n in 1..=9 {
        ring.push(10 + n * 1_000_000, 7, 60, 'b', 100);
    }
    let mut other = cursor;
    assert_eq!(ring.take(&mut cursor, 100), Taken::Skipped { from: 10, to: 9_000_010, lines: 63 });
    assert_eq!(ring.take(&mut cursor, 100), Taken::Some(vec![], false));
    // Where offsets mean nothing any more, or nobody reads, it is looked up on the disk.
    ring.close();
    assert_eq!(ring.take(&mut other, 100), Taken::Gone);
    assert_eq!(ring.take(&mut cursor, 100), Taken::Gone);
}

#[test]
fn nobody_comes_in_where_something_is_missing() {
    let mut ring = Ring::new();
    assert_eq!(ring.join(0), None);
    ring.begin(100);
    assert!(ring.join(99).is_none() && ring.join(100).is_some());
    ring.push(200, 1, 10, 'a', 100);
    ring.skip(300, 5, 's', 100);
    assert!(ring.join(100).is_none() && ring.join(299).is_none() && ring.join(300).is_some());
    ring.push(400, 1, 95, 'b', 100);
    assert!(ring.join(300).is_some());
    ring.push(500, 1, 95, 'c', 100);
    assert!(ring.join(300).is_none() && ring.join(400).is_some());
    ring.shut();
    assert!(ring.join(500).is_none() && !ring.is_open());
}

#[test]
fn who_comes_in_is_told_nothing_that_is_known_and_never_goes_back() {
    let mut ring = Ring::new();
    ring.begin(0);
    ring.push(100, 4, 10, 'a', 100);
    ring.push(100, 0, 1, 'n', 100);
    let mut cursor = ring.join(100).unwrap();
    assert_eq!(ring.take(&mut cursor, 100), Taken::Some(vec![], false));
    // Whoever has read the disk meanwhile knows more than the ring holds.
    let mut ahead = ring.join(300).unwrap();
    ring.push(200, 4, 10, 'b', 100);
    assert_eq!(ring.take(&mut ahead, 100), Taken::Some(vec![('b', 300)], false));
    assert_eq!((ahead.place, cursor.place), (300, 100));
}

#[test]
fn how_many_lines_are_missing_is_told_only_where_it_is_known() {
    let mut ring = Ring::new();
    ring.begin(0);
    ring.push(10, 1, 10, 'a', 20);
    ring.push(100, 4, 10, 'b', 20);
    let (mut middle, mut border) = (ring.join(50).unwrap(), ring.join(10).unwrap());
    ring.push(2 * BEHIND, 7, 20, 'c', 20);
    let skipped = Taken::Skipped { from: 10, to: 2 * BEHIND, lines: 11 };
    assert_eq!((ring.take(&mut middle, 9), ring.take(&mut border, 9)), (Taken::Gone, skipped));
}
