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
    /// Its path, as it was resolved.
    pub path: ByteText,
    /// Whether it is etcd's: it has a `key` bucket.
    pub is_etcd: bool,
    /// Bytes of the file.
    pub file_bytes: u64,
    /// Bytes of the pages below the high water mark: what etcd's quota counts.
    pub allocated_bytes: u64,
    /// Bytes of a page.
    pub page_size: u64,
    /// Pages allocated.
    pub high_water_mark: u64,
    /// The last transaction.
    pub txid: u64,
    /// Both meta pages.
    pub metas: Vec<MetaInfo>,
    /// Which of them is active: 0 or 1.
    pub active_meta: usize,
    /// Page of the stored freelist; `null` where free pages are to be derived, as etcd has it.
    pub freelist_page: Option<u64>,
    /// What follows the db in its file.
    pub snapshot_trailer: Trailer,
    /// From etcd 3.6 on.
    pub storage_version: Option<String>,
    /// The version that all members speak.
    pub cluster_version: Option<String>,
    /// The last raft entry applied.
    pub consistent_index: Option<u64>,
    /// Its term.
    pub term: Option<u64>,
    /// Members of the cluster; the file does not say which of them wrote it.
    pub members: Arc<[Member]>,
    /// Ids of those that are no voters or learners of raft's, where its list is stored.
    pub members_not_in_conf_state: Vec<HexId>,
    /// Members that were removed.
    pub members_removed: u64,
}

/// One meta page.
#[derive(Clone, Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct MetaInfo {
    /// 0 or 1.
    pub slot: usize,
    /// What it says, where it is valid.
    #[serde(flatten)]
    pub meta: Option<Meta>,
    /// Why it is not valid.
    pub error: Option<String>,
}

impl FileInfo {
    #[must_use]
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
