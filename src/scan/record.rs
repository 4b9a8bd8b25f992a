//! A record of the `key` bucket, as a part reads it and a shard takes it in.

use crate::bolt::PageId;
use crate::bolt::format::ELEMENT_SIZE;
use crate::etcd::RecordKey;
use crate::etcd::history::{Previous, RecordFault};
use crate::k8s::ValueKind;

use super::outline::PartOutline;

/// Number of shards. More than any machine has cores would only cost memory.
pub const NUM_SHARDS: usize = 16;

/// Records by the shard of their key.
pub type Shards<'a> = [Vec<ScannedRecord<'a>>; NUM_SHARDS];

/// The records of one subtree.
#[derive(Debug, Default)]
pub struct PartRecords<'a> {
    /// By the shard of their key, each in the order of revisions.
    pub shards: Shards<'a>,
    /// The first one, in the order of the tree.
    pub first: Option<FirstRecord<'a>>,
    /// The last one's place in history.
    pub last: Option<RecordKey>,
    /// The sizes of all entries, where they are wanted.
    pub outline: Option<PartOutline>,
    /// The number of its first entry in the bucket, as [`super::outline::Outline`] counts them.
    pub first_entry: u32,
    /// Entries that are no records.
    pub unreadable: RecordSum,
}

/// The first record of a part.
#[derive(Clone, Copy, Debug)]
pub struct FirstRecord<'a> {
    /// Its place in history.
    pub place: RecordKey,
    /// The place of its entry.
    pub at: Location,
    pub key: &'a [u8],
}

/// One record, read, and all that its shard needs of it: its bytes are at hand now, and won't be when the shard's
/// turn comes.
#[derive(Clone, Copy, Debug)]
pub struct ScannedRecord<'a> {
    /// Its value in the bucket: a `KeyValue` that could be read.
    pub message: &'a [u8],
    /// Hash of its etcd key.
    pub hash: u64,
    pub revision: i64,
    /// Put or tombstone, and its place in the key's history; none for a mark (`KeyValue::is_revision_mark`).
    pub state: Previous,
    /// Its own bytes, and its share of the header and slack of its leaf.
    pub leaf_bytes: u64,
    /// The place of its entry.
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
    /// What is known of its key.
    pub key: KnownKey,
}

impl ScannedRecord<'_> {
    /// Bytes of its element, key and value.
    pub fn own_bytes(&self) -> u64 {
        let key = if self.is_tombstone() { 18 } else { 17 };
        ELEMENT_SIZE as u64 + key + self.message.len() as u64
    }

    /// Whether it is a deletion.
    pub fn is_tombstone(&self) -> bool {
        self.state == Previous::Tombstone
    }
}

/// What is known of a record's key before its shard's turn.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum KnownKey {
    /// The key has this number in its shard.
    Known(u32),
    /// The key is new, and in the folder of this number.
    InFolder(u32),
    /// The key is new, and so is its folder, if it has one.
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

/// Records, and their bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RecordSum {
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub own_bytes: u64,
    /// With their share of their leaves.
    pub leaf_bytes: u64,
}

impl RecordSum {
    pub fn add(&mut self, more: &Self) {
        self.records += more.records;
        self.own_bytes += more.own_bytes;
        self.leaf_bytes += more.leaf_bytes;
    }

    /// Takes records away that were added before.
    pub fn subtract(&mut self, less: &Self) {
        self.records -= less.records;
        self.own_bytes -= less.own_bytes;
        self.leaf_bytes -= less.leaf_bytes;
    }
}

/// A fault of one record.
#[derive(Clone, Copy, Debug)]
pub struct RecordFinding<'a> {
    /// The kind of fault.
    pub fault: RecordFault,
    /// The place of its entry.
    pub at: Location,
    /// The etcd key, where it could be read.
    pub key: Option<&'a [u8]>,
}
