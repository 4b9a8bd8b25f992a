//! What a replay is asked to do.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::copy::Layout;
use crate::etcd::apply::Version;

use super::deletions::Deletions;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ReplayRequest {
    /// Where the new db goes; `None` to write none.
    pub target: Option<PathBuf>,
    /// Whether to replace a file that is there.
    pub force: bool,
    /// Where it ends.
    pub until: Until,
    /// Deletions that are listed by their runs.
    pub list_deletions: Option<Deletions>,
    /// The version of etcd that wrote the log, if it is known.
    pub version: Option<Version>,
    /// How the new db is laid out.
    pub layout: Layout,
    /// Whether to append a SHA-256, as snapshots have it.
    pub snapshot: bool,
}

impl ReplayRequest {
    /// To the end of what was surely committed, into a file at this path, which nothing has yet.
    pub fn to(target: impl Into<PathBuf>) -> Self {
        Self { target: Some(target.into()), ..Self::dry() }
    }

    /// The same without a file.
    #[must_use]
    pub fn dry() -> Self {
        Self {
            target: None,
            force: false,
            until: Until::End,
            list_deletions: None,
            version: None,
            layout: Layout::default(),
            snapshot: false,
        }
    }
}

/// Where a replay ends.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Until {
    /// With the last entry that was surely committed.
    #[default]
    End,
    /// With this entry.
    Index(u64),
    /// With the entry that makes this revision.
    Revision(i64),
    /// Before the newest deletion of this key.
    BeforeDelete(Vec<u8>),
    /// Before the newest run of deletions.
    BeforeDeletes(Deletions),
}
