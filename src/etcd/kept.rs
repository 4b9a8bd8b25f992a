//! What a compaction leaves: of each key's records at or below a revision, the newest, if it is a put.
//!
//! etcd keeps the index of all revisions in memory and asks it (`server/storage/mvcc/key_index.go`, `keep` and
//! `compact`). Here, the `key` bucket is read once in the order of revisions, and a table remembers for each key that
//! exists where its newest record lies: 10 to 21 bytes a key, as its text stays in the file.

#![deny(clippy::arithmetic_side_effects)]

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;
use rayon::prelude::*;

use crate::bolt::Db;
use crate::bolt::bucket::Bucket;
use crate::bolt::walk::{Setup, Subtree, Walker, walk};

use super::key_value::KeyValue;
use super::revision::{RecordKey, Revision};

/// Tables, each with its part of the keys: threads fill them side by side.
const NUM_SHARDS: usize = 16;

/// The records that a compaction to a revision keeps, of those at or below it.
#[derive(Debug)]
pub struct Kept<'a> {
    db: &'a Db,
    revision: i64,
    newest: i64,
    /// For each key that exists at the revision, its newest record.
    shards: Vec<HashTable<Place>>,
    /// Another in every run, so that nobody can make keys that all fall into one slot.
    hasher: RandomState,
    /// The bits of a place that hold an offset in this file.
    offset_bits: u32,
    /// The newest record that marks a revision, and has no key ([`KeyValue::is_revision_mark`]).
    newest_mark: Option<Revision>,
    /// The first entry that is no record whose key can be told.
    unplaced: Option<u64>,
}

/// Where in the file a record's value begins, and in the bits that the file's size leaves, the upper ones of its key's
/// hash: most look-ups need not go to the key then, which is far away, and growing a table needs none.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place(u64);

impl Place {
    fn new(hash: u64, at: u64, offset_bits: u32) -> Self {
        let upper = u64::MAX.checked_shl(offset_bits).unwrap_or(0);
        Self((hash & upper) | (at & !upper))
    }

    /// What is there of the hash.
    fn hash(self, offset_bits: u32) -> u64 {
        self.0.checked_shr(offset_bits).unwrap_or(0)
    }

    /// The key of the record: one that was read before, so the default never comes about.
    fn key(self, db: &Db, offset_bits: u32) -> &[u8] {
        let upper = u64::MAX.checked_shl(offset_bits).unwrap_or(0);
        let value = usize::try_from(self.0 & !upper).ok().and_then(|at| db.data().get(at..));
        value.and_then(KeyValue::leading_key).unwrap_or_default()
    }
}

/// A record, on its way to the shard of its key.
#[derive(Clone, Copy, Debug)]
struct Seen {
    place: Place,
    tombstone: bool,
}

/// What one subtree holds, by shard, each in the order of revisions; and the highest revision.
#[derive(Debug, Default)]
struct Part {
    shards: [Vec<Seen>; NUM_SHARDS],
    newest: i64,
    newest_mark: Option<Revision>,
    unplaced: Option<u64>,
}

impl<'a> Kept<'a> {
    /// Reads the `key` bucket up to a revision; with `i64::MAX`, all of it.
    ///
    /// Records that can't be read are passed over; [`Kept::unplaced`] tells of them. So is one whose key is not
    /// first in its value, as everything that etcd writes does.
    pub fn at(db: &'a Db, key_bucket: &Bucket<'a>, revision: i64) -> Self {
        walk(db, Setup::default(), |walker| Self::read(db, walker, key_bucket, revision)).0
    }

    fn read(db: &'a Db, walker: &mut Walker<'a>, key_bucket: &Bucket<'a>, revision: i64) -> Self {
        let shards = std::iter::repeat_with(HashTable::new).take(NUM_SHARDS).collect();
        let offset_bits = u64::BITS.saturating_sub(db.file_size().leading_zeros());
        let hasher = RandomState::default();
        let (newest, newest_mark, unplaced) = (0, None, None);
        let mut kept = Self { db, revision, newest, shards, hasher, offset_bits, newest_mark, unplaced };
        let id = walker.adopt(*key_bucket);
        if let Some(mut walk) = walker.walk_bucket(id) {
            while let Some(parts) = walk.next_window(|subtree| kept.part(subtree)) {
                kept.absorb(&parts);
            }
        }
        kept
    }

