//! What a defrag did, as its report has it.

#![warn(missing_docs)]

use std::collections::BTreeMap;

use serde::Serialize;

use crate::etcd::HexId;
use crate::owner::Owner;
use crate::replay::document::Point;
use crate::text::ByteText;

use super::content::OmittedKey;
use super::guard::Refusal;

/// The copy that was made; with `--dry-run`, the same figures, and nothing was written.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefragReport {
    /// The file that was read; for a data directory, its db.
    pub source: DefragSource,
    /// The copy.
    pub target: DefragCopy,
    /// Entries of the member's log that were applied first, with `--in-place` and a change; `null` where the db had the effect of
    /// all, or nothing was changed.
    pub applied: Option<AppliedTail>,
    /// Records that the compaction left out; 0 without one, as a defrag keeps all history.
    pub dropped: CompactedAway,
    /// The compaction that the copy went through; `null` where all history was kept.
    pub compaction: Option<Compaction>,
    /// Alarms that the source has and the copy has not, in the order of the file.
    pub disarmed: Vec<Disarmed>,
    /// Keys that were given up; `null` without `--drop-prefix`.
    pub left_out: Option<LeftOut>,
    /// Members of the source's cluster, learners among them: by its log, where that can be read whole, else by its buckets
    /// `members` and `meta`; where these differ, the larger number; at most 1 with `--only-member`. 0 where nothing names
    /// any, or the file isn't etcd's.
    pub members: u64,
    /// Why this copy may not take the place of its source; `None`: it may.
    #[serde(skip)]
    pub refused_in_place: Option<Refusal>,
    /// Whether its etcd is of a time when `etcdctl` restored snapshots: before 3.5, which brought `etcdutl`.
    #[serde(skip)]
    pub before_etcdutl: bool,
    /// `source.file_bytes` less `target.file_bytes`; negative where the copy is larger.
    pub saved_bytes: i64,
    /// Whether the copy was read afresh and found equal; false with `--no-verify` or `--dry-run`.
    pub verified: bool,
    /// What was found equal; `null` where `verified` is false.
    pub verification: Option<Verification>,
    /// Whether `--dry-run` was given: nothing was written.
    pub dry_run: bool,
    /// Where `--in-place` keeps the old file; `null` without it, or with `--discard-old`.
    pub kept_old: Option<ByteText>,
    /// What to know of the source, or to do with the copy; for people.
    pub warnings: Vec<String>,
    /// Wall time, in seconds: it alone differs from run to run.
    pub elapsed_seconds: f64,
    /// Whose the file is.
    #[serde(skip)]
    pub owner: Owner,
}

/// The file that was read.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefragSource {
    /// Its path.
    pub path: ByteText,
    /// Its size, tail and trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets, without the buckets themselves.
    pub records: u64,
    /// Faults of its structure, which the copy does not have.
    pub structural_faults: u64,
}

/// The copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefragCopy {
    /// As it was given; with `--in-place` that of the source; empty in a dry run without `-o`.
    pub path: ByteText,
    /// Its size, the 32 bytes of `--snapshot` included.
    pub file_bytes: u64,
    /// Bytes of a page: the source's, or `--page-size`.
    pub page_size: u64,
    /// `--max-node-pages`: the most pages of a node.
    pub max_node_pages: u32,
    /// Whether `--steady` was given.
    pub steady: bool,
    /// As in `source`, with those of `applied`, less `dropped` and those of `left_out.keys`.
    pub records: u64,
    /// Bytes of all entries (elements, keys and values): no file that has them can be smaller.
    pub entry_bytes: u64,
    /// What `--snapshot` appended, 64 hexadecimal digits; `null` without it, or with `--dry-run`.
    pub sha256: Option<String>,
}

/// Entries of the member's log that the db lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct AppliedTail {
    /// Where the db was.
    pub from: Point,
    /// Where it is: at the log's end.
    pub to: Point,
    /// Entries that were applied.
    pub entries: u64,
    /// Entries that made a revision.
    pub writes: u64,
    /// Entries that etcd refused: they use an index, and make no revision.
    pub refused: u64,
    /// Records that they made.
    pub records: u64,
}

/// Records that a compaction dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CompactedAway {
    /// Superseded records.
    pub superseded: u64,
    /// Tombstones.
    pub tombstones: u64,
}

/// By `--compact-to` or `--keep-revisions`, where that leaves less than there is; or one of the source that was cut short,
/// and is finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Compaction {
    /// The copy is compacted to it: older revisions can't be read any more.
    pub revision: i64,
    /// The source's compact revision; -1 where it was never compacted.
    pub source_compact_revision: i64,
    /// The current revision, of both files; with `applied`, at the log's end.
    pub current_revision: i64,
    /// Whether the source's last compaction was cut short, and is finished by this one.
    pub finishes_earlier: bool,
}

/// An alarm that was disarmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Disarmed {
    /// The id of the member that had raised it, in hexadecimal digits.
    pub member_id: HexId,
    /// `NOSPACE` or `CORRUPT`.
    pub alarm: &'static str,
}

/// Keys that were given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// One for each `--drop-prefix`, as they were given.
    pub prefixes: Vec<LeftOutPrefix>,
    /// Each key that was given up, in the order of the keys, deleted ones included.
    pub keys: Vec<LeftOutKey>,
}

/// What was given up under one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOutPrefix {
    /// The prefix.
    pub prefix: ByteText,
    /// Keys that begin with it. A key counts with the first prefix that it begins with.
    pub keys: u64,
    /// Those of them that exist; the others were deleted before.
    pub live_keys: u64,
    /// All records of these keys.
    pub records: u64,
    /// Bytes of these records: elements, keys and values.
    pub bytes: u64,
}

/// A key that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOutKey {
    /// The key.
    pub key: ByteText,
    /// Whether it exists; false where it was deleted before.
    pub live: bool,
    /// The revision of its newest record.
    pub mod_revision: i64,
    /// Its records.
    pub records: u64,
    /// Bytes of these: elements, keys and values.
    pub bytes: u64,
}

/// What was found equal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Verification {
    /// Buckets compared, the root bucket included.
    pub buckets: u64,
    /// Entries compared, of all buckets, those that are buckets included: all that the copy has.
    pub entries: u64,
    /// HashKV, equal in both files; with changes: of the copy, equal to what they leave of the source. `null` for a file that
    /// isn't etcd's.
    pub hash_kv: Option<u32>,
}

impl LeftOut {
    /// Sums up the keys that were left out because of their prefixes.
    pub fn of(prefixes: &[Vec<u8>], keys: &BTreeMap<&[u8], OmittedKey>) -> Option<Self> {
        if prefixes.is_empty() {
            return None;
        }
        let named =
            |prefix: &Vec<u8>| LeftOutPrefix { prefix: ByteText(prefix.clone()), ..LeftOutPrefix::default() };
        let mut left_out = Self { prefixes: prefixes.iter().map(named).collect(), keys: Vec::new() };
        for (&key, omitted) in keys {
            let row = left_out.prefixes.iter_mut().find(|row| key.starts_with(&row.prefix.0));
            if let Some(row) = row {
                row.keys += 1;
                row.live_keys += u64::from(omitted.live);
                row.records += omitted.records;
                row.bytes += omitted.bytes;
            }
            let &OmittedKey { records, bytes, mod_revision, live } = omitted;
            left_out.keys.push(LeftOutKey {
                key: ByteText(key.to_vec()),
                live,
                mod_revision,
                records,
                bytes,
            });
        }
        Some(left_out)
    }
}
