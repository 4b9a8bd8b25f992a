//! Why there is no copy.

#![warn(missing_docs)]

use thiserror::Error;

use crate::bolt::FormatError;
use crate::bolt::open::OpenError;
use crate::bolt::write::{PlanError, WriteError};
use crate::output::OutputError;

use super::Mismatch;

/// Why there is no copy. What was written is removed, and the source is as it was.
#[derive(Debug, Error)]
pub enum CopyError {
    /// An entry can't be written.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The target.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The entries changed while they were written, or are out of order.
    #[error("{0}; the copy was removed")]
    Source(WriteError),
    /// The copy can't be opened.
    #[error("the copy can't be opened again: {0}")]
    Reopen(OpenError),
    /// The copy is no bbolt file.
    #[error("the copy can't be read again: {0}")]
    Reread(FormatError),
    /// The copy is not what it should be: a bug, or the source changed.
    #[error("the copy was removed, as it is not what it should be: {0}")]
    Mismatch(#[from] Mismatch),
}
