//! What etcd keeps and hashes, in its own terms: an index of generations for each key, and then record by record. As slow
//! as can be, and without anything that the program under test uses.
//!
//! Read in `server/storage/mvcc`: `key_index.go` (`put`, `tombstone`, `restore`, `restoreTombstone`, `doCompact`,
//! `keep`), `kvstore.go` (`restoreIntoIndex`), `kvstore_compaction.go` (`scheduleCompaction`), `hash.go` (`kvHasher`).

use std::collections::{BTreeMap, BTreeSet};

use prost::Message;

use super::content::Content;

/// Main and sub part.
pub type Revision = (i64, i64);

/// A record as it stands in the `key` bucket: key, and value.
pub type Record<'a> = (&'a [u8], &'a [u8]);

/// The only field of a `KeyValue` that matters here.
#[derive(Clone, PartialEq, Message)]
struct JustKey {
    #[prost(bytes = "vec", tag = "1")]
    key: Vec<u8>,
}

pub fn revision_of(record: &[u8]) -> Revision {
    let number = |bytes: &[u8]| i64::from_be_bytes(bytes.try_into().expect("8 bytes"));
    assert!(matches!(record.len(), 17 | 18) && record[8] == b'_', "{record:?}");
    (number(&record[..8]), number(&record[9..17]))
}

pub fn is_tombstone(record: &[u8]) -> bool {
    record.len() == 18
}

/// Whose record it is: the empty key, for an empty value.
pub fn key_of(value: &[u8]) -> Vec<u8> {
    JustKey::decode(value).expect("a KeyValue").key
}

/// The records of a file.
pub fn records_of<'a>(contents: &[Content<'a>]) -> Vec<Record<'a>> {
    let key = contents.iter().find(|bucket| bucket.parent == Some(0) && bucket.name == b"key");
    let entries = key.expect("a bucket key").entries.iter();
    entries.map(|&(key, value)| (key, value.expect("no bucket in it"))).collect()
}

/// The revisions of a key, from each of its makings to its deletion; the last generation is empty behind a deletion.
#[derive(Debug, Default)]
struct KeyIndex {
    generations: Vec<Vec<Revision>>,
}

impl KeyIndex {
    fn put(&mut self, revision: Revision) {
        if self.generations.is_empty() {
            self.generations.push(Vec::new());
        }
        self.generations.last_mut().expect("one").push(revision);
    }

    fn tombstone(&mut self, revision: Revision) {
        if self.generations.last().is_some_and(|generation| generation.is_empty()) {
            return; // ErrRevisionNotFound, of which restore only warns
        }
        // the first that is seen of a key, where the compaction has left no more: restoreTombstone
        self.put(revision);
        self.generations.push(Vec::new());
    }

    /// The generation, and the revision in it, from which on `compact` would keep all; the latter becomes available.
    fn do_compact(&self, at: i64, available: &mut BTreeSet<Revision>) -> (usize, Option<usize>) {
        let mut number = 0;
        while number < self.generations.len() - 1 {
            let tombstone = self.generations[number].last().expect("a tombstone");
            if tombstone.0 >= at {
                break;
            }
            number += 1;
        }
        let found = self.generations[number].iter().rposition(|revision| revision.0 <= at);
        available.extend(found.map(|found| self.generations[number][found]));
        (number, found)
    }

    /// What a hash takes: the tombstone of `at` itself is not available to it.
    fn keep(&self, at: i64, available: &mut BTreeSet<Revision>) {
        let (number, found) = self.do_compact(at, available);
        let generation = &self.generations[number];
        let Some(found) = found else { return };
        if found == generation.len() - 1 && number != self.generations.len() - 1 {
            available.remove(&generation[found]);
        }
    }
}

/// The index that etcd makes of these records when it starts.
fn restore(records: &[Record<'_>]) -> BTreeMap<Vec<u8>, KeyIndex> {
    let mut index: BTreeMap<_, KeyIndex> = BTreeMap::new();
    for (record, value) in records {
        let key = index.entry(key_of(value)).or_default();
        let revision = revision_of(record);
        if is_tombstone(record) { key.tombstone(revision) } else { key.put(revision) }
    }
    index
}

/// What a compaction to `at` leaves of these records.
pub fn compacted<'a>(records: &[Record<'a>], at: i64) -> Vec<Record<'a>> {
    let mut keep = BTreeSet::new();
    restore(records).values().for_each(|key| {
        key.do_compact(at, &mut keep);
    });
    let stays = |(record, _): &&Record<'_>| {
        let revision = revision_of(record);
        revision.0 > at || keep.contains(&revision)
    };
    records.iter().filter(stays).copied().collect()
}

/// HashKV of a file whose last compaction is finished.
pub fn hash_kv(records: &[Record<'_>], compact_revision: i64, revision: i64) -> u32 {
    let mut keep = BTreeSet::new();
    restore(records).values().for_each(|key| key.keep(revision, &mut keep));
    let mut hash = crc32c::crc32c(b"key");
    for (record, value) in records {
        let at = revision_of(record);
        let gone = at.0 <= compact_revision && !keep.is_empty() && !keep.contains(&at);
        if at.0 > revision || gone || (at.0 == compact_revision && is_tombstone(record)) {
            continue;
        }
        hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, record), value);
    }
    hash
}
