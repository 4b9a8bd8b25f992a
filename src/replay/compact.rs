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
