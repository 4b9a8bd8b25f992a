//! The revisions that a file knows: from the compact revision to the current one.

use thiserror::Error;

/// The current revision of a file whose newest record is of revision `newest`: at least that of the last compaction,
/// which may have removed the newest records, and 1 in an empty etcd (`kvstore.go`, `restore`).
pub fn current_revision(newest: i64, compact_revision: i64) -> i64 {
    newest.max(compact_revision).max(1)
}

/// The lowest revision whose state the file still has.
pub fn lowest_revision(compact_revision: i64) -> i64 {
    compact_revision.max(1)
}

/// A revision whose state a file does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum RevisionError {
    /// etcd: `mvcc: required revision has been compacted`.
    #[error(
        "revision {asked} was compacted: the compact revision is {compact_revision}, the current one {current_revision}"
    )]
    Compacted {
        /// The revision that was asked for.
        asked: i64,
        /// Below it, history is gone.
        compact_revision: i64,
        current_revision: i64,
    },
    /// etcd: `mvcc: required revision is a future revision`.
    #[error(
        "revision {asked} is in the future: the current revision is {current_revision} (compact revision {compact_revision})"
    )]
    Future {
        /// The revision that was asked for.
        asked: i64,
        /// Below it, history is gone.
        compact_revision: i64,
        current_revision: i64,
    },
}

/// Whether the file has the state of this revision; gives it back.
///
/// # Errors
/// It is below the compact revision, or above the current one. Older versions of etcd, 3.4.23 and 3.5.1 among them,
/// refuse the compact revision itself, too; newer ones do not (`kvstore.go`, `hashByRev`).
pub fn known_revision(
    asked: i64,
    compact_revision: i64,
    current_revision: i64,
) -> Result<i64, RevisionError> {
    if asked < lowest_revision(compact_revision) {
        return Err(RevisionError::Compacted { asked, compact_revision, current_revision });
    }
    if asked > current_revision {
        return Err(RevisionError::Future { asked, compact_revision, current_revision });
    }
    Ok(asked)
}
