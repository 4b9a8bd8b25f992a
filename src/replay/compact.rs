//! What a compaction leaves of the records: of those at or below its revision, each key's newest, if it is a put
//! (`server/storage/mvcc/key_index.go`, `compact`; `kvstore_compaction.go`).

use std::collections::HashMap;

use super::content::NewRecord;

/// Records that a compaction dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Dropped {
    pub superseded: u64,
    pub tombstones: u64,
}

/// The records of a new db in the making. What compactions drop on the way does not stay in memory: there are never more than twice
/// as many as the last one left, and those that came since.
#[derive(Clone, Debug)]
pub struct NewRecords<'a> {
    pub list: Vec<NewRecord<'a>>,
    /// Records that entries added, whatever became of them.
    pub added: u64,
    pub dropped: Dropped,
    /// The last compaction that was carried out.
    compacted: i64,
    /// Records after it.
    left: usize,
}

/// Records that are always kept until more come.
const FEW: usize = 1 << 16;

impl<'a> NewRecords<'a> {
    pub(super) fn of(list: Vec<NewRecord<'a>>, compact_revision: i64) -> Self {
        let left = list.len();
        Self { list, added: 0, dropped: Dropped::default(), compacted: compact_revision, left }
    }

    pub(super) fn add(&mut self, record: NewRecord<'a>) {
        self.list.push(record);
        self.added = self.added.saturating_add(1);
    }

    /// Carries a compaction out, if that is worth the time.
    pub(super) fn compact_early(&mut self, revision: i64, keeps_tombstone: bool) {
        if revision != self.compacted && self.list.len() >= self.left.saturating_mul(2).max(FEW) {
            self.compact(revision, keeps_tombstone);
        }
    }

    /// Carries a compaction out.
    pub(super) fn compact(&mut self, revision: i64, keeps_tombstone: bool) {
        let dropped = compact(&mut self.list, revision, keeps_tombstone);
        self.dropped.superseded = self.dropped.superseded.saturating_add(dropped.superseded);
        self.dropped.tombstones = self.dropped.tombstones.saturating_add(dropped.tombstones);
        (self.compacted, self.left) = (revision, self.list.len());
    }
}

/// Drops what a compaction to this revision drops. Whether a tombstone of the very revision stays depends on the version.
pub fn compact(records: &mut Vec<NewRecord<'_>>, revision: i64, keeps_tombstone: bool) -> Dropped {
    let is_below =
        |record: &NewRecord<'_>| record.place().is_some_and(|place| place.revision.main <= revision);
    let mut newest: HashMap<&[u8], usize, foldhash::fast::RandomState> = HashMap::default();
    let below = records.iter().take_while(|record| is_below(record)).count();
    for (number, record) in records.iter().take(below).enumerate() {
        newest.insert(record.key(), number);
    }
    let mut dropped = Dropped::default();
    let mut number = 0;
    records.retain(|record| {
        let this = number;
        number += 1;
        let Some(place) = record.place().filter(|_| this < below) else { return true };
        let is_newest = newest.get(record.key()) == Some(&this);
        let stays = keeps_tombstone && place.revision.main == revision;
        let kept = is_newest && (!place.tombstone || stays);
        let counter = if place.tombstone { &mut dropped.tombstones } else { &mut dropped.superseded };
        *counter = counter.saturating_add(u64::from(!kept));
        kept
    });
    dropped
}
