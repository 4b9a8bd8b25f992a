//! All buckets below one root, as far as they can be read.

#![deny(clippy::arithmetic_side_effects)]

use std::collections::HashMap;

use crate::bolt::claims::Claims;
use crate::bolt::format::BUCKET_FLAG;
use crate::bolt::page::{Entry, Page};
use crate::bolt::walk::BucketRoot;
use crate::bolt::{Db, PageId};
use crate::etcd::Revision;
use crate::etcd::schema::{FINISHED_COMPACT, KEY_BUCKET, SCHEDULED_COMPACT};

use super::tree::{self, Gap, Gaps, Tree};

/// Buckets of one root that are read: more than any application nests.
const MAX_BUCKETS: usize = 1 << 20;

/// A bucket that was found.
#[derive(Debug)]
pub struct TrunkBucket<'a> {
    /// The number of the bucket around it; the root bucket has none.
    pub parent: Option<usize>,
    /// Its name; empty for the root bucket.
    pub name: &'a [u8],
    /// Its counter.
    pub sequence: u64,
    /// Its entries, and what is missing.
    pub tree: Tree<'a>,
}

/// Every bucket below one root: the root bucket first, each before those within it.
#[derive(Debug, Default)]
pub struct Trunk<'a> {
    /// The buckets.
    pub buckets: Vec<TrunkBucket<'a>>,
    /// Their numbers, by the bucket around them and their name.
    index: HashMap<(usize, &'a [u8]), usize>,
}

impl<'a> Trunk<'a> {
    /// Reads all buckets below a root page.
    #[must_use]
    pub fn read(db: &'a Db, root: PageId, sequence: u64, claims: &Claims) -> Self {
        let mut trunk = Self::default();
        let mut tree = tree::read(db, BucketRoot::Page(root), claims);
        restore_flags(&mut tree.entries);
        trunk.buckets.push(TrunkBucket { parent: None, name: &[], sequence, tree });
        let mut next = 0;
        while let Some(bucket) = trunk.buckets.get(next) {
            let inside: Vec<_> =
                bucket.tree.entries.iter().filter(|entry| entry.is_bucket()).copied().collect();
            for entry in inside.into_iter().take(MAX_BUCKETS.saturating_sub(trunk.buckets.len())) {
                let inline = || {
                    let offset = db.offset_in_file(entry.inline_page()).unwrap_or(0);
                    Page::new(db.page_at(offset), offset, entry.inline_page())
                };
                let root = entry.bucket_header().and_then(|header| match header.root.get() {
                    0 => inline().map(BucketRoot::Inline),
                    page => Some(BucketRoot::Page(PageId(page))),
                });
                let tree = root.map_or_else(
                    || Tree::missing(db.page_at(db.offset_in_file(entry.key).unwrap_or(0))),
                    |root| tree::read(db, root, claims),
                );
                let sequence = entry.bucket_header().map_or(0, |header| header.sequence.get());
                trunk.index.insert((next, entry.key), trunk.buckets.len());
                trunk.buckets.push(TrunkBucket { parent: Some(next), name: entry.key, sequence, tree });
            }
            next = next.saturating_add(1);
        }
        trunk
    }

    /// What is left of a root that can't be read.
    #[must_use]
    pub fn lost(root: PageId) -> Self {
        let why = "another page lies in the place of the root bucket".to_owned();
        let gaps = Gaps::new(vec![Gap { lower: &[], upper: None, page: root, leaf: false, why }]);
        let tree = Tree { entries: Vec::new(), gaps };
        Self {
            buckets: vec![TrunkBucket { parent: None, name: &[], sequence: 0, tree }],
            index: HashMap::new(),
        }
    }

    /// Whether the root bucket holds buckets and nothing else, as every one of bbolt's does (`tx.go`: only buckets are put
    /// there).
    #[must_use]
    pub fn has_buckets_only(&self) -> bool {
        self.buckets.first().is_some_and(|root| root.tree.entries.iter().all(Entry::is_bucket))
    }

    /// Entries of all buckets.
    #[must_use]
    pub fn num_entries(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.tree.entries.len()).sum()
    }

    /// The top-level bucket of this name.
    #[must_use]
    pub fn top_level(&self, name: &[u8]) -> Option<&TrunkBucket<'a>> {
        self.buckets.get(self.inside(0, name)?)
    }

    /// The number of the bucket of this name within another.
    #[must_use]
    pub fn inside(&self, bucket: usize, name: &[u8]) -> Option<usize> {
        // the borrow of a key ends with this call: it is looked up, not kept
        self.index.get(&(bucket, name)).copied()
    }

    /// Ranges that are missing, over all buckets.
    #[must_use]
    pub fn num_gaps(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.tree.gaps.all().len()).sum()
    }

    /// The value of a key of the `meta` bucket.
    fn meta(&self, key: &[u8]) -> Option<&'a [u8]> {
        let meta = self.top_level(b"meta")?;
        meta.tree.entries.iter().find(|entry| entry.key == key && !entry.is_bucket()).map(|entry| entry.value)
    }

    /// etcd's consistent index: the raft log up to which this state came.
    #[must_use]
    pub fn consistent_index(&self) -> Option<u64> {
        self.meta(b"consistent_index")?.try_into().ok().map(u64::from_be_bytes)
    }

    /// The revision of the last compaction that was begun, whether or not it was finished.
    #[must_use]
    pub fn compaction(&self) -> Option<i64> {
        let revision = |key| Some(Revision::parse(self.meta(key)?)?.main);
        revision(FINISHED_COMPACT).max(revision(SCHEDULED_COMPACT))
    }
}

/// In etcd's root bucket are buckets only: what is none among them has lost its flag, and is read as one.
fn restore_flags(entries: &mut [Entry<'_>]) {
    let buckets = entries.iter().filter(|entry| entry.is_bucket()).count();
    let is_etcd = entries.iter().any(|entry| entry.key == KEY_BUCKET);
    if is_etcd && buckets.saturating_mul(2) > entries.len() {
        entries.iter_mut().for_each(|entry| entry.flags = BUCKET_FLAG);
    }
}
