//! Records as they are found: where, and whether they are sound.

use crate::bolt::orphan::OrphanLeaf;
use crate::bolt::page::Entry;
use crate::etcd::history::check_alone;
use crate::etcd::{KeyValue, RecordKey, Revision};

/// Where a record was found. The first ones are believed first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, serde::Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Tier {
    /// From the active root.
    Reachable,
    /// From the other meta's root, where the first has a gap.
    OlderRoot,
    /// In a leaf that no root reaches, where the roots have a gap.
    Orphan,
    /// In the log of the member.
    Log,
    /// In a leaf that no root reaches, and not in the state that the file held: deleted, superseded, or never committed.
    Free,
}

#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    /// Its revision, and whether it is a tombstone.
    pub place: RecordKey,
    /// Its key and value in the bucket.
    pub entry: Entry<'a>,
    /// Where it was found.
    pub tier: Tier,
}

impl Found<'_> {
    /// What it is sorted by. A revision is either a put or a tombstone, but a damaged file may have both.
    pub fn order(&self) -> (Revision, bool) {
        (self.place.revision, self.place.tombstone)
    }
}

/// A revision that was found with two contents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conflict {
    pub revision: Revision,
    /// Where the record that was taken comes from.
    pub taken: Tier,
    /// Where the other was found.
    pub other: Tier,
}

/// The place of a sound record: its key is a revision, and its value can be read and names the same revision.
pub fn sound_record(entry: &Entry<'_>) -> Option<RecordKey> {
    let place = RecordKey::parse(entry.key).filter(|_| !entry.is_bucket())?;
    if !place.tombstone && KeyValue::is_revision_mark(entry.value) {
        return Some(place);
    }
    let kv = KeyValue::parse(entry.value).ok().filter(|kv| !kv.key.is_empty())?;
    check_alone(place, &kv).is_none().then_some(place)
}

/// Records of a tree, and the positions of its entries that are no records, or partly zeroed.
pub fn of_tree<'a>(
    entries: &[Entry<'a>],
    tier: Tier,
    is_zeroed: &dyn Fn(&Entry<'_>) -> bool,
) -> (Vec<Found<'a>>, Vec<usize>) {
    let (mut records, mut others) = (Vec::with_capacity(entries.len()), Vec::new());
    for (index, entry) in entries.iter().enumerate() {
        match sound_record(entry).filter(|_| !is_zeroed(entry)) {
            Some(place) => records.push(Found { place, entry: *entry, tier }),
            None => others.push(index),
        }
    }
    (records, others)
}

/// Whether a leaf is one of the `key` bucket: most of its keys are revisions.
pub fn is_of_records(leaf: &OrphanLeaf<'_>) -> bool {
    let records = leaf.entries.iter().filter(|entry| RecordKey::parse(entry.key).is_some()).count();
    records > leaf.entries.len() / 2
}

/// Whether such a leaf shows that the file is etcd's: one of its values is a record, too.
pub fn shows_records(leaf: &OrphanLeaf<'_>) -> bool {
    let is_record = |entry: &Entry<'_>| !entry.value.is_empty() && sound_record(entry).is_some();
    is_of_records(leaf) && leaf.entries.iter().any(is_record)
}
