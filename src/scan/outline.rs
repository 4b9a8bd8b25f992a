//! The sizes of the `key` bucket's entries, in their order, and which of them each of some compactions would drop: what the
//! plan of a copy needs, in two bytes an entry and a bit for each compaction.
//!
//! A compaction to `R` drops a put if a newer record of its key is at or below `R`, and a tombstone if it is below
//! `R`: [`crate::etcd::kept`] has the rule. So for each record there is one revision from which on it is dropped, and one
//! pass is enough for any number of compactions.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sizes of all entries, and which of them are dropped.
#[derive(Debug, Default)]
pub struct Outline {
    sizes: Vec<EntrySize>,
    /// Bytes of key and value of what is too large for an [`EntrySize`], by its number.
    large: BTreeMap<usize, u64>,
    compactions: Vec<Compaction>,
    irregular: bool,
}

/// A compaction, and a bit for each entry that it drops.
#[derive(Debug)]
struct Compaction {
    revision: i64,
    dropped: Vec<AtomicU64>,
}

/// Bytes of an entry's key and value, where they are below 32 KiB, and whether its key is a tombstone's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntrySize(u16);

const TOMBSTONE: u16 = 1 << 15;
const LARGE: u16 = TOMBSTONE - 1;

/// The sizes of a part's entries.
#[derive(Debug, Default)]
pub struct PartOutline {
    sizes: Vec<EntrySize>,
    large: Vec<(usize, u64)>,
    irregular: bool,
}

/// Bytes of a put's key in the bucket; a tombstone's has one more.
const PUT_KEY: usize = 17;

/// Key and value of an entry, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeyAndData {
    pub key: u64,
    /// Key and value together.
    pub data: u64,
}

impl PartOutline {
    /// Adds the next entry.
    #[inline]
    pub fn push(&mut self, key: usize, value: usize) {
        let (tombstone, data) = (key > PUT_KEY, key + value);
        self.irregular |= !(PUT_KEY..=PUT_KEY + 1).contains(&key);
        let size = u16::try_from(data).ok().filter(|&size| size < LARGE);
        if size.is_none() {
            self.large.push((self.sizes.len(), data as u64));
        }
        self.sizes.push(EntrySize(size.unwrap_or(LARGE) | if tombstone { TOMBSTONE } else { 0 }));
    }
}

impl Outline {
    /// Nothing yet, for compactions to these revisions, which ascend.
    pub fn new(revisions: &[i64]) -> Self {
        let compaction = |&revision| Compaction { revision, dropped: Vec::new() };
        Self { compactions: revisions.iter().map(compaction).collect(), ..Self::default() }
    }

    /// Adds the next part's entries; gives back the number of the first.
    pub fn append(&mut self, part: &PartOutline) -> u32 {
        let first = self.sizes.len();
        self.irregular |= part.irregular;
        self.sizes.extend_from_slice(&part.sizes);
        self.large.extend(part.large.iter().map(|&(number, data)| (first + number, data)));
        let words = self.sizes.len().div_ceil(64);
        self.compactions.iter_mut().for_each(|one| one.dropped.resize_with(words, AtomicU64::default));
        u32::try_from(first).unwrap_or(u32::MAX)
    }

    /// Remembers that compactions to this revision, and to later ones, drop an entry; gives back which compactions.
    #[inline]
    pub fn drop_from(&self, number: u32, revision: i64) -> Range<usize> {
        let first = self.compactions.partition_point(|compaction| compaction.revision < revision);
        for compaction in self.compactions.get(first..).unwrap_or_default() {
            if let Some(word) = compaction.dropped.get(number as usize / 64) {
                word.fetch_or(1 << (number % 64), Ordering::Relaxed);
            }
        }
        first..self.compactions.len()
    }

    /// Which compactions drop an entry.
    pub fn dropped_by(&self, number: u32) -> Range<usize> {
        // a later compaction drops what an earlier one does
        let first = self.compactions.partition_point(|compaction| !compaction.drops(number));
        first..self.compactions.len()
    }

    /// The revisions of the compactions.
    pub fn compactions(&self) -> Vec<i64> {
        self.compactions.iter().map(|compaction| compaction.revision).collect()
    }

    /// Whether all keys have the length of a put's or a tombstone's, so that all sizes are right.
    pub fn is_exact(&self) -> bool {
        !self.irregular
    }

    pub fn num_entries(&self) -> usize {
        self.sizes.len()
    }

    /// The numbers of the entries that the compaction of this number keeps.
    pub fn kept(&self, compaction: usize) -> impl Iterator<Item = u32> + '_ {
        let compaction = self.compactions.get(compaction);
        let numbers = (0u32..).take(self.sizes.len());
        numbers.filter(move |&number| !compaction.is_some_and(|compaction| compaction.drops(number)))
    }

    /// The sizes of an entry.
    #[inline]
    pub fn entry_at(&self, number: usize) -> Option<KeyAndData> {
        let size = self.sizes.get(number)?.0;
        let key = PUT_KEY as u64 + u64::from(size & TOMBSTONE != 0);
        let data = match size & !TOMBSTONE {
            LARGE => *self.large.get(&number)?,
            data => u64::from(data),
        };
        Some(KeyAndData { key, data: data.max(key) })
    }
}

impl Compaction {
    fn drops(&self, number: u32) -> bool {
        let word = self.dropped.get(number as usize / 64).map_or(0, |word| word.load(Ordering::Relaxed));
        word & (1 << (number % 64)) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_back_in_order_with_what_is_kept() {
        let mut part = PartOutline::default();
        part.push(17, 83);
        part.push(18, 22);
        part.push(17, 69_983);
        let mut outline = Outline::new(&[10, 20, 30]);
        assert_eq!(outline.append(&part), 0);
        assert_eq!(outline.append(&part), 3);
        for (entry, revision, by) in
            [(0, 7, 0..3), (1, 11, 1..3), (4, 30, 2..3), (5, 10, 0..3), (2, 31, 3..3)]
        {
            assert_eq!(outline.drop_from(entry, revision), by);
            assert_eq!(outline.dropped_by(entry), by);
        }
        let sizes = |numbers: Vec<u32>| -> Vec<_> {
            let found = numbers.into_iter().filter_map(|number| outline.entry_at(number as usize));
            found.map(|size| (size.key, size.data)).collect()
        };
        let once = [(17, 100), (18, 40), (17, 70_000)];
        assert_eq!(sizes((0..6).collect()), [once, once].concat());
        let kept = [0, 1, 2, 3].map(|compaction| outline.kept(compaction).collect::<Vec<_>>());
        assert_eq!(kept, [vec![1, 2, 3, 4], vec![2, 3, 4], vec![2, 3], vec![0, 1, 2, 3, 4, 5]]);
        assert_eq!(sizes(outline.kept(2).collect()), [(17, 70_000), (17, 100)]);
        assert_eq!(outline.entry_at(6), None);
        assert!(outline.is_exact());
        let mut part = PartOutline::default();
        part.push(3, 0);
        outline.append(&part);
        assert_eq!(outline.entry_at(6), Some(KeyAndData { key: 17, data: 17 }));
        assert!(!outline.is_exact());
    }
}
