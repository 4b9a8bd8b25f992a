//! What shows that a record is not of the state any more: that a compaction removed it.
//!
//! A compaction to `R` leaves of each key the newest record at or below `R`, if it is a put. So a record at or below the last
//! compaction is gone if any of these holds:
//!
//! 1. A newer record of its key stands at or below the compaction, or it is a tombstone.
//! 2. Some leaf, of whatever age, has a record before it and one behind it, and not itself: a leaf has all that there is between
//!    its first and its last record, and what is gone does not come back.
//!    The same holds between two leaves that stand side by side in a branch, each beginning with the key that the branch has for
//!    it, as bbolt writes it (`node.go`, `spill`).
//! 3. Its own leaf holds a record of which 1 or 2 is true: that leaf was written before the compaction. (What it has that was not
//!    removed stands in a later leaf, too.)
//!
//! By 2, a record shows that there was a compaction, and how far it went at least, even where the `meta` bucket is lost.

#![deny(clippy::arithmetic_side_effects)]

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::bolt::PageId;
use crate::bolt::orphan::{OrphanLeaf, Orphans};
use crate::bolt::page::{Child, Entry};
use crate::etcd::{KeyValue, RecordKey, Revision};

use super::found::{Found, Tier, sound_record};
use super::gaps::Gaps;

/// The sources, and what is known of the state.
#[derive(Debug)]
pub struct Case<'c, 'a> {
    /// Records that the active root reaches.
    pub reached: Vec<Found<'a>>,
    /// Where they have gaps.
    pub gaps: &'c Gaps<'a>,
    /// Records that the older root reaches.
    pub older: Vec<Found<'a>>,
    /// How these count: a root that no meta leads to may be of any age, so what it has is no better founded than an orphan.
    pub older_tier: Tier,
    /// Where these have gaps; `None` without an older root.
    pub older_gaps: Option<&'c Gaps<'a>>,
    /// Leaves of the `key` bucket that nothing reaches, and branches.
    pub orphans: &'c Orphans<'a>,
    /// The last compaction that was finished, as far as the file says; 0 for none.
    pub compacted: i64,
}

/// What shows that records were removed.
#[derive(Debug, Default)]
pub struct Evidence<'a> {
    /// The last compaction, as the file says, or as records show.
    pub compacted: i64,
    /// The newest record at or below the compaction of each key, wherever it was found.
    newest: HashMap<&'a [u8], (Revision, bool)>,
    /// Open ranges of revisions in which some leaf had no record, in order, each with the highest end so far.
    empty: Vec<(Revision, Revision)>,
    /// Leaves that are older than the compaction.
    old: Vec<bool>,
}

impl<'a> Evidence<'a> {
    /// Gathers it from all that was found. There is none where nothing is missing, as then nothing is judged by it.
    #[must_use]
    pub fn of(case: &Case<'_, 'a>) -> Self {
        let mut evidence = Self { compacted: case.compacted, ..Self::default() };
        if case.gaps.is_empty() {
            evidence.old.resize(case.orphans.leaves.len(), false);
            return evidence;
        }
        evidence.see_leaves(&case.orphans.leaves);
        evidence.see_branches(case.orphans);
        evidence.sort_empty_ranges();
        let leaves = &case.orphans.leaves;
        let in_leaves = leaves.iter().flat_map(|leaf| &leaf.entries);
        let in_leaves: Vec<_> = in_leaves
            .filter_map(|entry| Some(Found { place: sound_record(entry)?, entry: *entry, tier: Tier::Free }))
            .collect();
        let removed = in_leaves.iter().filter(|found| evidence.is_in_empty_range(found.place.revision));
        let removed = removed.map(|found| found.place.revision.main).max();
        evidence.compacted = evidence.compacted.max(removed.unwrap_or(0));
        for found in case.reached.iter().chain(&case.older).chain(&in_leaves) {
            evidence.see(found);
        }
        evidence.old = leaves.iter().map(|leaf| evidence.is_older_than_compaction(leaf)).collect();
        evidence
    }

