//! What is counted for each resource while its records go by.

use std::ops::Range;

use super::record::RecordSum;
use super::timeline::Timeline;

/// What is counted for a resource while records go by.
#[derive(Clone, Debug, Default)]
pub struct ResourceRow {
    /// Its records over the revisions.
    pub timeline: Timeline,
    pub tombstones: RecordSum,
    /// Bytes of the etcd keys of its keys that exist.
    pub live_key_bytes: u64,
    /// What each of the outline's compactions would drop.
    pub dropped: Vec<DroppedRecords>,
}

/// Records that a compaction would drop.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct DroppedRecords {
    pub records: u64,
    /// Bytes of their elements, keys and values.
    pub own_bytes: u64,
}

impl ResourceRow {
    /// Counts a record that these compactions drop.
    pub(super) fn drop_by(&mut self, compactions: Range<usize>, own_bytes: u64) {
        if self.dropped.len() < compactions.end {
            self.dropped.resize(compactions.end, DroppedRecords::default());
        }
        for dropped in self.dropped.get_mut(compactions).unwrap_or_default() {
            dropped.records += 1;
            dropped.own_bytes += own_bytes;
        }
    }

    /// Takes back a record that was counted by [`Self::drop_by`].
    pub(super) fn give_back(&mut self, compactions: Range<usize>, own_bytes: u64) {
        for dropped in self.dropped.get_mut(compactions).unwrap_or_default() {
            dropped.records = dropped.records.saturating_sub(1);
            dropped.own_bytes = dropped.own_bytes.saturating_sub(own_bytes);
        }
    }

    /// Counts the bytes of a key that exists, before and after one of its records.
    #[inline]
    pub(super) fn count_live_key(&mut self, before: bool, after: bool, key_bytes: u64) {
        match (before, after) {
            (false, true) => self.live_key_bytes += key_bytes,
            (true, false) => self.live_key_bytes -= key_bytes,
            _ => {}
        }
    }
}
