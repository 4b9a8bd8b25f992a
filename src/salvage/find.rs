//! All that can be found in a damaged file, and what of it was in the state that it held.

#![warn(missing_docs)]
#![deny(clippy::arithmetic_side_effects)]

use crate::bolt::PageId;
use crate::bolt::orphan::{self, Orphans};

use super::assemble::SavedBucket;
use super::decide::{self, Material};
use super::derive::Derived;
use super::document::Unreached;
use super::open::Wreck;
use super::records::{Conflict, Found, Tier};
use super::roots::{self, Candidate};
use super::tree::Gaps;
use super::whole::is_readable;

/// How much is believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Trust {
    /// What is sure: orphans that a compaction may have removed are left out.
    Strict,
    /// What nothing speaks against.
    #[default]
    Usual,
    /// All that can be read: what was deleted comes back to life.
    BestEffort,
}

/// What was found.
#[derive(Debug)]
pub struct Finds<'a> {
    /// The buckets of the copy, the root bucket first.
    pub buckets: Vec<SavedBucket<'a>>,
    /// The records of the copy's `key` bucket; empty where there is none.
    pub records: Vec<Found<'a>>,
    /// Records that were found and left out, each revision once.
    pub left: Vec<Found<'a>>,
    /// Revisions that were found with two contents.
    pub conflicts: Vec<Conflict>,
    /// Entries of the `key` bucket that are no records, and were left out.
    pub malformed: u64,
    /// What is missing of the `key` bucket's tree.
    pub gaps: Gaps<'a>,
    /// Where the trees begin.
    pub root: Root,
    /// The last compaction that was begun, as far as can be told; `None` where the file does not say, or there was none. One that was
    /// not finished has removed records, too.
    pub compacted: Option<i64>,
    /// Whether there was none later: the `meta` bucket of a meta's own root says so. (etcd commits that a compaction begins before
    /// it removes anything, so a root that is one transaction old knows: `kvstore.go`, `updateCompactRev`.)
    pub compaction_is_known: bool,
    /// The raft log up to which this state came.
    pub consistent_index: Option<u64>,
    /// Whether the file is etcd's.
    pub is_etcd: bool,
    /// Pages that were searched for leaves.
    pub searched: bool,
    /// What was derived from the rest of the file, and what can't be.
    pub derived: Vec<Derived>,
    /// Whether authentication was on, and was turned off because the user asked for it.
    pub auth_disabled: bool,
    /// What can be read, and nothing tells which bucket it is of.
    pub unreached: Unreached,
    /// Whether the active root has no gap, and other commands would read all of it, too.
    pub readable: bool,
    /// Whether the root is of a state before the one that the file held.
    pub behind: bool,
    /// Buckets of the root that had lost their flag, and were read as buckets.
    pub restored_flags: u64,
    /// Whether the active root has no gap, and yet may not be the newest: the other meta is damaged.
    pub newer_may_be_lost: bool,
}

impl Finds<'_> {
    /// Whether a compaction may have removed a record, although nothing shows that it did. A root that was found by its content, and
    /// is not the newest, is no better founded than a leaf that no root reaches.
    #[must_use]
    pub fn is_doubtful(&self, found: &Found<'_>) -> bool {
        let may_be_gone = found.place.revision.main <= self.compacted.unwrap_or(0);
        let is_old = self.behind && self.root.from == RootSource::Searched;
        (found.tier == Tier::Orphan || is_old) && (may_be_gone || !self.compaction_is_known)
    }
}

/// Where the trees of the copy begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub struct Root {
    /// Its page; `null` where no root was found.
    pub page: Option<PageId>,
    /// Where it was found.
    pub from: RootSource,
}

/// Where a root was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RootSource {
    /// The active meta.
    ActiveMeta,
    /// The other meta.
    OlderMeta,
    /// A meta of which the checksum alone is wrong.
    UnsealedMeta,
    /// A node that holds buckets, as no meta leads to one.
    Searched,
    /// Nowhere.
    Nowhere,
}

/// Searches a file.
#[must_use]
pub fn find<'a>(wreck: &'a Wreck, trust: Trust, progress: &(dyn Fn(u64) + Sync)) -> Finds<'a> {
    let mut roots = roots::of_metas(wreck);
    let newest_meta = roots.first().map(|first| first.root);
    let whole = roots.first().is_some_and(|first| first.trunk.num_gaps() == 0);
    let newer_may_be_lost = whole && wreck.newer_meta_may_be_lost();
    let readable = whole && is_readable(wreck);
    let searched = !readable || newer_may_be_lost || trust == Trust::BestEffort;
    if !roots.iter().any(Candidate::leads_somewhere) {
        roots.extend(roots::of_unsealed_metas(wreck));
    }
    let claims: Vec<_> = roots.iter().map(|root| &root.claims).collect();
    let mut orphans = if searched { orphan::find(&wreck.db, &claims, progress) } else { Orphans::default() };
    if searched && !roots.iter().any(Candidate::leads_somewhere) {
        roots.extend(roots::searched(wreck, &orphans));
    }
    keep_roots(&mut roots);
    add_strays(&mut orphans, &mut roots);
    if let Some(first) = roots.first_mut() {
        if matches!(first.root.from, RootSource::UnsealedMeta | RootSource::Searched) {
            // what no meta leads to, but is the best there is, is the root now
            first.tier = Tier::Reachable;
        }
        roots::complete(wreck, first, &orphans);
    }
    // the state of the newest meta is lost with its root: what it had more than the next one lies behind that one's end
    let behind = newest_meta.is_some() && newest_meta != roots.first().map(|first| first.root);
    let finds = decide::decide(Material { wreck, roots, orphans, trust, searched, behind });
    Finds { readable, newer_may_be_lost, ..finds }
}

/// What stands in a leaf of a tree and does not belong there is as good as in a leaf that no tree has.
fn add_strays<'a>(orphans: &mut Orphans<'a>, roots: &mut [Candidate<'a>]) {
    let buckets = roots.iter_mut().flat_map(|root| &mut root.trunk.buckets);
    orphans.leaves.extend(buckets.flat_map(|bucket| std::mem::take(&mut bucket.tree.strays)));
    orphans.leaves.sort_by_key(|leaf| leaf.page);
}

/// What leads nowhere has no say. Where all of it does, a root that a meta with a wrong checksum names may be an empty one.
fn keep_roots(roots: &mut Vec<Candidate<'_>>) {
    if roots.iter().any(Candidate::leads_somewhere) {
        roots.retain(Candidate::leads_somewhere);
    } else {
        roots.retain(|root| root.trunk.is_empty());
        roots.truncate(1);
    }
}
