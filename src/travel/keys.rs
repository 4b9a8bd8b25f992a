//! The keys that exist; and those that do not, of which something can still be found.

#![warn(missing_docs)]

use serde::Serialize;

use crate::bolt::Db;
use crate::etcd::HexId;
use crate::etcd::find::{FoundRecord, Origin, fold_live, for_each_lost};
use crate::etcd::schema::State;
use crate::k8s::KeyLayout;
use crate::text::ByteText;

use super::Select;
use super::index::{Index, Sorted};

/// One key, with its record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyRow {
    /// The key.
    pub key: ByteText,
    /// The revision of its record.
    pub mod_revision: i64,
    /// The record's place within that transaction, from 0 on.
    pub sub_revision: i64,
    /// The revision at which it was created.
    pub create_revision: i64,
    /// How often it was put since then.
    pub version: i64,
    /// The lease that it is attached to, in hexadecimal digits; `0` for none.
    pub lease: HexId,
    /// Size of its value.
    pub value_bytes: u64,
    /// Where the record is.
    pub origin: Origin,
}

impl From<&FoundRecord<'_>> for KeyRow {
    fn from(found: &FoundRecord<'_>) -> Self {
        Self {
            key: found.kv.key.into(),
            mod_revision: found.place.revision.main,
            sub_revision: found.place.revision.sub,
            create_revision: found.kv.create_revision,
            version: found.kv.version,
            lease: found.kv.lease.into(),
            value_bytes: found.kv.value.len() as u64,
            origin: found.origin,
        }
    }
}

/// A key that does not exist now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletedRow {
    /// The key.
    pub key: ByteText,
    /// The revision of the newest deletion that a record says; `null` where no tombstone is left.
    pub deleted_at: Option<i64>,
    /// The newest value that can be found; `null` where only the deletion is known.
    pub recoverable: Option<KeyRow>,
}

/// Keys that do not exist now.
#[derive(Debug)]
pub struct Deleted<'a> {
    /// Of each, the newest value that lies anywhere.
    puts: Index<'a>,
    /// Of each, a record: to go through them in order.
    all: Sorted<'a>,
    tombstones: Index<'a>,
    /// Faults and records that could not be read on the way.
    pub unreadable: u64,
}

/// What can be found of keys that do not exist now.
pub fn deleted<'a>(db: &'a Db, state: &State<'a>, select: Select<'_>) -> Deleted<'a> {
    let wanted = |found: &FoundRecord<'_>| select.takes(found.kv.key);
    let (mut newest, mut unreadable) = (Index::new(db), 0);
    if let Some(bucket) = &state.key_bucket {
        let add = |index: &mut Index<'a>, found: FoundRecord<'a>| index.offer(&found);
        (newest, unreadable) = fold_live(db, bucket, wanted, || Index::new(db), add);
    }
    let exists = |key: &[u8]| newest.get(key).is_some_and(|newest| !newest.place.tombstone);
    let new = || Lost { puts: Index::new(db), tombstones: Index::new(db), all: Index::new(db) };
    let mut lost = new();
    if let Some(bucket) = &state.key_bucket {
        let gone = |found: &FoundRecord<'_>| wanted(found) && !exists(found.kv.key);
        lost = fold_live(db, bucket, gone, new, |lost, found| lost.offer(&found)).0;
    }
    for_each_lost(db, |found| wanted(found) && !exists(found.kv.key), |found| lost.offer(&found));
    Deleted { puts: lost.puts, tombstones: lost.tombstones, all: lost.all.into_sorted(), unreadable }
}

struct Lost<'a> {
    puts: Index<'a>,
    tombstones: Index<'a>,
    all: Index<'a>,
}

impl Lost<'_> {
    fn offer(&mut self, found: &FoundRecord<'_>) {
        let index = if found.place.tombstone { &mut self.tombstones } else { &mut self.puts };
        index.offer(found);
        self.all.offer(found);
    }
}

impl<'a> Deleted<'a> {
    /// Number of keys.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Learns from their values where keys stand.
    pub fn learn(&self, layout: &mut KeyLayout<'a>) {
        self.puts.iter().for_each(|found| {
            layout.learn(found.kv.key, found.kv.value);
        });
    }

    /// Keeps the keys that are wanted, told by the key and the value that can be brought back.
    pub fn retain(&mut self, wanted: impl Fn(&[u8], Option<&[u8]>) -> bool) {
        let Self { puts, all, .. } = self;
        all.retain(|found| {
            let put = puts.get(found.kv.key);
            wanted(found.kv.key, put.map(|put| put.kv.value))
        });
        puts.retain(|put| wanted(put.kv.key, Some(put.kv.value)));
    }

    /// Each of them, in the order of the keys.
    pub fn iter(&self) -> impl Iterator<Item = DeletedRow> {
        self.all.iter().map(|found| {
            let deleted_at = self.tombstones.get(found.kv.key).map(|found| found.place.revision.main);
            let recoverable = self.puts.get(found.kv.key).map(|found| KeyRow::from(&found));
            DeletedRow { key: found.kv.key.into(), deleted_at, recoverable }
        })
    }

    /// The newest value of each that has one, in the order of the keys.
    pub fn into_recoverable(self) -> Sorted<'a> {
        self.puts.into_sorted()
    }
}
