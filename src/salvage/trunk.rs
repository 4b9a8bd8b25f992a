//! All buckets below one root, as far as they can be read.

use std::collections::HashMap;

use crate::bolt::bucket::BucketRoot;
use crate::bolt::claims::Claims;
use crate::bolt::format::BUCKET_FLAG;
use crate::bolt::page::{Entry, Page};
use crate::bolt::{Db, PageId};
use crate::etcd::Revision;
use crate::etcd::schema::{ETCD_BUCKETS, FINISHED_COMPACT, KEY_BUCKET, SCHEDULED_COMPACT};

use super::gaps::{Gap, Gaps};
use super::tree::{self, Tree};

/// Buckets of one root that are read: more than any application nests.
const MAX_BUCKETS: usize = 1 << 20;

/// A bucket that was found.
#[derive(Debug)]
pub struct TrunkBucket<'a> {
    /// The number of the bucket around it; the root bucket has none.
    pub parent: Option<usize>,
    /// Its name; empty for the root bucket.
    pub name: &'a [u8],
    pub sequence: u64,
    /// Its entries, and what is missing.
    pub tree: Tree<'a>,
}

/// Every bucket below one root: the root bucket first, each before those within it.
#[derive(Debug, Default)]
pub struct Trunk<'a> {
    pub buckets: Vec<TrunkBucket<'a>>,
    /// Buckets of the root that had lost their flag.
    pub restored: usize,
    /// Their numbers, by the bucket around them and their name.
    index: HashMap<(usize, &'a [u8]), usize>,
}

impl<'a> Trunk<'a> {
    /// Reads all buckets below a root page.
    pub fn read(db: &'a Db, root: PageId, sequence: u64, claims: &Claims) -> Self {
        let mut tree = tree::read(db, BucketRoot::Page(root), claims);
        let restored = restore_flags(&mut tree.entries);
        Self { restored, ..Self::of_tree(db, tree, sequence, claims) }
    }

    /// Reads all buckets below entries of a root.
    pub fn of_entries(db: &'a Db, entries: Vec<Entry<'a>>, claims: &Claims) -> Self {
        Self::of_tree(db, Tree { entries, ..Tree::default() }, 0, claims)
    }

    fn of_tree(db: &'a Db, tree: Tree<'a>, sequence: u64, claims: &Claims) -> Self {
        let mut trunk = Self::default();
        let inside = tree.entries.clone();
        trunk.buckets.push(TrunkBucket { parent: None, name: &[], sequence, tree });
        trunk.read_inside(db, 0, inside, claims);
        trunk
    }

    /// Adds buckets to the root that it does not have.
    pub fn graft(&mut self, db: &'a Db, entries: Vec<Entry<'a>>, claims: &Claims) {
        let Some(root) = self.buckets.first_mut() else { return };
        root.tree.entries.extend(&entries);
        root.tree.entries.sort_by(|a, b| a.key.cmp(b.key));
        self.read_inside(db, 0, entries, claims);
    }

    /// Reads the buckets among these entries of a bucket, and those within.
    fn read_inside(&mut self, db: &'a Db, bucket: usize, entries: Vec<Entry<'a>>, claims: &Claims) {
        let mut next = self.buckets.len();
        self.read_each(db, bucket, entries, claims);
        while let Some(bucket) = self.buckets.get(next) {
            let inside = bucket.tree.entries.clone();
            self.read_each(db, next, inside, claims);
            next = next.saturating_add(1);
        }
    }

    fn read_each(&mut self, db: &'a Db, parent: usize, entries: Vec<Entry<'a>>, claims: &Claims) {
        let room = MAX_BUCKETS.saturating_sub(self.buckets.len());
        for entry in entries.into_iter().filter(Entry::is_bucket).take(room) {
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
            self.index.insert((parent, entry.key), self.buckets.len());
            self.buckets.push(TrunkBucket { parent: Some(parent), name: entry.key, sequence, tree });
        }
    }

    /// A root bucket that can't be read.
    pub fn lost(root: PageId) -> Self {
        let why = "another page lies in the place of the root bucket".to_owned();
        let gaps = Gaps::new(vec![Gap { lower: &[], upper: None, page: root, leaf: false, why }]);
        let tree = Tree { gaps, ..Tree::default() };
        Self { buckets: vec![TrunkBucket { parent: None, name: &[], sequence: 0, tree }], ..Self::default() }
    }

    /// Whether the root bucket may be one: it holds a bucket, or nothing at all. bbolt puts only buckets there (`tx.go`), and accepts
    /// plain values beside them; a page with values alone is another one.
    pub fn may_be_root(&self) -> bool {
        let root = self.buckets.first().map(|root| &root.tree.entries);
        root.is_some_and(|entries| entries.is_empty() || entries.iter().any(Entry::is_bucket))
    }

    /// Whether there is a root bucket of which nothing is missing, and it is empty.
    pub fn is_empty(&self) -> bool {
        matches!(self.buckets.as_slice(), [root] if root.tree.entries.is_empty() && root.tree.gaps.is_empty())
    }

    /// Entries of all buckets, buckets among them.
    pub fn num_entries(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.tree.entries.len()).sum()
    }

    /// Plain entries of all buckets.
    pub fn num_values(&self) -> u64 {
        let entries = self.buckets.iter().flat_map(|bucket| &bucket.tree.entries);
        entries.filter(|entry| !entry.is_bucket()).count() as u64
    }

    /// The top-level bucket of this name.
    pub fn top_level(&self, name: &[u8]) -> Option<&TrunkBucket<'a>> {
        self.buckets.get(self.inside(0, name)?)
    }

    /// The number of the bucket of this name within another.
    pub fn inside(&self, bucket: usize, name: &[u8]) -> Option<usize> {
        self.index.get(&(bucket, name)).copied()
    }

    /// Ranges that are missing, over all buckets.
    pub fn num_gaps(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.tree.gaps.all().len()).sum()
    }

    /// The value of a key of the `meta` bucket.
    fn meta(&self, key: &[u8]) -> Option<&'a [u8]> {
        let meta = self.top_level(b"meta")?;
        meta.tree.entries.iter().find(|entry| entry.key == key && !entry.is_bucket()).map(|entry| entry.value)
    }

    /// etcd's consistent index: the raft log up to which this state came.
    pub fn consistent_index(&self) -> Option<u64> {
        self.meta(b"consistent_index")?.try_into().ok().map(u64::from_be_bytes)
    }

    /// The revision of the last compaction that was begun, whether or not it was finished.
    pub fn compaction(&self) -> Option<i64> {
        let revision = |key| Some(Revision::parse(self.meta(key)?)?.main);
        revision(FINISHED_COMPACT).max(revision(SCHEDULED_COMPACT))
    }
}

/// An entry of etcd's root bucket with the name of one of its buckets and without the flag of a bucket has lost the flag: it is read as
/// a bucket. Returns how many there are.
fn restore_flags(entries: &mut [Entry<'_>]) -> usize {
    let has = |name: &[u8]| entries.iter().any(|entry| entry.key == name && entry.is_bucket());
    let is_named = entries.iter().any(|entry| entry.key == KEY_BUCKET);
    let is_etcd = has(KEY_BUCKET) || (is_named && ETCD_BUCKETS.iter().any(|name| has(name)));
    if !is_etcd {
        return 0;
    }
    let lost = entries.iter_mut().filter(|entry| !entry.is_bucket() && ETCD_BUCKETS.contains(&entry.key));
    lost.map(|entry| entry.flags = BUCKET_FLAG).count()
}
