//! HashKV: the hash by which etcd's members compare their data, whatever their pages look like.
//!
//! It is the CRC-32C of the bucket's name, `key`, and of the keys and values of the records that a compaction to the
//! compact revision leaves, up to a revision (`server/storage/mvcc/hash.go`, `unsafeHashByRev` and `kvHasher`;
//! `kvstore.go`, `hashByRev`):
//!
//! | record | |
//! |---|---|
//! | above the revision | left out |
//! | a tombstone of the compact revision itself | left out, as older versions of etcd drop it |
//! | above the compact revision | taken |
//! | at or below the compact revision | taken, if it is its key's newest up to the *revision* |
//!
//! The last line: of a key that was compacted and written to since, the hash at a later revision has the new record
//! only, although the old one is still there and is in the hash at the compact revision.

#![deny(clippy::arithmetic_side_effects)]

use std::ops::Range;

use crate::bolt::Db;
use crate::bolt::bucket::Bucket;
use crate::bolt::entries::{End, outermost_entry};
use crate::bolt::page::{Entry, Leaf};
use crate::bolt::walk::{Setup, Subtree, Walker, walk};

use super::crc::Crc;
use super::kept::Kept;
use super::revision::RecordKey;
use super::schema::{KEY_BUCKET, State};

/// HashKV of a `key` bucket, at a revision from the compact revision on. With 1 million records of 2 KB, it takes a
/// third of a second on two cores.
///
/// Records that can't be read are passed over: of a damaged file, the hash says nothing.
pub fn hash_kv(db: &Db, key_bucket: &Bucket<'_>, compact_revision: i64, revision: i64) -> u32 {
    hash_kv_without(db, key_bucket, compact_revision, revision, &|_| false)
}

/// HashKV as it will be when the bucket has lost the records of some values.
pub fn hash_kv_without(
    db: &Db,
    key_bucket: &Bucket<'_>,
    compact_revision: i64,
    revision: i64,
    is_lost: &(dyn Fn(&[u8]) -> bool + Sync),
) -> u32 {
    let rule = Rule::new(db, key_bucket, compact_revision, revision, None);
    let takes = |place, value: &[u8]| rule.takes(place, value) && !is_lost(value);
    walk(db, Setup::default(), |walker| hash_of(walker, key_bucket, &takes)).0
}

/// HashKV of a file, at its current revision and as `etcdutl hashkv` gives it; `None` where it is not etcd's.
pub fn hash_kv_of(db: &Db, state: &State<'_>) -> Option<u32> {
    let key_bucket = state.key_bucket.as_ref()?;
    // all records are at or below i64::MAX, and so at or below the current revision
    Some(hash_kv(db, key_bucket, state.compact_revision(), i64::MAX))
}

/// Which records go into a hash.
type Takes<'t> = dyn Fn(RecordKey, &[u8]) -> bool + Sync + 't;

fn hash_of<'a>(walker: &mut Walker<'a>, key_bucket: &Bucket<'a>, takes: &Takes<'_>) -> u32 {
    let id = walker.adopt(*key_bucket);
    let mut hash = Crc::of(KEY_BUCKET);
    if let Some(mut walk) = walker.walk_bucket(id) {
        let part = |subtree: &mut Subtree<'_, 'a>| {
            let mut crc = Crc::default();
            let leaves = subtree.filter_map(|node| node.leaf());
            leaves.for_each(|leaf| add_records(&mut crc, &leaf, takes));
            crc
        };
        while let Some(parts) = walk.next_window(part) {
            parts.into_iter().for_each(|part| hash.append(part));
        }
    }
    hash.value()
}

fn add_records(crc: &mut Crc, leaf: &Leaf<'_>, takes: &Takes<'_>) {
    let mut run = HashRun::new(leaf);
    for entry in leaf.entries().filter_map(Result::ok).filter(|entry| !entry.is_bucket()) {
        if RecordKey::parse(entry.key).is_some_and(|place| takes(place, entry.value)) {
            run.add(crc, &entry);
        }
    }
    run.finish(crc);
}

/// Which records HashKV takes.
#[derive(Debug)]
pub struct Rule<'k> {
    compact_revision: i64,
    revision: i64,
    kept: Option<KeptBy<'k>>,
}

#[derive(Debug)]
enum KeptBy<'k> {
    Lent(&'k Kept<'k>),
    Own(Kept<'k>),
}

impl<'k> Rule<'k> {
    /// The rule for a file and a revision. Where what is kept at the revision is known already, it need not be read
    /// again.
    pub fn new(
        db: &'k Db,
        key_bucket: &Bucket<'k>,
        compact_revision: i64,
        revision: i64,
        known: Option<&'k Kept<'k>>,
    ) -> Self {
        let first = outermost_entry(db, key_bucket, End::First).and_then(|entry| RecordKey::parse(entry.key));
        let compacted = first.is_none_or(|first| first.revision.main <= compact_revision);
        let kept_at = |revision| KeptBy::Own(Kept::at(db, key_bucket, revision));
        let kept = compacted.then(|| known.map_or_else(|| kept_at(revision), KeptBy::Lent)).map(|kept| {
            // Where no key exists at the revision, etcd leaves none out by the last line. So of a finished compaction
            // it takes what that left; of one that was cut short, so does an etcd that has started and finished it.
            // (`etcdutl hashkv` begins to finish it, and does not wait: it still takes what will go.)
            if kept.get().num_keys() == 0 { kept_at(compact_revision) } else { kept }
        });
        Self { compact_revision, revision, kept }
    }

    /// Whether the hash takes this record.
    #[inline]
    pub fn takes(&self, place: RecordKey, value: &[u8]) -> bool {
        match place.revision.main {
            main if main > self.revision => false,
            main if main > self.compact_revision => true,
            main if main == self.compact_revision && place.tombstone => false,
            _ => self.kept.as_ref().is_none_or(|kept| kept.get().contains(place, value)),
        }
    }
}

impl<'k> KeptBy<'k> {
    fn get(&self) -> &Kept<'k> {
        match self {
            Self::Lent(kept) => kept,
            Self::Own(kept) => kept,
        }
    }
}

/// Entries of a leaf that lie one after the other, as bbolt writes them: one piece for the checksum.
#[derive(Debug)]
pub struct HashRun<'a> {
    page: &'a [u8],
    run: Range<usize>,
}

impl<'a> HashRun<'a> {
    pub fn new(leaf: &Leaf<'a>) -> Self {
        Self { page: leaf.page().bytes(), run: 0..0 }
    }

    /// Adds an entry's key and value.
    #[inline]
    pub fn add(&mut self, crc: &mut Crc, entry: &Entry<'_>) {
        self.add_bytes(crc, entry.start, entry.key.len().saturating_add(entry.value.len()));
    }

    /// Adds an entry's key only.
    pub fn add_key(&mut self, crc: &mut Crc, entry: &Entry<'_>) {
        self.add_bytes(crc, entry.start, entry.key.len());
    }

    #[inline]
    fn add_bytes(&mut self, crc: &mut Crc, start: usize, len: usize) {
        if start != self.run.end {
            self.finish(crc);
            self.run.start = start;
        }
        self.run.end = start.saturating_add(len);
    }

    /// Brings what was added into the checksum.
    #[inline]
    pub fn finish(&mut self, crc: &mut Crc) {
        crc.update(self.page.get(self.run.clone()).unwrap_or_default());
        self.run.start = self.run.end;
    }
}
