//! Why there is no new directory.

#![warn(missing_docs)]

use std::path::PathBuf;

use thiserror::Error;

use crate::copy::CopyError;
use crate::etcd::apply::Version;
use crate::input::SourceError;
use crate::input::log_error::LogError;
use crate::output::OutputError;
use crate::replay::error::ReplayError;
use crate::salvage::error::SalvageError;
use crate::text::shown;

use super::cluster::ClusterError;

/// Why there is no new directory. Nothing that was there was changed.
#[derive(Debug, Error)]
pub enum RestoreError {
    /// The db can't be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A snapshot is not what was taken.
    #[error("{}: the SHA-256 at its end is not that of its content: it was changed, or cut", shown(path))]
    Trailer {
        /// The snapshot.
        path: PathBuf,
    },
    /// What is damaged can't be saved.
    #[error(transparent)]
    Salvage(#[from] SalvageError),
    /// The db can't be taken whole.
    #[error(transparent)]
    Base(ReplayError),
    /// etcd would not begin such a cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The db does not say how far it is.
    #[error(
        "the db does not say which entry of a log it is at (no `consistent_index`): it never belonged to a member"
    )]
    NoIndex,
    /// Whose db it is can't be told.
    #[error("the log, which says whose db this is, is not there, and the db has {}: which of them it is can't be told", match members {
        0 => "no member".to_owned(),
        members => format!("{members} members"),
    })]
    WhoIsIt {
        /// Members of the db.
        members: usize,
    },
    /// The log would end before the db.
    #[error("the db is at entry {index} already: its log can't end with entry {until}")]
    Back {
        /// The db's entry.
        index: u64,
        /// The last entry that was asked for.
        until: u64,
    },
    /// The log ends before.
    #[error("the log ends with entry {last}, not with {until}")]
    TooShort {
        /// Its last entry.
        last: u64,
        /// The last entry that was asked for.
        until: u64,
    },
    /// Entries after the db are missing.
    #[error("entries {} to {} are missing in the log, which goes on to {end}: those after the gap would be lost", last.saturating_add(1), first.saturating_sub(1))]
    Gap {
        /// The last entry before the gap.
        last: u64,
        /// The first one after it.
        first: u64,
        /// The last one of all.
        end: u64,
    },
    /// The revision would pass what a number can hold.
    #[error("revision {from} can't go up by {by}")]
    Bump {
        /// The current revision.
        from: i64,
        /// By how many.
        by: u64,
    },
    /// The etcd for which it is made would not start from it.
    #[error("etcd {version} would not start from it: {why}")]
    WouldNotStart {
        /// The version.
        version: Version,
        /// Why.
        why: String,
    },
    /// The db can't be made.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The directory can't be made.
    #[error(transparent)]
    Output(#[from] OutputError),
}