    fn part(&self, subtree: &mut Subtree<'_, 'a>) -> Part {
        let mut part = Part::default();
        let leaves = subtree.filter_map(|node| node.leaf());
        for entry in leaves.flat_map(|leaf| leaf.entries().filter_map(Result::ok)) {
            let found = RecordKey::parse(entry.key).filter(|_| !entry.is_bucket());
            if found.is_some_and(|found| found.revision.main > self.revision) {
                continue;
            }
            let place = self.place_of(entry.value);
            if !KeyValue::is_readable(entry.value) {
                part.unplaced = part.unplaced.or(self.db.offset_in_file(entry.key));
            }
            match (found, place) {
                (Some(RecordKey { tombstone: false, revision }), _)
                    if KeyValue::is_revision_mark(entry.value) =>
                {
                    part.newest_mark = Some(revision);
                }
                (Some(RecordKey { tombstone, .. }), Some((shard, place))) => {
                    if let Some(shard) = part.shards.get_mut(shard) {
                        shard.push(Seen { place, tombstone });
                    }
                }
                _ => part.unplaced = part.unplaced.or(self.db.offset_in_file(entry.key)),
            }
            part.newest = part.newest.max(found.map_or(0, |found| found.revision.main));
        }
        part
    }

    fn absorb(&mut self, parts: &[Part]) {
        for part in parts {
            self.newest = self.newest.max(part.newest);
            self.newest_mark = part.newest_mark.or(self.newest_mark);
            self.unplaced = self.unplaced.or(part.unplaced);
        }
        let &mut Self { db, offset_bits, ref mut shards, .. } = self;
        shards.par_iter_mut().enumerate().for_each(|(number, table)| {
            for &Seen { place, tombstone } in
                parts.iter().filter_map(|part| part.shards.get(number)).flatten()
            {
                let hash = place.hash(offset_bits);
                let same_key = |other: &Place| {
                    other.hash(offset_bits) == hash
                        && other.key(db, offset_bits) == place.key(db, offset_bits)
                };
                match table.entry(spread(hash), same_key, |other| spread(other.hash(offset_bits))) {
                    Slot::Occupied(slot) if tombstone => drop(slot.remove()),
                    Slot::Occupied(mut slot) => *slot.get_mut() = place,
                    Slot::Vacant(_) if tombstone => {}
                    Slot::Vacant(slot) => drop(slot.insert(place)),
                }
            }
        });
    }

    /// The shard of a record's key, and where its value begins.
    fn place_of(&self, value: &[u8]) -> Option<(usize, Place)> {
        let hash = self.hasher.hash_one(KeyValue::leading_key(value)?);
        let place = Place::new(hash, self.db.offset_in_file(value)?, self.offset_bits);
        Some((hash as usize % NUM_SHARDS, place))
    }

    /// The newest revision (main) of a record at or below it; 0 where there is none.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// Number of keys that exist at the revision: the puts that are kept.
    pub fn num_keys(&self) -> u64 {
        let named: u64 = self.shards.iter().map(|table| table.len() as u64).sum();
        named.saturating_add(u64::from(self.newest_mark.is_some()))
    }

    pub fn revision(&self) -> i64 {
        self.revision
    }

    /// Where in the file the first entry is that is no record whose key can be told, and so would be dropped without
    /// knowing what it is.
    pub fn unplaced(&self) -> Option<u64> {
        self.unplaced
    }

    /// Whether a compaction to the revision keeps this record of the same file.
    ///
    /// All above the revision stay. So does a tombstone of the revision itself: etcd from 3.4.34, 3.5.16 and 3.6 on
    /// keeps it, so that watchers of that revision learn of the deletion; older ones drop it (`hash.go`,
    /// `WriteKeyValue`, tells the two apart).
    pub fn contains(&self, place: RecordKey, value: &[u8]) -> bool {
        match place.revision.main {
            main if main > self.revision => true,
            main if place.tombstone => main == self.revision,
            _ if KeyValue::is_revision_mark(value) => self.newest_mark == Some(place.revision),
            _ => self.place_of(value).is_some_and(|(shard, place)| {
                let hash = spread(place.hash(self.offset_bits));
                self.shards.get(shard).is_some_and(|table| table.find(hash, |kept| *kept == place).is_some())
            }),
        }
    }
}

/// A table wants a hash with entropy in its upper bits, too.
fn spread(hash: u64) -> u64 {
    hash.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
