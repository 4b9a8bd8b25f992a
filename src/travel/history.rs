//! All records of one key, wherever they lie.

#![warn(missing_docs)]

use std::collections::BTreeMap;

use serde::Serialize;

use crate::bolt::Db;
use crate::etcd::HexId;
use crate::etcd::current_revision;
use crate::etcd::find::{FoundRecord, Origin, fold_live, for_each_lost};
use crate::etcd::revision::Revision;
use crate::etcd::schema::State;
use crate::text::ByteText;

use super::Select;

/// Every record of a key that can be found, wherever it is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct KeyHistory {
    /// The key.
    pub key: ByteText,
    /// The current revision of the file.
    pub revision: i64,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    pub compact_revision: i64,
    /// Whether the key exists now.
    pub exists: bool,
    /// Its records, the oldest first; one for each revision, from the most reliable place.
    pub records: Vec<HistoryRow>,
    /// Faults and records that could not be read on the way: above 0, something may be missing from the answer.
    pub unreadable: u64,
}

/// A record.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct HistoryRow {
    /// Its revision.
    pub mod_revision: i64,
    /// Its place within that transaction, from 0 on.
    pub sub_revision: i64,
    /// `put` or `delete`.
    pub change: &'static str,
    /// The revision at which the key was created; 0 for a deletion.
    pub create_revision: i64,
    /// How often the key was put since then; 0 for a deletion.
    pub version: i64,
    /// The lease that it is attached to, in hexadecimal digits; `0` for none.
    pub lease: HexId,
    /// Size of its value; 0 for a deletion.
    pub value_bytes: u64,
    /// Where it is.
    pub origin: Origin,
    /// Whether a compaction to the current revision would keep it.
    pub kept_by_compaction: bool,
}

/// Finds all records of a key.
pub fn history(db: &Db, state: &State<'_>, origin: Origin, key: &[u8]) -> KeyHistory {
    let select = Select::Key(key);
    let mut newest = state.revision_range(db).map_or(0, |(_, last)| last);
    let (mut rows, mut unreadable) = (BTreeMap::new(), 0);
    if let Some(bucket) = &state.key_bucket {
        let wanted = |found: &FoundRecord<'_>| select.takes(found.kv.key);
        (rows, unreadable) = fold_live(db, bucket, wanted, BTreeMap::new, |rows, found| {
            add(rows, &FoundRecord { origin, ..found });
        });
    }
    let compact_revision = state.compact_revision();
    let live = rows.last_key_value().map(|(place, row): (&Placed, &HistoryRow)| (*place, row.change));
    newest = newest.max(live.map_or(0, |((revision, _), _)| revision.main));
    let revision = current_revision(newest, compact_revision);
    if let Some(row) = live.and_then(|(place, _)| rows.get_mut(&place)) {
        // a tombstone of the revision itself stays, too (etcd from 3.4.34, 3.5.16 and 3.6 on)
        row.kept_by_compaction = row.change == PUT || row.mod_revision == revision;
    }
    for_each_lost(db, |found| select.takes(found.kv.key), |found| add(&mut rows, &found));
    let exists = live.is_some_and(|(_, change)| change == PUT);
    KeyHistory {
        key: key.into(),
        revision,
        compact_revision,
        exists,
        records: rows.into_values().collect(),
        unreadable,
    }
}

const PUT: &str = "put";

/// A revision, and whether it is of a tombstone.
type Placed = (Revision, bool);

/// Adds a record, unless it was found in a better place.
fn add(rows: &mut BTreeMap<Placed, HistoryRow>, found: &FoundRecord<'_>) {
    let row = HistoryRow {
        mod_revision: found.place.revision.main,
        sub_revision: found.place.revision.sub,
        change: if found.place.tombstone { "delete" } else { PUT },
        create_revision: found.kv.create_revision,
        version: found.kv.version,
        lease: found.kv.lease.into(),
        value_bytes: found.kv.value.len() as u64,
        origin: found.origin,
        kept_by_compaction: false,
    };
    let present = rows.entry((found.place.revision, found.place.tombstone)).or_insert_with(|| row.clone());
    if row.origin < present.origin {
        *present = row;
    }
}
