//! The bloom filter in an existence filter, as the API's documentation defines it.

use md5::{Digest as _, Md5};
use scrimmage_protos::google::firestore::v1 as pb;

/// Ten bits an entry and seven hashes: of names that are not in the filter, fewer than 1 in 100
/// seem to be.
const BITS_PER_ENTRY: usize = 10;
const HASHES: u64 = 7;

/// A filter that has exactly these entries.
pub fn filter(entries: impl ExactSizeIterator<Item = String>) -> pb::BloomFilter {
    let size = entries.len() * BITS_PER_ENTRY;
    let mut bitmap = vec![0_u8; size.div_ceil(8)];
    for entry in entries {
        for bit in bits(&entry, size as u64) {
            if let Some(byte) = bitmap.get_mut((bit / 8) as usize) {
                *byte |= 1 << (bit % 8);
            }
        }
    }
    let padding = i32::try_from(bitmap.len() * 8 - size).unwrap_or(0);
    let bits = Some(pb::BitSequence { bitmap: bitmap.into(), padding });
    pb::BloomFilter { bits, hash_count: HASHES as i32 }
}

/// The bits that stand for an entry, in a filter of `size` bits, which is not zero.
fn bits(entry: &str, size: u64) -> impl Iterator<Item = u64> {
    let hash = Md5::digest(entry.as_bytes());
    let half = |from: usize| {
        let bytes = hash.get(from..from + 8).and_then(|bytes| bytes.try_into().ok()).unwrap_or_default();
        u64::from_le_bytes(bytes)
    };
    let (first, second) = (half(0), half(8));
    (0..HASHES).map(move |number| first.wrapping_add(number.wrapping_mul(second)) % size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(filter: &pb::BloomFilter, entry: &str) -> bool {
        let sequence = filter.bits.as_ref().unwrap();
        let size = sequence.bitmap.len() as u64 * 8 - sequence.padding as u64;
        size > 0 && bits(entry, size).all(|bit| sequence.bitmap[(bit / 8) as usize] & (1 << (bit % 8)) != 0)
    }

    #[test]
    fn has_its_entries_and_hardly_any_other() {
        let name = |number: usize| format!("projects/p/databases/d/documents/c/{number}");
        for count in [0, 1, 3, 1_000] {
            let filter = filter((0..count).map(name));
            assert!((0..8).contains(&filter.bits.as_ref().unwrap().padding));
            assert!((0..count).all(|number| has(&filter, &name(number))));
            let wrong = (count..count + 1_000).filter(|number| has(&filter, &name(*number))).count();
            assert!(wrong < 30 || count == 1, "{wrong} of 1000 with {count} entries");
        }
    }
}
