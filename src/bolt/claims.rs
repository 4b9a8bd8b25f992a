//! Who has which page: one bit a page, set by whichever thread reaches it first.

#![deny(clippy::arithmetic_side_effects)]

use std::sync::atomic::{AtomicU64, Ordering};

use super::format::PageId;

/// A set of page ids below a fixed bound, filled from several threads.
#[derive(Debug)]
pub struct Claims {
    words: Vec<AtomicU64>,
    num_pages: u64,
}

impl Claims {
    /// An empty set for pages `0..num_pages`.
    pub fn new(num_pages: u64) -> Self {
        let words = usize::try_from(num_pages.div_ceil(64)).unwrap_or(usize::MAX);
        Self { words: (0..words).map(|_| AtomicU64::new(0)).collect(), num_pages }
    }

    /// Number of pages that the set is for.
    pub fn num_pages(&self) -> u64 {
        self.num_pages
    }

    /// Whether the page is in the set; pages out of its range are not.
    pub fn contains(&self, page: PageId) -> bool {
        let (word, bit) = place(page.0);
        page.0 < self.num_pages
            && self.words.get(word).is_some_and(|word| word.load(Ordering::Relaxed) & bit != 0)
    }

    /// Adds a page; false where it was in the set already, or is out of its range.
    pub fn insert(&self, page: PageId) -> bool {
        let (word, bit) = place(page.0);
        page.0 < self.num_pages
            && self.words.get(word).is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    /// Adds all that another set for as many pages has.
    pub fn add(&self, other: &Self) {
        for (word, other) in self.words.iter().zip(&other.words) {
            word.fetch_or(other.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Adds the `len` pages from `first` on, all or none.
    ///
    /// Where two threads want overlapping runs at once, both may be refused: such a file is walked again by one
    /// thread (see [`super::walk`]).
    ///
    /// # Errors
    /// The first page of the run that is in the set already, or out of its range.
    #[inline]
    pub fn insert_run(&self, first: PageId, len: u64) -> Result<(), PageId> {
        if first.0 >= self.num_pages {
            return Err(first);
        }
        if len == 1 {
            return if self.insert(first) { Ok(()) } else { Err(first) };
        }
        let run = || (first.0..first.0.saturating_add(len)).map(PageId);
        if let Some(taken) = run().find(|&page| page.0 >= self.num_pages || self.contains(page)) {
            return Err(taken);
        }
        run().try_for_each(|page| if self.insert(page) { Ok(()) } else { Err(page) })
    }

    /// The runs of pages that are not in the set, as (first page, number of pages), in ascending order.
    pub fn gaps(&self) -> impl Iterator<Item = (PageId, u64)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let first = self.find(next, false)?;
            let end = self.find(first, true).unwrap_or(self.num_pages);
            next = end;
            Some((PageId(first), end.saturating_sub(first)))
        })
    }

    /// The first page at or above `from` that is (or is not) in the set.
    fn find(&self, from: u64, member: bool) -> Option<u64> {
        let mut page = from;
        while page < self.num_pages {
            let (index, bit) = place(page);
            let word = self.words.get(index)?.load(Ordering::Relaxed);
            let wanted = if member { word } else { !word };
            // bits below the one asked for do not count
            let wanted = wanted & bit.wrapping_neg();
            let word_start = page & !63;
            if wanted != 0 {
                let found = word_start.saturating_add(u64::from(wanted.trailing_zeros()));
                return Some(found).filter(|&found| found < self.num_pages);
            }
            page = word_start.saturating_add(64);
        }
        None
    }
}

fn place(page: u64) -> (usize, u64) {
    (usize::try_from(page / 64).unwrap_or(usize::MAX), 1 << (page % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_what_was_not_inserted() {
        let claims = Claims::new(200);
        assert_eq!(claims.gaps().collect::<Vec<_>>(), [(PageId(0), 200)]);
        claims.insert_run(PageId(0), 2).unwrap();
        claims.insert_run(PageId(60), 80).unwrap();
        assert!(claims.insert(PageId(199)));
        assert_eq!(claims.gaps().collect::<Vec<_>>(), [(PageId(2), 58), (PageId(140), 59)]);
    }

    #[test]
    fn a_run_is_taken_whole_or_not_at_all() {
        let claims = Claims::new(10);
        assert!(claims.insert(PageId(5)));
        assert_eq!(claims.insert_run(PageId(3), 4), Err(PageId(5)));
        assert!(!claims.contains(PageId(3)));
        assert_eq!(claims.insert_run(PageId(8), 3), Err(PageId(10)));
        assert_eq!(claims.insert_run(PageId(u64::MAX), 3), Err(PageId(u64::MAX)));
        assert_eq!(claims.insert_run(PageId(6), 4), Ok(()));
        assert!(!claims.insert(PageId(10)));
    }

    #[test]
    fn an_empty_set_has_no_gaps() {
        assert_eq!(Claims::new(0).gaps().count(), 0);
    }
}