    fn see(&mut self, found: &Found<'a>) {
        let (revision, tombstone) = found.order();
        if revision.main <= self.compacted
            && let Some(key) = KeyValue::leading_key(found.entry.value)
        {
            let newest = self.newest.entry(key).or_insert((revision, tombstone));
            *newest = (*newest).max((revision, tombstone));
        }
    }

    fn see_leaves(&mut self, orphans: &[OrphanLeaf<'a>]) {
        let revision = |entry: &Entry<'_>| Some(RecordKey::parse(entry.key)?.revision);
        for leaf in orphans.iter().filter(|leaf| leaf.whole && leaf.claims_to_be.is_none()) {
            let revisions: Vec<_> = leaf.entries.iter().filter_map(revision).collect();
            let pairs = revisions.windows(2).filter_map(|pair| match *pair {
                [before, behind] if before < behind => Some((before, behind)),
                _ => None,
            });
            self.empty.extend(pairs);
        }
    }

    fn see_branches(&mut self, orphans: &Orphans<'a>) {
        let sound = orphans.leaves.iter().filter(|leaf| leaf.whole && leaf.claims_to_be.is_none());
        let by_page: HashMap<PageId, &OrphanLeaf<'a>> = sound.map(|leaf| (leaf.page, leaf)).collect();
        // the leaf of a child, if it begins as the branch says
        let leaf_of = |child: &Child<'_>| {
            by_page
                .get(&child.page)
                .filter(|leaf| leaf.entries.first().is_some_and(|first| first.key == child.key))
        };
        let revision = |entry: Option<&Entry<'_>>| Some(RecordKey::parse(entry?.key)?.revision);
        for pair in orphans.branches.iter().flat_map(|branch| branch.children.windows(2)) {
            let [left, right] = pair else { continue };
            let (Some(left), Some(right)) = (leaf_of(left), leaf_of(right)) else { continue };
            if let (Some(end), Some(start)) = (revision(left.entries.last()), revision(right.entries.first()))
                && end < start
            {
                self.empty.push((end, start));
            }
        }
    }

    fn sort_empty_ranges(&mut self) {
        self.empty.sort_unstable_by_key(|&(start, end)| (start, Reverse(end)));
        let mut highest = Revision::default();
        for (_, end) in &mut self.empty {
            highest = highest.max(*end);
            *end = highest;
        }
    }

    /// Whether a newer record of the key stands at or below the compaction, or this is a tombstone below it.
    #[must_use]
    pub fn is_superseded(&self, found: &Found<'_>) -> bool {
        let newest = KeyValue::leading_key(found.entry.value).and_then(|key| self.newest.get(key));
        let (revision, tombstone) = found.order();
        (tombstone && revision.main < self.compacted)
            || newest.is_some_and(|&newest| newest > (revision, tombstone))
    }

    fn is_in_empty_range(&self, revision: Revision) -> bool {
        let behind = self.empty.partition_point(|&(start, _)| start < revision);
        let before = behind.checked_sub(1).and_then(|last| self.empty.get(last));
        before.is_some_and(|&(_, end)| revision < end)
    }

    /// Whether it was removed for sure: 1 and 2.
    #[must_use]
    pub fn is_dead(&self, found: &Found<'_>) -> bool {
        self.is_superseded(found) || self.is_in_empty_range(found.place.revision)
    }

    fn is_older_than_compaction(&self, leaf: &OrphanLeaf<'a>) -> bool {
        leaf.entries.iter().any(|entry| {
            let found = sound_record(entry).map(|place| Found { place, entry: *entry, tier: Tier::Free });
            found.is_some_and(|found| found.place.revision.main <= self.compacted && self.is_dead(&found))
        })
    }

    /// Whether a leaf, by its number, was written before the compaction: 3.
    #[must_use]
    pub fn is_old_leaf(&self, number: usize) -> bool {
        self.old.get(number).copied().unwrap_or(false)
    }
}
