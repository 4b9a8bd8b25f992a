//! What a defrag did, as its report has it.

#![warn(missing_docs)]

use std::collections::BTreeMap;

use serde::Serialize;

use crate::etcd::HexId;
use crate::owner::Owner;
use crate::text::ByteText;

use super::content::OmittedKey;
use super::guard::Refusal;

/// What was done.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefragReport {
    /// The file that was read.
    pub source: DefragSource,
    /// The copy.
    pub target: DefragCopy,
    /// Records that a compaction dropped.
    pub dropped: CompactedAway,
    /// The compaction that the copy went through; `null` for none.
    pub compaction: Option<Compaction>,
    /// Alarms that the copy does not have any more.
    pub disarmed: Vec<Disarmed>,
    /// Keys that were given up; `null` where none were to be.
    pub left_out: Option<LeftOut>,
    /// Members of the cluster that the file belongs to; 0 for a file that isn't etcd's.
    pub members: u64,
    /// Why this copy may not take the place of its source; `None`: it may.
    #[serde(skip)]
    pub refused_in_place: Option<Refusal>,
    /// Whether its etcd is of a time when `etcdctl` restored snapshots: before 3.5, which brought `etcdutl`.
    #[serde(skip)]
    pub before_etcdutl: bool,
    /// Bytes that the source has more than the copy; negative where it has fewer.
    pub saved_bytes: i64,
    /// Whether the copy was compared with its source, entry by entry.
    pub verified: bool,
    /// What was compared.
    pub verification: Option<Verification>,
    /// Whether nothing was written.
    pub dry_run: bool,
    /// Where the source is kept, if the copy took its place.
    pub kept_old: Option<ByteText>,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Wall time of all of it.
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
    /// Its bytes, tail and trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Records: entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets.
    pub records: u64,
    /// Faults of its structure, of which the copy has none.
    pub structural_faults: u64,
}

/// The copy.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DefragCopy {
    /// Its path; empty in a dry run that names none.
    pub path: ByteText,
    /// Its bytes, trailer included.
    pub file_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// The most pages of a node.
    pub max_node_pages: u32,
    /// Whether nodes of several pages are only those that bbolt will not split.
    pub steady: bool,
    /// Records: entries of the `key` bucket; for a file that isn't etcd's, entries of all buckets.
    pub records: u64,
    /// Bytes of its entries: elements, keys and values. No file can be smaller.
    pub entry_bytes: u64,
    /// The SHA-256 that was appended, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// Records that a compaction dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CompactedAway {
    /// Older revisions.
    pub superseded: u64,
    /// Deletions.
    pub tombstones: u64,
}

/// A compaction of revisions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Compaction {
    /// The revision: below it, history is gone.
    pub revision: i64,
    /// The source's own; -1 where it was never compacted.
    pub source_compact_revision: i64,
    /// The current revision, which stays what it is.
    pub current_revision: i64,
    /// Whether the source's last compaction was cut short, and is finished by this one.
    pub finishes_earlier: bool,
}

/// An alarm that was disarmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Disarmed {
    /// The member that had raised it.
    pub member_id: HexId,
    /// etcd's name for it.
    pub alarm: &'static str,
}

/// Keys that were given up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOut {
    /// By the prefixes that were named. A key counts with the first that it begins with.
    pub prefixes: Vec<LeftOutPrefix>,
    /// Each of them, in order.
    pub keys: Vec<LeftOutKey>,
}

/// What was given up under one prefix.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOutPrefix {
    /// The prefix.
    pub prefix: ByteText,
    /// Keys.
    pub keys: u64,
    /// Those of them that exist; the others were deleted before.
    pub live_keys: u64,
    /// Their records.
    pub records: u64,
    /// Bytes of these: elements, keys and values.
    pub bytes: u64,
}

/// A key that was given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LeftOutKey {
    /// The key.
    pub key: ByteText,
    /// Whether it exists; otherwise it was deleted before.
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
    /// Buckets.
    pub buckets: u64,
    /// Entries of all buckets.
    pub entries: u64,
    /// HashKV of both files; `null` for a file that isn't etcd's.
    pub hash_kv: Option<u32>,
}

impl LeftOut {
    /// Sums up the keys that were left out because of their prefixes.
    #[must_use]
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
