//! What each cure would give back: the plans of the copies that it would make.

use std::ops::Range;

use serde::Serialize;

use crate::bolt::Db;
use crate::bolt::write::{self, BucketSpec, Entry, Plan, PlanError, Sizes, Source, ValueSize};
use crate::etcd::schema::KEY_BUCKET;
use crate::rewrite::defrag::{Layout, settings_of};
use crate::rewrite::{Changes, Content};
use crate::scan::Scan;
use crate::scan::outline::Outline;

/// What each cure would give back, in bytes of what is allocated (the tail comes back by itself). Nothing is promised
/// of a file with structural faults, or of a scan that did not keep the sizes of records: all are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gains {
    /// `etcd-medic defrag`.
    pub defrag_bytes: u64,
    /// A compaction to the current revision, and then `etcd-medic defrag`.
    pub compact_and_defrag_bytes: u64,
    /// Whether `defrag_bytes` is what `etcd-medic defrag` then gives back, to the byte.
    pub exact: bool,
}

impl Gains {
    /// Plans the copies.
    #[must_use]
    pub fn of(db: &Db, scan: &Scan<'_>) -> Self {
        let outline = scan.keyspace.outline.as_ref();
        let key_bucket = scan.key_bucket.map(|_| KEY_BUCKET);
        if scan.structure.count > 0 || (key_bucket.is_some() && outline.is_none()) {
            return Self::default();
        }
        let Ok(others) = Content::read_all_but(db, key_bucket, &Changes::default(), &|_| {}) else {
            return Self::default();
        };
        let settings = settings_of(db, key_bucket.is_some(), Layout::default());
        let allocated = db.high_water_mark().saturating_mul(db.page_size());
        let gain = |planned: Result<Plan, PlanError>| {
            planned.map_or(0, |plan| allocated.saturating_sub(plan.file_bytes()))
        };
        let Some(outline) = outline.filter(|_| key_bucket.is_some()) else {
            // without records, there is nothing to compact
            let defrag_bytes = gain(write::plan(&others, settings));
            return Self { defrag_bytes, compact_and_defrag_bytes: defrag_bytes, exact: true };
        };
        let with =
            |numbers| gain(write::plan(&Planned::new(&others, Records { outline, numbers }), settings));
        let (defrag_bytes, compact_and_defrag_bytes) =
            rayon::join(|| with(None), || with(Some(outline.live().collect())));
        Self { defrag_bytes, compact_and_defrag_bytes, exact: outline.is_exact() }
    }
}

/// Records of the `key` bucket: all of them, or those of these numbers.
struct Records<'s> {
    outline: &'s Outline,
    numbers: Option<Vec<u32>>,
}

impl Records<'_> {
    fn len(&self) -> usize {
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

/// A copy's content, by its sizes only: the small buckets, and the records behind them.
struct Planned<'s> {
    others: &'s Content<'s>,
    buckets: Vec<BucketSpec>,
    records: Records<'s>,
}

impl<'s> Planned<'s> {
    fn new(others: &'s Content<'s>, records: Records<'s>) -> Self {
        let mut buckets = others.buckets().to_vec();
        let first = others.num_entries();
        let range: Range<u64> = first..first + records.len() as u64;
        if let Some(spec) = others.position(KEY_BUCKET).and_then(|index| buckets.get_mut(index)) {
            spec.entries = range;
        }
        Self { others, buckets, records }
    }
}

impl Source for Planned<'_> {
    fn buckets(&self) -> &[BucketSpec] {
        &self.buckets
    }

    fn sizes(&self, entry: u64) -> Sizes {
        let record = entry.checked_sub(self.others.num_entries());
        let record = record.and_then(|index| self.records.sizes(usize::try_from(index).ok()?));
        record.unwrap_or_else(|| self.others.sizes(entry))
    }

    /// There are sizes only.
    fn entry<'e>(&'e self, _entry: u64, _scratch: &'e mut Vec<u8>) -> Option<Entry<'e>> {
        None
    }
}
