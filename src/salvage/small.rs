//! etcd's small buckets, completed from leaves that no root reaches.
//!
//! As for records: an entry can have been lost only if it lies in a gap of its bucket's tree. Any other was deleted, and stays so: a
//! lease that was revoked, a user that was removed. What lies in a gap is taken unless something shows that it was gone. That can be
//! shown only for leases ([`super::leases`]), so all that is taken is doubtful, and `--strict` takes none of it.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::bolt::PageId;
use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::Entry;

use super::found::Tier;
use super::gaps::{Gap, Gaps};
use super::kinds::{Small, lease_id};
use super::leases::{Leases, Newest};
use super::request::Trust;
use super::saved_bucket::{SavedBucket, Taken};

/// Leaves of one small bucket.
#[derive(Debug)]
pub struct SmallLeaves<'a> {
    pub kind: Small,
    pub leaves: Vec<OrphanLeaf<'a>>,
}

impl<'a> SmallLeaves<'a> {
    /// Sorts leaves by their buckets. Returns also what belongs to none: whole leaves, and the other entries of sorted ones.
    pub fn sort(leaves: Vec<OrphanLeaf<'a>>) -> (Vec<Self>, Vec<OrphanLeaf<'a>>) {
        let mut sorted: BTreeMap<Small, Vec<OrphanLeaf<'a>>> = BTreeMap::new();
        let mut others = Vec::new();
        for mut leaf in leaves {
            let Some(kind) = Small::of_leaf(&leaf) else {
                others.push(leaf);
                continue;
            };
            let (of_kind, other): (Vec<_>, Vec<_>) =
                leaf.entries.into_iter().partition(|entry| kind.takes(entry));
            leaf.entries = of_kind;
            if !other.is_empty() {
                others.push(OrphanLeaf { entries: other, ..leaf });
            }
            sorted.entry(kind).or_default().push(leaf);
        }
        // older states of the root bucket have nothing but buckets
        others.retain(|leaf| leaf.entries.iter().any(|entry| !entry.is_bucket()));
        (sorted.into_iter().map(|(kind, leaves)| Self { kind, leaves }).collect(), others)
    }

    /// Its entries, each with its leaf.
    fn entries(&self) -> impl Iterator<Item = (&OrphanLeaf<'a>, Entry<'a>)> {
        self.leaves.iter().flat_map(|leaf| leaf.entries.iter().map(move |&entry| (leaf, entry)))
    }

    /// The highest revision that a `meta` leaf, of whatever age, has under a key: compactions only go forward.
    pub fn highest_revision(&self, key: &[u8]) -> Option<i64> {
        let values = self.entries().filter(|(_, entry)| entry.key == key);
        values.filter_map(|(_, entry)| Some(crate::etcd::Revision::parse(entry.value)?.main)).max()
    }
}

/// What is known of the file.
#[derive(Clone, Copy, Debug)]
pub struct Known<'k> {
    pub trust: Trust,
    /// Whether the trees are older than the last state of the file.
    pub root_is_older: bool,
    pub leases: &'k Leases,
}

pub fn complete<'a>(buckets: &mut Vec<SavedBucket<'a>>, found: &SmallLeaves<'a>, known: Known<'_>) {
    let number = buckets.iter().position(|bucket| bucket.is_of(found.kind));
    let bucket = number.and_then(|number| buckets.get(number));
    let gaps = bucket.map_or_else(|| gaps_of_missing(buckets, found.kind), |bucket| bucket.gaps.clone());
    let present = bucket.map_or(&[][..], |bucket| &bucket.entries);
    let first_gaps = bucket.map_or(&gaps, |bucket| &bucket.first_gaps);
    let judge = Judge::of(found, (&gaps, first_gaps), present, known);
    let taken = judge.taken(found, present);
    let at = match number {
        Some(number) => number,
        // a bucket of which nothing is taken is not made
        None if taken.entries.is_empty() => return,
        None => SavedBucket::add(buckets, found.kind.name(), gaps.clone()),
    };
    if let Some(bucket) = buckets.get_mut(at) {
        bucket.take_orphans(taken);
    }
}

/// Adds the buckets of etcd's that the copy lacks, each empty, with what is missing of it. etcd makes all of them at its first start,
/// 3.4 to 3.7 the same ten (`schema.AllBuckets`; before 3.6 `mvcc/buckets`), and its tools fail without `meta`: they write the
/// consistent index into it (`etcdutl/snapshot/v3_snapshot.go`, `updateCIndex`).
pub fn add_missing(buckets: &mut Vec<SavedBucket<'_>>) {
    for kind in Small::ALL {
        if !buckets.iter().any(|bucket| bucket.is_of(kind)) {
            let gaps = gaps_of_missing(buckets, kind);
            let number = SavedBucket::add(buckets, kind.name(), gaps);
            if let Some(bucket) = buckets.get_mut(number) {
                bucket.is_made = true;
            }
        }
    }
}

