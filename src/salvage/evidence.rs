//! What shows that a compaction removed a record.
//!
//! A compaction to `R` keeps of each key the newest record at or below `R`, if it is a put. So a record at or below the last
//! compaction is gone if one of these is true:
//!
//! 1. There is a newer record of its key at or below the compaction, or it is a tombstone.
//! 2. A leaf of any age has a record before it and one after it, but not the record itself: a leaf has every record between its
//!    first and its last one, and a removed record does not come back.
//!    The same is true between two leaves that are neighbours in a branch, if each begins with the key that the branch has for it,
//!    as bbolt writes it (`node.go`, `spill`).
//! 3. Its own leaf has a record of which 1 or 2 is true: that leaf was written before the compaction. (Its records that were not
//!    removed are in a later leaf, too.)
//!
//! By 2, a record shows that there was a compaction, and how far it went at least, even where the `meta` bucket is lost.

use std::collections::HashMap;

use crate::bolt::PageId;
use crate::bolt::orphan::{OrphanLeaf, Orphans};
use crate::bolt::page::{Child, Entry};
use crate::etcd::{KeyValue, RecordKey, Revision};

use super::found::{Found, Tier, sound_record};
use super::gaps::Gaps;
use crate::ranges::Ranges;

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
    /// Open ranges of revisions in which some leaf had no record.
    empty: Ranges<Revision>,
    /// Leaves that are older than the compaction.
    old: Vec<bool>,
}

impl<'a> Evidence<'a> {
    /// Gathers it from all that was found. There is none where nothing is missing, as then nothing is judged by it.
    pub fn of(case: &Case<'_, 'a>) -> Self {
        let mut evidence = Self { compacted: case.compacted, ..Self::default() };
        if case.gaps.is_empty() {
            evidence.old.resize(case.orphans.leaves.len(), false);
            return evidence;
        }
        let empty = empty_in_leaves(&case.orphans.leaves).chain(empty_between_leaves(case.orphans)).collect();
        evidence.empty = Ranges::of(empty);
        let leaves = &case.orphans.leaves;
        let in_leaves = leaves.iter().flat_map(|leaf| &leaf.entries);
        let in_leaves: Vec<_> = in_leaves
            .filter_map(|entry| Some(Found { place: sound_record(entry)?, entry: *entry, tier: Tier::Free }))
            .collect();
        let removed = in_leaves.iter().filter(|found| evidence.empty.enclose(found.place.revision));
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

    /// Whether there is a newer record of the key at or below the compaction, or this is a tombstone below it.
    pub fn is_superseded(&self, found: &Found<'_>) -> bool {
        let newest = KeyValue::leading_key(found.entry.value).and_then(|key| self.newest.get(key));
        let (revision, tombstone) = found.order();
        (tombstone && revision.main < self.compacted)
            || newest.is_some_and(|&newest| newest > (revision, tombstone))
    }

    /// Whether it was removed for sure: 1 and 2.
    pub fn is_dead(&self, found: &Found<'_>) -> bool {
        self.is_superseded(found) || self.empty.enclose(found.place.revision)
    }

    fn is_older_than_compaction(&self, leaf: &OrphanLeaf<'a>) -> bool {
        leaf.entries.iter().any(|entry| {
            let found = sound_record(entry).map(|place| Found { place, entry: *entry, tier: Tier::Free });
            found.is_some_and(|found| found.place.revision.main <= self.compacted && self.is_dead(&found))
        })
    }

    /// Whether a leaf, by its number, was written before the compaction: 3.
    pub fn is_old_leaf(&self, number: usize) -> bool {
        self.old.get(number).copied().unwrap_or(false)
    }
}

fn is_sound(leaf: &&OrphanLeaf<'_>) -> bool {
    leaf.whole && leaf.claims_to_be.is_none()
}

fn revision_of(entry: &Entry<'_>) -> Option<Revision> {
    Some(RecordKey::parse(entry.key)?.revision)
}

/// Open ranges between two records of one leaf.
fn empty_in_leaves(leaves: &[OrphanLeaf<'_>]) -> impl Iterator<Item = (Revision, Revision)> {
    leaves.iter().filter(is_sound).flat_map(|leaf| {
        let revisions: Vec<_> = leaf.entries.iter().filter_map(revision_of).collect();
        let pair = |pair: &[Revision]| match *pair {
            [before, after] if before < after => Some((before, after)),
            _ => None,
        };
        revisions.windows(2).filter_map(pair).collect::<Vec<_>>()
    })
}

/// Open ranges between two leaves that are neighbours in a branch.
fn empty_between_leaves(orphans: &Orphans<'_>) -> impl Iterator<Item = (Revision, Revision)> {
    let sound = orphans.leaves.iter().filter(is_sound);
    let by_page: HashMap<PageId, &OrphanLeaf<'_>> = sound.map(|leaf| (leaf.page, leaf)).collect();
    let pairs = orphans.branches.iter().flat_map(|branch| branch.children.windows(2));
    pairs.filter_map(move |pair| {
        let [before, after] = pair else { return None };
        // the leaf of a child, if it begins with the key that the branch has for it
        let leaf_of = |child: &Child<'_>| {
            let leaf = by_page.get(&child.page);
            leaf.filter(|leaf| leaf.entries.first().is_some_and(|first| first.key == child.key))
        };
        let (before, after) = (leaf_of(before)?, leaf_of(after)?);
        let range = (revision_of(before.entries.last()?)?, revision_of(after.entries.first()?)?);
        (range.0 < range.1).then_some(range)
    })
}
