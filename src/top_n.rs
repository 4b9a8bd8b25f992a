//! The largest of many, a few of which are kept: the one place for every table that is cut at some number of rows.

use std::cmp::Reverse;

/// The N largest of a list by a measure; of equals, those that come first.
pub fn largest<M: Ord + Copy, T>(
    n: usize,
    items: impl IntoIterator<Item = T>,
    measure: impl Fn(&T) -> M,
) -> Vec<T> {
    let mut top = TopN::new(n);
    for (place, item) in items.into_iter().enumerate() {
        top.add(measure(&item), || (place, item));
    }
    top.into_items().collect()
}

/// The N largest by a measure; of equals, those with the smaller tie-breaker, so that the choice does not depend on the
/// order in which they come.
#[derive(Debug)]
pub struct TopN<M, K, T> {
    n: usize,
    entries: Vec<Entry<M, K, T>>,
    /// What an entry must have to be among the first N of those seen; `None` where fewer were seen.
    least: Option<M>,
}

#[derive(Debug)]
struct Entry<M, K, T> {
    measure: M,
    tie: K,
    item: T,
}

/// Entries beyond N that are held before the smallest of them are dropped.
const SPARE: usize = 64;

impl<M: Ord + Copy, K: Ord + Copy, T> TopN<M, K, T> {
    pub fn new(n: usize) -> Self {
        Self { n, entries: Vec::new(), least: None }
    }

    /// Takes an item, if it may be among the largest; its tie-breaker and itself are asked for only then.
    #[inline]
    pub fn add(&mut self, measure: M, entry: impl FnOnce() -> (K, T)) {
        if self.n == 0 || self.least.is_some_and(|least| measure < least) {
            return;
        }
        let (tie, item) = entry();
        self.push(Entry { measure, tie, item });
    }

    /// Takes those of another.
    pub fn append(&mut self, other: Self) {
        other.entries.into_iter().for_each(|entry| self.push(entry));
    }

    /// The items, the largest first.
    pub fn into_items(mut self) -> impl Iterator<Item = T> {
        self.sort();
        self.entries.into_iter().map(|entry| entry.item)
    }

    fn push(&mut self, entry: Entry<M, K, T>) {
        self.entries.push(entry);
        if self.entries.len() >= self.n.saturating_mul(2).saturating_add(SPARE) {
            self.sort();
            self.least = self.entries.last().map(|entry| entry.measure);
        }
    }

    fn sort(&mut self) {
        self.entries.sort_unstable_by_key(|entry| (Reverse(entry.measure), entry.tie));
        self.entries.truncate(self.n);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Measures with many equals, in two orders and in two parts.
    #[test]
    fn the_choice_depends_on_no_order() {
        let all: Vec<(u64, u64)> = (0..1000).map(|number| (number * 7919 % 50, number)).collect();
        let mut sorted = all.clone();
        sorted.sort_by_key(|&(measure, tie)| (Reverse(measure), tie));
        let top_of = |items: &[(u64, u64)], n| {
            let mut top = TopN::new(n);
            items.iter().for_each(|&(measure, tie)| top.add(measure, || (tie, (measure, tie))));
            top
        };
        for n in [0, 1, 3, 64, 500, 1000, 2000, usize::MAX] {
            let expected: Vec<_> = sorted.iter().copied().take(n).collect();
            assert_eq!(top_of(&all, n).into_items().collect::<Vec<_>>(), expected, "{n}");
            let reversed: Vec<_> = all.iter().rev().copied().collect();
            assert_eq!(top_of(&reversed, n).into_items().collect::<Vec<_>>(), expected, "{n}");
            let (one, other) = all.split_at(333);
            let mut parts = top_of(one, n);
            parts.append(top_of(other, n));
            assert_eq!(parts.into_items().collect::<Vec<_>>(), expected, "{n}");
        }
    }
}