/// What is missing of a bucket that no root has: all of it, if its name may be among what is missing of the root bucket.
fn gaps_of_missing<'a>(buckets: &[SavedBucket<'a>], kind: Small) -> Gaps<'a> {
    let all = |page, why: &str| {
        Gaps::new(vec![Gap { lower: &[], upper: None, page, leaf: false, why: why.to_owned() }])
    };
    let Some(root) = buckets.first() else { return all(PageId(0), "no root leads to it") };
    if let Some(gap) = root.gaps.all().iter().find(|gap| gap.contains(kind.name())) {
        return all(gap.page, "its name is lost");
    }
    let is_named = root.entries.iter().any(|entry| entry.key == kind.name());
    // the records alone make a root that has no other names
    let is_made = root.tier == Tier::Orphan;
    if is_named || is_made { all(PageId(0), "no root leads to it") } else { Gaps::default() }
}

/// Decides what was lost and what was deleted.
struct Judge<'j, 'a> {
    kind: Small,
    gaps: &'j Gaps<'a>,
    /// Gaps whose leaves may be found whole elsewhere: not those of leaves that were damaged themselves.
    above_leaves: Gaps<'a>,
    /// Gaps of the best root, also where the next root fills them: leases that are later than the next root may lie there.
    first_gaps: &'j Gaps<'a>,
    /// The last lease of each member that some root has.
    newest: Newest,
    known: Known<'j>,
}

impl<'j, 'a> Judge<'j, 'a> {
    fn of(
        found: &SmallLeaves<'a>,
        (gaps, first_gaps): (&'j Gaps<'a>, &'j Gaps<'a>),
        present: &[Entry<'a>],
        known: Known<'j>,
    ) -> Self {
        let above_leaves = Gaps::new(gaps.all().iter().filter(|gap| !gap.leaf).cloned().collect());
        let newest = Newest::of(present.iter().filter_map(lease_id));
        Self { kind: found.kind, gaps, above_leaves, first_gaps, newest, known }
    }

    fn taken(&self, found: &SmallLeaves<'a>, present: &[Entry<'a>]) -> Taken<'a> {
        let mut by_key: BTreeMap<&'a [u8], Vec<Candidate<'a>>> = BTreeMap::new();
        let old = found.leaves.iter().filter(|leaf| self.is_old(leaf, present)).map(|leaf| leaf.page);
        let old: Vec<PageId> = old.collect();
        for (leaf, entry) in found.entries() {
            if present.binary_search_by_key(&entry.key, |present| present.key).is_err() {
                let is_old = old.binary_search(&leaf.page).is_ok();
                by_key.entry(entry.key).or_default().push(self.candidate(leaf, entry, is_old));
            }
        }
        let mut taken = Taken::default();
        for mut candidates in by_key.into_values() {
            candidates.retain(|candidate| candidate.belongs);
            let Some(best) = candidates.iter().min_by_key(|candidate| candidate.rank) else {
                taken.left_out = taken.left_out.saturating_add(1);
                continue;
            };
            let differs = candidates.iter().any(|other| other.entry.value != best.entry.value);
            taken.conflicts = taken.conflicts.saturating_add(u64::from(differs));
            taken.entries.push(best.entry);
        }
        taken
    }

    /// Whether a leaf has leases that were gone: those among them that the tree would have.
    fn is_old(&self, leaf: &OrphanLeaf<'a>, present: &[Entry<'a>]) -> bool {
        let is_present = |key: &[u8]| present.binary_search_by_key(&key, |present| present.key).is_ok();
        let is_deleted =
            |key: &[u8]| !self.known.root_is_older && !self.first_gaps.contain(key) && !is_present(key);
        self.kind == Small::Lease
            && (self.known.leases.is_old(leaf) || leaf.entries.iter().any(|entry| is_deleted(entry.key)))
    }

    fn candidate(&self, leaf: &OrphanLeaf<'a>, entry: Entry<'a>, is_old: bool) -> Candidate<'a> {
        let lost = || self.gaps.around(entry.key);
        let is_copy = leaf.claims_to_be.is_some_and(|page| lost().any(|gap| gap.page == page));
        let belongs = match self.known.trust {
            Trust::Strict => false,
            Trust::BestEffort => true,
            Trust::Usual => self.belongs(&entry, is_copy, is_old),
        };
        // a transaction writes its pages side by side
        let distance = lost().map(|gap| gap.page.0.abs_diff(leaf.page.0)).min().unwrap_or(u64::MAX);
        let version = Reverse(self.kind.version_of(leaf));
        let rank = (Reverse(is_copy), is_old, version, !leaf.whole, distance, leaf.page);
        Candidate { entry, belongs, rank }
    }

    fn belongs(&self, entry: &Entry<'a>, is_copy: bool, is_old: bool) -> bool {
        let in_gap = self.gaps.contain(entry.key);
        let Some(lease) = lease_id(entry).filter(|_| self.kind == Small::Lease) else { return in_gap };
        // an older root covers its id and does not have it: it was granted since, or gone before
        let may_be_later = self.known.root_is_older || (self.first_gaps.contain(entry.key) && !in_gap);
        if self.known.leases.is_needed(lease) {
            return in_gap || may_be_later;
        }
        let may_stand_elsewhere = in_gap && (is_copy || self.above_leaves.contain(entry.key));
        let is_later = may_be_later && self.newest.is_before(lease);
        (may_stand_elsewhere || is_later) && !is_old && !self.known.leases.is_gone(lease)
    }
}

/// What decides between two values of a key, the best first.
type Rank = (Reverse<bool>, bool, Reverse<u64>, bool, u64, PageId);

/// An entry, found in some leaf.
struct Candidate<'a> {
    entry: Entry<'a>,
    belongs: bool,
    rank: Rank,
}
