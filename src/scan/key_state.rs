//! What one key's records add up to.

use crate::bolt::format::ELEMENT_SIZE;
use crate::etcd::KeyValue;
use crate::etcd::history::Previous;
use crate::k8s::ValueKind;

use super::record::ScannedRecord;

/// What one key's records add up to.
#[derive(Clone, Copy, Debug)]
pub struct KeyState<'a> {
    /// The newest record's value: a `KeyValue` that could be read.
    newest: &'a [u8],
    /// Bytes of all its records' elements, keys and values.
    pub own_bytes: u64,
    /// The same, and their share of their leaves.
    pub leaf_bytes: u64,
    create_revision: i64,
    /// At most `u32::MAX`, which then means any.
    version: u32,
    /// The newest record's share of them; at most `u32::MAX`.
    pub newest_leaf_bytes: u32,
    /// Number of its records.
    pub records: u32,
    value_len: u32,
    /// The newest record's number, as [`Outline`] counts them.
    pub(super) newest_entry: u32,
    /// Its home, by its number in `Shard::homes`; [`NONE`] for what isn't Kubernetes'.
    pub home: u32,
    /// The newest record's lease, by its number in `Shard::leases`; [`NONE`] for none.
    pub lease: u32,
    /// Its resource, by its number in `Shard::resources`.
    pub resource: u16,
    flags: u8,
    /// How the newest record's value is encoded.
    pub encoding: ValueKind,
}

const TOMBSTONE: u8 = 1;
/// All records so far were tombstones: there was no value to tell the resource by.
const NO_PUT_YET: u8 = 2;

/// The number of a home or lease that a key does not have.
pub const NONE: u32 = u32::MAX;

impl<'a> KeyState<'a> {
    /// A key whose first record is about to be added.
    pub(super) fn before(first: &ScannedRecord<'a>, resource: u16, home: u32) -> Self {
        Self {
            newest: first.message,
            own_bytes: 0,
            leaf_bytes: 0,
            newest_leaf_bytes: 0,
            lease: NONE,
            encoding: ValueKind::Other,
            create_revision: 0,
            version: 0,
            records: 0,
            value_len: 0,
            newest_entry: 0,
            home,
            resource,
            flags: if first.is_tombstone() { NO_PUT_YET } else { 0 },
        }
    }

    /// Adds the next record; gives back whether it is the first put after tombstones only.
    #[inline]
    pub(super) fn add(&mut self, record: &ScannedRecord<'a>, entry: u32, lease: u32) -> bool {
        self.records = self.records.saturating_add(1);
        self.own_bytes += record.own_bytes();
        self.leaf_bytes += record.leaf_bytes;
        self.newest = record.message;
        self.newest_entry = entry;
        self.newest_leaf_bytes = u32::try_from(record.leaf_bytes).unwrap_or(u32::MAX);
        self.lease = lease;
        self.encoding = record.encoding;
        self.value_len = record.value_len;
        if let Previous::Put { create_revision, version } = record.state {
            self.create_revision = create_revision;
            self.version = u32::try_from(version).unwrap_or(u32::MAX);
        }
        if record.is_tombstone() {
            self.flags = (self.flags & NO_PUT_YET) | TOMBSTONE;
            return false;
        }
        let is_first_put = self.flags & NO_PUT_YET != 0;
        self.flags = 0;
        is_first_put
    }

    /// Whether the key exists by the records so far.
    #[inline]
    pub(super) fn exists(&self) -> bool {
        self.records > 0 && self.is_live()
    }

    pub fn newest(&self) -> KeyValue<'a> {
        // it was read before, so the default never comes about
        KeyValue::parse(self.newest).unwrap_or_default()
    }

    pub fn key(&self) -> &'a [u8] {
        KeyValue::key_of(self.newest)
    }

    /// The newest record's bytes in the file.
    pub fn newest_bytes(&self) -> &'a [u8] {
        self.newest
    }

    /// Whether the key exists: its newest record is a put.
    pub fn is_live(&self) -> bool {
        self.flags & TOMBSTONE == 0
    }

    /// The revision at which it was created last; 0 where no put of it is kept.
    #[inline]
    pub fn create_revision(&self) -> i64 {
        self.create_revision
    }

    /// Bytes of the newest record's value, as etcd's client sees it.
    pub fn value_len(&self) -> u32 {
        self.value_len
    }

    /// Bytes of the newest record's element, key and value.
    pub fn newest_own_bytes(&self) -> u64 {
        let key = if self.is_live() { 17 } else { 18 };
        ELEMENT_SIZE as u64 + key + self.newest.len() as u64
    }

    /// What the key's history says of its next record.
    pub(super) fn previous(&self) -> Previous {
        if self.records == 0 || (self.is_live() && self.version == u32::MAX) {
            Previous::None
        } else if self.is_live() {
            Previous::Put { create_revision: self.create_revision, version: self.version.into() }
        } else {
            Previous::Tombstone
        }
    }
}
