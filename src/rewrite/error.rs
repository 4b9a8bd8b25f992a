//! Why there is no copy.

#![warn(missing_docs)]

use std::path::PathBuf;

use thiserror::Error;

use crate::copy::CopyError;
use crate::etcd::schema::State;
use crate::input::DbFile;
use crate::scan::health::Health;
use crate::scan::{ScanOptions, scan};
use crate::shell::ShellCommand;
use crate::text::shown;

use super::changes::ChangeError;
use super::content::Unreadable;
use super::guard::Refusal;

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
        /// The command that lists all of them.
        next: ShellCommand,
    },
    /// A snapshot that was changed.
    #[error("{path}: its SHA-256 is not that of its content: it was cut short or changed")]
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
    /// Keys would be lost whose number the user did not confirm.
    #[error(
        "{keys} keys with {records} records begin with one of the prefixes, and would be lost{}; nothing was written",
        confirmed.map(|confirmed| format!(", not the {confirmed} that were confirmed")).unwrap_or_default()
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
    /// The copy can't be made.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

impl DefragError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            Self::Damaged { next, .. } => Some(next.clone()),
            _ => None,
        }
    }

    /// Of a file that can't be read whole. All that is wrong is counted, as `check` does.
    pub(super) fn damaged(source: &DbFile, Unreadable { first }: Unreadable) -> Self {
        let state = State::read(&source.db);
        let scan = scan(&source.db, &state, ScanOptions { max_findings: 0, ..ScanOptions::default() });
        let health = Health::of(&source.db, &state, &scan, source.trailer());
        let (path, next) = (source.path.clone(), source.named.ours("etcd-medic check"));
        Self::Damaged { path, first, count: health.num_faults, next }
    }

    pub(super) fn refused(source: &DbFile, refusal: Refusal) -> Self {
        Self::Refused { path: shown(&source.path).into_owned(), refusal }
    }

    pub(super) fn change(source: &DbFile, error: ChangeError) -> Self {
        Self::Change { path: shown(&source.path).into_owned(), error }
    }
}

fn more(count: u64) -> String {
    if count > 1 { format!(", and {} more", count - 1) } else { String::new() }
}
