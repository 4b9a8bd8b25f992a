//! What one thread makes of one subtree: a tally, and the records sorted out by the shard of their key.

use crate::bolt::PageId;
use crate::bolt::format::ELEMENT_SIZE;
use crate::bolt::page::{Entry, Leaf};
use crate::bolt::walk::{Node, Subtree};
use crate::etcd::history::{self, Previous, RecordFault};
use crate::etcd::key_value::DecodeError;
use crate::etcd::{KeyValue, RecordKey};

use super::keyspace::{Keyspace, NUM_SHARDS, ValueKind};
use super::outline::PartOutline;
use super::tally::Tally;

/// Records by the shard of their key.
pub type Shards<'a> = [Vec<Record<'a>>; NUM_SHARDS];

/// What one subtree came to.
#[derive(Debug, Default)]
pub struct Part<'a> {
    /// Its nodes.
    pub tally: Tally,
    /// Its records by the shard of their key, each in the order of revisions.
    pub shards: Shards<'a>,
    num_entries: u32,
    /// Its first record, in the order of the tree: place in history, in the file, and etcd key.
    pub first: Option<(RecordKey, Location, &'a [u8])>,
    /// Its last record.
    pub last: Option<RecordKey>,
    /// The sizes of its entries, where they are wanted.
    pub outline: Option<PartOutline>,
    /// The number of its first entry in the bucket, as [`super::outline::Outline`] counts them.
    pub first_entry: u32,
    /// Records that could not be read.
    pub unreadable: Unreadable,
    /// What is wrong with records by themselves.
    pub faults: Vec<RecordFinding<'a>>,
}

/// One record, read, and all that its shard needs of it: its bytes are at hand now, and won't be when the shard's
/// turn comes.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// Its value in the bucket: a `KeyValue` that could be read.
    pub message: &'a [u8],
    /// Hash of its etcd key.
    pub hash: u64,
    /// Its revision (main).
    pub revision: i64,
    /// Put or tombstone, and its place in the key's history; none for a mark ([`KeyValue::is_revision_mark`]).
    pub state: Previous,
    /// Its own bytes, and its share of the header and slack of its leaf.
    pub leaf_bytes: u64,
    /// Where it is.
    pub at: Location,
    /// The lease that it is attached to; 0 for none.
    pub lease: i64,
    /// Its number among the entries of its part.
    pub number: u32,
    /// Bytes of the etcd key.
    pub key_len: u32,
    /// Bytes of the etcd value.
    pub value_len: u32,
    /// How the etcd value is encoded.
    pub encoding: ValueKind,
    /// Whose record it is.
    pub owner: Owner,
}

impl Record<'_> {
    /// Bytes of its element, key and value.
    #[must_use]
    pub fn own_bytes(&self) -> u64 {
        let key = if self.is_tombstone() { 18 } else { 17 };
        ELEMENT_SIZE as u64 + key + self.message.len() as u64
    }

    /// Whether it is a deletion.
    #[must_use]
    pub fn is_tombstone(&self) -> bool {
        self.state == Previous::Tombstone
    }
}

/// What is known of a record's key before its shard's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Owner {
    /// The key has this number in its shard.
    Known(u32),
    /// The key is new, and of this resource and home (by their numbers in the shard).
    Classified {
        /// Number of the resource.
        resource: u16,
        /// Number of the home.
        home: u32,
    },
    /// The key is new, and so is its resource or home.
    New,
}

/// Where an entry's bytes are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Location {
    /// The page of its leaf.
    pub page: PageId,
    /// Byte offset of its key in the file.
    pub offset: u64,
}

/// Entries of the `key` bucket that are no records.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unreadable {
    /// How many.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub own_bytes: u64,
    /// With their share of their leaves.
    pub leaf_bytes: u64,
}

/// A fault of one record.
#[derive(Clone, Copy, Debug)]
pub struct RecordFinding<'a> {
    /// What is wrong.
    pub fault: RecordFault,
    /// Where.
    pub at: Location,
    /// The etcd key, where it could be read.
    pub key: Option<&'a [u8]>,
}

/// For buckets whose entries are not looked into.
pub fn tally_only<'a>(subtree: &mut Subtree<'_, 'a>) -> Part<'a> {
    let mut part = Part::default();
    for node in subtree {
        part.tally.add(&node);
    }
    part
}

/// For the `key` bucket.
pub fn with_records<'a>(subtree: &mut Subtree<'_, 'a>, keyspace: &Keyspace<'a>) -> Part<'a> {
    let outline = keyspace.outline.is_some().then(PartOutline::default);
    let mut part = Part { shards: keyspace.spare_shards(), outline, ..Part::default() };
    for node in subtree {
        part.tally.add(&node);
        if let Some(leaf) = node.leaf() {
            part.add_leaf(&leaf, &node, keyspace);
        }
    }
    part
}

