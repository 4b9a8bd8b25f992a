//! Distinct things, numbered in the order in which they came.

use std::hash::{BuildHasher, Hash};

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Distinct things, numbered in the order in which they came.
#[derive(Debug)]
pub(super) struct Numbered<T> {
    index: HashTable<u32>,
    items: Vec<T>,
    hasher: RandomState,
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { index: HashTable::new(), items: Vec::new(), hasher: RandomState::default() }
    }
}

impl<T: Hash + Eq + Copy> Numbered<T> {
    /// All of them, in the order of their numbers.
    pub fn items(&self) -> &[T] {
        &self.items
    }

    /// The thing of a number.
    #[inline]
    pub fn at(&self, number: usize) -> Option<T> {
        self.items.get(number).copied()
    }

    /// The number of a thing that came before.
    #[inline]
    pub fn find(&self, item: &T) -> Option<u32> {
        let at = |number: &u32| self.items.get(*number as usize);
        self.index.find(self.hasher.hash_one(item), |number| at(number) == Some(item)).copied()
    }

    /// The number of a thing; the next one, if it is new.
    pub fn number_of(&mut self, item: T) -> u32 {
        let Self { index, items, hasher } = self;
        let at = |number: &u32| items.get(*number as usize);
        let hash = hasher.hash_one(item);
        if let Some(number) = index.find(hash, |number| at(number) == Some(&item)) {
            return *number;
        }
        let number = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let hash_again = |number: &u32| at(number).map_or(0, |item| hasher.hash_one(item));
        index.insert_unique(hash, number, hash_again);
        items.push(item);
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also once the table has grown, and has hashed all of them again.
    #[test]
    fn each_name_has_one_number() {
        let mut names = Numbered::default();
        for round in 0..3 {
            for name in 0..1000i64 {
                assert_eq!(names.number_of(name), u32::try_from(name).unwrap(), "round {round}");
                assert_eq!(names.find(&name), Some(u32::try_from(name).unwrap()));
            }
        }
        assert_eq!(names.items.len(), 1000);
    }
}
