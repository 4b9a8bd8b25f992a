//! Which of the records that were found belong to the state that the file held.
//!
//! A revision is given out once, and its record never changes. So where a record lies decides nothing about what is in it, only
//! about whether it was still there:
//!
//! | record | it belongs to the state |
//! |---|---|
//! | reached from the active root | yes |
//! | found elsewhere, at a revision that no gap of the tree covers | no: the tree would have it |
//! | in a gap, above the last compaction that was finished | yes: only a compaction removes records |
//! | in a gap, at or below it | unless something shows that it was removed |
//!
//! What shows that: a newer record of its key at or below that revision; a leaf, of whatever age, with records before and behind
//! it and not itself; that its own leaf is older than the compaction, as it holds a record that the compaction removed.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::bolt::page::Entry;
use crate::etcd::history::check_alone;
use crate::etcd::{KeyValue, RecordKey, Revision};

use super::orphan::OrphanLeaf;
use super::tree::Gaps;

/// Where a record was found. The first ones are believed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// From the active root.
    Reachable,
    /// From the other meta's root, where the first has a gap.
    OlderRoot,
    /// In a leaf that no root reaches, where the roots have a gap.
    Orphan,
    /// In a leaf that no root reaches, and not in the state that the file held: deleted, superseded, or never committed.
    Free,
}

/// One record.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its revision, and whether it is a tombstone.
    pub place: RecordKey,
    /// Its key and value in the bucket.
    pub entry: Entry<'a>,
    /// Where it was found.
    pub tier: Tier,
}

impl Found<'_> {
    /// What it is sorted by; a put and a tombstone of one revision can't be, but may be found.
    fn order(&self) -> (Revision, bool) {
        (self.place.revision, self.place.tombstone)
    }
}

/// A revision that was found with two contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    /// The revision.
    pub revision: Revision,
    /// Where the record that was taken comes from.
    pub taken: Tier,
    /// Where the other was found.
    pub other: Tier,
}

/// What was made of the records.
#[derive(Debug, Default)]
pub struct Judged<'a> {
    /// Those of the state, in the order of revisions.
    pub saved: Vec<Found<'a>>,
    /// Those that are not of the state, each revision once, in order.
    pub dead: Vec<Found<'a>>,
    /// Revisions with two contents.
    pub conflicts: Vec<Conflict>,
}

/// The record that an entry of the `key` bucket is, if it is a sound one: a revision, and a value that can be read and says the
/// same revision.
#[must_use]
pub fn sound_record(entry: &Entry<'_>) -> Option<RecordKey> {
    let place = RecordKey::parse(entry.key).filter(|_| !entry.is_bucket())?;
    if !place.tombstone && KeyValue::is_revision_mark(entry.value) {
        return Some(place);
    }
    let kv = KeyValue::parse(entry.value).ok().filter(|kv| !kv.key.is_empty())?;
    check_alone(place, &kv).is_none().then_some(place)
}

/// Records of a tree, and the positions of those of its entries that are none.
#[must_use]
pub fn of_tree<'a>(entries: &[Entry<'a>], tier: Tier) -> (Vec<Found<'a>>, Vec<usize>) {
    let (mut records, mut others) = (Vec::with_capacity(entries.len()), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match sound_record(entry) {
            Some(place) => records.push(Found { place, entry: *entry, tier }),
            None => others.push(index),
        }
    }
    (records, others)
}

/// Whether a leaf is one of the `key` bucket: most of its keys are revisions.
#[must_use]
pub fn is_of_records(leaf: &OrphanLeaf<'_>) -> bool {
    let records = leaf.entries.iter().filter(|entry| RecordKey::parse(entry.key).is_some()).count();
    records * 2 > leaf.entries.len()
}

/// The sources, and what is known of the state.
#[derive(Debug)]
pub struct Case<'c, 'a> {
    /// Records that the active root reaches.
    pub reached: Vec<Found<'a>>,
    /// Where they have gaps.
    pub gaps: &'c Gaps<'a>,
    /// Records that the older root reaches.
    pub older: Vec<Found<'a>>,
    /// Where these have gaps; `None` without an older root.
    pub older_gaps: Option<&'c Gaps<'a>>,
    /// Leaves of the `key` bucket that nothing reaches.
    pub orphans: &'c [OrphanLeaf<'a>],
    /// The last compaction that was finished; 0 for none.
    pub compacted: i64,
}