impl<'a> Part<'a> {
    fn add_leaf(&mut self, leaf: &Leaf<'a>, node: &Node<'a>, keyspace: &Keyspace<'a>) {
        let page = leaf.page();
        let unreadable = (leaf.num_entries() as u64 - node.readable) * ELEMENT_SIZE as u64;
        let own = node.sizes.owned() - unreadable;
        // an inline leaf stands in somebody else's page: it has no header or slack to share out
        let total = if node.inline { own } else { page.bytes().len() as u64 };
        let mut share = Share::of(total, own);
        for entry in leaf.entries().filter_map(Result::ok) {
            let own_bytes = entry.own_bytes();
            let leaf_bytes = share.next(own_bytes);
            let number = self.num_entries;
            self.num_entries += 1;
            if let Some(outline) = &mut self.outline {
                outline.push(entry.key.len(), entry.value.len());
            }
            let at = Location { page: page.id(), offset: page.offset() + entry.start as u64 };
            match self.read(&entry, at) {
                Ok((place, kv)) => {
                    let (shard, hash) = keyspace.place_of(kv.key);
                    let state = match place.tombstone {
                        true => Previous::Tombstone,
                        false if KeyValue::is_revision_mark(entry.value) => Previous::None,
                        false => Previous::Put { create_revision: kv.create_revision, version: kv.version },
                    };
                    let record = Record {
                        message: entry.value,
                        hash,
                        revision: place.revision.main,
                        state,
                        leaf_bytes,
                        at,
                        lease: kv.lease,
                        number,
                        key_len: u32::try_from(kv.key.len()).unwrap_or(u32::MAX),
                        value_len: u32::try_from(kv.value.len()).unwrap_or(u32::MAX),
                        encoding: ValueKind::of(kv.value),
                        owner: keyspace.owner(shard, hash, &kv),
                    };
                    if let Some(shard) = self.shards.get_mut(shard) {
                        shard.push(record);
                    }
                }
                Err(fault) => {
                    self.unreadable.records += 1;
                    self.unreadable.own_bytes += own_bytes;
                    self.unreadable.leaf_bytes += leaf_bytes;
                    self.faults.push(RecordFinding { fault, at, key: None });
                }
            }
        }
    }

    #[inline]
    fn read(&mut self, entry: &Entry<'a>, at: Location) -> Result<(RecordKey, KeyValue<'a>), RecordFault> {
        let place = RecordKey::parse(entry.key).filter(|_| !entry.is_bucket());
        let place = place.ok_or(RecordFault::RevisionMalformed { len: entry.key.len() as u64 })?;
        let (main, sub) = (place.revision.main, place.revision.sub);
        let kv = KeyValue::parse(entry.value).map_err(|reason| RecordFault::KeyValueMalformed {
            main,
            sub,
            reason,
        })?;
        let is_mark = !place.tombstone && KeyValue::is_revision_mark(entry.value);
        if kv.key.is_empty() && !is_mark {
            return Err(RecordFault::KeyEmpty { main, sub });
        }
        // a key is found again by its first one: see `KeyValue::key_of`
        if !is_mark && kv.key.as_ptr() != KeyValue::key_of(entry.value).as_ptr() {
            return Err(RecordFault::KeyValueMalformed { main, sub, reason: DecodeError::KEY_TWICE });
        }
        self.first.get_or_insert((place, at, kv.key));
        if self.last.replace(place).is_some_and(|last| last.revision == place.revision) {
            let fault = RecordFault::RevisionTwice { main, sub };
            self.faults.push(RecordFinding { fault, at, key: Some(kv.key) });
        }
        let fault = history::check_alone(place, &kv).filter(|_| !is_mark);
        self.faults.extend(fault.map(|fault| RecordFinding { fault, at, key: Some(kv.key) }));
        Ok((place, kv))
    }
}

/// Shares out a leaf's bytes over its entries in proportion to their own, to the byte.
struct Share {
    own: u64,
    total: u64,
    own_so_far: u64,
    given: u64,
}

impl Share {
    fn of(total: u64, own: u64) -> Self {
        Self { own, total, own_so_far: 0, given: 0 }
    }

    #[inline]
    fn next(&mut self, own: u64) -> u64 {
        self.own_so_far += own;
        // most leaves are far below 4 GiB, and so the product fits
        let up_to_here = match self.own_so_far.checked_mul(self.total) {
            Some(product) => product / self.own.max(1),
            None => share_wide(self.own_so_far, self.total, self.own),
        };
        let share = up_to_here - self.given;
        self.given = up_to_here;
        share
    }
}

#[cold]
fn share_wide(own: u64, total: u64, all: u64) -> u64 {
    let product = u128::from(own) * u128::from(total) / u128::from(all.max(1));
    u64::try_from(product).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_to_the_leaf() {
        for (total, parts) in [(4096, vec![100, 1, 17, 900]), (4096, vec![3]), (u64::MAX, vec![1 << 40, 7])] {
            let mut share = Share::of(total, parts.iter().sum());
            let shared: Vec<u64> = parts.iter().map(|&own| share.next(own)).collect();
            assert_eq!(shared.iter().sum::<u64>(), total, "{parts:?}");
        }
    }
}
