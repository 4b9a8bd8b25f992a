//! Why there is no new db.

#![warn(missing_docs)]

use thiserror::Error;

use crate::copy::CopyError;
use crate::etcd::apply::Unsupported;
use crate::input::SourceError;
use crate::input::log_error::LogError;
use crate::text::escape;
use crate::units::count;

use super::document::{DeletionRun, PassedOver};

/// Why there is no new db. Neither the db nor the log was changed.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The db can't be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The db is damaged.
    #[error("the db is damaged ({0}): a replay needs all of it")]
    BaseDamaged(String),
    /// The db has what etcd never writes.
    #[error("the db has what etcd never writes ({0}): what becomes of it is not known")]
    BaseOdd(String),
    /// The db is another program's.
    #[error("the db is not etcd's: it has no bucket `key`")]
    BaseNotEtcd,
    /// The db does not say how far it is.
    #[error(
        "the db does not say which entry it is at (no `consistent_index`): it never belonged to a member"
    )]
    NoIndex,
    /// Permissions would decide.
    #[error("authentication is on: which requests it refused is not known here, so nothing is applied")]
    AuthEnabled,
    /// The log is of another history than the db.
    #[error("the log is not of the db's history: {0}")]
    OtherHistory(String),
    /// Entries would be applied twice.
    #[error(
        "the db says that it has the effect of entries up to {index}, and it has that of entries up to {last}, which would be applied \
         twice: etcd 3.5.0 to 3.5.5 could leave a db so (etcd#13766, etcd#14730), and etcd itself would do the same. Begin with another"
    )]
    EffectsBeyond {
        /// The last entry by what it says.
        index: u64,
        /// The last entry whose effect it has.
        last: u64,
    },
    /// Entries that would have to be applied are not there.
    #[error("the db is at entry {index}, and {}", missing(*first, *last))]
    Missing {
        /// The last entry that the db has.
        index: u64,
        /// The first entry that is there after it; 0 for none.
        first: u64,
        /// The last entry of the log.
        last: u64,
    },
    /// An entry whose effect can't be told.
    #[error("entry {index} can't be applied: {why}. A replay may end before it")]
    Unsupported {
        /// The entry.
        index: u64,
        /// Why.
        why: Unsupported,
    },
    /// The entry that it should end with is before the db.
    #[error("the db is at {what} {at} already: a replay can't go back to {asked}")]
    Back {
        /// What is counted.
        what: &'static str,
        /// Where the db is.
        at: u64,
        /// Where it should end.
        asked: u64,
    },
    /// The log ends before.
    #[error("the log goes to {what} {last}, not to {asked}")]
    TooShort {
        /// What is counted.
        what: &'static str,
        /// Where it ends.
        last: u64,
        /// Where it should end.
        asked: u64,
    },
    /// No entry deletes it.
    #[error("no entry after {index} deletes {}", escape(.key))]
    NotDeleted {
        /// The key.
        key: Vec<u8>,
        /// The entry that the db is at.
        index: u64,
    },
    /// Nothing that counts is deleted.
    #[error("the log deletes no such key")]
    NoDeletions,
    /// Several runs may be meant.
    #[error("{} runs of deletions are of like weight: {}", .0.len(), listed(.0))]
    SeveralRuns(Vec<DeletionRun>),
    /// None of several dbs.
    #[error("a replay can begin with none of them: {}", reasons(.0))]
    NoneFits(Vec<PassedOver>),
    /// The new db can't be made.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

fn reasons(passed_over: &[PassedOver]) -> String {
    let reason = |one: &PassedOver| format!("{}: {}", one.path, one.reason);
    passed_over.iter().map(reason).collect::<Vec<_>>().join("; ")
}

fn listed(runs: &[DeletionRun]) -> String {
    let run = |run: &DeletionRun| {
        format!("{} from entry {} to {}", count(run.keys, "key"), run.first_index, run.last_index)
    };
    runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

fn missing(first: u64, last: u64) -> String {
    match first {
        0 => format!("the log ends with entry {last}: it has lost its end, or is an older one"),
        first => format!(
            "the next one in the log is {first}: those between are missing. Take an older log, or a newer db"
        ),
    }
}
