//! Records in a spool: `LENGTH CRC RECORD`, both numbers of four bytes, the low one first. The sum is that of length and record.

use crc32fast::Hasher;

/// Bytes before a record.
pub const HEAD: usize = 8;
/// Bytes of a record; a longer one is damage.
pub const LONGEST: usize = super::lines::LONGEST;

/// Appends a record to `out`.
pub fn encode(record: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(record.len()).expect("lines are bounded").to_le_bytes();
    out.extend_from_slice(&length);
    out.extend_from_slice(&sum(length, record).to_le_bytes());
    out.extend_from_slice(record);
}

fn sum(length: [u8; 4], record: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&length);
    hasher.update(record);
    hasher.finalize()
}

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look<'a> {
    /// A record, and the bytes that it takes in all.
    Record(&'a [u8], usize),
    /// The beginning of one, or nothing.
    More,
    /// No record.
    Damaged,
}

/// Looks at the first record of `bytes`.
#[must_use]
pub fn look(bytes: &[u8]) -> Look<'_> {
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Look::More };
    let (length, sum_there) = head.split_at(4);
    let length: [u8; 4] = length.try_into().expect("half of the head");
    let n = u32::from_le_bytes(length) as usize;
    if n > LONGEST {
        return Look::Damaged;
    }
    match rest.get(..n) {
        None => Look::More,
        Some(record) if sum(length, record).to_le_bytes() == sum_there => Look::Record(record, HEAD + n),
        Some(_) => Look::Damaged,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(mut bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut all = Vec::new();
        while let Look::Record(record, n) = look(bytes) {
            all.push(record.to_vec());
            bytes = &bytes[n..];
        }
        all
    }

    proptest! {
        #[test]
        fn a_file_cut_at_any_byte_holds_a_prefix_of_the_records(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..20), cut in 0usize..1000,
        ) {
            let (mut bytes, mut ends) = (Vec::new(), Vec::new());
            for record in &records {
                encode(record, &mut bytes);
                ends.push(bytes.len());
            }
            let cut = cut.min(bytes.len());
            let whole = ends.iter().filter(|end| **end <= cut).count();
            prop_assert_eq!(&decode(&bytes[..cut])[..], &records[..whole]);
        }

        #[test]
        fn a_byte_that_changed_is_noticed(
            records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..10), at in any::<prop::sample::Index>(),
            flip in 1u8..,
        ) {
            let mut bytes = Vec::new();
            for record in &records {
                encode(record, &mut bytes);
            }
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            let found = decode(&bytes);
            prop_assert!(found.len() < records.len() && found[..] == records[..found.len()]);
        }
    }
}
