//! The sizes of the `key` bucket's entries, in their order, and which of them are live: what the plan of a copy needs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

/// The sizes of all entries, in two bytes each, and a bit each for what was superseded.
#[derive(Debug, Default)]
pub struct Outline {
    sizes: Vec<EntrySize>,
    /// Bytes of key and value of what is too large for an [`EntrySize`], by its number.
    large: BTreeMap<usize, u64>,
    superseded: Vec<AtomicU64>,
    irregular: bool,
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
    /// The key.
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
    /// Adds the next part's entries; gives back the number of the first.
    pub fn append(&mut self, part: &PartOutline) -> u32 {
        let first = self.sizes.len();
        self.irregular |= part.irregular;
        self.sizes.extend_from_slice(&part.sizes);
        self.large.extend(part.large.iter().map(|&(number, data)| (first + number, data)));
        self.superseded.resize_with(self.sizes.len().div_ceil(64), AtomicU64::default);
        u32::try_from(first).unwrap_or(u32::MAX)
    }

    /// Remembers that a newer record has come for the key of this entry.
    #[inline]
    pub fn supersede(&self, number: u32) {
        if let Some(word) = self.superseded.get(number as usize / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    /// Whether all keys have the length of a put's or a tombstone's, so that all sizes are right.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        !self.irregular
    }

    /// Number of entries.
    #[must_use]
    pub fn num_entries(&self) -> usize {
        self.sizes.len()
    }

    /// The numbers of the entries that are puts, and their keys' newest.
    pub fn live(&self) -> impl Iterator<Item = u32> + '_ {
        let numbers = (0u32..).take(self.sizes.len());
        numbers.filter(|&number| self.is_live(number as usize))
    }

    fn is_live(&self, number: usize) -> bool {
        let superseded = self.superseded.get(number / 64).map_or(0, |word| word.load(Ordering::Relaxed));
        let tombstone = self.sizes.get(number).is_some_and(|size| size.0 & TOMBSTONE != 0);
        superseded & (1 << (number % 64)) == 0 && !tombstone
    }

    /// The sizes of an entry.
    #[inline]
    #[must_use]
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_come_back_in_order_with_what_is_live() {
        let mut part = PartOutline::default();
        part.push(17, 83);
        part.push(18, 22);
        part.push(17, 69_983);
        let mut outline = Outline::default();
        assert_eq!(outline.append(&part), 0);
        assert_eq!(outline.append(&part), 3);
        outline.supersede(0);
        outline.supersede(5);
        let sizes = |numbers: Vec<u32>| -> Vec<_> {
            let found = numbers.into_iter().filter_map(|number| outline.entry_at(number as usize));
            found.map(|size| (size.key, size.data)).collect()
        };
        let once = [(17, 100), (18, 40), (17, 70_000)];
        assert_eq!(sizes((0..6).collect()), [once, once].concat());
        assert_eq!(sizes(outline.live().collect()), [(17, 70_000), (17, 100)]);
        assert_eq!(outline.entry_at(6), None);
        assert!(outline.is_exact());
        let mut part = PartOutline::default();
        part.push(3, 0);
        outline.append(&part);
        assert_eq!(outline.entry_at(6), Some(KeyAndData { key: 17, data: 17 }));
        assert!(!outline.is_exact());
    }
}
