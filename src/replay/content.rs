//! What the new db will hold, as a source for the writer: entries where they are in the old db, changes that the log made, and
//! entries that were made anew.

use crate::bolt::format::ELEMENT_SIZE;
use crate::bolt::write::source::{BucketSpec, EntrySource, NewEntry, Sizes, ValueSize};
use crate::etcd::apply::{Change, NewValue};
use crate::etcd::revision::Revision;
use crate::etcd::{KeyValue, RecordKey};

use super::base::Held;

/// A record of the new db.
#[derive(Clone, Copy, Debug)]
pub enum NewRecord<'a> {
    Held(Held<'a>),
    Changed(Change<'a>),
}

/// An entry of a small bucket.
#[derive(Clone, Debug)]
pub enum SmallEntry<'a> {
    Held(Held<'a>),
    Made { key: Vec<u8>, value: Vec<u8> },
}

/// A small bucket, in order.
#[derive(Clone, Debug)]
pub struct SmallBucket<'a> {
    pub name: Vec<u8>,
    pub sequence: u64,
    pub entries: Vec<SmallEntry<'a>>,
}

/// All of it.
#[derive(Debug)]
pub struct Content<'a> {
    specs: Vec<BucketSpec>,
    /// Names of the buckets, which are the entries of the root bucket.
    names: Vec<Vec<u8>>,
    records: Vec<NewRecord<'a>>,
    /// The first entry that is a record, and the first after them.
    records_at: (u64, u64),
    small: Vec<SmallEntry<'a>>,
}

impl<'a> NewRecord<'a> {
    pub fn place(&self) -> Option<RecordKey> {
        match self {
            Self::Held(held) => RecordKey::parse(held.key),
            Self::Changed(change) => Some(change.place()),
        }
    }

    /// The key that it is of; empty for a mark.
    pub fn key(&self) -> &'a [u8] {
        match self {
            Self::Held(held) => KeyValue::key_of(held.value),
            Self::Changed(change) => change.key,
        }
    }

    /// Bytes of its key and value.
    fn lengths(&self) -> (usize, u64) {
        match self {
            Self::Held(held) => (held.key.len(), held.value.len() as u64),
            Self::Changed(change) => (record_key_len(change), value(change).encoded_len() as u64),
        }
    }

    /// Bytes that belong to it alone: its element, key and value.
    pub fn own_bytes(&self) -> u64 {
        let (key, value) = self.lengths();
        (ELEMENT_SIZE as u64).saturating_add(key as u64).saturating_add(value)
    }
}

impl SmallEntry<'_> {
    pub fn key(&self) -> &[u8] {
        match self {
            Self::Held(held) => held.key,
            Self::Made { key, .. } => key,
        }
    }
}

impl<'a> Content<'a> {
    /// Of the records, in the order of revisions, and the small buckets, in that of their names.
    pub fn new(records: Vec<NewRecord<'a>>, records_sequence: u64, small: Vec<SmallBucket<'a>>) -> Self {
        let key_bucket = (b"key".to_vec(), None);
        let mut buckets: Vec<(Vec<u8>, Option<SmallBucket<'a>>)> =
            small.into_iter().map(|bucket| (bucket.name.clone(), Some(bucket))).chain([key_bucket]).collect();
        buckets.sort_by(|(a, _), (b, _)| a.cmp(b));
        let num_buckets = buckets.len() as u64;
        let mut content = Self {
            specs: vec![BucketSpec { sequence: 0, entries: 0..num_buckets }],
            names: Vec::new(),
            records,
            records_at: (0, 0),
            small: Vec::new(),
        };
        let mut next = num_buckets;
        for (name, bucket) in buckets {
            let (sequence, len) = match bucket {
                Some(bucket) => {
                    let len = bucket.entries.len() as u64;
                    content.small.extend(bucket.entries);
                    (bucket.sequence, len)
                }
                None => {
                    let len = content.records.len() as u64;
                    content.records_at = (next, next.saturating_add(len));
                    (records_sequence, len)
                }
            };
            let end = next.saturating_add(len);
            content.specs.push(BucketSpec { sequence, entries: next..end });
            content.names.push(name);
            next = end;
        }
        content
    }

    fn at(&self, entry: u64) -> Option<Slot<'_, 'a>> {
        let num_buckets = self.names.len() as u64;
        let (first, end) = self.records_at;
        let at = |index: u64| usize::try_from(index).ok();
        if entry < num_buckets {
            return Some(Slot::Bucket(self.names.get(at(entry)?)?, at(entry)?.saturating_add(1)));
        }
        if (first..end).contains(&entry) {
            return Some(Slot::Record(self.records.get(at(entry.saturating_sub(first))?)?));
        }
        let records_before = if entry >= end { end.saturating_sub(first) } else { 0 };
        let small = entry.saturating_sub(num_buckets).saturating_sub(records_before);
        Some(Slot::Small(self.small.get(at(small)?)?))
    }

    pub fn num_records(&self) -> u64 {
        self.records.len() as u64
    }
}

enum Slot<'c, 'a> {
    Bucket(&'c [u8], usize),
    Record(&'c NewRecord<'a>),
    Small(&'c SmallEntry<'a>),
}

impl EntrySource for Content<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        &self.specs
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let (key, value) = match self.at(entry) {
            Some(Slot::Bucket(name, number)) => (name.len(), ValueSize::Bucket(number)),
            Some(Slot::Record(record)) => {
                let (key, value) = record.lengths();
                (key, ValueSize::Bytes(value))
            }
            Some(Slot::Small(SmallEntry::Held(held))) => {
                (held.key.len(), ValueSize::Bytes(held.value.len() as u64))
            }
            Some(Slot::Small(SmallEntry::Made { key, value })) => {
                (key.len(), ValueSize::Bytes(value.len() as u64))
            }
            None => (0, ValueSize::Bytes(0)),
        };
        Sizes { key, value }
    }

