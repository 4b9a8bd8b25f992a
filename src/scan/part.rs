//! What one thread makes of one subtree: a tally, and the records sorted out by the shard of their key.

use crate::bolt::format::ELEMENT_SIZE;
use crate::bolt::page::{Entry, Leaf};
use crate::bolt::walk::{Node, Subtree};
use crate::etcd::history::{self, Previous, RecordFault};
use crate::etcd::key_value::DecodeError;
use crate::etcd::{KeyValue, RecordKey};
use crate::k8s::ValueKind;

use super::keyspace::Keyspace;
use super::outline::PartOutline;
use super::record::{FirstRecord, KnownKey, Location, PartRecords, RecordFinding, RecordSum, ScannedRecord};
use super::tally::Tally;
use super::unsorted::Unsorted;

/// What one subtree came to.
#[derive(Debug, Default)]
pub struct ScanPart<'a> {
    pub tally: Tally,
    /// Its records, where they are wanted.
    pub records: PartRecords<'a>,
    /// What is wrong with records by themselves.
    pub faults: Vec<RecordFinding<'a>>,
    num_entries: u32,
}

/// For buckets whose entries are not looked into.
pub fn tally_only<'a>(subtree: &mut Subtree<'_, 'a>) -> ScanPart<'a> {
    let mut part = ScanPart::default();
    for node in subtree {
        part.tally.add(&node);
    }
    part
}

/// For the `key` bucket.
pub fn with_records<'a>(subtree: &mut Subtree<'_, 'a>, keyspace: &Keyspace<'a>) -> ScanPart<'a> {
    let outline = keyspace.outline.is_some().then(PartOutline::default);
    let records = PartRecords { shards: keyspace.spare_shards(), outline, ..PartRecords::default() };
    let mut part = ScanPart { records, ..ScanPart::default() };
    let mut unsorted = Unsorted::default();
    for node in subtree {
        part.tally.add(&node);
        if let Some(leaf) = node.leaf() {
            part.add_leaf(&leaf, &node, keyspace, &mut unsorted);
        }
    }
    unsorted.sort_into(&mut part.records.shards, keyspace);
    part
}

impl<'a> ScanPart<'a> {
    fn add_leaf(
        &mut self,
        leaf: &Leaf<'a>,
        node: &Node<'a>,
        keyspace: &Keyspace<'a>,
        unsorted: &mut Unsorted<'a>,
    ) {
        let page = leaf.page();
        let unreadable = (leaf.num_entries() as u64 - node.readable) * ELEMENT_SIZE as u64;
        let own = node.sizes.owned() - unreadable;
        // an inline leaf is in another node's page: it has no header or slack to share out
        let total = if node.inline { own } else { page.bytes().len() as u64 };
        let mut share = Share::of(total, own);
        for entry in leaf.entries().filter_map(Result::ok) {
            let leaf_bytes = share.next(entry.own_bytes());
            if let Some(outline) = &mut self.records.outline {
                outline.push(entry.key.len(), entry.value.len());
            }
            let at = Location { page: page.id(), offset: page.offset() + entry.start as u64 };
            match self.read(&entry, at) {
                Ok((place, kv)) => {
                    if unsorted.is_full() {
                        unsorted.sort_into(&mut self.records.shards, keyspace);
                    }
                    let record = self.record(entry.value, place, &kv, at, leaf_bytes);
                    unsorted.push(record, kv, keyspace);
                }
                Err(fault) => {
                    let one = RecordSum { records: 1, own_bytes: entry.own_bytes(), leaf_bytes };
                    self.records.unreadable.add(&one);
                    self.faults.push(RecordFinding { fault, at, key: None });
                }
            }
            self.num_entries += 1;
        }
    }

    #[inline]
    fn record(
        &self,
        message: &'a [u8],
        place: RecordKey,
        kv: &KeyValue<'a>,
        at: Location,
        leaf_bytes: u64,
    ) -> ScannedRecord<'a> {
        let state = match place.tombstone {
            true => Previous::Tombstone,
            false if KeyValue::is_revision_mark(message) => Previous::None,
            false => Previous::Put { create_revision: kv.create_revision, version: kv.version },
        };
        ScannedRecord {
            message,
            hash: 0,
            revision: place.revision.main,
            state,
            leaf_bytes,
            at,
            lease: kv.lease,
            number: self.num_entries,
            key_len: u32::try_from(kv.key.len()).unwrap_or(u32::MAX),
            value_len: u32::try_from(kv.value.len()).unwrap_or(u32::MAX),
            encoding: ValueKind::of(kv.value),
            key: KnownKey::New,
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
        self.records.first.get_or_insert(FirstRecord { place, at, key: kv.key });
        if self.records.last.replace(place).is_some_and(|last| last.revision == place.revision) {
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
