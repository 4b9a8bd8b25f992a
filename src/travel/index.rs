//! Key → its newest record: 16 bytes a key and what a table leaves empty, as the text stays in the file.

#![deny(clippy::arithmetic_side_effects)]

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Slot;

use crate::bolt::Db;
use crate::etcd::find::{FoundRecord, Origin};
use crate::etcd::key_value::KeyValue;
use crate::etcd::revision::RecordKey;

/// Bytes of a put's revision, as it is in the file; a tombstone's has one more.
const REVISION_LEN: usize = 17;

/// A record, by where it lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    at: u64,
    len: u32,
    origin: Origin,
    tombstone: bool,
}

impl Place {
    /// Where this record lies.
    pub fn of(found: &FoundRecord<'_>) -> Self {
        Self { at: found.at, len: found.len, origin: found.origin, tombstone: found.place.tombstone }
    }

    /// The record: one that was read before, so it is there.
    pub fn read<'a>(&self, db: &'a Db) -> Option<FoundRecord<'a>> {
        let bytes = db.bytes_from(self.at)?;
        let (key, rest) = bytes.split_at_checked(REVISION_LEN.saturating_add(usize::from(self.tombstone)))?;
        let message = rest.get(..usize::try_from(self.len).ok()?)?;
        let (place, kv) = (RecordKey::parse(key)?, KeyValue::parse(message).ok()?);
        Some(FoundRecord { place, kv, origin: self.origin, at: self.at, len: self.len })
    }

    fn key<'a>(&self, db: &'a Db) -> &'a [u8] {
        self.read(db).map(|found| found.kv.key).unwrap_or_default()
    }
}

/// For each key, its newest record of those that were offered.
#[derive(Debug)]
pub struct Index<'a> {
    db: &'a Db,
    table: HashTable<Place>,
    /// Another in every run, so that nobody can make keys that all fall into one slot.
    hasher: RandomState,
}

impl<'a> Index<'a> {
    /// An empty one, for records of this file.
    pub fn new(db: &'a Db) -> Self {
        Self { db, table: HashTable::new(), hasher: RandomState::default() }
    }

    /// Takes a record, unless it has a newer one of its key. Of two of one revision, the one that is better founded stays.
    pub fn offer(&mut self, found: &FoundRecord<'_>) {
        let Self { db, table, hasher } = self;
        let same_key = |other: &Place| other.key(db) == found.kv.key;
        match table.entry(hasher.hash_one(found.kv.key), same_key, |other| hasher.hash_one(other.key(db))) {
            Slot::Vacant(slot) => drop(slot.insert(Place::of(found))),
            Slot::Occupied(mut slot) => {
                let newer = slot.get().read(db).is_none_or(|present| {
                    // a tombstone of the same revision comes after the put, as in the tree
                    let rank = |found: &FoundRecord<'_>| {
                        (found.place.revision, found.place.tombstone, std::cmp::Reverse(found.origin))
                    };
                    rank(found) > rank(&present)
                });
                if newer {
                    *slot.get_mut() = Place::of(found);
                }
            }
        }
    }

    /// The record of a key.
    pub fn get(&self, key: &[u8]) -> Option<FoundRecord<'a>> {
        let place = self.table.find(self.hasher.hash_one(key), |place| place.key(self.db) == key)?;
        place.read(self.db)
    }

    /// Keeps the records that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&FoundRecord<'a>) -> bool) {
        let Self { db, table, .. } = self;
        table.retain(|place| place.read(db).is_some_and(|found| wanted(&found)));
    }

    /// Each record, in no order.
    pub fn iter(&self) -> impl Iterator<Item = FoundRecord<'a>> {
        self.table.iter().filter_map(|place| place.read(self.db))
    }

    /// Forgets keys whose newest record is a tombstone.
    pub fn drop_tombstones(&mut self) {
        self.table.retain(|place| !place.tombstone);
    }

    /// All of them, in the order of their keys.
    pub fn into_sorted(self) -> Sorted<'a> {
        let Self { db, table, .. } = self;
        let mut places: Vec<_> = table.into_iter().map(|place| (place.key(db), place)).collect();
        places.sort_unstable_by_key(|(key, _)| *key);
        Sorted { db, places }
    }
}

/// Records, one a key, in the order of the keys.
#[derive(Debug)]
pub struct Sorted<'a> {
    db: &'a Db,
    places: Vec<(&'a [u8], Place)>,
}

impl<'a> Sorted<'a> {
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Keeps the records that are wanted.
    pub fn retain(&mut self, mut wanted: impl FnMut(&FoundRecord<'a>) -> bool) {
        let db = self.db;
        self.places.retain(|(_, place)| place.read(db).is_some_and(|found| wanted(&found)));
    }

    pub fn iter(&self) -> impl Iterator<Item = FoundRecord<'a>> {
        self.places.iter().filter_map(|(_, place)| place.read(self.db))
    }

    pub fn first(&self) -> Option<FoundRecord<'a>> {
        self.iter().next()
    }
}
