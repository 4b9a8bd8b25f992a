//! What a compaction leaves of the records: of those at or below its revision, each key's newest, if it is a put
//! (`server/storage/mvcc/key_index.go`, `compact`; `kvstore_compaction.go`).

use std::collections::HashMap;

use crate::etcd::apply::Rules;

use super::content::NewRecord;

/// Drops what a compaction to this revision drops. Gives how many that were.
pub fn compact(records: &mut Vec<NewRecord<'_>>, revision: i64, rules: Rules) -> u64 {
    let is_below =
        |record: &NewRecord<'_>| record.place().is_some_and(|place| place.revision.main <= revision);
    let mut newest: HashMap<&[u8], usize, foldhash::fast::RandomState> = HashMap::default();
    let below = records.iter().take_while(|record| is_below(record)).count();
    for (number, record) in records.iter().take(below).enumerate() {
        newest.insert(record.key(), number);
    }
    let before = records.len();
    let mut number = 0;
    records.retain(|record| {
        let this = number;
        number += 1;
        let Some(place) = record.place().filter(|_| this < below) else { return true };
        let is_newest = newest.get(record.key()) == Some(&this);
        let stays = rules.keeps_tombstone_at_compaction && place.revision.main == revision;
        is_newest && (!place.tombstone || stays)
    });
    before.saturating_sub(records.len()) as u64
}
