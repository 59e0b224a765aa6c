//! What is written at once: bytes, and which of them are payload.

/// Bytes for the output, in order, with the account of whose they are.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    runs: Vec<Run>,
}

/// So many bytes in a row that belong to senders, or to reclog.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    /// As received.
    Payload(usize),
    /// Written by reclog: a line end.
    Added(usize),
}

impl Batch {
    /// Appends bytes of a sender.
    pub fn payload(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        match self.runs.last_mut() {
            Some(Run::Payload(n)) => *n += bytes.len(),
            _ => self.runs.push(Run::Payload(bytes.len())),
        }
    }

    /// Appends bytes of our own.
    pub fn added(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        self.bytes.extend_from_slice(bytes);
        match self.runs.last_mut() {
            Some(Run::Added(n)) => *n += bytes.len(),
            _ => self.runs.push(Run::Added(bytes.len())),
        }
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

    /// Whether a record ends at `at`. A batch begins and ends between two records. `lines`: LF ends a record, and
    /// nothing else does; otherwise records may be parted anywhere.
    #[must_use]
    pub fn is_end(&self, at: usize, lines: bool) -> bool {
        !lines || at == 0 || at >= self.bytes.len() || self.bytes[at - 1] == b'\n'
    }

    /// The first end of a record at or after `at`.
    #[must_use]
    pub fn end_after(&self, at: usize, lines: bool) -> usize {
        if self.is_end(at, lines) {
            return at.min(self.bytes.len());
        }
        memchr::memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |n| at + n + 1)
    }

    /// The last end of a record after `from` and not after `at`; `from` when there is none.
    #[must_use]
    pub fn end_before(&self, from: usize, at: usize, lines: bool) -> usize {
        if self.is_end(at, lines) {
            return at.min(self.bytes.len());
        }
        memchr::memrchr(b'\n', &self.bytes[from..at]).map_or(from, |n| from + n + 1)
    }

    /// Payload and added bytes among those from `from` to `to`: what a write of that part has stored.
    #[must_use]
    pub fn account(&self, from: usize, to: usize) -> (u64, u64) {
        let (mut payload, mut added, mut at) = (0, 0, 0);
        for run in &self.runs {
            let (Run::Payload(n) | Run::Added(n)) = *run;
            let part = (at + n).min(to).saturating_sub(at.max(from)) as u64;
            match run {
                Run::Payload(_) => payload += part,
                Run::Added(_) => added += part,
            }
            at += n;
            if at >= to {
                break;
            }
        }
        (payload, added)
    }

    /// Empties it for the next round and gives back memory beyond `keep` bytes.
    pub fn recycle(&mut self, keep: usize) {
        self.bytes.clear();
        self.runs.clear();
        if self.bytes.capacity() > keep {
            self.bytes.shrink_to(keep);
        }
        self.runs.shrink_to(keep / 64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn neighbours_of_one_kind_are_one_run() {
        let mut batch = Batch::default();
        batch.payload(b"ab");
        batch.payload(b"c");
        batch.added(b"\n");
        batch.payload(b"");
        batch.added(b"\n");
        assert_eq!(batch.bytes(), b"abc\n\n");
        assert_eq!(batch.runs, [Run::Payload(3), Run::Added(2)]);
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

    proptest! {
        #[test]
        fn any_way_of_cutting_a_write_gives_the_same_account(
            runs in prop::collection::vec((any::<bool>(), 0usize..20), 0..12),
            cuts in prop::collection::vec(0usize..200, 0..8),
        ) {
            let mut batch = Batch::default();
            let (mut payload, mut added) = (0u64, 0u64);
            for (own, n) in runs {
                if own { batch.added(&vec![b'+'; n]); added += n as u64 } else { batch.payload(&vec![b'p'; n]); payload += n as u64 }
            }
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(batch.len())).collect();
            cuts.extend([0, batch.len()]);
            cuts.sort_unstable();
            let sum = cuts.windows(2).map(|w| batch.account(w[0], w[1])).fold((0, 0), |s, a| (s.0 + a.0, s.1 + a.1));
            prop_assert_eq!(sum, (payload, added));
        }
    }
}
