//! What each cure would give back: the plans of the copies that it would make.

use serde::Serialize;

use crate::bolt::Db;
use crate::bolt::write::{self, Plan, PlanError};
use crate::etcd::schema::KEY_BUCKET;
use crate::rewrite::defrag::{Layout, settings_of};
use crate::rewrite::planned::{Planned, Records};
use crate::rewrite::{Changes, Content};
use crate::scan::Scan;

/// What each cure would give back, in bytes of what is allocated (the tail comes back by itself). Nothing is promised
/// of a file with structural faults, or of a scan that did not keep the sizes of records: all are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Gains {
    /// `etcd-medic defrag`.
    pub defrag_bytes: u64,
    /// `etcd-medic defrag --compact-to current`.
    pub compact_and_defrag_bytes: u64,
    /// Whether these are what `etcd-medic` then gives back, to the byte.
    pub exact: bool,
}

impl Gains {
    /// Plans the copies; the scan's outline has a compaction to the current revision.
    #[must_use]
    pub fn of(db: &Db, scan: &Scan<'_>) -> Self {
        let outline = scan.keyspace.outline.as_ref();
        let key_bucket = scan.key_bucket.map(|_| KEY_BUCKET);
        if scan.structure.count > 0 || (key_bucket.is_some() && outline.is_none()) {
            return Self::default();
        }
        let read = |changes| Content::read_all_but(db, key_bucket, &changes, &|_| {});
        let compaction = outline.and_then(|outline| outline.compactions().first().copied());
        let marks = compaction.map(Changes::marks_only).unwrap_or_default();
        let (Ok(others), Ok(marked)) = (read(Changes::default()), read(marks)) else {
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
        let with = |others, records| gain(write::plan(&Planned::new(others, records), settings));
        let (defrag_bytes, compact_and_defrag_bytes) =
            rayon::join(|| with(&others, Records::all(outline)), || with(&marked, Records::kept(outline, 0)));
        Self { defrag_bytes, compact_and_defrag_bytes, exact: outline.is_exact() }
    }
}
