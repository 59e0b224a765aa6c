//! What is written at once: bytes, and which of them are payload.

use std::path::Path;
use std::sync::Arc;

/// Bytes for the output, in order, with the account of whose they are.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
    /// The last run has no bytes of ours yet, so that it may take more of senders.
    open: bool,
    /// Records that hold LFs beside their last byte: where each begins and ends.
    inner: Vec<(usize, usize)>,
    /// Where the bytes go, where there is more than one file: each mark holds up to the next one.
    marks: Vec<Mark>,
}

/// From here on the bytes go there.
#[derive(Debug, Clone)]
struct Mark {
    from: usize,
    to: Aim,
}

/// The file that records go to; `None`: there is only one. Told apart by address, not by name: it is compared for every read
/// from the network.
pub type Aim = Option<Arc<Path>>;

/// Whether it is the very same.
pub fn is_same(one: &Aim, other: &Aim) -> bool {
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => Arc::ptr_eq(one, other),
        _ => false,
    }
}

/// Bytes in a row: first those of senders, if any, then those of reclog, if any. One for each record that is written with
/// something of ours, and one for all others in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Run {
    /// Where it ends.
    end: usize,
    /// Payload bytes up to there, those of the runs before included.
    payload: usize,
}

impl Batch {
    /// What is appended from now on goes to `to`. To be said between two records, for every sender anew.
    pub fn aim(&mut self, to: &Aim) {
        let from = self.bytes.len();
        // Nothing came of the last one.
        while self.marks.last().is_some_and(|mark| mark.from == from) {
            self.marks.pop();
        }
        let now = self.marks.last().map_or(&None, |mark| &mark.to);
        if !is_same(now, to) {
            self.marks.push(Mark { from, to: to.clone() });
        }
    }

    /// Where the byte at `at` goes, and up to where all bytes go there.
    #[must_use]
    pub fn part(&self, at: usize) -> (usize, &Aim) {
        let next = self.marks.partition_point(|mark| mark.from <= at);
        let end = self.marks.get(next).map_or(self.bytes.len(), |mark| mark.from);
        (end, if next == 0 { &None } else { &self.marks[next - 1].to })
    }

