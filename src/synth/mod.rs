//! Made-up files: a Kubernetes cluster's etcd of any size, history and fragmentation, the same from the same seed.
//!
//! | file | what is in it |
//! |---|---|
//! | [`random`] | numbers that are the same everywhere and always |
//! | [`kinds`] | what a cluster is made of |
//! | [`cluster`] | from the number of a key to its text and its values |
//! | [`history`] | what happened: every record, in 16 bytes each |
//! | [`content`] | all of it, as a source for the writer |
//! | [`fit`] | the number of keys for a file of a given size |
//! | [`scatter`](mod@scatter) | free pages between the nodes |
//!
//! Memory: 16 bytes a record and 4 a key (8 while it is drawn), 8 a page, and the writer's own. Values are made when they
//! are written, and never held.

pub mod cluster;
pub mod content;
pub mod fit;
pub mod history;
pub mod kinds;
pub mod random;
pub mod scatter;

use std::path::PathBuf;
use std::time::Instant;

use serde::Serialize;
use thiserror::Error;

use crate::bolt::write::Packing;
use crate::copy::{self, Copied, CopyError, Order, Progress};
use crate::etcd::trailer::TRAILER_SIZE;
use crate::output::Target;
use crate::text::ByteText;

use fit::Fitted;
use history::{Amounts, HistoryError};
use scatter::{FreeRuns, Scatter};

/// What is to be made.
#[derive(Clone, Debug)]
pub struct SynthRequest {
    /// Where to.
    pub target: PathBuf,
    /// Whether to replace a file that is there.
    pub force: bool,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
    /// The file.
    pub options: SynthOptions,
}

/// A file, described.
#[derive(Clone, Copy, Debug)]
pub struct SynthOptions {
    /// Where all draws come from.
    pub seed: u64,
    /// How large.
    pub extent: Extent,
    /// What happened to each key.
    pub amounts: Amounts,
    /// Leases; `None` for as many as the events need.
    pub leases: Option<u32>,
    /// Whether the NOSPACE alarm is raised.
    pub nospace: bool,
    /// Bytes of a page.
    pub page_size: u32,
    /// How nodes are cut.
    pub packing: Packing,
    /// The share of the file's pages that are free.
    pub free: f64,
    /// How they are spread.
    pub scatter: Scatter,
    /// The share of nodes that don't lie beside their neighbours.
    pub shuffle: f64,
}

impl SynthOptions {
    /// A member that has run for long: half of its pages are free, in bursts, and pages are filled as etcd does.
    #[must_use]
    pub fn new(seed: u64, extent: Extent) -> Self {
        Self {
            seed,
            extent,
            amounts: Amounts { revisions_per_key: 1.5, tombstones: 0.03, compact_revision: None },
            leases: None,
            nospace: false,
            page_size: 4096,
            packing: Packing::AsBbolt { fill: 0.7 },
            free: 0.5,
            scatter: Scatter::Bursts,
            shuffle: 0.4,
        }
    }
}

/// How large a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    /// A file of about this many bytes (1 %).
    Bytes(u64),
    /// A file of this many keys, deleted ones included.
    Keys(u32),
}

/// The file that was made.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SynthReport {
    /// The file, as it was given.
    pub path: ByteText,
    /// Its size, the 32 bytes of `--snapshot` included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// `--seed`: with the same options it makes the same bytes.
    pub seed: u64,
    /// Keys that exist.
    pub keys: u64,
    /// Entries of the `key` bucket: `keys`, `superseded` and `tombstones` together.
    pub records: u64,
    /// Records of deletions, each of another key.
    pub tombstones: u64,
    /// Puts that are not the newest of a key that exists.
    pub superseded: u64,
    /// The current revision.
    pub revision: u64,
    /// The revision of the last compaction; -1 where it was never compacted.
    pub compact_revision: i64,
    /// Leases in the `lease` bucket.
    pub leases: u64,
    /// Leaves and branches of all buckets; inline ones have none.
    pub nodes: u64,
    /// Bytes of all entries (elements, keys and values): no file that has them can be smaller.
    pub entry_bytes: u64,
    /// Bytes of free pages, which are zeros.
    pub free_bytes: u64,
    /// The runs of free pages.
    pub free_runs: FreeRuns,
    /// What `--snapshot` appended, 64 hexadecimal digits; `null` without it.
    pub sha256: Option<String>,
    /// Wall time, in seconds: it alone differs from run to run.
    pub elapsed_seconds: f64,
}

/// Why nothing was made, and what to do next.
#[derive(Debug, Error)]
pub enum SynthError {
    /// There is no such history.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No file can be this small.
    #[error("{wanted} bytes: even a file with one key has {least} bytes, with these settings")]
    TooSmall {
        /// Bytes that were asked for.
        wanted: u64,
        /// Bytes of the least file.
        least: u64,
    },
    /// A share that leaves nothing.
    #[error("{0} % of free pages: from 0 to less than 100, as something must be in use")]
    AllFree(f64),
    /// The file can't be made.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Makes a file.
///
/// # Errors
/// See [`SynthError`]. There is no temporary file, and, but for [`crate::output::OutputError::Unsynced`] and [`crate::output::OutputError::Remains`], the
/// target is as it was.
pub fn synth(request: &SynthRequest, progress: Progress<'_>) -> Result<SynthReport, SynthError> {
    let began = Instant::now();
    let SynthRequest { target, force, snapshot, options } = request;
    let place = Target::new(target, None, *force).map_err(CopyError::from)?;
    let trailer = if *snapshot { TRAILER_SIZE as u64 } else { 0 };
    let Fitted { content, mut plan, free_pages: free } = fit::fit(options, trailer)?;
    let nodes = plan.nodes().count() as u64;
    let free_runs = scatter::scatter(&mut plan, options.seed, options.scatter, free, options.shuffle);
    let order = Order { target: place, plan: &plan, snapshot: *snapshot, attributes_of: None };
    // it is made from numbers alone: nothing can be lost
    let Copied { sha256, .. } = copy::make(order, &content, progress, |_| Ok(()))?;
    let history = content.history();
    let (records, tombstones) = (history.records.len() as u64, u64::from(history.deleted));
    let keys = history.created.len() as u64 - tombstones;
    Ok(SynthReport {
        path: target.as_path().into(),
        file_bytes: plan.file_bytes() + trailer,
        page_size: plan.page_size,
        seed: options.seed,
        keys,
        records,
        tombstones,
        superseded: records - tombstones - keys,
        revision: u64::from(history.revision),
        compact_revision: if history.compact_revision == 0 {
            -1
        } else {
            i64::from(history.compact_revision)
        },
        leases: u64::from(content.leases()),
        nodes,
        entry_bytes: plan.entry_bytes,
        free_bytes: free * plan.page_size,
        free_runs,
        sha256,
        elapsed_seconds: began.elapsed().as_secs_f64(),
    })
}