/// Tells the records of the state from the others.
#[must_use]
pub fn judge<'a>(case: Case<'_, 'a>) -> Judged<'a> {
    let evidence = Evidence::of(&case);
    let Case { reached, gaps, older, older_gaps, orphans, compacted } = case;
    let mut all = reached;
    let is_above = |found: &Found<'_>| found.place.revision.main > compacted;
    for mut found in older {
        let belongs = gaps.contain(found.entry.key) && (is_above(&found) || !evidence.is_superseded(&found));
        found.tier = if belongs { Tier::OlderRoot } else { Tier::Free };
        all.push(found);
    }
    for (number, leaf) in orphans.iter().enumerate() {
        for entry in &leaf.entries {
            let Some(place) = sound_record(entry) else { continue };
            let mut found = Found { place, entry: *entry, tier: Tier::Free };
            let is_lost = gaps.contain(entry.key)
                && (is_above(&found)
                    || (older_gaps.is_none_or(|gaps| gaps.contain(entry.key))
                        && !evidence.is_dead(&found)
                        && !evidence.is_old_leaf(number)));
            if is_lost {
                found.tier = Tier::Orphan;
            }
            all.push(found);
        }
    }
    merge(all)
}

/// Each revision once, the best source first.
fn merge(mut all: Vec<Found<'_>>) -> Judged<'_> {
    all.sort_by_key(|found| (found.order(), found.tier));
    let mut judged = Judged::default();
    for same in all.chunk_by(|a, b| a.order() == b.order()) {
        let Some((best, others)) = same.split_first() else { continue };
        let (revision, taken) = (best.place.revision, best.tier);
        if taken == Tier::Free {
            judged.dead.push(*best);
            continue;
        }
        let differs = |other: &&Found<'_>| other.entry.value != best.entry.value;
        judged.conflicts.extend(others.iter().find(differs).map(|other| Conflict {
            revision,
            taken,
            other: other.tier,
        }));
        judged.saved.push(*best);
    }
    judged
}

/// What shows that a record was removed by a compaction.
struct Evidence<'a> {
    compacted: i64,
    /// The newest record at or below the compaction of each key, wherever it was found.
    newest: HashMap<&'a [u8], (Revision, bool)>,
    /// Open ranges of revisions in which some leaf had no record, in order, each with the highest end so far.
    empty: Vec<(Revision, Revision)>,
    /// Leaves that are older than the compaction.
    old: Vec<bool>,
}

impl<'a> Evidence<'a> {
    fn of(case: &Case<'_, 'a>) -> Self {
        let compacted = case.compacted;
        let mut evidence = Self { compacted, newest: HashMap::new(), empty: Vec::new(), old: Vec::new() };
        // nothing is judged by it where nothing was ever compacted, or nothing is missing
        if compacted <= 0 || case.gaps.is_empty() {
            evidence.old.resize(case.orphans.len(), false);
            return evidence;
        }
        let in_trees = case.reached.iter().chain(&case.older).copied();
        let in_leaves = case.orphans.iter().flat_map(|leaf| &leaf.entries);
        let in_leaves = in_leaves
            .filter_map(|entry| Some(Found { place: sound_record(entry)?, entry: *entry, tier: Tier::Free }));
        in_trees.chain(in_leaves).for_each(|found| evidence.see(&found));
        evidence.see_empty_ranges(case);
        evidence.old = case.orphans.iter().map(|leaf| evidence.is_older_than_compaction(leaf)).collect();
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

    /// Between two records of one leaf there was nothing when it was written; and what is gone does not come back.
    fn see_empty_ranges(&mut self, case: &Case<'_, 'a>) {
        let pairs = |entries: &[Entry<'a>]| {
            let revisions: Vec<_> = entries.iter().filter_map(|entry| RecordKey::parse(entry.key)).collect();
            let pair = |pair: &[RecordKey]| match pair {
                [a, b] if a.revision < b.revision => Some((a.revision, b.revision)),
                _ => None,
            };
            revisions.windows(2).filter_map(pair).collect::<Vec<_>>()
        };
        let whole = case.orphans.iter().filter(|leaf| leaf.whole && leaf.claims_to_be.is_none());
        self.empty = whole.flat_map(|leaf| pairs(&leaf.entries)).collect();
        self.empty.sort_unstable_by_key(|&(start, end)| (start, Reverse(end)));
        let mut highest = Revision::default();
        for (_, end) in &mut self.empty {
            highest = highest.max(*end);
            *end = highest;
        }
    }

    fn is_superseded(&self, found: &Found<'_>) -> bool {
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

    fn is_dead(&self, found: &Found<'_>) -> bool {
        self.is_superseded(found) || self.is_in_empty_range(found.place.revision)
    }

    /// A leaf that holds a record which the compaction removed was written before it.
    fn is_older_than_compaction(&self, leaf: &OrphanLeaf<'a>) -> bool {
        leaf.entries.iter().any(|entry| {
            let found = sound_record(entry).map(|place| Found { place, entry: *entry, tier: Tier::Free });
            found.is_some_and(|found| found.place.revision.main <= self.compacted && self.is_dead(&found))
        })
    }

    fn is_old_leaf(&self, number: usize) -> bool {
        self.old.get(number).copied().unwrap_or(false)
    }
}
