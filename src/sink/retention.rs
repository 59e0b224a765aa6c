//! Which archives go: a decision about stamps and sizes, without a disk.

use jiff::Timestamp;

use crate::plan::Rotate;

/// One archive as it counts here. A plain archive and its compressed twin, as a crash may leave them, are one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// When it was put away.
    pub at: Timestamp,
    /// Bytes on the disk, twins together.
    pub bytes: u64,
}

/// How many of `archives` go: the first so many, because the oldest go first. They come in the order of writing.
///
/// All bounds that `rotate` has hold for what stays: at most `keep` archives, none put away more than `age` before
/// `now`, and at most `total` bytes together. `total` counts archives only: the file that is being written is not one.
#[must_use]
pub fn excess(archives: &[Kept], now: Timestamp, rotate: &Rotate) -> usize {
    debug_assert!(archives.is_sorted_by_key(|archive| archive.at));
    let too_many =
        rotate.keep.map_or(0, |keep| archives.len().saturating_sub(usize::try_from(keep).unwrap_or(usize::MAX)));
    let too_old = rotate.age.map_or(0, |age| {
        // A stamp in the future (the clock was set back) is young.
        archives.partition_point(|archive| {
            u128::try_from(now.duration_since(archive.at).as_nanos()).is_ok_and(|old| old > age.as_nanos())
        })
    });
    let too_large = rotate.total.map_or(0, |total| {
        let mut sum = 0u128;
        let fits = archives.iter().rev().take_while(|archive| {
            sum += u128::from(archive.bytes);
            sum <= u128::from(total)
        });
        archives.len() - fits.count()
    });
    too_many.max(too_old).max(too_large)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn kept(at: i64, bytes: u64) -> Kept {
        Kept { at: Timestamp::from_second(at).unwrap(), bytes }
    }

    fn go(archives: &[Kept], now: i64, keep: Option<u32>, age: Option<u64>, total: Option<u64>) -> usize {
        let rotate = Rotate { keep, age: age.map(Duration::from_secs), total, ..Rotate::default() };
        excess(archives, Timestamp::from_second(now).unwrap(), &rotate)
    }

    #[test]
    fn each_bound_holds_and_the_oldest_go() {
        let all = [kept(10, 5), kept(20, 50), kept(30, 5), kept(40, 5)];
        assert_eq!(go(&all, 1_000_000, None, None, None), 0, "no bound, no end");
        assert_eq!(go(&all, 50, Some(3), None, None), 1);
        assert_eq!(go(&all, 50, Some(0), None, None), 4);
        assert_eq!(go(&all, 50, None, Some(30), None), 1, "what is exactly so old stays");
        assert_eq!(go(&all, 0, None, Some(0), None), 0, "the clock was set back");
        assert_eq!(go(&all, 50, None, None, Some(65)), 0);
        assert_eq!(go(&all, 50, None, None, Some(59)), 2, "no older one stays for being small");
        assert_eq!(go(&all, 50, None, None, Some(4)), 4);
        assert_eq!(go(&all, 50, Some(2), Some(30), Some(9)), 3, "all at once");
        assert_eq!(go(&[kept(1, u64::MAX), kept(2, u64::MAX)], 3, None, None, Some(u64::MAX)), 1);
    }

    proptest! {
        /// The model: one after the other goes until no bound is broken.
        #[test]
        fn no_more_go_than_must(
            mut archives in prop::collection::vec((0i64..100, 0u64..50).prop_map(|(at, bytes)| kept(at, bytes)), 0..12),
            now in 0i64..150,
            keep in prop::option::of(0u32..12),
            age in prop::option::of(0u64..120),
            total in prop::option::of(0u64..300),
        ) {
            archives.sort_by_key(|a| a.at);
            let mut expected = 0;
            loop {
                let left = &archives[expected..];
                let broken = keep.is_some_and(|keep| left.len() > keep as usize)
                    || age.is_some_and(|age| left.iter().any(|a| now - a.at.as_second() > age.cast_signed()))
                    || total.is_some_and(|total| left.iter().map(|a| a.bytes).sum::<u64>() > total);
                if !broken {
                    break;
                }
                expected += 1;
            }
            prop_assert_eq!(go(&archives, now, keep, age, total), expected);
        }
    }
}
