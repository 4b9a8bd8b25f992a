//! The report.

#![warn(missing_docs)]

use serde::Serialize;

use crate::etcd::HexId;
use crate::salvage::document::SalvageReport;
use crate::text::ByteText;

/// A directory that was made.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RestoreReport {
    /// The db that it was made from.
    pub source: ByteText,
    /// The data dir.
    pub data_dir: ByteText,
    /// Whether the member is the one that the db is of; else it is one of a new cluster.
    pub keeps_identity: bool,
    /// The member's id.
    pub member_id: HexId,
    /// The cluster's id.
    pub cluster_id: HexId,
    /// All members of the cluster.
    pub members: Vec<RestoredMember>,
    /// The entry of the log that the db is at.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The last entry of the log.
    pub last_index: u64,
    /// Entries of the source's log that its db lacked, and that were applied to it first.
    pub applied_entries: u64,
    /// What was saved of the source, and lost, if it was damaged; `null` for a sound one.
    pub salvage: Option<Box<SalvageReport>>,
    /// Entries of the log that etcd applies when it starts.
    pub pending_entries: u64,
    /// Entries of the old log that were left out, as asked.
    pub left_out_entries: u64,
    /// Requests of the API v2 that were emptied, as the version that it is made for can't read them.
    pub emptied_entries: u64,
    /// The db's revision.
    pub revision: i64,
    /// Its HashKV.
    pub hash_kv: Option<u32>,
    /// Bytes of the db.
    pub db_bytes: u64,
    /// Records of the db.
    pub records: u64,
    /// The etcd that it was made for.
    pub etcd: String,
    /// The revision that this etcd will have; `null` where an election decides.
    pub revision_after_start: Option<i64>,
    /// Whether the db was compared with what it was made from, and the directory read as etcd reads it.
    pub verified: bool,
    /// What the user should know.
    pub warnings: Vec<String>,
    /// Seconds that it took.
    pub elapsed_seconds: f64,
}

impl RestoreReport {
    /// Whether nothing was lost.
    pub fn is_whole(&self) -> bool {
        self.salvage.as_ref().is_none_or(|salvage| salvage.is_whole())
    }
}

/// A member of the cluster.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct RestoredMember {
    /// Its id.
    pub id: HexId,
    /// Its name; empty for one that was never started.
    pub name: String,
    /// Where other members find it.
    pub peer_urls: Vec<String>,
    /// Whether it is a learner, which does not vote.
    pub is_learner: bool,
}
