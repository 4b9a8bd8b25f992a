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
//! | at or below it, below a branch that is lost | unless something shows that it was removed |
//! | at or below it, in a leaf that is lost | no: what is found are older versions of that leaf |
//!
//! [`super::evidence`] has what shows that.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use crate::bolt::orphan::{OrphanLeaf, Orphans};
use crate::bolt::page::Entry;
use crate::etcd::history::check_alone;
use crate::etcd::{KeyValue, RecordKey, Revision};

use super::evidence::Evidence;
use super::tree::Gaps;

/// Where a record was found. The first ones are believed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    #[must_use]
    pub fn order(&self) -> (Revision, bool) {
        (self.place.revision, self.place.tombstone)
    }
}

/// A revision that was found with two contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
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
    /// The last compaction, as the file says, or as records show that it removed.
    pub compacted: i64,
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

/// Records of a tree, and the positions of those of its entries that are none, or hollow: part of them is gone.
#[must_use]
pub fn of_tree<'a>(
    entries: &[Entry<'a>],
    tier: Tier,
    is_hollow: &dyn Fn(&Entry<'_>) -> bool,
) -> (Vec<Found<'a>>, Vec<usize>) {
    let (mut records, mut others) = (Vec::with_capacity(entries.len()), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match sound_record(entry).filter(|_| !is_hollow(entry)) {
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
    records > leaf.entries.len() / 2
}

/// Whether such a leaf shows that the file is etcd's: one of its values is a record, too.
#[must_use]
pub fn shows_records(leaf: &OrphanLeaf<'_>) -> bool {
    let is_record = |entry: &Entry<'_>| !entry.value.is_empty() && sound_record(entry).is_some();
    is_of_records(leaf) && leaf.entries.iter().any(is_record)
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
    /// How these count: a root that no meta leads to may be of any age, so what it has is no better founded than an orphan.
    pub older_tier: Tier,
    /// Where these have gaps; `None` without an older root.
    pub older_gaps: Option<&'c Gaps<'a>>,
    /// Leaves of the `key` bucket that nothing reaches, and branches.
    pub orphans: &'c Orphans<'a>,
    /// The last compaction that was finished, as far as the file says; 0 for none.
    pub compacted: i64,
}

/// Tells the records of the state from the others.
#[must_use]
pub fn judge<'a>(case: Case<'_, 'a>) -> Judged<'a> {
    let evidence = Evidence::of(&case);
    let compacted = evidence.compacted;
    let Case { reached, gaps, older, older_tier, older_gaps, orphans, .. } = case;
    let mut all = reached;
    let is_above = |found: &Found<'_>| found.place.revision.main > compacted;
    for mut found in older {
        let belongs = gaps.contain(found.entry.key) && (is_above(&found) || !evidence.is_superseded(&found));
        found.tier = if belongs { older_tier } else { Tier::Free };
        all.push(found);
    }
    // the records of a lost leaf lay in that leaf: others with them are older versions of it, unless they are copies of it
    let above_leaves = Gaps::new(gaps.all().iter().filter(|gap| !gap.leaf).cloned().collect());
    let lost_leaves: BTreeSet<_> = gaps.all().iter().filter(|gap| gap.leaf).map(|gap| gap.page).collect();
    for (number, leaf) in orphans.leaves.iter().enumerate() {
        let is_copy = leaf.claims_to_be.is_some_and(|page| lost_leaves.contains(&page));
        let may_be_current = |key: &[u8]| {
            (is_copy || above_leaves.contain(key)) && older_gaps.is_none_or(|gaps| gaps.contain(key))
        };
        for entry in &leaf.entries {
            let Some(place) = sound_record(entry) else { continue };
            let mut found = Found { place, entry: *entry, tier: Tier::Free };
            let is_lost = gaps.contain(entry.key)
                && (is_above(&found)
                    || (may_be_current(entry.key)
                        && !evidence.is_dead(&found)
                        && !evidence.is_old_leaf(number)));
            if is_lost {
                found.tier = Tier::Orphan;
            }
            all.push(found);
        }
    }
    Judged { compacted, ..merge(all) }
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
