//! What each cure would give back: the plans of the copies that it would make.

use serde::Serialize;

use crate::bolt::Db;
use crate::bolt::write::{self, Plan, PlanError};
use crate::copy::Layout;
use crate::etcd::schema::KEY_BUCKET;
use crate::rewrite::planned::{Planned, Records};
use crate::rewrite::{Changes, CopyContent};
use crate::scan::Scan;

/// What each cure gives back, of allocated bytes: tail and trailer do not count. Where `health.readable` is false, nothing is
/// promised: the gains are 0, the sizes `null`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Gains {
    /// Bytes that `etcd-medic defrag` takes off `file.allocated_bytes`.
    pub defrag_bytes: u64,
    /// The same for `etcd-medic defrag --compact-to current`.
    pub compact_and_defrag_bytes: u64,
    /// Size of the copy that `etcd-medic defrag` writes; `null` where it is not known.
    pub defrag_copy_bytes: Option<u64>,
    /// Size of the copy that `etcd-medic defrag --compact-to current` writes; `null` where it is not known.
    pub compact_and_defrag_copy_bytes: Option<u64>,
    /// Whether these are what `etcd-medic` then gives back and writes, to the byte: so wherever `health.readable` is true.
    pub exact: bool,
}

/// A copy that `defrag` can make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CopyKind {
    /// With `--compact-to current`.
    pub compacted: bool,
    /// With `--steady`.
    pub steady: bool,
}

/// Which copies are also planned with `--steady`: each plan takes time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AlsoSteady {
    /// The one of all records.
    pub plain: bool,
    /// The one with `--compact-to current`.
    pub compacted: bool,
}

/// The sizes of the copies that `defrag` would write, in bytes, snapshot trailers aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Copies {
    /// Bytes of the pages that are allocated in the file.
    allocated_bytes: u64,
    plain: Sizes,
    compacted: Sizes,
    exact: bool,
}

/// The sizes of one content in two layouts; `None` where it was not asked for, or can't be written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sizes {
    usual: Option<u64>,
    steady: Option<u64>,
}

impl Copies {
    /// Plans the copies. The scan's outline has a compaction to the current revision.
    /// `None` of a file that can't be read whole, or of a scan that did not keep the sizes of records.
    pub fn of(db: &Db, scan: &Scan<'_>, steady: AlsoSteady) -> Option<Self> {
        let outline = scan.keyspace.outline.as_ref();
        let key_bucket = scan.key_bucket.map(|_| KEY_BUCKET);
        if !scan.is_readable() || (key_bucket.is_some() && outline.is_none()) {
            return None;
        }
        let read = |changes| CopyContent::read_all_but(db, key_bucket, &changes, &|_| {}).ok();
        let others = read(Changes::default())?;
        let sizes = |also_steady: bool, plan: &(dyn Fn(Layout) -> Result<Plan, PlanError> + Sync)| {
            let size = |steady| Some(plan(Layout { steady, ..Layout::default() }).ok()?.file_bytes());
            let (usual, steady) = rayon::join(|| size(false), || also_steady.then(|| size(true)).flatten());
            Sizes { usual, steady }
        };
        let settings = |layout: Layout| layout.settings(db, key_bucket.is_some());
        let allocated_bytes = db.high_water_mark().saturating_mul(db.page_size());
        let Some(outline) = outline.filter(|_| key_bucket.is_some()) else {
            // without records, there is nothing to compact
            let plain = sizes(steady.plain, &|layout| write::plan(&others, settings(layout)));
            return Some(Self { allocated_bytes, plain, compacted: plain, exact: true });
        };
        let marks = outline.compactions().first().copied().map(Changes::marks_only).unwrap_or_default();
        let marked = read(marks)?;
        let of = |also_steady, others, records: Records<'_>| {
            let planned = Planned::new(others, records);
            sizes(also_steady, &|layout| write::plan(&planned, settings(layout)))
        };
        let (plain, compacted) = rayon::join(
            || of(steady.plain, &others, Records::all(outline)),
            || of(steady.compacted, &marked, Records::kept(outline, 0)),
        );
        Some(Self { allocated_bytes, plain, compacted, exact: outline.is_exact() })
    }

    /// Bytes of a copy.
    pub fn bytes(&self, kind: CopyKind) -> Option<u64> {
        let sizes = if kind.compacted { self.compacted } else { self.plain };
        if kind.steady { sizes.steady } else { sizes.usual }
    }

    /// How many of the allocated bytes a copy gives back.
    pub fn gives_back(&self, kind: CopyKind) -> u64 {
        self.bytes(kind).map_or(0, |bytes| self.allocated_bytes.saturating_sub(bytes))
    }

    /// The gains with the usual layout.
    pub fn gains(&self) -> Gains {
        let [plain, compacted] = [false, true].map(|compacted| CopyKind { compacted, steady: false });
        Gains {
            defrag_bytes: self.gives_back(plain),
            compact_and_defrag_bytes: self.gives_back(compacted),
            defrag_copy_bytes: self.bytes(plain),
            compact_and_defrag_copy_bytes: self.bytes(compacted),
            exact: self.exact,
        }
    }
}
