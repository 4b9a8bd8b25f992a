//! The records of the `key` bucket by their state.

use serde::Serialize;

use crate::etcd::RevisionGap;
use crate::etcd::schema::State;
use crate::scan::Scan;
use crate::scan::record::RecordSum;

use super::share::apportion;

/// Records, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RecordUse {
    /// Number of records.
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub bytes: u64,
    /// Bytes that they take of the file: with their share of headers, slack and branch pages.
    pub disk_bytes: u64,
}

/// The records of the `key` bucket by their state.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mvcc {
    /// The current revision.
    pub revision: i64,
    /// Revisions up to this one are gone; -1 where the file was never compacted.
    pub compact_revision: i64,
    /// Runs of revisions that never existed, as a restore with `--bump-revision` leaves one: of more than 65,536 each, the 15
    /// longest at most; ascending.
    pub gaps: Vec<RevisionGap>,
    /// The compaction that was finished last; `null` where none was.
    pub finished_compact_revision: Option<i64>,
    /// The compaction that was begun last; above the finished one, it was cut short. `null` where none was begun.
    pub scheduled_compact_revision: Option<i64>,
    /// Keys that have any record, deleted ones included.
    pub distinct_keys: u64,
    /// The newest record of each key that exists.
    pub live: RecordUse,
    /// Older puts, of keys that exist and of deleted ones.
    pub superseded: RecordUse,
    /// Records of deletions.
    pub tombstones: RecordUse,
    /// Entries of the `key` bucket that are no records.
    pub unreadable: RecordUse,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct StateSums {
    /// The newest record of each key that exists.
    pub live: RecordUse,
    pub superseded: RecordUse,
    pub tombstones: RecordUse,
    /// Entries that are no records.
    pub unreadable: RecordUse,
}

impl StateSums {
    /// Shares out `disk_bytes` over live, superseded, tombstones and unreadable.
    pub(super) fn of(sums: [RecordSum; 4], disk_bytes: u64) -> Self {
        let disk = apportion(disk_bytes, &sums.map(|sum| sum.leaf_bytes));
        let mut states = sums.iter().zip(disk).map(|(sum, disk_bytes)| RecordUse {
            records: sum.records,
            bytes: sum.own_bytes,
            disk_bytes,
        });
        let mut next = || states.next().unwrap_or_default();
        Self { live: next(), superseded: next(), tombstones: next(), unreadable: next() }
    }
}

impl Mvcc {
    /// Of a file that was scanned, and whose records were summed up.
    pub fn of(state: &State<'_>, scan: &Scan<'_>, sums: StateSums) -> Self {
        Self {
            revision: scan.current_revision(state),
            compact_revision: state.compact_revision(),
            gaps: scan.gaps.as_slice().to_vec(),
            finished_compact_revision: state.finished_compact_revision,
            scheduled_compact_revision: state.scheduled_compact_revision,
            distinct_keys: scan.keyspace.num_keys(),
            live: sums.live,
            superseded: sums.superseded,
            tombstones: sums.tombstones,
            unreadable: sums.unreadable,
        }
    }
}
