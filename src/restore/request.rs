//! What a restore is asked to do.

#![warn(missing_docs)]

use std::path::PathBuf;

use crate::copy::Layout;
use crate::etcd::apply::Version;

use super::cluster::NewCluster;

/// What is to be done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RestoreRequest {
    /// The data dir that is made: there must be nothing, or an empty folder.
    pub data_dir: PathBuf,
    /// Whose directory it will be.
    pub identity: Identity,
    /// By how many revisions the revision goes up, all that there are before being compacted by the next start: so that clients that
    /// watch notice.
    pub bump_revision: Option<u64>,
    /// The etcd that will start from it; by default the newest patch of the version that its cluster runs.
    pub version: Option<Version>,
    /// How the db is laid out.
    pub layout: Layout,
}

/// Whose directory it will be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Identity {
    /// That of a member of a new cluster.
    New(NewCluster),
    /// That of the member whose db it is.
    Kept {
        /// The last entry of the log that is taken over; by default the last one of all.
        until: Option<u64>,
    },
}

impl RestoreRequest {
    /// A data dir at this path, for the only member of a new cluster.
    pub fn to(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            identity: Identity::New(NewCluster::default()),
            bump_revision: None,
            version: None,
            layout: Layout::default(),
        }
    }
}
