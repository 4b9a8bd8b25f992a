//! The content of a copy by its sizes only, from a scan: enough for a plan, in a fraction of the memory.

use std::ops::Range;

use crate::bolt::write::{BucketSpec, EntrySource, NewEntry, Sizes, ValueSize};
use crate::etcd::schema::KEY_BUCKET;
use crate::scan::outline::Outline;

use super::CopyContent;

/// Records of the `key` bucket: all of them, or those of these numbers.
#[derive(Debug)]
pub struct Records<'s> {
    outline: &'s Outline,
    numbers: Option<Vec<u32>>,
}

impl<'s> Records<'s> {
    pub fn all(outline: &'s Outline) -> Self {
        Self { outline, numbers: None }
    }

    /// Those that a compaction keeps, by its number in the outline.
    pub fn kept(outline: &'s Outline, compaction: usize) -> Self {
        Self { outline, numbers: Some(outline.kept(compaction).collect()) }
    }

    pub fn count(&self) -> usize {
        self.numbers.as_ref().map_or(self.outline.num_entries(), Vec::len)
    }

    fn sizes(&self, index: usize) -> Option<Sizes> {
        let number = match &self.numbers {
            Some(numbers) => *numbers.get(index)? as usize,
            None => index,
        };
        let entry = self.outline.entry_at(number)?;
        Some(Sizes { key: usize::try_from(entry.key).ok()?, value: ValueSize::Bytes(entry.data - entry.key) })
    }
}

/// The content of a copy by its sizes only: the small buckets, then the records.
#[derive(Debug)]
pub struct Planned<'s> {
    others: &'s CopyContent<'s>,
    buckets: Vec<BucketSpec>,
    records: Records<'s>,
}

impl<'s> Planned<'s> {
    /// The records take the place of the `key` bucket, which is empty in `others`.
    pub fn new(others: &'s CopyContent<'s>, records: Records<'s>) -> Self {
        let mut buckets = others.buckets().to_vec();
        let first = others.num_entries();
        let range: Range<u64> = first..first + records.count() as u64;
        if let Some(spec) = others.position(KEY_BUCKET).and_then(|index| buckets.get_mut(index)) {
            spec.entries = range;
        }
        Self { others, buckets, records }
    }
}

impl EntrySource for Planned<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        &self.buckets
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let record = entry.checked_sub(self.others.num_entries());
        let record = record.and_then(|index| self.records.sizes(usize::try_from(index).ok()?));
        record.unwrap_or_else(|| self.others.sizes(entry))
    }

    /// There are sizes only.
    fn entry<'e>(&'e self, _entry: u64, _scratch: &'e mut Vec<u8>) -> Option<NewEntry<'e>> {
        None
    }
}
