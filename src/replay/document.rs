//! What a replay says.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::etcd::apply::{Machine, Refused, Store};
use crate::text::ByteText;

/// A db that was rolled forward; with `--dry-run`, what it would be.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReplayReport {
    /// The db that it began with.
    pub base: ByteText,
    /// Other dbs that were named, newer than this one or not to be read, and why each was not taken.
    pub passed_over: Vec<PassedOver>,
    /// The folder of the log.
    pub log: ByteText,
    /// Where it began.
    pub from: Point,
    /// Where it ended.
    pub to: Point,
    /// Entries that were applied.
    pub entries: u64,
    /// Entries that made a revision.
    pub writes: u64,
    /// Entries that etcd refused: they use an index, and make no revision.
    pub refused: u64,
    /// The same by reason.
    pub refused_by: BTreeMap<Refused, u64>,
    /// Keys that exist at the end.
    pub keys: u64,
    /// The last entry that was surely committed.
    pub committed_index: u64,
    /// The last entry of the log.
    pub last_index: u64,
    /// The version whose rules were applied.
    pub rules: RulesReport,
    /// The first 20 entries at which members part: the one that a client asked refused them (etcd#18667). They are applied as by the
    /// others.
    pub diverging_entries: Vec<u64>,
    /// All such entries.
    pub num_diverging_entries: u64,
    /// With a listing of deletions: the runs of them, in the order of the log.
    pub deletions: Vec<DeletionRun>,
    /// HashKV of the new db, at its revision; `null` with `--dry-run`.
    pub hash_kv: Option<u32>,
    /// The new db; `null` with `--dry-run`.
    pub target: Option<ReplayCopy>,
    /// Whether every entry of the new db was compared with what it was made from.
    pub verified: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Wall time, in seconds: it alone differs from run to run.
    pub elapsed_seconds: f64,
}

/// A db that a replay did not begin with.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PassedOver {
    /// The db.
    pub path: ByteText,
    /// Why not; for people.
    pub reason: String,
}

/// A point of a history.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Point {
    /// The last entry whose effect the db has.
    pub index: u64,
    /// Its term; 0 where the db does not say it.
    pub term: u64,
    /// The current revision.
    pub revision: i64,
    /// The compact revision; -1 for none.
    pub compact_revision: i64,
}

impl Point {
    /// Where a replay is.
    pub fn of(machine: &Machine<'_>) -> Self {
        let Store { revision, compact_revision, .. } = machine.store;
        Self { index: machine.index, term: machine.term, revision, compact_revision }
    }
}

/// The version whose rules were applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RulesReport {
    /// As `3.5.21`.
    pub etcd: String,
    /// How it was found.
    pub known_by: KnownBy,
    /// Entries that are refused by some patches of its minor version, and not by others.
    pub decided_entries: u64,
}

/// The new db.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ReplayCopy {
    /// As it was given.
    pub path: ByteText,
    /// Its bytes, trailer included.
    pub file_bytes: u64,
    /// Its records.
    pub records: u64,
    /// The SHA-256 at its end, in hexadecimal digits; `null` without one.
    pub sha256: Option<String>,
}

/// A run of deletions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletionRun {
    /// The first entry that deletes keys of it: a replay ends before this one.
    pub first_index: u64,
    /// The last one.
    pub last_index: u64,
    /// Entries that delete keys of it.
    pub entries: u64,
    /// Keys that were deleted.
    pub keys: u64,
    /// Bytes of their values.
    pub bytes: u64,
    /// The same by resource, the one with most keys first.
    pub resources: Vec<DeletedResource>,
    /// The first key of it.
    pub first_key: ByteText,
}

/// Deleted keys of a resource.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DeletedResource {
    /// The API group.
    pub group: String,
    /// The resource; for keys that are not Kubernetes', their leading path.
    pub resource: ByteText,
    /// Keys that were deleted.
    pub keys: u64,
}

/// How it was found which rules apply.
#[derive(Clone, Copy, PartialEq, Eq, Debug, serde::Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub enum KnownBy {
    /// It was named.
    Named,
    /// Every patch of the minor version does the same with these entries.
    NoDifference,
    /// The member's own db has the revision that these rules make.
    Db,
    /// By nothing but the minor version: its most usual patch is taken.
    MinorVersion,
}
