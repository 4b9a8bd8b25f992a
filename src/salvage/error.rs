//! Why nothing was saved.

#![warn(missing_docs)]

use thiserror::Error;

use crate::copy::CopyError;
use crate::input::SourceError;
use crate::input::log_error::LogError;
use crate::owner::Owner;
use crate::shell::ShellCommand;
use crate::units::count;

/// Why there is no copy, and what to do next. The source is as it was.
#[derive(Debug, Error)]
pub enum SalvageError {
    /// It can't be opened.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The log that was named can't be opened.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nothing to be saved.
    #[error("{path}: no entry of any bucket can be found in it{}; look for {}", of_log(log.as_ref()), owner.backup())]
    Nothing {
        /// The source.
        path: String,
        /// Why the log of the member gave nothing, if there is one.
        log: Option<String>,
        /// The program that it belongs to.
        owner: Owner,
    },
    /// Entries can be read, but their buckets are not known.
    #[error(
        "{path}: the root bucket is lost. {}{} can be read, but nothing shows where they belong",
        count(*entries, "entry"),
        inside(*buckets)
    )]
    Unplaced {
        /// The source.
        path: String,
        /// Plain entries that can be read.
        entries: u64,
        /// The buckets among which they are.
        buckets: u64,
        /// The command that saves them.
        next: ShellCommand,
    },
    /// The copy can't be made.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The user wanted nothing doubtful.
    #[error("{path}: {what}: no copy is made of that, as nothing doubtful is to be taken")]
    Doubtful {
        /// The source.
        path: String,
        /// What is doubtful.
        what: String,
    },
}

impl SalvageError {
    /// The command to go on with, where there is one.
    #[must_use]
    pub fn next(&self) -> Option<ShellCommand> {
        match self {
            Self::Source(error) => error.next(),
            Self::Log(error) => error.next(),
            Self::Unplaced { next, .. } => Some(next.clone()),
            _ => None,
        }
    }
}

fn of_log(why: Option<&String>) -> String {
    why.map(|why| format!(", and its log gave nothing: {why}")).unwrap_or_default()
}

fn inside(buckets: u64) -> String {
    if buckets == 0 { String::new() } else { format!(" in {}", count(buckets, "bucket")) }
}
