//! What the file is: its metas, its trailer, whose it is.

use std::sync::Arc;

use serde::Serialize;
use std::path::Path;

use crate::bolt::Db;
use crate::bolt::meta::Meta;
use crate::etcd::HexId;
use crate::etcd::schema::{Member, State};
use crate::etcd::trailer::Trailer;
use crate::text::ByteText;

/// What the file is.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct FileInfo {
    /// The db that was read; for a data directory, its member/snap/db.
    pub path: ByteText,
    /// Whether the file is etcd's: it has a bucket `key` at the top level.
    pub is_etcd: bool,
    /// Size of the file.
    pub file_bytes: u64,
    /// `high_water_mark` × `page_size`: what etcd's quota counts.
    pub allocated_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages allocated so far; page ids are below it.
    pub high_water_mark: u64,
    /// The transaction that wrote the active meta.
    pub txid: u64,
    /// Both meta pages, valid or not.
    pub metas: Vec<MetaInfo>,
    /// The slot of the meta that was read from: 0 or 1.
    pub active_meta: usize,
    /// The page of the stored freelist, also of one that can't be read; `null` where none is stored, as in etcd's files: free
    /// pages are then those that no tree reaches.
    pub freelist_page: Option<u64>,
    /// Whether a snapshot's SHA-256 is after the db.
    pub snapshot_trailer: Trailer,
    /// The storage version, such as `3.6.0`; `null` where it is not stored: before etcd 3.6.
    pub storage_version: Option<String>,
    /// The version that all members speak; `null` where it is not stored.
    pub cluster_version: Option<String>,
    /// The index of the last raft entry that was applied; `null` where it is not stored.
    pub consistent_index: Option<u64>,
    /// The raft term of that entry; `null` where it is not stored: before etcd 3.5.
    pub term: Option<u64>,
    /// Members of the cluster, in the order of the bucket; the file does not say which of them wrote it.
    pub members: Arc<[Member]>,
    /// Ids of the members that are neither voters nor learners of `confState`; empty where there are none, or no list is
    /// stored.
    pub members_not_in_conf_state: Vec<HexId>,
    /// Removed members that the file remembers.
    pub members_removed: u64,
}

/// A meta page. One that is not valid has `slot` and `error` only.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(extend("oneOf" = [{"minProperties": 8}, {"maxProperties": 2}])))]
pub struct MetaInfo {
    /// 0 or 1.
    pub slot: usize,
    /// What it says, where it is valid.
    #[serde(flatten)]
    pub meta: Option<Meta>,
    /// Why it is not valid; `null` where it is.
    pub error: Option<String>,
}

impl FileInfo {
    pub fn of(path: &Path, db: &Db, state: &State<'_>, trailer: Trailer) -> Self {
        let metas = db.metas();
        let info = |(slot, meta): (usize, &Result<Meta, _>)| MetaInfo {
            slot,
            meta: meta.ok(),
            error: meta.err().map(|error: crate::bolt::meta::MetaError| error.to_string()),
        };
        Self {
            path: path.into(),
            is_etcd: state.key_bucket.is_some(),
            file_bytes: db.file_size(),
            allocated_bytes: db.high_water_mark().saturating_mul(db.page_size()),
            page_size: db.page_size(),
            high_water_mark: db.high_water_mark(),
            txid: db.meta().txid,
            metas: metas.slots.iter().enumerate().map(info).collect(),
            active_meta: metas.active_slot,
            freelist_page: db.meta().freelist.map(|page| page.0),
            snapshot_trailer: trailer,
            storage_version: state.storage_version.clone(),
            cluster_version: state.cluster_version.clone(),
            consistent_index: state.consistent_index,
            term: state.term,
            members: Arc::clone(&state.members),
            members_not_in_conf_state: state.members_unknown_to_raft().map(|member| member.id).collect(),
            members_removed: state.members_removed,
        }
    }
}
