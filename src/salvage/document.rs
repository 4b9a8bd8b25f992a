//! What a salvage says: of the source, of the copy, and of what was lost.

#![warn(missing_docs)]

use serde::Serialize;

use crate::input::packed::Packed;
use crate::owner::Owner;
use crate::text::ByteText;

use super::derive::Derived;
use super::found::Tier;
use super::lacks::Lack;
use super::log_use::LogUse;
use super::lost::{Affected, Lost};
use super::restore::Restore;
use super::roots::Root;
use super::unreached::Unreached;

/// The copy that was made; with `--dry-run`, what it would be.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageReport {
    /// What the copy lacks besides records, what opens doors first.
    pub lacks: Vec<Lack>,
    /// The file that was read.
    pub source: SalvageSource,
    /// The copy.
    pub target: SalvageCopy,
    /// What was found, and left out.
    pub dropped: NotTaken,
    /// What can be read on pages that no root reaches, and whose bucket is not known.
    pub unreached: Unreached,
    /// Where the copy's records come from; for a file that isn't etcd's, its plain entries.
    pub recovered: Recovered,
    /// The copy's buckets.
    pub buckets: Vec<BucketReport>,
    /// Ranges of revisions with losses.
    pub lost: Vec<Lost>,
    /// What that means for keys.
    pub affected: Affected,
    /// What of the bucket `meta` is not what the last state had, where that is lost.
    pub derived: Vec<Derived>,
    /// Revisions that were found with two contents, at most 100. What is reachable is taken before what an older root has,
    /// and that before an orphan.
    pub conflicts: Vec<ConflictReport>,
    /// All such revisions.
    pub num_conflicts: u64,
    /// Whether every entry of the copy was compared with what was saved.
    pub verified: bool,
    /// HashKV of the copy; `null` for a file that isn't etcd's.
    pub hash_kv: Option<u32>,
    /// Whether `--dry-run` was given: nothing was written.
    pub dry_run: bool,
    /// What the log of the member gave; `null` where there is none, or nothing was missing.
    pub log: Option<LogUse>,
    /// How etcd starts from the copy.
    pub restore: Restore,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Wall time, in seconds: it alone differs from run to run.
    pub elapsed_seconds: f64,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
    /// What the file was unpacked from, if it was packed.
    #[serde(skip)]
    pub packed: Option<Packed>,
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
    /// Its size.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Whether no meta has the page size: it is the one at which most pages have the id of their place.
    pub page_size_derived: bool,
    /// Where the trees of the copy begin.
    pub root: Root,
    /// With `--disk-errors`: parts that the disk did not give, as `[offset, bytes]`.
    pub unreadable: Vec<(u64, u64)>,
    /// Whether every page was searched for leaves: not where nothing is missing.
    pub searched: bool,
}

/// The copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct SalvageCopy {
    /// As it was given.
    pub path: ByteText,
    /// Its bytes, trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Entries of the `key` bucket; for a file that isn't etcd's, plain entries of all buckets.
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
    /// Records that were deleted, superseded, or never committed.
    pub free: u64,
    /// Entries of the bucket `key` that are no records any more.
    pub malformed: u64,
}

/// Where the copy's records come from; for a file that isn't etcd's, its entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Recovered {
    /// From the active root; from the root that was found, where no meta leads to one.
    pub reachable: u64,
    /// From the other meta's root, where the first has a gap.
    pub older_root: u64,
    /// From leaves that no root reaches, where the roots have a gap.
    pub orphan: u64,
    /// Records that a compaction may have removed, although nothing shows that it did: those of `orphan` at or below the last
    /// compaction, or all of them if how far it went is lost; if the root was found by its content and a newer one is lost,
    /// those of `reachable`, too. `--strict` leaves them out.
    pub doubtful: u64,
    /// From the log of the member.
    pub log: u64,
    /// With `--best-effort` only: of a state that the file no longer held.
    pub free: u64,
}

impl Recovered {
    /// All of them.
    #[must_use]
    pub fn sum(&self) -> u64 {
        [self.reachable, self.older_root, self.orphan, self.log, self.free]
            .into_iter()
            .fold(0, u64::saturating_add)
    }
}

/// A bucket of the copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct BucketReport {
    /// Its path: `outer/inner` for a bucket within another.
    pub name: ByteText,
    /// Its plain entries.
    pub entries: u64,
    /// Where it was found; `null` where it was not, and is there because etcd makes it at its first start.
    pub from: Option<Tier>,
    /// Pages that could not be read, at most 100.
    pub gaps: Vec<u64>,
    /// Why the first of them could not; `null` where there is none.
    pub why: Option<String>,
    /// Entries from the other meta's root.
    pub older_root: u64,
    /// Entries from leaves that no root reaches. Of all buckets but `key`, each is doubtful: `--strict` leaves them out.
    pub orphan: u64,
    /// Entries from the log of the member.
    pub log: u64,
    /// Entries found in such leaves, and not taken; of another program's bucket, `--best-effort` takes them.
    pub left_out: u64,
    /// Keys found with two values.
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
