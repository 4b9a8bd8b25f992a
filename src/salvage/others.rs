//! Buckets of other programs, completed from leaves that no root reaches.
//!
//! Such a leaf does not name its bucket. Where only one bucket has a gap, a leaf whose keys all lie in that gap may belong to it, or
//! to another bucket with such keys, or be an old version of either. So this is for `--best-effort` only.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::Entry;
use crate::bolt::{Db, PageId};

use super::gaps::Gaps;
use super::request::Trust;
use super::saved_bucket::{SavedBucket, Taken};
use super::unreached::LooseTree;

/// If exactly one bucket has a gap, completes it from leaves of trees that lie in the gap, or counts what would. Returns the rest of
/// the trees.
pub fn complete<'a>(
    db: &Db,
    buckets: &mut [SavedBucket<'a>],
    leaves: &[OrphanLeaf<'a>],
    mut trees: Vec<LooseTree<'a>>,
    trust: Trust,
) -> Vec<LooseTree<'a>> {
    let mut with_gap = buckets.iter_mut().filter(|bucket| !bucket.gaps.is_empty());
    let (Some(bucket), None) = (with_gap.next(), with_gap.next()) else { return trees };
    // leaves of the root bucket are found as roots
    if bucket.parent.is_none() {
        return trees;
    }
    let place = |entry: &Entry<'_>| db.offset_in_file(entry.key);
    let in_gap = |entry: &Entry<'_>| !entry.is_bucket() && bucket.gaps.contain(entry.key);
    let mut places = Vec::new();
    for part in trees.iter_mut().flat_map(|tree| &mut tree.trunk.buckets) {
        // a bucket in such a tree is another one, unless it is an older state of this one
        let may_be = part.parent.is_none() || part.name == bucket.name;
        if may_be && part.tree.entries.iter().all(in_gap) {
            places.extend(std::mem::take(&mut part.tree.entries).iter().filter_map(place));
        }
    }
    trees.retain(|tree| tree.trunk.num_values() > 0);
    places.sort_unstable();
    let is_fitting =
        |entry: &Entry<'_>| place(entry).is_some_and(|place| places.binary_search(&place).is_ok());
    let leaves = leaves.iter().map(|leaf| OrphanLeaf {
        entries: leaf.entries.iter().filter(|entry| is_fitting(entry)).copied().collect(),
        ..*leaf
    });
    let taken = taken(&bucket.gaps, &bucket.entries, &leaves.collect::<Vec<_>>());
    match trust {
        Trust::BestEffort => bucket.take_orphans(taken),
        Trust::Usual | Trust::Strict => bucket.left_out = taken.entries.len() as u64,
    }
    trees
}

fn taken<'a>(gaps: &Gaps<'a>, present: &[Entry<'a>], leaves: &[OrphanLeaf<'a>]) -> Taken<'a> {
    let mut by_key: BTreeMap<&'a [u8], Best<'a>> = BTreeMap::new();
    for leaf in leaves {
        for entry in &leaf.entries {
            // a key of the tree is no part of a gap, but an entry beside a damaged one may lie in it
            if present.binary_search_by_key(&entry.key, |present| present.key).is_ok() {
                continue;
            }
            let rank = rank(gaps, leaf, entry);
            let best = by_key.entry(entry.key).or_insert(Best { rank, entry: *entry, differs: false });
            best.differs |= best.entry.value != entry.value;
            if rank < best.rank {
                (best.rank, best.entry) = (rank, *entry);
            }
        }
    }
    Taken {
        conflicts: by_key.values().filter(|best| best.differs).count() as u64,
        entries: by_key.into_values().map(|best| best.entry).collect(),
        left_out: 0,
    }
}

/// The best value of a key.
struct Best<'a> {
    rank: Rank,
    entry: Entry<'a>,
    /// Whether another value was found.
    differs: bool,
}

/// What decides between two values of a key, the best first: a copy of the lost page, a whole leaf, one beside the lost page.
type Rank = (Reverse<bool>, bool, u64, PageId);

fn rank(gaps: &Gaps<'_>, leaf: &OrphanLeaf<'_>, entry: &Entry<'_>) -> Rank {
    let is_copy = leaf.claims_to_be.is_some_and(|page| gaps.around(entry.key).any(|gap| gap.page == page));
    let distance = gaps.around(entry.key).map(|gap| gap.page.0.abs_diff(leaf.page.0)).min();
    (Reverse(is_copy), !leaf.whole, distance.unwrap_or(u64::MAX), leaf.page)
}
