use super::*;
use proptest::prelude::*;

/// Runs of bytes with holes between them, handed out in chunks of a few bytes.
#[derive(Debug, Clone)]
struct Runs {
    all: Vec<(u64, Vec<u8>)>,
    end: u64,
    chunk: usize,
}

impl Bytes for Runs {
    fn next(&mut self, at: u64) -> io::Result<Part> {
        for (start, bytes) in &self.all {
            if at < *start {
                return Ok(Part::Hole(*start));
            }
            let from = usize::try_from(at - start).unwrap();
            if from < bytes.len() {
                let to = bytes.len().min(from + self.chunk);
                return Ok(Part::Data(Chunk::new(Arc::new(bytes.clone()), from..to)));
            }
        }
        Ok(if at < self.end { Part::Hole(self.end) } else { Part::Edge })
    }

    fn previous(&mut self, at: u64) -> io::Result<Part> {
        for (start, bytes) in self.all.iter().rev() {
            let end = start + bytes.len() as u64;
            if at > end {
                return Ok(Part::Hole(end));
            }
            if at > *start {
                let to = usize::try_from(at - start).unwrap();
                return Ok(Part::Data(Chunk::new(Arc::new(bytes.clone()), to.saturating_sub(self.chunk)..to)));
            }
        }
        Ok(Part::Edge)
    }
}

impl Runs {
    /// All whole lines with their ends, the simple way.
    fn model(&self) -> Vec<(Line, u64)> {
        let mut all = Vec::new();
        for (start, bytes) in &self.all {
            let (mut offset, run_end) = (*start, start + bytes.len() as u64);
            for piece in bytes.split_inclusive(|b| *b == b'\n') {
                let line = piece.strip_suffix(b"\n").unwrap_or(piece).to_vec();
                let end = offset + piece.len() as u64;
                if piece.ends_with(b"\n") || run_end < self.end {
                    all.push((Line { offset, length: line.len() as u64, bytes: line }, end));
                }
                offset = end;
            }
        }
        all
    }
}

static GO_ON: AtomicBool = AtomicBool::new(false);

fn bounds(lines: usize, bytes: usize, filter: Option<&Pattern>) -> Bounds<'_> {
    Bounds { lines, bytes, filter, cancel: &GO_ON }
}

/// A last line without LF is still under way: it ends at the edge.
fn runs() -> impl Strategy<Value = Runs> {
    let byte = prop_oneof![3 => Just(b'a'), 1 => Just(b'b'), 2 => Just(b'\n')];
    let run = (0u64..4, prop::collection::vec(byte, 1..30));
    (prop::collection::vec(run, 0..5), 0u64..3, 1usize..9).prop_map(|(parts, gap, chunk)| {
        let (mut end, mut runs) = (0, Vec::<(u64, Vec<u8>)>::new());
        for (hole, bytes) in parts {
            let start = end + hole;
            end = start + bytes.len() as u64;
            match runs.last_mut() {
                Some((_, last)) if hole == 0 => last.extend(bytes),
                _ => runs.push((start, bytes)),
            }
        }
        Runs { all: runs, end: end + gap, chunk }
    })
}

proptest! {
    #[test]
    fn paging_forwards_in_any_steps_shows_every_line_once(
        runs in runs(), lines in 1usize..5, bytes in 1usize..40, filtered in any::<bool>(), from in 0u64..40,
    ) {
        let pattern = Pattern::new("b", false, false).unwrap();
        let filter = filtered.then_some(&pattern);
        let expected: Vec<_> = runs.model().into_iter().map(|(line, _)| line)
            .filter(|line| line.offset >= from && filter.is_none_or(|f| f.is_match(&line.bytes))).collect();
        let (mut source, mut got, mut at) = (runs, Vec::new(), from);
        loop {
            let page = after(&mut source, at, &bounds(lines, bytes, filter)).unwrap();
            prop_assert!(page.from >= at && page.to >= page.from);
            prop_assert!(page.lines.len() <= lines);
            prop_assert!(page.lines.len() == 1 || page.lines.iter().map(|l| l.bytes.len()).sum::<usize>() <= bytes);
            let stands = page.to == at && page.lines.is_empty();
            (got, at) = ([got, page.lines].concat(), page.to);
            if page.edge {
                break;
            }
            prop_assert!(!stands, "no way on from {}", at);
        }
        for (got, line) in got.iter().zip(&expected) {
            let kept = line.bytes.len().min(bytes);
            prop_assert_eq!((got.offset, &got.bytes[..], got.length), (line.offset, &line.bytes[..kept], line.length));
        }
        prop_assert_eq!(got.len(), expected.len());
    }

    #[test]
    fn paging_backwards_in_any_steps_shows_every_line_once(
        runs in runs(), lines in 1usize..5, bytes in 1usize..40, filtered in any::<bool>(), back in 0u64..40,
    ) {
        let pattern = Pattern::new("b", false, true).unwrap();
        let filter = filtered.then_some(&pattern);
        let from = runs.end.saturating_sub(back);
        let mut expected: Vec<_> = runs.model().into_iter().filter(|(_, end)| *end <= from).map(|(line, _)| line)
            .filter(|line| filter.is_none_or(|f| f.is_match(&line.bytes))).collect();
        let (mut source, mut got, mut at) = (runs, Vec::new(), from);
        loop {
            let page = before(&mut source, at, &bounds(lines, bytes, filter)).unwrap();
            prop_assert!(page.to <= at && page.from <= page.to);
            prop_assert!(page.lines.len() <= lines);
            prop_assert!(page.lines.len() == 1 || page.lines.iter().map(|l| l.bytes.len()).sum::<usize>() <= bytes);
            let stands = page.from == at && page.lines.is_empty();
            got.extend(page.lines.into_iter().rev());
            at = page.from;
            if page.edge {
                break;
            }
            prop_assert!(!stands, "no way on from {}", at);
        }
        expected.reverse();
        for (got, line) in got.iter().zip(&expected) {
            let kept = line.bytes.len().min(bytes);
            prop_assert_eq!((got.offset, &got.bytes[..], got.length), (line.offset, &line.bytes[..kept], line.length));
        }
        prop_assert_eq!(got.len(), expected.len());
    }

    #[test]
    fn pages_meet_without_a_gap(runs in runs(), lines in 1usize..5, at in 0u64..60) {
        let (runs_end, mut source) = (runs.end, runs);
        let one = before(&mut source, at.min(runs_end), &bounds(lines, 1000, None)).unwrap();
        let other = after(&mut source, one.from, &bounds(one.lines.len().max(1), 1000, None)).unwrap();
        if !one.lines.is_empty() {
            prop_assert_eq!(one.lines, other.lines);
        }
    }
}

#[test]
fn a_cancelled_page_ends_where_it_is_and_can_be_gone_on_with() {
    let mut source = Runs { all: vec![(0, b"a\nb\nc\n".to_vec())], end: 6, chunk: 3 };
    let cancel = AtomicBool::new(true);
    let stopped = Bounds { cancel: &cancel, ..bounds(9, 99, None) };
    assert_eq!(after(&mut source, 2, &stopped).unwrap(), Stretch { lines: vec![], from: 2, to: 2, edge: false });
    assert_eq!(before(&mut source, 4, &stopped).unwrap(), Stretch { lines: vec![], from: 4, to: 4, edge: false });
}
