//! What was found, and what of it was in the state that the file held.

use crate::owner::Owner;

use super::derive::Derived;
use super::found::{Conflict, Found, Tier};
use super::gaps::Gaps;
use super::log_use::LogUse;
use super::roots::{Root, RootSource};
use super::saved_bucket::SavedBucket;
use super::unreached::Unreached;

#[derive(Debug)]
pub struct Finds<'a> {
    /// The buckets of the copy, the root bucket first.
    pub buckets: Vec<SavedBucket<'a>>,
    /// The records of the copy's `key` bucket; empty where there is none.
    pub records: Vec<Found<'a>>,
    /// Records that were found and left out, each revision once.
    pub left_out: Vec<Found<'a>>,
    /// Revisions that were found with two contents.
    pub conflicts: Vec<Conflict>,
    /// Entries of the `key` bucket that are no records, and were left out.
    pub malformed: u64,
    /// What is missing of the `key` bucket's tree.
    pub gaps: Gaps<'a>,
    /// Where the trees begin.
    pub root: Root,
    /// The last compaction that was begun, as far as is known; `None` where the file does not say, or there was none. A compaction
    /// that was not finished has removed records, too.
    pub compacted: Option<i64>,
    /// Whether no later one can have begun: the `meta` bucket below a meta's own root says so. (etcd commits that a compaction begins
    /// before it removes anything, so a root that is one transaction old has it: `kvstore.go`, `updateCompactRev`.)
    pub compaction_is_known: bool,
    /// The raft log up to which this state came.
    pub consistent_index: Option<u64>,
    /// Whether the file is etcd's.
    pub is_etcd: bool,
    /// Pages that were searched for leaves.
    pub searched: bool,
    /// What was derived from the rest of the file, and what can't be derived.
    pub derived: Vec<Derived>,
    /// Whether authentication was on, and was turned off because the user asked for it.
    pub auth_disabled: bool,
    /// Trees of which nothing shows the bucket.
    pub unreached: Unreached,
    /// What the log of the member gave, where one was asked.
    pub log: Option<LogUse>,
    /// Whether the active root has no gap, and other commands would read all of it.
    pub readable: bool,
    /// Whether the root is older than the last state of the file.
    pub root_is_older: bool,
    /// Buckets of the root that had lost their flag, and were read as buckets.
    pub restored_flags: u64,
    /// Whether the active root has no gap, and yet may not be the newest: the other meta is damaged.
    pub newer_may_be_lost: bool,
}

impl Finds<'_> {
    /// Whether a compaction may have removed a record, although nothing shows that it did. A root that was found by its content, and
    /// is not the newest, is no better founded than a leaf that no root reaches.
    pub fn is_doubtful(&self, found: &Found<'_>) -> bool {
        let may_be_gone = found.place.revision.main <= self.compacted.unwrap_or(0);
        let is_old = self.root_is_older && self.root.from == RootSource::Searched;
        (found.tier == Tier::Orphan || is_old) && (may_be_gone || !self.compaction_is_known)
    }

    /// Whether something was found that only a state after this one may have.
    pub fn has_newer(&self) -> bool {
        let last = self.records.last().map(Found::order);
        let is_newer = |found: &Found<'_>| Some(found.order()) > last;
        let of_others = || self.unreached.entries > 0 && !self.is_etcd;
        of_others() || self.left_out.iter().any(is_newer)
    }

    /// Whether the active root led to all that it should.
    pub fn is_sound(&self) -> bool {
        self.root.from == RootSource::ActiveMeta
            && self.buckets.iter().all(|bucket| bucket.first_gaps.is_empty())
    }

    /// The program that the file belongs to.
    pub fn owner(&self) -> Owner {
        if self.is_etcd { Owner::Etcd } else { Owner::Other }
    }
}
