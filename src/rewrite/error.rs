//! Why there is no copy.

use std::path::PathBuf;

use thiserror::Error;

use crate::bolt::FormatError;
use crate::bolt::open::OpenError;
use crate::bolt::write::{PlanError, WriteError};
use crate::etcd::schema::State;
use crate::etcd::trailer;
use crate::output::OutputError;
use crate::scan::health::Health;
use crate::scan::{ScanOptions, scan};
use crate::shell::ShellCommand;
use crate::source::Source;
use crate::text::shown;

use super::changes::ChangeError;
use super::content::Unreadable;
use super::guard::Refusal;
use super::verify::Mismatch;

/// Why there is no copy, and what to do next. The source is as it was.
#[derive(Debug, Error)]
pub enum DefragError {
    /// A damaged source.
    #[error(
        "{}: is damaged, so a copy would lose what can't be read ({first}{}); nothing was written. All that is wrong:",
        shown(path), more(*count)
    )]
    Damaged {
        /// The source.
        path: PathBuf,
        /// The first fault.
        first: String,
        /// How many.
        count: u64,
    },
    /// A snapshot that was changed.
    #[error(
        "{path}: its SHA-256 is not that of its content: it was cut short or changed; take another one, or go on \
         with --skip-hash-check if you know why"
    )]
    Trailer {
        /// The source.
        path: String,
    },
    /// Something that can't be changed as it was asked for.
    #[error("{path}: {error}")]
    Change {
        /// The source.
        path: String,
        /// Why.
        error: ChangeError,
    },
    /// Keys would be lost that the user has not seen.
    #[error(
        "{keys} keys with {records} records begin with what --drop-prefix names, and would be lost{}: look at them with \
         --dry-run (--output json lists each), and if you can do without them, add --confirm-keys {keys}. Nothing was \
         written",
        confirmed.map(|confirmed| format!(" (--confirm-keys says {confirmed})")).unwrap_or_default()
    )]
    Unconfirmed {
        /// How many.
        keys: u64,
        /// Their records.
        records: u64,
        /// How many the user knows of.
        confirmed: Option<u64>,
    },
    /// A member whose db may not be changed where it is.
    #[error("{path}: {refusal}")]
    Refused {
        /// The source.
        path: String,
        /// Why.
        refusal: Refusal,
    },
    /// Something that can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The copy is not what it should be: a mistake of this program's, or the source changed.
    #[error("the copy was thrown away, as it is not equal to its source: {0}")]
    Mismatch(#[from] Mismatch),
    /// The source changed, or is out of order.
    #[error("{0}; the copy was thrown away")]
    Source(WriteError),
    /// The copy can't be opened.
    #[error("the copy can't be opened again: {0}")]
    Reopen(OpenError),
    /// The copy is no bbolt file.
    #[error("the copy can't be read again: {0}")]
    Reread(FormatError),
}

impl DefragError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            Self::Damaged { path, .. } => Some(ShellCommand::new("etcd-medic check").path(path)),
            _ => None,
        }
    }

    /// Of a file that can't be read whole. All that is wrong is counted, as `check` does.
    pub(super) fn damaged(source: &Source, Unreadable { first }: Unreadable) -> Self {
        let state = State::read(&source.db);
        let scan = scan(&source.db, &state, ScanOptions { max_findings: 0, ..ScanOptions::default() });
        let health = Health::of(&source.db, &state, &scan, trailer::verify(source.db.data()));
        Self::Damaged { path: source.path.clone(), first, count: health.num_faults }
    }

    pub(super) fn change(source: &Source, error: ChangeError) -> Self {
        Self::Change { path: shown(&source.path).into_owned(), error }
    }
}

fn more(count: u64) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}