    fn entry<'s>(&'s self, entry: u64, scratch: &'s mut Vec<u8>) -> Option<NewEntry<'s>> {
        Some(match self.at(entry)? {
            Slot::Bucket(key, _) => NewEntry { key, value: &[] },
            Slot::Record(NewRecord::Held(held)) | Slot::Small(SmallEntry::Held(held)) => {
                NewEntry { key: held.key, value: held.value }
            }
            Slot::Small(SmallEntry::Made { key, value }) => NewEntry { key, value },
            Slot::Record(NewRecord::Changed(change)) => {
                let split = encode(change, scratch);
                let (key, value) = scratch.split_at_checked(split)?;
                NewEntry { key, value }
            }
        })
    }
}

/// Writes a record into a buffer, which is cleared: its key, then its value. Gives where the value begins.
pub fn encode(change: &Change<'_>, buffer: &mut Vec<u8>) -> usize {
    buffer.clear();
    buffer.extend_from_slice(&change.revision.to_bytes());
    if change.put.is_none() {
        buffer.push(b't');
    }
    let split = buffer.len();
    value(change).encode(buffer);
    split
}

fn record_key_len(change: &Change<'_>) -> usize {
    Revision::LEN.saturating_add(usize::from(change.put.is_none()))
}

/// The value of a record. A tombstone's has the key only.
fn value<'a>(change: &Change<'a>) -> KeyValue<'a> {
    let Change { revision, key, put } = *change;
    let Some(NewValue { create_revision, version, lease, value }) = put else {
        return KeyValue { key, ..KeyValue::default() };
    };
    KeyValue { key, create_revision, mod_revision: revision.main, version, value, lease }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_as_long_as_it_says_and_reads_back() {
        for (value, lease) in [(&b""[..], 0), (b"v", 1), (&[7; 300], i64::MAX), (b"x", -1)] {
            let put = NewValue { create_revision: 2, version: 128, lease, value };
            let revision = Revision { main: 70_000, sub: 3 };
            for put in [Some(put), None] {
                let change = Change { revision, key: b"/registry/a", put };
                let content = Content::new(vec![NewRecord::Changed(change)], 0, Vec::new());
                let mut scratch = Vec::new();
                let sizes = content.sizes(1);
                let entry = content.entry(1, &mut scratch).unwrap();
                assert_eq!(
                    (sizes.key, sizes.value),
                    (entry.key.len(), ValueSize::Bytes(entry.value.len() as u64))
                );
                let place = RecordKey::parse(entry.key).unwrap();
                assert_eq!((place.revision, place.tombstone), (revision, put.is_none()));
                let kv = KeyValue::parse(entry.value).unwrap();
                assert_eq!(
                    (kv.key, kv.lease, kv.value),
                    (&b"/registry/a"[..], put.map_or(0, |_| lease), put.map_or(&b""[..], |_| value))
                );
            }
        }
    }
}
