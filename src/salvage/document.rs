//! What a salvage says: of the source, of the copy, and of what was lost.

#![warn(missing_docs)]

use serde::Serialize;

use crate::owner::Owner;
use crate::text::ByteText;

use super::derive::Derived;
use super::found::Tier;
use super::lacks::Lack;
use super::lost::{Affected, Lost};
use super::restore::Restore;
use super::roots::Root;
use super::unreached::Unreached;

/// What was saved, and what was not.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageReport {
    /// What the copy lacks of what etcd knows besides the records: it comes first, as it may open doors.
    pub lacks: Vec<Lack>,
    /// The file that was read.
    pub source: SalvageSource,
    /// The copy.
    pub target: SalvageCopy,
    /// Records that were not taken over although they were found.
    pub dropped: NotTaken,
    /// What can be read, and nothing tells which bucket it is of.
    pub unreached: Unreached,
    /// Where the copy's records come from; of a file that isn't etcd's, its entries.
    pub recovered: Recovered,
    /// The copy's buckets.
    pub buckets: Vec<BucketReport>,
    /// What could not be saved, by revision.
    pub lost: Vec<Lost>,
    /// What that means for keys.
    pub affected: Affected,
    /// What of the `meta` bucket is not what the last state had: derived from the rest, of an older state, or not known.
    pub derived: Vec<Derived>,
    /// Revisions that were found with two contents: the first ones.
    pub conflicts: Vec<ConflictReport>,
    /// How many there were.
    pub num_conflicts: u64,
    /// Whether the copy was compared with what was saved.
    pub verified: bool,
    /// HashKV of the copy; `null` for a file that isn't etcd's.
    pub hash_kv: Option<u32>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// How etcd is to start from the copy.
    pub restore: Restore,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Wall time of all of it.
    pub elapsed_seconds: f64,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
    /// Whether all that the file held is in the copy, and nothing is doubtful.
    #[serde(skip)]
    pub(super) whole: bool,
}

impl SalvageReport {
    /// Whether all that the file held is in the copy, and nothing is doubtful.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.whole
    }
}

/// The file that was read.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageSource {
    /// Its path.
    pub path: ByteText,
    /// Its bytes.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Whether that was told from the pages, as no meta told it.
    pub page_size_derived: bool,
    /// Where the trees of the copy begin.
    pub root: Root,
    /// Parts that the disk did not give, as byte offset and bytes.
    pub unreadable: Vec<(u64, u64)>,
    /// Whether every page was searched for leaves: not where nothing is missing.
    pub searched: bool,
}

/// The copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageCopy {
    /// Its path.
    pub path: ByteText,
    /// Its bytes, trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Records: entries of the `key` bucket; for a file that isn't etcd's, plain entries of all buckets.
    pub records: u64,
    /// Buckets, at any depth.
    pub buckets: u64,
    /// Keys that exist.
    pub keys: u64,
    /// The current revision; `null` for a file that isn't etcd's.
    pub revision: Option<i64>,
    /// The SHA-256 that was appended, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// Records that were found and left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NotTaken {
    /// Deleted, superseded, or never committed: what free pages still hold.
    pub free: u64,
    /// Entries of the `key` bucket that are no records.
    pub malformed: u64,
}

/// Where the copy's records come from; for a file that isn't etcd's, its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recovered {
    /// From the active root.
    pub reachable: u64,
    /// From the other meta's root.
    pub older_root: u64,
    /// From leaves that no root reaches.
    pub orphan: u64,
    /// Records that a compaction may have removed, although nothing shows that it did: orphans at or below the last one, or all of them if
    /// how far it went is lost; and what an older root reaches, if that was found by its content. `--strict` leaves them out.
    pub doubtful: u64,
    /// The same, of a state that the file no longer held: only with `--best-effort`.
    pub free: u64,
}

impl Recovered {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        [self.reachable, self.older_root, self.orphan, self.free].into_iter().fold(0, u64::saturating_add)
    }
}

/// One bucket of the copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketReport {
    /// Its name, behind those of the buckets around it, with slashes between.
    pub name: ByteText,
    /// Its plain entries.
    pub entries: u64,
    /// Where it was found; `None` where it was not, and is made as etcd makes it at its first start: empty.
    pub from: Option<Tier>,
    /// Ranges of its keys that are missing: the pages that could not be read.
    pub gaps: Vec<u64>,
    /// Why the first of them could not.
    pub why: Option<String>,
    /// Entries that come from the other meta's root, or another root that was found.
    pub older_root: u64,
    /// Entries that come from leaves that no root reaches.
    pub orphan: u64,
    /// Keys that were found in such leaves, and left out: deleted since, or not to be told from what was.
    pub left_out: u64,
    /// Keys that were found there with two values: the likelier one was taken.
    pub conflicts: u64,
}

/// A revision that was found with two contents.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ConflictReport {
    /// The revision, as `main.sub`.
    pub revision: String,
    /// Where the record that was taken comes from.
    pub taken: Tier,
    /// Where the other was found.
    pub other: Tier,
}
