//! Pages of zeros: where a disk has lost some of a file's pages, others may be in the middle of a value, whose length and end still
//! fit.

use rayon::prelude::*;

use crate::bolt::page::Entry;
use crate::bolt::{Db, PageId};

use super::trunk::Trunk;

/// More zeros in a row than a value ends with.
const ENOUGH: u64 = 64;

/// The pages of a file that are nothing but zeros. None, unless some page of zeros lies where a tree or a meta should be: by
/// itself, a value may well be of zeros.
#[derive(Debug, Default)]
pub struct Zeroed {
    pages: Vec<u64>,
}

impl Zeroed {
    pub fn of<'a>(db: &Db, trunks: impl IntoIterator<Item = &'a Trunk<'a>>) -> Self {
        let is_zeroed =
            |page: u64| db.first_bytes(PageId(page)).is_some_and(|bytes| bytes.iter().all(|&byte| byte == 0));
        let gaps =
            trunks.into_iter().flat_map(|trunk| &trunk.buckets).flat_map(|bucket| bucket.tree.gaps.all());
        let reason = is_zeroed(0) || is_zeroed(1) || gaps.into_iter().any(|gap| is_zeroed(gap.page.0));
        if !reason {
            return Self::default();
        }
        let pages = (0..db.num_pages()).into_par_iter().filter(|&page| is_zeroed(page)).collect();
        Self { pages }
    }

    /// Whether part of an entry lies on one of them.
    pub fn hit(&self, db: &Db, entry: &Entry<'_>) -> bool {
        if self.pages.is_empty() {
            return false;
        }
        let Some(start) = db.offset_in_file(entry.key) else { return false };
        let end = start.saturating_add(entry.key.len() as u64).saturating_add(entry.value.len() as u64);
        let first = db.page_at(start).0;
        let at = self.pages.partition_point(|&page| page < first);
        let starts = self.pages.get(at..).unwrap_or_default().iter().map(|&page| db.offset_of(PageId(page)));
        starts.take_while(|&page| page < end).any(|page| {
            // a value may end with zeros, and the rest of its page is slack
            let zeros_end = page.saturating_add(db.page_size()).min(end);
            zeros_end.saturating_sub(page.max(start)) >= ENOUGH
        })
    }
}
