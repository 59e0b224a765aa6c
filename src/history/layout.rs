//! Where which piece of a history lies on its line of bytes.

use jiff::Timestamp;

use crate::archive::catalog::Catalog;

/// A piece that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// Its first byte.
    pub start: u64,
    /// Its bytes, uncompressed.
    pub length: u64,
    /// The archive of that stamp; `None`: what has no stamp yet.
    pub at: Option<Timestamp>,
}

impl Piece {
    /// Behind its last byte.
    pub fn end(&self) -> u64 {
        self.start + self.length
    }
}

/// Places the archives of `stamps` (in the order of writing) on the line; `length` counts one that `catalog` does not know.
/// With them comes where the file begins that has no stamp yet.
///
/// # Errors
/// Those of `length`.
pub fn layout<E>(
    catalog: &Catalog,
    stamps: &[Timestamp],
    mut length: impl FnMut(Timestamp) -> Result<u64, E>,
) -> Result<(Vec<Piece>, u64), E> {
    let old = catalog.base.map_or(0, |(base, _)| stamps.partition_point(|at| *at <= base));
    let mut pieces = Vec::with_capacity(stamps.len());
    // Archives that should have been gone when the base was made are part of it, and end where it does.
    let mut before = Vec::with_capacity(old);
    for at in &stamps[..old] {
        before.push(length(*at)?);
    }
    let sum: u64 = before.iter().sum();
    let base = catalog.base.map_or(0, |(_, bytes)| bytes).max(sum);
    let mut offset = base - sum;
    for (at, length) in stamps.iter().zip(before) {
        pieces.push(Piece { start: offset, length, at: Some(*at) });
        offset += length;
    }
    let mut known = catalog.entries.iter().peekable();
    for at in &stamps[old..] {
        while let Some((_, (bytes, _))) = known.next_if(|(earlier, _)| *earlier < at) {
            offset = offset.saturating_add(*bytes);
        }
        let length = match known.next_if(|(same, _)| *same == at) {
            Some((_, (bytes, _))) => *bytes,
            None => length(*at)?,
        };
        pieces.push(Piece { start: offset, length, at: Some(*at) });
        offset = offset.saturating_add(length);
    }
    Ok((pieces, known.fold(offset, |offset, (_, (bytes, _))| offset.saturating_add(*bytes))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::catalog::{Entry, What};
    use proptest::prelude::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_second(second.cast_signed()).unwrap()
    }

    /// The archive of second n has n bytes.
    fn of(catalog: &Catalog, there: &[u64]) -> (Vec<(u64, u64)>, u64) {
        let stamps: Vec<_> = there.iter().map(|second| at(*second)).collect();
        let length = |at: Timestamp| Ok::<_, ()>(at.as_second().cast_unsigned());
        let (pieces, end) = layout(catalog, &stamps, length).unwrap();
        (pieces.into_iter().map(|piece| (piece.start, piece.length)).collect(), end)
    }

    fn with(entries: &[u64]) -> Catalog {
        let mut catalog = Catalog::default();
        for n in entries {
            catalog.enter(&Entry { at: at(*n), bytes: *n, what: What::Archive });
        }
        catalog
    }

    #[test]
    fn without_a_catalog_the_oldest_archive_is_the_beginning() {
        assert_eq!(of(&Catalog::default(), &[]), (vec![], 0));
        assert_eq!(of(&Catalog::default(), &[3, 5]), (vec![(0, 3), (3, 5)], 8));
    }

    #[test]
    fn what_is_gone_still_counts() {
        assert_eq!(of(&with(&[1, 2, 3]), &[3]), (vec![(3, 3)], 6));
        assert_eq!(of(&with(&[1, 2, 3]), &[]), (vec![], 6));
        assert_eq!(of(&with(&[1, 2, 3]), &[1, 3]), (vec![(0, 1), (3, 3)], 6), "a hole");
        let mut truncated = with(&[1]);
        truncated.enter(&Entry { at: at(2), bytes: 100, what: What::Gone });
        assert_eq!(of(&truncated, &[1, 4]), (vec![(0, 1), (101, 4)], 105));
    }

    #[test]
    fn an_archive_that_was_folded_too_early_lies_before_the_base() {
        let mut folded = with(&[1, 2, 3, 4]);
        folded.fold(Some(at(4)));
        assert_eq!(of(&folded, &[3, 4]), (vec![(3, 3), (6, 4)], 10));
        assert_eq!(of(&folded, &[7]), (vec![(10, 7)], 17));
        let mut wrong = with(&[1]);
        wrong.fold(None);
        wrong.base = Some((at(50), 1));
        assert_eq!(of(&wrong, &[20, 60]), (vec![(0, 20), (20, 60)], 80), "never before the beginning");
    }

    proptest! {
        #[test]
        fn no_entry_that_is_missing_and_no_fold_moves_what_is_there(
            kept in prop::collection::vec(any::<bool>(), 20),
            entered in prop::collection::vec(any::<bool>(), 20),
            folded in 0u64..21,
            bounds in 0u64..20,
        ) {
            // An archive whose entry is missing is still there, and only what lies behind no archive is folded.
            let (is_entered, is_kept) = (|n: u64| entered[usize::try_from(n).unwrap() - 1], |n: u64| kept[usize::try_from(n).unwrap() - 1]);
            let there: Vec<u64> = (1..=20).filter(|n| !is_entered(*n) || (*n > bounds && is_kept(*n))).collect();
            let mut catalog = with(&(1..=20).filter(|n| is_entered(*n)).collect::<Vec<_>>());
            catalog.fold(Some(at(folded.min(there.first().copied().unwrap_or(21)))));
            let (pieces, end) = of(&catalog, &there);
            let expected: Vec<_> = there.iter().map(|n| (n * (n - 1) / 2, *n)).collect();
            prop_assert_eq!(pieces, expected);
            prop_assert_eq!(end, 210);
        }
    }
}