    /// Appends bytes of a sender.
    pub fn payload(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.extend_from_slice(bytes);
            self.account_for(bytes.len(), 0);
        }
    }

    /// Appends bytes of our own.
    pub fn added(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.bytes.extend_from_slice(bytes);
            self.account_for(0, bytes.len());
        }
    }

    /// Lets `write` append bytes of our own, and appends `payload` after them.
    pub fn after(&mut self, write: impl FnOnce(&mut Vec<u8>), payload: &[u8]) {
        let from = self.bytes.len();
        write(&mut self.bytes);
        let added = self.bytes.len() - from;
        if added > 0 {
            self.account_for(0, added);
        }
        self.payload(payload);
    }

    /// Lets `write` append what stands for `payload` bytes of a sender: at least as many, of which the first ones count as
    /// them and the rest as ours.
    pub fn written(&mut self, payload: usize, write: impl FnOnce(&mut Vec<u8>)) {
        let from = self.bytes.len();
        write(&mut self.bytes);
        let written = self.bytes.len() - from;
        debug_assert!(written >= payload, "a sender's byte without a byte that stands for it");
        if written > 0 {
            self.account_for(payload, written - payload);
        }
    }

    /// The last bytes are so many of a sender, then so many of ours; one at least.
    fn account_for(&mut self, payload: usize, added: usize) {
        let end = self.bytes.len();
        let total = self.runs.last().map_or(0, |last| last.payload) + payload;
        match self.runs.last_mut() {
            Some(last) if self.open || payload == 0 => *last = Run { end, payload: total },
            _ => self.runs.push(Run { end, payload: total }),
        }
        self.open = added == 0;
    }

    /// What was appended since it had `from` bytes is one record, whatever it holds.
    pub fn one_record(&mut self, from: usize) {
        let end = self.bytes.len();
        if end > from && memchr::memchr(b'\n', &self.bytes[from..end - 1]).is_some() {
            self.inner.push((from, end));
        }
    }

    /// As [`one_record`](Self::one_record), for bytes that have no line ends: it counts as one all the same.
    pub fn one_chunk(&mut self, from: usize) {
        if self.bytes.len() > from {
            self.inner.push((from, self.bytes.len()));
        }
    }

    /// Appends what `other` has after its first `from` bytes, with the account of it.
    pub fn copy(&mut self, other: &Self, from: usize) {
        let mut at = from;
        for run in &other.runs[other.runs.partition_point(|run| run.end <= from)..] {
            let payload = other.payload_before(run.end) - other.payload_before(at);
            self.bytes.extend_from_slice(&other.bytes[at..run.end]);
            self.account_for(payload, run.end - at - payload);
            at = run.end;
        }
        let (ours, theirs) = (self.bytes.len(), other.bytes.len());
        let records = &other.inner[other.inner.partition_point(|(_, end)| *end <= from)..];
        self.inner.extend(records.iter().map(|(begin, end)| (begin + ours - theirs, end + ours - theirs)));
    }

    /// Records of which not everything is among the first `at` bytes. Without `lines` they are the
    /// [chunks](Self::one_chunk).
    #[must_use]
    pub fn records_after(&self, at: usize, lines: bool) -> u64 {
        if !lines {
            return (self.inner.len() - self.inner.partition_point(|(_, end)| *end <= at)) as u64;
        }
        if self.inner.last().is_none_or(|(_, end)| *end <= at) {
            let rest = &self.bytes[at.min(self.bytes.len())..];
            let open = u64::from(rest.last().is_some_and(|b| *b != b'\n'));
            return memchr::memchr_iter(b'\n', rest).count() as u64 + open;
        }
        let (mut at, mut records) = (at, 0);
        while at < self.bytes.len() {
            at = self.end_after(at + 1, true);
            records += 1;
        }
        records
    }

    /// Bytes of memory that its contents take: many short records take more for the account than for themselves.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.bytes.len() + self.overhead()
    }

    /// What of its [`weight`](Self::weight) is the account.
    #[must_use]
    pub fn overhead(&self) -> usize {
        (self.runs.len() + self.inner.len()) * size_of::<Run>() + self.marks.len() * size_of::<Mark>()
    }

    /// Bytes in all.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether a record ends at `at`. A batch begins and ends between two records. `lines`: LF ends a record, unless it
    /// stands inside of [one](Self::one_record); otherwise records may be parted anywhere.
    #[must_use]
    pub fn is_end(&self, at: usize, lines: bool) -> bool {
        !lines || at == 0 || at >= self.bytes.len() || (self.bytes[at - 1] == b'\n' && self.around(at).is_none())
    }

    /// The first end of a record at or after `at`.
    #[must_use]
    pub fn end_after(&self, at: usize, lines: bool) -> usize {
        if self.is_end(at, lines) {
            return at.min(self.bytes.len());
        }
        let end = memchr::memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |n| at + n + 1);
        self.around(end).map_or(end, |(_, end)| end)
    }

    /// The last end of a record after `from` and not after `at`; `from` when there is none.
    #[must_use]
    pub fn end_before(&self, from: usize, at: usize, lines: bool) -> usize {
        if self.is_end(at, lines) {
            return at.min(self.bytes.len());
        }
        let end = memchr::memrchr(b'\n', &self.bytes[from..at]).map_or(from, |n| from + n + 1);
        self.around(end).map_or(end, |(begin, _)| begin.max(from))
    }

    /// The record with LFs inside in the middle of which `at` is.
    fn around(&self, at: usize) -> Option<(usize, usize)> {
        let next = self.inner.partition_point(|(_, end)| *end <= at);
        self.inner.get(next).copied().filter(|(begin, _)| *begin < at)
    }

    /// Payload and added bytes among those from `from` to `to`: what a write of that part has stored.
    #[must_use]
    pub fn account(&self, from: usize, to: usize) -> (u64, u64) {
        let payload = self.payload_before(to) - self.payload_before(from);
        (payload as u64, (to - from - payload) as u64)
    }

    /// Payload bytes among the first `at`.
    fn payload_before(&self, at: usize) -> usize {
        let next = self.runs.partition_point(|run| run.end <= at);
        let before = if next == 0 { Run::default() } else { self.runs[next - 1] };
        let own = self.runs.get(next).map_or(0, |run| run.payload - before.payload);
        before.payload + own.min(at.saturating_sub(before.end))
    }

    /// Empties it for the next round and gives back memory beyond `keep` bytes.
    pub fn recycle(&mut self, keep: usize) {
        self.bytes.clear();
        self.runs.clear();
        self.open = false;
        if self.bytes.capacity() > keep {
            self.bytes.shrink_to(keep);
        }
        self.runs.shrink_to(keep / 64);
        self.inner.clear();
        self.inner.shrink_to(keep / 64);
        self.marks.clear();
        self.marks.shrink_to(keep / 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_run_is_bytes_of_senders_and_then_of_ours() {
        let mut batch = Batch::default();
        batch.payload(b"ab");
        batch.payload(b"c");
        batch.added(b"\n");
        batch.payload(b"");
        batch.added(b"\n");
        assert_eq!(batch.bytes(), b"abc\n\n");
        assert_eq!(batch.runs, [Run { end: 5, payload: 3 }]);
        assert_eq!((batch.account(1, 4), batch.account(3, 5), batch.account(0, 5)), ((2, 1), (0, 2), (3, 2)));
        batch.payload(b"de");
        batch.written(2, |bytes| bytes.extend_from_slice(b"{fg}"));
        batch.written(0, |_| {});
        assert_eq!(batch.runs, [Run { end: 5, payload: 3 }, Run { end: 11, payload: 7 }], "payload follows payload");
        batch.written(1, |bytes| bytes.extend_from_slice(b"h\n"));
        assert_eq!(batch.runs.len(), 3);
        assert_eq!((batch.account(4, 8), batch.account(8, 11), batch.account(10, 13)), ((3, 1), (1, 2), (1, 2)));
        batch.recycle(0);
        batch.added(b"+");
        assert_eq!((batch.account(0, 1), batch.runs.len()), ((0, 1), 1), "what was before is forgotten");
    }

    #[test]
    fn records_of_lines_end_at_their_ends_and_those_of_raw_anywhere() {
        let mut batch = Batch::default();
        batch.payload(b"one\ntwo\nthree\n");
        let ends: Vec<usize> = (0..=14).filter(|at| batch.is_end(*at, true)).collect();
        assert_eq!(ends, [0, 4, 8, 14]);
        for at in 0..=14 {
            assert_eq!(batch.end_after(at, true), *ends.iter().find(|e| **e >= at).unwrap(), "{at}");
            assert_eq!(batch.end_before(0, at, true), *ends.iter().rfind(|e| **e <= at).unwrap(), "{at}");
            assert_eq!((batch.end_after(at, false), batch.end_before(0, at, false)), (at, at));
        }
        assert_eq!((batch.end_after(99, true), batch.end_before(8, 11, true)), (14, 8));
    }

    #[test]
    fn a_record_that_holds_line_ends_is_parted_nowhere() {
        let mut batch = Batch::default();
        batch.payload(b"one\n");
        let from = batch.len();
        batch.payload(b"t\nw\no");
        batch.added(b"\n");
        batch.one_record(from);
        batch.payload(b"three\n");
        batch.one_record(10);
        let ends: Vec<usize> = (0..=16).filter(|at| batch.is_end(*at, true)).collect();
        assert_eq!(ends, [0, 4, 10, 16]);
        for at in 0..=16 {
            assert_eq!(batch.end_after(at, true), *ends.iter().find(|e| **e >= at).unwrap(), "{at}");
            assert_eq!(batch.end_before(0, at, true), *ends.iter().rfind(|e| **e <= at).unwrap(), "{at}");
            assert_eq!(batch.end_before(4, at.max(4), true), *ends.iter().rfind(|e| **e <= at.max(4)).unwrap(), "{at}");
        }
        assert_eq!(batch.inner.len(), 1, "others cost nothing");
        batch.recycle(0);
        assert_eq!((batch.weight(), batch.len()), (0, 0));
    }

    #[test]
    fn every_byte_goes_where_its_sender_s_go_and_one_place_has_one_mark() {
        let to = |name: &str| -> Aim { Some(Path::new(name).into()) };
        let (a, b) = (to("a"), to("b"));
        let mut batch = Batch::default();
        batch.payload(b"x\n");
        for (aim, bytes) in [(&a, &b"1\n"[..]), (&a, b"2\n"), (&b, b""), (&a, b"3\n"), (&b, b"4\n"), (&None, b"5\n")] {
            batch.aim(aim);
            batch.payload(bytes);
        }
        let parts: Vec<_> = (0..batch.len()).map(|at| batch.part(at)).collect();
        let expected = [(2, &None, 2), (8, &a, 6), (10, &b, 2), (12, &None, 2)];
        let expected: Vec<_> = expected.into_iter().flat_map(|(end, aim, n)| vec![(end, aim); n]).collect();
        assert_eq!(parts, expected);
        assert_eq!(batch.marks.len(), 3);
        assert!(batch.overhead() >= 3 * size_of::<Mark>());
        batch.recycle(0);
        batch.payload(b"again");
        assert_eq!(batch.part(0), (5, &None));
    }

    #[test]
    fn records_are_counted_that_are_not_whole_before_a_place() {
        let mut batch = Batch::default();
        batch.payload(b"one\n\n");
        let from = batch.len();
        batch.payload(b"t\nw\no\n");
        batch.one_record(from);
        let after = |at| batch.records_after(at, true);
        assert_eq!([0, 3, 4, 5, 6, 10, 11].map(after), [3, 3, 2, 1, 1, 1, 0]);
        batch.payload(b"x\ny\n");
        assert_eq!([0, 10, 11, 12, 13, 14, 15].map(|at| batch.records_after(at, true)), [5, 3, 2, 2, 1, 1, 0]);
        let mut chunks = Batch::default();
        for chunk in [&b"a\nb"[..], b"", b"c"] {
            let from = chunks.len();
            chunks.payload(chunk);
            chunks.one_chunk(from);
        }
        assert_eq!([0, 2, 3, 4].map(|at| chunks.records_after(at, false)), [2, 2, 1, 0]);
    }

    proptest! {
        #[test]
        fn a_copy_of_the_end_is_that_end(
            records in prop::collection::vec((any::<bool>(), "[a\n]{0,6}"), 0..12),
            from in 0usize..12,
        ) {
            let (mut all, mut copy, mut start) = (Batch::default(), Batch::default(), 0);
            copy.added(b"before\n");
            for (n, (ours, text)) in records.iter().enumerate() {
                if n == from {
                    start = all.len();
                }
                let begin = all.len();
                all.payload(text.as_bytes());
                if *ours { all.added(b"\n") } else { all.payload(b"\n") }
                all.one_record(begin);
            }
            copy.copy(&all, start);
            prop_assert_eq!(&copy.bytes()[7..], &all.bytes()[start..]);
            for at in start..=all.len() {
                let there = at - start + 7;
                prop_assert_eq!(copy.account(7, there), all.account(start, at));
                prop_assert_eq!(copy.is_end(there, true), all.is_end(at, true));
                prop_assert_eq!(copy.records_after(there, true), all.records_after(at, true));
            }
        }

        #[test]
        fn any_way_of_cutting_a_write_gives_the_same_account(
            runs in prop::collection::vec((0..3, 0usize..20, 0usize..20), 0..12),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut batch = Batch::default();
            let (mut payload, mut added) = (0u64, 0u64);
            for (kind, n, m) in runs {
                match kind {
                    0 => batch.added(&vec![b'+'; n]),
                    1 => batch.payload(&vec![b'p'; n]),
                    _ => batch.written(n, |bytes| bytes.resize(bytes.len() + n + m, b'w')),
                }
                payload += if kind == 0 { 0 } else { n as u64 };
                added += match kind { 0 => n, 1 => 0, _ => m } as u64;
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(batch.len())).collect();
            cuts.extend([0, batch.len()]);
            cuts.sort_unstable();
            let sum = cuts.windows(2).map(|w| batch.account(w[0], w[1])).fold((0, 0), |s, a| (s.0 + a.0, s.1 + a.1));
            prop_assert_eq!(sum, (payload, added));
        }
    }
}
